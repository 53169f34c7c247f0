/* SPDX-License-Identifier: MIT */
/* The simulated driver: modules, libraries and launches. */
#include <sys/resource.h>

#include "tests/kernels/fatbin.h"
#include "tests/simcuda/test/simcuda_kernels.h"
#include "tests/simcuda/test/simcuda_test.h"

static CUmodule load(void)
{
	CUmodule m;

	OK(cuModuleLoadData(&m, PTX_ALL));
	return m;
}

static CUfunction get(CUmodule m, const char *name)
{
	CUfunction f;

	OK(cuModuleGetFunction(&f, m, name));
	return f;
}

static CUresult run1(CUfunction f, unsigned int grid, unsigned int block, CUstream s, void **args)
{
	return cuLaunchKernel(f, grid, 1, 1, block, 1, 1, 0, s, args, NULL);
}

START_TEST(vector_add)
{
	enum { N = 100000 };
	float *a = malloc(N * 4), *b = malloc(N * 4), *c = malloc(N * 4);
	CUdeviceptr da, db, dc;
	unsigned int n = N;
	void *args[] = {&da, &db, &dc, &n};
	CUfunction f;

	start();
	f = get(load(), "vadd");
	for (int i = 0; i < N; i++) {
		a[i] = (float)i;
		b[i] = (float)(2 * i + 1);
	}
	OK(cuMemAlloc(&da, N * 4));
	OK(cuMemAlloc(&db, N * 4));
	OK(cuMemAlloc(&dc, N * 4));
	OK(cuMemcpyHtoD(da, a, N * 4));
	OK(cuMemcpyHtoD(db, b, N * 4));
	OK(cuMemsetD32(dc, 0, N));
	OK(run1(f, (N + 255) / 256, 256, NULL, args));
	OK(cuMemcpyDtoH(c, dc, N * 4));
	for (int i = 0; i < N; i++)
		ck_assert(c[i] == a[i] + b[i]);
	free(a);
	free(b);
	free(c);
}
END_TEST

START_TEST(parameters_as_a_buffer)
{
	struct {
		CUdeviceptr at;
		uint32_t value;
	} p = {0, 123};
	size_t size = 12;
	uint32_t v = 0;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &p, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
			 CU_LAUNCH_PARAM_END};
	void *both[2] = {&p.at, &p.value};
	CUfunction f;

	start();
	f = get(load(), "store");
	OK(cuMemAlloc(&p.at, 4));
	OK(cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	OK(cuMemcpyDtoH(&v, p.at, 4));
	ck_assert_uint_eq(v, 123);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, both, extra));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	size = 8;
	FAILS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	size = 16;
	FAILS(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES,
	      cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra));
	OK(cuCtxSynchronize());
}
END_TEST

START_TEST(bad_launches_are_told_at_once)
{
	CUlaunchAttribute cluster = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION};
	CUlaunchConfig config = {.gridDimX = 1,
				 .gridDimY = 1,
				 .gridDimZ = 1,
				 .blockDimX = 32,
				 .blockDimY = 1,
				 .blockDimZ = 1,
				 .attrs = &cluster,
				 .numAttrs = 1};
	CUfunction f, limited;
	CUmodule m;
	CUstream s;
	int blocks;

	start();
	m = load();
	f = get(m, "die");
	limited = get(m, "limited");
	FAILS(CUDA_ERROR_INVALID_HANDLE, run1(NULL, 1, 1, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, run1(f, 0, 1, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, run1(f, 1, 0, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, run1(f, 1, 1025, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuLaunchKernel(f, 1, 65536, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuLaunchKernel(f, 1, 1, 1, 1, 1, 65, 0, NULL, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuLaunchKernel(f, 1, 1, 1, 1, 1, 1, 60000, NULL, NULL, NULL));
	FAILS(CUDA_ERROR_INVALID_VALUE, run1(limited, 1, 128, NULL, NULL));
	OK(run1(limited, 1, 64, NULL, NULL));
	OK(cuStreamCreate(&s, 0));
	OK(cuStreamDestroy(s));
	FAILS(CUDA_ERROR_INVALID_HANDLE, run1(f, 1, 1, s, NULL));
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, f, 1024, 0));
	ck_assert_int_eq(blocks, 2);
	FAILS(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	      cuLaunchCooperativeKernel(f, 33, 1, 1, 1024, 1, 1, 0, NULL, NULL));
	cluster.value.clusterDim.x = 2;
	cluster.value.clusterDim.y = cluster.value.clusterDim.z = 1;
	FAILS(CUDA_ERROR_INVALID_CLUSTER_SIZE, cuLaunchKernelEx(&config, f, NULL, NULL));
	cluster.value.clusterDim.x = 1;
	OK(cuLaunchKernelEx(&config, limited, NULL, NULL));
	OK(cuCtxSynchronize()); /* none of it was sticky */
}
END_TEST

START_TEST(blocks_run_together)
{
	CUdeviceptr p;
	unsigned int until = 64;
	void *args[] = {&p, &until};
	CUfunction f;

	start();
	f = get(load(), "meet");
	OK(cuMemAlloc(&p, 4));
	OK(cuMemsetD32(p, 0, 1));
	OK(cuLaunchCooperativeKernel(f, 16, 1, 1, 4, 1, 1, 0, NULL, args));
	OK(cuCtxSynchronize());
}
END_TEST

START_TEST(kernels_of_streams_run_together)
{
	CUdeviceptr p;
	void *spin_args[] = {&p};
	uint32_t one = 1;
	void *store_args[] = {&p, &one};
	CUfunction spin, store;
	CUstream a, b;
	CUmodule m;

	start();
	m = load();
	spin = get(m, "spin");
	store = get(m, "store");
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&b, CU_STREAM_NON_BLOCKING));
	OK(cuMemAlloc(&p, 4));
	OK(cuMemsetD32(p, 0, 1));
	OK(run1(spin, 4, 32, a, spin_args));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(a));
	OK(run1(store, 1, 1, b, store_args));
	OK(cuStreamSynchronize(a));
}
END_TEST

/* All lanes store 0 to the lock, as GCC's library does: if they did so one after the other, late
 * ones would open it for a third block while another block has it. */
static const char locked[] =
	PTX_HEAD ".visible .entry locked(.param .u64 p)\n{\n"
		 ".reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %d<2>;\n"
		 "ld.param.u64 %d1, [p];\nmov.u32 %r1, %laneid;\nsetp.eq.u32 %p1, %r1, 0;\n"
		 "mov.u32 %r5, 0;\nAGAIN:\n"
		 "TRY:\n@%p1 atom.global.exch.b32 %r2, [%d1], 1;\nmembar.sys;\n"
		 "shfl.sync.idx.b32 %r2, %r2, 0, 31, -1;\nsetp.ne.u32 %p2, %r2, 0;\n@%p2 bra TRY;\n"
		 "ld.global.u32 %r3, [%d1+64];\nmov.u32 %r6, 0;\n"
		 "WORK:\nadd.u32 %r6, %r6, 1;\nsetp.lt.u32 %p3, %r6, 30;\n@%p3 bra WORK;\n"
		 "add.u32 %r3, %r3, 1;\nst.global.u32 [%d1+64], %r3;\n"
		 "membar.sys;\nmov.u32 %r4, 0;\nst.global.u32 [%d1], %r4;\n"
		 "add.u32 %r5, %r5, 1;\nsetp.lt.u32 %p3, %r5, 400;\n@%p3 bra AGAIN;\nret;\n}\n";

START_TEST(a_warp_gives_a_lock_back_once)
{
	uint32_t count = 0;
	CUdeviceptr p;
	CUmodule m;

	setenv("SIMCUDA_THREADS", "8", 1);
	start();
	OK(cuModuleLoadData(&m, locked));
	OK(cuMemAlloc(&p, 128));
	OK(cuMemsetD8(p, 0, 128));
	OK(run1(get(m, "locked"), 64, 32, NULL, (void *[]){&p}));
	OK(cuMemcpyDtoH(&count, p + 64, 4));
	ck_assert_uint_eq(count, 64 * 400);
}
END_TEST

START_TEST(shared_memory)
{
	enum { B = 128, G = 10 };
	uint32_t v[B * G];
	CUdeviceptr p;
	void *args[] = {&p};
	CUfunction f;
	int bytes;

	start();
	f = get(load(), "reverse");
	OK(cuFuncGetAttribute(&bytes, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES, f));
	ck_assert_int_eq(bytes, 512);
	OK(cuMemAlloc(&p, sizeof(v)));
	for (uint32_t i = 0; i < B * G; i++)
		v[i] = i;
	OK(cuMemcpyHtoD(p, v, sizeof(v)));
	OK(run1(f, G, B, NULL, args));
	OK(cuMemcpyDtoH(v, p, sizeof(v)));
	for (uint32_t i = 0; i < B * G; i++)
		ck_assert_uint_eq(v[i], i / B * B + B - 1 - i % B);
}
END_TEST

START_TEST(module_contents)
{
	CUfunction f, list[32] = {0};
	unsigned int count;
	CUdeviceptr g, c;
	CUmoduleLoadingMode mode;
	const char *name;
	size_t size, offset;
	CUmodule m, got;
	uint32_t v[2];

	start();
	m = load();
	OK(cuModuleGetGlobal(&g, &size, m, "counter"));
	ck_assert_uint_eq(size, 4);
	OK(cuModuleGetGlobal(&c, &size, m, "step"));
	ck_assert_uint_eq(size, 8);
	FAILS(CUDA_ERROR_NOT_FOUND, cuModuleGetGlobal(&c, &size, m, "nothing"));
	FAILS(CUDA_ERROR_NOT_FOUND, cuModuleGetFunction(&f, m, "nothing"));
	OK(cuMemcpyDtoH(v, g, 4));
	ck_assert_uint_eq(v[0], 7);
	OK(run1(get(m, "count"), 1, 1, NULL, NULL));
	OK(cuMemcpyDtoH(v, g, 4));
	ck_assert_uint_eq(v[0], 16);
	OK(cuMemsetD32(c + 4, 100, 1));
	OK(run1(get(m, "count"), 1, 1, NULL, NULL));
	OK(cuMemcpyDtoH(v, g, 4));
	ck_assert_uint_eq(v[0], 116);
	OK(cuModuleGetFunctionCount(&count, m));
	ck_assert_uint_eq(count, 11);
	OK(cuModuleEnumerateFunctions(list, count, m));
	OK(cuFuncGetName(&name, list[0]));
	ck_assert_str_eq(name, "vadd");
	OK(cuFuncGetParamInfo(list[0], 3, &offset, &size));
	ck_assert_uint_eq(offset, 24);
	ck_assert_uint_eq(size, 4);
	FAILS(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(list[0], 4, &offset, &size));
	OK(cuFuncGetModule(&got, list[0]));
	ck_assert_ptr_eq(got, m);
	OK(cuModuleGetLoadingMode(&mode));
	OK(cuModuleUnload(m));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuModuleUnload(m));
	FAILS(CUDA_ERROR_INVALID_HANDLE, run1(list[0], 1, 1, NULL, NULL));
}
END_TEST

START_TEST(function_attributes)
{
	CUfunction f;
	int v;

	start();
	f = get(load(), "vadd");
	OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, f));
	ck_assert_int_eq(v, 1024);
	OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_NUM_REGS, f));
	ck_assert_int_gt(v, 0);
	OK(cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 100000));
	OK(cuFuncGetAttribute(&v, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, f));
	ck_assert_int_eq(v, 100000);
	FAILS(CUDA_ERROR_INVALID_VALUE,
	      cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, 300000));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuFuncSetAttribute(f, CU_FUNC_ATTRIBUTE_NUM_REGS, 3));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuFuncGetAttribute(&v, (CUfunction_attribute)99, f));
}
END_TEST

START_TEST(bad_images)
{
	char log[512] = "";
	CUjit_option option[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	void *value[] = {log, (void *)(uintptr_t)sizeof(log)};
	unsigned char elf[64] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
	CUmodule m;

	start();
	FAILS(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&m, "what is this"));
	FAILS(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&m, elf));
	FAILS(CUDA_ERROR_INVALID_VALUE, cuModuleLoadData(&m, NULL));
	FAILS(CUDA_ERROR_FILE_NOT_FOUND, cuModuleLoad(&m, "/nonexistent/file"));
	FAILS(CUDA_ERROR_INVALID_PTX,
	      cuModuleLoadDataEx(&m,
				 PTX_HEAD ".visible .entry k()\n{\nfrobnicate.u32 1;\nret;\n}\n", 2,
				 option, value));
	ck_assert_msg(strstr(log, "frobnicate") != NULL, "log: %s", log);
	ck_assert_uint_eq((uintptr_t)value[1], strlen(log) + 1);
	OK(cuCtxSynchronize());
}
END_TEST

struct fatbin {
	struct fat_header header;
	unsigned char body[2048];
};

static void add_entry(struct fatbin *f, enum fat_kind kind, uint32_t sm, uint64_t flags,
		      const char *text)
{
	unsigned char *p = f->body + f->header.size;
	struct fat_entry e = fat_entry(kind, sm, FAT_PLAIN, strlen(text) + 1, 0);

	e.flags = flags;
	memcpy(p, &e, sizeof(e));
	memcpy(p + sizeof(e), text, strlen(text));
	f->header = fat_header(f->header.size + sizeof(e) + e.payload);
}

START_TEST(the_best_of_a_fatbin)
{
	static struct fatbin f, none;
	const struct fat_wrapper wrapper = {FAT_WRAPPER_MAGIC, 1, &f, NULL};
	CUmodule m;
	CUfunction fn;

	start();
	add_entry(&none, FAT_ELF, 90, 1,
		  "\x7f"
		  "ELF");
	add_entry(&none, FAT_PTX, 100, 1, PTX_HEAD ".visible .entry future()\n{\nret;\n}\n");
	add_entry(&none, FAT_PTX, 80, 0x100001, PTX_HEAD ".visible .entry only_80()\n{\nret;\n}\n");
	FAILS(CUDA_ERROR_NO_BINARY_FOR_GPU, cuModuleLoadData(&m, &none));
	add_entry(&f, FAT_PTX, 70, 1, PTX_HEAD ".visible .entry old()\n{\nret;\n}\n");
	add_entry(&f, FAT_PTX, 80, 1, PTX_HEAD ".visible .entry newer()\n{\nret;\n}\n");
	add_entry(&f, FAT_PTX, 100, 1, PTX_HEAD ".visible .entry future()\n{\nret;\n}\n");
	OK(cuModuleLoadData(&m, &f));
	OK(cuModuleGetFunction(&fn, m, "newer"));
	OK(cuModuleLoadFatBinary(&m, &wrapper));
	OK(cuModuleGetFunction(&fn, m, "newer"));
	f.header.size -= 8; /* cut */
	FAILS(CUDA_ERROR_INVALID_IMAGE, cuModuleLoadData(&m, &f));
}
END_TEST

START_TEST(module_from_a_file)
{
	char path[] = "/tmp/simcuda-test-XXXXXX";
	int fd = mkstemp(path);
	CUmodule m;

	start();
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, PTX_ALL, strlen(PTX_ALL)), (ssize_t)strlen(PTX_ALL));
	close(fd);
	OK(cuModuleLoad(&m, path));
	get(m, "vadd");
	unlink(path);
}
END_TEST

START_TEST(libraries)
{
	CUcontext other;
	CUdeviceptr a, b;
	unsigned int count;
	CUkernel k, list[16];
	CUfunction f;
	CUlibrary lib, got;
	const char *name;
	CUmodule m;
	uint32_t v = 0;
	size_t size;
	int n;

	start();
	OK(cuLibraryLoadData(&lib, PTX_ALL, NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernel(&k, lib, "count"));
	FAILS(CUDA_ERROR_NOT_FOUND, cuLibraryGetKernel(&k, lib, "none"));
	OK(cuLibraryGetKernelCount(&count, lib));
	ck_assert_uint_eq(count, 11);
	OK(cuLibraryEnumerateKernels(list, 11, lib));
	OK(cuKernelGetName(&name, k));
	ck_assert_str_eq(name, "count");
	OK(cuKernelGetLibrary(&got, k));
	ck_assert_ptr_eq(got, lib);
	OK(cuKernelGetAttribute(&n, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, k, 0));
	OK(cuLaunchKernel((CUfunction)k, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	OK(cuLibraryGetGlobal(&a, &size, lib, "counter"));
	OK(cuMemcpyDtoH(&v, a, 4));
	ck_assert_uint_eq(v, 16);
	OK(cuKernelGetFunction(&f, k));
	OK(cuLibraryGetModule(&m, lib));
	FAILS(CUDA_ERROR_NOT_PERMITTED, cuModuleUnload(m));
	OK(cuCtxCreate(&other, NULL, 0, 0));
	OK(cuLibraryGetGlobal(&b, &size, lib, "counter"));
	ck_assert_uint_ne(a, b); /* each context has its own */
	FAILS(CUDA_ERROR_INVALID_HANDLE, run1(f, 1, 1, NULL, NULL));
	OK(cuLaunchKernel((CUfunction)k, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL));
	OK(cuCtxDestroy(other));
	OK(cuLibraryUnload(lib));
	FAILS(CUDA_ERROR_INVALID_HANDLE, cuLibraryGetKernel(&k, lib, "count"));
}
END_TEST

START_TEST(occupancy)
{
	int grid, block, n;
	CUfunction f;
	size_t bytes;

	start();
	f = get(load(), "reverse");
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 64, 0));
	ck_assert_int_eq(n, 32);
	OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&n, f, 64, 40000));
	ck_assert_int_eq(n, 5);
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, f, NULL, 0, 0));
	ck_assert_int_eq(block, 1024);
	ck_assert_int_eq(grid, 32);
	OK(cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f, 2, 128));
	ck_assert_uint_gt(bytes, 100000);
}
END_TEST

/* Half of the blocks sleep, which takes device time but no CPU time, and the others run meanwhile.
 */
START_TEST(sleepers_do_not_hold_up_others)
{
	uint32_t ns = 1000000, times = 1000, until = 32, v = 1;
	CUdeviceptr p;
	CUdeviceptr q;
	void *nap_args[] = {&ns, &times, &p};
	void *meet_args[] = {&q, &until};
	CUstream a, b;
	CUmodule m;

	start();
	m = load();
	OK(cuMemAlloc(&p, 4));
	OK(cuMemAlloc(&q, 4));
	OK(cuMemsetD32(p, 0, 1));
	OK(cuMemsetD32(q, 0, 1));
	OK(cuStreamCreate(&a, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreateWithPriority(&b, CU_STREAM_NON_BLOCKING, -5));
	OK(run1(get(m, "nap"), 64, 32, a, nap_args));
	OK(run1(get(m, "meet"), 32, 1, b, meet_args));
	OK(cuStreamSynchronize(b));
	FAILS(CUDA_ERROR_NOT_READY, cuStreamQuery(a));
	OK(cuStreamSynchronize(a));
	OK(cuMemcpyDtoH(&v, p, 4));
	ck_assert_uint_eq(v, 1);
}
END_TEST

/* A sleeper's end wakes one of the eight threads. */
START_TEST(one_thread_looks_after_a_sleeper)
{
	uint32_t ns = 200000, times = 500;
	struct rusage before, after;
	CUdeviceptr p;
	void *args[] = {&ns, &times, &p};
	CUfunction f;

	setenv("SIMCUDA_THREADS", "8", 1);
	start();
	f = get(load(), "nap");
	OK(cuMemAlloc(&p, 4));
	getrusage(RUSAGE_SELF, &before);
	OK(run1(f, 1, 1, NULL, args));
	OK(cuCtxSynchronize());
	getrusage(RUSAGE_SELF, &after);
	ck_assert_int_gt(after.ru_nvcsw - before.ru_nvcsw, 0);
	ck_assert_int_lt(after.ru_nvcsw - before.ru_nvcsw, 2 * times);
}
END_TEST

START_TEST(settings)
{
	uint64_t begin, fast;
	CUdeviceptr p;
	uint32_t v = 1;
	void *args[] = {&p, &v};
	size_t total;
	CUfunction f;
	int n;

	setenv("SIMCUDA_MEMORY", "256M", 1);
	setenv("SIMCUDA_SMS", "3", 1);
	setenv("SIMCUDA_CC", "7.5", 1);
	setenv("SIMCUDA_SPEED", "5", 1);
	setenv("SIMCUDA_THREADS", "1", 1);
	setenv("SIMCUDA_CONTEXT_MEMORY", "6M", 1);
	start();
	OK(cuDeviceTotalMem(&total, 0));
	ck_assert_uint_eq(total, 256 << 20);
	OK(cuMemGetInfo(&total, &(size_t){0}));
	ck_assert_uint_eq(total, 250 << 20);
	OK(cuDeviceGetAttribute(&n, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, 0));
	ck_assert_int_eq(n, 3);
	OK(cuDeviceGetAttribute(&n, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, 0));
	ck_assert_int_eq(n, 7);
	f = get(load(), "store");
	OK(cuMemAlloc(&p, 4));
	begin = test_now_ns();
	OK(run1(f, 2000, 256, NULL, args));
	OK(cuCtxSynchronize());
	fast = test_now_ns() - begin;
	ck_assert_uint_ge(fast, 10000000); /* 2000 blocks of 0.5 us and more, 20 times slower */
}
END_TEST

START_TEST(instructions_take_their_time)
{
	uint64_t begin;
	CUdeviceptr p;
	uint32_t v = 1;
	void *args[] = {&p, &v};
	CUfunction f;

	setenv("SIMCUDA_INSTRUCTION_NS", "5000", 1);
	setenv("SIMCUDA_THREADS", "1", 1);
	start();
	f = get(load(), "store");
	OK(cuMemAlloc(&p, 4));
	begin = test_now_ns();
	OK(run1(f, 200, 64, NULL, args));
	OK(cuCtxSynchronize());
	/* 400 warps of 3 instructions and more; the last 50 us are not slept */
	ck_assert_uint_ge(test_now_ns() - begin, 400 * 3 * 5000 - 50000);
}
END_TEST

START_TEST(launch_latency_is_sane)
{
	enum { N = 2000 };
	uint64_t begin, posted, done;
	CUdeviceptr at;
	uint32_t v = 1;
	void *args[] = {&at, &v};
	CUfunction f;
	CUstream s;

	start();
	f = get(load(), "store");
	OK(cuMemAlloc(&at, 4));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	begin = test_now_ns();
	for (int i = 0; i < N; i++)
		OK(run1(f, 1, 32, s, args));
	posted = test_now_ns();
	OK(cuStreamSynchronize(s));
	done = test_now_ns();
	printf("launch: %.2f us posted, %.2f us done\n", (double)(posted - begin) / N / 1000,
	       (double)(done - begin) / N / 1000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("simcuda_kernel");
	TCase *t = tcase_create("all");

	tcase_set_timeout(t, 120);
	tcase_add_test(t, vector_add);
	tcase_add_test(t, parameters_as_a_buffer);
	tcase_add_test(t, bad_launches_are_told_at_once);
	tcase_add_test(t, blocks_run_together);
	tcase_add_test(t, kernels_of_streams_run_together);
	tcase_add_test(t, shared_memory);
	tcase_add_test(t, a_warp_gives_a_lock_back_once);
	tcase_add_test(t, module_contents);
	tcase_add_test(t, function_attributes);
	tcase_add_test(t, bad_images);
	tcase_add_test(t, the_best_of_a_fatbin);
	tcase_add_test(t, module_from_a_file);
	tcase_add_test(t, libraries);
	tcase_add_test(t, occupancy);
	tcase_add_test(t, sleepers_do_not_hold_up_others);
	tcase_add_test(t, one_thread_looks_after_a_sleeper);
	tcase_add_test(t, settings);
	tcase_add_test(t, instructions_take_their_time);
	tcase_add_test(t, launch_latency_is_sane);
	suite_add_tcase(s, t);
	return run_suite(s, "kernel");
}
