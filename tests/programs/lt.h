/* SPDX-License-Identifier: MIT */
/* Of the programs that use cuBLASLt: lt.c has types and heuristics, lt_more.c the parts of
 * cublaslt.c that need no table of types. */
#ifndef PVGPU_TEST_LT_H
#define PVGPU_TEST_LT_H

#include "pvgpu_cublaslt.h"
#include "tests/programs/common.h"

/* The call's address, with its type. */
#define LT_CALL(name) ((__typeof__(name) *)lt_symbol(#name))
#define LT_OK(name, ...)                                                                           \
	do {                                                                                       \
		const cublasStatus_t s_ = LT_CALL(name)(__VA_ARGS__);                              \
		CHECK(!s_, "%s: status %d", #name, (int)s_);                                       \
	} while (0)
#define LT_GIVES(status, name, ...)                                                                \
	do {                                                                                       \
		const cublasStatus_t s_ = LT_CALL(name)(__VA_ARGS__);                              \
		CHECK(s_ == CUBLAS_STATUS_##status, "%s: status %d, not %s", #name, (int)s_,       \
		      #status);                                                                    \
	} while (0)
#define LT_SET(Kind, x, attribute, type, value)                                                    \
	do {                                                                                       \
		const type v_ = (value);                                                           \
		LT_OK(cublasLt##Kind##SetAttribute, x, attribute, &v_, sizeof(v_));                \
	} while (0)

/* The library and a handle in the current context; false: there is none here. */
bool lt_begin(const char *library, cublasLtHandle_t *h);
/* The status of the same; NOT_SUPPORTED where there is no library. */
cublasStatus_t lt_create(const char *library, cublasLtHandle_t *h);
void *lt_symbol(const char *name);

static inline void *lt_pointer(CUdeviceptr at)
{
	return (void *)(uintptr_t)at;
}

/* One element of a type, and how close to the true value a result of it must be. */
void lt_store(int type, void *to, int index, double v);
double lt_load(int type, const void *from, int index);
double lt_close(int type);

/* A preference that allows so much workspace; the same one always. */
cublasLtMatmulPreference_t lt_preference(size_t workspace);
/* Calls that waited for an answer so far; 0 where nothing is forwarded. */
uint64_t lt_awaited(void);

/* lt_more.c */
void lt_descriptors(void);
void lt_algorithms(cublasLtHandle_t h);
void lt_refused(cublasLtHandle_t h);
void lt_transforms(cublasLtHandle_t h);
void lt_graph(cublasLtHandle_t h);
void lt_captures(cublasLtHandle_t h);
void lt_blas_handle(void);

/* lt_roles.c */
void lt_roles(cublasLtHandle_t h);

#endif
