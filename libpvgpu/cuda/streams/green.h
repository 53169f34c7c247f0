/* SPDX-License-Identifier: MIT */
/* Green contexts: green.c. */
#ifndef PVGPU_CUDA_STREAMS_GREEN_H
#define PVGPU_CUDA_STREAMS_GREEN_H

#include "cuda/core/context.h"
#include "cuda/core/object.h"
#include "cuda/streams/stream.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct green {
	struct object o;
	uint64_t id;
	uint32_t count;        /* multiprocessors */
	struct ctx *ctx;       /* what stands for it where a CUcontext is asked for */
	struct stream *stream; /* its default stream */
	struct joint joint;
};

/* Is the green context of this stream still there? */
static inline bool green_live(const struct stream *s)
{
	return atomic_load_explicit(&s->green->o.generation, memory_order_relaxed) ==
	       s->green_generation;
}

#endif
