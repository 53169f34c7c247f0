/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for libcublas on the simulated GPU. What a program calls is generated from the
 * description (front.py): it checks arguments with the validator that guest and worker have, and
 * launches a kernel, which calls run_NAME(). Those are here by hand; most of them ask OpenBLAS.
 */
#ifndef PVGPU_SIMCUBLAS_H
#define PVGPU_SIMCUBLAS_H

#define __CUDA_API_VERSION_INTERNAL
#include <complex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_cublas.h"
#include "pvgpu_valid_cublas.h"
#include "tests/simcuda/native.h"

#define PUBLIC __attribute__((visibility("default")))

/* A call that is in a stream. */
struct job {
	struct simcuda_native native;
	struct cublasContext *h;
	struct job *next, **link; /* in the handle's list */
	bool captured;            /* may run many times: lives as long as the handle */
	bool device;              /* its numbers are in device memory */
	uint64_t *lent;           /* the handle's workspace at the call, or NULL */
	bool (*exec)(struct job *j, uint64_t *bad);
};

struct cublasContext {
	CUmodule module;
	CUfunction native;
	CUdeviceptr workspace; /* as cuBLAS has one for itself; numbers that come back are there */
	pthread_mutex_t answering; /* the workspace has one number at a time */
	/* The application's, until the stream is set: each call adds 8 to its first word, which may
	 * be an address that the application has there. */
	uint64_t *lent;
	CUstream stream;
	cublasPointerMode_t mode;
	cublasMath_t math;
	cublasAtomicsMode_t atomics;
	int sm_count, bit_count, bit_offset;
	cublasEmulationStrategy_t strategy;
	cudaEmulationSpecialValuesSupport special;
	cudaEmulationMantissaControl control;
	struct job *jobs;
};

/* handle.c. asked: the status that SIMCUBLAS_STATUS=CALL:STATUS wants of a call, or success. */
cublasStatus_t sim_asked(const char *call);
void *sim_job(struct cublasContext *h, size_t size, bool (*exec)(struct job *j, uint64_t *bad));
cublasStatus_t sim_launch(void *job);
/* The same for a call that answers a number; in the host's mode wait, and read it from the
 * workspace. */
cublasStatus_t sim_answer(void *job, void *to, uint64_t bytes);
/* May a kernel use it? */
bool sim_reach(const void *p, uint64_t bytes, bool write, uint64_t *bad);

/* blas.c: OpenBLAS, which is loaded with one thread. false: it is not installed. */
bool blas_open(void);
/* Its Fortran function, all of whose arguments are addresses. */
void blas(const char *name, const void *const *args, unsigned int count);
#define BLAS(name, ...)                                                                            \
	blas(name, (const void *const[]){__VA_ARGS__},                                             \
	     sizeof((const void *const[]){__VA_ARGS__}) / sizeof(void *))
#define INT(v)     (&(const int){(int)(v)})
#define TRANS(op)  (&"NTC"[op])
#define UPLO(u)    (&"LU"[u])
#define DIAG(d)    (&"NU"[d])
#define SIDE(side) (&"LR"[side])

/* Where element i of n is, inc apart: below zero they count from the end. */
static inline int64_t place(int64_t n, int64_t inc, int64_t i)
{
	return inc < 0 ? (n - 1 - i) * -inc : i * inc;
}

/* types.c: an element of whichever type, and the number that a computation takes. */
double complex sim_load(int type, const void *at, int64_t i);
void sim_store(int type, void *at, int64_t i, double complex v);
int sim_scale_type(int compute, int type);
bool sim_complex(int type);

struct product {
	cublasOperation_t ta, tb;
	int64_t m, n, k;
	int scale; /* type of alpha and beta */
	const void *alpha, *a, *b, *beta;
	void *c;
	int at, bt, ct;
	int64_t lda, ldb, ldc;
};
/* One product; that of many whose addresses lie in tables. */
void sim_product(const struct product *p);
bool sim_products(const struct product *p, const uint64_t *a, const uint64_t *b, const uint64_t *c,
		  int64_t count, uint64_t *bad);
void sim_products_strided(const struct product *p, int64_t a, int64_t b, int64_t c, int64_t count);

#endif
