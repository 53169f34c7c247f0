/* SPDX-License-Identifier: MIT */
/*
 * Threads that capture beside threads that allocate, free and run out of memory, and one whose
 * stream is never captured: none sees anything of the others.
 *
 *   captures [ROUNDS]
 */
#include "tests/programs/common.h"

#include <pthread.h>
#include <stdatomic.h>

PTX(ptx_vector);

enum { WORDS = 4096, BYTES = WORDS * 4, NODES = 8, PIECES_MAX = 4096, PIECE = 8 << 20 };

static CUcontext ctx;
static CUfunction fill;
static size_t rounds;
static atomic_bool over;
static pthread_barrier_t begin; /* all have what they need of memory */

static void launch(CUstream s, CUdeviceptr p, uint32_t seed)
{
	uint32_t n = WORDS;

	LAUNCH(fill, WORDS / 256, 256, 0, s, &p, &n, &seed);
}

static CUstream enter(void)
{
	CUstream s;

	CU(cuCtxSetCurrent(ctx));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	return s;
}

static void *capture(void *arg)
{
	const CUstreamCaptureMode mode = *(const CUstreamCaptureMode *)arg;
	CUstream s = enter();
	CUdeviceptr p;

	CU(cuMemAlloc(&p, BYTES));
	pthread_barrier_wait(&begin);
	for (uint32_t round = 0; round < rounds; round++) {
		CUgraphExec exec;
		CUgraph g;
		size_t n;

		CU(cuStreamBeginCapture(s, mode));
		for (uint32_t i = 0; i < NODES; i++)
			launch(s, p, round + i);
		CU(cuStreamEndCapture(s, &g));
		CU(cuGraphGetNodes(g, NULL, &n));
		CHECK(n == NODES, "%zu nodes in round %u", n, round);
		CU(cuGraphInstantiate(&exec, g, 0));
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_filled(p, WORDS, round + NODES - 1, "a captured kernel");
		CU(cuGraphExecDestroy(exec));
		CU(cuGraphDestroy(g));
	}
	CU(cuMemFree(p));
	CU(cuStreamDestroy(s));
	return NULL;
}

/* A loader of data: it has memory of each kind, uses it, and gives it back. */
static void *load_data(void *arg)
{
	void *own = host_alloc(BYTES), *pinned;
	CUstream s = enter();
	CUdeviceptr p;
	int has_managed;

	CU(cuDeviceGetAttribute(&has_managed, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
	CU(cuMemAlloc(&p, BYTES));
	pthread_barrier_wait(&begin);
	while (!atomic_load(&over)) {
		CUdeviceptr managed = 0;

		CU(cuMemHostAlloc(&pinned, BYTES, 0));
		if (has_managed)
			CU(cuMemAllocManaged(&managed, BYTES, CU_MEM_ATTACH_GLOBAL));
		CU(cuMemHostRegister(own, BYTES, 0));
		launch(s, p, 3);
		if (has_managed)
			launch(s, managed, 5);
		CU(cuMemcpyDtoHAsync(pinned, p, BYTES, s));
		CU(cuMemcpyDtoHAsync(own, p, BYTES, s));
		CU(cuMemHostUnregister(own));
		CU(cuMemFreeHost(pinned));
		if (has_managed)
			CU(cuMemFree(managed));
	}
	free(own);
	CU(cuMemFree(p));
	CU(cuStreamDestroy(s));
	return NULL;
}

/* Allocates, of pools and otherwise, until no memory is left. */
static void *run_out(void *arg)
{
	static CUdeviceptr piece[PIECES_MAX];
	CUstream s = enter();

	pthread_barrier_wait(&begin);
	while (!atomic_load(&over)) {
		size_t n = 0;

		while (n < PIECES_MAX && !(n % 2 ? cuMemAlloc(&piece[n], PIECE)
						 : cuMemAllocAsync(&piece[n], PIECE, s)))
			n++;
		CHECK(n && n < PIECES_MAX, "%zu pieces", n);
		while (n--)
			CU(n % 2 ? cuMemFree(piece[n]) : cuMemFreeAsync(piece[n], s));
	}
	CU(cuStreamSynchronize(s));
	CU(cuStreamDestroy(s));
	return NULL;
}

static void *stand_by(void *arg)
{
	CUstream s = enter();
	CUdeviceptr p;
	CUevent e;

	CU(cuMemAlloc(&p, BYTES));
	CU(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	pthread_barrier_wait(&begin);
	for (uint32_t i = 0; !atomic_load(&over); i++) {
		CUresult r;

		launch(s, p, i);
		CU(cuEventRecord(e, s));
		r = cuStreamQuery(s);
		CHECK(!r || r == CUDA_ERROR_NOT_READY, "a query: %s", result_name(r));
		CU(i % 2 ? cuStreamSynchronize(s) : cuEventSynchronize(e));
	}
	CU(cuStreamSynchronize(s));
	CU(cuEventDestroy(e));
	CU(cuMemFree(p));
	CU(cuStreamDestroy(s));
	return NULL;
}

/*
 * A fork into three streams and their join. Their earlier work, and the legacy stream's, is not
 * part of it; nor does it matter that all but the first may be blocking ones while the first is
 * captured.
 */
static void fork_and_join(const CUstream s[3], CUdeviceptr p, uint32_t seed,
			  CUstreamCaptureMode mode)
{
	CUevent fork, join[2];
	CUgraphExec exec;
	CUgraph g;
	size_t n;

	CU(cuEventCreate(&fork, CU_EVENT_DISABLE_TIMING));
	for (int i = 0; i < 2; i++)
		CU(cuEventCreate(&join[i], CU_EVENT_DISABLE_TIMING));
	for (uint32_t i = 0; i < 3; i++)
		launch(s[i], p + i * BYTES, seed + 7);
	CU(cuStreamBeginCapture(s[0], mode));
	CU(cuEventRecord(fork, s[0]));
	for (uint32_t i = 1; i < 3; i++) {
		CU(cuStreamWaitEvent(s[i], fork, 0));
		launch(s[i], p + i * BYTES, seed + i);
		CU(cuEventRecord(join[i - 1], s[i]));
	}
	launch(s[0], p, seed);
	for (uint32_t i = 0; i < 2; i++)
		CU(cuStreamWaitEvent(s[0], join[i], 0));
	CU(cuStreamEndCapture(s[0], &g));
	CU(cuGraphGetNodes(g, NULL, &n));
	CHECK(n == 3, "%zu nodes of a fork", n);
	for (int i = 1; i < 3; i++)
		CU(cuStreamSynchronize(s[i]));
	CU(cuGraphInstantiate(&exec, g, 0));
	CU(cuGraphLaunch(exec, s[0]));
	CU(cuStreamSynchronize(s[0]));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuEventDestroy(fork));
	for (int i = 0; i < 2; i++)
		CU(cuEventDestroy(join[i]));
}

/* In blocking streams, while another thread does the same, but for the legacy stream, which nobody
 * may use then. */
static void *fork_beside(void *arg)
{
	CUstream s[3];
	CUdeviceptr p;

	CU(cuCtxSetCurrent(ctx));
	CU(cuMemAlloc(&p, 3 * BYTES));
	for (int i = 0; i < 3; i++)
		CU(cuStreamCreate(&s[i], CU_STREAM_DEFAULT));
	pthread_barrier_wait(&begin);
	for (uint32_t round = 0; round < rounds; round++)
		fork_and_join(s, p, round, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
	pthread_barrier_wait(&begin);
	for (uint32_t i = 0; i < 3; i++) {
		check_filled(p + i * BYTES, WORDS, (uint32_t)rounds - 1 + i, "a forked kernel");
		CU(cuStreamDestroy(s[i]));
	}
	CU(cuMemFree(p));
	return NULL;
}

static void check_blocking(void)
{
	static const unsigned int flags[][3] = {
		{CU_STREAM_DEFAULT, CU_STREAM_DEFAULT, CU_STREAM_DEFAULT},
		{CU_STREAM_DEFAULT, CU_STREAM_NON_BLOCKING, CU_STREAM_DEFAULT},
		{CU_STREAM_NON_BLOCKING, CU_STREAM_DEFAULT, CU_STREAM_DEFAULT},
	};
	CUdeviceptr p = device_alloc(3 * BYTES);
	pthread_t thread[2];
	CUstream s[3];

	for (uint32_t k = 0; k < 3; k++) {
		for (int i = 0; i < 3; i++)
			CU(cuStreamCreate(&s[i], flags[k][i]));
		CU(cuMemsetD8Async(p, 1, BYTES, NULL));
		fork_and_join(s, p, k, CU_STREAM_CAPTURE_MODE_GLOBAL);
		for (uint32_t i = 0; i < 3; i++) {
			check_filled(p + i * BYTES, WORDS, k + i, "a forked kernel");
			CU(cuStreamDestroy(s[i]));
		}
	}
	CU(cuMemFree(p));
	CHECK(!pthread_barrier_init(&begin, NULL, 2), "no barrier");
	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&thread[i], NULL, fork_beside, NULL), "no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	printf("blocking streams fork and join\n");
}

int main(int argc, char **argv)
{
	static CUstreamCaptureMode relaxed = CU_STREAM_CAPTURE_MODE_RELAXED,
				   local = CU_STREAM_CAPTURE_MODE_THREAD_LOCAL;
	pthread_t capturer[2], other[3];

	rounds = argument(argc, argv, 1, 20);
	start();
	CU(cuCtxGetCurrent(&ctx));
	fill = function(load(ptx_vector), "fill");
	CHECK(!pthread_barrier_init(&begin, NULL, 5), "no barrier");
	CHECK(!pthread_create(&capturer[0], NULL, capture, &relaxed), "no thread");
	CHECK(!pthread_create(&capturer[1], NULL, capture, &local), "no thread");
	CHECK(!pthread_create(&other[0], NULL, load_data, NULL), "no thread");
	CHECK(!pthread_create(&other[1], NULL, run_out, NULL), "no thread");
	CHECK(!pthread_create(&other[2], NULL, stand_by, NULL), "no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(capturer[i], NULL);
	atomic_store(&over, true);
	for (int i = 0; i < 3; i++)
		pthread_join(other[i], NULL);
	printf("captures were alone\n");
	pthread_barrier_destroy(&begin);
	check_blocking();
	finish();
	return 0;
}
