/* SPDX-License-Identifier: MIT */
/*
 * Parked commands, and which of them are ready (park.h). A command claims
 *
 *  - the session: shared, if it is tied to a stream, an event or both. Commands that are tied to
 *    neither (frees, loads, waits for a whole context, changes of graphs) wait for all before them,
 *    and all after them wait for them. So does the end of a capture where a stream is to wait for
 *    an event: that may make the stream, and what follows in it, part of the capture;
 *  - its context: the legacy default stream's commands for themselves, those of blocking streams
 *    shared, those of non-blocking streams not at all. So two blocking streams are in order only if
 *    the legacy stream has work between;
 *  - its stream, for itself;
 *  - an event that it records or destroys, for itself, and one that it waits for, shared; a graph
 *    that it launches, for itself, since CUDA runs one launch of it after the other; a library's
 *    object: shared, or for itself when it changes the object.
 */
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "pvgpu_decode.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"

/* ---- what a command works on ---- */

static uint64_t handle_at(const void *rec, size_t offset)
{
	uint64_t h = 0;

	if (offset)
		memcpy(&h, (const char *)rec + offset, sizeof(h));
	return h;
}

static void use(struct gpu *g, struct target *t, uint32_t type, const void *rec, size_t offset,
		bool shared)
{
	t->object = obj_lookup(&g->tables, type, handle_at(rec, offset));
	t->shared = shared;
}

/* The object of a library's call: behind the stream, and behind the mode of pointers if there is
 * one, which is a small number and so no handle. */
static void use_library(struct gpu *g, struct target *t, const struct pvgpu_cmd_desc *d,
			const void *rec)
{
	size_t at = d->stream + sizeof(uint64_t);

	if (!call_gives(PVGPU_HANDLE_TYPE(handle_at(rec, at))))
		at += sizeof(uint64_t);
	if (at + sizeof(uint64_t) <= d->min_len)
		use(g, t, (uint32_t)PVGPU_HANDLE_TYPE(handle_at(rec, at)), rec, at, occupies(d));
}

static void use_other(struct gpu *g, struct target *t, const struct pvgpu_cmd_desc *d,
		      const void *rec)
{
	switch (d->op) {
	case PVGPU_OP_EVENT_RECORD:
		use(g, t, PVGPU_H_EVENT, rec, d->event, false);
		break;
	case PVGPU_OP_EVENT_DESTROY:
		use(g, t, PVGPU_H_EVENT, rec, offsetof(struct pvgpu_wire_event_destroy, event),
		    false);
		break;
	case PVGPU_OP_EVENT_SYNCHRONIZE:
		use(g, t, PVGPU_H_EVENT, rec, offsetof(struct pvgpu_wire_event_synchronize, event),
		    true);
		break;
	case PVGPU_OP_STREAM_WAIT_EVENT:
		use(g, t, PVGPU_H_EVENT, rec, offsetof(struct pvgpu_wire_stream_wait_event, event),
		    true);
		break;
	case PVGPU_OP_GRAPH_LAUNCH:
		use(g, t, PVGPU_H_GRAPH_EXEC, rec, offsetof(struct pvgpu_wire_graph_launch, exec),
		    false);
		break;
	case PVGPU_OP_GRAPH_UPLOAD:
		use(g, t, PVGPU_H_GRAPH_EXEC, rec, offsetof(struct pvgpu_wire_graph_upload, exec),
		    false);
		break;
	default:
		if (d->stream && d->op >> PVGPU_OP_BITS)
			use_library(g, t, d, rec);
	}
}

struct target target_of(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	const uint64_t stream = handle_at(rec, d->stream);
	struct target t = {0};

	use_other(g, &t, d, rec);
	if (d->op == PVGPU_OP_STREAM_DESTROY)
		t.stream = obj_lookup(
			&g->tables, PVGPU_H_STREAM,
			handle_at(rec, offsetof(struct pvgpu_wire_stream_destroy, stream)));
	if (!d->ctx)
		return t;
	t.ctx = obj_lookup(&g->tables, PVGPU_H_CTX, handle_at(rec, d->ctx));
	if (stream)
		t.stream = obj_lookup(&g->tables, PVGPU_H_STREAM, stream);
	else if (d->stream && t.ctx && !obj_error(t.ctx))
		t.stream = t.ctx->legacy;
	return t;
}

/* Is it tied to a stream or an event, and to nothing else? */
static bool is_tied(const struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t)
{
	switch (d->op) {
	case PVGPU_OP_CAPTURE_END:
	case PVGPU_OP_CAPTURE_CLOSE:
		return t->stream && !g->park.waits;
	case PVGPU_OP_EVENT_DESTROY:
	case PVGPU_OP_EVENT_SYNCHRONIZE:
		return t->object;
	case PVGPU_OP_STREAM_DESTROY:
		return t->stream;
	default:
		return d->lane == PVGPU_LANE_GPU && t->stream;
	}
}

/* Contexts that are the primary one are one context of CUDA's, with one legacy stream. */
static struct order *ctx_order(struct gpu *g, struct stream *s)
{
	return s->o.ctx->primary ? &g->park.primary : &s->o.ctx->o.order;
}

/* ---- claims ---- */

struct wish {
	struct order *order;
	bool shared;
};

/* The command's claims; how many. */
static uint32_t wishes(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t,
		       struct wish w[PARK_CLAIMS])
{
	uint32_t n = 0;

	w[n++] = (struct wish){&g->park.all, is_tied(g, d, t)};
	if (t->stream) {
		const bool legacy = t->stream == t->stream->o.ctx->legacy;

		if (!t->stream->apart)
			w[n++] = (struct wish){ctx_order(g, t->stream), !legacy};
		w[n++] = (struct wish){&t->stream->o.order, false};
	}
	if (t->object)
		w[n++] = (struct wish){&t->object->order, t->shared};
	return n;
}

/* Would a claim that comes now be granted? */
static bool is_open(const struct wish *w)
{
	const struct claim *last = TAILQ_LAST(&w->order->claims, claims);

	return !last || (w->shared && last->shared && last->granted);
}

bool park_passes(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t)
{
	struct wish w[PARK_CLAIMS];
	const uint32_t n = wishes(g, d, t, w);

	for (uint32_t i = 0; i < n; i++) {
		if (!is_open(&w[i]))
			return false;
	}
	return true;
}

bool park_passes_captured(const struct target *t)
{
	const struct wish object = {t->object ? &t->object->order : NULL, t->shared};

	return !order_waits(&t->stream->o.order) && (!t->object || is_open(&object));
}

static void claim(struct parked *n, const struct wish *w)
{
	struct claim *c = &n->claim[n->claims++];

	*c = (struct claim){
		.order = w->order, .parked = n, .shared = w->shared, .granted = is_open(w)};
	n->waiting += !c->granted;
	TAILQ_INSERT_TAIL(&w->order->claims, c, next);
}

static void grant(struct park *p, struct claim *c)
{
	c->granted = true;
	if (!--c->parked->waiting)
		TAILQ_INSERT_TAIL(&p->ready, c->parked, ready);
}

static void release(struct park *p, struct claim *c)
{
	struct order *o = c->order;

	TAILQ_REMOVE(&o->claims, c, next);
	c = TAILQ_FIRST(&o->claims);
	if (!c || c->granted)
		return;
	grant(p, c);
	if (!c->shared)
		return;
	while ((c = TAILQ_NEXT(c, next)) && c->shared)
		grant(p, c);
}

/* ---- records ---- */

void park_init(struct park *p)
{
	order_init(&p->all);
	order_init(&p->primary);
	TAILQ_INIT(&p->ready);
}

bool park_full(const struct park *p)
{
	return p->count >= PARK_RECORDS_MAX || p->bytes >= PARK_BYTES_MAX;
}

/* Counted for the answers to queries and the order of captures' ends; on: it comes, else it goes.
 */
static void count_in(struct park *p, struct parked *n, bool on)
{
	const uint32_t one = on ? 1 : UINT32_MAX;

	if (n->ctx)
		n->ctx->parked += one;
	if (n->d->event && n->object)
		((struct event *)n->object)->parked += one;
	if (n->d->op == PVGPU_OP_STREAM_WAIT_EVENT)
		p->waits += one;
}

int park_put(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	struct park *p = &g->park;
	struct parked *n = malloc(sizeof(*n) + len);
	struct wish w[PARK_CLAIMS];
	struct target t;
	uint32_t wanted;

	if (!n)
		return -1;
	t = target_of(g, d, rec);
	*n = (struct parked){.d = d, .number = g->taken, .len = len};
	n->ctx = t.ctx ? obj_ref(t.ctx) : NULL;
	n->stream = t.stream ? obj_ref(t.stream) : NULL;
	n->object = t.object ? obj_ref(t.object) : NULL;
	memcpy(n->rec, rec, len);
	wanted = wishes(g, d, &t, w);
	for (uint32_t i = 0; i < wanted; i++)
		claim(n, &w[i]);
	if (!n->waiting)
		TAILQ_INSERT_TAIL(&p->ready, n, ready);
	count_in(p, n, true);
	/* Allocations that lack memory wait for it. */
	if (d->flags & PVGPU_DESC_FREES)
		atomic_fetch_add(&g->mem.pending, 1);
	p->count++;
	p->bytes += len;
	if (!occupies(d))
		return 0;
	p->work++;
	n->since = pvgpu_poll_now();
	latency_parked(g);
	return 0;
}

void park_take(struct gpu *g, struct parked *n)
{
	struct park *p = &g->park;

	TAILQ_REMOVE(&p->ready, n, ready);
	for (uint32_t i = 0; i < n->claims; i++)
		release(p, &n->claim[i]);
	count_in(p, n, false);
	p->count--;
	p->bytes -= n->len;
	if (!occupies(n->d))
		return;
	p->work--;
	latency_unparked(g, n->since);
}

void parked_free(struct gpu *g, struct parked *n)
{
	if (n->d->flags & PVGPU_DESC_FREES) {
		atomic_fetch_sub(&g->mem.pending, 1);
		side_poke(g);
	}
	if (n->ctx)
		obj_unref(n->ctx);
	if (n->stream)
		obj_unref(n->stream);
	if (n->object)
		obj_unref(n->object);
	free(n);
}

void park_free(struct gpu *g)
{
	struct parked *n;

	/* The oldest one is always ready. */
	while ((n = TAILQ_FIRST(&g->park.ready))) {
		park_take(g, n);
		parked_free(g, n);
	}
}
