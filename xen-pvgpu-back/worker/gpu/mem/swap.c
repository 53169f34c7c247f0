/* SPDX-License-Identifier: MIT */
/*
 * Parking (swap.h). An idle session has nothing on the GPU and nothing on its way there, so all
 * that can touch its memory is what comes next: and while the memory is not there, commands that
 * are not answered at once wait like those that wait for the gate (submit.c). Then the side lane
 * alone uses the far end's memory, and moves it. A session that is not idle but has to leave comes
 * to the same state by issuing nothing new: what it has issued ends, or it stays.
 *
 * pvgpud asks for so many bytes, and may ask for more as long as it has not given back the lease. A
 * batch of areas moves or does not: the memory is released when the copies are complete, and the
 * copies go when the memory is back. So an error on the way out leaves all as it was. All batches
 * come back together. A GPU that is full is tried again, with nothing of theirs held meanwhile, or
 * two sessions with a half each would wait for each other; any other error ends the session, whose
 * contents cannot be had any more.
 *
 * pvgpud is not told of commands that wait for memory: the vGPU would get a turn without use of it.
 */
#include "xen-pvgpu-back/worker/gpu/swap.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "ring/poll.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/contract/supervise.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define RETRY_NS      2000000u /* while the GPU is full; doubles */
#define RETRY_MOST_NS 256000000u
#define DRAIN_LOOK_MS 2

struct swap_job {
	struct job job;
	struct ctx *c;       /* referenced: in which the copies run */
	struct batch *batch; /* that leaves */
	uint32_t question;   /* of pvgpud's */
	bool may_swap;
};

/* Queries about nodes, descriptors and memory to share that are checked against what is mapped. */
static bool names_memory(const struct pvgpu_cmd_desc *d)
{
	return d->op == PVGPU_OP_GRAPH_ADD || d->op == PVGPU_OP_GRAPH_SET ||
	       d->op == PVGPU_OP_SHARE_MEMORY || d->op == PVGPU_OP_TENSOR_MAP_ENCODE ||
	       d->op == PVGPU_OP_TENSOR_MAP_REPLACE;
}

static void push(struct gpu *g, struct swap_job *j, enum swap_state state,
		 void (*run)(struct gpu *g, struct job *j))
{
	atomic_store(&g->swap.state, state);
	j->job.run = run;
	side_push(g, &j->job);
}

static void job_end(struct gpu *g, struct swap_job *j, enum swap_state state)
{
	obj_unref(j->c);
	free(j);
	atomic_store(&g->swap.state, state);
	worker_kick(g->w);
}

static struct swap_job *job_new(struct ctx *c)
{
	struct swap_job *j = calloc(1, sizeof(*j));

	if (j)
		j->c = obj_ref(c);
	return j;
}

static void batch_free(struct batch *b)
{
	swap_store_free(b->store, b->bytes);
	free(b->areas);
	free(b);
}

void swap_free(struct gpu *g)
{
	struct swap *s = &g->swap;

	while (s->parked) {
		struct batch *b = s->parked;

		s->parked = b->next;
		batch_free(b);
	}
	s->bytes = 0;
}

/* While nothing moves. */
static enum swap_state rests(const struct gpu *g)
{
	return g->swap.parked ? SWAP_AWAY : SWAP_HERE;
}

/* ---- out ---- */

static void run_out(struct gpu *g, struct job *job)
{
	struct swap_job *j = (struct swap_job *)job;
	const uint64_t begun = pvgpu_poll_now();
	struct batch *b = j->batch;
	struct swap *s = &g->swap;
	const char *why = "";
	int r = CUDA_ERROR_OUT_OF_MEMORY;

	mem_trim(g);
	b->store = swap_store_new(b->bytes, j->may_swap, &why);
	if (b->store) {
		r = swap_copy(g, j->c, b, true);
		why = r ? "its memory could not be copied" : "";
	}
	if (r) {
		worker_log(g->w, "its memory stays on the GPU: CUresult %d, %s", r, why);
		batch_free(b);
		lease_parked(g->w, j->question, 0, 0, false, why);
		job_end(g, j, rests(g));
		return;
	}
	for (uint32_t i = 0; i < b->count; i++)
		area_leave(g, b->areas[i]);
	b->next = s->parked;
	s->parked = b;
	s->bytes += b->bytes;
	lease_parked(g->w, j->question, b->bytes, (pvgpu_poll_now() - begun) / 1000, false, "");
	job_end(g, j, rests(g));
}

/* Since the first question that found it at this command. */
static uint64_t idle_ns(struct gpu *g)
{
	const uint64_t now = pvgpu_poll_now();
	struct swap *s = &g->swap;

	if (s->taken != g->taken || !s->since) {
		s->taken = g->taken;
		s->since = now;
	}
	return now - s->since;
}

static bool has_work(struct gpu *g)
{
	flight_poll(g);
	return g->gate.flying.work || g->capturing || atomic_load(&g->side.jobs) ||
	       !streams_idle(g);
}

/* Its memory cannot leave, whether it has work or not; NULL: it can. more: also what is left of it
 * while some is parked. */
static const char *stays(struct gpu *g, bool more)
{
	const int state = atomic_load(&g->swap.state);

	if (g->evict.on)
		return "it is in a confidential pool";
	if (state == SWAP_HERE || (more && state == SWAP_AWAY))
		return NULL;
	return "its memory is parked already, or about to be";
}

/* Memory that other sessions have or may ask for, and memory of theirs, stays where it is. */
static bool may_leave(const struct area *a)
{
	return !a->serial && !a->number && !a->imported && !a->away;
}

/* The decoding thread adds none to a heap and the side lane, which does, is idle. Returns how many
 * there are; b: they are put there. */
static uint32_t movable(struct gpu *g, struct batch *b)
{
	uint32_t n = 0;
	struct obj *o;

	TAILQ_FOREACH(o, &g->root.owned, of_owner)
	{
		struct area *a;

		if (o->type != PVGPU_H_CTX || obj_error(o))
			continue;
		a = ((struct ctx *)o)->heap.areas;
		for (; a; a = a->next) {
			if (may_leave(a) && b)
				b->areas[n] = a;
			n += may_leave(a);
		}
	}
	return n;
}

static int largest_first(const void *a, const void *b)
{
	const struct area *const *x = a, *const *y = b;

	return ((*x)->size < (*y)->size) - ((*x)->size > (*y)->size);
}

/* Of n areas, the largest first, those that leave: as many as fit into `enough`, and then the
 * smallest of the others, which is enough with them or alone, if `most` has room for it. */
static void choose(struct batch *b, uint32_t n, uint64_t most, uint64_t enough)
{
	struct area *last = NULL;

	for (uint32_t i = 0; i < n; i++) {
		struct area *a = b->areas[i];

		if (a->size <= enough - b->bytes) {
			b->areas[b->count++] = a;
			b->bytes += a->size;
		} else {
			last = a;
		}
	}
	if (!last || b->bytes == enough)
		return;
	if (last->size >= enough && last->size <= most)
		b->count = b->bytes = 0;
	if (last->size <= most - b->bytes) {
		b->areas[b->count++] = last;
		b->bytes += last->size;
	}
}

/* NULL: the backend is out of memory. */
static struct batch *collect(struct gpu *g, uint64_t most, uint64_t enough)
{
	struct batch *b = calloc(1, sizeof(*b));
	const uint32_t n = movable(g, NULL);

	if (!b)
		return NULL;
	b->areas = calloc(n ? n : 1, sizeof(struct area *));
	if (!b->areas) {
		free(b);
		return NULL;
	}
	movable(g, b);
	qsort(b->areas, n, sizeof(struct area *), largest_first);
	choose(b, n, most, enough < most ? enough : most);
	return b;
}

/* It has no work. */
static const char *leave(struct gpu *g, uint32_t question, uint64_t most, uint64_t enough,
			 bool may_swap)
{
	struct ctx *c = ctx_any(g);
	struct swap_job *j;
	struct batch *b;

	if (!c)
		return "none of its memory can be moved";
	j = job_new(c);
	if (!j)
		return "the backend is out of memory";
	pthread_mutex_lock(&g->mem.lock);
	b = collect(g, most, enough);
	pthread_mutex_unlock(&g->mem.lock);
	if (b && b->count) {
		j->question = question;
		j->may_swap = may_swap;
		j->batch = b;
		push(g, j, SWAP_LEAVING, run_out);
		return NULL;
	}
	if (b)
		batch_free(b);
	obj_unref(j->c);
	free(j);
	return b ? "none of its memory can be moved" : "the backend is out of memory";
}

void swap_look(struct gpu *g)
{
	struct swap *s = &g->swap;
	const char *why = "its work has not ended";
	bool busy;

	if (atomic_load(&s->state) != SWAP_DRAINS)
		return;
	busy = has_work(g);
	if (busy && pvgpu_poll_now() < s->until)
		return;
	if (!busy)
		why = leave(g, s->question, s->most, s->enough, s->may_swap);
	if (!why)
		return;
	atomic_store(&s->state, rests(g));
	lease_parked(g->w, s->question, 0, 0, busy, why);
	worker_kick(g->w);
}

int swap_look_ms(struct gpu *g)
{
	return atomic_load(&g->swap.state) == SWAP_DRAINS ? DRAIN_LOOK_MS : -1;
}

static void drain(struct gpu *g, uint32_t question, uint64_t most, bool may_swap, uint64_t ms)
{
	struct swap *s = &g->swap;

	s->question = question;
	s->most = most;
	s->may_swap = may_swap;
	s->enough = ms >> 32 ? ms >> 32 << 20 : most;
	s->until = pvgpu_poll_now() + (uint32_t)ms * 1000000ull;
	atomic_store(&s->state, SWAP_DRAINS);
	swap_look(g);
}

/* ---- back ---- */

static int map_batch(struct gpu *g, const struct batch *b)
{
	int r = 0;

	for (uint32_t i = 0; i < b->count && !r; i++) {
		r = area_return(g, b->areas[i]);
		for (uint32_t k = 0; r && k < i; k++)
			area_leave(g, b->areas[k]);
	}
	return r;
}

/* Memory for all areas at their addresses, or for none. */
static int map_all(struct gpu *g)
{
	int r = 0;

	for (const struct batch *b = g->swap.parked; b && !r; b = b->next) {
		r = map_batch(g, b);
		for (const struct batch *k = g->swap.parked; r && k != b; k = k->next)
			for (uint32_t i = 0; i < k->count; i++)
				area_leave(g, k->areas[i]);
	}
	return r;
}

static int copy_all(struct gpu *g, struct ctx *c)
{
	int r = 0;

	for (const struct batch *b = g->swap.parked; b && !r; b = b->next)
		r = swap_copy(g, c, b, false);
	return r;
}

static int wait_and_map(struct gpu *g)
{
	uint64_t wait = RETRY_NS;
	int r;

	while ((r = map_all(g)) == CUDA_ERROR_OUT_OF_MEMORY && !atomic_load(&g->ended)) {
		const struct timespec t = {.tv_nsec = (long)wait};

		nanosleep(&t, NULL);
		if (wait < RETRY_MOST_NS)
			wait *= 2;
	}
	return r;
}

static void run_back(struct gpu *g, struct job *job)
{
	struct swap_job *j = (struct swap_job *)job;
	const uint64_t begun = pvgpu_poll_now(), bytes = g->swap.bytes;
	int r = wait_and_map(g);
	const bool mapped = !r;

	if (mapped)
		r = copy_all(g, j->c);
	else
		lease_put(g->w, bytes);
	if (r && !atomic_load(&g->ended))
		worker_end(g->w, PVGPU_END_FAILED,
			   "%" PRIu64 " MiB of parked memory could not be %s (CUresult %d)",
			   bytes >> 20, mapped ? "copied back" : "mapped again", r);
	if (r) {
		job_end(g, j, SWAP_COMING); /* nothing may run without its memory */
		return;
	}
	swap_free(g);
	lease_resumed(g->w, bytes, (pvgpu_poll_now() - begun) / 1000);
	job_end(g, j, SWAP_HERE);
}

void gpu_resume(struct worker *w, uint64_t bytes)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = ctx_any(g);
	struct swap_job *j = c ? job_new(c) : NULL;

	if (bytes != g->swap.bytes)
		worker_end(w, PVGPU_END_FAILED, "pvgpud leases %" PRIu64 " bytes for %" PRIu64,
			   bytes, g->swap.bytes);
	else if (j)
		push(g, j, SWAP_COMING, run_back);
	else
		worker_end(w, PVGPU_END_FAILED, "out of memory");
}

static void come(struct gpu *g)
{
	uint64_t bytes;

	atomic_store(&g->swap.state, SWAP_ASKS);
	bytes = lease_resume(g->w);
	if (bytes)
		gpu_resume(g->w, bytes);
}

bool swap_holds_slow(struct gpu *g, const struct pvgpu_cmd_desc *d)
{
	const int state = atomic_load(&g->swap.state);

	if (state == SWAP_HERE || (d->lane == PVGPU_LANE_NOW && !names_memory(d)))
		return false;
	if (state == SWAP_AWAY)
		come(g);
	return true;
}

/* Without a reason it is on its way, and is answered then. */
static void park(struct gpu *g, uint32_t question, uint64_t most, unsigned int how, uint64_t ms)
{
	const bool may_swap = how & PVGPU_SUP_PARK_SAFE;
	const char *why = stays(g, how & PVGPU_SUP_PARK_BUSY);
	bool busy = why && !g->evict.on; /* it will be back */

	if (!why && how & PVGPU_SUP_PARK_BUSY) {
		drain(g, question, most, may_swap, ms);
		return;
	}
	if (!why) {
		busy = idle_ns(g) / 1000000 < ms || g->park.count || has_work(g);
		why = busy ? "it is not idle" : leave(g, question, most, most, may_swap);
	}
	if (why)
		lease_parked(g->w, question, 0, 0, busy, why);
}

void gpu_park(struct worker *w, uint32_t question, uint64_t most, unsigned int how, uint64_t ms)
{
	struct gpu *g = worker_gpu(w);

	if (most) {
		/* It may need more: it asks again. */
		if (atomic_load(&g->swap.state) == SWAP_ASKS) {
			lease_unask(w);
			atomic_store(&g->swap.state, SWAP_AWAY);
			worker_kick(w);
		}
		park(g, question, most, how, ms);
		return;
	}
	if (atomic_load(&g->swap.state) == SWAP_AWAY)
		come(g);
	lease_parked(w, question, 0, 0, false, "");
}
