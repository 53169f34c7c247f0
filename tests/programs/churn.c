/* SPDX-License-Identifier: MIT */
/*
 * Every kind of object is made and destroyed repeatedly. Memory, files and threads must not grow: a
 * service runs for months.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "tests/programs/common.h"

PTX(ptx_vector);
PTX(ptx_globals);

#ifdef __SANITIZE_THREAD__ /* fifty times slower */
enum { ROUNDS = 16 };
#else
enum { ROUNDS = 200 };
#endif
enum { MEMORY_MAY_GROW = 4 << 20 };

static CUcontext ctx;

struct usage {
	size_t bytes, files, threads;
};

static size_t entries(const char *path)
{
	DIR *d = opendir(path);
	size_t n = 0;

	CHECK(d, "no %s", path);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static struct usage usage(void)
{
	FILE *f = fopen("/proc/self/statm", "r");
	unsigned long pages = 0;

	CHECK(f && fscanf(f, "%*u %lu", &pages) == 1, "no /proc/self/statm");
	fclose(f);
	return (struct usage){pages * (size_t)sysconf(_SC_PAGESIZE), entries("/proc/self/fd"),
			      entries("/proc/self/task")};
}

/* Handles are reused: more rounds than a handle of the protocol has generations. */
static void events_and_streams(size_t rounds)
{
	for (size_t i = 0; i < rounds; i++) {
		CUevent e;
		CUstream s;

		CU(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
		CU(cuEventRecord(e, NULL));
		CU(cuEventDestroy(e));
		if (i % 16)
			continue;
		CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
		CU(cuEventCreate(&e, 0));
		CU(cuEventRecord(e, s));
		CU(cuStreamWaitEvent(NULL, e, 0));
		CU(cuEventDestroy(e));
		CU(cuStreamDestroy(s));
		if (i % 1024 == 0)
			CU(cuCtxSynchronize());
	}
}

static void memory(void)
{
	static char own[100000];
	CUdeviceptr p, q;
	void *pinned;
	size_t pitch;

	CU(cuMemAlloc(&p, 3 << 20));
	CU(cuMemAllocPitch(&q, &pitch, 1000, 100, 4));
	CU(cuMemAllocHost(&pinned, 2 << 20));
	for (size_t i = 0; i < sizeof(own); i++)
		own[i] = (char)(i % 251);
	CU(cuMemHostRegister(own, sizeof(own), 0));
	CU(cuMemcpyHtoDAsync(p, pinned, 2 << 20, NULL));
	CU(cuMemcpyHtoD(p, own, sizeof(own)));
	memset(own, -1, sizeof(own));
	CU(cuMemcpyDtoH(own, p, sizeof(own)));
	for (size_t i = 0; i < sizeof(own); i++)
		CHECK(own[i] == (char)(i % 251), "byte %zu came back wrong", i);
	CU(cuMemHostUnregister(own));
	CU(cuMemFreeHost(pinned));
	CU(cuMemFree(p));
	CU(cuMemFree(q));
}

static void modules(void)
{
	CUjit_option option[] = {CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES};
	char log[512];
	void *value[] = {log, (void *)sizeof(log)};
	CUfunction fns[8];
	unsigned int count;
	CUdeviceptr p;
	CUmodule m, bad;
	size_t bytes;

	m = load(ptx_globals);
	function(m, "use_globals");
	CU(cuModuleGetGlobal(&p, &bytes, m, "table"));
	for (int i = 0; i < 3; i++) {
		CU(cuModuleGetFunctionCount(&count, m));
		CU(cuModuleEnumerateFunctions(fns, 8, m));
	}
	CU(cuModuleUnload(m));
	WANT(CUDA_ERROR_INVALID_PTX,
	     cuModuleLoadDataEx(&bad, ".version 6.0\n.target sm_70\nnonsense", 2, option, value));
}

static void libraries(void)
{
	CUkernel kernels[16], kernel;
	CUlibrary library;
	CUfunction fn;
	CUmodule m;

	CU(cuLibraryLoadData(&library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetKernel(&kernel, library, "fill"));
	CU(cuKernelGetFunction(&fn, kernel));
	CU(cuLibraryGetModule(&m, library));
	function(m, "fill");
	for (int i = 0; i < 3; i++)
		CU(cuLibraryEnumerateKernels(kernels, 16, library));
	CU(cuLibraryUnload(library));
}

static void CUDA_CB count_up(void *number)
{
	atomic_fetch_add((_Atomic int *)number, 1);
}

static void *in_a_thread(void *arg)
{
	_Atomic int called = 0; /* the order between the two threads is made by the GPU */

	CU(cuCtxSetCurrent(ctx));
	CU(cuLaunchHostFunc(CU_STREAM_PER_THREAD, count_up, &called));
	CU(cuStreamSynchronize(CU_STREAM_PER_THREAD));
	CHECK(called == 1, "a host function ran %d times", atomic_load(&called));
	return NULL;
}

static void threads(void)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		CHECK(!pthread_create(&t[i], NULL, in_a_thread, NULL), "no thread");
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

/* Objects of a context are destroyed with it. */
static void contexts(void)
{
	CUdeviceptr p;
	CUcontext c;
	CUstream s;
	CUevent e;
	CUmodule m;
	void *pinned;

	CU(cuCtxCreate(&c, NULL, 0, 0));
	CU(cuStreamCreate(&s, 0));
	CU(cuEventCreate(&e, 0));
	CU(cuMemAlloc(&p, 100000));
	CU(cuMemAllocHost(&pinned, 100000));
	m = load(ptx_globals);
	function(m, "use_globals");
	CU(cuMemsetD8Async(p, 1, 100000, CU_STREAM_PER_THREAD));
	CU(cuEventRecord(e, s));
	CU(cuCtxDestroy(c));
}

static void round_of_all(size_t i, size_t light)
{
	events_and_streams(light);
	memory();
	modules();
	libraries();
	threads();
	if (i % 8 == 0) /* slow on a real GPU */
		contexts();
}

/* True for sanitizers, and for valgrind, which preloads a library of its own. */
static bool keeps_what_was_freed(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#else
	const char *preload = getenv("LD_PRELOAD");

	return preload && strstr(preload, "vgpreload");
#endif
}

int main(int argc, char **argv)
{
	size_t rounds = argument(argc, argv, 1, ROUNDS), light = argument(argc, argv, 2, 400);
	struct usage before, after;

	start();
	CU(cuCtxGetCurrent(&ctx));
	for (size_t i = 0; i < rounds / 4; i++)
		round_of_all(i, light);
	before = usage();
	for (size_t i = 0; i < rounds; i++)
		round_of_all(i, light);
	after = usage();
	/* The kernel lists a thread that has been joined until it has done with it. */
	for (int i = 0; i < 1000 && after.threads > before.threads; i++) {
		usleep(10000);
		after = usage();
	}
	CHECK(after.files <= before.files, "%zu files became %zu", before.files, after.files);
	CHECK(after.threads <= before.threads, "%zu threads became %zu", before.threads,
	      after.threads);
	if (!keeps_what_was_freed())
		CHECK(after.bytes <= before.bytes + MEMORY_MAY_GROW, "%zu KiB of memory became %zu",
		      before.bytes >> 10, after.bytes >> 10);
	printf("%zu rounds of everything: nothing grows\n", rounds);
	finish();
	return 0;
}
