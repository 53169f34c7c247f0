/* SPDX-License-Identifier: MIT */
/*
 * The worker's GPU side, as the frame (main.c, loop.c, ...) sees it, beside the parts of gpu.c,
 * callback.c and output.c in worker.h.
 */
#ifndef PVGPU_WORKER_GPU_H
#define PVGPU_WORKER_GPU_H

#include "xen-pvgpu-back/worker/worker.h"

struct far;

/* gpu.c: prepare phase: can this far end serve at all? 0, or -1 with a reason for people. */
int gpu_check(const struct far *far, char *reason, size_t cap);

/*
 * arena_map.c, decoding thread: is [addr, addr + size) free, exactly one chunk, or does it overlap
 * chunks? The GPU's side has the one table of chunks: gpu_arena_add() and gpu_arena_remove()
 * (worker.h) change it.
 */
enum gpu_arena_found { GPU_ARENA_FREE, GPU_ARENA_SAME, GPU_ARENA_OVERLAPS };
enum gpu_arena_found gpu_arena_find(struct worker *w, uint64_t addr, uint64_t size);

/*
 * arena_map.c, decoding thread: page-lock the chunk that gpu_arena_add() took, if chunks are. then
 * (NULL: this thread waits) is called when that is done or cannot be, on any thread, perhaps before
 * this returns; it is the callee's to free.
 */
struct gpu_arena_then {
	void (*fn)(struct worker *w, struct gpu_arena_then *then);
};
void gpu_arena_register(struct worker *w, struct gpu_arena_then *then);

/*
 * gate.c, decoding thread: pvgpud's pages (contract/gate.h) have come: check and map them; the fds
 * stay the caller's. 0, or -1 with a reason for people, and the pages before it stay.
 * gpu_gate_await: they will come, and until then the gate is closed. gpu_gate_lost: pvgpud is gone.
 * gpu_gate_look: it has rung (rung), or gpu_gate_look_ms() have passed (-1: no need to look).
 */
int gpu_gate_take(struct worker *w, int gate, int report, int bell, char *reason, size_t cap);
void gpu_gate_await(struct worker *w);
void gpu_gate_lost(struct worker *w);
void gpu_gate_look(struct worker *w, bool rung);
int gpu_gate_look_ms(struct worker *w);

/*
 * share.c, decoding thread: another session wants what the token of that kind stands for:
 * share_answer() follows. gpu_share_given: the answer to share_ask(); a result of 0 comes with the
 * shared thing's number, its bytes of device memory and an fd, which is the callee's.
 * gpu_share_left: a session that had a shared event has ended.
 */
void gpu_share_wanted(struct worker *w, uint32_t id, uint64_t kind, const void *token);
void gpu_share_given(struct worker *w, uint32_t id, int result, uint64_t number, uint64_t bytes,
		     int fd);
void gpu_share_left(struct worker *w, uint64_t number, uint32_t session);

/* complete.c: the guest waits in a call for work on the GPU; there is a wait that no thread has
 * taken yet. */
bool gpu_is_awaited(struct worker *w);
bool gpu_wants_thread(struct worker *w);

/*
 * swap.c, decoding thread: pvgpud asks to park up to `most` bytes of device memory; 0: to bring
 * back what is parked. lease_parked() answers it. how: enum pvgpu_sup_park; without
 * PVGPU_SUP_PARK_BUSY the session must be idle and have had no command for `ms`, as far as the
 * questions before show; with it, its work on the GPU must end within the lower 32 bits of `ms`,
 * and when as many MiB as the others say are parked, the rest stays. gpu_resume: what
 * lease_resume() asks for.
 */
void gpu_park(struct worker *w, uint32_t question, uint64_t most, unsigned int how, uint64_t ms);
void gpu_resume(struct worker *w, uint64_t bytes);

/*
 * deferred.c: worker_deferred() of the frame calls this. It keeps the first error of a context's
 * (or, with NULL, of the session's) one-way work; deferred_take() gives it to a synchronising call,
 * once. Errors of captured commands are told by the capture's end.
 */
void gpu_deferred(struct worker *w, void *ctx, int result);

/*
 * output.c: worker_send() ORs this into the flags of every reply (kind PVGPU_REP_REPLY):
 * PVGPU_REP_OUTPUT while device output waits to be pulled, 0 otherwise. One atomic load.
 */
uint16_t output_flags(struct worker *w);

#endif
