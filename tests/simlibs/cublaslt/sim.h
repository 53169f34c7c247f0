/* SPDX-License-Identifier: MIT */
/*
 * A stand-in for libcublasLt: it takes the arguments that cuBLASLt takes, with the same checks, and
 * computes on the CPU, in the stream's order, on the simulated GPU's memory, which lies in this
 * process. SIMCUBLASLT_STATUS=CALL:STATUS has a call answer a status.
 */
#ifndef SIMLIBS_CUBLASLT_SIM_H
#define SIMLIBS_CUBLASLT_SIM_H

#include "libpvgpu/cublaslt/problem/problem.h"

#define PUBLIC __attribute__((visibility("default")))

/* An element. Real ones have no imaginary part. */
struct element {
	double re, im;
};

/* types.c: whether elements of a type can be computed with; one of them, and one written. */
bool sim_type(int type);
bool sim_complex(int type);
struct element sim_load(int type, const void *from, size_t index);
void sim_store(int type, void *to, size_t index, struct element e);

/* Where an element lies in a matrix's memory. */
size_t sim_at(const struct pvgpu_lt_layout *l, size_t row, size_t col);

/* An algorithm that can be used, and what it needs. */
enum sim_algo { SIM_SIMPLE = 7, SIM_TILED = 21, SIM_SPLIT = 66 };
/* NULL: no algorithm of this library's. It takes the bytes on trust, as a library does. */
const struct pvgpu_lt_algo *sim_algo(const cublasLtMatmulAlgo_t *algo);
uint64_t sim_workspace(const struct lt_problem *p, const struct pvgpu_lt_algo *algo);
/* A status: whether this problem can be solved at all. */
int sim_supported(const struct lt_problem *p);

/* The status that a call is to answer, or success. */
cublasStatus_t sim_asked(const char *call);

/* descriptor.c */
bool sim_problem(struct pvgpu_lt_operation *op, struct pvgpu_lt_layout l[4],
		 cublasLtMatmulDesc_t operation, const cublasLtMatrixLayout_t from[4]);
const struct pvgpu_lt_preference *sim_preference(cublasLtMatmulPreference_t preference);
const struct pvgpu_lt_transform *sim_transform(cublasLtMatrixTransformDesc_t transform);
bool sim_layout(struct pvgpu_lt_layout *to, cublasLtMatrixLayout_t from);

#endif
