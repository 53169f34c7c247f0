/* SPDX-License-Identifier: MIT */
/*
 * Records on their way to a lane. The decoding thread never waits: work parks (park.h) while the
 * gate is closed, or too much is in flight, on its stream or of the session, or a queue behind it
 * is full, or while an earlier command is parked that it has to stay behind. Each stream parks for
 * itself: what need not stay behind parked commands goes on. Commands of the `now` lane always do:
 * a query about parked work answers that it is not ready. While memory is parked (swap.h) all but
 * these wait.
 */
#include <stddef.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "pvgpu_decode.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/gpu/swap.h"
#include "xen-pvgpu-back/worker/worker.h"

struct stream *request_stream(const struct request *q)
{
	const struct target t = target_of(q->g, q->d, q->rec);

	return t.stream && !obj_error(t.stream) ? t.stream : NULL;
}

/* A wait for a whole context puts an event into each of its streams. */
static bool ctx_room(struct ctx *c)
{
	struct stream *s;

	if (obj_error(c))
		return true;
	if (!stream_room(c->legacy))
		return false;
	TAILQ_FOREACH(s, &c->streams, in_ctx)
	{
		if (!s->destroyed && !stream_room(s))
			return false;
	}
	return true;
}

/* Copies that need a page-locked slot: without one CUDA would copy while its caller waits. */
static bool wants_slot(struct gpu *g, const struct pvgpu_cmd_desc *d)
{
	return d->gated == PVGPU_GATED_COPY && (d->flags & PVGPU_DESC_CARRIES || bounce_needed(g));
}

static bool slot_room(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t)
{
	if (!wants_slot(g, d) || !t->ctx || obj_error(t->ctx))
		return true;
	if (d->flags & PVGPU_DESC_CARRIES)
		return staging_room(g, t->ctx, STAGING_RECORDS, NULL);
	return staging_room(g, t->ctx, STAGING_COPIES, t->stream);
}

bool request_graph_copies(const struct request *q)
{
	const struct pvgpu_wire_graph_launch *l = q->rec;
	const struct graph_exec *x = obj_lookup(&q->g->tables, PVGPU_H_GRAPH_EXEC, l->exec);

	return x && x->sum.bytes;
}

bool request_room(const struct request *q)
{
	const struct pvgpu_cmd_desc *d = q->d;
	struct gpu *g = q->g;
	struct target t;

	if (!waits_room(g) || (d->op == PVGPU_OP_HOST_FUNC && !callbacks_room(g)))
		return false;
	if (!g->full_streams && !wants_slot(g, d))
		return true;
	t = target_of(g, d, q->rec);
	if (t.stream && !obj_error(t.stream) && !stream_room(t.stream))
		return false;
	if (!d->stream && t.ctx && !ctx_room(t.ctx))
		return false;
	return slot_room(g, d, &t);
}

/* Commands that become nodes of a graph occupy nothing. */
static bool captured(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t)
{
	return g->capturing && d->lane == PVGPU_LANE_GPU && t->stream && !obj_error(t->stream) &&
	       t->stream->capture && park_passes_captured(t);
}

static bool is_captured(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (!g->capturing)
		return false;
	t = target_of(g, d, rec);
	return captured(g, d, &t);
}

/* The capture that the command is for, or 0. */
static uint64_t capture_number(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (!g->capturing || d->lane != PVGPU_LANE_GPU)
		return 0;
	t = target_of(g, d, rec);
	return t.stream && !obj_error(t.stream) ? t.stream->capture : 0;
}

/* It may run as far as the lanes and the gate go; a command that occupies the GPU has begun its
 * transaction with the gate. */
static bool starts(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	const struct request q = {g, d, rec};

	if (swap_holds(g, d))
		return false;
	if (is_captured(g, d, rec))
		return waits_room(g);
	if (d->lane == PVGPU_LANE_SIDE)
		return side_room(g) && waits_room(g);
	return occupies(d) ? gate_begin(&g->gate, &q) : request_room(&q);
}

static int run_record(struct gpu *g, const struct pvgpu_cmd_desc *d, uint64_t number,
		      const void *rec, uint32_t len)
{
	int r;

	g->number = number;
	g->into = capture_number(g, d, rec);
	r = d->run(g->w, &g->decode, rec, len);

	gate_abort(&g->gate);
	if (r != PVGPU_FATAL)
		return 0;
	worker_end(g->w, PVGPU_END_PROTOCOL, "malformed %s", d->name);
	return PVGPU_FATAL;
}

static int park_record(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	if (!park_put(g, d, rec, len))
		return park_full(&g->park);
	worker_end(g->w, PVGPU_END_FAILED, "out of memory for parked commands");
	return PVGPU_FATAL;
}

/* Commands are parked: must this one stay behind one of them? */
static bool stays_behind(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	const struct target t = target_of(g, d, rec);

	return !captured(g, d, &t) && !park_passes(g, d, &t);
}

/* Each ready command runs that may; those that are ready by that come last. */
static int run_ready(struct gpu *g)
{
	struct parked *n = TAILQ_FIRST(&g->park.ready), *last = NULL;
	int r = 0;

	while (!r && n) {
		if (starts(g, n->d, n->rec)) {
			park_take(g, n);
			r = run_record(g, n->d, n->number, n->rec, n->len);
			parked_free(g, n);
		} else {
			last = n;
		}
		n = last ? TAILQ_NEXT(last, ready) : TAILQ_FIRST(&g->park.ready);
	}
	return r;
}

int gpu_submit(struct worker *w, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	const struct pvgpu_cmd_hdr *hdr = rec;
	struct gpu *g = worker_gpu(w);
	int r;

	g->taken += (uint32_t)(hdr->seq - (uint32_t)g->taken);
	/* A guest that uses a command of a version it has not negotiated breaks the protocol. */
	if (d->since > 1 && d->since > g->version)
		return PVGPU_FATAL;
	if (d->lane == PVGPU_LANE_NOW && !swap_holds(g, d))
		return run_record(g, d, g->taken, rec, len);
	/* Commands that waited for the gate alone go first, as they came: programs do without an
	 * order between streams where the first command has always begun by then. */
	if (gate_has_opened(&g->gate)) {
		gate_look_begins(&g->gate);
		r = run_ready(g);
		if (r)
			return r;
	}
	if ((g->park.count && stays_behind(g, d, rec)) || !starts(g, d, rec))
		return park_record(g, d, rec, len);
	return run_record(g, d, g->taken, rec, len);
}

int gpu_kicked(struct worker *w)
{
	struct gpu *g = worker_gpu(w);
	int r;

	if (g->zombies)
		streams_reap(g);
	gate_look_begins(&g->gate);
	swap_look(g);
	callbacks_resume(g);
	r = run_ready(g);
	gate_settle(g);
	return r ? r : park_full(&g->park);
}
