/* SPDX-License-Identifier: MIT */
/* Streams: stream.c. See core/target.h for where their commands go. */
#ifndef PVGPU_CUDA_STREAMS_STREAM_H
#define PVGPU_CUDA_STREAMS_STREAM_H

#include "cuda/core/object.h"
#include "cuda/core/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct green;

struct stream {
	struct object o;
	struct green *green; /* where it is; NULL: in no green context */
	uint32_t green_generation;
	bool null;  /* the green context's default stream */
	bool joint; /* of struct joint */
	bool gone;  /* its green context is destroyed, and it is at the worker */
	unsigned int flags;
	int priority;
	uint64_t id;
	struct stream_attrs attrs;
	atomic_bool touched; /* it may have work, since the last wait before a capture of it */
	_Atomic uint64_t
		capture; /* number of the capture that it takes part in, or of an ended one */
};

/* Work, or a mark of an event, is about to be posted to it. */
static inline void stream_touch(struct stream *s)
{
	if (!atomic_load_explicit(&s->touched, memory_order_relaxed))
		atomic_store_explicit(&s->touched, true, memory_order_relaxed);
}

/* A stream in c, or in a green context of it. */
int stream_create(struct ctx *c, struct green *green, unsigned int flags, int priority,
		  struct stream **out);
void stream_destroy(struct stream *s);
/* The green context goes: the worker destroys the stream. */
void stream_green_gone(struct stream *s);
/* Clamped to the context's range, as documented; greater priorities are lower numbers. */
int stream_priority(const struct ctx *c, int priority);
/* As stream_enter(); *real is the stream, NULL for the legacy default stream. */
int stream_enter_any(CUstream h, bool per_thread, struct target *t, struct stream **real);
/* Wait for the stream; the context's deferred errors come back here. */
int stream_drain(const struct target *t);
/* The same, and for what new work in it would wait for: other streams' by the legacy stream's rule,
 * too. */
int stream_turn(const struct target *t);

#endif
