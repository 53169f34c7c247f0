/* SPDX-License-Identifier: MIT */
/* Calls found by cuGetProcAddress, as runtimes do it: the revision must be the one asked for. */
#include "tests/programs/common.h"

typedef CUresult (*alloc_fn)(CUdeviceptr *, size_t);
typedef CUresult (*uuid_fn)(CUuuid *, CUdevice);
typedef CUresult (*device_fn)(CUdevice *);
typedef CUresult (*device_of_fn)(CUdevice *, CUcontext);
typedef CUresult (*proc_fn)(const char *, void **, int, cuuint64_t);
typedef CUresult (*proc2_fn)(const char *, void **, int, cuuint64_t,
			     CUdriverProcAddressQueryResult *);

static void *find_with(const char *name, int version, cuuint64_t flags)
{
	CUdriverProcAddressQueryResult status = (CUdriverProcAddressQueryResult)77;
	void *fn = NULL;

	CU(cuGetProcAddress(name, &fn, version, flags, &status));
	CHECK(fn && status == CU_GET_PROC_ADDRESS_SUCCESS, "%s at %d: %p, status %d", name, version,
	      fn, status);
	return fn;
}

static void *find(const char *name, int version)
{
	return find_with(name, version, CU_GET_PROC_ADDRESS_DEFAULT);
}

static void check_missing(void)
{
	CUdriverProcAddressQueryResult status;
	void *fn;

	fn = &fn;
	cuGetProcAddress("cuMakeCoffee", &fn, CUDA_VERSION, 0, &status);
	CHECK(!fn && status == CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND,
	      "a call that is not there: status %d", status);
	fn = &fn;
	cuGetProcAddress("cuMemAllocAsync", &fn, 11010, 0, &status);
	CHECK(!fn && status == CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT,
	      "a call from the future: status %d", status);
	cuGetProcAddress("cuMakeCoffee", &fn, CUDA_VERSION, 0, NULL);
	CHECK(!fn, "a call that is not there, status not wanted");
	printf("missing calls are said to be missing\n");
}

/* Entry points of cudaGL.h, cudaEGL.h and cudaVDPAU.h: frameworks look them up when they start, and
 * do without graphics where calling them fails, but not where there are none. */
static void check_graphics(void)
{
	static const char *const names[] = {
		"cuEGLStreamConsumerAcquireFrame",
		"cuEGLStreamConsumerConnect",
		"cuEGLStreamConsumerConnectWithFlags",
		"cuEGLStreamConsumerDisconnect",
		"cuEGLStreamConsumerReleaseFrame",
		"cuEGLStreamProducerConnect",
		"cuEGLStreamProducerDisconnect",
		"cuEGLStreamProducerPresentFrame",
		"cuEGLStreamProducerReturnFrame",
		"cuGLCtxCreate",
		"cuGLGetDevices",
		"cuGLInit",
		"cuGLMapBufferObject",
		"cuGLMapBufferObjectAsync",
		"cuGLRegisterBufferObject",
		"cuGLSetBufferObjectMapFlags",
		"cuGLUnmapBufferObject",
		"cuGLUnmapBufferObjectAsync",
		"cuGLUnregisterBufferObject",
		"cuGraphicsEGLRegisterImage",
		"cuGraphicsGLRegisterBuffer",
		"cuGraphicsGLRegisterImage",
		"cuGraphicsMapResources",
		"cuGraphicsResourceGetMappedEglFrame",
		"cuGraphicsResourceGetMappedPointer",
		"cuGraphicsSubResourceGetMappedArray",
		"cuGraphicsUnmapResources",
		"cuGraphicsUnregisterResource",
		"cuGraphicsVDPAURegisterOutputSurface",
		"cuGraphicsVDPAURegisterVideoSurface",
		"cuVDPAUCtxCreate",
		"cuVDPAUGetDevice",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		CHECK(find(names[i], CUDA_VERSION) == find(names[i], CUDA_VERSION),
		      "%s moves about", names[i]);
		printf("%s\n", names[i]);
	}
	CHECK(find("cuGLCtxCreate", 2000) != find("cuGLCtxCreate", CUDA_VERSION),
	      "one revision for two");
	CHECK(find("cuGLMapBufferObject", CUDA_VERSION) !=
		      find_with("cuGLMapBufferObject", CUDA_VERSION,
				CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
	      "no per-thread form");
	printf("entry points of graphics: all there\n");
}

int main(void)
{
	CUdriverProcAddressQueryResult status;
	CUcontext ctx;
	CUdevice device = -1;
	CUdeviceptr p = 0;
	CUuuid uuid;
	void *fn;

	start();
	CU(((alloc_fn)find("cuMemAlloc", CUDA_VERSION))(&p, 100));
	CU(cuMemFree(p));
	CU(((uuid_fn)find("cuDeviceGetUuid", 9020))(&uuid, 0));
	CU(((device_fn)find("cuCtxGetDevice", 2000))(&device));
	CHECK(device == 0, "device %d", device);
	CU(cuCtxGetCurrent(&ctx));
	device = -1;
	CU(((device_of_fn)find("cuCtxGetDevice", 13000))(&device, ctx));
	CHECK(device == 0, "device %d", device);
	CHECK(find("cuCtxGetDevice", 2000) != find("cuCtxGetDevice", 13000),
	      "one revision for two");
	CHECK(find("cuMemcpyHtoD", 13000) !=
		      find_with("cuMemcpyHtoD", 13000,
				CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
	      "no per-thread form");
	CHECK(find("cuMemcpyHtoD", 13000) ==
		      find_with("cuMemcpyHtoD", 13000, CU_GET_PROC_ADDRESS_LEGACY_STREAM),
	      "the legacy form is not the default");
	CHECK(find("cuMemAlloc", 13000) ==
		      find_with("cuMemAlloc", 13000, CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM),
	      "a call without streams has two forms");
	CHECK(find("cuDevicePrimaryCtxRelease", 7000) && find("cuDevicePrimaryCtxReset", 7000),
	      "first revisions");
	/* cuGetProcAddress can be found by itself, in both revisions. */
	CU(((proc2_fn)find("cuGetProcAddress", 12000))("cuInit", &fn, 2000, 0, &status));
	CHECK(fn == find("cuInit", CUDA_VERSION), "another cuInit");
	CU(((proc_fn)find("cuGetProcAddress", 11030))("cuInit", &fn, 2000, 0));
	CHECK(fn == find("cuInit", CUDA_VERSION), "another cuInit");
	printf("revisions: all right\n");
	check_missing();
	check_graphics();
	finish();
	return 0;
}
