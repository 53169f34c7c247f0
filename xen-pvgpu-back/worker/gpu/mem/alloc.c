/* SPDX-License-Identifier: MIT */
/*
 * cuMemAlloc and cuMemFree. An allocation is tried at once; when lease or space lacks, it goes to
 * the side lane and waits there for frees that are under way before it says that there is no
 * memory.
 */
#include <stdatomic.h>
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct alloc_job {
	struct mem_wait wait;
	struct ctx *c;
	uint32_t seq;
	uint64_t size;
};

static void alloc_reply(struct gpu *g, struct alloc_job *j, int r, uint64_t addr)
{
	const struct pvgpu_out_mem_alloc out = {.address = addr};

	worker_reply_mem_alloc(g->w, j->seq, r, &out);
	obj_unref(j->c);
	free(j);
}

static bool alloc_attempt(struct gpu *g, struct mem_wait *w, bool last)
{
	struct alloc_job *j = (struct alloc_job *)w;
	uint64_t addr = 0;
	int r = ctx_enter(j->c);

	if (!r)
		r = mem_get(g, j->c, j->size, true, &addr);
	if (r == CUDA_ERROR_OUT_OF_MEMORY && mem_free_bytes(g)) {
		mem_trim(g);
		r = mem_get(g, j->c, j->size, true, &addr);
	}
	if (r == CUDA_ERROR_OUT_OF_MEMORY && !last)
		return false;
	alloc_reply(g, j, ctx_result(j->c, r), addr);
	return true;
}

/* Side lane. True: answered. */
static bool attempt(struct gpu *g, struct mem_wait *w)
{
	/* Before looking: a free that ends while we look is not missed. */
	const bool hope = atomic_load(&g->mem.pending) && !atomic_load(&g->ended);

	return w->attempt(g, w, !hope);
}

static void run_wait(struct gpu *g, struct job *job)
{
	struct memory *m = &g->mem;
	struct mem_wait *w = (struct mem_wait *)job;

	if (!m->waiting && attempt(g, w))
		return;
	w->next = NULL;
	*m->waiting_tail = w;
	m->waiting_tail = &w->next;
}

void mem_wait_push(struct gpu *g, struct mem_wait *w)
{
	w->job.run = run_wait;
	side_push(g, &w->job);
}

void mem_retry(struct gpu *g)
{
	struct memory *m = &g->mem;

	while (m->waiting) {
		struct mem_wait *w = m->waiting;
		struct mem_wait *next = w->next;

		if (!attempt(g, w))
			return;
		m->waiting = next;
		if (!next)
			m->waiting_tail = &m->waiting;
	}
}

void mem_freed(struct gpu *g)
{
	atomic_fetch_sub(&g->mem.pending, 1);
	side_poke(g);
}

int handle_mem_alloc(struct worker *w, const struct pvgpu_in_mem_alloc *in,
		     struct pvgpu_out_mem_alloc *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct alloc_job *j;
	int r = obj_error(c);

	if (!r)
		r = atomic_load(&c->sticky);
	if (!r)
		r = ctx_enter(c);
	if (!r)
		r = mem_get(g, c, in->size, false, &out->address);
	if (r != CUDA_ERROR_OUT_OF_MEMORY || in->size > g->mem.win.size)
		return ctx_result(c, r);
	j = calloc(1, sizeof(*j));
	if (!j)
		return r;
	j->c = obj_ref(c);
	j->seq = in->hdr->seq;
	j->size = in->size;
	j->wait.attempt = alloc_attempt;
	mem_wait_push(g, &j->wait);
	return PVGPU_PENDING;
}

struct free_job {
	struct job job;
	struct area *area;
	uint32_t block;
};

static void run_free(struct gpu *g, struct job *job)
{
	struct free_job *j = (struct free_job *)job;

	mem_put(g, j->area, j->block);
	atomic_fetch_sub(&g->mem.pending, 1);
	free(j);
}

int handle_mem_free(struct worker *w, const struct pvgpu_in_mem_free *in,
		    struct pvgpu_out_mem_free *out)
{
	struct gpu *g = worker_gpu(w);
	struct free_job *j = calloc(1, sizeof(*j));

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!mem_forget(g, in->address, &j->area, &j->block)) {
		free(j);
		return CUDA_ERROR_INVALID_VALUE;
	}
	j->job.run = run_free;
	atomic_fetch_add(&g->mem.pending, 1);
	side_after_work(g, NULL, &j->job);
	return 0;
}
