/* SPDX-License-Identifier: MIT */
/* Green contexts: green.c. */
#ifndef PVGPU_WORKER_GREEN_H
#define PVGPU_WORKER_GREEN_H

#include <stdint.h>

#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;
struct green;
struct green_far;

/* The far end's, which stays until the last stream in it is destroyed. Any thread. */
struct green_far *green_get(struct green *g);
void green_put(struct green_far *f);
CUresult green_stream(const struct green_far *f, CUstream *out, unsigned int flags, int priority);
/* The guest's object goes: of a context that goes, or unused at the end. */
void green_retire(struct obj *o);

#endif
