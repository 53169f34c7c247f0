/* SPDX-License-Identifier: MIT */
/* A failed assertion in a kernel: its text on standard error, a sticky error in the context. */
#include "tests/programs/common.h"

PTX(ptx_fault);

int main(void)
{
	uint32_t words[40], n = 40;
	CUfunction check_even;
	CUdeviceptr p;

	start();
	check_even = function(load(ptx_fault), "check_even");
	for (uint32_t i = 0; i < n; i++)
		words[i] = 2 * i;
	p = upload(words, sizeof(words));
	LAUNCH(check_even, 2, 32, 0, NULL, &p, &n);
	CU(cuCtxSynchronize());
	puts("nothing to complain about");
	words[37] = 75;
	CU(cuMemcpyHtoD(p, words, sizeof(words)));
	LAUNCH(check_even, 2, 32, 0, NULL, &p, &n);
	WANT(CUDA_ERROR_ASSERT, cuCtxSynchronize());
	puts("the assertion is noticed");
	WANT(CUDA_ERROR_ASSERT, cuCtxSynchronize());
	WANT(CUDA_ERROR_ASSERT, cuMemcpyDtoH(words, p, sizeof(words)));
	WANT(CUDA_ERROR_ASSERT, cuMemFree(p));
	puts("and stays");
	return 0;
}
