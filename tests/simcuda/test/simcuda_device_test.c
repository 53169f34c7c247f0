/* SPDX-License-Identifier: MIT */
/* The simulated driver: initialisation, device queries, contexts, errors, procedure addresses. */
#include <dlfcn.h>
#include <pthread.h>
#include <sys/wait.h>

#include "tests/simcuda/test/simcuda_test.h"

START_TEST(nothing_before_init)
{
	int n;
	CUcontext ctx;

	FAILS(CUDA_ERROR_NOT_INITIALIZED, cuDeviceGetCount(&n));
	FAILS(CUDA_ERROR_NOT_INITIALIZED, cuCtxGetCurrent(&ctx));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuInit(1));
	OK(cuDriverGetVersion(&n));
	ck_assert_int_eq(n, 13000);
	OK(cuInit(0));
	OK(cuInit(0));
	OK(cuDeviceGetCount(&n));
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(device_says_who_it_is)
{
	char name[64], bus[32];
	int major, minor, v;
	CUdevice dev = 7;
	CUuuid a, b;
	CUdevprop prop;
	size_t mem;

	OK(cuInit(0));
	OK(cuDeviceGet(&dev, 0));
	FAILS(CUDA_ERROR_INVALID_DEVICE, cuDeviceGet(&dev, 1));
	OK(cuDeviceGetName(name, sizeof(name), dev));
	ck_assert_str_eq(name, "pvgpu simulated GPU");
	OK(cuDeviceGetName(name, 6, dev));
	ck_assert_str_eq(name, "pvgpu");
	OK(cuDeviceComputeCapability(&major, &minor, dev));
	ck_assert_int_eq(major * 10 + minor, 90);
	OK(cuDeviceTotalMem(&mem, dev));
	ck_assert_uint_eq(mem, 2ull << 30);
	OK(cuDeviceGetUuid(&a, dev));
	OK(cuDeviceGetUuid_v2(&b, dev));
	ck_assert_mem_eq(&a, &b, sizeof(a));
	OK(cuDeviceGetPCIBusId(bus, sizeof(bus), dev));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetPCIBusId(bus, 4, dev));
	OK(cuDeviceGetPCIBusId(bus, sizeof(bus), dev));
	dev = 9;
	OK(cuDeviceGetByPCIBusId(&dev, bus));
	ck_assert_int_eq(dev, 0);
	FAILS(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetByPCIBusId(&dev, "0000:77:00.0"));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetByPCIBusId(&dev, "bus"));
	FAILS(CUDA_ERROR_NOT_SUPPORTED, cuDeviceGetLuid(name, (unsigned int *)&v, dev));
	OK(cuDeviceGetProperties(&prop, 0));
	ck_assert_int_eq(prop.maxThreadsPerBlock, 1024);
}
END_TEST

START_TEST(every_attribute_answers)
{
	int v;

	OK(cuInit(0));
	for (int i = 1; i <= 147; i++)
		OK(cuDeviceGetAttribute(&v, (CUdevice_attribute)i, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&v, (CUdevice_attribute)0, 0));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuDeviceGetAttribute(&v, (CUdevice_attribute)148, 0));
	FAILS(CUDA_ERROR_INVALID_DEVICE, cuDeviceGetAttribute(&v, (CUdevice_attribute)1, 1));
	OK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
	ck_assert_int_eq(v, 16);
	OK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS, 0));
	ck_assert_int_eq(v, 0);
	OK(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED, 0));
	ck_assert_int_eq(v, 1);
}
END_TEST

START_TEST(contexts_stack)
{
	CUcontext a, b, c;
	CUdevice dev;
	unsigned int version, flags;
	unsigned long long ida, idb;

	OK(cuInit(0));
	FAILS(CUDA_ERROR_INVALID_CONTEXT, cuCtxGetDevice(&dev));
	FAILS(CUDA_ERROR_INVALID_CONTEXT, cuCtxSynchronize());
	FAILS(CUDA_ERROR_INVALID_CONTEXT, cuCtxPopCurrent(&c));
	OK(cuCtxCreate(&a, NULL, CU_CTX_SCHED_SPIN, 0));
	OK(cuCtxGetFlags(&flags));
	ck_assert_uint_eq(flags, CU_CTX_SCHED_SPIN);
	OK(cuCtxCreate_v2(&b, 0, 0));
	OK(cuCtxGetCurrent(&c));
	ck_assert_ptr_eq(c, b);
	OK(cuCtxGetId(a, &ida));
	OK(cuCtxGetId(NULL, &idb));
	ck_assert_uint_ne(ida, idb);
	OK(cuCtxPopCurrent(&c));
	ck_assert_ptr_eq(c, b);
	OK(cuCtxGetCurrent(&c));
	ck_assert_ptr_eq(c, a);
	OK(cuCtxPushCurrent(b));
	OK(cuCtxGetApiVersion(b, &version));
	ck_assert_uint_eq(version, 13000);
	OK(cuCtxDestroy(b));
	OK(cuCtxGetCurrent(&c));
	ck_assert_ptr_eq(c, a);
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSetCurrent(b));
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxDestroy(b));
	OK(cuCtxPushCurrent(a));
	OK(cuCtxDestroy(a)); /* still lower in the stack */
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
}
END_TEST

START_TEST(limits_and_settings)
{
	size_t v;
	int least, greatest;
	CUfunc_cache cache;

	start();
	OK(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	ck_assert_uint_eq(v, 1024);
	OK(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 4000));
	OK(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	ck_assert_uint_ge(v, 4000);
	OK(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 65536));
	FAILS(CUDA_ERROR_UNSUPPORTED_LIMIT, cuCtxSetLimit(CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH, 2));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuCtxGetLimit(&v, (CUlimit)99));
	OK(cuCtxGetStreamPriorityRange(&least, &greatest));
	ck_assert_int_lt(greatest, least);
	OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
	OK(cuCtxGetCacheConfig(&cache));
	ck_assert_int_eq(cache, CU_FUNC_CACHE_PREFER_L1);
}
END_TEST

START_TEST(primary_context)
{
	CUcontext a, b;
	CUdeviceptr p;
	unsigned int flags;
	int active;

	OK(cuInit(0));
	FAILS(CUDA_ERROR_INVALID_CONTEXT, cuDevicePrimaryCtxRelease(0));
	OK(cuDevicePrimaryCtxSetFlags(0, CU_CTX_SCHED_YIELD));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	ck_assert_uint_eq(flags, CU_CTX_SCHED_YIELD);
	ck_assert_int_eq(active, 0);
	OK(cuDevicePrimaryCtxRetain(&a, 0));
	OK(cuDevicePrimaryCtxRetain(&b, 0));
	ck_assert_ptr_eq(a, b);
	FAILS(CUDA_ERROR_INVALID_CONTEXT, cuCtxDestroy(a));
	OK(cuCtxSetCurrent(a));
	OK(cuMemAlloc(&p, 100));
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuMemsetD8(p, 0, 100));
	OK(cuDevicePrimaryCtxRelease(0));
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	ck_assert_int_eq(active, 0);
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuMemsetD8(p, 0, 100));
	OK(cuDevicePrimaryCtxRetain(&b, 0));
	ck_assert_ptr_eq(a, b);
	OK(cuCtxSetCurrent(a));
	OK(cuCtxGetFlags(&flags));
	ck_assert_uint_eq(flags, CU_CTX_SCHED_YIELD | CU_CTX_MAP_HOST);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuDevicePrimaryCtxSetFlags(0, CU_CTX_MAP_HOST));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuMemsetD8(p, 0, 100));
	OK(cuDevicePrimaryCtxReset(0));
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
	OK(cuDevicePrimaryCtxGetState(0, &flags, &active));
	ck_assert_uint_eq(flags, 0);
	/* It can be made current all the same. */
	OK(cuCtxPushCurrent(a));
	FAILS(CUDA_ERROR_CONTEXT_IS_DESTROYED, cuCtxSynchronize());
	OK(cuCtxPopCurrent(&b));
	ck_assert_ptr_eq(a, b);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuCtxPushCurrent(NULL));
	OK(cuDevicePrimaryCtxRetain(&b, 0));
	OK(cuCtxSynchronize());
}
END_TEST

static void *other_thread(void *arg)
{
	CUcontext c;

	OK(cuCtxGetCurrent(&c));
	ck_assert_ptr_null(c);
	OK(cuCtxSetCurrent(arg));
	OK(cuCtxSynchronize());
	return NULL;
}

START_TEST(current_is_per_thread)
{
	CUcontext c = start();
	pthread_t t;

	pthread_create(&t, NULL, other_thread, c);
	pthread_join(t, NULL);
	OK(cuCtxSynchronize());
}
END_TEST

START_TEST(errors_have_names)
{
	const char *s;

	OK(cuGetErrorName(CUDA_ERROR_ILLEGAL_ADDRESS, &s));
	ck_assert_str_eq(s, "CUDA_ERROR_ILLEGAL_ADDRESS");
	OK(cuGetErrorString(CUDA_SUCCESS, &s));
	ck_assert_ptr_nonnull(s);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuGetErrorName((CUresult)12345, &s));
	ck_assert_ptr_null(s);
}
END_TEST

static void *ask(const char *name, int version, cuuint64_t flags, int *status)
{
	CUdriverProcAddressQueryResult s;
	void *p = (void *)1;

	OK(cuGetProcAddress_v2(name, &p, version, flags, &s));
	*status = (int)s;
	return p;
}

START_TEST(procedure_addresses)
{
	void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), *p;
	CUresult (*first)(const char *, void **, int, cuuint64_t);
	int s;

	ck_assert_ptr_nonnull(self);
	ck_assert_ptr_eq(ask("cuMemAlloc", 13000, 0, &s), dlsym(self, "cuMemAlloc_v2"));
	ck_assert_ptr_eq(ask("cuMemAlloc", 2000, 0, &s), dlsym(self, "cuMemAlloc"));
	ck_assert_ptr_eq(ask("cuCtxGetDevice", 12080, 0, &s), dlsym(self, "cuCtxGetDevice"));
	ck_assert_ptr_eq(ask("cuCtxGetDevice", 13000, 0, &s), dlsym(self, "cuCtxGetDevice_v2"));
	ck_assert_ptr_eq(ask("cuLaunchKernel", 13000, 2, &s), dlsym(self, "cuLaunchKernel_ptsz"));
	ck_assert_ptr_eq(ask("cuMemcpyHtoD", 13000, 2, &s), dlsym(self, "cuMemcpyHtoD_v2_ptds"));
	ck_assert_ptr_eq(ask("cuLaunchKernel", 13000, 1, &s), dlsym(self, "cuLaunchKernel"));
	ck_assert_ptr_null(ask("cuLibraryLoadData", 11000, 0, &s));
	ck_assert_int_eq(s, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
	ck_assert_ptr_null(ask("cuNoSuchCall", 13000, 0, &s));
	ck_assert_int_eq(s, CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND);
	OK(cuGetProcAddress_v2("cuInit", &p, 13000, 0, NULL));
	ck_assert_ptr_nonnull(p);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuGetProcAddress_v2("cuInit", &p, 13000, 64, NULL));
	*(void **)&first = dlsym(self, "cuGetProcAddress");
	FAILS(CUDA_ERROR_NOT_FOUND, first("cuNoSuchCall", &p, 13000, 0));
}
END_TEST

/* Graphics and sharing between processes: the calls are there by each way, and refuse. */
START_TEST(refused_calls_are_found)
{
	static const struct {
		const char *name;
		int version;
		cuuint64_t flags;
		const char *symbol;
	} rows[] = {
		{"cuGLInit", 2000, 0, "cuGLInit"},
		{"cuGLCtxCreate", 3010, 0, "cuGLCtxCreate"},
		{"cuGLCtxCreate", 3020, 0, "cuGLCtxCreate_v2"},
		{"cuGLGetDevices", 6000, 0, "cuGLGetDevices"},
		{"cuGLGetDevices", 6050, 0, "cuGLGetDevices_v2"},
		{"cuGLMapBufferObject", 13000, 0, "cuGLMapBufferObject_v2"},
		{"cuGLMapBufferObject", 13000, 2, "cuGLMapBufferObject_v2_ptds"},
		{"cuGLMapBufferObjectAsync", 13000, 2, "cuGLMapBufferObjectAsync_v2_ptsz"},
		{"cuGraphicsGLRegisterBuffer", 3000, 0, "cuGraphicsGLRegisterBuffer"},
		{"cuGraphicsGLRegisterImage", 3000, 0, "cuGraphicsGLRegisterImage"},
		{"cuGraphicsEGLRegisterImage", 7000, 0, "cuGraphicsEGLRegisterImage"},
		{"cuGraphicsResourceGetMappedEglFrame", 7000, 0,
		 "cuGraphicsResourceGetMappedEglFrame"},
		{"cuEventCreateFromEGLSync", 9000, 0, "cuEventCreateFromEGLSync"},
		{"cuVDPAUCtxCreate", 3020, 0, "cuVDPAUCtxCreate_v2"},
		{"cuGraphicsVDPAURegisterVideoSurface", 3010, 0,
		 "cuGraphicsVDPAURegisterVideoSurface"},
		{"cuImportExternalMemory", 10000, 0, "cuImportExternalMemory"},
	};
	void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD), *p;
	CUresult (*call)(void *, void *, void *, void *);
	int s;

	start();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		p = ask(rows[i].name, rows[i].version, rows[i].flags, &s);
		ck_assert_msg(p && s == CU_GET_PROC_ADDRESS_SUCCESS, "%s at %d", rows[i].name,
			      rows[i].version);
		ck_assert_ptr_eq(p, dlsym(self, rows[i].symbol));
		*(void **)&call = p;
		FAILS(CUDA_ERROR_NOT_SUPPORTED, call(NULL, NULL, NULL, NULL));
	}
	ck_assert_ptr_null(ask("cuGraphicsEGLRegisterImage", 6050, 0, &s));
	ck_assert_int_eq(s, CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT);
}
END_TEST

START_TEST(what_is_not_supported_says_so)
{
	void *self = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
	int (*graph)(void *, unsigned int);
	const void *table = self;
	CUuuid id = {{1}};

	start();
	*(void **)&graph = dlsym(self, "cuImportExternalMemory");
	ck_assert_ptr_nonnull((void *)graph);
	ck_assert_int_eq(graph(NULL, 0), CUDA_ERROR_NOT_SUPPORTED);
	FAILS(CUDA_ERROR_NOT_SUPPORTED, cuGetExportTable(&table, &id));
	ck_assert_ptr_null(table);
}
END_TEST

START_TEST(no_use_in_a_forked_child)
{
	int status, n;
	pid_t pid;

	start();
	pid = fork();
	if (!pid)
		_exit(cuDeviceGetCount(&n) != CUDA_ERROR_NOT_INITIALIZED ||
		      cuInit(0) != CUDA_ERROR_NOT_INITIALIZED);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	OK(cuDeviceGetCount(&n));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_device");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, nothing_before_init);
	tcase_add_test(t, device_says_who_it_is);
	tcase_add_test(t, every_attribute_answers);
	tcase_add_test(t, contexts_stack);
	tcase_add_test(t, limits_and_settings);
	tcase_add_test(t, primary_context);
	tcase_add_test(t, current_is_per_thread);
	tcase_add_test(t, errors_have_names);
	tcase_add_test(t, procedure_addresses);
	tcase_add_test(t, refused_calls_are_found);
	tcase_add_test(t, what_is_not_supported_says_so);
	tcase_add_test(t, no_use_in_a_forked_child);
	suite_add_tcase(s, t);
	return run_suite(s, "device");
}
