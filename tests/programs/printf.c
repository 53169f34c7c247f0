/* SPDX-License-Identifier: MIT */
/* Text that kernels print appears on this program's standard output before a synchronising call
 * returns. */
#include "tests/programs/common.h"

PTX(ptx_fault);

int main(void)
{
	CUmodule module;
	CUstream s;
	CUfunction hello, say;
	CUdeviceptr p;
	size_t fifo;
	uint32_t n;

	start();
	CU(cuCtxGetLimit(&fifo, CU_LIMIT_PRINTF_FIFO_SIZE));
	CHECK(fifo >= 4096, "room for %zu bytes of output", fifo);
	module = load(ptx_fault);
	hello = function(module, "hello");
	say = function(module, "say");
	CU(cuStreamCreate(&s, 0));
	puts("before");
	n = 5;
	LAUNCH(hello, 1, 32, 0, NULL, &n);
	CU(cuCtxSynchronize());
	puts("between");
	fflush(stdout);
	n = 12345;
	LAUNCH(say, 1, 1, 0, s, &n);
	CU(cuStreamSynchronize(s));
	puts("many launches");
	fflush(stdout);
	for (n = 1; n <= 20; n++) {
		uint32_t one = 1;

		LAUNCH(hello, 1, 1, 0, s, &one);
	}
	CU(cuStreamSynchronize(s));
	/* A context synchronises, too, when it ends. */
	p = device_alloc(16);
	CU(cuMemFree(p));
	puts("the end");
	fflush(stdout);
	n = 1;
	LAUNCH(hello, 1, 1, 0, NULL, &n);
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}
