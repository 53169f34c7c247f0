/* SPDX-License-Identifier: MIT */
/*
 * Records on their way to a lane. The decoding thread never waits: while the gate is closed, or too
 * much is in flight on a stream or of the session, or a queue behind it is full, work parks here,
 * in order, with all that comes after it. Commands of the `now` lane go on: a query about parked
 * work answers that it is not ready.
 *
 * One full stream holds no others. Work of a stream may overtake parked work of non-blocking
 * streams, which wait for no stream but by events: an event that parked work records or waits for
 * holds what names it. Nothing overtakes parked commands of other kinds, and nothing a closed gate.
 */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "ring/poll.h"
#include "state.h"
#include "xen-pvgpu-back/contract/supervise.h"

/* Commands that occupy the GPU pass the gate. */
static bool occupies(const struct pvgpu_cmd_desc *d)
{
	return d->gated != PVGPU_GATED_NOT;
}

/* Which context, stream and event a record works on, by its handles. */
struct target {
	struct ctx *ctx;
	struct stream *stream;
	struct event *event; /* that it records */
	struct event *uses;  /* that it records or waits for */
};

static uint64_t handle_at(const void *rec, uint16_t offset)
{
	uint64_t h = 0;

	if (offset)
		memcpy(&h, (const char *)rec + offset, sizeof(h));
	return h;
}

static struct target target_of(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	const uint64_t stream = handle_at(rec, d->stream);
	struct target t = {0};

	if (!d->ctx)
		return t;
	t.ctx = obj_lookup(&g->tables, PVGPU_H_CTX, handle_at(rec, d->ctx));
	if (stream)
		t.stream = obj_lookup(&g->tables, PVGPU_H_STREAM, stream);
	else if (d->stream && t.ctx && !obj_error(t.ctx))
		t.stream = t.ctx->legacy;
	if (d->event)
		t.event = obj_lookup(&g->tables, PVGPU_H_EVENT, handle_at(rec, d->event));
	t.uses = t.event;
	if (d->op == PVGPU_OP_STREAM_WAIT_EVENT)
		t.uses = obj_lookup(
			&g->tables, PVGPU_H_EVENT,
			handle_at(rec, offsetof(struct pvgpu_wire_stream_wait_event, event)));
	return t;
}

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

bool request_room(const struct request *q)
{
	const struct pvgpu_cmd_desc *d = q->d;
	struct gpu *g = q->g;
	struct target t;

	if (!waits_room(g))
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
static bool captured(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (!g->capturing || d->lane != PVGPU_LANE_GPU)
		return false;
	t = target_of(g, d, rec);
	return t.stream && !obj_error(t.stream) && t.stream->capture && !t.stream->parked &&
	       (!t.uses || !t.uses->held);
}

/* It may run; a command that occupies the GPU has begun its transaction with the gate. */
static bool starts(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	const struct request q = {g, d, rec};

	if (captured(g, d, rec))
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
	r = d->run(g->w, &g->decode, rec, len);

	gate_abort(&g->gate);
	if (r != PVGPU_FATAL)
		return 0;
	worker_end(g->w, PVGPU_END_PROTOCOL, "malformed %s", d->name);
	return PVGPU_FATAL;
}

/* Fetch no more for now? */
static bool full(struct gpu *g)
{
	const struct park *p = &g->park;

	return p->count >= PARK_RECORDS_MAX || p->bytes >= PARK_BYTES_MAX;
}

/* May other streams' work overtake it? */
static bool is_firm(const struct pvgpu_cmd_desc *d, const struct target *t)
{
	return d->lane != PVGPU_LANE_GPU || !t->stream || !t->stream->apart;
}

static int park_record(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	struct park *p = &g->park;
	struct parked *n = malloc(sizeof(*n) + len);
	struct target t;

	if (!n) {
		worker_end(g->w, PVGPU_END_FAILED, "out of memory for parked commands");
		return PVGPU_FATAL;
	}
	t = target_of(g, d, rec);
	n->next = NULL;
	n->d = d;
	n->ctx = t.ctx ? obj_ref(t.ctx) : NULL;
	n->stream = t.stream ? obj_ref(t.stream) : NULL;
	n->event = t.event ? obj_ref(t.event) : NULL;
	n->uses = t.uses ? obj_ref(t.uses) : NULL;
	n->firm = is_firm(d, &t);
	n->number = g->taken;
	n->len = len;
	memcpy(n->rec, rec, len);
	if (n->ctx)
		n->ctx->parked++;
	if (n->stream)
		n->stream->parked++;
	if (n->event)
		n->event->parked++;
	if (n->uses)
		n->uses->held++;
	p->firm += n->firm;
	/* Allocations that lack memory wait for it. */
	if (d->flags & PVGPU_DESC_FREES)
		atomic_fetch_add(&g->mem.pending, 1);
	*p->tail = n;
	p->tail = &n->next;
	p->count++;
	p->bytes += len;
	p->work += occupies(d);
	n->since = occupies(d) ? pvgpu_poll_now() : 0;
	if (occupies(d))
		latency_parked(g);
	return full(g);
}

static struct parked *unpark(struct gpu *g, struct parked **at)
{
	struct park *p = &g->park;
	struct parked *n = *at;

	*at = n->next;
	if (!n->next)
		p->tail = at;
	p->count--;
	p->firm -= n->firm;
	p->bytes -= n->len;
	p->work -= occupies(n->d);
	if (occupies(n->d))
		latency_unparked(g, n->since);
	if (n->ctx)
		n->ctx->parked--;
	if (n->stream)
		n->stream->parked--;
	if (n->event)
		n->event->parked--;
	if (n->uses)
		n->uses->held--;
	return n;
}

static void parked_free(struct gpu *g, struct parked *n)
{
	if (n->d->flags & PVGPU_DESC_FREES) {
		atomic_fetch_sub(&g->mem.pending, 1);
		side_poke(g);
	}
	if (n->ctx)
		obj_unref(n->ctx);
	if (n->stream)
		obj_unref(n->stream);
	if (n->event)
		obj_unref(n->event);
	if (n->uses)
		obj_unref(n->uses);
	free(n);
}

/* Is it held back by its stream, and not by the gate? */
static bool stream_holds(const struct parked *n)
{
	return n->stream && n->stream->full;
}

/* Work is parked: may this go before it? */
static bool may_overtake(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (captured(g, d, rec))
		return true;
	if (g->park.firm || d->lane != PVGPU_LANE_GPU || !stream_holds(g->park.head))
		return false;
	t = target_of(g, d, rec);
	return t.stream && !obj_error(t.stream) && !t.stream->parked && (!t.uses || !t.uses->held);
}

/* Commands behind it in its stream, and those that name its event, stay behind it. */
static void pass_by(struct park *p, struct parked *n)
{
	n->stream->passed = p->look;
	if (n->uses)
		n->uses->passed = p->look;
}

/* The next parked record that may run: the first, or one of another stream when its own holds that
 * one back. NULL: none. It has begun its transaction with the gate. */
static struct parked **next_parked(struct gpu *g)
{
	struct park *p = &g->park;
	struct parked **at = &p->head, *n = p->head;

	if (!n || starts(g, n->d, n->rec))
		return n ? at : NULL;
	p->look++;
	for (unsigned int i = 0; i < PARK_LOOK && !n->firm && stream_holds(n); i++) {
		do {
			pass_by(p, n);
			at = &n->next;
			n = *at;
			if (!n || n->firm || ++i >= PARK_LOOK)
				return NULL;
		} while (n->stream->passed == p->look || (n->uses && n->uses->passed == p->look));
		if (starts(g, n->d, n->rec))
			return at;
	}
	return NULL;
}

int gpu_submit(struct worker *w, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	const struct pvgpu_cmd_hdr *hdr = rec;
	struct gpu *g = worker_gpu(w);

	g->taken += (uint32_t)(hdr->seq - (uint32_t)g->taken);
	/* A guest that uses a command of a version it has not negotiated breaks the protocol. */
	if (d->since > 1 && d->since > g->version)
		return PVGPU_FATAL;
	if (d->lane == PVGPU_LANE_NOW)
		return run_record(g, d, g->taken, rec, len);
	if ((g->park.head && !may_overtake(g, d, rec)) || !starts(g, d, rec))
		return park_record(g, d, rec, len);
	return run_record(g, d, g->taken, rec, len);
}

int gpu_kicked(struct worker *w)
{
	struct gpu *g = worker_gpu(w);
	struct parked **at;
	int r = 0;

	if (g->zombies)
		streams_reap(g);
	callbacks_resume(g);
	while (!r && (at = next_parked(g))) {
		struct parked *n = unpark(g, at);

		r = run_record(g, n->d, n->number, n->rec, n->len);
		parked_free(g, n);
	}
	gate_settle(g);
	return r ? r : full(g);
}

void park_free(struct gpu *g)
{
	while (g->park.head)
		parked_free(g, unpark(g, &g->park.head));
}
