/* SPDX-License-Identifier: MIT */
/*
 * Records on their way to a lane. The decoding thread never waits: while the gate is closed, or too
 * much is in flight on a stream or of the session, or a queue behind it is full, work parks here,
 * in order, with all that comes after it. Commands of the `now` lane go on; what they ask about
 * parked work is not ready.
 */
#include <stdlib.h>
#include <string.h>

#include "state.h"
#include "xen-pvgpu-back/daemon/supervise.h"

/* Does the command occupy the GPU? Such pass the gate. */
static bool occupies(uint16_t op)
{
	switch (op) {
	case PVGPU_OP_LAUNCH:
	case PVGPU_OP_LAUNCH_EX:
	case PVGPU_OP_COPY:
	case PVGPU_OP_COPY_INLINE:
	case PVGPU_OP_COPY_FETCH:
	case PVGPU_OP_COPY_3D:
	case PVGPU_OP_MEMSET:
		return true;
	default:
		return false;
	}
}

static bool copies(uint16_t op)
{
	return op == PVGPU_OP_COPY || op == PVGPU_OP_COPY_INLINE || op == PVGPU_OP_COPY_FETCH ||
	       op == PVGPU_OP_COPY_3D;
}

/* Which context, stream and event a record works on, by its handles. */
struct target {
	struct ctx *ctx;
	struct stream *stream;
	struct event *event; /* that it records */
};

struct handles {
	uint16_t op;
	uint16_t ctx, stream, event; /* offsets; 0: none */
};

#define AT(cmd, field) offsetof(struct pvgpu_wire_##cmd, field)
#define STREAM_OF(op, cmd)                                                                         \
	{                                                                                          \
		PVGPU_OP_##op, AT(cmd, ctx), AT(cmd, stream), 0                                    \
	}

static const struct handles handles[] = {
	STREAM_OF(LAUNCH, launch),
	STREAM_OF(LAUNCH_EX, launch_ex),
	STREAM_OF(COPY, copy),
	STREAM_OF(COPY_INLINE, copy_inline),
	STREAM_OF(COPY_FETCH, copy_fetch),
	STREAM_OF(COPY_3D, copy_3d),
	STREAM_OF(MEMSET, memset),
	STREAM_OF(STREAM_SYNCHRONIZE, stream_synchronize),
	STREAM_OF(STREAM_WAIT_EVENT, stream_wait_event),
	STREAM_OF(HOST_FUNC, host_func),
	{PVGPU_OP_EVENT_RECORD, AT(event_record, ctx), AT(event_record, stream),
	 AT(event_record, event)},
	{PVGPU_OP_CTX_SYNCHRONIZE, AT(ctx_synchronize, ctx), 0, 0},
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
	struct target t = {0};

	for (size_t i = 0; i < sizeof(handles) / sizeof(handles[0]); i++) {
		const struct handles *h = &handles[i];
		uint64_t stream;

		if (h->op != d->op)
			continue;
		stream = handle_at(rec, h->stream);
		t.ctx = obj_lookup(&g->tables, PVGPU_H_CTX, handle_at(rec, h->ctx));
		if (stream)
			t.stream = obj_lookup(&g->tables, PVGPU_H_STREAM, stream);
		else if (h->stream && t.ctx && !obj_error(t.ctx))
			t.stream = t.ctx->legacy;
		if (h->event)
			t.event = obj_lookup(&g->tables, PVGPU_H_EVENT, handle_at(rec, h->event));
		break;
	}
	return t;
}

static bool gate_open(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (!occupies(d->op))
		return true;
	if (gate_deep(g, &g->gate))
		return false;
	if (gate_pass(g, &g->gate, copies(d->op)))
		return true;
	t = target_of(g, d, rec);
	return t.stream && !obj_error(t.stream) && gate_pass_idle(g, t.stream, copies(d->op));
}

/* A wait puts an event into each of the context's streams. */
static bool ctx_room(struct ctx *c)
{
	if (obj_error(c))
		return true;
	if (!stream_room(c->legacy))
		return false;
	for (struct link *l = c->streams.next; l != &c->streams; l = l->next) {
		struct stream *s = link_of(l, struct stream, in_ctx);

		if (!s->destroyed && !stream_room(s))
			return false;
	}
	return true;
}

/* Copies that need a page-locked slot: without one CUDA would copy while we wait. */
static bool wants_slot(struct gpu *g, uint16_t op)
{
	if (op == PVGPU_OP_COPY_INLINE || op == PVGPU_OP_COPY_FETCH)
		return true;
	return (op == PVGPU_OP_COPY || op == PVGPU_OP_COPY_3D) && bounce_needed(g);
}

static bool slot_room(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t)
{
	if (!wants_slot(g, d->op) || !t->ctx || obj_error(t->ctx))
		return true;
	if (d->op == PVGPU_OP_COPY_INLINE || d->op == PVGPU_OP_COPY_FETCH)
		return staging_room(g, t->ctx, STAGING_RECORDS, NULL);
	return staging_room(g, t->ctx, STAGING_COPIES, t->stream);
}

static bool may_run(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	struct target t;

	if (d->lane == PVGPU_LANE_SIDE)
		return side_room(g) && waits_room(g);
	if (!gate_open(g, d, rec) || !waits_room(g))
		return false;
	if (!g->full_streams && !wants_slot(g, d->op))
		return true;
	t = target_of(g, d, rec);
	if (t.stream && !obj_error(t.stream) && !stream_room(t.stream))
		return false;
	if (d->op == PVGPU_OP_CTX_SYNCHRONIZE && t.ctx && !ctx_room(t.ctx))
		return false;
	return slot_room(g, d, &t);
}

/* It may run, and what it is for the gate has been counted. */
static bool starts(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec)
{
	while (may_run(g, d, rec)) {
		if (!occupies(d->op) || gate_count(&g->gate))
			return true;
	}
	return false;
}

static int run(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	const int r = d->run(g->w, &g->decode, rec, len);

	gate_counted(&g->gate);
	if (r != PVGPU_FATAL)
		return 0;
	worker_end(g->w, PVGPU_END_PROTOCOL, "malformed %s", d->name);
	return PVGPU_FATAL;
}

/* Commands that give memory back: who lacks some waits for them. */
static bool frees(const struct pvgpu_cmd_desc *d)
{
	return d->op == PVGPU_OP_MEM_FREE || d->op == PVGPU_OP_MODULE_UNLOAD ||
	       d->op == PVGPU_OP_LIBRARY_UNLOAD || d->op == PVGPU_OP_CTX_DESTROY ||
	       d->op == PVGPU_OP_CTX_PRIMARY_RESET;
}

/* Fetch no more for now? */
static bool full(struct gpu *g)
{
	const struct park *p = &g->park;

	return p->count >= PARK_RECORDS_MAX || p->bytes >= PARK_BYTES_MAX;
}

static int park(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
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
	n->len = len;
	memcpy(n->rec, rec, len);
	if (n->ctx)
		n->ctx->parked++;
	if (n->stream)
		n->stream->parked++;
	if (n->event)
		n->event->parked++;
	if (frees(d))
		atomic_fetch_add(&g->mem.pending, 1);
	*p->tail = n;
	p->tail = &n->next;
	p->count++;
	p->bytes += len;
	p->work += occupies(d->op);
	return full(g);
}

static struct parked *unpark(struct gpu *g)
{
	struct park *p = &g->park;
	struct parked *n = p->head;

	p->head = n->next;
	if (!p->head)
		p->tail = &p->head;
	p->count--;
	p->bytes -= n->len;
	p->work -= occupies(n->d->op);
	if (n->ctx)
		n->ctx->parked--;
	if (n->stream)
		n->stream->parked--;
	if (n->event)
		n->event->parked--;
	return n;
}

static void parked_free(struct gpu *g, struct parked *n)
{
	if (frees(n->d)) {
		atomic_fetch_sub(&g->mem.pending, 1);
		side_poke(g);
	}
	if (n->ctx)
		obj_unref(n->ctx);
	if (n->stream)
		obj_unref(n->stream);
	if (n->event)
		obj_unref(n->event);
	free(n);
}

int gpu_submit(struct worker *w, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len)
{
	struct gpu *g = worker_gpu(w);

	/* A guest that asks for what it has not negotiated breaks the protocol. */
	if (d->since > 1 && d->since > g->version)
		return PVGPU_FATAL;
	if (d->lane == PVGPU_LANE_NOW)
		return run(g, d, rec, len);
	if (g->park.head || !starts(g, d, rec))
		return park(g, d, rec, len);
	return run(g, d, rec, len);
}

int gpu_kicked(struct worker *w)
{
	struct gpu *g = worker_gpu(w);
	struct park *p = &g->park;
	int r = 0;

	if (g->zombies)
		streams_reap(g);
	while (!r && p->head && starts(g, p->head->d, p->head->rec)) {
		struct parked *n = unpark(g);

		r = run(g, n->d, n->rec, n->len);
		parked_free(g, n);
	}
	gate_settle(g);
	return r ? r : full(g);
}

void park_free(struct gpu *g)
{
	while (g->park.head)
		parked_free(g, unpark(g));
}
