// SPDX-License-Identifier: MIT
/* Libraries that the program loads itself, from PTX in its own text. */
#include "test.h"

static const char ptx[] = R"(
.version 6.4
.target sm_70
.address_size 64
.visible .global .u32 scale = 7;
.visible .entry times(.param .u64 p)
{
	.reg .u32 %r<5>;
	.reg .u64 %d<4>;
	ld.param.u64 %d1, [p];
	cvta.to.global.u64 %d1, %d1;
	mov.u32 %r1, %tid.x;
	ld.global.u32 %r2, [scale];
	mul.lo.u32 %r3, %r1, %r2;
	mul.wide.u32 %d2, %r1, 4;
	add.u64 %d3, %d1, %d2;
	st.global.u32 [%d3], %r3;
	ret;
}
)";

int main()
{
	both<int> out(32);
	cudaLibrary_t library;
	cudaKernel_t kernel;
	void *args[] = {&out.dev}, *scale;
	size_t bytes;
	int want[32], nine = 9;

	RT(cudaLibraryLoadData(&library, ptx, NULL, NULL, 0, NULL, NULL, 0));
	RT(cudaLibraryGetKernel(&kernel, library, "times"));
	WANT(cudaErrorSymbolNotFound, cudaLibraryGetKernel(&kernel, library, "no such kernel"));
	RT(cudaLibraryGetGlobal(&scale, &bytes, library, "scale"));
	CHECK(bytes == 4, "%zu bytes", bytes);
	cudaGetLastError();
	for (int factor = 7;; factor = nine) {
		RT(cudaLaunchKernel(kernel, 1, 32, args, 0, 0));
		for (int i = 0; i < 32; i++)
			want[i] = i * factor;
		out.same(want, "products");
		if (factor == nine)
			break;
		RT(cudaMemcpy(scale, &nine, 4, cudaMemcpyHostToDevice));
	}
	RT(cudaLibraryUnload(library));
	WANT(cudaErrorInvalidDeviceFunction, cudaLaunchKernel(kernel, 1, 32, args, 0, 0));
	WANT(cudaErrorInvalidKernelImage,
	     cudaLibraryLoadData(&library, "neither PTX nor anything else", NULL, NULL, 0, NULL, NULL, 0));
	cudaGetLastError();
	printf("a library's kernel and variable are right\n");
	return 0;
}
