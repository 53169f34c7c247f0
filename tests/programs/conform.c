/* SPDX-License-Identifier: MIT */
/*
 * Each described call with right and with wrong arguments: the arguments are generated from the
 * description (gen/c_conform.py). It prints each status, the numbers that come back and a digest of
 * the memory that the call may write, so that a run on the far end's library and one through pvgpu
 * can be compared. Then come CONFORM_ROUNDS rounds of all calls with arguments drawn at random
 * (gen/c_vary.py).
 */
#include <dlfcn.h>

#include "pvgpu_cublas.h"
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { BYTES = 64 << 10 };

struct conform {
	CUmodule module;
	CUlibrary library;
	cublasHandle_t cublas; /* NULL: the library is not here */
	CUdeviceptr memory;
};

static void *libraries[2];

static void *symbol(const char *name)
{
	void *p = dlsym(libraries[!strncmp(name, "cublas", 6)], name);

	CHECK(p, "no %s", name);
	return p;
}
#define CALL(name) ((__typeof__(name) *)symbol(#name))

/* The same small numbers every time: floats of 1, 2, 3, ... */
static void conform_begin(const struct conform *k)
{
	static float numbers[BYTES / sizeof(float)];

	for (size_t i = 0; i < BYTES / sizeof(float); i++)
		numbers[i] = (float)(i % 97 + 1);
	CU(cuMemcpyHtoD(k->memory, numbers, BYTES));
}

/* Addresses of matrices apart from each other, where the call's parameter of that index lies. */
static void conform_addresses(const struct conform *k, unsigned int index, unsigned int table)
{
	CUdeviceptr at[32];

	for (unsigned int i = 0; i < 32; i++)
		at[i] = k->memory + (8 + table) * 4096 + (i % 16) * 256;
	CU(cuMemcpyHtoD(k->memory + (index << 12), at, sizeof(at)));
}

static void conform_no_addresses(const struct conform *k, unsigned int index)
{
	CU(cuMemsetD8(k->memory + (index << 12), 0, 32 * sizeof(CUdeviceptr)));
}

/* Where numbers by pointer lie: 1 on the device. */
static void conform_mode(const struct conform *k, int mode)
{
	CHECK(!CALL(cublasSetPointerMode_v2)(k->cublas, (cublasPointerMode_t)mode), "mode %d",
	      mode);
}

/* A number's place in device memory, behind that of the matrices; it is there. */
static void *conform_number_at(const struct conform *k, unsigned int index, const void *number,
			       size_t bytes)
{
	const CUdeviceptr at = k->memory + BYTES - 4096 + index * 256;

	CU(cuMemcpyHtoD(at, number, bytes));
	return (void *)(uintptr_t)at;
}

/* One-way work may fail later: that shows here. */
static void conform_status(const struct conform *k, const char *call, int status)
{
	printf("%s: %d, then %d\n", call, status, (int)cuCtxSynchronize());
}

static void conform_number(const char *name, double number)
{
	printf("  %s %.17g\n", name, number);
}

/* A number of whichever type: as it lies. */
static void conform_words(const char *name, const uint64_t word[2])
{
	printf("  %s %016llx %016llx\n", name, (unsigned long long)word[0],
	       (unsigned long long)word[1]);
}

static void conform_memory(const struct conform *k)
{
	static char bytes[BYTES];

	download(bytes, k->memory, BYTES);
	printf("  memory %016llx\n", (unsigned long long)digest(bytes, BYTES));
}

/* ---- arguments that vary ---- */

static int conform_below(struct random *r, uint32_t n)
{
	return (int)(random_next(r) % n);
}

static int conform_any_type(struct random *r)
{
	static const int types[] = {CUDA_R_32F, CUDA_R_64F,  CUDA_C_32F, CUDA_C_64F, CUDA_R_16F,
				    CUDA_R_32F, CUDA_R_16BF, CUDA_R_8I,  CUDA_R_32I, CUDA_C_8I};

	return types[conform_below(r, sizeof(types) / sizeof(types[0]))];
}

/* Of a matrix: mostly that of the call's others. */
static cudaDataType_t conform_type(struct random *r, int type)
{
	return (cudaDataType_t)(conform_below(r, 4) ? type : conform_any_type(r));
}

static cublasComputeType_t conform_compute(struct random *r, int type)
{
	static const int types[] = {CUBLAS_COMPUTE_16F, CUBLAS_COMPUTE_32F, CUBLAS_COMPUTE_64F,
				    CUBLAS_COMPUTE_32I, CUBLAS_COMPUTE_32F_FAST_TF32};

	if (!conform_below(r, 4))
		return (cublasComputeType_t)types[conform_below(r, 5)];
	if (type == CUDA_R_64F || type == CUDA_C_64F)
		return CUBLAS_COMPUTE_64F;
	return type == CUDA_R_8I || type == CUDA_R_32I ? CUBLAS_COMPUTE_32I : CUBLAS_COMPUTE_32F;
}

#include "pvgpu_conform_cuda.h"
#include "pvgpu_conform_cublas.h"
#include "pvgpu_vary_cublas.h"

int main(void)
{
	const char *asked = getenv("CONFORM_ROUNDS");
	const int rounds = asked ? atoi(asked) : 2;
	struct conform k = {0};
	struct random r = {43};

	libraries[0] = dlopen("libcuda.so.1", RTLD_NOW);
	libraries[1] = dlopen("libcublas.so.13", RTLD_NOW);
	start();
	k.module = load(ptx_vector);
	CU(cuLibraryLoadData(&k.library, ptx_vector, NULL, NULL, 0, NULL, NULL, 0));
	k.memory = device_alloc(BYTES);
	conform_cuda_all(&k);
	if (libraries[1] && !CALL(cublasCreate_v2)(&k.cublas)) {
		conform_cublas_all(&k);
		for (int i = 0; i < rounds; i++)
			vary_cublas_all(&k, &r);
		CHECK(!CALL(cublasDestroy_v2)(k.cublas), "cublasDestroy");
	}
	CU(cuMemFree(k.memory));
	CU(cuLibraryUnload(k.library));
	CU(cuModuleUnload(k.module));
	finish();
	return 0;
}
