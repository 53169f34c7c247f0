/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include "link/session.h"
#include "tests/fuzz/wire_end.h"

static struct {
	int result;
	unsigned handled, sent, deferred, marked;
	struct pvgpu_rep_hdr reply;
} end;

static struct {
	const void *rec;
	uint32_t len;
	int result;
} next_reply;

void wire_end_touch(const void *p, uint64_t len)
{
	const volatile uint8_t *bytes = p;

	for (uint64_t i = 0; i < len; i++)
		(void)bytes[i];
}

/* Even handles have an object. */
static void *lookup(void *tables, uint32_t type, uint64_t handle)
{
	if (type != PVGPU_HANDLE_TYPE(handle) || PVGPU_HANDLE_INDEX(handle) >= PVGPU_HANDLES_MAX)
		abort();
	return handle & 1 ? NULL : &end;
}

const struct pvgpu_decode wire_end_decode = {
	.arena_base = 0x7e0000000000ull,
	.arena_size = 1ull << 32,
	.lookup = lookup,
};

struct worker *wire_end_worker(void)
{
	return (struct worker *)&end;
}

void wire_end_reset(int result)
{
	memset(&end, 0, sizeof(end));
	end.result = result;
}

static void check_value(const struct wt_field *f, const struct wt_value *v)
{
	switch (f->kind) {
	case WT_BYTES:
	case WT_STRING:
		if (v->len < f->min || v->len > f->max)
			abort();
		wire_end_touch(v->p, v->len);
		if (f->kind == WT_STRING && strlen(v->p) != v->len)
			abort();
		break;
	case WT_ARENA:
		if (f->optional && !v->u && !v->len)
			break;
		if (!v->len || v->len > f->max || v->u < wire_end_decode.arena_base ||
		    v->u + v->len > wire_end_decode.arena_base + wire_end_decode.arena_size)
			abort();
		break;
	case WT_HANDLE:
		if (v->u ? v->object != &end : !f->optional || v->object)
			abort();
		break;
	case WT_I32:
	case WT_I64:
		if ((int64_t)v->u < (int64_t)f->min || (int64_t)v->u > (int64_t)f->max)
			abort();
		break;
	case WT_U32:
	case WT_U64:
		if (v->u < f->min || v->u > f->max || (f->bits && v->u & ~f->bits))
			abort();
		break;
	default:
		break;
	}
}

int wt_handle(struct worker *w, const struct wt_cmd *c, const struct wt_value *in,
	      struct wt_value *out)
{
	static const uint8_t bytes[PVGPU_REP_MAX];

	end.handled++;
	for (uint32_t i = 0; i < c->n_in; i++)
		check_value(&c->in[i], &in[i]);
	for (uint32_t i = 0; i < c->n_out; i++) {
		out[i].u = in[0].u;
		out[i].p = bytes;
		out[i].len = (in[0].u ^ i * 4097) % sizeof(bytes);
	}
	return end.result;
}

void worker_send(struct worker *w, const void *rec, uint32_t len)
{
	end.sent++;
	memcpy(&end.reply, rec, sizeof(end.reply));
	if (len > PVGPU_REP_MAX || len % 8 || end.reply.len != len)
		abort();
	wire_end_touch(rec, len);
}

void worker_deferred(struct worker *w, void *ctx_obj, int result)
{
	end.deferred++;
	if (!result || (ctx_obj && ctx_obj != &end))
		abort();
}

void worker_mark(struct worker *w, uint32_t seq, int32_t result)
{
	end.marked++;
}

void wire_end_check(const struct pvgpu_cmd_desc *d, const struct pvgpu_cmd_hdr *hdr, int result)
{
	const int awaited = d->flags & PVGPU_DESC_AWAITED;

	if (result == PVGPU_FATAL ? end.handled || end.sent || end.deferred || end.marked
				  : end.sent != (awaited ? 1u : 0u) || (awaited && end.deferred))
		abort();
	if (end.sent &&
	    (end.reply.seq != hdr->seq || end.reply.result != (end.handled ? end.result : 400)))
		abort();
	if (end.marked != (!result && hdr->flags & PVGPU_CMD_MARK ? 1u : 0u))
		abort();
}

/* ---- the guest's runtime */

struct pvgpu_session *wire_end_session(void)
{
	return (struct pvgpu_session *)&next_reply;
}

void wire_end_reply(const void *rec, uint32_t len, int result)
{
	next_reply.rec = rec;
	next_reply.len = len;
	next_reply.result = result;
}

int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		wire_end_touch(p[i].base, p[i].len);
	return 0;
}

int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned int n)
{
	return pvgpu_post(s, p, n);
}

int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
	       uint32_t cap, uint32_t *rep_len)
{
	pvgpu_post(s, p, n);
	*rep_len = next_reply.len < cap ? next_reply.len : cap;
	memcpy(rep, next_reply.rec, *rep_len);
	return next_reply.result;
}

int pvgpu_broken(struct pvgpu_session *s, const char *what)
{
	return 999;
}
