/* SPDX-License-Identifier: MIT */
/*
 * Asynchronous copies return before their turn comes, however many are pending: a host function
 * that is before them in their stream waits for the calling thread. A copy that had to wait for the
 * GPU would wait for ever; the program ends then by a signal.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "tests/programs/common.h"

enum {
	LIMIT = 60, /* seconds */
	COPIES = 200,
	BYTES = 8192,
	STREAMS = 40,
	LARGE = 9 << 20,
	BOX = 3000, /* bytes and rows of a two-dimensional copy */
};

/* Is page-locked memory read in the copy's turn? Else the far end may not register it with CUDA: a
 * copy is made on the way, and may wait for those before it. */
static int in_turn;

static void hold(struct gate *gate, CUstream s)
{
	if (in_turn)
		gate_close(gate, s);
}

static void let_go(struct gate *gate)
{
	if (in_turn)
		gate_open(gate);
}

static void fill_if(int fill, uint8_t *p, size_t bytes, unsigned int seed)
{
	if (fill)
		random_fill(p, bytes, seed);
}

static uint8_t *registered(size_t bytes)
{
	uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(p, bytes, 0));
	return p;
}

static void forget(uint8_t *p, size_t bytes)
{
	CU(cuMemHostUnregister(p));
	munmap(p, bytes);
}

static CUstream stream(void)
{
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	return s;
}

/* To the device and back, in turn, through the same memory. */
static void check_small(void)
{
	uint8_t *from = registered(COPIES * BYTES), *to = registered(COPIES * BYTES);
	CUdeviceptr dev = device_alloc(COPIES * BYTES);
	CUstream s = stream();
	struct gate gate;

	fill_if(!in_turn, from, COPIES * BYTES, 1);
	hold(&gate, s);
	for (int i = 0; i < COPIES; i++) {
		CU(cuMemcpyHtoDAsync(dev + i * BYTES, from + i * BYTES, BYTES, s));
		if (i % 4 == 3)
			CU(cuMemcpyDtoHAsync(to + (i - 3) * BYTES, dev + (i - 3) * BYTES, 4 * BYTES,
					     s));
	}
	/* They are read in their turn. */
	fill_if(in_turn, from, COPIES * BYTES, 1);
	let_go(&gate);
	CU(cuStreamSynchronize(s));
	CHECK(!memcmp(from, to, COPIES * BYTES), "copies of registered memory differ");
	forget(from, COPIES * BYTES);
	forget(to, COPIES * BYTES);
	CU(cuMemFree(dev));
	CU(cuStreamDestroy(s));
	printf("%d copies were pending in a stream\n", COPIES);
}

/* A copy is read after what was written by those before it. */
static void check_chain(void)
{
	uint8_t *mem = registered(COPIES * BYTES);
	CUdeviceptr dev = device_alloc(2 * BYTES);
	CUstream s = stream();
	struct gate gate;

	fill_if(!in_turn, mem, BYTES, 2);
	hold(&gate, s);
	for (int i = 0; i + 1 < COPIES; i++) {
		CU(cuMemcpyHtoDAsync(dev, mem + i * BYTES, BYTES, s));
		CU(cuMemcpyHtoDAsync(dev + BYTES, mem, BYTES, s));
		CU(cuMemcpyDtoHAsync(mem + (i + 1) * BYTES, dev, BYTES, s));
	}
	fill_if(in_turn, mem, BYTES, 2);
	let_go(&gate);
	CU(cuStreamSynchronize(s));
	for (int i = 1; i < COPIES; i++)
		CHECK(!memcmp(mem, mem + i * BYTES, BYTES), "link %d of the chain differs", i);
	forget(mem, COPIES * BYTES);
	CU(cuMemFree(dev));
	CU(cuStreamDestroy(s));
	printf("copies from what others wrote are right\n");
}

static void check_streams(void)
{
	uint8_t *from = registered(LARGE), *to = registered(STREAMS * BYTES);
	CUdeviceptr dev = device_alloc(STREAMS * BYTES), large = device_alloc(LARGE);
	CUstream s[STREAMS];
	struct gate gate;
	CUevent event;

	for (int i = 0; i < STREAMS; i++)
		s[i] = stream();
	CU(cuEventCreate(&event, CU_EVENT_DISABLE_TIMING));
	fill_if(!in_turn, from, LARGE, 3);
	hold(&gate, s[0]);
	CU(cuEventRecord(event, s[0]));
	for (int i = 0; i < STREAMS; i++) {
		CU(cuStreamWaitEvent(s[i], event, 0));
		CU(cuMemcpyHtoDAsync(dev + i * BYTES, from + i * BYTES, BYTES, s[i]));
		CU(cuMemcpyDtoHAsync(to + i * BYTES, dev + i * BYTES, BYTES, s[i]));
	}
	CU(cuMemcpyHtoDAsync(large, from, LARGE, s[1]));
	CU(cuMemcpyHtoDAsync(large, from, LARGE, s[1]));
	fill_if(in_turn, from, LARGE, 3);
	let_go(&gate);
	CU(cuCtxSynchronize());
	CHECK(!memcmp(from, to, STREAMS * BYTES), "copies in many streams differ");
	CU(cuMemsetD8(dev, 0, STREAMS * BYTES));
	memset(to, 0, STREAMS * BYTES);
	CU(cuMemcpyDtoH(to, large + LARGE - STREAMS * BYTES, STREAMS * BYTES));
	CHECK(!memcmp(from + LARGE - STREAMS * BYTES, to, STREAMS * BYTES), "a large one differs");
	forget(from, LARGE);
	forget(to, STREAMS * BYTES);
	for (int i = 0; i < STREAMS; i++)
		CU(cuStreamDestroy(s[i]));
	CU(cuEventDestroy(event));
	CU(cuMemFree(dev));
	CU(cuMemFree(large));
	printf("copies were pending in %d streams\n", STREAMS);
}

static void check_boxes(void)
{
	uint8_t *from = registered(BOX * BOX), *to = registered(BOX * BOX);
	CUdeviceptr dev = device_alloc(BOX * BOX);
	CUDA_MEMCPY2D in = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			    .srcHost = from,
			    .srcPitch = BOX,
			    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			    .dstDevice = dev,
			    .dstPitch = BOX,
			    .WidthInBytes = BOX - 7,
			    .Height = BOX};
	CUDA_MEMCPY2D out = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			     .srcDevice = dev,
			     .srcPitch = BOX,
			     .dstMemoryType = CU_MEMORYTYPE_HOST,
			     .dstHost = to,
			     .dstPitch = BOX,
			     .WidthInBytes = BOX - 7,
			     .Height = BOX};
	CUstream s = stream();
	struct gate gate;

	fill_if(!in_turn, from, BOX * BOX, 4);
	hold(&gate, s);
	CU(cuMemcpy2DAsync(&in, s));
	CU(cuMemcpy2DAsync(&out, s));
	fill_if(in_turn, from, BOX * BOX, 4);
	let_go(&gate);
	CU(cuStreamSynchronize(s));
	for (int y = 0; y < BOX; y++)
		CHECK(!memcmp(from + y * BOX, to + y * BOX, BOX - 7) && !to[y * BOX + BOX - 1],
		      "row %d differs", y);
	forget(from, BOX * BOX);
	forget(to, BOX * BOX);
	CU(cuMemFree(dev));
	CU(cuStreamDestroy(s));
	printf("copies of boxes were pending\n");
}

/* Copies of pageable memory that are pending are nothing to those of other streams. */
static void check_pageable(void)
{
	enum { PENDING = 64 };
	static uint8_t from[PENDING * BYTES], to[PENDING * BYTES];
	CUdeviceptr dev = device_alloc(PENDING * BYTES), other = device_alloc(PENDING * BYTES);
	CUstream s = stream(), s2 = stream();
	struct gate gate;

	random_fill(from, sizeof(from), 5);
	hold(&gate, s);
	for (int i = 0; i < PENDING; i++)
		CU(cuMemcpyHtoDAsync(dev + i * BYTES, from + i * BYTES, BYTES, s));
	CU(cuMemcpyHtoD(other, from, sizeof(from)));
	CU(cuMemcpyDtoH(to, other, sizeof(to)));
	CHECK(!memcmp(from, to, sizeof(to)), "copies beside pending ones differ");
	memset(to, 0, sizeof(to));
	CU(cuMemcpyHtoDAsync(other, from, sizeof(from), s2));
	CU(cuMemcpyDtoHAsync(to, other, sizeof(to), s2));
	CU(cuStreamSynchronize(s2));
	CHECK(!memcmp(from, to, sizeof(to)), "copies of another stream differ");
	let_go(&gate);
	CU(cuStreamSynchronize(s));
	memset(to, 0, sizeof(to));
	CU(cuMemcpyDtoH(to, dev, sizeof(to)));
	CHECK(!memcmp(from, to, sizeof(to)), "pending copies differ");
	CU(cuMemFree(dev));
	CU(cuMemFree(other));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(s2));
	printf("copies passed %d pending ones\n", PENDING);
}

int main(int argc, char **argv)
{
	alarm(LIMIT);
	start();
	CU(cuDeviceGetAttribute(&in_turn, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	check_small();
	check_chain();
	check_streams();
	check_boxes();
	check_pageable();
	finish();
	return 0;
}
