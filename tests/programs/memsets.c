/* SPDX-License-Identifier: MIT */
/* Fills of every element size and shape, at odd places; the bytes around must stay. */
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/programs/common.h"

enum { SIZE = 1 << 16 };

static uint8_t mirror[SIZE], got[SIZE];
static CUdeviceptr area;

static void *open_late(void *arg)
{
	usleep(100000);
	gate_open(arg);
	return NULL;
}

static void check(const char *what)
{
	download(got, area, SIZE);
	for (size_t i = 0; i < SIZE; i++)
		CHECK(got[i] == mirror[i], "%s: byte %zu is %02x, not %02x", what, i, got[i],
		      mirror[i]);
	printf("%s: all right\n", what);
}

static void mirror_fill(size_t at, size_t pitch, const void *value, size_t element, size_t width,
			size_t height)
{
	for (size_t y = 0; y < height; y++)
		for (size_t x = 0; x < width; x++)
			memcpy(mirror + at + y * pitch + x * element, value, element);
}

static void check_linear(CUstream s)
{
	uint32_t v;

	for (int async = 0; async < 2; async++) {
		for (size_t n = 1; n < 3000; n = n * 3 + 1) {
			v = (uint32_t)(n * 77 + (size_t)async);
			CU(async ? cuMemsetD8Async(area + 13, (uint8_t)v, n, s)
				 : cuMemsetD8(area + 13, (uint8_t)v, n));
			mirror_fill(13, 0, &v, 1, n, 1);
			v = (uint32_t)(n * 7771 + (size_t)async);
			CU(async ? cuMemsetD16Async(area + 5002, (uint16_t)v, n, s)
				 : cuMemsetD16(area + 5002, (uint16_t)v, n));
			mirror_fill(5002, 0, &v, 2, n, 1);
			v = (uint32_t)(n * 77777777 + (size_t)async);
			CU(async ? cuMemsetD32Async(area + 20004, v, n, s)
				 : cuMemsetD32(area + 20004, v, n));
			mirror_fill(20004, 0, &v, 4, n, 1);
		}
		CU(cuStreamSynchronize(s));
		CU(cuCtxSynchronize());
		check(async ? "asynchronous fills" : "fills");
	}
}

static void check_2d(CUstream s)
{
	uint32_t v = 0xdeadbeef;

	CU(cuMemsetD2D8(area + 40001, 97, (uint8_t)v, 31, 9));
	mirror_fill(40001, 97, &v, 1, 31, 9);
	CU(cuMemsetD2D16(area + 42000, 98, (uint16_t)v, 31, 9));
	mirror_fill(42000, 98, &v, 2, 31, 9);
	CU(cuMemsetD2D32(area + 44000, 256, v, 31, 9));
	mirror_fill(44000, 256, &v, 4, 31, 9);
	CU(cuCtxSynchronize());
	check("fills of rectangles");
	v = 0x12345678;
	CU(cuMemsetD2D8Async(area + 50003, 64, (uint8_t)v, 64, 3, s));
	mirror_fill(50003, 64, &v, 1, 64, 3);
	CU(cuMemsetD2D16Async(area + 52000, 200, (uint16_t)v, 100, 1, s));
	mirror_fill(52000, 200, &v, 2, 100, 1);
	CU(cuMemsetD2D32Async(area + 54000, 128, v, 1, 40, s));
	mirror_fill(54000, 128, &v, 4, 1, 40);
	CU(cuStreamSynchronize(s));
	check("asynchronous fills of rectangles");
}

/* In a captured stream a fill of registered memory is a node, or it is refused and the capture is
 * invalid: it is not left out. */
static void check_captured(void)
{
	uint8_t *host =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CUgraphExec exec;
	const CUdeviceptr p = (CUdeviceptr)(uintptr_t)host;
	CUresult r;
	CUgraph g;
	CUstream s;

	CHECK(host != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(host, SIZE, 0));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	r = cuMemsetD8Async(p, 5, SIZE, s);
	CHECK(!host[0], "a captured fill was done");
	if (r) {
		CHECK(r == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "a captured fill: %s",
		      result_name(r));
		WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &g));
	} else {
		CU(cuStreamEndCapture(s, &g));
		CU(cuGraphInstantiate(&exec, g, 0));
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		CHECK(host[0] == 5 && host[SIZE - 1] == 5, "a captured fill was not done");
		CU(cuGraphExecDestroy(exec));
		CU(cuGraphDestroy(g));
	}
	CU(cuStreamDestroy(s));
	CU(cuMemHostUnregister(host));
	munmap(host, SIZE);
	printf("captured fills: all right\n");
}

/* The fill of registered memory by the CPU is behind the legacy stream's work, too. */
static void check_turn(void)
{
	uint8_t *host =
		mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t thread;
	struct gate gate;
	const CUdeviceptr p = (CUdeviceptr)(uintptr_t)host;
	CUstream s;

	CHECK(host != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(host, SIZE, 0));
	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	CU(cuCtxSynchronize());
	gate_close(&gate, NULL);
	/* Before a copy that may wait for its turn, too. */
	CHECK(!pthread_create(&thread, NULL, open_late, &gate), "no thread");
	CU(cuMemcpyDtoHAsync(host, area, SIZE, NULL));
	CU(cuMemsetD8Async(p, 5, SIZE, s));
	CU(cuCtxSynchronize());
	pthread_join(thread, NULL);
	CHECK(host[0] == 5 && host[SIZE - 1] == 5, "a fill came before its turn");
	CU(cuStreamDestroy(s));
	CU(cuMemHostUnregister(host));
	munmap(host, SIZE);
	printf("turns: all right\n");
}

int main(void)
{
	CUstream s;

	start();
	random_fill(mirror, SIZE, 41);
	area = upload(mirror, SIZE);
	CU(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	check_linear(s);
	check_2d(s);
	CU(cuMemsetD8(area, 1, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD16(area + 1, 1, 4));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(area + 2, 1, 4));
	check("refused fills");
	check_captured();
	check_turn();
	CU(cuStreamDestroy(s));
	CU(cuMemFree(area));
	finish();
	return 0;
}
