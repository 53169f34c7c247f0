/* SPDX-License-Identifier: MIT */
/* Streams: stream.c. See core/target.h for where their commands go. */
#ifndef PVGPU_CUDA_STREAMS_STREAM_H
#define PVGPU_CUDA_STREAMS_STREAM_H

#include "cuda/core/object.h"
#include "cuda/core/target.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct stream {
	struct object o;
	unsigned int flags;
	int priority;
	uint64_t id;
	struct stream_attrs attrs;
	_Atomic uint64_t
		capture; /* number of the capture that it takes part in, or of an ended one */
};

/* As stream_enter(); *real is the stream, NULL for the legacy default stream. */
int stream_enter_any(CUstream h, bool per_thread, struct target *t, struct stream **real);
/* Wait for the stream; the context's deferred errors come back here. */
int stream_drain(const struct target *t);

#endif
