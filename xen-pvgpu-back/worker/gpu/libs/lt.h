/* SPDX-License-Identifier: MIT */
/*
 * cuBLASLt. A guest's descriptors come with each call: lt_far.c makes the library's of them.
 * Algorithms stay here (lt_algo.c): the guest has the number of an entry and settings, never the
 * bytes that the library trusts. lt.c does products and transforms, lt_ask.c answers questions.
 */
#ifndef PVGPU_WORKER_LT_H
#define PVGPU_WORKER_LT_H

#include <stdbool.h>
#include <stdint.h>

#include "cublaslt/problem/problem.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;

/* The library's descriptors of a problem. */
struct lt_far {
	cublasLtMatmulDescOpaque_t op;
	cublasLtMatrixLayoutOpaque_t a, b, c, d;
	cublasLtEmulationDescOpaque_t emulation;
	cublasLtMatmulPreferenceOpaque_t preference;
};

/* Copies of a record's descriptors, aligned. */
struct lt_record {
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout a, b, c, d;
	struct pvgpu_lt_emulation emulation;
};

#define LT_RECORD(k, in)                                                                           \
	do {                                                                                       \
		memcpy(&(k)->op, (in)->operation, sizeof((k)->op));                                \
		memcpy(&(k)->a, (in)->a_layout, sizeof((k)->a));                                   \
		memcpy(&(k)->b, (in)->b_layout, sizeof((k)->b));                                   \
		memcpy(&(k)->c, (in)->c_layout, sizeof((k)->c));                                   \
		memcpy(&(k)->d, (in)->d_layout, sizeof((k)->d));                                   \
		memcpy(&(k)->emulation, (in)->emulation, sizeof((k)->emulation));                  \
	} while (0)

static inline struct lt_problem lt_problem_of(const struct lt_record *k)
{
	return (struct lt_problem){&k->op, &k->a, &k->b, &k->c, &k->d, &k->emulation};
}

enum { LT_LIBRARY = PVGPU_OP_CUBLAS_LT_MATMUL >> PVGPU_OP_BITS };

/* lt_far.c: whether the library is there, with the functions of its oldest version that is served.
 * The others answer a cublasStatus_t. */
bool lt_far_offered(const struct far *far);
int lt_far_problem(const struct far *far, const struct lt_record *k, struct lt_far *to);
int lt_far_layout(const struct far *far, const struct pvgpu_lt_layout *l,
		  cublasLtMatrixLayoutOpaque_t *to);
int lt_far_transform(const struct far *far, const struct pvgpu_lt_transform *t,
		     cublasLtMatrixTransformDescOpaque_t *to);
int lt_far_preference(const struct far *far, const struct pvgpu_lt_preference *p,
		      cublasLtMatmulPreferenceOpaque_t *to);

/*
 * lt_algo.c, any thread. Give one out: the entry is the same for the same algorithm; find what the
 * guest names, with its settings: CUBLAS_STATUS_INVALID_VALUE where it was not given out, or where
 * the library refuses a setting. *changed: it is not as it was given out.
 */
enum { LT_ALGOS_MAX = 16384 };
int lt_algo_give(struct gpu *g, const cublasLtMatmulAlgo_t *algo, struct pvgpu_lt_algo *to);
int lt_algo_find(struct gpu *g, const struct pvgpu_lt_algo *named, cublasLtMatmulAlgo_t *to,
		 bool *changed);

#endif
