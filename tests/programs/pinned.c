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

/* As documented, CU_MEMHOSTREGISTER_DEVICEMAP is taken everywhere, and cuMemHostGetDevicePointer
 * says whether memory is mapped. Where the device uses the host's addresses for it, it is. */
static void check_mapping(uint32_t *host, size_t bytes, CUmodule module)
{
	static const unsigned int flags[] = {CU_MEMHOSTREGISTER_DEVICEMAP,
					     CU_MEMHOSTREGISTER_DEVICEMAP |
						     CU_MEMHOSTREGISTER_PORTABLE};
	CUdeviceptr p = 0;
	int same;
	CUresult r;

	CU(cuDeviceGetAttribute(&same, CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
				0));
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		CU(cuMemHostRegister(host, bytes, flags[i]));
		r = cuMemHostGetDevicePointer(&p, host, 0);
		CHECK(r == CUDA_SUCCESS || r == CUDA_ERROR_INVALID_VALUE, "%s", result_name(r));
		CHECK(r == CUDA_SUCCESS || !same,
		      "the host's address is the device's, and is not mapped");
		CHECK(!same || p == (CUdeviceptr)host, "the device's address is %llx, not %p", p,
		      (void *)host);
		check_use(host, (uint32_t)(bytes / 4), r == CUDA_SUCCESS, module,
			  "registered and mapped where possible");
		CU(cuMemHostUnregister(host));
	}
}

enum { LARGE = (9 << 20) + 4096 };

/* Neither direction waits for what stands before it in its stream, and each byte moves when the
 * copy's turn has come. Another stream's copies go on meanwhile. */
static void check_not_waiting(void)
{
	uint8_t *a = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint8_t *b = mmap(NULL, LARGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CUdeviceptr held = device_alloc(LARGE), other = device_alloc(LARGE);
	CUstream s, beside;
	struct gate gate;

	CHECK(a != MAP_FAILED && b != MAP_FAILED, "no memory");
	CU(cuMemHostRegister(a, LARGE, 0));
	CU(cuMemHostRegister(b, LARGE, 0));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&beside, CU_STREAM_NON_BLOCKING));
	memset(a, 1, LARGE);
	memset(b, 2, LARGE);
	gate_close(&gate, s);
	CU(cuMemcpyHtoDAsync(held, a, LARGE, s));
	CU(cuMemcpyDtoHAsync(a + 4096, held, 8192, s));
	CU(cuMemcpyHtoDAsync(other, b, LARGE, beside));
	CU(cuMemsetD8Async(other + 5, 3, 1, beside));
	CU(cuMemcpyDtoHAsync(b, other, LARGE, beside));
	CU(cuStreamSynchronize(beside));
	CHECK(b[4] == 2 && b[5] == 3 && b[LARGE - 1] == 2, "beside: %u %u %u", b[4], b[5],
	      b[LARGE - 1]);
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
	memset(a, 4, LARGE);
	gate_open(&gate);
	CU(cuStreamSynchronize(s));
	CU(cuMemcpyDtoH(b, held, LARGE));
	for (size_t i = 0; i < LARGE; i++)
		CHECK(b[i] == 4 && a[i] == 4, "byte %zu: %u on the device, %u here", i, b[i], a[i]);
	CU(cuMemHostUnregister(a));
	CU(cuMemHostUnregister(b));
	munmap(a, LARGE);
	munmap(b, LARGE);
	CU(cuMemFree(held));
	CU(cuMemFree(other));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(beside));
}

/* A host function that waits holds up no copy of another stream. */
static void check_beside_host_function(void)
{
	CUdeviceptr d = device_alloc(LARGE);
	CUstream s, beside;
	struct gate gate;
	uint8_t *a, *b;

	CU(cuMemHostAlloc((void **)&a, LARGE, 0));
	CU(cuMemHostAlloc((void **)&b, LARGE, 0));
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&beside, CU_STREAM_NON_BLOCKING));
	gate_close(&gate, s);
	random_fill(a, LARGE, 3);
	memset(b, 0, LARGE);
	CU(cuMemcpyHtoDAsync(d, a, LARGE, beside));
	CU(cuMemcpyDtoHAsync(b, d, LARGE, beside));
	CU(cuStreamSynchronize(beside));
	CHECK(!memcmp(a, b, LARGE), "beside a host function: other bytes");
	memset(b, 0, LARGE);
	CU(cuMemcpyAsync((CUdeviceptr)b, (CUdeviceptr)a, LARGE, beside));
	CU(cuStreamSynchronize(beside));
	CHECK(!memcmp(a, b, LARGE), "beside a host function: other bytes in pinned memory");
	gate_open(&gate);
	CU(cuStreamSynchronize(s));
	CU(cuMemFreeHost(a));
	CU(cuMemFreeHost(b));
	CU(cuMemFree(d));
	CU(cuStreamDestroy(s));
	CU(cuStreamDestroy(beside));
}

/* Many of them, more than there are pieces of memory to stage them in, in two streams. */
static void check_many(void)
{
	enum { COPIES = 200, EACH = 20000 };
	uint8_t *in = host_alloc(COPIES * EACH), *out = host_alloc(COPIES * EACH);
	CUdeviceptr d = device_alloc(COPIES * EACH);
	CUstream s[2];

	random_fill(in, COPIES * EACH, 4);
	memset(out, 0, COPIES * EACH);
	CU(cuMemHostRegister(in, COPIES * EACH, 0));
	CU(cuMemHostRegister(out, COPIES * EACH, 0));
	for (int i = 0; i < 2; i++)
		CU(cuStreamCreate(&s[i], CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < COPIES; i++) {
		CU(cuMemcpyHtoDAsync(d + i * EACH, in + i * EACH, EACH, s[i % 2]));
		CU(cuMemcpyDtoHAsync(out + i * EACH, d + i * EACH, EACH, s[i % 2]));
	}
	CU(cuStreamSynchronize(s[0]));
	CU(cuMemHostUnregister(out)); /* waits for the other stream */
	CHECK(!memcmp(in, out, COPIES * EACH), "many copies: other bytes");
	CU(cuMemHostUnregister(in));
	for (int i = 0; i < 2; i++)
		CU(cuStreamDestroy(s[i]));
	CU(cuMemFree(d));
	free(in);
	free(out);
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
	check_mapping(host, bytes, module);
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
	if (mapped)
		check_not_waiting();
	check_many();
	check_beside_host_function();
	p = device_alloc(8192);
	check_attributes(p, CU_MEMORYTYPE_DEVICE, "device memory");
	CU(cuMemFree(p));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, (CUdeviceptr)&p));
	finish();
	return 0;
}
