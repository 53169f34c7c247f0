/* SPDX-License-Identifier: MIT */
/*
 * hang [delay MS N]: N kernels that occupy the GPU for MS milliseconds each, and their results.
 * hang endless: a kernel that never ends; prints the error, which must be sticky.
 * hang word: a stream waits for a word that nobody writes; the same.
 * hang loop: a graph whose loop never ends, of kernels that do; the same.
 * hang wild: a kernel that writes to an unmapped address; the same.
 * hang idle: a kernel that is not waited for; stops itself, and looks when it is continued.
 * hang wait: the same, behind a host function that does not return before it is continued.
 * hang ask: are queries that need no GPU answered, while five kernels wait for the first to end?
 * hang until N: N times a kernel that ends by a memset in another stream, which comes 100 ms later.
 * hang function N: N times work, of two streams, behind a host function that returns when a memset
 * of a third one has ended; every second one comes 100 ms later. A kernel of up to 30 ms is before
 * it. hang returned N: the same, but the functions wait for 100 ms only.
 * hang refused: prints the result of cuInit.
 */
#include <signal.h>
#include <time.h>

#include "tests/programs/common.h"

PTX(ptx_fault);
PTX(ptx_sync);

static int delay(uint64_t ms, size_t n)
{
	uint64_t ns = ms * 1000000;
	CUfunction kernel;
	CUdeviceptr word;
	uint32_t value;

	start();
	kernel = function(load(ptx_sync), "delay");
	word = device_alloc(sizeof(value));
	for (uint32_t i = 1; i <= n; i++) {
		LAUNCH(kernel, 1, 1, 0, NULL, &ns, &word, &i);
		download(&value, word, sizeof(value));
		CHECK(value == i, "kernel %u left %u", i, value);
	}
	CU(cuMemFree(word));
	finish();
	printf("%zu kernels are right\n", n);
	return 0;
}

/* The context is lost, or the session: every later call returns the same error. */
static int spoil(const char *name)
{
	uint32_t value = 1;
	CUfunction kernel;
	CUdeviceptr word, more;
	CUresult r;

	start();
	kernel = function(load(ptx_fault), name);
	word = device_alloc(sizeof(value));
	CU(cuMemsetD32(word, 0, 1));
	if (strcmp(name, "endless") != 0)
		word = 0;
	LAUNCH(kernel, 1, 1, 0, NULL, &word, &value);
	puts("running");
	r = cuCtxSynchronize();
	CHECK(r, "a kernel that cannot succeed did");
	WANT(r, cuCtxSynchronize());
	WANT(r, cuMemAlloc(&more, 4096));
	WANT(r, cuLaunchKernel(kernel, 1, 1, 1, 1, 1, 1, 0, NULL, (void *[]){&word, &value}, NULL));
	printf("%s\n", result_name(r));
	return 0;
}

static int word(void)
{
	CUdeviceptr at, more;
	CUresult r;

	start();
	at = device_alloc(sizeof(uint32_t));
	CU(cuMemsetD32(at, 0, 1));
	CU(cuStreamWaitValue32(NULL, at, 1, CU_STREAM_WAIT_VALUE_EQ));
	puts("running");
	r = cuCtxSynchronize();
	CHECK(r, "a word that nobody writes has come");
	WANT(r, cuCtxSynchronize());
	WANT(r, cuMemAlloc(&more, 4096));
	printf("%s\n", result_name(r));
	return 0;
}

static int loop(void)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
			       .conditional = {.type = CU_GRAPH_COND_TYPE_WHILE, .size = 1}};
	CUDA_KERNEL_NODE_PARAMS kernel = {.gridDimX = 1,
					  .gridDimY = 1,
					  .gridDimZ = 1,
					  .blockDimX = 1,
					  .blockDimY = 1,
					  .blockDimZ = 1};
	uint64_t ns = 20000000;
	CUdeviceptr more, none = 0;
	uint32_t value = 0;
	CUgraphExec exec;
	CUgraphNode n;
	CUgraph g;
	CUresult r;

	start();
	kernel.func = function(load(ptx_sync), "delay");
	kernel.kernelParams = (void *[]){&ns, &none, &value};
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphConditionalHandleCreate(&p.conditional.handle, g, NULL, 1,
					  CU_GRAPH_COND_ASSIGN_DEFAULT));
	CU(cuGraphAddNode(&n, g, NULL, NULL, 0, &p));
	CU(cuGraphAddKernelNode(&n, p.conditional.phGraph_out[0], NULL, 0, &kernel));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphLaunch(exec, NULL));
	puts("running");
	r = cuCtxSynchronize();
	CHECK(r, "a loop that never ends has ended");
	WANT(r, cuCtxSynchronize());
	WANT(r, cuMemAlloc(&more, 4096));
	printf("%s\n", result_name(r));
	return 0;
}

static int idle(bool wait)
{
	struct gate gate;
	CUfunction kernel;

	start();
	kernel = function(load(ptx_fault), "nothing");
	if (wait)
		gate_close(&gate, NULL);
	LAUNCH(kernel, 1, 1, 0, NULL, NULL);
	raise(SIGSTOP);
	if (wait)
		gate_open(&gate);
	finish();
	puts("nothing has happened");
	return 0;
}

static int ask(void)
{
	size_t some, all;
	uint32_t value = 1;
	CUdeviceptr word, more;
	CUfunction kernel;
	CUevent event;

	start();
	kernel = function(load(ptx_fault), "endless");
	word = device_alloc(sizeof(value));
	CU(cuMemsetD32(word, 0, 1));
	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (int i = 0; i < 5; i++)
		LAUNCH(kernel, 1, 1, 0, NULL, &word, &value);
	CU(cuEventRecord(event, NULL));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
	WANT(CUDA_ERROR_NOT_READY, cuEventQuery(event));
	CU(cuMemAlloc(&more, 4096));
	CU(cuMemGetInfo(&some, &all));
	CHECK(some < all, "%zu of %zu bytes are free", some, all);
	puts("answered");
	return 0;
}

static int until(size_t n)
{
	const struct timespec later = {.tv_nsec = 100000000};
	CUfunction kernel;
	CUdeviceptr stop;
	CUstream a, b;

	start();
	kernel = function(load(ptx_fault), "endless");
	stop = device_alloc(sizeof(uint32_t));
	CU(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	for (size_t i = 0; i < n; i++) {
		CU(cuMemsetD32Async(stop, 0, 1, b));
		CU(cuStreamSynchronize(b));
		LAUNCH(kernel, 1, 1, 0, a, &stop);
		nanosleep(&later, NULL);
		CU(cuMemsetD32Async(stop, 1, 1, b));
		CU(cuStreamSynchronize(a));
	}
	CU(cuMemFree(stop));
	finish();
	printf("%zu kernels were stopped\n", n);
	return 0;
}

static int held(size_t n, bool by_memset)
{
	const struct timespec later = {.tv_nsec = 100000000};
	struct gate gate;
	CUfunction kernel, delay;
	CUdeviceptr word;
	CUstream a, b, c;
	CUevent event;

	start();
	kernel = function(load(ptx_fault), "nothing");
	delay = function(load(ptx_sync), "delay");
	word = device_alloc(sizeof(uint32_t));
	CU(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&c, CU_STREAM_NON_BLOCKING));
	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	for (uint32_t i = 0; i < n; i++) {
		uint64_t ns = i % 4 * 10000000;

		LAUNCH(delay, 1, 1, 0, a, &ns, &word, &i);
		gate_close(&gate, a);
		LAUNCH(kernel, 1, 1, 0, a, NULL);
		CU(cuEventRecord(event, a));
		CU(cuStreamWaitEvent(c, event, 0));
		LAUNCH(kernel, 1, 1, 0, c, NULL);
		if (i % 2 || !by_memset)
			nanosleep(&later, NULL);
		if (by_memset) {
			CU(cuMemsetD32Async(word, 1, 1, b));
			CU(cuStreamSynchronize(b));
		}
		gate_open(&gate);
		CU(cuStreamSynchronize(c));
	}
	CU(cuMemFree(word));
	finish();
	printf("%zu functions have returned\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "delay";

	if (!strcmp(what, "endless"))
		return spoil("endless");
	if (!strcmp(what, "loop"))
		return loop();
	if (!strcmp(what, "word"))
		return word();
	if (!strcmp(what, "wild"))
		return spoil("write_word");
	if (!strcmp(what, "idle") || !strcmp(what, "wait"))
		return idle(!strcmp(what, "wait"));
	if (!strcmp(what, "ask"))
		return ask();
	if (!strcmp(what, "until"))
		return until(argument(argc, argv, 2, 1));
	if (!strcmp(what, "function") || !strcmp(what, "returned"))
		return held(argument(argc, argv, 2, 1), !strcmp(what, "function"));
	if (!strcmp(what, "refused")) {
		printf("%s\n", result_name(cuInit(0)));
		return 0;
	}
	return delay(argument(argc, argv, 2, 1), argument(argc, argv, 3, 3));
}
