/* SPDX-License-Identifier: MIT */
/* Float forms of instructions whose names integers share; called when the type is known. */
#ifndef PVGPU_SIMCUDA_PTX_DECODE_FLOAT_H
#define PVGPU_SIMCUDA_PTX_DECODE_FLOAT_H

#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

void decode_float2(struct parser *p, struct raw *r, enum type t, enum float2 op);
void decode_float_minmax(struct parser *p, struct raw *r, enum type t, enum float2 op);
void decode_float_sign(struct parser *p, struct raw *r, enum type t, enum float1 op);
void decode_fma_type(struct parser *p, struct raw *r, enum type t);

#endif
