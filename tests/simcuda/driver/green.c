/* SPDX-License-Identifier: MIT */
/*
 * Green contexts: a part of the device's multiprocessors with streams whose kernels run there. A
 * resource is a set of multiprocessors; what a split gives goes into descriptors only, as with the
 * driver. A green context's CUcontext is a handle that stands for the primary context: all objects
 * but streams are that one's.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define RESOURCE_MAGIC 0x53695265u
#define SMS_MOST       512u

struct sm_set {
	uint32_t word[SMS_MOST / 32];
};

/* A resource's padding. */
struct inside {
	uint32_t magic;
	uint32_t split; /* its number; 0: of a device or a green context as a whole */
	struct sm_set set;
};

struct CUdevResourceDesc_st {
	struct handle h;
	struct sm_set set;
};

struct sim_green {
	struct handle h;
	struct sim_ctx *base, *ctx; /* the primary context; what stands for this one */
	uint64_t id;
	struct sm_set set;
	uint32_t count;
	uint16_t sm[SMS_MOST];
	struct sim_stream *stream; /* its default stream */
	struct sim_joint joint;
};

static struct pool green_pool = POOL(struct sim_green);
static struct pool desc_pool = POOL(struct CUdevResourceDesc_st);
static _Atomic uint32_t splits;
static _Atomic uint64_t next_id = 1;

static bool has(const struct sm_set *s, uint32_t sm)
{
	return s->word[sm / 32] >> sm % 32 & 1;
}

static void put(struct sm_set *s, uint32_t sm)
{
	s->word[sm / 32] |= 1u << sm % 32;
}

static uint32_t count(const struct sm_set *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ARRAY_LEN(s->word); i++)
		n += (uint32_t)__builtin_popcount(s->word[i]);
	return n;
}

static struct sm_set whole_device(void)
{
	struct sm_set s = {0};

	for (uint32_t i = 0; i < sim_config.sms && i < SMS_MOST; i++)
		put(&s, i);
	return s;
}

/* By NVIDIA's table of architectures. */
static uint32_t least_sms(unsigned int flags)
{
	if (flags & CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING)
		return 2;
	return sim_cc_major() >= 9 ? 8 : sim_cc_major() == 8 ? 4 : 2;
}

static uint32_t aligned_to(unsigned int flags)
{
	return sim_cc_major() >= 9 && !(flags & CU_DEV_SM_RESOURCE_SPLIT_IGNORE_SM_COSCHEDULING)
		       ? 8
		       : 2;
}

static void resource_set(CUdevResource *r, const struct sm_set *set, uint32_t split)
{
	const struct inside in = {RESOURCE_MAGIC, split, *set};

	memset(r, 0, sizeof(*r));
	r->type = count(set) ? CU_DEV_RESOURCE_TYPE_SM : CU_DEV_RESOURCE_TYPE_INVALID;
	if (!count(set))
		return;
	memcpy(r->_internal_padding, &in, sizeof(in));
	r->sm.smCount = count(set);
	r->sm.minSmPartitionSize = least_sms(0);
	r->sm.smCoscheduledAlignment = aligned_to(0);
}

static CUresult resource_get(const CUdevResource *r, struct inside *in)
{
	if (r->type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	memcpy(in, r->_internal_padding, sizeof(*in));
	return in->magic == RESOURCE_MAGIC ? CUDA_SUCCESS
					   : CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
}

static CUresult give(CUdevResource *r, CUdevResourceType type, const struct sm_set *set)
{
	if (!r)
		return CUDA_ERROR_INVALID_VALUE;
	if (type != CU_DEV_RESOURCE_TYPE_SM)
		return CUDA_ERROR_INVALID_RESOURCE_TYPE;
	resource_set(r, set, 0);
	return CUDA_SUCCESS;
}

API(cuDeviceGetDevResource, CUdevice dev, CUdevResource *r, CUdevResourceType type)
{
	const struct sm_set all = whole_device();

	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	return give(r, type, &all);
}

API(cuCtxGetDevResource, CUcontext handle, CUdevResource *r, CUdevResourceType type)
{
	const struct sm_set all = whole_device();
	struct sim_ctx *c = (struct sim_ctx *)handle;

	ENTER();
	if (!c)
		TRY(cuCtxGetCurrent((CUcontext *)&c));
	if (!c || !pool_live(&ctx_pool, c))
		return CUDA_ERROR_INVALID_CONTEXT;
	return give(r, type, c->green ? &c->green->set : &all);
}

static CUresult green_get(CUgreenCtx handle, struct sim_green **out)
{
	*out = (struct sim_green *)handle;
	if (!handle)
		return CUDA_ERROR_INVALID_CONTEXT;
	return pool_live(&green_pool, handle) ? CUDA_SUCCESS : CUDA_ERROR_CONTEXT_IS_DESTROYED;
}

API(cuGreenCtxGetDevResource, CUgreenCtx handle, CUdevResource *r, CUdevResourceType type)
{
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	return give(r, type, &g->set);
}

/* The next n of the set, taken out of it. */
static struct sm_set take(struct sm_set *from, uint32_t n)
{
	struct sm_set s = {0};

	for (uint32_t i = 0; i < SMS_MOST && n; i++) {
		if (!has(from, i))
			continue;
		from->word[i / 32] &= ~(1u << i % 32);
		put(&s, i);
		n--;
	}
	return s;
}

API(cuDevSmResourceSplitByCount, CUdevResource *result, unsigned int *groups,
    const CUdevResource *input, CUdevResource *remaining, unsigned int flags, unsigned int minimum)
{
	const uint32_t split = atomic_fetch_add(&splits, 1) + 1, least = least_sms(flags);
	const uint32_t align = aligned_to(flags);
	struct inside in;
	uint32_t each, most;

	ENTER();
	if (!groups || !input || flags & ~3u)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(resource_get(input, &in));
	if (in.split)
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	if (minimum > count(&in.set))
		return CUDA_ERROR_INVALID_VALUE;
	each = (minimum > least ? minimum : least) + align - 1;
	each -= each % align;
	most = count(&in.set) / each;
	if (!most)
		return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
	if (result && *groups < most)
		most = *groups;
	*groups = most;
	for (uint32_t i = 0; i < most && result; i++) {
		const struct sm_set part = take(&in.set, each);

		resource_set(&result[i], &part, split);
	}
	if (!result)
		take(&in.set, most * each);
	if (remaining)
		resource_set(remaining, &in.set, split);
	return CUDA_SUCCESS;
}

API(cuDevResourceGenerateDesc, CUdevResourceDesc *out, CUdevResource *resources, unsigned int n)
{
	struct sm_set all = {0};
	struct inside in, first;

	ENTER();
	if (!out || !resources || !n)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(resource_get(&resources[0], &first));
	for (unsigned int i = 0; i < n; i++) {
		TRY(resource_get(&resources[i], &in));
		if (n > 1 && (!in.split || in.split != first.split))
			return CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION;
		for (uint32_t w = 0; w < ARRAY_LEN(all.word); w++)
			all.word[w] |= in.set.word[w];
	}
	*out = pool_new(&desc_pool);
	if (!*out)
		return CUDA_ERROR_OUT_OF_MEMORY;
	(*out)->set = all;
	return CUDA_SUCCESS;
}

static void spread(struct sim_green *g)
{
	for (uint32_t i = 0; i < SMS_MOST; i++)
		if (has(&g->set, i))
			g->sm[g->count++] = (uint16_t)i;
}

API(cuGreenCtxCreate, CUgreenCtx *out, CUdevResourceDesc desc, CUdevice dev, unsigned int flags)
{
	struct sim_green *g;
	CUcontext primary;

	ENTER();
	if (!out || flags != CU_GREEN_CTX_DEFAULT_STREAM || !pool_live(&desc_pool, desc))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	g = pool_new(&green_pool);
	if (!g)
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->set = desc->set;
	spread(g);
	g->id = atomic_fetch_add(&next_id, 1);
	if (cuDevicePrimaryCtxRetain(&primary, dev) != CUDA_SUCCESS)
		goto out_green;
	g->base = (struct sim_ctx *)primary;
	g->ctx = ctx_of_green(g->base, g);
	if (!g->ctx)
		goto out_primary;
	if (stream_create(g->base, g, 0, 0, &g->stream) != CUDA_SUCCESS)
		goto out_ctx;
	g->stream->null = true;
	*out = (CUgreenCtx)g;
	return CUDA_SUCCESS;
out_ctx:
	ctx_of_green_gone(g->ctx);
out_primary:
	cuDevicePrimaryCtxRelease_v2(dev);
out_green:
	pool_free(&green_pool, g);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static void forget(struct sim_green *g)
{
	ctx_of_green_gone(g->ctx);
	ctx_give_op(g->joint.awaited);
	g->joint.awaited = NULL;
	pool_free(&green_pool, g);
}

/* Streams that the program left in it stay, and answer that it is destroyed. */
API(cuGreenCtxDestroy, CUgreenCtx handle)
{
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	exec_ctx_wait(g->base);
	exec_lock();
	stream_detach(g->stream);
	if (g->joint.stream)
		stream_detach(g->joint.stream);
	exec_unlock();
	forget(g);
	return cuDevicePrimaryCtxRelease_v2(0);
}

static void drop(void *obj, void *arg)
{
	struct sim_green *g = obj;

	if (g->base == arg)
		forget(g);
}

void green_drop_ctx(struct sim_ctx *ctx)
{
	pool_each(&green_pool, drop, ctx);
}

API(cuCtxFromGreenCtx, CUcontext *out, CUgreenCtx handle)
{
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUcontext)g->ctx;
	return CUDA_SUCCESS;
}

API(cuGreenCtxGetId, CUgreenCtx handle, unsigned long long *id)
{
	struct sim_green *g = handle ? (struct sim_green *)handle : ctx_green();

	ENTER();
	TRY(green_get((CUgreenCtx)g, &g));
	if (!id)
		return CUDA_ERROR_INVALID_VALUE;
	*id = g->id;
	return CUDA_SUCCESS;
}

API(cuGreenCtxStreamCreate, CUstream *out, CUgreenCtx handle, unsigned int flags, int priority)
{
	struct sim_stream *s;
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	if (!out || flags != CU_STREAM_NON_BLOCKING)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(stream_create(g->base, g, flags, priority, &s));
	*out = (CUstream)s;
	return CUDA_SUCCESS;
}

API(cuStreamGetGreenCtx, CUstream stream, CUgreenCtx *out)
{
	struct sim_stream *s;

	ENTER();
	TRY(stream_get(stream, &s));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUgreenCtx)s->green;
	return CUDA_SUCCESS;
}

API(cuGreenCtxRecordEvent, CUgreenCtx handle, CUevent event)
{
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	return event_record_all(event, g->base, g);
}

API(cuGreenCtxWaitEvent, CUgreenCtx handle, CUevent event)
{
	struct sim_green *g;

	ENTER();
	TRY(green_get(handle, &g));
	return event_wait_all(event, g->base, g);
}

uint32_t green_sms(const struct sim_green *g)
{
	return g ? g->count : sim_config.sms;
}

uint32_t green_sm(const struct sim_green *g, uint64_t block)
{
	return g ? g->sm[block % g->count] : (uint32_t)(block % sim_config.sms);
}

struct sim_stream *green_stream(struct sim_green *g)
{
	return g->stream;
}

struct sim_ctx *green_ctx(const struct sim_green *g)
{
	return g->ctx;
}

struct sim_joint *green_joint(struct sim_green *g)
{
	return &g->joint;
}

uint64_t green_id(const struct sim_green *g)
{
	return g ? g->id : 0;
}

bool green_live(const struct sim_green *g, uint64_t id)
{
	return pool_live(&green_pool, g) && g->id == id;
}
