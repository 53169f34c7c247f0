/* SPDX-License-Identifier: MIT */
/*
 * Launches: one-way. Errors that the real driver reports at once are detected here, from the known
 * limits of device and function. Parameters are packed in the function's layout. This path makes no
 * system call and allocates nothing.
 */
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/launch.h"
#include "cuda/kernels/occupancy.h"
#include "cuda/memory/memory_map.h"

#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "pvgpu_stubs.h"

struct request {
	unsigned int grid[3], block[3];
	unsigned int shared;
	struct launch_needs needs;
	const struct pvgpu_launch_attr *attrs;
	unsigned int n_attrs;
};

/* Parameters up to this size are packed on a small stack frame. */
enum { SMALL_PARAMS = 1024 };

/* The function as a launch in t may use it; a CUkernel stands for its function in t's context. */
static int find_function(CUfunction h, const struct target *t, struct function **out)
{
	struct function *f = function_find(h);

	if (unlikely(!f))
		return CUDA_ERROR_INVALID_HANDLE;
	if (unlikely(f->o.ctx && f->o.ctx != t->ctx))
		return CUDA_ERROR_INVALID_HANDLE;
	*out = f;
	return 0;
}

static int check_cooperative(const struct target *t, struct function *f, const struct request *q,
			     uint64_t threads)
{
	const uint64_t sms =
		t->sms ? t->sms
		       : (unsigned int)device_value(t->ctx->device,
						    CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
	uint64_t blocks = q->grid[0];
	int fit = 0, r;

	if (!device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH))
		return CUDA_ERROR_NOT_SUPPORTED;
	r = occupancy_blocks(t->ctx, f, (int)threads, q->shared, 0, &fit);
	if (r)
		return r;
	if (__builtin_mul_overflow(blocks, (uint64_t)q->grid[1], &blocks) ||
	    __builtin_mul_overflow(blocks, (uint64_t)q->grid[2], &blocks) ||
	    blocks > (uint64_t)fit * sms)
		return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	return 0;
}

/* Clusters of up to so many blocks run on every device that has clusters; more only when the
 * function allows it. */
enum { CLUSTER_PORTABLE = 8, CLUSTER_MOST = 16 };

/* The size that the kernel's text or its attributes demand, known when the far end has told. */
static bool required_cluster(const struct function *f, unsigned int size[3])
{
	for (int i = 0; i < 3; i++) {
		const int n = function_attr(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH + i);

		if (n <= 0)
			return false;
		size[i] = (unsigned int)n;
	}
	return true;
}

static int check_cluster(const struct target *t, const struct function *f, const struct request *q)
{
	const uint64_t most =
		function_attr(f, CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED) == 1
			? CLUSTER_MOST
			: CLUSTER_PORTABLE;
	const unsigned int *c = q->needs.cluster;
	unsigned int required[3];

	if (required_cluster(f, required)) {
		if (c[0] && memcmp(c, required, sizeof(required)))
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
		c = required;
	} else if (!c[0]) {
		return function_attr(f, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET) == 1
			       ? CUDA_ERROR_INVALID_CLUSTER_SIZE
			       : 0;
	}
	if (c[0] == 1 && c[1] == 1 && c[2] == 1)
		return 0;
	if (device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH) != 1)
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	for (int i = 0; i < 3; i++)
		if (c[i] > most || q->grid[i] % c[i])
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	return (uint64_t)c[0] * c[1] * c[2] > most ? CUDA_ERROR_INVALID_CLUSTER_SIZE : 0;
}

/* Most kernels neither demand clusters nor are asked for them. */
static bool may_have_cluster(const struct function *f, const struct request *q)
{
	return q->needs.cluster[0] ||
	       function_attr(f, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH) > 0 ||
	       function_attr(f, CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET) == 1;
}

/* A function's bound is what its text declares or what its registers allow: the driver tells which.
 * Registers are given to warps, 256 at a time. */
static bool registers_fit(const struct target *t, const struct function *f, uint64_t threads)
{
	const int regs = function_attr(f, CU_FUNC_ATTRIBUTE_NUM_REGS);
	const int most = device_value(t->ctx->device, CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK);
	const uint64_t of_warp = ((uint64_t)(regs > 0 ? regs : 0) * 32 + 255) / 256 * 256;

	return (threads + 31) / 32 * of_warp <= (uint64_t)most;
}

static int check(const struct target *t, struct function *f, const struct request *q)
{
	const struct launch_limits *l = &device_at(t->ctx->device)->limits;
	const uint64_t threads = (uint64_t)q->block[0] * q->block[1] * q->block[2];
	const int most = function_attr(f, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
	const int shared = function_attr(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);

	for (int i = 0; i < 3; i++)
		if (unlikely(q->grid[i] - 1 >= l->grid[i] || q->block[i] - 1 >= l->block[i]))
			return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(threads > l->threads))
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(most > 0 && threads > (uint64_t)most))
		return registers_fit(t, f, threads) ? CUDA_ERROR_INVALID_VALUE
						    : CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	if (unlikely(shared >= 0 && q->shared > (unsigned int)shared))
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(may_have_cluster(f, q))) {
		const int r = check_cluster(t, f, q);

		if (r)
			return r;
	}
	if (unlikely(q->needs.cooperative))
		return check_cooperative(t, f, q, threads);
	return 0;
}

/* The packed buffer of the list form: keys and values up to CU_LAUNCH_PARAM_END. */
static int find_buffer(const struct function *f, void **extra, const void **buffer, uint32_t *size)
{
	size_t given = 0;

	*buffer = NULL;
	for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
		if (i > 4)
			return CUDA_ERROR_INVALID_VALUE;
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			*buffer = extra[i + 1];
		else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1])
			given = *(size_t *)extra[i + 1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	if (!*buffer || given > PVGPU_PARAMS_MAX || (f->params_known && given < f->param_bytes))
		return CUDA_ERROR_INVALID_VALUE;
	if (f->params_known && given > (f->param_bytes + 3) / 4 * 4)
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	*size = f->params_known ? f->param_bytes : (uint32_t)given;
	return 0;
}

static int pack(const struct function *f, void **params, char *out)
{
	memset(out, 0, f->param_bytes); /* padding must not leak the stack's contents */
	for (uint32_t i = 0; i < f->param_count; i++) {
		const struct pvgpu_param_info *p = &f->params[i];

		if (unlikely(!params[i]))
			return CUDA_ERROR_INVALID_VALUE;
		if (p->size == 8)
			memcpy(out + p->offset, params[i], 8);
		else if (p->size == 4)
			memcpy(out + p->offset, params[i], 4);
		else
			memcpy(out + p->offset, params[i], p->size);
	}
	return 0;
}

static int post(const struct target *t, const struct function *f, const struct request *q,
		const void *params, uint32_t size)
{
	if (q->n_attrs)
		return pvgpu_do_launch_ex(
			session(), t->ctx->o.wire, t->stream, f->o.wire, q->grid[0], q->grid[1],
			q->grid[2], q->block[0], q->block[1], q->block[2], q->shared, q->attrs,
			(uint32_t)(q->n_attrs * sizeof(q->attrs[0])), params, size);
	return pvgpu_do_launch(session(), t->ctx->o.wire, t->stream, f->o.wire, q->grid[0],
			       q->grid[1], q->grid[2], q->block[0], q->block[1], q->block[2],
			       q->shared, q->needs.cooperative, params, size);
}

static __attribute__((noinline)) int pack_large(const struct target *t, const struct function *f,
						const struct request *q, void **params)
{
	char packed[PVGPU_PARAMS_MAX];
	const int r = pack(f, params, packed);

	return r ? r : post(t, f, q, packed, f->param_bytes);
}

/* A kernel that is captured stands for its function in the context, by which its node's parameters
 * are told. */
static int find_captured(const struct target *t, struct function **f)
{
	CUfunction fn;
	struct ctx *c;
	int r = 0;

	if ((*f)->o.type != PVGPU_H_KERNEL || ctx_current(&c) || c != t->ctx)
		return 0;
	r = cuKernelGetFunction(&fn, object_handle(&(*f)->o));
	return r ? r : find_function(fn, t, f);
}

static int launch(CUfunction h, const struct request *q, CUstream stream, bool per_thread,
		  void **params, void **extra)
{
	char packed[SMALL_PARAMS];
	const void *buffer;
	struct function *f;
	struct target t;
	uint32_t size;
	int r = stream_enter(stream, per_thread, &t);

	if (!r)
		r = find_function(h, &t, &f);
	if (!r && unlikely(t.captured))
		r = find_captured(&t, &f);
	if (!r)
		r = check(&t, f, q);
	if (unlikely(r))
		return r;
	if (!f->param_bytes && f->params_known)
		return params && extra ? CUDA_ERROR_INVALID_VALUE : post(&t, f, q, NULL, 0);
	if (unlikely(!params == !extra))
		return CUDA_ERROR_INVALID_VALUE;
	if (unlikely(extra)) {
		r = find_buffer(f, extra, &buffer, &size);
		return r ? r : post(&t, f, q, buffer, size);
	}
	/* Without the layout, pointers to parameters cannot be followed. */
	if (unlikely(!f->params_known))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (unlikely(f->param_bytes > SMALL_PARAMS))
		return pack_large(&t, f, q, params);
	r = pack(f, params, packed);
	return r ? r : post(&t, f, q, packed, f->param_bytes);
}

int launch_pack(struct ctx *c, const CUDA_KERNEL_NODE_PARAMS *p, char *out, uint32_t *len,
		struct function **f)
{
	const struct target t = {.ctx = c};
	const struct request q = {.grid = {p->gridDimX, p->gridDimY, p->gridDimZ},
				  .block = {p->blockDimX, p->blockDimY, p->blockDimZ},
				  .shared = p->sharedMemBytes};
	const void *buffer;
	int r = find_function(p->func, &t, f);

	if (!r)
		r = check(&t, *f, &q);
	if (r)
		return r;
	*len = 0;
	if (!(*f)->param_bytes && (*f)->params_known)
		return p->kernelParams && p->extra ? CUDA_ERROR_INVALID_VALUE : 0;
	if (!p->kernelParams == !p->extra)
		return CUDA_ERROR_INVALID_VALUE;
	if (p->extra) {
		r = find_buffer(*f, p->extra, &buffer, len);
		if (!r)
			memcpy(out, buffer, *len);
		return r;
	}
	if (!(*f)->params_known)
		return CUDA_ERROR_NOT_SUPPORTED;
	*len = (*f)->param_bytes;
	return pack(*f, p->kernelParams, out);
}

/* A window of memory that the device has, and of a size that it can keep. */
static bool window_fits(const CUaccessPolicyWindow *w)
{
	const int most = device_value(0, CU_DEVICE_ATTRIBUTE_MAX_ACCESS_POLICY_WINDOW_SIZE);

	return most > 0 && w->num_bytes <= (size_t)most &&
	       range_on_device((uintptr_t)w->base_ptr, w->num_bytes);
}

static bool domains_known(const CUlaunchMemSyncDomainMap *m)
{
	const int count = device_value(0, CU_DEVICE_ATTRIBUTE_MEM_SYNC_DOMAIN_COUNT);

	return m->default_ < count && m->remote < count;
}

int launch_attrs(const CUlaunchConfig *config, struct pvgpu_launch_attr *out, unsigned int *n,
		 struct launch_needs *needs)
{
	unsigned int used = 0;
	bool sent;
	int r;

	*needs = (struct launch_needs){0};
	if (config->numAttrs && !config->attrs)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < config->numAttrs; i++) {
		const CUlaunchAttribute *a = &config->attrs[i];

		_Static_assert(sizeof(out->value) == sizeof(a->value), "a value is sent unchanged");
		r = pvgpu_launch_attr_check(a, &sent);
		if (r)
			return r;
		if (a->id == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP &&
		    !domains_known(&a->value.memSyncDomainMap))
			return CUDA_ERROR_INVALID_VALUE;
		if (a->id == CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
			sent = sent && window_fits(&a->value.accessPolicyWindow);
		if (!sent)
			continue;
		if (used == PVGPU_LAUNCH_ATTRS_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		if (a->id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
			needs->cooperative = a->value.cooperative != 0;
		if (a->id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
			memcpy(needs->cluster, &a->value.clusterDim, sizeof(needs->cluster));
		out[used] = (struct pvgpu_launch_attr){.id = a->id};
		memcpy(out[used++].value, &a->value, sizeof(out->value));
	}
	*n = used;
	return 0;
}

static int launch_ex(const CUlaunchConfig *c, CUfunction h, bool per_thread, void **params,
		     void **extra)
{
	struct pvgpu_launch_attr attrs[PVGPU_LAUNCH_ATTRS_MAX];
	struct request q;
	int r;

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	q = (struct request){.grid = {c->gridDimX, c->gridDimY, c->gridDimZ},
			     .block = {c->blockDimX, c->blockDimY, c->blockDimZ},
			     .shared = c->sharedMemBytes,
			     .attrs = attrs};
	r = launch_attrs(c, attrs, &q.n_attrs, &q.needs);
	return r ? r : launch(h, &q, c->hStream, per_thread, params, extra);
}

#define REQUEST(is_cooperative)                                                                    \
	(&(const struct request){.grid = {grid_x, grid_y, grid_z},                                 \
				 .block = {block_x, block_y, block_z},                             \
				 .shared = shared_bytes,                                           \
				 .needs = {.cooperative = is_cooperative}})

CU_PTSZ(cuLaunchKernel,
	(CUfunction fn, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
	 unsigned int block_x, unsigned int block_y, unsigned int block_z,
	 unsigned int shared_bytes, CUstream stream, void **params, void **extra),
	launch(fn, REQUEST(false), stream, per_thread, params, extra))

CU_PTSZ(cuLaunchCooperativeKernel,
	(CUfunction fn, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
	 unsigned int block_x, unsigned int block_y, unsigned int block_z,
	 unsigned int shared_bytes, CUstream stream, void **params),
	launch(fn, REQUEST(true), stream, per_thread, params, NULL))

CU_PTSZ(cuLaunchKernelEx,
	(const CUlaunchConfig *config, CUfunction fn, void **params, void **extra),
	launch_ex(config, fn, per_thread, params, extra))
