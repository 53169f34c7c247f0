/* SPDX-License-Identifier: MIT */
/* The library's data of each thread: thread.c. */
#ifndef PVGPU_CUDA_CORE_THREAD_H
#define PVGPU_CUDA_CORE_THREAD_H

#include "cuda/core/public.h"

#include <stdbool.h>
#include <stdint.h>

struct ctx;

struct ctx_ref {
	struct ctx *ctx;
	uint32_t generation;
};

/* A thread's own blocking stream in a context, which CU_STREAM_PER_THREAD stands for. */
struct thread_stream {
	struct ctx_ref in;
	CUstream stream;
};

struct thread {
	struct ctx_ref current; /* ctx NULL: none */
	bool in_callback;       /* runs a host function: no CUDA calls */
	bool in_output;         /* pulls device output */
	bool registered;        /* thread_end() will run */
	CUstreamCaptureMode capture_mode;
	unsigned int depth, room; /* of below */
	struct ctx_ref *below;    /* contexts under the current one; bottom first */
	unsigned int streams, streams_room;
	struct thread_stream *stream;
};
/* Initial-exec: the launch path must not reach the allocator through lazy TLS. */
extern _Thread_local struct thread self __attribute__((tls_model("initial-exec")));

/* Have thread_end() called at this thread's end. */
void thread_register(void);

#endif
