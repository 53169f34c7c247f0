/* SPDX-License-Identifier: MIT */
/*
 * The canary: after a session had to be ended for its work, a worker without a session runs this
 * kernel, and the GPU is trusted again when the result is right. It uses what any application
 * needs: loading code, several blocks, shared memory, a barrier, arithmetic, global memory and a
 * copy.
 */
#include "xen-pvgpu-back/worker/canary.h"

#include <inttypes.h>
#include <stdio.h>

#define BLOCKS  4u
#define THREADS 64u
#define WORDS   (BLOCKS * THREADS)
#define FACTOR  2654435761u

/*
 * v(g) = g * FACTOR + seed; each thread puts its own into shared memory and takes its neighbour's:
 * canary_out[g] = (v(neighbour) ^ g << 7) + v(g) * g.
 */
static const char ptx[] = ".version 6.0\n"
			  ".target sm_50\n"
			  ".address_size 64\n"
			  ".visible .global .align 4 .b8 canary_out[1024];\n"
			  ".visible .entry canary(.param .u32 pseed)\n"
			  "{\n"
			  "	.reg .b32 %r<18>;\n"
			  "	.reg .b64 %rd<8>;\n"
			  "	.shared .align 4 .b8 room[256];\n"
			  "	ld.param.u32 %r1, [pseed];\n"
			  "	mov.u32 %r2, %ctaid.x;\n"
			  "	mov.u32 %r3, %ntid.x;\n"
			  "	mov.u32 %r4, %tid.x;\n"
			  "	mad.lo.s32 %r5, %r2, %r3, %r4;\n"
			  "	mul.lo.s32 %r6, %r5, -1640531535;\n"
			  "	add.s32 %r7, %r6, %r1;\n"
			  "	mov.u64 %rd1, room;\n"
			  "	mul.wide.u32 %rd2, %r4, 4;\n"
			  "	add.s64 %rd3, %rd1, %rd2;\n"
			  "	st.shared.u32 [%rd3], %r7;\n"
			  "	bar.sync 0;\n"
			  "	add.s32 %r8, %r4, 1;\n"
			  "	and.b32 %r9, %r8, 63;\n"
			  "	mul.wide.u32 %rd4, %r9, 4;\n"
			  "	add.s64 %rd5, %rd1, %rd4;\n"
			  "	ld.shared.u32 %r10, [%rd5];\n"
			  "	shl.b32 %r11, %r5, 7;\n"
			  "	xor.b32 %r12, %r10, %r11;\n"
			  "	mul.lo.s32 %r13, %r7, %r5;\n"
			  "	add.s32 %r14, %r12, %r13;\n"
			  "	mov.u64 %rd6, canary_out;\n"
			  "	mul.wide.u32 %rd7, %r5, 4;\n"
			  "	add.s64 %rd6, %rd6, %rd7;\n"
			  "	st.global.u32 [%rd6], %r14;\n"
			  "	ret;\n"
			  "}\n";

static uint32_t own(uint32_t g, uint32_t seed)
{
	return g * FACTOR + seed;
}

static uint32_t expected(uint32_t g, uint32_t seed)
{
	uint32_t block = g / THREADS * THREADS;

	return (own(block + (g + 1) % THREADS, seed) ^ g << 7) + own(g, seed) * g;
}

static int failed(const char *call, CUresult r, char *reason, size_t cap)
{
	snprintf(reason, cap, "%s gives CUresult %d", call, (int)r);
	return (int)r;
}

#define TRY(call, ...)                                                                             \
	do {                                                                                       \
		CUresult r_ = far->call(__VA_ARGS__);                                              \
		if (r_)                                                                            \
			return failed(#call, r_, reason, cap);                                     \
	} while (0)

static int run(const struct far *far, uint32_t seed, uint32_t out[WORDS], char *reason, size_t cap)
{
	void *params[] = {&seed};
	CUcontext ctx;
	CUmodule module;
	CUfunction kernel;
	CUdeviceptr at;
	size_t size;

	TRY(cuCtxCreate_v2, &ctx, CU_CTX_SCHED_BLOCKING_SYNC, far->dev);
	TRY(cuModuleLoadDataEx, &module, ptx, 0, NULL, NULL);
	TRY(cuModuleGetFunction, &kernel, module, "canary");
	TRY(cuModuleGetGlobal_v2, &at, &size, module, "canary_out");
	TRY(cuMemsetD32Async, at, ~seed, WORDS, NULL);
	TRY(cuLaunchKernel, kernel, BLOCKS, 1, 1, THREADS, 1, 1, 0, NULL, params, NULL);
	TRY(cuCtxSynchronize);
	TRY(cuMemcpyDtoHAsync_v2, out, at, WORDS * sizeof(out[0]), NULL);
	TRY(cuCtxSynchronize);
	return 0;
}

int canary_run(const struct far *far, uint32_t seed, char *reason, size_t cap)
{
	uint32_t out[WORDS] = {0};
	int r = run(far, seed, out, reason, cap);

	for (uint32_t g = 0; !r && g < WORDS; g++) {
		if (out[g] == expected(g, seed))
			continue;
		snprintf(reason, cap, "word %" PRIu32 " is %#" PRIx32 ", not %#" PRIx32, g, out[g],
			 expected(g, seed));
		r = CANARY_WRONG;
	}
	return r;
}
