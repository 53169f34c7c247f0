/* SPDX-License-Identifier: MIT */
/*
 * Calls whose stream is captured: graphs/capture.c, and graphs/memory.c, graphs/events.c and
 * graphs/copies.c for those that become nodes there. The rules of capture are kept here: the worker
 * captures in relaxed mode.
 */
#ifndef PVGPU_CUDA_CORE_CAPTURE_H
#define PVGPU_CUDA_CORE_CAPTURE_H

#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct box;
struct ctx;
struct event;
struct stream;
struct target;

extern _Atomic unsigned int captures; /* under way */
static inline bool capturing(void)
{
	return unlikely(atomic_load_explicit(&captures, memory_order_relaxed));
}
/* Work for a stream (NULL: the legacy one), while something is captured. */
int capture_work(struct target *t, struct stream *s);
/* A wait for it, or a query of it (NULL: the legacy one). */
int capture_wait(const struct target *t, struct stream *s);
int capture_wait_ctx(const struct ctx *c);
/* It is asked for what no captured stream can take: a capture that it takes part in becomes
 * invalid.
 */
int capture_bars(struct stream *s);
/* A call that may wait for work, in this thread. */
int capture_unsafe_slow(void);
static inline int capture_unsafe(void)
{
	return capturing() ? capture_unsafe_slow() : 0;
}
/* The stream was asked for a thing that cannot be captured: its capture becomes invalid. */
int capture_refuse(const struct target *t);
/* The stream, or with NULL the context, is destroyed: captures that began in it end without a
 * graph, others that it takes part in become invalid. */
void capture_drop(const struct ctx *ctx, struct stream *s);
/* Make a capture invalid; returns r. */
int capture_spoil(uint64_t id, int r);
/* The stream is to wait for the event, and one of them takes part in a capture. *join: post it. */
int capture_event(struct target *t, struct stream *s, const struct event *e, bool *join);
/* bytes: all of a captured command of t's that decides which nodes it makes, so no address. When
 * each command of a capture is described, its nodes are known from an earlier one (forms.h). */
void capture_describe(const struct target *t, const void *bytes, size_t len);
/* Each launch of the graph that t is captured into will call one more host function, which the
 * graph holds. False: there will be no such graph. */
bool capture_host(const struct target *t, uint64_t id);

/* memory.c of graphs: cuMemAllocAsync() and cuMemFreeAsync() in a captured stream. */
int graph_memory_alloc(const struct target *t, uint64_t bytes, CUdeviceptr *out);
int graph_memory_free(const struct target *t, uint64_t addr);
/* events.c of graphs: an external record or wait in a captured stream. */
int graph_event_captured(const struct target *t, CUgraphNodeType type, CUevent event);

/* copies.c of graphs: a copy from or to memory that the worker does not reach. */
int graph_copy_captured(const struct target *t, const struct box *b);

#endif
