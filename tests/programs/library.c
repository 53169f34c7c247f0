/* SPDX-License-Identifier: MIT */
/* Libraries and kernels: modules that belong to no context. */
#include "tests/programs/common.h"

PTX(ptx_vector);
PTX(ptx_globals);

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_listing(CUlibrary library)
{
	const char *names[16];
	CUkernel kernels[16], again;
	unsigned int count;
	CUlibrary of;

	CU(cuLibraryGetKernelCount(&count, library));
	CHECK(count == 8, "%u kernels", count);
	CU(cuLibraryEnumerateKernels(kernels, 16, library));
	for (unsigned int i = 0; i < count; i++) {
		CU(cuKernelGetName(&names[i], kernels[i]));
		CU(cuLibraryGetKernel(&again, library, names[i]));
		CU(cuKernelGetLibrary(&of, again));
		CHECK(of == library, "%s belongs to another library", names[i]);
	}
	qsort(names, count, sizeof(names[0]), compare_names);
	for (unsigned int i = 0; i < count; i++)
		printf("kernel %s\n", names[i]);
}

static void check_launches(CUlibrary library)
{
	uint32_t n = 1000, seed = 9, words[1000];
	CUdeviceptr p = device_alloc(sizeof(words));
	CUkernel kernel;
	CUfunction fn;
	CUmodule module;
	size_t offset, size;
	int value;

	CU(cuLibraryGetKernel(&kernel, library, "fill"));
	/* A kernel is launched in the current context, as it is or through its function there. */
	LAUNCH((CUfunction)kernel, 4, 64, 0, NULL, &p, &n, &seed);
	download(words, p, sizeof(words));
	CHECK(words[999] == fill_value(9, 999), "a launched kernel wrote %u", words[999]);
	CU(cuKernelGetFunction(&fn, kernel));
	seed = 10;
	LAUNCH(fn, 4, 64, 0, NULL, &p, &n, &seed);
	download(words, p, sizeof(words));
	CHECK(words[999] == fill_value(10, 999), "a kernel's function wrote %u", words[999]);
	CU(cuLibraryGetModule(&module, library));
	seed = 11;
	LAUNCH(function(module, "fill"), 4, 64, 0, NULL, &p, &n, &seed);
	download(words, p, sizeof(words));
	CHECK(words[999] == fill_value(11, 999), "a library's module's function wrote %u",
	      words[999]);
	CU(cuKernelGetParamInfo(kernel, 1, &offset, &size));
	CHECK(offset == 8 && size == 4, "parameter 1: %zu bytes at %zu", size, offset);
	WANT(CUDA_ERROR_INVALID_VALUE, cuKernelGetParamInfo(kernel, 3, &offset, &size));
	CU(cuKernelGetAttribute(&value, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, kernel, 0));
	CHECK(value >= 64 && value <= 1024, "at most %d threads", value);
	CU(cuKernelSetAttribute(CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT, 50, kernel, 0));
	CU(cuKernelSetCacheConfig(kernel, CU_FUNC_CACHE_PREFER_L1, 0));
	CU(cuMemFree(p));
	printf("kernels run in three ways\n");
}

static void check_globals(void)
{
	CUdeviceptr p;
	CUlibrary library;
	uint32_t table[8];
	size_t bytes;

	CU(cuLibraryLoadData(&library, ptx_globals, NULL, NULL, 0, NULL, NULL, 0));
	CU(cuLibraryGetGlobal(&p, &bytes, library, "table"));
	CHECK(bytes == sizeof(table), "table has %zu bytes", bytes);
	download(table, p, bytes);
	CHECK(table[0] == 3 && table[7] == 6, "table is %u ... %u", table[0], table[7]);
	WANT(CUDA_ERROR_NOT_FOUND, cuLibraryGetGlobal(&p, &bytes, library, "chair"));
	CU(cuLibraryUnload(library));
	printf("a library's variables are found\n");
}

/* The same library serves a second context, with a module of its own there. */
static void check_two_contexts(CUlibrary library)
{
	CUmodule first, second;
	CUcontext ctx;

	CU(cuLibraryGetModule(&first, library));
	CU(cuCtxCreate(&ctx, NULL, 0, 0));
	CU(cuLibraryGetModule(&second, library));
	CHECK(first != second, "two contexts share a module");
	check_launches(library);
	CU(cuCtxDestroy(ctx));
}

int main(void)
{
	CUlibrary library;
	CUkernel kernel;

	start();
	CU(cuLibraryLoadData(&library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	check_listing(library);
	check_launches(library);
	check_two_contexts(library);
	WANT(CUDA_ERROR_NOT_FOUND, cuLibraryGetKernel(&kernel, library, "vec_sub"));
	check_globals();
	CU(cuLibraryUnload(library));
	finish();
	return 0;
}
