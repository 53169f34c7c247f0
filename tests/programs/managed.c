/* SPDX-License-Identifier: MIT */
/*
 * Managed memory: written here, changed by kernels and copies, read here, at one address and with
 * no copy; by system calls too; while the GPU uses it; prefetches and advice, as queries show them.
 * A device without it says so; the text is the same.
 */
#include <dlfcn.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { PAGE = 4096, PAGES = 16, BYTES = PAGES * PAGE, WORDS = BYTES / 4 };

static const CUmemLocation gpu = {CU_MEM_LOCATION_TYPE_DEVICE, 0};
static const CUmemLocation host = {CU_MEM_LOCATION_TYPE_HOST, 0};

static CUdeviceptr managed(size_t bytes)
{
	CUdeviceptr p = 0;

	CU(cuMemAllocManaged(&p, bytes, CU_MEM_ATTACH_GLOBAL));
	CHECK(p, "managed memory at 0");
	return p;
}

static uint32_t *words(CUdeviceptr p)
{
	return (uint32_t *)(uintptr_t)p;
}

static void check_words(CUdeviceptr p, uint32_t n, uint32_t seed, uint32_t more, const char *what)
{
	for (uint32_t i = 0; i < n; i++)
		CHECK(words(p)[i] == fill_value(seed, i) + more, "%s: word %u is %u", what, i,
		      words(p)[i]);
}

/* The CPU writes, kernels check and change, the CPU reads; again and again. */
static void check_kernels(CUmodule module)
{
	CUdeviceptr p = managed(BYTES), wrong = managed(4);
	uint32_t n = WORDS, seed;

	for (seed = 1; seed < 6; seed++) {
		for (uint32_t i = 0; i < n; i++)
			words(p)[i] = fill_value(seed, i);
		*words(wrong) = 0;
		LAUNCH(function(module, "verify"), 4, 128, 0, NULL, &p, &n, &seed, &wrong);
		LAUNCH(function(module, "increment"), 4, 128, 0, NULL, &p, &n);
		CU(cuCtxSynchronize());
		CHECK(!*words(wrong), "a kernel saw %u wrong words", *words(wrong));
		check_words(p, n, seed, 1, "after a kernel");
	}
	CU(cuMemFree(p));
	CU(cuMemFree(wrong));
}

static void check_copies(void)
{
	CUdeviceptr p = managed(BYTES), q = managed(BYTES), d = device_alloc(BYTES);
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	for (uint32_t i = 0; i < WORDS; i++)
		words(p)[i] = fill_value(9, i);
	CU(cuMemcpy(d, p, BYTES));
	check_filled(d, WORDS, 9, "a copy from managed memory");
	CU(cuMemcpyDtoH((void *)(uintptr_t)q, d, BYTES));
	check_words(q, WORDS, 9, 0, "a copy to managed memory");
	CU(cuMemsetD32(q, 7, WORDS));
	for (uint32_t i = 0; i < WORDS; i++)
		CHECK(words(q)[i] == 7, "word %u is not filled", i);
	CU(cuMemcpyDtoDAsync(q, p, BYTES, s));
	CU(cuStreamSynchronize(s));
	check_words(q, WORDS, 9, 0, "a copy between managed memory");
	CU(cuStreamDestroy(s));
	CU(cuMemFree(p));
	CU(cuMemFree(q));
	CU(cuMemFree(d));
}

/* The kernel's side of a page fault is in the system: it reaches the memory, too. */
static void check_system_calls(CUmodule module)
{
	CUdeviceptr p = managed(BYTES);
	uint32_t n = WORDS, seed = 3;
	char *back = host_alloc(BYTES);
	int fd[2];

	LAUNCH(function(module, "fill"), 4, 128, 0, NULL, &p, &n, &seed);
	CU(cuCtxSynchronize());
	CHECK(!pipe(fd), "no pipe");
	for (int at = 0; at < BYTES; at += PAGE) {
		CHECK(write(fd[1], (char *)(uintptr_t)p + at, PAGE) == PAGE, "not written");
		CHECK(read(fd[0], back + at, PAGE) == PAGE, "not read");
	}
	CHECK(!memcmp(back, words(p), BYTES), "other bytes were written");
	CHECK(write(fd[1], "managed", 8) == 8 && read(fd[0], words(p), 8) == 8, "not read");
	CHECK(!strcmp((char *)(uintptr_t)p, "managed"), "other bytes were read");
	close(fd[0]);
	close(fd[1]);
	free(back);
	CU(cuMemFree(p));
}

/* The CPU uses one part while the GPU may use another: behind a gate it has not begun. */
static void check_beside(CUmodule module)
{
	CUdeviceptr p = managed(BYTES);
	uint32_t n = WORDS / 2, seed = 4;
	struct gate gate;
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	gate_close(&gate, s);
	LAUNCH(function(module, "increment"), 4, 128, 0, s, &p, &n);
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
	for (uint32_t i = 0; i < WORDS; i++)
		words(p)[i] = fill_value(seed, i);
	gate_open(&gate);
	CU(cuStreamSynchronize(s));
	check_words(p, n, seed, 1, "beside work");
	CHECK(words(p)[n] == fill_value(seed, n), "a word beside is changed");
	CU(cuStreamDestroy(s));
	CU(cuMemFree(p));
}

static int ask(CUdeviceptr p, size_t bytes, CUmem_range_attribute attr)
{
	int value = 77;

	CU(cuMemRangeGetAttribute(&value, sizeof(value), attr, p, bytes));
	return value;
}

static void want_accessed(CUdeviceptr p, size_t bytes, int a, int b, int c)
{
	int by[3] = {77, 77, 77};

	CU(cuMemRangeGetAttribute(by, sizeof(by), CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, p, bytes));
	CHECK(by[0] == a && by[1] == b && by[2] == c, "accessed by %d %d %d", by[0], by[1], by[2]);
}

static void check_advice(void)
{
	CUdeviceptr p = managed(BYTES);

	CHECK(!ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), "mostly read from the first");
	CU(cuMemAdvise(p + 5 * PAGE + 1, PAGE, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu));
	CHECK(ask(p + 5 * PAGE, 2 * PAGE, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 1,
	      "not whole pages");
	CHECK(!ask(p + 5 * PAGE, 2 * PAGE + 1, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY),
	      "too many pages");
	CHECK(!ask(p + 5 * PAGE - 1, 2, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), "the page before");
	CU(cuMemAdvise(p, BYTES, CU_MEM_ADVISE_SET_READ_MOSTLY, host));
	CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 1, "not all of it");
	CU(cuMemAdvise(p, 1, CU_MEM_ADVISE_UNSET_READ_MOSTLY, gpu));
	CHECK(!ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY), "still all of it");
	CHECK(ask(p + PAGE, BYTES - PAGE, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY) == 1, "not the rest");

	want_accessed(p, BYTES, CU_DEVICE_INVALID, CU_DEVICE_INVALID, CU_DEVICE_INVALID);
	CU(cuMemAdvise(p, BYTES, CU_MEM_ADVISE_SET_ACCESSED_BY, gpu));
	want_accessed(p, BYTES, 0, CU_DEVICE_INVALID, CU_DEVICE_INVALID);
	CU(cuMemAdvise(p, BYTES / 2, CU_MEM_ADVISE_SET_ACCESSED_BY, host));
	want_accessed(p, BYTES / 2, 0, CU_DEVICE_CPU, CU_DEVICE_INVALID);
	want_accessed(p, BYTES, 0, CU_DEVICE_INVALID, CU_DEVICE_INVALID);
	CU(cuMemAdvise(p, BYTES, CU_MEM_ADVISE_UNSET_ACCESSED_BY, gpu));
	want_accessed(p, PAGE, CU_DEVICE_CPU, CU_DEVICE_INVALID, CU_DEVICE_INVALID);
	CU(cuMemFree(p));
}

static void check_places(void)
{
	const CUmemLocation node = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 0};
	const CUmemLocation none = {CU_MEM_LOCATION_TYPE_HOST_NUMA, 1000};
	const CUmem_range_attribute all[] = {CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_TYPE,
					     CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION_ID,
					     CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION_TYPE,
					     CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION};
	CUmem_range_attribute copy[4];
	CUdeviceptr p = managed(BYTES);
	int got[4];

	memcpy(copy, all, sizeof(all));
	CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_INVALID &&
		      ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) ==
			      CU_DEVICE_INVALID,
	      "a place from the first");
	CU(cuMemAdvise(p, BYTES, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, gpu));
	CHECK(!ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION), "not the device");
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemAdvise(p, PAGE, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, none));
	CU(cuMemAdvise(p + 8 * PAGE, PAGE, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, node));
	CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_INVALID,
	      "two places are one");
	CU(cuMemPrefetchAsync(p, BYTES, gpu, 0, NULL));
	CHECK(!ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION), "not prefetched");
	CU(cuMemPrefetchAsync(p + 8 * PAGE, 1, host, 0, CU_STREAM_PER_THREAD));
	CU(cuMemRangeGetAttributes((void *[]){&got[0], &got[1], &got[2], &got[3]},
				   (size_t[]){4, 4, 4, 4}, copy, 4, p + 8 * PAGE, PAGE));
	CHECK(got[0] == CU_MEM_LOCATION_TYPE_HOST_NUMA && !got[1] &&
		      got[2] == CU_MEM_LOCATION_TYPE_HOST && got[3] == CU_DEVICE_CPU,
	      "places %d %d %d %d", got[0], got[1], got[2], got[3]);
	CU(cuMemAdvise(p, BYTES, CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, gpu));
	CHECK(ask(p, PAGE, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_INVALID,
	      "a place after the last");
	CU(cuCtxSynchronize());
	CU(cuMemFree(p));
	p = managed(BYTES);
	CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) == CU_DEVICE_INVALID,
	      "another allocation's place");
	CU(cuMemFree(p));
}

static void check_pointer(void)
{
	CUpointer_attribute what[] = {
		CU_POINTER_ATTRIBUTE_IS_MANAGED,   CU_POINTER_ATTRIBUTE_MEMORY_TYPE,
		CU_POINTER_ATTRIBUTE_HOST_POINTER, CU_POINTER_ATTRIBUTE_DEVICE_POINTER,
		CU_POINTER_ATTRIBUTE_RANGE_SIZE,   CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL};
	CUdeviceptr p = managed(BYTES), dev = 0, base = 0;
	unsigned int is = 0, type = 0, flags;
	void *here = NULL;
	size_t size = 0;
	int ordinal = 9;

	CU(cuPointerGetAttributes(6, what, (void *[]){&is, &type, &here, &dev, &size, &ordinal},
				  p + 8));
	CHECK((is & 0xff) == 1 && type == CU_MEMORYTYPE_DEVICE && !ordinal, "managed %u, type %u",
	      is, type);
	CHECK(here == (void *)(uintptr_t)(p + 8) && dev == p + 8, "two addresses");
	CHECK(size == BYTES, "%zu bytes", size);
	CU(cuMemGetAddressRange(&base, &size, p + 100));
	CHECK(base == p && size == BYTES, "%zu bytes at %llx", size, base);
	/* It is no pinned memory, but has such flags. */
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(here));
	CU(cuMemHostGetFlags(&flags, here));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(p + PAGE));
	CU(cuMemFree(p));
	if (handles_are_checked())
		WANT(CUDA_ERROR_INVALID_VALUE, cuMemFree(p));
}

static void check_bad_attach(CUstream s, CUdeviceptr p, CUdeviceptr device)
{
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamAttachMemAsync(NULL, p, 0, CU_MEM_ATTACH_SINGLE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamAttachMemAsync(s, p, 0, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamAttachMemAsync(s, p, 0, 3));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamAttachMemAsync(s, p, PAGE, CU_MEM_ATTACH_HOST));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuStreamAttachMemAsync(s, p + PAGE, 0, CU_MEM_ATTACH_SINGLE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamAttachMemAsync(s, device, 0, CU_MEM_ATTACH_SINGLE));
}

static void check_attach(void)
{
	CUdeviceptr p = managed(BYTES), d = device_alloc(PAGE);
	CUstream s;

	CU(cuStreamCreate(&s, 0));
	CU(cuStreamAttachMemAsync(s, p, 0, CU_MEM_ATTACH_SINGLE));
	CU(cuStreamAttachMemAsync(s, p, BYTES, CU_MEM_ATTACH_HOST));
	CU(cuStreamAttachMemAsync(NULL, p, 0, CU_MEM_ATTACH_GLOBAL));
	CU(cuStreamAttachMemAsync(CU_STREAM_PER_THREAD, p, 0, CU_MEM_ATTACH_SINGLE));
	if (handles_are_checked())
		check_bad_attach(s, p, d);
	CU(cuStreamDestroy(s));
	CU(cuMemFree(d));
	CU(cuMemFree(p));
}

static void check_refused(void)
{
	const CUmemLocation bad = {CU_MEM_LOCATION_TYPE_DEVICE, 7}, none = {0, 0},
			    current = {CU_MEM_LOCATION_TYPE_HOST_NUMA_CURRENT, 0};
	CUdeviceptr p = managed(BYTES), d = device_alloc(PAGE), q;
	CUmem_range_attribute one = CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY;
	void *data[2];
	int v[4];

	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(NULL, 64, CU_MEM_ATTACH_GLOBAL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&q, 0, CU_MEM_ATTACH_GLOBAL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&q, 64, CU_MEM_ATTACH_SINGLE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAllocManaged(&q, 64, 0));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocManaged(&q, ~(size_t)0, CU_MEM_ATTACH_GLOBAL));
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuMemAllocManaged(&q, (size_t)1 << 50, CU_MEM_ATTACH_HOST));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(p, 0, gpu, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(p, PAGE, gpu, 1, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(p, BYTES + 1, gpu, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(p, ~(size_t)0, gpu, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(d, PAGE, gpu, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(p, PAGE, none, 0, NULL));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuMemPrefetchAsync(p, PAGE, bad, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise(p, PAGE, 0, gpu));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise(p, PAGE, 7, gpu));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise(d, PAGE, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemAdvise(p, 0, CU_MEM_ADVISE_SET_READ_MOSTLY, gpu));
	WANT(CUDA_ERROR_INVALID_DEVICE, cuMemAdvise(p, PAGE, CU_MEM_ADVISE_SET_ACCESSED_BY, bad));
	WANT(CUDA_ERROR_INVALID_DEVICE,
	     cuMemAdvise(p, PAGE, CU_MEM_ADVISE_SET_ACCESSED_BY, current));
	CU(cuMemAdvise(p, PAGE, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, current));
	CU(cuMemAdvise(p, PAGE, CU_MEM_ADVISE_UNSET_PREFERRED_LOCATION, bad));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttribute(v, 8, one, p, PAGE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttribute(NULL, 4, one, p, PAGE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttribute(v, 4, 9, p, PAGE));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemRangeGetAttribute(v, 6, CU_MEM_RANGE_ATTRIBUTE_ACCESSED_BY, p, PAGE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttribute(v, 4, one, d, PAGE));
	data[0] = v;
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemRangeGetAttributes(data, (size_t[]){4}, &one, 0, p, PAGE));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemRangeGetAttributes(data, NULL, &one, 1, p, PAGE));
	CU(cuMemFree(d));
	CU(cuMemFree(p));
}

/* By the names of before CUDA 12.2, where a device's number is a place, and of programs whose
 * default stream is the thread's own. */
static void check_names(void)
{
	static const char *const by_number[] = {"cuMemPrefetchAsync", "cuMemPrefetchAsync_ptsz"};
	void *library = dlopen("libcuda.so.1", RTLD_NOW);
	CUresult (*advise)(CUdeviceptr, size_t, CUmem_advise, CUdevice) =
		dlsym(library, "cuMemAdvise");
	CUresult (*attach)(CUstream, CUdeviceptr, size_t, unsigned int) =
		dlsym(library, "cuStreamAttachMemAsync_ptsz");
	CUresult (*prefetch)(CUdeviceptr, size_t, CUmemLocation, unsigned int, CUstream) =
		dlsym(library, "cuMemPrefetchAsync_v2_ptsz");
	CUdeviceptr p = managed(BYTES);

	CU(advise(p, BYTES, CU_MEM_ADVISE_SET_PREFERRED_LOCATION, CU_DEVICE_CPU));
	CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_PREFERRED_LOCATION) == CU_DEVICE_CPU, "advice");
	WANT(CUDA_ERROR_INVALID_DEVICE, advise(p, BYTES, CU_MEM_ADVISE_SET_ACCESSED_BY, 9));
	for (int i = 0; i < 2; i++) {
		CUresult (*fetch)(CUdeviceptr, size_t, CUdevice, CUstream) =
			dlsym(library, by_number[i]);

		CU(fetch(p, BYTES, i - 1, NULL));
		CHECK(ask(p, BYTES, CU_MEM_RANGE_ATTRIBUTE_LAST_PREFETCH_LOCATION) == i - 1, "%s",
		      by_number[i]);
		WANT(CUDA_ERROR_INVALID_DEVICE, fetch(p, BYTES, 9, NULL));
	}
	CU(prefetch(p, BYTES, host, 0, NULL));
	/* NULL is a stream of the thread's. */
	CU(attach(NULL, p, 0, CU_MEM_ATTACH_SINGLE));
	CU(cuMemFree(p));
	dlclose(library);
}

/* It is not allocated, and not prefetched, while a stream is captured. */
static void check_capture(void)
{
	CUdeviceptr p = managed(BYTES), q;
	CUgraph graph;
	CUstream s;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemAllocManaged(&q, 64, CU_MEM_ATTACH_HOST));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &graph));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	WANT(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, cuMemPrefetchAsync(p, PAGE, gpu, 0, s));
	WANT(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, cuStreamEndCapture(s, &graph));
	CU(cuStreamDestroy(s));
	CU(cuMemFree(p));
}

/* Where the device does not reach the CPU's memory, and the attributes say so. */
static void check_absent(void)
{
	CUdeviceptr p, d = device_alloc(PAGE);
	int v;

	WANT(CUDA_ERROR_NOT_SUPPORTED, cuMemAllocManaged(&p, 64, CU_MEM_ATTACH_GLOBAL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemPrefetchAsync(d, PAGE, gpu, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuMemRangeGetAttribute(&v, 4, CU_MEM_RANGE_ATTRIBUTE_READ_MOSTLY, d, PAGE));
	CU(cuMemFree(d));
}

int main(void)
{
	int has, both, mapped;
	CUmodule module;

	start();
	CU(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY, 0));
	CU(cuDeviceGetAttribute(&both, CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS, 0));
	CU(cuDeviceGetAttribute(&mapped, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	if (!has) {
		CHECK(!both && !mapped, "attributes %d, %d", both, mapped);
		check_absent();
	} else {
		module = load(ptx_vector);
		check_kernels(module);
		check_copies();
		check_system_calls(module);
		if (both)
			check_beside(module);
		check_advice();
		check_places();
		check_pointer();
		check_attach();
		if (handles_are_checked())
			check_refused();
		check_names();
		check_capture();
	}
	printf("managed memory is right\n");
	finish();
	return 0;
}
