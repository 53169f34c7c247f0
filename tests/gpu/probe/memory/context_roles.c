/* SPDX-License-Identifier: MIT */
#include "tests/gpu/probe/memory/context.h"

#include <stdio.h>
#include <string.h>

#define SLACK  ((int64_t)16 << 20) /* of what a limit is reckoned to take */
#define STACK  ((size_t)16 << 10)
#define HEAP   ((size_t)256 << 20)
#define PRINTF ((size_t)64 << 20)
#define HELD   ((size_t)1 << 30)

const char *const context_points[CONTEXT_POINTS] = {"start",  "context",     "kernel",
						    "second", "second_gone", "released"};

static void say_since(const char *key, uint64_t began)
{
	say_int(key, (int64_t)(now_ns() - began));
}

static bool first_context(CUdevice dev, CUcontext *ctx)
{
	const uint64_t began = now_ns();

	if (CU(cuDevicePrimaryCtxRetain, ctx, dev) != CUDA_SUCCESS ||
	    CU(cuCtxSetCurrent, *ctx) != CUDA_SUCCESS)
		return false;
	say_since("context_ns", began);
	say_process("context");
	return role_pause();
}

static bool first_kernel(void)
{
	const uint64_t began = now_ns();

	if (!cuda_occupy(NULL, 1) || CU(cuCtxSynchronize) != CUDA_SUCCESS)
		return false;
	say_since("first_kernel_ns", began);
	say_process("kernel");
	return role_pause();
}

static bool second_context(CUdevice dev)
{
	uint64_t began = now_ns();
	CUcontext second, popped;

	if (CU(cuCtxCreate_v2, &second, CU_CTX_SCHED_BLOCKING_SYNC, dev) != CUDA_SUCCESS)
		return false;
	say_since("second_ns", began);
	CU(cuCtxPopCurrent_v2, &popped);
	say_process("second");
	if (!role_pause())
		return false;
	began = now_ns();
	CU(cuCtxDestroy_v2, second);
	say_since("second_destroy_ns", began);
	return role_pause();
}

static void contexts(CUdevice dev, bool whole)
{
	CUcontext ctx;
	uint64_t began;

	say_process("start");
	if (!role_pause() || !first_context(dev, &ctx) || !first_kernel() || !whole ||
	    !second_context(dev))
		return;
	began = now_ns();
	CU(cuDevicePrimaryCtxRelease_v2, dev);
	say_since("release_ns", began);
	say_process("released");
	role_pause();
}

/* ---- limits ---- */
static int64_t left_after_kernel(void)
{
	size_t left = 0, total;

	if (!cuda_occupy(NULL, 1) || CU(cuCtxSynchronize) != CUDA_SUCCESS ||
	    CU(cuMemGetInfo_v2, &left, &total) != CUDA_SUCCESS)
		return -1;
	return (int64_t)left;
}

/* The cost that limits.c computes for a value, compared with the device's loss of free memory. */
static void try_limit(CUlimit limit, const char *name, size_t value, int64_t each)
{
	const int64_t before = left_after_kernel();
	size_t initial;
	int64_t took, reckoned;
	char key[64];

	if (CU(cuCtxGetLimit, &initial, limit) != CUDA_SUCCESS ||
	    CU(cuCtxSetLimit, limit, value) != CUDA_SUCCESS || before < 0)
		return;
	took = before - left_after_kernel();
	reckoned = ((int64_t)value - (int64_t)initial) * each;
	snprintf(key, sizeof(key), "limit_%s_initial", name);
	say_int(key, (int64_t)initial);
	snprintf(key, sizeof(key), "limit_%s_took_bytes", name);
	say_int(key, took);
	verdict(ASSUME_limits_cost, took <= reckoned + SLACK,
		"%s to %zu: took %lld, reckoned %lld MiB", name, value, (long long)took >> 20,
		(long long)reckoned >> 20);
}

static void limits(CUdevice dev)
{
	int sms = 0, threads = 0;
	CUcontext ctx;

	for (int i = 0; i < CU_LIMIT_MAX; i++) {
		size_t value;
		char key[32];

		if (!i && !cuda_context(&dev, &ctx))
			return;
		if (CU(cuCtxGetLimit, &value, (CUlimit)i) != CUDA_SUCCESS)
			continue;
		snprintf(key, sizeof(key), "limit_%d", i);
		say_int(key, (int64_t)value);
	}
	CU(cuDeviceGetAttribute, &sms, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, dev);
	CU(cuDeviceGetAttribute, &threads, CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR, dev);
	/* The last two can be set while no kernel has used them. */
	try_limit(CU_LIMIT_STACK_SIZE, "stack", STACK, (int64_t)sms * threads);
	try_limit(CU_LIMIT_MALLOC_HEAP_SIZE, "heap", HEAP, 1);
	try_limit(CU_LIMIT_PRINTF_FIFO_SIZE, "printf", PRINTF, 1);
}

/* ---- flags ---- */
static void say_flags(const char *what, unsigned int asked)
{
	unsigned int is = 0;
	char key[64];

	if (CU(cuCtxGetFlags, &is) != CUDA_SUCCESS)
		return;
	snprintf(key, sizeof(key), "flags_%s_%u", what, asked);
	say_int(key, is);
}

static void flags(CUdevice dev)
{
	static const unsigned int all[] = {CU_CTX_SCHED_AUTO,
					   CU_CTX_SCHED_SPIN,
					   CU_CTX_SCHED_YIELD,
					   CU_CTX_SCHED_BLOCKING_SYNC,
					   CU_CTX_SCHED_BLOCKING_SYNC | CU_CTX_MAP_HOST,
					   CU_CTX_SCHED_BLOCKING_SYNC | CU_CTX_LMEM_RESIZE_TO_MAX};
	unsigned int is = 0;
	CUcontext ctx;
	CUresult r;
	int active;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		/* Refused where the flag is none of a primary context's. */
		if (CU(cuDevicePrimaryCtxSetFlags_v2, dev, all[i]) == CUDA_SUCCESS) {
			if (CU(cuDevicePrimaryCtxRetain, &ctx, dev) != CUDA_SUCCESS)
				return;
			CU(cuCtxSetCurrent, ctx);
			say_flags("primary", all[i]);
			CU(cuDevicePrimaryCtxRelease_v2, dev);
		}
		if (CU(cuCtxCreate_v2, &ctx, all[i], dev) != CUDA_SUCCESS)
			continue;
		say_flags("created", all[i]);
		CU(cuCtxDestroy_v2, ctx);
	}
	if (CU(cuDevicePrimaryCtxRetain, &ctx, dev) != CUDA_SUCCESS)
		return;
	r = CU(cuDevicePrimaryCtxSetFlags_v2, dev, CU_CTX_SCHED_SPIN);
	CU(cuDevicePrimaryCtxGetState, dev, &is, &active);
	say_int("flags_when_active_result", (int64_t)r);
	verdict(ASSUME_flags_fixed, r == CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE || is != all[1],
		"result %d, then the flags are %u", (int)r, is);
	CU(cuCtxSetCurrent, ctx);
	/* Newer: of the current context. */
	say_int("flags_set_result", (int64_t)CU(cuCtxSetFlags, CU_CTX_SCHED_YIELD));
	say_flags("set", CU_CTX_SCHED_YIELD);
}

/* ---- memory, until it is killed ---- */
static void holder(CUdevice dev)
{
	CUdeviceptr at;
	size_t total;
	CUcontext ctx;

	if (!cuda_context(&dev, &ctx) || CU(cuDeviceTotalMem_v2, &total, dev) != CUDA_SUCCESS ||
	    CU(cuMemAlloc_v2, &at, HELD < total / 8 ? HELD : total / 8) != CUDA_SUCCESS)
		return;
	role_pause();
}

void context_role(const char *role)
{
	CUdevice dev;

	if (!cuda_device(&dev))
		return;
	if (!strcmp(role, "limits"))
		limits(dev);
	else if (!strcmp(role, "flags"))
		flags(dev);
	else if (!strcmp(role, "holder"))
		holder(dev);
	else
		contexts(dev, !strcmp(role, "whole"));
}
