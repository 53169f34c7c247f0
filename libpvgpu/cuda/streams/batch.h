/* SPDX-License-Identifier: MIT */
/* The rules of batches of any kind: batch.c. */
#ifndef PVGPU_CUDA_STREAMS_BATCH_H
#define PVGPU_CUDA_STREAMS_BATCH_H

#include "cuda/core/public.h"

#include <stdbool.h>
#include <stddef.h>

struct target;

/* The stream of a batch; the legacy default stream is refused, as by the driver. */
int batch_enter(CUstream stream, bool per_thread, struct target *t);
/* Groups of elements that begin at 0, each behind the one before. */
bool batch_groups(const size_t *first, size_t groups, size_t count);

#endif
