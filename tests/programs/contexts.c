/* SPDX-License-Identifier: MIT */
/* Contexts: the stack of each thread, the primary context, owners of objects, limits. */
#include "tests/programs/common.h"

PTX(ptx_vector);

static CUcontext current(void)
{
	CUcontext ctx;

	CU(cuCtxGetCurrent(&ctx));
	return ctx;
}

static void check_stack(void)
{
	CUcontext primary = current(), a, b, popped;

	CU(cuCtxCreate(&a, NULL, CU_CTX_SCHED_BLOCKING_SYNC, 0));
	CHECK(current() == a && a != primary, "a new context is not current");
	CU(cuCtxCreate(&b, NULL, 0, 0));
	CU(cuCtxPopCurrent(&popped));
	CHECK(popped == b && current() == a, "pop");
	CU(cuCtxPushCurrent(primary));
	CHECK(current() == primary, "push");
	CU(cuCtxSetCurrent(b));
	CHECK(current() == b, "set");
	CU(cuCtxPopCurrent(&popped));
	CHECK(popped == b && current() == a, "set replaces the top of the stack");
	CU(cuCtxSetCurrent(NULL));
	CHECK(current() == primary, "setting none pops");
	CU(cuCtxPushCurrent(a));
	CU(cuCtxDestroy(a));
	CHECK(current() == primary, "destroying the current context pops it");
	CU(cuCtxDestroy(b)); /* not current */
	printf("the stack: all right\n");
}

/* Two contexts work beside each other; the end of one does not affect the other. */
static void check_two(void)
{
	uint32_t n = 1000, seed[2] = {1, 2}, words[1000];
	unsigned long long id[2];
	CUcontext primary = current(), other;
	CUdeviceptr p[2], wrong;
	CUmodule m[2];
	unsigned int version, flags;
	CUdevice device = -1;

	m[0] = load(ptx_vector);
	p[0] = device_alloc(4000);
	CU(cuCtxCreate(&other, NULL, CU_CTX_SCHED_SPIN, 0));
	CU(cuCtxGetFlags(&flags));
	CHECK((flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_SPIN, "flags are %x", flags);
	m[1] = load(ptx_vector);
	p[1] = device_alloc(4000);
	wrong = device_alloc(4);
	CU(cuMemsetD32(wrong, 0, 1));
	LAUNCH(function(m[1], "fill"), 2, 128, 0, NULL, &p[1], &n, &seed[1]);
	CU(cuCtxPushCurrent(primary));
	LAUNCH(function(m[0], "fill"), 2, 128, 0, NULL, &p[0], &n, &seed[0]);
	CU(cuCtxSynchronize());
	download(words, p[0], sizeof(words));
	CHECK(words[7] == fill_value(1, 7), "the primary context's word is %u", words[7]);
	CU(cuCtxPopCurrent(NULL));
	LAUNCH(function(m[1], "verify"), 2, 128, 0, NULL, &p[1], &n, &seed[1], &wrong);
	download(words, wrong, 4);
	CHECK(!words[0], "the other context's words are wrong");
	CU(cuCtxGetId(primary, &id[0]));
	CU(cuCtxGetId(other, &id[1]));
	CHECK(id[0] != id[1], "two contexts have number %llu", id[0]);
	CU(cuCtxGetDevice(&device));
	CHECK(device == 0, "device %d", device);
	CU(cuCtxGetApiVersion(other, &version));
	CHECK(version >= 3020, "API version %u", version);
	CU(cuCtxDestroy(other));
	CHECK(current() == primary, "not back in the primary context");
	download(words, p[0], sizeof(words));
	CHECK(words[999] == fill_value(1, 999), "the other's end changed memory");
	CU(cuMemFree(p[0]));
	CU(cuModuleUnload(m[0]));
	printf("two contexts: all right\n");
}

static void check_settings(void)
{
	CUfunc_cache cache;
	size_t before, value;

	CU(cuCtxGetLimit(&before, CU_LIMIT_STACK_SIZE));
	CU(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4096));
	CU(cuCtxGetLimit(&value, CU_LIMIT_STACK_SIZE));
	CHECK(value >= 4096, "a stack of %zu", value);
	CU(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, before));
	CU(cuCtxGetLimit(&value, CU_LIMIT_MALLOC_HEAP_SIZE));
	CU(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
	CU(cuCtxGetCacheConfig(&cache));
	CHECK(cache <= CU_FUNC_CACHE_PREFER_EQUAL, "cache preference %d", cache);
	printf("settings: all right\n");
}

static void check_primary(void)
{
	CUcontext ctx = current(), again;
	unsigned int flags;
	int active;

	CU(cuDevicePrimaryCtxRetain(&again, 0));
	CHECK(again == ctx, "two primary contexts");
	CU(cuDevicePrimaryCtxRelease(0));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(active == 1, "a retained context is gone");
	CU(cuDevicePrimaryCtxRetain(&again, 0));
	CU(cuDevicePrimaryCtxReset(0));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(active == 0 && !flags, "a reset context is active %d, flags %x", active, flags);
	/* Its handle can be made current, and is of no use until the next retain. */
	CU(cuCtxPushCurrent(ctx));
	CU(cuCtxPopCurrent(&again));
	CHECK(again == ctx, "pop");
	CU(cuCtxSetCurrent(ctx));
	WANT(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
	/* A reset takes no retain back. */
	CU(cuDevicePrimaryCtxRelease(0));
	CU(cuDevicePrimaryCtxRelease(0));
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(0));
	/* It comes back when it is retained, empty. */
	CU(cuCtxSetCurrent(NULL));
	CU(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_BLOCKING_SYNC));
	CU(cuDevicePrimaryCtxRetain(&again, 0));
	CU(cuCtxSetCurrent(again));
	CU(cuDevicePrimaryCtxGetState(0, &flags, &active));
	CHECK(again == ctx, "another handle");
	CHECK(active == 1 && (flags & CU_CTX_SCHED_MASK) == CU_CTX_SCHED_BLOCKING_SYNC,
	      "active %d, flags %x", active, flags);
	CU(cuCtxGetFlags(&flags));
	CHECK(flags == (CU_CTX_SCHED_BLOCKING_SYNC | CU_CTX_MAP_HOST), "flags %x", flags);
	CU(cuMemFree(device_alloc(100)));
	printf("the primary context: all right\n");
}

int main(void)
{
	CUdevice device;

	start();
	check_stack();
	check_two();
	check_settings();
	check_primary();
	CU(cuCtxSynchronize());
	CU(cuCtxSetCurrent(NULL));
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&device));
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
	WANT(CUDA_ERROR_INVALID_VALUE, cuCtxPushCurrent(NULL));
	CU(cuDevicePrimaryCtxRelease(0));
	return 0;
}
