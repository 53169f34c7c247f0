/* SPDX-License-Identifier: MIT */
/*
 * Inside pvgpu-worker: the calls between its parts. Sections are named after the file that
 * implements them.
 *
 * Threads: the decoding thread (main.c, loop.c) reads the ring and runs handlers and never blocks;
 * the side lane (side.c) runs calls that may block inside CUDA, the lane for loads (side.c) those
 * that load code; completion threads (complete.c) wait for events and send replies and marks; the
 * output thread (output.c) drains device output. Replies may be sent from any thread.
 *
 * While the decoding thread sleeps, a completion thread that has answered the guest is the decoding
 * thread for a moment (worker_decode). A lock of loop.c sees to it that there is one at a time.
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
/* All commands up to this number have ended in the stream of this slot (ring.h), and their marks
 * were sent. */
void worker_ended(struct worker *w, uint32_t slot, uint64_t number);
/* A fault has spoilt a context: the guest is to ask, whatever it was told to have ended. */
void worker_faulted(struct worker *w);
/* Keep the first error of one-way work for the context's next synchronising call (NULL: the
 * session). */
void worker_deferred(struct worker *w, void *ctx, int result);
/* End the session: the first reason stands; the decoding thread stops at its next step. */
void worker_end(struct worker *w, int end, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Write one line to the worker's log. */
void worker_log(struct worker *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Wake the decoding thread: parked work may go on. */
void worker_kick(struct worker *w);
/*
 * A completion thread, before it answers a call that the guest waits in: false: the decoding thread
 * is awake. True: it sleeps on, and the caller decodes in its place: worker_decode() runs what the
 * guest posts upon the answer (rung: on its own), until there is no more of it or something to wait
 * for.
 */
bool worker_decode_begin(struct worker *w);
void worker_decode(struct worker *w, bool rung);
/*
 * A completion thread that has nothing to do waits for the guest's doorbell, which it hears before
 * the decoding thread does: it will wait for what it decodes, and no thread need be woken for that.
 * One thread at a time. 1: as worker_decode_begin(); 0: look for something else to do; -1: the
 * session has ended. worker_rouse: make it return, any thread.
 */
int worker_stand_by(struct worker *w);
void worker_rouse(struct worker *w);

/* lease.c: device memory leased from pvgpud. lease_try never blocks; lease_get may (side lane
 * only). */
bool lease_try(struct worker *w, uint64_t bytes);
bool lease_get(struct worker *w, uint64_t bytes);
void lease_put(struct worker *w, uint64_t bytes);
/* Bytes to be leased for each context. */
uint64_t lease_of_context(struct worker *w);
/* The vGPU's quota and the part that is not leased; may answer from pvgpud's last message. */
void lease_info(struct worker *w, uint64_t *free_bytes, uint64_t *total);

/*
 * share.c: what sessions of the vGPU share, by pvgpud. share_ask: import what a token of that kind
 * stands for; gpu_share_given() gets the answer, on the decoding thread; -1: it cannot be asked.
 * share_answer: to gpu_share_wanted(), with an fd if the result is 0. share_drop: a shared thing's
 * memory is not used here any more; what is leased of it is given back by that, not by lease_put.
 * False: no other session was given it. Any thread.
 */
#define SHARE_TOKEN 64
int share_ask(struct worker *w, uint32_t id, uint32_t kind, const void *token);
void share_answer(struct worker *w, uint32_t id, int result, uint64_t number, uint64_t bytes,
		  int fd);
bool share_drop(struct worker *w, uint64_t number);

/*
 * Parked memory (gpu/swap.c) is leased no more, but counts against the vGPU's quota. Any thread.
 * lease_parked: so many bytes have been parked as pvgpud's question asks, in us microseconds; 0:
 * none, with a reason. A pvgpud that has not asked hears only of bytes. lease_resumed: all that was
 * parked is on the GPU again.
 *
 * Decoding thread. lease_resume: all that is parked is to be on the GPU again: bytes that may be at
 * once, or 0: gpu_resume() will be called. lease_unask: it will not, and is to be asked again.
 */
void lease_parked(struct worker *w, uint32_t question, uint64_t bytes, uint64_t us, bool busy,
		  const char *reason);
uint64_t lease_resume(struct worker *w);
void lease_unask(struct worker *w);
void lease_resumed(struct worker *w, uint64_t bytes, uint64_t us);

/* far.c: the far end, libcuda, loaded in the prepare phase. */
struct far;
const struct far *worker_far(const struct worker *w);

/*
 * arena.c: the arena window. arena_reserve reserves an inaccessible range for the arena and tells
 * where; called again (the guest could not have that address) it gives up the last one and takes
 * another: 0, -EBUSY when chunks are mapped already, -ENOMEM. Decoding thread only.
 */
int arena_reserve(struct worker *w, uint32_t attempt, uint64_t *base, uint64_t *size);

/* main.c: the session, as pvgpud assigned it. */
struct worker_info {
	uint32_t session;
	uint64_t quota;       /* bytes of device memory of the vGPU */
	uint64_t arena_limit; /* bytes */
	uint64_t window_size; /* of the device window, bytes */
	uint64_t context;     /* bytes to be leased for each context */
	uint64_t guest_pid;   /* for the log only; on the Xen link the guest's session number */
	bool zero_copy;       /* the arena may be registered with CUDA */
	bool confidential;    /* of a pool whose vGPUs leave no traces for each other (evict.c) */
	char vgpu[40];
};
const struct worker_info *worker_info(const struct worker *w);

/* callback.c: number of host functions that the guest has run so far; the loop calls it when it
 * changes. */
void callback_done(struct worker *w, uint32_t cb_done);
/* The guest's count of host functions that it has run, as it says. Any thread. */
uint32_t worker_callbacks_done(const struct worker *w);

/* objects.c / gpu state: everything that handlers own hangs below this. */
struct gpu;
struct gpu *worker_gpu(struct worker *w);

/*
 * gpu.c: called by the frame, on the decoding thread except where said.
 *
 * gpu_open: after ASSIGN and before the seal: make the state, reserve the device window. 0, or -1
 * with a reason for people. gpu_start: after the seal: start threads; 0 or -1. gpu_submit: one
 * record (copied, header and op checked; d is its row): park it, hand it to a lane or run d->run.
 * 0; 1: taken, but fetch no more until worker_kick; PVGPU_FATAL (worker_end was called).
 * gpu_kicked: after a worker_kick, and before anything more is fetched: let parked work go on. Same
 * results as gpu_submit (1: still full). gpu_pause: no more records for now. gpu_arena_add,
 * gpu_arena_remove: a chunk was mapped; is about to be unmapped: 0, or -EBUSY when a command still
 * uses it. gpu_shutdown: the session has ended: stop threads, free all objects at the far end. The
 * caller's watchdog ends the process when this takes too long.
 */
struct pvgpu_cmd_desc;
int gpu_open(struct worker *w, struct gpu **out, char *reason, size_t cap);
int gpu_submit(struct worker *w, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len);
int gpu_kicked(struct worker *w);
int gpu_start(struct worker *w);
void gpu_pause(struct worker *w);
int gpu_arena_add(struct worker *w, uint64_t addr, uint64_t size);
int gpu_arena_remove(struct worker *w, uint64_t addr, uint64_t size);
void gpu_shutdown(struct worker *w);
/* The first result that spoilt a context, 0: none; *hardware: the GPU is at fault, not a kernel.
 * Any thread; NULL: there is no GPU yet. */
int gpu_fault(const struct gpu *g, bool *hardware);

/* output.c: drain device output from the read ends of two pipes (1 and 2 of this process write
 * them). */
int output_start(struct worker *w, int out_fd, int err_fd);

#endif
