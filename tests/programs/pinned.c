/* SPDX-License-Identifier: MIT */
/* Pinned and registered host memory, used by the host, by copies and, where possible, by kernels.
 */
#include <sys/mman.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

static void check_attributes(CUdeviceptr p, CUmemorytype want, const char *what)
{
	CUpointer_attribute which[] = {
		CU_POINTER_ATTRIBUTE_MEMORY_TYPE, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
		CU_POINTER_ATTRIBUTE_RANGE_SIZE, CU_POINTER_ATTRIBUTE_IS_MANAGED};
	unsigned int type = 0, managed = 9;
	unsigned long long id[2] = {0, 0};
	CUcontext ctx, current;
	int ordinal = -1;
	size_t size = 0;

	CU(cuPointerGetAttributes(4, which, (void *[]){&type, &ordinal, &size, &managed}, p));
	CHECK(type == want && ordinal == 0 && size >= 4096, "%s: type %u, device %d, %zu bytes",
	      what, type, ordinal, size);
	CHECK(!(managed & 0xff), "%s is managed", what);
	CU(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, p));
	CHECK(type == want, "%s: type %u", what, type);
	CU(cuPointerGetAttribute(&ctx, CU_POINTER_ATTRIBUTE_CONTEXT, p));
	CU(cuCtxGetCurrent(&current));
	CHECK(ctx == current, "%s: another context", what);
	CU(cuPointerGetAttribute(&id[0], CU_POINTER_ATTRIBUTE_BUFFER_ID, p));
	CU(cuPointerGetAttribute(&id[1], CU_POINTER_ATTRIBUTE_BUFFER_ID, p + 1));
	CHECK(id[0] && id[0] == id[1], "%s: buffers %llu and %llu", what, id[0], id[1]);
	printf("%s: pointer attributes are right\n", what);
}

/* A kernel writes, the host reads and changes, a copy reads. */
static void check_use(uint32_t *host, uint32_t n, bool mapped, CUmodule module, const char *what)
{
	uint32_t seed = 6, wrong = 0, i;
	CUdeviceptr p = 0, dwrong = device_alloc(4), copy = device_alloc(n * 4);

	CU(cuMemsetD32(dwrong, 0, 1));
	for (i = 0; i < n; i++)
		host[i] = fill_value(seed, i);
	CU(cuMemcpyHtoDAsync(copy, host, n * 4, NULL));
	LAUNCH(function(module, "verify"), 2, 128, 0, NULL, &copy, &n, &seed, &dwrong);
	seed = 7;
	LAUNCH(function(module, "fill"), 2, 128, 0, NULL, &copy, &n, &seed);
	CU(cuMemcpyDtoHAsync(host, copy, n * 4, NULL));
	CU(cuCtxSynchronize());
	download(&wrong, dwrong, 4);
	CHECK(!wrong, "%s: %u words did not arrive", what, wrong);
	for (i = 0; i < n; i++)
		CHECK(host[i] == fill_value(seed, i), "%s: word %u did not come back", what, i);
	if (mapped) {
		CU(cuMemHostGetDevicePointer(&p, host, 0));
		LAUNCH(function(module, "verify"), 2, 128, 0, NULL, &p, &n, &seed, &dwrong);
		LAUNCH(function(module, "increment"), 2, 128, 0, NULL, &p, &n);
		CU(cuCtxSynchronize());
		download(&wrong, dwrong, 4);
		CHECK(!wrong, "%s: a kernel saw %u wrong words", what, wrong);
		for (i = 0; i < n; i++)
			CHECK(host[i] == fill_value(seed, i) + 1,
			      "%s: word %u is not what a kernel wrote", what, i);
	}
	CU(cuMemFree(dwrong));
	CU(cuMemFree(copy));
	printf("%s: all right\n", what);
}

/* The checks above rely on verify(): it must count all wrong words, and no others. */
static void check_verify(CUmodule module)
{
	uint32_t n = 1000, seed = 3, words[1000], wrong = 0;
	CUdeviceptr p, dwrong = device_alloc(4);

	for (uint32_t i = 0; i < n; i++)
		words[i] = fill_value(seed, i) + (i % 10 == 7);
	p = upload(words, sizeof(words));
	CU(cuMemsetD32(dwrong, 0, 1));
	LAUNCH(function(module, "verify"), 2, 128, 0, NULL, &p, &n, &seed, &dwrong);
	download(&wrong, dwrong, 4);
	CHECK(wrong == n / 10, "%u of %u wrong words are found", wrong, n / 10);
	CU(cuMemFree(p));
	CU(cuMemFree(dwrong));
}

static void check_allocated(CUmodule module, bool mapped)
{
	static const unsigned int all[] = {0, CU_MEMHOSTALLOC_PORTABLE,
					   CU_MEMHOSTALLOC_DEVICEMAP | CU_MEMHOSTALLOC_PORTABLE,
					   CU_MEMHOSTALLOC_WRITECOMBINED};
	unsigned int flags;
	uint32_t *host;

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		CU(cuMemHostAlloc((void **)&host, 40000, all[i]));
		CU(cuMemHostGetFlags(&flags, host));
		CHECK((flags & all[i]) == all[i], "flags %u became %u", all[i], flags);
		check_use(host, 10000, mapped && all[i] & CU_MEMHOSTALLOC_DEVICEMAP, module,
			  "allocated");
		CU(cuMemFreeHost(host));
	}
	CU(cuMemAllocHost((void **)&host, 12000));
	check_use(host, 3000, false, module, "cuMemAllocHost");
	check_attributes((CUdeviceptr)host, CU_MEMORYTYPE_HOST, "pinned memory");
	CU(cuMemFreeHost(host));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemFreeHost(host));
	WANT(CUDA_ERROR_INVALID_VALUE, cuMemHostAlloc((void **)&host, 100, 0x80));
}

static void check_registered(CUmodule module)
{
	size_t bytes = 5 * 4096;
	uint32_t *host;

	host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(host != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(host, bytes, CU_MEMHOSTREGISTER_PORTABLE));
	WANT(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, cuMemHostRegister(host, bytes, 0));
	check_use(host, (uint32_t)(bytes / 4), false, module, "registered");
	CU(cuMemHostUnregister(host));
	WANT(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, cuMemHostUnregister(host));
	host[0] = 12; /* still the program's */
	munmap(host, bytes);
}

int main(void)
{
	unsigned int type;
	CUmodule module;
	CUdeviceptr p;
	int mapped;

	start();
	CU(cuDeviceGetAttribute(&mapped, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	module = load(ptx_vector);
	check_verify(module);
	check_allocated(module, mapped);
	check_registered(module);
	p = device_alloc(8192);
	check_attributes(p, CU_MEMORYTYPE_DEVICE, "device memory");
	CU(cuMemFree(p));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)&p));
	finish();
	return 0;
}
