/* SPDX-License-Identifier: MIT */
/*
 * Calls by every name that a library has for them: their first ones, with _v2, and for programs
 * whose default stream is the thread's own. Each does its work, and refuses what it is to refuse.
 * First names of calls with addresses and sizes of 32 bits are names.c's.
 */
#include <dlfcn.h>

#include "tests/programs/common.h"

PTX(ptx_vector);

enum { BYTES = 4096, PITCH = 128, WIDTH = 60, ROWS = 5 };

static struct {
	void *library;
	CUcontext ctx;
	CUdeviceptr a, b;
	unsigned char want[BYTES], got[BYTES];
} it;

static void *form(const char *call, const char *suffix)
{
	char name[64];

	snprintf(name, sizeof(name), "%s%s", call, suffix);
	return dlsym(it.library, name);
}

/* The forms of a call one after the other, the first name only where asked for or where there is
 * no _v2; NULL behind the last one. */
static void *next_form(const char *call, bool first_too)
{
	static const char *const suffixes[] = {"", "_v2", "_v2_ptds", "_v2_ptsz", "_ptds", "_ptsz"};
	static size_t at, found;

	if (!at && !first_too && form(call, "_v2"))
		at = 1;
	while (at < sizeof(suffixes) / sizeof(suffixes[0])) {
		void *fn = form(call, suffixes[at++]);

		found += fn != NULL;
		if (fn)
			return fn;
	}
	printf("%s: %zu forms\n", call, found);
	at = found = 0;
	return NULL;
}
#define EACH_FORM(call, name, first_too)                                                           \
	for (__typeof__(&call) fn; (fn = (__typeof__(&call))next_form(name, first_too)) != NULL;)
#define FORMS(call) EACH_FORM(call, #call, false)
/* Of calls whose arguments have always been the same. */
#define ALL_FORMS(call) EACH_FORM(call, #call, true)
#define REFUSES(call)   WANT(CUDA_ERROR_INVALID_VALUE, call)

static void clear(void)
{
	memset(it.got, 0, BYTES);
	CU(cuMemsetD8(it.a, 0, BYTES));
	CU(cuCtxSynchronize());
}

static void check_device(CUdeviceptr at, size_t bytes)
{
	CU(cuCtxSynchronize());
	download(it.got, at, bytes);
	CHECK(!memcmp(it.got, it.want, bytes), "wrong bytes on the device");
	clear();
}

static void check_host(size_t bytes)
{
	CU(cuCtxSynchronize());
	CHECK(!memcmp(it.got, it.want, bytes), "wrong bytes here");
	clear();
}

static void linear_copies(void)
{
	const CUdeviceptr nowhere = 64;

	FORMS(cuMemcpyHtoD)
	{
		CU(fn(it.a, it.want, BYTES));
		check_device(it.a, BYTES);
		REFUSES(fn(nowhere, it.want, BYTES));
	}
	FORMS(cuMemcpyHtoDAsync)
	{
		CU(fn(it.a, it.want, BYTES, NULL));
		check_device(it.a, BYTES);
		REFUSES(fn(nowhere, it.want, BYTES, NULL));
	}
	FORMS(cuMemcpyDtoH)
	{
		CU(fn(it.got, it.b, BYTES));
		check_host(BYTES);
		REFUSES(fn(it.got, nowhere, BYTES));
	}
	FORMS(cuMemcpyDtoHAsync)
	{
		CU(fn(it.got, it.b, BYTES, NULL));
		check_host(BYTES);
		REFUSES(fn(it.got, nowhere, BYTES, NULL));
	}
	FORMS(cuMemcpyDtoD)
	{
		CU(fn(it.a, it.b, BYTES));
		check_device(it.a, BYTES);
		REFUSES(fn(it.a, nowhere, BYTES));
	}
	FORMS(cuMemcpyDtoDAsync)
	{
		CU(fn(it.a, it.b, BYTES, NULL));
		check_device(it.a, BYTES);
		REFUSES(fn(nowhere, it.b, BYTES, NULL));
	}
	FORMS(cuMemcpy)
	{
		CU(fn(it.a, it.b, BYTES));
		check_device(it.a, BYTES);
	}
	FORMS(cuMemcpyAsync)
	{
		CU(fn(it.a, it.b, BYTES, NULL));
		check_device(it.a, BYTES);
	}
	FORMS(cuMemcpyPeer)
	{
		CU(fn(it.a, it.ctx, it.b, it.ctx, BYTES));
		check_device(it.a, BYTES);
		REFUSES(fn(it.a, it.ctx, nowhere, it.ctx, BYTES));
	}
	FORMS(cuMemcpyPeerAsync)
	{
		CU(fn(it.a, it.ctx, it.b, it.ctx, BYTES, NULL));
		check_device(it.a, BYTES);
		REFUSES(fn(nowhere, it.ctx, it.b, it.ctx, BYTES, NULL));
	}
}

/* Boxes of whole rows that follow each other, so that the bytes are those of a line. */
static void boxes(void)
{
	const size_t bytes = (size_t)PITCH * ROWS;
	const CUDA_MEMCPY2D flat = {.srcMemoryType = CU_MEMORYTYPE_HOST,
				    .srcHost = it.want,
				    .srcPitch = PITCH,
				    .dstMemoryType = CU_MEMORYTYPE_DEVICE,
				    .dstDevice = it.a,
				    .dstPitch = PITCH,
				    .WidthInBytes = PITCH,
				    .Height = ROWS};
	const CUDA_MEMCPY3D box = {.srcMemoryType = CU_MEMORYTYPE_HOST,
				   .srcHost = it.want,
				   .srcPitch = PITCH,
				   .srcHeight = ROWS,
				   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
				   .dstDevice = it.a,
				   .dstPitch = PITCH,
				   .dstHeight = ROWS,
				   .WidthInBytes = PITCH,
				   .Height = ROWS,
				   .Depth = 1};
	const CUDA_MEMCPY3D_PEER peer = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
					 .srcDevice = it.b,
					 .srcContext = it.ctx,
					 .srcPitch = PITCH,
					 .srcHeight = ROWS,
					 .dstMemoryType = CU_MEMORYTYPE_DEVICE,
					 .dstDevice = it.a,
					 .dstContext = it.ctx,
					 .dstPitch = PITCH,
					 .dstHeight = ROWS,
					 .WidthInBytes = PITCH,
					 .Height = ROWS,
					 .Depth = 1};
	CUDA_MEMCPY2D narrow = flat;
	CUDA_MEMCPY3D thin = box;

	narrow.dstPitch = thin.dstPitch = PITCH / 2;
	FORMS(cuMemcpy2D)
	{
		CU(fn(&flat));
		check_device(it.a, bytes);
		REFUSES(fn(&narrow));
	}
	FORMS(cuMemcpy2DUnaligned)
	{
		CU(fn(&flat));
		check_device(it.a, bytes);
		REFUSES(fn(&narrow));
	}
	FORMS(cuMemcpy2DAsync)
	{
		CU(fn(&flat, NULL));
		check_device(it.a, bytes);
		REFUSES(fn(&narrow, NULL));
	}
	FORMS(cuMemcpy3D)
	{
		CU(fn(&box));
		check_device(it.a, bytes);
		REFUSES(fn(&thin));
	}
	FORMS(cuMemcpy3DAsync)
	{
		CU(fn(&box, NULL));
		check_device(it.a, bytes);
		REFUSES(fn(&thin, NULL));
	}
	FORMS(cuMemcpy3DPeer)
	{
		CU(fn(&peer));
		check_device(it.a, bytes);
	}
	FORMS(cuMemcpy3DPeerAsync)
	{
		CU(fn(&peer, NULL));
		check_device(it.a, bytes);
	}
}

/* it.want filled with elements of this size; the rest of each row is 0. */
static void expect_fill(uint32_t value, size_t size, size_t width, size_t rows)
{
	memset(it.want, 0, BYTES);
	for (size_t y = 0; y < rows; y++)
		for (size_t x = 0; x < width; x++)
			memcpy(it.want + y * PITCH + x * size, &value, size);
}

#define FILLS(kind, value, size, ...)                                                              \
	FORMS(cuMemset##kind)                                                                      \
	{                                                                                          \
		expect_fill(value, size, WIDTH / 4, 1);                                            \
		CU(fn(it.a, value, WIDTH / 4 __VA_ARGS__));                                        \
		check_device(it.a, BYTES);                                                         \
		REFUSES(fn(64, value, WIDTH / 4 __VA_ARGS__));                                     \
	}
#define FILLS_ROWS(kind, value, size, ...)                                                         \
	FORMS(cuMemset##kind)                                                                      \
	{                                                                                          \
		expect_fill(value, size, WIDTH / 4, ROWS);                                         \
		CU(fn(it.a, PITCH, value, WIDTH / 4, ROWS __VA_ARGS__));                           \
		check_device(it.a, BYTES);                                                         \
		REFUSES(fn(64, PITCH, value, WIDTH / 4, ROWS __VA_ARGS__));                        \
	}
#define NO_STREAM , NULL

static void fills(void)
{
	FILLS(D8, 0x5a, 1)
	FILLS(D16, 0x1234, 2)
	FILLS(D32, 0x12345678, 4)
	FILLS(D8Async, 0x5a, 1, NO_STREAM)
	FILLS(D16Async, 0x1234, 2, NO_STREAM)
	FILLS(D32Async, 0x12345678, 4, NO_STREAM)
	FILLS_ROWS(D2D8, 0x5a, 1)
	FILLS_ROWS(D2D16, 0x1234, 2)
	FILLS_ROWS(D2D32, 0x12345678, 4)
	FILLS_ROWS(D2D8Async, 0x5a, 1, NO_STREAM)
	FILLS_ROWS(D2D16Async, 0x1234, 2, NO_STREAM)
	FILLS_ROWS(D2D32Async, 0x12345678, 4, NO_STREAM)
}

static void arrays(void)
{
	const CUDA_ARRAY_DESCRIPTOR row = {
		.Width = BYTES, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
	const CUDA_ARRAY3D_DESCRIPTOR row3 = {
		.Width = BYTES, .Format = CU_AD_FORMAT_UNSIGNED_INT8, .NumChannels = 1};
	CUDA_ARRAY_DESCRIPTOR said;
	CUDA_ARRAY3D_DESCRIPTOR said3;
	CUarray a, b;

	FORMS(cuArrayCreate)
	{
		CU(fn(&a, &row));
		CU(cuArrayDestroy(a));
		REFUSES(fn(NULL, &row));
	}
	FORMS(cuArray3DCreate)
	{
		CU(fn(&a, &row3));
		CU(cuArrayDestroy(a));
		REFUSES(fn(&a, NULL));
	}
	CU(cuArrayCreate(&a, &row));
	CU(cuArrayCreate(&b, &row));
	FORMS(cuArrayGetDescriptor)
	{
		CU(fn(&said, a));
		CHECK(said.Width == BYTES && !said.Height, "%zu by %zu", said.Width, said.Height);
		REFUSES(fn(NULL, a));
	}
	FORMS(cuArray3DGetDescriptor)
	{
		CU(fn(&said3, a));
		CHECK(said3.Width == BYTES && !said3.Depth, "%zu, %zu", said3.Width, said3.Depth);
		REFUSES(fn(NULL, a));
	}
	random_fill(it.want, BYTES, 2);
	CU(cuMemcpyHtoD(it.b, it.want, BYTES));
	FORMS(cuMemcpyHtoA)
	{
		CU(fn(a, 0, it.want, BYTES));
		REFUSES(fn(a, 1, it.want, BYTES));
	}
	FORMS(cuMemcpyHtoAAsync)
	{
		CU(fn(a, 0, it.want, BYTES, NULL));
		CU(cuCtxSynchronize());
		REFUSES(fn(a, 1, it.want, BYTES, NULL));
	}
	FORMS(cuMemcpyAtoH)
	{
		CU(fn(it.got, a, 0, BYTES));
		check_host(BYTES);
		REFUSES(fn(it.got, a, 1, BYTES));
	}
	FORMS(cuMemcpyAtoHAsync)
	{
		CU(fn(it.got, a, 0, BYTES, NULL));
		check_host(BYTES);
		REFUSES(fn(it.got, a, 1, BYTES, NULL));
	}
	FORMS(cuMemcpyAtoD)
	{
		CU(fn(it.a, a, 0, BYTES));
		check_device(it.a, BYTES);
		REFUSES(fn(it.a, a, 1, BYTES));
	}
	FORMS(cuMemcpyDtoA)
	{
		CU(fn(b, 0, it.b, BYTES));
		REFUSES(fn(b, 1, it.b, BYTES));
	}
	FORMS(cuMemcpyAtoA)
	{
		CU(fn(b, 0, a, 0, BYTES));
		REFUSES(fn(b, 0, a, 1, BYTES));
	}
	CU(cuMemcpyAtoH(it.got, b, 0, BYTES));
	check_host(BYTES);
	CU(cuArrayDestroy(a));
	CU(cuArrayDestroy(b));
}

static void CUDA_CB count(void *n)
{
	(*(int *)n)++;
}

static void CUDA_CB count_stream(CUstream s, CUresult r, void *n)
{
	*(int *)n += r == CUDA_SUCCESS;
}

static void streams(void)
{
	CUstream s;
	CUevent e;
	CUcontext ctx;
	CUdevice device;
	unsigned long long id;
	unsigned int flags;
	int n = 0, priority;
	float ms;

	ALL_FORMS(cuStreamDestroy)
	{
		CU(cuStreamCreate(&s, 0));
		CU(fn(s));
	}
	ALL_FORMS(cuEventDestroy)
	{
		CU(cuEventCreate(&e, 0));
		CU(fn(e));
	}
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuEventCreate(&e, 0));
	FORMS(cuStreamQuery) CU(fn(s));
	FORMS(cuStreamSynchronize) CU(fn(s));
	FORMS(cuEventRecord) CU(fn(e, s));
	FORMS(cuEventRecordWithFlags) CU(fn(e, s, 0));
	FORMS(cuStreamWaitEvent) CU(fn(s, e, 0));
	CU(cuEventSynchronize(e));
	ALL_FORMS(cuEventElapsedTime)
	{
		CU(fn(&ms, e, e));
		CHECK(ms == 0, "an event is %g ms from itself", (double)ms);
		if (handles_are_checked())
			REFUSES(fn(NULL, e, e));
	}
	FORMS(cuStreamGetFlags)
	{
		CU(fn(s, &flags));
		CHECK(flags == CU_STREAM_NON_BLOCKING, "flags %#x", flags);
		REFUSES(fn(s, NULL));
	}
	FORMS(cuStreamGetPriority)
	{
		CU(fn(s, &priority));
		CHECK(priority == 0, "priority %d", priority);
		REFUSES(fn(s, NULL));
	}
	FORMS(cuStreamGetId)
	{
		CU(fn(s, &id));
		REFUSES(fn(s, NULL));
	}
	FORMS(cuStreamGetDevice)
	{
		CU(fn(s, &device));
		CHECK(device == 0, "device %d", device);
		REFUSES(fn(s, NULL));
	}
	CU(((__typeof__(&cuStreamGetCtx))dlsym(it.library, "cuStreamGetCtx_ptsz"))(s, &ctx));
	CHECK(ctx == it.ctx, "another context");
	FORMS(cuLaunchHostFunc)
	{
		CU(fn(s, count, &n));
		REFUSES(fn(s, NULL, &n));
	}
	FORMS(cuStreamAddCallback)
	{
		CU(fn(s, count_stream, &n, 0));
		REFUSES(fn(s, count_stream, &n, 1));
	}
	CU(cuStreamSynchronize(s));
	printf("%d host functions\n", n);
	CU(cuEventDestroy(e));
	CU(cuStreamDestroy(s));
}

static void launches(void)
{
	CUmodule module = load(ptx_vector);
	CUfunction fill = function(module, "fill");
	uint32_t n = 100, seed = 7, *got = (uint32_t *)it.got;
	void *params[] = {&it.a, &n, &seed};
	CUlaunchConfig config = {.gridDimX = 1,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 128,
				 .blockDimY = 1,
				 .blockDimZ = 1};
	CUlaunchConfig none = config;

	none.blockDimY = 0;
	for (uint32_t i = 0; i < n; i++)
		memcpy(it.want + 4 * i, &(uint32_t){fill_value(seed, i)}, 4);
	FORMS(cuLaunchKernel)
	{
		CU(fn(fill, 1, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
		check_device(it.a, 4 * n);
		REFUSES(fn(fill, 0, 1, 1, 128, 1, 1, 0, NULL, params, NULL));
	}
	FORMS(cuLaunchCooperativeKernel)
	{
		CU(fn(fill, 1, 1, 1, 128, 1, 1, 0, NULL, params));
		check_device(it.a, 4 * n);
		REFUSES(fn(fill, 1, 0, 1, 128, 1, 1, 0, NULL, params));
	}
	FORMS(cuLaunchKernelEx)
	{
		CU(fn(&config, fill, params, NULL));
		check_device(it.a, 4 * n);
		REFUSES(fn(&none, fill, params, NULL));
	}
	CHECK(!got[0], "not cleared");
	CU(cuModuleUnload(module));
}

static void memory(void)
{
	size_t bytes, pitch, total;
	CUdeviceptr p, base;
	void *host;

	FORMS(cuMemGetInfo)
	{
		CU(fn(&bytes, &total));
		CHECK(bytes <= total, "%zu of %zu bytes are free", bytes, total);
	}
	FORMS(cuMemAlloc)
	{
		CU(fn(&p, 100));
		CU(cuMemFree(p));
		REFUSES(fn(&p, 0));
	}
	FORMS(cuMemAllocPitch)
	{
		CU(fn(&p, &pitch, 100, 3, 4));
		CHECK(pitch >= 100, "pitch %zu", pitch);
		CU(cuMemFree(p));
		REFUSES(fn(&p, &pitch, 100, 3, 5));
	}
	FORMS(cuMemFree)
	{
		CU(cuMemAlloc(&p, 100));
		CU(fn(p));
		REFUSES(fn(p));
	}
	FORMS(cuMemGetAddressRange)
	{
		CU(fn(&base, &bytes, it.a + 5));
		CHECK(base == it.a && bytes == BYTES, "%zu bytes from %#llx", bytes, base);
	}
	FORMS(cuMemAllocHost)
	{
		CU(fn(&host, 100));
		CU(cuMemFreeHost(host));
		REFUSES(fn(NULL, 100));
	}
	ALL_FORMS(cuMemHostRegister)
	{
		CU(fn(it.got, BYTES, 0));
		CU(cuMemHostUnregister(it.got));
		REFUSES(fn(NULL, BYTES, 0));
	}
}

static void contexts(void)
{
	__typeof__(&cuCtxCreate_v2) first = (__typeof__(first))dlsym(it.library, "cuCtxCreate");
	CUcontext ctx, c;

	/* By its own first name, too, since contexts of that API are not for other calls. */
	CU(first(&ctx, 0, 0));
	CU(((__typeof__(&cuCtxDestroy_v2))form("cuCtxDestroy", ""))(ctx));
	REFUSES(first(NULL, 0, 0));
	CU(cuCtxCreate(&ctx, NULL, 0, 0));
	ALL_FORMS(cuCtxPopCurrent)
	{
		CU(fn(&c));
		CHECK(c == ctx, "another context");
		CU(cuCtxPushCurrent(ctx));
	}
	CU(cuCtxPopCurrent(&c));
	ALL_FORMS(cuCtxPushCurrent)
	{
		CU(fn(ctx));
		CU(cuCtxPopCurrent(&c));
		REFUSES(fn(NULL));
	}
	CU(cuCtxDestroy(ctx));
	ALL_FORMS(cuCtxDestroy)
	{
		CU(cuCtxCreate(&ctx, NULL, 0, 0));
		CU(fn(ctx));
		REFUSES(fn(NULL));
	}
	CU(cuCtxGetCurrent(&c));
	CHECK(c == it.ctx, "another context is current");
	WANT(CUDA_SUCCESS,
	     ((__typeof__(&cuCtxSynchronize_v2))dlsym(it.library, "cuCtxSynchronize_v2"))(it.ctx));
}

static void pools(void)
{
	CUmemLocation here = {.type = CU_MEM_LOCATION_TYPE_DEVICE},
		      host = {.type = CU_MEM_LOCATION_TYPE_HOST};
	CUmemoryPool pool, got;
	CUdeviceptr p;

	CU(cuMemcpyHtoD(it.b, it.want, BYTES));
	CU(cuMemGetMemPool(&pool, &here, CU_MEM_ALLOCATION_TYPE_PINNED));
	REFUSES(cuMemGetMemPool(&got, NULL, CU_MEM_ALLOCATION_TYPE_PINNED));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuMemGetMemPool(&got, &host, CU_MEM_ALLOCATION_TYPE_PINNED));
	CU(cuMemSetMemPool(&here, CU_MEM_ALLOCATION_TYPE_PINNED, pool));
	REFUSES(cuMemSetMemPool(&here, CU_MEM_ALLOCATION_TYPE_PINNED, NULL));
	CU(cuDeviceGetMemPool(&got, 0));
	CHECK(got == pool, "another pool");
	FORMS(cuMemAllocAsync)
	{
		CU(fn(&p, BYTES, NULL));
		CU(cuCtxSynchronize());
		CU(cuMemcpyDtoD(p, it.b, BYTES));
		check_device(p, BYTES);
		CU(cuMemFree(p));
		REFUSES(fn(NULL, BYTES, NULL));
	}
	FORMS(cuMemAllocFromPoolAsync)
	{
		CU(fn(&p, BYTES, pool, NULL));
		CU(cuCtxSynchronize());
		CU(cuMemcpyDtoD(p, it.b, BYTES));
		check_device(p, BYTES);
		CU(cuMemFree(p));
		REFUSES(fn(&p, BYTES, NULL, NULL));
	}
	FORMS(cuMemFreeAsync)
	{
		CU(cuMemAllocAsync(&p, BYTES, NULL));
		CU(cuCtxSynchronize());
		CU(fn(p, NULL));
		REFUSES(fn(64, NULL));
	}
	CU(cuCtxSynchronize());
}

static void others(void)
{
	__typeof__(&cuStreamGetCtx_v2) own =
		(__typeof__(own))dlsym(it.library, "cuStreamGetCtx_v2_ptsz");
	CUgreenCtx green;
	CUcontext ctx;
	CUdeviceptr at;
	void *host;
	int mapped;

	CU(cuStreamGetCtx_v2(NULL, &ctx, &green));
	CHECK(ctx == it.ctx && !green, "another context");
	REFUSES(cuStreamGetCtx_v2(NULL, NULL, &green));
	CU(own(NULL, &ctx, &green));
	CHECK(ctx == it.ctx && !green, "another context of the thread's stream");
	REFUSES(own(NULL, NULL, &green));
	CU(cuMemHostAlloc(&host, BYTES, CU_MEMHOSTALLOC_DEVICEMAP));
	CU(cuDeviceGetAttribute(&mapped, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY, 0));
	FORMS(cuMemHostGetDevicePointer)
	{
		if (!mapped) {
			REFUSES(fn(&at, host, 0));
			continue;
		}
		CU(fn(&at, host, 0));
		CHECK(at == (CUdeviceptr)(uintptr_t)host, "another address");
		REFUSES(fn(NULL, host, 0));
	}
	CU(cuMemFreeHost(host));
}

int main(void)
{
	it.library = dlopen("libcuda.so.1", RTLD_NOW);
	start();
	CU(cuCtxGetCurrent(&it.ctx));
	random_fill(it.want, BYTES, 1);
	it.a = device_alloc(BYTES);
	it.b = upload(it.want, BYTES);
	clear();
	linear_copies();
	boxes();
	fills();
	arrays();
	streams();
	launches();
	memory();
	pools();
	others();
	contexts();
	CU(cuMemFree(it.a));
	CU(cuMemFree(it.b));
	finish();
	return 0;
}
