/* SPDX-License-Identifier: MIT */
/* Host functions of graphs: hostfunc.c. */
#ifndef PVGPU_CUDA_STREAMS_HOSTFUNC_H
#define PVGPU_CUDA_STREAMS_HOSTFUNC_H

#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;

/* A host function of a graph: kept until it is dropped or its context goes, and called by each
 * launch. 0: no room. */
uint64_t hostfunc_keep(CUhostFn fn, void *user_data, struct ctx *c);
/* No launch calls it any more. */
void hostfunc_drop(uint64_t id);
/* Which it is; false: none. */
bool hostfunc_kept(uint64_t id, CUDA_HOST_NODE_PARAMS *out);

#endif
