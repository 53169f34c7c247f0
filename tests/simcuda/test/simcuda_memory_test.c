/* SPDX-License-Identifier: MIT */
/* The simulated driver: device and host memory, copies of every kind, virtual memory management. */
#include <stdbool.h>

#include "tests/simcuda/test/simcuda_test.h"

#define MIB (1ull << 20)

static size_t free_memory(void)
{
	size_t f, t;

	OK(cuMemGetInfo(&f, &t));
	return f;
}

START_TEST(allocation_counts)
{
	size_t before, size;
	CUdeviceptr p, base, many[100];

	start();
	before = free_memory();
	OK(cuMemAlloc(&p, 10 * MIB + 1));
	ck_assert_uint_eq(before - free_memory(), 12 * MIB);
	OK(cuMemGetAddressRange(&base, &size, p + 5 * MIB));
	ck_assert_uint_eq(base, p);
	ck_assert_uint_eq(size, 10 * MIB + 1);
	OK(cuMemFree(p));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemFree(p));
	OK(cuMemFree(0));
	for (int i = 0; i < 100; i++) {
		OK(cuMemAlloc(&many[i], 1000 + (size_t)i));
		ck_assert_uint_eq(many[i] % 512, 0);
	}
	ck_assert_uint_eq(before - free_memory(), 2 * MIB);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemFree(many[3] + 1));
	for (int i = 0; i < 100; i++)
		OK(cuMemFree(many[i]));
	ck_assert_uint_eq(before, free_memory());
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemAlloc(&p, 0));
	FAILS(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&p, 1ull << 40));
	FAILS(CUDA_ERROR_OUT_OF_MEMORY, cuMemAlloc(&p, SIZE_MAX));
	FAILS(CUDA_ERROR_NOT_FOUND, cuMemGetAddressRange(&base, &size, 4096));
}
END_TEST

START_TEST(context_takes_its_memory_along)
{
	CUcontext c;
	CUdeviceptr p;
	size_t before;
	void *h;

	start();
	before = free_memory();
	OK(cuCtxCreate(&c, NULL, 0, 0));
	OK(cuMemAlloc(&p, 64 * MIB));
	OK(cuMemAlloc(&p, 64));
	OK(cuMemAllocHost(&h, 4096));
	OK(cuCtxDestroy(c));
	ck_assert_uint_eq(before, free_memory());
}
END_TEST

static void fill(unsigned char *p, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (unsigned char)(seed = seed * 1103515245 + 12345) ^ (unsigned char)(i >> 3);
}

START_TEST(linear_copies)
{
	size_t n = 3 * MIB + 17;
	unsigned char *a = malloc(n), *b = malloc(n), *pinned;
	CUdeviceptr d, e;

	start();
	fill(a, n, 1);
	OK(cuMemAlloc(&d, n));
	OK(cuMemAlloc(&e, n));
	OK(cuMemHostAlloc((void **)&pinned, n, CU_MEMHOSTALLOC_PORTABLE));
	OK(cuMemcpyHtoD(d, a, n));
	OK(cuMemcpyDtoD(e, d, n));
	OK(cuMemcpyDtoH(b, e, n));
	ck_assert_mem_eq(a, b, n);
	fill(a, n, 2);
	OK(cuMemcpyHtoDAsync(d, a, n, NULL));
	memset(a, 0, n); /* pageable: was read already */
	OK(cuMemcpyDtoDAsync(e, d, n, NULL));
	OK(cuMemcpyDtoHAsync(pinned, e, n, NULL));
	OK(cuStreamSynchronize(NULL));
	fill(a, n, 2);
	ck_assert_mem_eq(a, pinned, n);
	memset(b, 0, n);
	OK(cuMemcpy((CUdeviceptr)(uintptr_t)b, e, n));
	ck_assert_mem_eq(a, b, n);
	OK(cuMemcpyAsync(d, (CUdeviceptr)(uintptr_t)pinned, n, CU_STREAM_PER_THREAD));
	OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	OK(cuMemcpyDtoH(b, d, n));
	ck_assert_mem_eq(a, b, n);
	/* Up to the size asked for, however much is mapped. */
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(d, a, n + 1));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(b, d + 1, n));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(d + 1, 0, n));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoD(d, 0x1000, 16));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(b, (CUdeviceptr)(uintptr_t)a, 16));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(d, NULL, 16));
	OK(cuMemcpyHtoD(d, NULL, 0));
	OK(cuMemFreeHost(pinned));
	free(a);
	free(b);
}
END_TEST

START_TEST(batches)
{
	CUmemcpyAttributes attrs = {.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_STREAM};
	unsigned char a[600], b[600];
	CUdeviceptr d, dst[3], src[3];
	size_t size[] = {100, 0, 300}, first[] = {0, 2}, wrong[] = {0, 3};
	CUstream s;

	start();
	fill(a, sizeof(a), 7);
	OK(cuMemAlloc(&d, 1000));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 3; i++) {
		dst[i] = d + (CUdeviceptr)i * 300;
		src[i] = (CUdeviceptr)(uintptr_t)(a + (ptrdiff_t)i * 100);
	}
	OK(cuMemcpyBatchAsync(dst, src, size, 3, &attrs, first, 1, s));
	OK(cuStreamSynchronize(s));
	OK(cuMemcpyDtoH(b, d + 600, 300));
	ck_assert_mem_eq(b, a + 200, 300);
	OK(cuMemcpyBatchAsync(dst, src, size, 3, (CUmemcpyAttributes[]){attrs, attrs}, first, 2,
			      s));
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuMemcpyBatchAsync(dst, src, size, 3, &attrs, first, 1, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync(dst, src, size, 3, &attrs, wrong, 2, s));
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuMemcpyBatchAsync(dst, src, size, 3, &attrs, first + 1, 1, s));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync(dst, src, size, 0, &attrs, first, 1, s));
	/* Nothing is copied when one of them is wrong. */
	OK(cuMemsetD8(d, 9, 1000));
	size[2] = 401;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync(dst, src, size, 3, &attrs, first, 1, s));
	OK(cuMemcpyDtoH(b, d, 300));
	ck_assert_int_eq(b[0], 9);
	attrs.srcAccessOrder = CU_MEMCPY_SRC_ACCESS_ORDER_INVALID;
	size[2] = 300;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyBatchAsync(dst, src, size, 3, &attrs, first, 1, s));
}
END_TEST

START_TEST(box_copies)
{
	enum { W = 100, H = 20, D = 5 };
	unsigned char *a = malloc(W * H * D), *b = calloc(W * H * D, 1);
	CUDA_MEMCPY2D two = {0};
	CUDA_MEMCPY3D three = {0};
	CUdeviceptr p, q;
	size_t pitch;

	start();
	fill(a, W * H * D, 3);
	OK(cuMemAllocPitch(&p, &pitch, W, H, 4));
	ck_assert_uint_ge(pitch, W);
	two.srcMemoryType = CU_MEMORYTYPE_HOST;
	two.srcHost = a;
	two.srcPitch = W;
	two.srcXInBytes = 3;
	two.srcY = 2;
	two.dstMemoryType = CU_MEMORYTYPE_DEVICE;
	two.dstDevice = p;
	two.dstPitch = pitch;
	two.WidthInBytes = 50;
	two.Height = 10;
	OK(cuMemcpy2D(&two));
	memset(&two, 0, sizeof(two));
	two.srcMemoryType = CU_MEMORYTYPE_DEVICE;
	two.srcDevice = p;
	two.srcPitch = pitch;
	two.dstMemoryType = CU_MEMORYTYPE_HOST;
	two.dstHost = b;
	two.dstPitch = W;
	two.dstXInBytes = 7;
	two.dstY = 1;
	two.WidthInBytes = 50;
	two.Height = 10;
	OK(cuMemcpy2DAsync(&two, CU_STREAM_PER_THREAD));
	OK(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	for (int y = 0; y < H; y++)
		for (int x = 0; x < W; x++) {
			int in = x >= 7 && x < 57 && y >= 1 && y < 11;

			ck_assert_int_eq(b[y * W + x], in ? a[(y + 1) * W + x - 4] : 0);
		}
	two.dstPitch = 49;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&two));
	two.dstPitch = W;
	two.Height = 21;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpy2DUnaligned(&two));
	two.Height = 10;
	two.srcMemoryType = CU_MEMORYTYPE_ARRAY;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&two));

	OK(cuMemAlloc(&q, W * H * D));
	OK(cuMemsetD8(q, 0, W * H * D));
	three.srcMemoryType = CU_MEMORYTYPE_UNIFIED;
	three.srcDevice = (CUdeviceptr)(uintptr_t)a;
	three.srcPitch = W;
	three.srcHeight = H;
	three.srcXInBytes = 1;
	three.srcY = 1;
	three.srcZ = 1;
	three.dstMemoryType = CU_MEMORYTYPE_UNIFIED;
	three.dstDevice = q;
	three.dstPitch = W;
	three.dstHeight = H;
	three.WidthInBytes = 90;
	three.Height = 12;
	three.Depth = 3;
	OK(cuMemcpy3D(&three));
	OK(cuMemcpyDtoH(b, q, W * H * D));
	for (int z = 0; z < D; z++)
		for (int y = 0; y < H; y++)
			for (int x = 0; x < W; x++) {
				int in = x < 90 && y < 12 && z < 3;

				ck_assert_int_eq(b[(z * H + y) * W + x],
						 in ? a[((z + 1) * H + y + 1) * W + x + 1] : 0);
			}
	three.dstZ = 3;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpy3D(&three));
	free(a);
	free(b);
}
END_TEST

START_TEST(memsets)
{
	uint32_t out[256];
	CUdeviceptr p;

	start();
	OK(cuMemAlloc(&p, sizeof(out)));
	OK(cuMemsetD32(p, 0xdeadbeef, 256));
	OK(cuMemsetD16Async(p + 4, 0x1234, 4, NULL));
	OK(cuMemsetD8(p + 12, 0x55, 3));
	OK(cuMemsetD2D32(p + 64, 32, 7, 2, 3));
	OK(cuMemcpyDtoH(out, p, sizeof(out)));
	ck_assert_uint_eq(out[0], 0xdeadbeef);
	ck_assert_uint_eq(out[1], 0x12341234);
	ck_assert_uint_eq(out[2], 0x12341234);
	ck_assert_uint_eq(out[3], 0xde555555);
	for (int i = 16; i < 40; i++)
		ck_assert_uint_eq(out[i], (i - 16) % 8 < 2 && i < 34 ? 7 : 0xdeadbeef);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(p + 2, 0, 1));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD16(p + 1, 0, 1));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(p, 0, (sizeof(out) + 511) / 512 * 512 + 1));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD2D8(p, 4, 0, 8, 2));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(p, 0, SIZE_MAX / 2));
	OK(cuMemsetD8(p, 0, 0));
}
END_TEST

START_TEST(host_memory)
{
	char *own = aligned_alloc(4096, 8192);
	unsigned int flags;
	CUdeviceptr d;
	void *p;

	start();
	OK(cuMemHostAlloc(&p, 5000, CU_MEMHOSTALLOC_WRITECOMBINED));
	memset(p, 1, 5000);
	OK(cuMemHostGetDevicePointer(&d, (char *)p + 10, 0));
	ck_assert_uint_eq(d, (uintptr_t)p + 10);
	OK(cuMemHostGetFlags(&flags, p));
	ck_assert_uint_eq(flags, CU_MEMHOSTALLOC_WRITECOMBINED | CU_MEMHOSTALLOC_DEVICEMAP);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc(&p, 10, 64));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemHostUnregister(p)); /* known, and not registered */
	OK(cuMemFreeHost(p));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(p));
	OK(cuMemHostRegister(own, 8192, 0));
	FAILS(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(own + 4096, 4096, 0));
	OK(cuMemHostGetDevicePointer(&d, own, 0));
	OK(cuMemsetD8(d, 9, 8192));
	OK(cuCtxSynchronize());
	ck_assert_int_eq(own[8191], 9);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(own));
	OK(cuMemHostUnregister(own));
	FAILS(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(own));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemHostGetDevicePointer(&d, own, 0));
	free(own);
}
END_TEST

START_TEST(pointer_attributes)
{
	CUpointer_attribute what[] = {CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
				      CU_POINTER_ATTRIBUTE_RANGE_SIZE};
	unsigned int type = 9, type2 = 9, on = 1;
	size_t size = 9;
	void *out[] = {&type2, &size};
	CUcontext c = start(), got;
	CUdeviceptr p;
	void *h;

	OK(cuMemAlloc(&p, 1000));
	OK(cuMemAllocHost(&h, 100));
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 999));
	ck_assert_uint_eq(type, CU_MEMORYTYPE_DEVICE);
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p + 1000));
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (uintptr_t)h));
	ck_assert_uint_eq(type, CU_MEMORYTYPE_HOST);
	OK(cuPointerGetAttribute(&got, CU_POINTER_ATTRIBUTE_CONTEXT, p));
	ck_assert_ptr_eq(got, c);
	OK(cuPointerGetAttributes(2, what, out, p));
	ck_assert_uint_eq(type2, CU_MEMORYTYPE_DEVICE);
	ck_assert_uint_eq(size, 1000);
	OK(cuPointerGetAttributes(2, what, out, (uintptr_t)&type));
	ck_assert_uint_eq(type2, 0);
	ck_assert_uint_eq(size, 0);
	OK(cuPointerSetAttribute(&on, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
	OK(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_SYNC_MEMOPS, p));
	ck_assert_uint_eq(type, 1);
}
END_TEST

START_TEST(virtual_memory)
{
	CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
				    .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
			    got;
	CUmemAccessDesc rw = {{CU_MEM_LOCATION_TYPE_DEVICE, 0}, CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	CUmemGenericAllocationHandle a, b, again;
	unsigned long long flags;
	CUdeviceptr va, fixed;
	size_t grain, before;
	uint32_t v;

	start();
	before = free_memory();
	OK(cuMemGetAllocationGranularity(&grain, &prop, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	ck_assert_uint_eq(grain, 2 * MIB);
	OK(cuMemAddressReserve(&va, 8 * grain, 0, 0, 0));
	OK(cuMemAddressFree(va, 8 * grain));
	OK(cuMemAddressReserve(&fixed, 8 * grain, 0, va, 0));
	ck_assert_uint_eq(fixed, va);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&fixed, grain + 1, 0, 0, 0));
	OK(cuMemCreate(&a, 2 * grain, &prop, 0));
	OK(cuMemCreate(&b, grain, &prop, 0));
	ck_assert_uint_eq(before - free_memory(), 3 * grain);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&b, 4096, &prop, 0));
	FAILS(CUDA_ERROR_OUT_OF_MEMORY, cuMemCreate(&again, 1ull << 40, &prop, 0));
	OK(cuMemMap(va, 2 * grain, 0, a, 0));
	OK(cuMemMap(va + 2 * grain, grain, 0, b, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemMap(va + grain, grain, 0, b, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemMap(va + 8 * grain, grain, 0, b, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(va, 1, 1)); /* no access yet */
	OK(cuMemSetAccess(va, 3 * grain, &rw, 1));
	OK(cuMemGetAccess(&flags, &rw.location, va + grain));
	ck_assert_uint_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_READWRITE);
	OK(cuMemsetD32(va, 77, 3 * grain / 4)); /* across both */
	OK(cuMemGetAllocationPropertiesFromHandle(&got, b));
	ck_assert_int_eq(got.type, prop.type);
	OK(cuMemRetainAllocationHandle(&again, (void *)(va + 2 * grain + 5)));
	ck_assert_uint_eq(again, b);
	OK(cuMemRelease(again));
	OK(cuMemMap(va + 4 * grain, grain, 0, b, 0)); /* a second view of the same memory */
	OK(cuMemSetAccess(va + 4 * grain, grain, &rw, 1));
	OK(cuMemcpyDtoH(&v, va + 4 * grain, 4));
	ck_assert_uint_eq(v, 77);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(va, grain)); /* half a mapping */
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(va, 8 * grain));
	OK(cuMemRelease(b));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemRelease(b));
	OK(cuMemUnmap(va + 2 * grain, grain));
	ck_assert_uint_eq(before - free_memory(), 3 * grain); /* the other view holds it */
	OK(cuMemUnmap(va + 4 * grain, grain));
	ck_assert_uint_eq(before - free_memory(), 2 * grain);
	OK(cuMemUnmap(va, 2 * grain));
	OK(cuMemMap(va + 6 * grain, 2 * grain, 0, a, 0)); /* contents survive */
	OK(cuMemSetAccess(va + 6 * grain, 2 * grain, &rw, 1));
	OK(cuMemcpyDtoH(&v, va + 7 * grain, 4));
	ck_assert_uint_eq(v, 77);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&v, va, 4));
	OK(cuMemUnmap(va + 6 * grain, 2 * grain));
	OK(cuMemRelease(a));
	OK(cuMemAddressFree(va, 8 * grain));
	ck_assert_uint_eq(before, free_memory());
}
END_TEST

static uint64_t copied_in(CUdeviceptr d, void *h, size_t n, bool to_device)
{
	const uint64_t begin = test_now_ns();

	if (to_device)
		OK(cuMemcpyHtoD(d, h, n));
	else
		OK(cuMemcpyDtoH(h, d, n));
	return test_now_ns() - begin;
}

/* Of each direction, however fast the host copies. Within the device there is no link. */
START_TEST(the_link_has_a_rate)
{
	const size_t n = _i ? 16 * MIB : 64 * MIB;
	const uint64_t least = (_i ? 4 : 1) * (n - MIB);
	CUdeviceptr d;
	void *h;

	setenv("SIMCUDA_LINK_GBPS", _i ? "0.25" : "1", 1);
	start();
	OK(cuMemAlloc(&d, 2 * n));
	OK(cuMemHostAlloc(&h, n, 0));
	memset(h, 7, n);
	ck_assert_uint_ge(copied_in(d, h, n, true), least);
	ck_assert_uint_ge(copied_in(d, h, n, false), least);
	OK(cuMemcpyDtoD(d + n, d, n));
	memset(h, 0, n);
	copied_in(d + n, h, n, false);
	ck_assert_int_eq(((char *)h)[n - 1], 7);
	OK(cuMemFreeHost(h));
	OK(cuMemFree(d));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_memory");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, allocation_counts);
	tcase_add_test(t, context_takes_its_memory_along);
	tcase_add_test(t, linear_copies);
	tcase_add_test(t, batches);
	tcase_add_test(t, box_copies);
	tcase_add_test(t, memsets);
	tcase_add_test(t, host_memory);
	tcase_add_test(t, pointer_attributes);
	tcase_add_test(t, virtual_memory);
	tcase_add_loop_test(t, the_link_has_a_rate, 0, 2);
	suite_add_tcase(s, t);
	return run_suite(s, "memory");
}
