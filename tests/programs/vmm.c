/* SPDX-License-Identifier: MIT */
/*
 * Virtual memory management: physical memory and addresses made apart, mapped, used by kernels and
 * copies over several mappings, seen at two places; a segment that grows and shrinks as PyTorch's
 * expandable ones do; right and wrong arguments.
 */
#include "tests/programs/common.h"

PTX(ptx_vector);

static const CUmemAllocationProp plain = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
					  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc writable = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
					 CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
static const CUmemAccessDesc hidden = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
				       CU_MEM_ACCESS_FLAGS_PROT_NONE};

static size_t grain;

static CUmemGenericAllocationHandle create(size_t bytes)
{
	CUmemGenericAllocationHandle h = 0;

	CU(cuMemCreate(&h, bytes, &plain, 0));
	return h;
}

/* Physical memory at an address that stays when its handle goes. */
static void map_new(CUdeviceptr at, size_t bytes)
{
	const CUmemGenericAllocationHandle h = create(bytes);

	CU(cuMemMap(at, bytes, 0, h, 0));
	CU(cuMemSetAccess(at, bytes, &writable, 1));
	CU(cuMemRelease(h));
}

static void fill(CUfunction f, CUdeviceptr at, size_t bytes, uint32_t seed)
{
	uint32_t n = (uint32_t)(bytes / 4);

	LAUNCH(f, (n + 255) / 256, 256, 0, NULL, &at, &n, &seed);
	CU(cuCtxSynchronize());
}

static void want_filled(CUdeviceptr at, size_t bytes, uint32_t seed)
{
	uint32_t *got = host_alloc(bytes);

	download(got, at, bytes);
	for (uint32_t i = 0; i < bytes / 4; i++)
		CHECK(got[i] == fill_value(seed, i), "word %u of mapped memory is %u", i, got[i]);
	free(got);
}

static void check_arguments(CUdevice dev)
{
	CUmemAllocationProp p = plain, q;
	CUmemGenericAllocationHandle h, g;
	unsigned long long flags;
	CUdeviceptr va;
	int yes;
	size_t n;

	CU(cuDeviceGetAttribute(&yes, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
				dev));
	CHECK(yes == 1, "no virtual memory management");
	CU(cuMemGetAllocationGranularity(&grain, &p, CU_MEM_ALLOC_GRANULARITY_MINIMUM));
	CU(cuMemGetAllocationGranularity(&n, &p, CU_MEM_ALLOC_GRANULARITY_RECOMMENDED));
	CHECK(grain && n >= grain && !(n % grain), "granularities of %zu and %zu", grain, n);
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAllocationGranularity(NULL, &p, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAllocationGranularity(&n, NULL, 0));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemGetAllocationGranularity(&n, &p, (CUmemAllocationGranularity_flags)2));
	p.location.id = 9;
	CU(cuMemGetAllocationGranularity(&n, &p, 0));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuMemCreate(&h, grain, &p, 0));
	p = plain;
	p.type = CU_MEM_ALLOCATION_TYPE_INVALID;
	CU(cuMemGetAllocationGranularity(&n, &p, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&h, grain, &p, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&h, grain, NULL, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(NULL, grain, &plain, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&h, 0, &plain, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&h, grain + 1, &plain, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemCreate(&h, grain, &plain, 1));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemCreate(&h, (size_t)1 << 44, &plain, 0));
	/* Handles that may be exported are made. */
	p = plain;
	p.requestedHandleTypes = CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR;
	CU(cuMemCreate(&h, grain, &p, 0));
	CU(cuMemGetAllocationPropertiesFromHandle(&q, h));
	CHECK(q.requestedHandleTypes == p.requestedHandleTypes && q.type == p.type, "properties");
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAllocationPropertiesFromHandle(NULL, h));

	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(NULL, grain, 0, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&va, 0, 0, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&va, grain + 4096, 0, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&va, grain, 3, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressReserve(&va, grain, 0, 0, 1));
	CU(cuMemAddressReserve(&va, 4 * grain, 0, 0, 0));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(va, grain, grain, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemMap(va, grain, 0, h, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemMap(va, grain, 0, 0, 0));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuMemMap(va, 2 * grain, 0, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemMap(va + 4096, grain, 0, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemMap(va + 4 * grain, grain, 0, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(va, grain, &writable, 1));
	CU(cuMemUnmap(va, grain)); /* nothing is there */
	CU(cuMemMap(va + grain, grain, 0, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemMap(va + grain, grain, 0, h, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(va + grain, grain, NULL, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(va + grain, grain, &writable, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemSetAccess(va, 2 * grain, &writable, 1));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemSetAccess(va + grain, grain,
			    &(CUmemAccessDesc){{CU_MEM_LOCATION_TYPE_DEVICE, 9},
					       CU_MEM_ACCESS_FLAGS_PROT_READ},
			    1));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemSetAccess(va + grain, grain,
			    &(CUmemAccessDesc){writable.location, (CUmemAccess_flags)2}, 1));
	CU(cuMemGetAccess(&flags, &writable.location, va + grain));
	CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_NONE, "access at first is %llu", flags);
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(NULL, &writable.location, va + grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(&flags, NULL, va + grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemGetAccess(&flags, &writable.location, va));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRetainAllocationHandle(&g, (void *)(uintptr_t)va));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemRetainAllocationHandle(NULL, (void *)(uintptr_t)(va + grain)));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(va, 4 * grain)); /* in use */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(va + grain));
	CU(cuMemUnmap(va + grain, grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(va, grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(va + grain, 3 * grain));
	CU(cuMemAddressFree(va, 4 * grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAddressFree(va, 4 * grain));
	CU(cuMemRelease(h));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRelease(h));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRelease(0));
	printf("arguments: all right\n");
}

static void check_addresses(void)
{
	CUdeviceptr va, at, again;

	CU(cuMemAddressReserve(&va, 8 * grain, 16 * grain, 0, 0));
	CHECK(!(va % (16 * grain)), "an alignment that was asked for");
	CU(cuMemAddressReserve(&at, 8 * grain, 0, va, 0)); /* taken: elsewhere */
	CHECK(at + 8 * grain <= va || va + 8 * grain <= at, "two reservations overlap");
	CU(cuMemAddressFree(va, 8 * grain));
	CU(cuMemAddressReserve(&again, 8 * grain, 0, va, 0));
	CHECK(again == va, "free addresses that were asked for are not given");
	CU(cuMemAddressFree(again, 8 * grain));
	CU(cuMemAddressFree(at, 8 * grain));
	printf("addresses: all right\n");
}

/* Handles, views and what they hold. */
static void check_memory(CUfunction f)
{
	CUmemGenericAllocationHandle a = create(2 * grain), b = create(grain), c;
	unsigned long long flags;
	CUdeviceptr va, base;
	unsigned int type;
	size_t bytes;
	uint32_t v = 0;

	CU(cuMemAddressReserve(&va, 8 * grain, 0, 0, 0));
	CU(cuMemMap(va, 2 * grain, 0, a, 0));
	CU(cuMemMap(va + 2 * grain, grain, 0, b, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(va, 1, 1)); /* no access yet */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&v, va, 4));
	CU(cuMemSetAccess(va, 3 * grain, &writable, 1));
	CU(cuMemGetAccess(&flags, &writable.location, va + grain));
	CHECK(flags == CU_MEM_ACCESS_FLAGS_PROT_READWRITE, "access is %llu", flags);
	/* A kernel, a fill and copies over both. */
	fill(f, va, 3 * grain, 1);
	want_filled(va, 3 * grain, 1);
	CU(cuMemsetD32(va + 2 * grain - 8, 77, 4));
	for (int i = 0; i < 4; i++) {
		CU(cuMemcpyDtoH(&v, va + 2 * grain - 8 + 4 * i, 4));
		CHECK(v == 77, "word %d over the border is %u", i, v);
	}
	CU(cuMemcpyDtoD(va, va + 2 * grain - 64, 128));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(va + 3 * grain - 4, 1, 2)); /* into the gap */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&v, va + 3 * grain, 4));
	CU(cuMemGetAddressRange(&base, &bytes, va + grain));
	CHECK(base == va && bytes == 2 * grain, "a mapping of %zu bytes", bytes);
	CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, va));
	CHECK(type == CU_MEMORYTYPE_DEVICE, "memory of type %u", type);
	/* A second view of the same memory. */
	CU(cuMemRetainAllocationHandle(&c, (void *)(uintptr_t)(va + 2 * grain + 5)));
	CHECK(c == b, "another handle of the same memory");
	CU(cuMemRelease(c));
	CU(cuMemMap(va + 4 * grain, grain, 0, b, 0));
	CU(cuMemSetAccess(va + 4 * grain, grain, &writable, 1));
	CU(cuMemsetD32(va + 4 * grain, 99, 1));
	CU(cuMemcpyDtoH(&v, va + 2 * grain, 4));
	CHECK(v == 99, "one view shows %u", v);
	CU(cuMemSetAccess(va + 4 * grain, grain, &hidden, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&v, va + 4 * grain, 4));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemUnmap(va, grain)); /* half a mapping */
	/* One view holds the memory when the other and the handle are gone. */
	CU(cuMemRelease(b));
	CU(cuMemUnmap(va + 2 * grain, grain));
	CU(cuMemSetAccess(va + 4 * grain, grain, &writable, 1));
	CU(cuMemcpyDtoH(&v, va + 4 * grain, 4));
	CHECK(v == 99, "the last view shows %u", v);
	CU(cuMemUnmap(va + 4 * grain, grain));
	/* Contents stay with the memory. */
	fill(f, va, 2 * grain, 2);
	CU(cuMemUnmap(va, 2 * grain));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoH(&v, va, 4));
	CU(cuMemMap(va + 6 * grain, 2 * grain, 0, a, 0));
	CU(cuMemSetAccess(va + 6 * grain, 2 * grain, &writable, 1));
	want_filled(va + 6 * grain, 2 * grain, 2);
	CU(cuMemUnmap(va + 6 * grain, 2 * grain));
	CU(cuMemRelease(a));
	CU(cuMemAddressFree(va, 8 * grain));
	printf("memory: all right\n");
}

/* As PyTorch's: more addresses than the device has memory, pieces that come and go. */
/* What the device may only read is not written by copies and fills, and stays readable. */
static void check_read_only(void)
{
	const size_t bytes = 2 << 20;
	const CUmemAllocationProp prop = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
					  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemAccessDesc access = {.location = prop.location,
				  .flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE};
	CUdeviceptr p, from = device_alloc(4096);
	CUmemGenericAllocationHandle h;
	CUDA_MEMCPY2D box = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			     .srcDevice = from,
			     .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			     .WidthInBytes = 64,
			     .Height = 2};
	uint32_t word = 0;

	CU(cuMemCreate(&h, bytes, &prop, 0));
	CU(cuMemAddressReserve(&p, bytes, 0, 0, 0));
	CU(cuMemMap(p, bytes, 0, h, 0));
	CU(cuMemSetAccess(p, bytes, &access, 1));
	CU(cuMemsetD32(p, 7, 1024));
	access.flags = CU_MEM_ACCESS_FLAGS_PROT_READ;
	CU(cuMemSetAccess(p, bytes, &access, 1));
	box.dstDevice = p;
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD32(p, 1, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyHtoD(p, &word, 4));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpyDtoD(p, from, 4));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemcpy2D(&box));
	download(&word, p, 4);
	CHECK(word == 7, "read-only memory is %u", word);
	CU(cuCtxSynchronize());
	access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
	CU(cuMemSetAccess(p, bytes, &access, 1));
	CU(cuMemsetD32(p, 8, 1));
	CU(cuMemUnmap(p, bytes));
	CU(cuMemAddressFree(p, bytes));
	CU(cuMemRelease(h));
	CU(cuMemFree(from));
}

static void check_segment(CUfunction f)
{
	enum { PIECES = 6, OVERLAP = 64 << 10 };
	size_t total, room;
	CUdeviceptr va;

	CU(cuDeviceTotalMem(&total, 0));
	room = (total + total / 8 + grain - 1) / grain * grain;
	CU(cuMemAddressReserve(&va, room, 0, 0, 0));
	for (size_t i = 0; i < PIECES; i++) {
		map_new(va + i * grain, grain);
		fill(f, va + i * grain - (i ? OVERLAP : 0), 2 * OVERLAP, (uint32_t)i);
		want_filled(va + i * grain - (i ? OVERLAP : 0), 2 * OVERLAP, (uint32_t)i);
	}
	CU(cuMemUnmap(va + 2 * grain, 2 * grain)); /* two pieces from the middle */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(va, 1, PIECES * grain));
	map_new(va + 2 * grain, 2 * grain);
	fill(f, va + 2 * grain - OVERLAP, 2 * grain + 2 * OVERLAP, 9);
	want_filled(va + 2 * grain - OVERLAP, 2 * grain + 2 * OVERLAP, 9);
	CU(cuMemUnmap(va, PIECES * grain));
	CU(cuMemAddressFree(va, room));
	printf("segment: all right\n");
}

int main(void)
{
	const CUdevice dev = start();
	const CUfunction f = function(load(ptx_vector), "fill");

	fill(f, device_alloc(4096), 4096, 0); /* what a context takes at its first kernel */
	check_arguments(dev);
	check_addresses();
	check_memory(f);
	check_segment(f);
	check_read_only();
	finish();
	return 0;
}
