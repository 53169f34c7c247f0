/* SPDX-License-Identifier: MIT */
/*
 * Inside pvgpu-worker: what its parts give each other. Sections are named after the file that
 * implements them.
 *
 * Threads: the decoding thread (main.c, loop.c) reads the ring and runs handlers and never blocks; the
 * side lane (side.c) runs what may block inside CUDA; completion threads (complete.c) wait for events
 * and send replies and marks; the output thread (output.c) drains device output. Replies may be sent
 * from any thread.
 */
#ifndef PVGPU_WORKER_H
#define PVGPU_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct worker;
struct pvgpu_cmd_hdr;

#define PVGPU_PENDING (-1)
#define PVGPU_FATAL   (-2)

/* loop.c: called by the generated code and by every part; thread-safe. */
void worker_send(struct worker *w, const void *rec, uint32_t len);
void worker_mark(struct worker *w, uint32_t seq, int32_t result);
/* Keep the first error of one-way work for the context's next synchronising call (NULL: the session). */
void worker_deferred(struct worker *w, void *ctx, int result);
/* End the session: the first reason stands; the decoding thread stops at its next step. */
void worker_end(struct worker *w, int end, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Write one line to the worker's log. */
void worker_log(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wake the decoding thread: parked work may go on. */
void worker_kick(struct worker *w);

/* lease.c: device memory leased from pvgpud. lease_try never blocks; lease_get may (side lane only). */
bool lease_try(struct worker *w, uint64_t bytes);
bool lease_get(struct worker *w, uint64_t bytes);
void lease_put(struct worker *w, uint64_t bytes);
/* The vGPU's quota and what is left of it, for cuMemGetInfo; may answer from what was last heard. */
void lease_info(struct worker *w, uint64_t *free_bytes, uint64_t *total);

/* far.c: the far end, libcuda, loaded in the prepare phase. */
struct far;
const struct far *worker_far(const struct worker *w);

/* callback.c: number of host functions that the guest has run so far; the loop calls it when it changes. */
void callback_done(struct worker *w, uint32_t cb_done);

/* objects.c / gpu state: everything that handlers own hangs below this. */
struct gpu;
struct gpu *worker_gpu(struct worker *w);

#endif
