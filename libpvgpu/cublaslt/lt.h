/* SPDX-License-Identifier: MIT */
/* The guest's libcublasLt: what its files share. */
#ifndef PVGPU_CUBLASLT_LT_H
#define PVGPU_CUBLASLT_LT_H

#include "pvgpu_calls_cublaslt.h"

#include "cublas/status.h"
#include "cublaslt/problem/problem.h"

/*
 * A descriptor as the application has it: a word that says what it is, then its attributes. It is a
 * plain value: applications copy it.
 */
enum lt_kind { LT_LAYOUT, LT_OPERATION, LT_TRANSFORM, LT_PREFERENCE, LT_EMULATION, LT_KINDS };

/* Its attributes, or NULL where it is not one. */
const void *lt_descriptor(enum lt_kind kind, const void *descriptor);

/* The layout behind a descriptor, which may be version 12's, shorter one; false: it is none. */
bool lt_layout(struct pvgpu_lt_layout *to, cublasLtMatrixLayout_t from);

/* An application's algorithm: 64 bytes that it copies about. */
struct lt_algo_value {
	uint64_t word;
	struct pvgpu_lt_algo algo;
	uint64_t zero;
};

/* NULL: it is none that a library of ours has made. */
const struct pvgpu_lt_algo *lt_algo(const cublasLtMatmulAlgo_t *algo);
void lt_algo_value(cublasLtMatmulAlgo_t *to, const struct pvgpu_lt_algo *algo);

/* The object behind a handle of this library, or of cuBLAS, which serves as one. */
int lt_handle(cublasLtHandle_t handle, struct object **object);

/* Everything that a call says of a product, copied together. */
struct lt_asked {
	struct pvgpu_lt_operation op;
	struct pvgpu_lt_layout a, b, c, d;
	struct pvgpu_lt_emulation emulation;
};

static inline struct lt_problem lt_problem_of(const struct lt_asked *k)
{
	return (struct lt_problem){&k->op, &k->a, &k->b, &k->c, &k->d, &k->emulation};
}

/* false: one of them is no descriptor, or not there. d may be NULL: it is c's. */
bool lt_asked(struct lt_asked *k, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
	      cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d);

/* Remembered answers: cache.c. The key is everything that an answer depends on. */
struct lt_key {
	uint64_t ctx;
	struct lt_asked asked;
	struct pvgpu_lt_preference preference;
	uint32_t count, zero;
};

struct lt_found { /* one algorithm of an answer */
	struct pvgpu_lt_algo algo;
	struct pvgpu_lt_result result;
};

/* true: *status, and up to key->count of *found, *count of them. */
bool lt_recall(const struct lt_key *key, cublasStatus_t *status, struct lt_found *found,
	       uint32_t *count);
void lt_remember(const struct lt_key *key, cublasStatus_t status, const struct lt_found *found,
		 uint32_t count);
size_t lt_capacity(void);
void lt_set_capacity(size_t entries);

/* algo.c: an answer depends on an address's alignment, and on whether there is one; the rest goes.
 */
void lt_forget_address(uint64_t *address);
void lt_forget_addresses(struct lt_asked *k);
/* The algorithm that the library would choose for a product, remembered as any answer, so
 * that one which it cannot solve is refused at once. */
cublasStatus_t lt_choose(const struct object *o, const struct lt_asked *k,
			 const struct lt_places *at, struct pvgpu_lt_algo *algo);

/* Which of the libraries this is, generated. */
extern const int lt_major;

#endif
