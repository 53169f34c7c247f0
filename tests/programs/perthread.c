/* SPDX-License-Identifier: MIT */
/* Built for per-thread default streams: stream 0 is the thread's own and overlaps with other
 * threads'. */
#define CUDA_API_PER_THREAD_DEFAULT_STREAM
#include <pthread.h>

#include "tests/programs/common.h"

PTX(ptx_sync);
PTX(ptx_vector);

enum { THREADS = 4 };

static CUcontext ctx;
static CUfunction delay, affine;
static pthread_barrier_t barrier;

static void launch_delay(CUstream stream, uint64_t ms)
{
	uint64_t ns = ms * 1000000, word = 0;
	uint32_t value = 0;

	LAUNCH(delay, 1, 1, 0, stream, &ns, &word, &value);
}

/* Order within the thread's stream, over calls with and without a stream argument. */
static void *work(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg, n = 500, mul = 5, words[500];
	CUdeviceptr p;

	CU(cuCtxSetCurrent(ctx));
	p = device_alloc(sizeof(words));
	pthread_barrier_wait(&barrier);
	launch_delay(NULL, 20);
	CU(cuMemsetD32(p, id, n));
	for (uint32_t i = 0; i < 10; i++)
		LAUNCH(affine, 2, 64, 0, i & 1 ? CU_STREAM_PER_THREAD : NULL, &p, &n, &mul, &id);
	CU(cuMemcpyDtoH(words, p, sizeof(words)));
	for (uint32_t i = 0; i < n; i++) {
		uint32_t want = id;

		for (int k = 0; k < 10; k++)
			want = want * mul + id;
		CHECK(words[i] == want, "thread %u, word %u is %u, not %u", id, i, words[i], want);
	}
	CU(cuMemFree(p));
	return NULL;
}

/* The per-thread stream does not wait for a non-blocking stream; the legacy stream waits for it. */
static void check_rules(void)
{
	CUdeviceptr p = device_alloc(8);
	uint32_t value = 1, got = 0;
	uint64_t ns = 30000000;
	unsigned long long id[2];
	struct gate other_gate, own_gate;
	CUstream other;

	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	gate_close(&other_gate, other);
	CU(cuMemsetD32(p, 0, 2));
	CU(cuStreamSynchronize(NULL));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(other));
	gate_open(&other_gate);
	gate_close(&own_gate, CU_STREAM_PER_THREAD);
	LAUNCH(delay, 1, 1, 0, NULL, &ns, &p, &value);
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(NULL));
	gate_open(&own_gate);
	CU(cuMemcpyDtoDAsync(p + 4, p, 4, CU_STREAM_LEGACY));
	CU(cuStreamSynchronize(CU_STREAM_LEGACY));
	download(&got, p + 4, 4);
	CHECK(got == 1, "the legacy stream did not wait for the thread's");
	CU(cuStreamGetId(NULL, &id[0]));
	CU(cuStreamGetId(CU_STREAM_PER_THREAD, &id[1]));
	CHECK(id[0] == id[1], "stream 0 is not the thread's own");
	CU(cuStreamDestroy(other));
	CU(cuMemFree(p));
}

int main(void)
{
	pthread_t thread[THREADS];
	CUmodule sync, vector;

	start();
	CU(cuCtxGetCurrent(&ctx));
	sync = load(ptx_sync);
	vector = load(ptx_vector);
	delay = function(sync, "delay");
	affine = function(vector, "affine");
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, work, (void *)i), "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d threads with default streams of their own: all right\n", THREADS);
	check_rules();
	printf("per-thread, legacy and free streams: all right\n");
	pthread_barrier_destroy(&barrier);
	finish();
	return 0;
}
