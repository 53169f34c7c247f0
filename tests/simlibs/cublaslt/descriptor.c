/* SPDX-License-Identifier: MIT */
/* The guest's library keeps descriptors as cuBLASLt does, with nothing of a guest's: the same code
 * serves here, under the functions' own names. */
#define PVGPU_CUBLASLT_PUBLIC_H
#include "libpvgpu/cublaslt/descriptor.c"

#include "tests/simlibs/cublaslt/sim.h"

bool sim_problem(struct pvgpu_lt_operation *op, struct pvgpu_lt_layout l[4],
		 cublasLtMatmulDesc_t operation, const cublasLtMatrixLayout_t from[4])
{
	struct lt_asked k;

	if (!lt_asked(&k, operation, from[0], from[1], from[2], from[3]))
		return false;
	*op = k.op;
	l[0] = k.a;
	l[1] = k.b;
	l[2] = k.c;
	l[3] = k.d;
	return true;
}

const struct pvgpu_lt_preference *sim_preference(cublasLtMatmulPreference_t preference)
{
	return lt_descriptor(LT_PREFERENCE, preference);
}

const struct pvgpu_lt_transform *sim_transform(cublasLtMatrixTransformDesc_t transform)
{
	return lt_descriptor(LT_TRANSFORM, transform);
}

bool sim_layout(struct pvgpu_lt_layout *to, cublasLtMatrixLayout_t from)
{
	return lt_layout(to, from);
}
