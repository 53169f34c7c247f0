/* SPDX-License-Identifier: MIT */
/*
 * One thread loads code while another one has and frees memory, more of it in all than there is at
 * a time.
 *
 *   meanwhile [BYTES]
 *   meanwhile held [BYTES]    the load never ends (tests/integration/lanes_test.py)
 */
#include <pthread.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { ROUNDS = 6, PIECES = 4 };

static CUcontext ctx;

static void *load_and_run(void *arg)
{
	uint32_t n = 5000, seed = 17;
	CUdeviceptr p;
	CUlibrary library;
	CUkernel kernel;

	CU(cuCtxSetCurrent(ctx));
	CU(cuLibraryLoadData(&library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetKernel(&kernel, library, "fill"));
	p = device_alloc(n * 4);
	LAUNCH((CUfunction)kernel, 4, 128, 0, NULL, &p, &n, &seed);
	check_filled(p, n, seed, "the loaded kernel");
	CU(cuMemFree(p));
	CU(cuLibraryUnload(library));
	return NULL;
}

static size_t free_memory(void)
{
	size_t all, left;

	CU(cuMemGetInfo(&left, &all));
	return left;
}

static void round_of(size_t bytes, uint32_t value)
{
	uint32_t *words = host_alloc(bytes / PIECES);
	CUdeviceptr piece[PIECES];
	CUevent event;

	for (unsigned int i = 0; i < PIECES; i++) {
		CU(cuMemAlloc(&piece[i], bytes / PIECES));
		CU(cuMemsetD32(piece[i], value + i, bytes / PIECES / 4));
	}
	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	CU(cuEventRecord(event, NULL));
	CU(cuEventSynchronize(event));
	for (unsigned int i = 0; i < PIECES; i++) {
		download(words, piece[i], bytes / PIECES);
		for (size_t k = 0; k < bytes / PIECES / 4; k++)
			CHECK(words[k] == value + i, "piece %u, word %zu is %x", i, k, words[k]);
		CU(cuMemFree(piece[i]));
	}
	CU(cuEventDestroy(event));
	free(words);
}

int main(int argc, char **argv)
{
	const bool held = argc > 1 && !strcmp(argv[1], "held");
	const size_t bytes = argument(argc, argv, held ? 2 : 1, 8u << 20);
	pthread_t thread;
	size_t before;

	start();
	CU(cuCtxGetCurrent(&ctx));
	before = free_memory();
	CHECK(!pthread_create(&thread, NULL, load_and_run, NULL), "no thread");
	/* What is loaded is paid for first. */
	while (held && free_memory() == before)
		;
	for (uint32_t i = 0; i < ROUNDS; i++)
		round_of(bytes, 100 * i);
	printf("memory was right meanwhile\n");
	if (held)
		_exit(0);
	CHECK(!pthread_join(thread, NULL), "no end");
	finish();
	return 0;
}
