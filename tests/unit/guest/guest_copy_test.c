/* SPDX-License-Identifier: MIT */
/* Copies and fills: the commands sent, and the bytes moved. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#include "guest_fake.h"

enum { BIG = 3 * 1024 * 1024 + 12345 };

static CUcontext ctx;
static CUdeviceptr dev;
static unsigned char noise[BIG];
static unsigned char *host, *back, *pinned;

/* Made once, for all cases. */
static void make_noise(void)
{
	srand(1);
	for (int i = 0; i < BIG; i++)
		noise[i] = (unsigned char)rand();
}

static void setup(void)
{
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
	ck_assert_int_eq(cuMemAlloc_v2(&dev, BIG), CUDA_SUCCESS);
	ck_assert_int_eq(cuMemAllocHost_v2((void **)&pinned, BIG), CUDA_SUCCESS);
	host = malloc(BIG);
	back = malloc(BIG);
	memcpy(host, noise, BIG);
}

static void setup_unpinned(void)
{
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
	ck_assert_int_eq(cuMemAlloc_v2(&dev, BIG), CUDA_SUCCESS);
	host = malloc(BIG);
	back = malloc(BIG);
	memcpy(host, noise, BIG);
}

static void teardown(void)
{
	free(host);
	free(back);
}

static const size_t sizes[] = {1,     7,     4095,   4096,   4097,    65536,
			       65537, 70000, 524288, 524289, 1 << 20, BIG};

START_TEST(pageable_there_and_back)
{
	const size_t n = sizes[_i];

	fake.hold_marks = _i & 1;
	memset(back, 0, n);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, n), 0);
	ck_assert_mem_eq((void *)(uintptr_t)dev, host, n);
	ck_assert_int_eq(cuMemcpyDtoH_v2(back, dev, n), 0);
	ck_assert_mem_eq(back, host, n);
	if (n <= PVGPU_INLINE_MAX) {
		ck_assert_uint_eq(fake.count[PVGPU_OP_COPY], 0);
		ck_assert_uint_eq(fake.count[PVGPU_OP_COPY_INLINE], 1);
		ck_assert_uint_eq(fake.count[PVGPU_OP_COPY_FETCH], 1);
	} else {
		ck_assert_uint_ge(fake.count[PVGPU_OP_COPY], 2);
		ck_assert_uint_eq(fake.marked, fake.count[PVGPU_OP_COPY]);
		ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_SYNCHRONIZE], 0);
	}
}
END_TEST

START_TEST(pieces_are_used_again)
{
	unsigned int pieces;

	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, BIG), 0);
		ck_assert_int_eq(cuMemcpyDtoH_v2(back, dev, BIG), 0);
		if (!i)
			pieces = fake.arena_allocs;
	}
	ck_assert_uint_eq(fake.arena_allocs, pieces);
	ck_assert_mem_eq(back, host, BIG);
}
END_TEST

/* Without memory to share with the worker copies still work, inside records. */
START_TEST(no_memory_to_stage_in)
{
	fake.arena_full = true;
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, BIG), 0);
	ck_assert_mem_eq((void *)(uintptr_t)dev, host, BIG);
	ck_assert_int_eq(cuMemcpyDtoH_v2(back, dev, BIG), 0);
	ck_assert_mem_eq(back, host, BIG);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY], 0);
}
END_TEST

/* Pinned memory goes on beyond the arena, and leaves a piece of it to staging. */
START_TEST(pinned_beyond_the_arena)
{
	unsigned char *more;
	unsigned int flags = 0;
	CUdeviceptr p;

	ck_assert_int_eq(cuMemAllocHost_v2((void **)&pinned, BIG), 0);
	fake.arena_full = true;
	ck_assert_int_eq(cuMemHostAlloc((void **)&more, BIG, CU_MEMHOSTALLOC_PORTABLE), 0);
	memcpy(more, noise, BIG);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, more, BIG), 0);
	ck_assert_mem_eq((void *)(uintptr_t)dev, noise, BIG);
	ck_assert_uint_gt(fake.count[PVGPU_OP_COPY], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY_INLINE], 0);
	ck_assert_int_eq(cuMemHostGetFlags(&flags, more), 0);
	ck_assert_uint_eq(flags, CU_MEMHOSTALLOC_PORTABLE);
	ck_assert_int_eq(cuMemHostGetDevicePointer_v2(&p, more, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemsetD32_v2((uintptr_t)more, 0x01020304, BIG / 4), 0);
	ck_assert_int_eq(more[0] | more[BIG / 4 * 4 - 1] << 8, 0x0104);
	ck_assert_int_eq(cuMemcpyDtoD_v2((uintptr_t)more, dev, BIG), 0);
	ck_assert_mem_eq(more, noise, BIG);
	ck_assert_int_eq(cuMemFreeHost(more + 4096), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemFreeHost(more), 0);
	ck_assert_int_eq(cuMemFreeHost(more), CUDA_ERROR_INVALID_VALUE);
	/* The system has less than that. */
	ck_assert_int_eq(cuMemAllocHost_v2((void **)&more, 1ull << 46), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(cuMemAllocHost_v2((void **)&more, SIZE_MAX - 5), CUDA_ERROR_OUT_OF_MEMORY);
}
END_TEST

/* Copies and fills end with an allocation, but with what is mapped for host memory. */
START_TEST(copies_end_with_the_size)
{
	CUdeviceptr small, large;

	ck_assert_int_eq(cuMemAlloc_v2(&small, 100), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&large, (1 << 20) + 1), 0);
	ck_assert_int_eq(cuMemcpyHtoD_v2(small, host, 100), 0);
	ck_assert_int_eq(cuMemcpyHtoD_v2(small, host, 101), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(small + 99, host, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemsetD8_v2(small + 99, 1, 1), 0);
	ck_assert_int_eq(cuMemsetD8_v2(small + 99, 1, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(large, host, (1 << 20) + 1), 0);
	ck_assert_int_eq(cuMemcpyHtoD_v2(large, host, (1 << 20) + 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemAllocHost_v2((void **)&pinned, 100), 0);
	ck_assert_int_eq(cuMemcpyDtoH_v2(pinned, dev, 512), 0);
	ck_assert_int_eq(cuMemcpyDtoH_v2(pinned + 1, dev, 512), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemHostUnregister(pinned), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(pinned_is_not_staged)
{
	memcpy(pinned, host, BIG);
	ck_assert_int_eq(cuMemcpyHtoDAsync_v2(dev, pinned, BIG, NULL), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_SYNCHRONIZE], 0);
	memset(pinned, 0, BIG);
	ck_assert_int_eq(cuMemcpyDtoH_v2(pinned, dev, BIG), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY], 2);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_SYNCHRONIZE], 1);
	ck_assert_mem_eq(pinned, host, BIG);
}
END_TEST

START_TEST(registered_waits_for_its_turn)
{
	CUdeviceptr p;

	ck_assert_int_eq(cuMemHostRegister_v2(host, BIG, CU_MEMHOSTREGISTER_IOMEMORY),
			 CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(cuMemHostRegister_v2(host, BIG, CU_MEMHOSTREGISTER_DEVICEMAP), 0);
	ck_assert_int_eq(cuMemHostGetDevicePointer_v2(&p, host, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemHostRegister_v2(host + 100, 10, 0),
			 CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED);
	ck_assert_int_eq(cuMemsetD8Async(dev, 0, BIG, NULL), 0);
	ck_assert_int_eq(cuMemcpyHtoDAsync_v2(dev, host, BIG, NULL), 0);
	ck_assert_mem_eq((void *)(uintptr_t)dev, host, BIG);
	ck_assert_uint_ge(fake.count[PVGPU_OP_HOLD], 2);
	memset(host, 0, BIG);
	ck_assert_int_eq(cuMemcpyDtoHAsync_v2(host, dev, BIG, NULL), 0);
	ck_assert_mem_eq(host, noise, BIG);
	/* Neither of them waits for the stream. */
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_SYNCHRONIZE], 0);
	ck_assert_int_eq(cuMemHostUnregister(host), 0);
	ck_assert_int_eq(cuMemHostUnregister(host), CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED);
}
END_TEST

START_TEST(unified_finds_out)
{
	const CUdeviceptr h = (uintptr_t)host, b = (uintptr_t)back, p = (uintptr_t)pinned;

	ck_assert_int_eq(cuMemcpy(dev, h, BIG), 0);
	ck_assert_int_eq(cuMemcpy(p, dev, BIG), 0);
	ck_assert_mem_eq(pinned, host, BIG);
	ck_assert_int_eq(cuMemcpy(b, p, BIG), 0);
	ck_assert_mem_eq(back, host, BIG);
	memset(back, 0, BIG);
	ck_assert_int_eq(cuMemcpy(b, h, BIG), 0);
	ck_assert_mem_eq(back, host, BIG);
	ck_assert_int_eq(cuMemcpyDtoD_v2(dev, dev + 1000000, 1000), 0);
	ck_assert_mem_eq((void *)(uintptr_t)dev, host + 1000000, 1000);
}
END_TEST

START_TEST(bad_ranges)
{
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev + 1, host, 4 << 20), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev - 1, host, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(0, host, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, NULL, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, SIZE_MAX), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyDtoH_v2(host, dev + BIG, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2((uintptr_t)host, host, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, 0), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY] + fake.count[PVGPU_OP_COPY_INLINE], 0);
}
END_TEST

START_TEST(free_is_checked_at_once)
{
	CUdeviceptr base;
	size_t n;

	ck_assert_int_eq(cuMemGetAddressRange_v2(&base, &n, dev + 77), 0);
	ck_assert_uint_eq(base, dev);
	ck_assert_uint_eq(n, BIG);
	ck_assert_int_eq(cuMemFree_v2(dev + 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemFree_v2(dev), 0);
	ck_assert_int_eq(cuMemFree_v2(dev), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemFree_v2(0), 0);
	ck_assert_int_eq(cuMemcpyHtoD_v2(dev, host, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemFreeHost(host), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemFreeHost(pinned), 0);
	ck_assert_int_eq(cuMemFreeHost(pinned), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_CTX_SYNCHRONIZE], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 1);
}
END_TEST

/* Boxes: {width, rows, depth, pitch, height}; the host side has the same shape. */
static const size_t boxes[][5] = {
	{100, 10, 1, 128, 0},      {100, 10, 3, 128, 12},   {1, 1000, 1, 2, 0},
	{4096, 300, 2, 4608, 310}, {64, 64, 40, 64, 64},    {600000, 3, 1, 650000, 0},
	{5000, 1, 20, 5000, 7},    {512, 700, 3, 512, 900}, {3, 5, 7, 4, 6},
};

static CUDA_MEMCPY3D box_of(const size_t *b)
{
	return (CUDA_MEMCPY3D){.WidthInBytes = b[0],
			       .Height = b[1],
			       .Depth = b[2],
			       .srcPitch = b[3],
			       .dstPitch = b[3],
			       .srcHeight = b[4],
			       .dstHeight = b[4]};
}

static void check_box(const size_t *b, const unsigned char *got)
{
	const size_t height = b[4] ? b[4] : b[1];
	size_t spoilt = 0; /* an assertion for each byte would cost more than all copies */

	for (size_t z = 0; z < b[2]; z++)
		for (size_t y = 0; y < height && (z < b[2] - 1 || y < b[1]); y++) {
			const size_t row = (z * height + y) * b[3];
			const bool last = z == b[2] - 1 && y == b[1] - 1;

			if (y < b[1])
				ck_assert_mem_eq(got + row, host + row, b[0]);
			for (size_t x = y < b[1] ? b[0] : 0; x < b[3] && !last; x++)
				spoilt += got[row + x] != 0xee;
		}
	ck_assert_uint_eq(spoilt, 0);
}

START_TEST(boxes_move_their_bytes_only)
{
	const size_t *b = boxes[_i];
	CUDA_MEMCPY3D c = box_of(b);

	fake.hold_marks = _i & 1;
	memset((void *)(uintptr_t)dev, 0xee, BIG);
	memset(back, 0xee, BIG);
	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.srcHost = host;
	c.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	c.dstDevice = dev;
	ck_assert_int_eq(cuMemcpy3D_v2(&c), 0);
	check_box(b, (unsigned char *)(uintptr_t)dev);
	c.srcMemoryType = CU_MEMORYTYPE_DEVICE;
	c.srcDevice = dev;
	c.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
	c.dstDevice = (uintptr_t)back;
	ck_assert_int_eq(cuMemcpy3DAsync_v2(&c, NULL), 0);
	check_box(b, back);
	memset(pinned, 0xee, BIG);
	c.dstMemoryType = CU_MEMORYTYPE_HOST;
	c.dstHost = pinned;
	ck_assert_int_eq(cuMemcpy3D_v2(&c), 0);
	check_box(b, pinned);
	memset(back, 0xee, BIG);
	c.srcMemoryType = CU_MEMORYTYPE_HOST;
	c.dstHost = back;
	ck_assert_int_eq(cuMemcpy3D_v2(&c), 0);
	check_box(b, back);
}
END_TEST

START_TEST(bad_boxes)
{
	CUDA_MEMCPY2D c = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = host,
			   .srcPitch = 100,
			   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			   .dstDevice = dev,
			   .dstPitch = 100,
			   .WidthInBytes = 100,
			   .Height = 10};
	CUDA_MEMCPY2D bad = c;

	ck_assert_int_eq(cuMemcpy2D_v2(&c), 0);
	ck_assert_int_eq(cuMemcpy2D_v2(NULL), CUDA_ERROR_INVALID_VALUE);
	bad.WidthInBytes = 101;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), CUDA_ERROR_INVALID_VALUE);
	bad = c;
	bad.srcXInBytes = 1;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), CUDA_ERROR_INVALID_VALUE);
	bad = c;
	bad.Height = SIZE_MAX;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), CUDA_ERROR_INVALID_VALUE);
	bad = c;
	bad.dstY = SIZE_MAX / 100;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), CUDA_ERROR_INVALID_VALUE);
	bad = c;
	bad.srcMemoryType = 9;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), CUDA_ERROR_INVALID_VALUE);
	bad = c;
	bad.Height = 0;
	ck_assert_int_eq(cuMemcpy2D_v2(&bad), 0);
}
END_TEST

START_TEST(fills)
{
	const unsigned char *d = (void *)(uintptr_t)dev;

	ck_assert_int_eq(cuMemsetD8_v2(dev, 0xab, 100), 0);
	ck_assert_uint_eq(d[99], 0xab);
	ck_assert_int_eq(cuMemsetD32_v2(dev + 100, 0x01020304, 2), 0);
	ck_assert_uint_eq(d[104], 4);
	ck_assert_int_eq(cuMemsetD2D16_v2(dev, 10, 0x0506, 3, 2), 0);
	ck_assert_uint_eq(d[10], 6);
	ck_assert_uint_eq(d[6], 0xab);
	ck_assert_int_eq(cuMemsetD32_v2(dev + 2, 0, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemsetD2D8_v2(dev, 9, 0, 10, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemsetD8_v2(dev, 0, (4 << 20) + 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemsetD8_v2(dev, 0, 0), 0);
}
END_TEST

START_TEST(what_is_known_of_addresses)
{
	CUpointer_attribute asked[3] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
					CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
					CU_POINTER_ATTRIBUTE_RANGE_SIZE};
	unsigned int type;
	size_t size;
	int ordinal;
	void *values[3] = {&type, &ordinal, &size};
	CUdeviceptr p;

	ck_assert_int_eq(cuPointerGetAttribute(&type, asked[0], dev + 5), 0);
	ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
	ck_assert_int_eq(cuPointerGetAttribute(&type, asked[0], (uintptr_t)pinned), 0);
	ck_assert_uint_eq(type, CU_MEMORYTYPE_HOST);
	ck_assert_int_eq(cuPointerGetAttribute(&type, asked[0], (uintptr_t)host),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuPointerGetAttributes(3, asked, values, dev), 0);
	ck_assert_uint_eq(size, BIG);
	ck_assert_int_eq(cuPointerGetAttributes(3, asked, values, (uintptr_t)host), 0);
	ck_assert_uint_eq(type, 0);
	ck_assert_int_eq(ordinal, -2);
	ck_assert_int_eq(cuMemHostGetDevicePointer_v2(&p, pinned + 3, 0), 0);
	ck_assert_uint_eq(p, (uintptr_t)pinned + 3);
	ck_assert_int_eq(cuMemHostGetDevicePointer_v2(&p, host, 0), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(many_allocations)
{
	enum { N = 2000 };
	static CUdeviceptr p[N];
	CUdeviceptr base;

	for (int i = 0; i < N; i++)
		ck_assert_int_eq(cuMemAlloc_v2(&p[i], 100), 0);
	for (int i = 0; i < N; i += 2)
		ck_assert_int_eq(cuMemFree_v2(p[(i * 7) % N]), 0);
	for (int i = 1; i < N; i += 2) {
		ck_assert_int_eq(cuMemGetAddressRange_v2(&base, NULL, p[i] + 99), 0);
		ck_assert_uint_eq(base, p[i]);
		ck_assert_int_eq(cuMemGetAddressRange_v2(&base, NULL, p[i] + 100),
				 CUDA_ERROR_NOT_FOUND);
	}
}
END_TEST

/* One record for each COPIES_MAX copies, and no call that waits; what comes back to pageable memory
 * is waited for once for each record. */
START_TEST(batches_travel_together)
{
	enum { N = 700, LEN = 100 };
	static const unsigned int records[] = {11, 11, 11, 11};
	CUmemcpyAttributes attrs = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	CUdeviceptr dst[N], src[N], mem = dev + BIG / 2;
	size_t size[N], first = 0;
	unsigned int before;
	CUstream s;

	ck_assert_int_eq(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING), 0);
	memcpy((void *)(uintptr_t)mem, host, N * LEN);
	memcpy(pinned, host, N * LEN);
	for (int i = 0; i < N; i++) {
		dst[i] = (_i < 3 ? dev : (CUdeviceptr)(uintptr_t)back) + (N - 1 - i) * LEN;
		src[i] = (_i == 1   ? (CUdeviceptr)(uintptr_t)pinned
			  : _i == 2 ? (CUdeviceptr)(uintptr_t)host
				    : mem) +
			 i * LEN;
		size[i] = LEN;
	}
	before = fake_commands();
	ck_assert_int_eq(cuMemcpyBatchAsync_v2(dst, src, size, N, &attrs, &first, 1, s), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_COPY_BATCH], records[_i]);
	ck_assert_uint_eq(fake_commands() - before, records[_i]);
	ck_assert_uint_eq(fake.marked, _i < 2 ? 0 : records[_i]);
	for (int i = 0; i < N; i++)
		ck_assert_mem_eq((void *)(uintptr_t)dst[i], host + i * LEN, LEN);
	/* All are checked before the first one is sent. */
	before = fake_commands();
	src[N - 1] = dev + BIG;
	ck_assert_int_eq(cuMemcpyBatchAsync_v2(dst, src, size, N, &attrs, &first, 1, s),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(fake_commands() - before, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_copy");
	TCase *t = tcase_create("copy");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_unchecked_fixture(t, make_noise, NULL);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, pageable_there_and_back, 0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(t, pieces_are_used_again);
	tcase_add_test(t, pinned_is_not_staged);
	tcase_add_test(t, registered_waits_for_its_turn);
	tcase_add_test(t, unified_finds_out);
	tcase_add_test(t, bad_ranges);
	tcase_add_test(t, free_is_checked_at_once);
	tcase_add_loop_test(t, boxes_move_their_bytes_only, 0, sizeof(boxes) / sizeof(boxes[0]));
	tcase_add_test(t, bad_boxes);
	tcase_add_test(t, fills);
	tcase_add_test(t, what_is_known_of_addresses);
	tcase_add_test(t, many_allocations);
	tcase_add_loop_test(t, batches_travel_together, 0, 4);
	suite_add_tcase(s, t);
	t = tcase_create("nothing pinned");
	tcase_add_unchecked_fixture(t, make_noise, NULL);
	tcase_add_checked_fixture(t, setup_unpinned, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, no_memory_to_stage_in);
	tcase_add_test(t, pinned_beyond_the_arena);
	tcase_add_test(t, copies_end_with_the_size);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
