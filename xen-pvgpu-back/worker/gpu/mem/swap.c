/* SPDX-License-Identifier: MIT */
/*
 * Parking (swap.h). An idle session has nothing on the GPU and nothing on its way there, so all
 * that can touch its memory is what comes next: and while the memory is not there, commands that
 * are not answered at once wait like those that wait for the gate (submit.c). Then the side lane
 * alone uses the far end's memory, and moves it. A session that is not idle but has to leave comes
 * to the same state by issuing nothing new: what it has issued ends, or it stays.
 *
 * All moves or nothing does: the memory is released when the copies are complete, and the copies go
 * when the memory is back. So an error on the way out leaves all as it was. On the way back a GPU
 * that is full is tried again, with nothing held meanwhile, or two sessions with a half each would
 * wait for each other; any other error ends the session, whose contents cannot be had any more.
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
	struct ctx *c; /* referenced: in which the copies run */
	uint32_t id;   /* of pvgpud's question */
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

static void forget(struct gpu *g)
{
	struct swap *s = &g->swap;

	swap_store_free(s->store, s->bytes);
	free(s->areas);
	s->store = NULL;
	s->areas = NULL;
	s->count = 0;
	s->bytes = 0;
}

void swap_free(struct gpu *g)
{
	forget(g);
}

/* ---- out ---- */

static void run_out(struct gpu *g, struct job *job)
{
	struct swap_job *j = (struct swap_job *)job;
	const uint64_t begun = pvgpu_poll_now();
	struct swap *s = &g->swap;
	const char *why = "";
	int r = CUDA_ERROR_OUT_OF_MEMORY;

	mem_trim(g);
	s->store = swap_store_new(s->bytes, j->may_swap, &why);
	if (s->store) {
		r = swap_copy(g, j->c, true);
		why = r ? "its memory could not be copied" : "";
	}
	if (r) {
		worker_log(g->w, "its memory stays on the GPU: CUresult %d, %s", r, why);
		forget(g);
		lease_parked(g->w, j->id, 0, 0, false, why);
		job_end(g, j, SWAP_HERE);
		return;
	}
	for (uint32_t i = 0; i < s->count; i++)
		area_leave(g, s->areas[i]);
	lease_parked(g->w, j->id, s->bytes, (pvgpu_poll_now() - begun) / 1000, false, "");
	job_end(g, j, SWAP_AWAY);
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

/* Its memory cannot leave, whether it has work or not; NULL: it can. */
static const char *stays(struct gpu *g)
{
	if (g->evict.on)
		return "it is in a confidential pool";
	return atomic_load(&g->swap.state) == SWAP_HERE
		       ? NULL
		       : "its memory is parked already, or about to be";
}

/* Memory that other sessions have or may ask for, and memory of theirs, stays where it is. */
static bool may_leave(const struct area *a)
{
	return !a->serial && !a->number && !a->imported;
}

/* Areas in the order of the contexts, as many as fit into `most` bytes, until they have `enough`.
 * The decoding thread adds none to a heap and the side lane, which does, is idle. */
static int collect(struct gpu *g, uint64_t most, uint64_t enough)
{
	struct swap *s = &g->swap;
	uint32_t room = 0;
	struct obj *o;

	for (int fill = 0; fill < 2; fill++) {
		TAILQ_FOREACH(o, &g->root.owned, of_owner)
		{
			struct area *a;

			if (o->type != PVGPU_H_CTX || obj_error(o))
				continue;
			a = ((struct ctx *)o)->heap.areas;
			for (; a; a = a->next) {
				if (!fill) {
					room++;
				} else if (may_leave(a) && s->bytes < enough &&
					   a->size <= most - s->bytes) {
					s->areas[s->count++] = a;
					s->bytes += a->size;
				}
			}
		}
		if (!fill)
			s->areas = calloc(room ? room : 1, sizeof(struct area *));
		if (!s->areas)
			return -1;
	}
	return 0;
}

/* It has no work. */
static const char *leave(struct gpu *g, uint32_t id, uint64_t most, uint64_t enough, bool may_swap)
{
	struct ctx *c = ctx_any(g);
	struct swap_job *j;
	int r;

	if (!c)
		return "none of its memory can be moved";
	j = job_new(c);
	if (!j)
		return "the backend is out of memory";
	j->id = id;
	j->may_swap = may_swap;
	pthread_mutex_lock(&g->mem.lock);
	r = collect(g, most, enough);
	pthread_mutex_unlock(&g->mem.lock);
	if (!r && g->swap.count) {
		push(g, j, SWAP_LEAVING, run_out);
		return NULL;
	}
	forget(g);
	obj_unref(j->c);
	free(j);
	return r ? "the backend is out of memory" : "none of its memory can be moved";
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
		why = leave(g, s->id, s->most, s->enough, s->may_swap);
	if (!why)
		return;
	atomic_store(&s->state, SWAP_HERE);
	lease_parked(g->w, s->id, 0, 0, busy, why);
	worker_kick(g->w);
}

int swap_look_ms(struct gpu *g)
{
	return atomic_load(&g->swap.state) == SWAP_DRAINS ? DRAIN_LOOK_MS : -1;
}

static void drain(struct gpu *g, uint32_t id, uint64_t most, bool may_swap, uint64_t ms)
{
	struct swap *s = &g->swap;

	s->id = id;
	s->most = most;
	s->may_swap = may_swap;
	s->enough = ms >> 32 ? ms >> 32 << 20 : most;
	s->until = pvgpu_poll_now() + (uint32_t)ms * 1000000ull;
	atomic_store(&s->state, SWAP_DRAINS);
	swap_look(g);
}

/* ---- back ---- */

/* Memory for all areas at their addresses, or for none. */
static int map_all(struct gpu *g)
{
	struct swap *s = &g->swap;
	int r = 0;

	for (uint32_t i = 0; i < s->count && !r; i++) {
		r = area_return(g, s->areas[i]);
		for (uint32_t k = 0; r && k < i; k++)
			area_leave(g, s->areas[k]);
	}
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
	struct swap *s = &g->swap;
	const uint64_t bytes = s->bytes;
	uint64_t begun = 0;
	bool mapped = false;
	int r = CUDA_ERROR_OUT_OF_MEMORY;

	if (lease_resume(g->w, bytes)) {
		begun = pvgpu_poll_now();
		r = wait_and_map(g);
		mapped = !r;
		if (mapped)
			r = swap_copy(g, j->c, false);
		else
			lease_put(g->w, bytes);
	}
	if (r && !atomic_load(&g->ended))
		worker_end(g->w, PVGPU_END_FAILED,
			   "%" PRIu64 " MiB of parked memory could not be %s (CUresult %d)",
			   bytes >> 20, mapped ? "copied back" : "mapped again", r);
	if (r) {
		job_end(g, j, SWAP_COMING); /* nothing may run without its memory */
		return;
	}
	forget(g);
	lease_resumed(g->w, bytes, (pvgpu_poll_now() - begun) / 1000);
	job_end(g, j, SWAP_HERE);
}

static void come(struct gpu *g)
{
	struct ctx *c = ctx_any(g);
	struct swap_job *j = c ? job_new(c) : NULL;

	if (j)
		push(g, j, SWAP_COMING, run_back);
	else
		worker_end(g->w, PVGPU_END_FAILED, "out of memory");
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
static void park(struct gpu *g, uint32_t id, uint64_t most, unsigned int how, uint64_t ms)
{
	const bool may_swap = how & PVGPU_SUP_PARK_SAFE;
	const char *why = stays(g);
	bool busy = why && !g->evict.on; /* it will be back */

	if (!why && how & PVGPU_SUP_PARK_BUSY) {
		drain(g, id, most, may_swap, ms);
		return;
	}
	if (!why) {
		busy = idle_ns(g) / 1000000 < ms || g->park.count || has_work(g);
		why = busy ? "it is not idle" : leave(g, id, most, most, may_swap);
	}
	if (why)
		lease_parked(g->w, id, 0, 0, busy, why);
}

void gpu_park(struct worker *w, uint32_t id, uint64_t most, unsigned int how, uint64_t ms)
{
	struct gpu *g = worker_gpu(w);

	if (most) {
		park(g, id, most, how, ms);
		return;
	}
	if (atomic_load(&g->swap.state) == SWAP_AWAY)
		come(g);
	lease_parked(w, id, 0, 0, false, "");
}
