/* SPDX-License-Identifier: MIT */
/* Twelve threads copy much pageable memory at the same time, whole and in rows: there is less
 * staging memory than they need, and none may be starved of it. */
#include <pthread.h>

#include "tests/programs/common.h"

enum { THREADS = 12, ROWS = 1500, WIDTH = 7000, PITCH = 8192, BYTES = ROWS * PITCH };

static CUcontext ctx;
static pthread_barrier_t barrier;

static void copy_rows(void *host, CUdeviceptr dev, bool to_device)
{
	CUDA_MEMCPY2D c = {
		.WidthInBytes = WIDTH, .Height = ROWS, .srcPitch = PITCH, .dstPitch = PITCH};

	if (to_device) {
		c.srcMemoryType = CU_MEMORYTYPE_HOST;
		c.srcHost = host;
		c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
		c.dstDevice = dev;
	} else {
		c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
		c.srcDevice = dev;
		c.dstMemoryType = CU_MEMORYTYPE_HOST;
		c.dstHost = host;
	}
	CU(cuMemcpy2D(&c));
}

static void check_rows(uint32_t id, const uint8_t *got, const uint8_t *want, const char *what)
{
	for (size_t row = 0; row < ROWS; row++)
		CHECK(!memcmp(got + row * PITCH, want + row * PITCH, WIDTH),
		      "thread %u: row %zu is wrong after %s", id, row, what);
}

static void *work(void *arg)
{
	uint32_t id = (uint32_t)(uintptr_t)arg;
	uint8_t *there = host_alloc(BYTES), *back = host_alloc(BYTES);
	CUdeviceptr p;

	random_fill(there, BYTES, id + 1);
	memset(back, 0, BYTES);
	CU(cuCtxSetCurrent(ctx));
	p = device_alloc(BYTES);
	pthread_barrier_wait(&barrier);
	CU(cuMemcpyHtoD(p, there, BYTES));
	pthread_barrier_wait(&barrier);
	CU(cuMemcpyDtoH(back, p, BYTES));
	CHECK(!memcmp(there, back, BYTES), "thread %u: bytes are wrong", id);
	random_fill(there, BYTES, id + 100);
	pthread_barrier_wait(&barrier);
	copy_rows(there, p, true);
	pthread_barrier_wait(&barrier);
	copy_rows(back, p, false);
	check_rows(id, back, there, "copies of rows");
	CU(cuMemFree(p));
	free(there);
	free(back);
	return NULL;
}

int main(void)
{
	pthread_t thread[THREADS];

	start();
	CU(cuCtxGetCurrent(&ctx));
	pthread_barrier_init(&barrier, NULL, THREADS);
	for (uintptr_t i = 0; i < THREADS; i++)
		CHECK(!pthread_create(&thread[i], NULL, work, (void *)i), "no thread");
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	printf("%d threads copied %d bytes four times: all right\n", THREADS, BYTES);
	pthread_barrier_destroy(&barrier);
	finish();
	return 0;
}
