/* SPDX-License-Identifier: MIT */
/* Eight threads on one context: streams, memory, modules and launches of their own, at the same
 * time. */
#include <pthread.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { THREADS = 8 };

static CUcontext ctx;
static CUmodule shared_module;
static CUdeviceptr shared_words; /* one a thread */
static size_t rounds;
static pthread_barrier_t barrier;

static void one_round(uint32_t id, uint32_t round, CUstream s, CUmodule module)
{
	uint32_t n = 2000 + 37 * id, seed = id * 1000 + round, mul = 3, add = id, wrong = 0;
	uint32_t *words = host_alloc(n * 4);
	CUdeviceptr p = device_alloc(n * 4), dwrong = device_alloc(4);
	CUevent event;

	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CU(cuMemsetD32Async(dwrong, 0, 1, s));
	LAUNCH(function(module, "fill"), 2, 128, 0, s, &p, &n, &seed);
	LAUNCH(function(module, "verify"), 2, 128, 0, s, &p, &n, &seed, &dwrong);
	LAUNCH(function(shared_module, "affine"), 2, 128, 0, s, &p, &n, &mul, &add);
	CU(cuEventRecord(event, s));
	CU(cuMemcpyDtoHAsync(words, p, n * 4, s));
	CU(cuEventSynchronize(event));
	CU(cuStreamSynchronize(s));
	download(&wrong, dwrong, 4);
	CHECK(!wrong, "thread %u: %u words were not what was written", id, wrong);
	for (uint32_t i = 0; i < n; i++)
		CHECK(words[i] == fill_value(seed, i) * mul + add, "thread %u, round %u, word %u",
		      id, round, i);
	CU(cuEventDestroy(event));
	CU(cuMemFree(p));
	CU(cuMemFree(dwrong));
	free(words);
}

static void *work(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg, one = 1;
	CUdeviceptr mine = shared_words + 4 * id;
	CUcontext current;
	CUmodule module;
	CUstream s;

	WANT(CUDA_SUCCESS, cuCtxGetCurrent(&current));
	CHECK(!current, "a new thread has a context");
	WANT(CUDA_ERROR_INVALID_CONTEXT, cuStreamCreate(&s, 0));
	CU(cuCtxSetCurrent(ctx));
	pthread_barrier_wait(&barrier);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	module = load(ptx_vector);
	for (uint32_t round = 0; round < rounds; round++) {
		one_round(id, round, s, module);
		LAUNCH(function(shared_module, "increment"), 1, 32, 0, s, &mine, &one);
	}
	CU(cuStreamSynchronize(s));
	CU(cuModuleUnload(module));
	CU(cuStreamDestroy(s));
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread[THREADS];
	uint32_t words[THREADS];

	rounds = argument(argc, argv, 1, 6);
	start();
	CU(cuCtxGetCurrent(&ctx));
	shared_module = load(ptx_vector);
	shared_words = device_alloc(sizeof(words));
	CU(cuMemsetD32(shared_words, 0, THREADS));
	CU(cuCtxSynchronize());
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, work, (void *)i), "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	download(words, shared_words, sizeof(words));
	for (int i = 0; i < THREADS; i++)
		CHECK(words[i] == rounds, "thread %d counted %u rounds", i, words[i]);
	printf("%d threads, %zu rounds each: all right\n", THREADS, rounds);
	CU(cuMemFree(shared_words));
	CU(cuModuleUnload(shared_module));
	pthread_barrier_destroy(&barrier);
	finish();
	return 0;
}
