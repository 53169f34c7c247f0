/* SPDX-License-Identifier: MIT */
/* Modules with variables of any size, and what a kernel finds in memory that it has not written. */
#include "tests/gpu/meter/meter.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define HEAD ".version 6.0\n.target sm_50\n.address_size 64\n"

CUresult do_variable(const struct words *w)
{
	CUdeviceptr p = 0;
	size_t size = 0;
	CUmodule m;
	char text[256];

	snprintf(text, sizeof(text),
		 HEAD ".visible .global .align 8 .b8 x[%" PRIu64
		      "];\n.visible .entry k()\n{\n\tret;\n}\n",
		 number(w, 0, 0));
	TRY(cuModuleLoadData(&m, text));
	TRY(cuModuleGetGlobal(&p, &size, m, "x"));
	say_int("address", (int64_t)p);
	say_int("module", (int64_t)(uintptr_t)m);
	return CUDA_SUCCESS;
}

CUresult do_unload(const struct words *w)
{
	TRY(cuModuleUnload((CUmodule)(uintptr_t)number(w, 0, 0)));
	return CUDA_SUCCESS;
}

/* Each thread of a block copies its word of shared memory, and its own local memory, as found. */
static const char ptx_private[] = HEAD ".visible .entry stain(.param .u32 pwhat)\n"
				       "{\n"
				       "	.reg .pred %p<2>;\n"
				       "	.reg .b32 %r<8>;\n"
				       "	.reg .b64 %rd<8>;\n"
				       "	.shared .align 4 .b8 room[16384];\n"
				       "	.local .align 4 .b8 own[1024];\n"
				       "	ld.param.u32 %r1, [pwhat];\n"
				       "	mov.u32 %r2, %tid.x;\n"
				       "	mov.u64 %rd1, room;\n"
				       "	mov.u64 %rd3, own;\n"
				       "	mov.u32 %r3, 0;\n"
				       "again:\n"
				       "	mad.lo.u32 %r4, %r3, 64, %r2;\n"
				       "	mul.wide.u32 %rd2, %r4, 4;\n"
				       "	add.u64 %rd2, %rd1, %rd2;\n"
				       "	st.shared.u32 [%rd2], %r1;\n"
				       "	mul.wide.u32 %rd4, %r3, 4;\n"
				       "	add.u64 %rd4, %rd3, %rd4;\n"
				       "	st.local.u32 [%rd4], %r1;\n"
				       "	add.u32 %r3, %r3, 1;\n"
				       "	setp.lt.u32 %p1, %r3, 64;\n"
				       "	@%p1 bra again;\n"
				       "	ret;\n"
				       "}\n"
				       ".visible .entry look(.param .u64 pout)\n"
				       "{\n"
				       "	.reg .pred %p<2>;\n"
				       "	.reg .b32 %r<8>;\n"
				       "	.reg .b64 %rd<8>;\n"
				       "	.shared .align 4 .b8 room[16384];\n"
				       "	.local .align 4 .b8 own[1024];\n"
				       "	ld.param.u64 %rd5, [pout];\n"
				       "	mov.u32 %r2, %tid.x;\n"
				       "	mov.u32 %r6, %ctaid.x;\n"
				       "	mul.wide.u32 %rd6, %r6, 32768;\n"
				       "	add.u64 %rd5, %rd5, %rd6;\n"
				       "	mov.u64 %rd1, room;\n"
				       "	mov.u64 %rd3, own;\n"
				       "	mov.u32 %r3, 0;\n"
				       "again:\n"
				       "	mad.lo.u32 %r4, %r3, 64, %r2;\n"
				       "	mul.wide.u32 %rd2, %r4, 4;\n"
				       "	add.u64 %rd6, %rd5, %rd2;\n"
				       "	add.u64 %rd2, %rd1, %rd2;\n"
				       "	ld.shared.u32 %r5, [%rd2];\n"
				       "	st.global.u32 [%rd6], %r5;\n"
				       "	mul.wide.u32 %rd4, %r3, 4;\n"
				       "	add.u64 %rd4, %rd3, %rd4;\n"
				       "	ld.local.u32 %r5, [%rd4];\n"
				       "	st.global.u32 [%rd6+16384], %r5;\n"
				       "	add.u32 %r3, %r3, 1;\n"
				       "	setp.lt.u32 %p1, %r3, 64;\n"
				       "	@%p1 bra again;\n"
				       "	ret;\n"
				       "}\n";

#define BLOCKS  64u
#define THREADS 64u
#define ROOM    32768u /* of a block in the result: shared, then local memory */

static CUresult private_kernel(const char *name, CUfunction *f)
{
	static CUmodule module;

	if (!module)
		TRY(cuModuleLoadData(&module, ptx_private));
	TRY(cuModuleGetFunction(f, module, name));
	return CUDA_SUCCESS;
}

CUresult do_stain(const struct words *w)
{
	uint32_t what = (uint32_t)(number(w, 0, 0) & 0xff) * 0x01010101u;
	void *params[] = {&what};
	CUfunction f;

	TRY(private_kernel("stain", &f));
	TRY(cuLaunchKernel(f, BLOCKS, 1, 1, THREADS, 1, 1, 0, NULL, params, NULL));
	TRY(cuCtxSynchronize());
	return CUDA_SUCCESS;
}

CUresult do_look(const struct words *w)
{
	CUdeviceptr out;
	void *params[] = {&out};
	CUfunction f;
	CUresult r;

	TRY(private_kernel("look", &f));
	TRY(cuMemAlloc(&out, BLOCKS * ROOM));
	TRY(cuMemsetD8(out, 0, BLOCKS * ROOM));
	TRY(cuLaunchKernel(f, BLOCKS, 1, 1, THREADS, 1, 1, 0, NULL, params, NULL));
	TRY(cuCtxSynchronize());
	r = scan(out, BLOCKS * ROOM, (unsigned char)number(w, 0, 0));
	cuMemFree(out);
	return r;
}
