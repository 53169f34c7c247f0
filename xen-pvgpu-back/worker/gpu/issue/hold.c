/* SPDX-License-Identifier: MIT */
/*
 * Holds: a stream waits for a word of the arena, which the guest raises when it has done its part
 * of a copy between memory of its own and the arena. The GPU itself looks at the word, so that no
 * thread is held, least of all the one that runs host functions.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/hold.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define LOOK_NS 20000 /* between two looks of a thread */

static uint32_t *word_at(uint64_t addr)
{
	return (uint32_t *)(uintptr_t)addr;
}

/* As cuStreamWaitValue32 compares with CU_STREAM_WAIT_VALUE_GEQ: over the overflow. */
static bool reached(uint64_t addr, uint32_t value)
{
	return (int32_t)(__atomic_load_n(word_at(addr), __ATOMIC_ACQUIRE) - value) >= 0;
}

/* Remember the highest value that a stream waits for at a word; false: too many words. */
static bool note(struct holds *h, uint64_t addr, uint32_t value)
{
	for (uint32_t i = 0; i < PVGPU_HOLD_WORDS; i++) {
		const uint32_t at = ((uint32_t)(addr / 64) + i) % PVGPU_HOLD_WORDS;

		if (h->word[at].addr && h->word[at].addr != addr)
			continue;
		/* Streams' commands need not come in the order in which they were made. */
		if (!h->word[at].addr || (int32_t)(value - h->word[at].value) > 0)
			h->word[at].value = value;
		h->word[at].addr = addr;
		return true;
	}
	return false;
}

void holds_end(struct gpu *g)
{
	for (uint32_t i = 0; i < PVGPU_HOLD_WORDS; i++) {
		const uint64_t addr = g->holds.word[i].addr;

		if (addr && chunks_contain(&g->arena.chunks, addr, 4))
			__atomic_store_n(word_at(addr), g->holds.word[i].value, __ATOMIC_RELEASE);
	}
}

/* Where the GPU cannot look at the word, or the far end has no such waits. */
struct looking {
	struct gpu *g;
	uint64_t addr;
	uint32_t value;
	bool pinned; /* of the arena */
};

static void looking_free(struct looking *k)
{
	if (k->pinned)
		chunks_unpin(&k->g->arena.chunks, k->addr, 4);
	free(k);
}

static void CUDA_CB run_look(void *arg)
{
	const struct timespec t = {.tv_nsec = LOOK_NS};
	struct looking *k = arg;

	while (!reached(k->addr, k->value) && !atomic_load(&k->g->ended))
		nanosleep(&t, NULL);
	looking_free(k);
}

static int look_later(struct gpu *g, struct stream *s, uint64_t addr, uint32_t value)
{
	struct looking *k = malloc(sizeof(*k));
	int r;

	if (!k)
		return CUDA_ERROR_OUT_OF_MEMORY;
	*k = (struct looking){g, addr, value, chunks_pin(&g->arena.chunks, addr, 4)};
	r = (int)g->far->cuLaunchHostFunc(s->far, run_look, k);
	if (r)
		looking_free(k);
	return r;
}

int hold_stream(struct gpu *g, struct stream *s, uint64_t addr, uint32_t value, bool gpu_sees)
{
	int r = CUDA_ERROR_NOT_SUPPORTED;

	if (g->far->cuStreamWaitValue32_v2 && gpu_sees)
		r = (int)g->far->cuStreamWaitValue32_v2(s->far, addr, value,
							CU_STREAM_WAIT_VALUE_GEQ);
	if (r && !result_is_sticky(r))
		r = look_later(g, s, addr, value);
	if (!r)
		stream_issued(s);
	return ctx_result(s->o.ctx, r);
}

static int hold(struct gpu *g, struct stream *s, const struct pvgpu_in_hold *in)
{
	return hold_stream(g, s, in->word, in->value, !bounce_needed(g));
}

static void turn_has_come(struct gpu *g, struct wait *w, int result)
{
	worker_mark(g->w, w->seq, ctx_result(w->ctx, result));
}

static int refuse(struct worker *w, const struct pvgpu_cmd_hdr *hdr, int r)
{
	if (!(hdr->flags & PVGPU_CMD_MARK))
		return r;
	worker_mark(w, hdr->seq, r);
	return PVGPU_PENDING;
}

int handle_hold(struct worker *w, const struct pvgpu_in_hold *in, struct pvgpu_out_hold *out)
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait;
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return refuse(w, in->hdr, r);
	if (s->capture)
		return refuse(w, in->hdr, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
	if (in->word % 4 || mem_where(g, in->word, 4) != AT_ARENA)
		return refuse(w, in->hdr, CUDA_ERROR_INVALID_VALUE);
	if (!note(&g->holds, in->word, in->value))
		return refuse(w, in->hdr, CUDA_ERROR_OUT_OF_MEMORY);
	/* However long it takes, the work before it ends when it ends. */
	stream_fence(s);
	if (!(in->hdr->flags & PVGPU_CMD_MARK))
		return hold(g, s, in);
	wait = wait_new(g, s->o.ctx);
	if (!wait)
		return refuse(w, in->hdr, CUDA_ERROR_OUT_OF_MEMORY);
	wait->seq = in->hdr->seq;
	wait->done = turn_has_come;
	wait_stream(g, wait, s);
	hold(g, s, in);
	return PVGPU_PENDING;
}
