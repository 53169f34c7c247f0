/* SPDX-License-Identifier: MIT */
/*
 * Records of the reply stream. The worker is not trusted: each record is copied once, then checked,
 * and must answer a pending command. Any other record ends the session.
 */
#include "link/runtime.h"

_Thread_local bool pvgpu_in_mark;

static void complete_call(struct pvgpu_call_slot *c, const struct pvgpu_rep_hdr *hdr)
{
	c->result = pvgpu_result_of(c->library, hdr->result);
	c->flags = hdr->flags;
	c->len = hdr->len;
	memcpy(c->rep, hdr, hdr->len < c->cap ? hdr->len : c->cap);
	pvgpu_store_release(&c->done, true);
}

/* Under post_lock. The owner may free m as soon as it is done, or in fn. */
void pvgpu_complete_mark(struct pvgpu_session *s, struct pvgpu_mark *m, int result)
{
	void (*fn)(struct pvgpu_mark *) = m->fn;

	m->result = result;
	pvgpu_store_release(&m->done, true);
	if (fn) {
		pvgpu_in_mark = true;
		fn(m);
		pvgpu_in_mark = false;
	}
}

static const char *take_reply(struct pvgpu_session *s, const struct pvgpu_waiter *w,
			      struct pvgpu_drained *d)
{
	const struct pvgpu_rep_hdr *hdr = (const struct pvgpu_rep_hdr *)s->record;
	struct pvgpu_call_slot *c;

	pvgpu_lock(&s->post_lock);
	c = pvgpu_take_call(s, hdr->seq);
	if (c)
		complete_call(c, hdr);
	pvgpu_unlock(&s->post_lock);
	if (!c)
		return "the worker sent a reply to no pending command";
	if (!w || w->kind != PVGPU_WAIT_CALL || w->call != c)
		d->others = true;
	return NULL;
}

static const char *take_mark(struct pvgpu_session *s, struct pvgpu_drained *d)
{
	const struct pvgpu_rep_hdr *hdr = (const struct pvgpu_rep_hdr *)s->record;
	struct pvgpu_mark *m;

	if (hdr->len != sizeof(struct pvgpu_wire_mark))
		return "the worker sent a mark of a wrong length";
	if (hdr->flags & PVGPU_REP_OUTPUT)
		pvgpu_store(&s->output, true);
	pvgpu_lock(&s->post_lock);
	m = pvgpu_take_mark(s, hdr->seq);
	if (m)
		pvgpu_complete_mark(s, m, pvgpu_result_check(hdr->result));
	pvgpu_unlock(&s->post_lock);
	if (!m)
		return "the worker sent a mark for no pending command";
	d->others = true;
	return NULL;
}

static const char *take_callback(struct pvgpu_session *s, const struct pvgpu_waiter *w,
				 struct pvgpu_drained *d)
{
	const struct pvgpu_wire_callback *cb = (const struct pvgpu_wire_callback *)s->record;

	if (cb->hdr.len != sizeof(*cb) || cb->hdr.seq)
		return "the worker sent a malformed call of a host function";
	if (!pvgpu_callback_called(s, cb->id, (uint32_t)pvgpu_result_check((int32_t)cb->status),
				   !w || w->kind != PVGPU_WAIT_CALLBACK))
		return "the worker called a host function that was not posted";
	d->others = true;
	return NULL;
}

static const char *take_record(struct pvgpu_session *s, const struct pvgpu_waiter *w,
			       struct pvgpu_drained *d)
{
	const struct pvgpu_rep_hdr *hdr = (const struct pvgpu_rep_hdr *)s->record;

	switch (hdr->kind) {
	case PVGPU_REP_REPLY:
		return take_reply(s, w, d);
	case PVGPU_REP_MARK:
		return take_mark(s, d);
	case PVGPU_REP_CALLBACK:
		return take_callback(s, w, d);
	default:
		return "the worker sent a record of unknown kind";
	}
}

/* Has the drain completed w's call or mark? Waits for space are decided in wait.c. */
static bool completed(const struct pvgpu_waiter *w)
{
	return w && ((w->kind == PVGPU_WAIT_CALL && pvgpu_load_acquire(&w->call->done)) ||
		     (w->kind == PVGPU_WAIT_MARK && pvgpu_load_acquire(&w->mark->done)));
}

void pvgpu_drain(struct pvgpu_session *s, const struct pvgpu_waiter *w, struct pvgpu_drained *d)
{
	*d = (struct pvgpu_drained){0};
	for (unsigned int n = 0; n < PVGPU_DRAIN_BATCH && !completed(w); n++) {
		const int len = pvgpu_ring_fetch(&s->rep, s->record, sizeof(s->record));

		if (!len)
			return;
		if (len < 0) {
			d->err = len;
			d->why = "the reply stream's index or a record's length is impossible";
			return;
		}
		pvgpu_see_other_threads(s);
		d->why = take_record(s, w, d);
		if (d->why) {
			d->err = -EPROTO;
			return;
		}
		if (pvgpu_ring_consume(&s->rep, (uint32_t)len))
			s->link->ops->doorbell(s->link);
		d->some = true;
	}
}

void pvgpu_drain_last(struct pvgpu_session *s)
{
	struct pvgpu_drained d;

	do {
		pvgpu_drain(s, NULL, &d);
		if (d.err)
			pvgpu_session_fail(s, d.why);
	} while (d.some && !d.err);
}

void pvgpu_sweep(struct pvgpu_session *s)
{
	pvgpu_lock(&s->post_lock);
	for (unsigned int i = 0; i < PVGPU_CALL_BUCKETS; i++) {
		struct pvgpu_call_slot *c;

		while ((c = s->calls[i])) {
			s->calls[i] = c->next;
			c->result = PVGPU_DEAD_RESULT;
			pvgpu_store_release(&c->done, true);
		}
	}
	for (unsigned int i = 0; i < PVGPU_MARK_BUCKETS; i++) {
		struct pvgpu_mark *m;

		while ((m = s->marks[i])) {
			s->marks[i] = m->next;
			pvgpu_complete_mark(s, m, PVGPU_DEAD_RESULT);
		}
	}
	pvgpu_unlock(&s->post_lock);
}
