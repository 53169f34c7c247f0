/* SPDX-License-Identifier: MIT */
/*
 * Targets: where commands go. streams/stream.c finds that of a stream; generated calls (api.h,
 * client.h) need it, too.
 */
#ifndef PVGPU_CUDA_CORE_TARGET_H
#define PVGPU_CUDA_CORE_TARGET_H

#include "cuda/core/context.h"
#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

/* Where a command goes: stream 0 is the context's legacy default stream. */
struct target {
	struct ctx *ctx;
	uint64_t stream;
	uint64_t captured; /* number of the capture that it becomes a node in; 0: none */
	bool blocking;     /* not the legacy stream, but in order with it */
	uint32_t sms;      /* multiprocessors of the stream's green context; 0: of the device */
};

/* The worker's handle that tells streams apart: a context's for its default stream. */
static inline uint64_t target_key(const struct target *t)
{
	return t->stream ? t->stream : t->ctx->o.wire;
}

/* Where work on stream h goes. A default stream is the current context's; other streams need none.
 */
int stream_enter(CUstream h, bool per_thread, struct target *t);

#endif
