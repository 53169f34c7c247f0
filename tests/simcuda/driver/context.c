/* SPDX-License-Identifier: MIT */
/* Contexts: their state, and each thread's stack of current ones. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct pool ctx_pool = POOL(struct sim_ctx);
static _Atomic uint64_t next_ctx_id = 1;

#define CTX_FLAGS (CU_CTX_FLAGS_MASK)

bool device_is_valid(CUdevice dev)
{
	return dev == 0;
}

static struct sim_ctx *top(void)
{
	return sim_self && sim_self->depth ? sim_self->stack[sim_self->depth - 1] : NULL;
}

CUresult ctx_current_or_none(struct sim_ctx **out)
{
	*out = top();
	if (!*out)
		return CUDA_ERROR_INVALID_CONTEXT;
	if (!pool_live(&ctx_pool, *out))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	*out = (*out)->base;
	return CUDA_SUCCESS;
}

struct sim_green *ctx_green(void)
{
	struct sim_ctx *c = top();

	return c && pool_live(&ctx_pool, c) ? c->green : NULL;
}

struct sim_ctx *ctx_of_green(struct sim_ctx *base, struct sim_green *green)
{
	struct sim_ctx *c = pool_new(&ctx_pool);

	if (!c)
		return NULL;
	c->id = atomic_fetch_add(&next_ctx_id, 1);
	c->primary = true;
	c->base = base;
	c->green = green;
	return c;
}

void ctx_of_green_gone(struct sim_ctx *c)
{
	pool_free(&ctx_pool, c);
}

CUresult ctx_current(struct sim_ctx **out)
{
	CUresult r = ctx_current_or_none(out);

	return r == CUDA_SUCCESS ? ctx_status(*out) : r;
}

CUresult ctx_current_if_any(void)
{
	struct sim_ctx *ctx;

	return top() ? ctx_current(&ctx) : CUDA_SUCCESS;
}

CUresult ctx_status(struct sim_ctx *ctx)
{
	CUresult r = ctx_error(ctx);

	if (unlikely(r != CUDA_SUCCESS))
		print_flush(ctx);
	return r;
}

void ctx_fail(struct sim_ctx *ctx, CUresult error)
{
	int none = CUDA_SUCCESS;

	atomic_compare_exchange_strong(&ctx->error, &none, (int)error);
}

/*
 * Compilers make an atomic of a byte one of the word that it is in, which may end behind the
 * allocation but not behind what is mapped for it. What begins behind the allocation is refused,
 * unless bounds are those of pages, as a GPU has them.
 */
static bool env_check(void *arg, uint64_t addr, uint64_t len, bool write, uint64_t *lo,
		      uint64_t *hi)
{
	if (range_check(addr, len, write, lo, hi) ||
	    (sim_config.page_bounds && range_check_page(addr, len, lo, hi)))
		return true;
	return len && addr % len == 0 && range_check_mapped(addr, len, write);
}

static void env_print(void *arg, const char *text, size_t len)
{
	print_keep(arg, text, len);
}

static uint64_t env_time(void *arg)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t env_malloc(void *arg, uint64_t size)
{
	return heap_malloc(arg, size);
}

static bool env_free(void *arg, uint64_t addr)
{
	return heap_free(arg, addr);
}

static bool env_native(void *arg, uint64_t *number)
{
	return native_run(number);
}

static const struct ptx_texture *env_texture(void *arg, uint64_t handle, bool is_surface)
{
	return texture_find(handle, is_surface);
}

/* The primary context has one handle as long as the process lives. */
static struct sim_ctx *primary_home;

static struct sim_ctx *take_object(bool primary)
{
	struct sim_ctx *c;

	if (primary && primary_home) {
		pool_renew(&ctx_pool, primary_home);
		return primary_home;
	}
	c = pool_new(&ctx_pool);
	if (primary)
		primary_home = c;
	return c;
}

static void give_object(struct sim_ctx *c)
{
	if (c == primary_home)
		pool_retire(&ctx_pool, c);
	else
		pool_free(&ctx_pool, c);
}

/* May it be made current? A primary context that is not active may: calls in it fail. */
static bool is_context(const struct sim_ctx *c)
{
	return c == primary_home || pool_live(&ctx_pool, c);
}

CUresult ctx_new(uint32_t flags, bool primary, struct sim_ctx **out)
{
	struct sim_ctx *c;

	TRY(arbiter_take_memory(sim_config.context_bytes));
	c = take_object(primary);
	if (!c)
		goto out_memory;
	c->id = atomic_fetch_add(&next_ctx_id, 1);
	c->flags = flags;
	c->version = SIM_VERSION;
	c->primary = primary;
	c->base = c;
	atomic_init(&c->error, CUDA_SUCCESS);
	c->limit[CU_LIMIT_STACK_SIZE] = 1024;
	c->limit[CU_LIMIT_PRINTF_FIFO_SIZE] = 1 << 20;
	c->limit[CU_LIMIT_MALLOC_HEAP_SIZE] = 8 << 20;
	c->limit[CU_LIMIT_MAX_L2_FETCH_GRANULARITY] = 64;
	c->shared = CU_SHARED_MEM_CONFIG_FOUR_BYTE_BANK_SIZE;
	print_init(&c->print);
	heap_init(&c->heap);
	c->env = (struct ptx_env){
		.arg = c,
		.mem_check = env_check,
		.print = env_print,
		.globaltimer_ns = env_time,
		.malloc = env_malloc,
		.free = env_free,
		.native = env_native,
		.condition = condition_set,
		.texture = env_texture,
		.private = sim_fault.scrub ? dirt_private : NULL,
		.clock_khz = 1000000,
		.sm_count = sim_config.sms,
		.turn = sim_config.turn     ? sim_config.turn
			: sim_fault.no_pace ? 512
					    : 0,
	};
	if (stream_create(c, NULL, 0, 0, &c->legacy) != CUDA_SUCCESS)
		goto out_ctx;
	*out = c;
	return CUDA_SUCCESS;
out_ctx:
	print_free(&c->print);
	give_object(c);
out_memory:
	arbiter_give_memory(sim_config.context_bytes);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

void ctx_give_op(struct op *op)
{
	if (op)
		op_put(op);
}

/* Waits for the context's work, as the real call does, then frees all of its objects. */
void ctx_delete(struct sim_ctx *c)
{
	exec_ctx_wait(c);
	print_flush(c);
	atomic_store(&c->dying, true);
	module_drop_ctx(c);
	heap_close(c);
	texture_drop_ctx(c);
	array_drop_ctx(c);
	mipmap_drop_ctx(c);
	memory_free_all(c);
	event_drop_ctx(c);
	exec_ctx_close(c);
	green_drop_ctx(c);
	ctx_give_op(c->joint.awaited);
	print_free(&c->print);
	give_object(c);
	arbiter_give_memory(sim_config.context_bytes);
}

static CUresult push(struct sim_ctx *c)
{
	struct sim_thread *t = sim_thread();

	if (!t)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (t->depth == t->room) {
		uint32_t room = t->room ? t->room * 2 : 8;
		struct sim_ctx **p = realloc(t->stack, room * sizeof(*p));

		if (!p)
			return CUDA_ERROR_OUT_OF_MEMORY;
		t->stack = p;
		t->room = room;
	}
	t->stack[t->depth++] = c;
	return CUDA_SUCCESS;
}

static CUresult create(CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	struct sim_ctx *c;
	CUresult r;

	if (!pctx || (flags & ~(unsigned int)CTX_FLAGS))
		return CUDA_ERROR_INVALID_VALUE;
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	pthread_mutex_lock(&sim_life);
	r = ctx_new(flags, false, &c);
	if (r == CUDA_SUCCESS)
		r = push(c);
	pthread_mutex_unlock(&sim_life);
	if (r == CUDA_SUCCESS)
		*pctx = (CUcontext)c;
	return r;
}

API(cuCtxCreate_v2, CUcontext *pctx, unsigned int flags, CUdevice dev)
{
	ENTER();
	return create(pctx, flags, dev);
}

API(cuCtxCreate_v3, CUcontext *pctx, CUexecAffinityParam *params, int count, unsigned int flags,
    CUdevice dev)
{
	ENTER();
	if (params || count)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	return create(pctx, flags, dev);
}

API(cuCtxCreate_v4, CUcontext *pctx, CUctxCreateParams *params, unsigned int flags, CUdevice dev)
{
	ENTER();
	if (params && params->execAffinityParams)
		return CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY;
	if (params && params->cigParams)
		return CUDA_ERROR_NOT_SUPPORTED;
	return create(pctx, flags, dev);
}

API(cuCtxDestroy_v2, CUcontext handle)
{
	struct sim_ctx *c = (struct sim_ctx *)handle;
	CUresult r = CUDA_SUCCESS;

	ENTER();
	if (pool_live(&ctx_pool, c) && !c->green)
		exec_ctx_wait(c); /* may take for ever, so without the lock */
	pthread_mutex_lock(&sim_life);
	if (!c)
		r = CUDA_ERROR_INVALID_VALUE;
	else if (!pool_live(&ctx_pool, c))
		r = CUDA_ERROR_CONTEXT_IS_DESTROYED;
	else if (c->primary)
		r = CUDA_ERROR_INVALID_CONTEXT;
	if (r == CUDA_SUCCESS) {
		if (top() == c)
			sim_self->depth--;
		ctx_delete(c);
	}
	pthread_mutex_unlock(&sim_life);
	return r;
}

API(cuCtxPushCurrent_v2, CUcontext handle)
{
	struct sim_ctx *c = (struct sim_ctx *)handle;

	ENTER();
	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	if (!is_context(c))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	return push(c);
}

API(cuCtxPopCurrent_v2, CUcontext *handle)
{
	struct sim_ctx *c;

	ENTER();
	c = top();
	if (!c)
		return CUDA_ERROR_INVALID_CONTEXT;
	sim_self->depth--;
	if (handle)
		*handle = (CUcontext)c;
	return CUDA_SUCCESS;
}

API(cuCtxSetCurrent, CUcontext handle)
{
	struct sim_ctx *c = (struct sim_ctx *)handle;

	ENTER();
	if (!c) {
		if (sim_self && sim_self->depth)
			sim_self->depth--;
		return CUDA_SUCCESS;
	}
	if (!is_context(c))
		return CUDA_ERROR_CONTEXT_IS_DESTROYED;
	if (sim_self && sim_self->depth) {
		sim_self->stack[sim_self->depth - 1] = c;
		return CUDA_SUCCESS;
	}
	return push(c);
}

API(cuCtxGetCurrent, CUcontext *handle)
{
	ENTER();
	if (!handle)
		return CUDA_ERROR_INVALID_VALUE;
	*handle = (CUcontext)top();
	return CUDA_SUCCESS;
}
