// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Sessions. Opening and closing are requests whose answers are handled by the event work, so they
 * complete after the process was killed. Memory that the backend may have mapped stays until it
 * has answered, or until the connection ends.
 */
#include <linux/interrupt.h>
#include <linux/lockdep.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "compat.h"
#include "pvgpu_front.h"
#include "pvgpu_trace.h"

void pvgpu_printable(char *to, size_t cap, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len && i + 1 < cap && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}

/* ---- events ---- */

static irqreturn_t pvgpu_session_doorbell(int irq, void *data)
{
	struct pvgpu_session *s = data;

	pvgpu_count(&s->vgpu->stats.doorbells);
	/* The thread that takes the doorbell ends the interrupt; no other comes before. A thread
	 * that sees RUNG sees EOI: test_and_clear_bit() in pvgpu_session_take() is the barrier's
	 * pair. */
	set_bit(PVGPU_EOI, &s->flags);
	smp_mb__after_atomic();
	set_bit(PVGPU_RUNG, &s->flags);
	wake_up(&s->wait);
	return IRQ_HANDLED;
}

unsigned int pvgpu_session_take(struct pvgpu_session *s, unsigned int what)
{
	unsigned int got = 0;

	if ((what & PVGPU_GOT_RUNG) && test_and_clear_bit(PVGPU_RUNG, &s->flags)) {
		got |= PVGPU_GOT_RUNG;
		if (test_and_clear_bit(PVGPU_EOI, &s->flags))
			pvgpu_channel_eoi(s->vgpu, &s->channel, false);
	}
	if ((what & PVGPU_GOT_KICKED) && test_and_clear_bit(PVGPU_KICKED, &s->flags))
		got |= PVGPU_GOT_KICKED;
	if (test_bit(PVGPU_HUNG, &s->flags))
		got |= PVGPU_GOT_HANGUP;
	return got;
}

bool pvgpu_session_has(struct pvgpu_session *s, unsigned int what)
{
	return ((what & PVGPU_GOT_RUNG) && test_bit(PVGPU_RUNG, &s->flags)) ||
	       ((what & PVGPU_GOT_KICKED) && test_bit(PVGPU_KICKED, &s->flags)) ||
	       test_bit(PVGPU_HUNG, &s->flags);
}

static void pvgpu_session_hang_up(struct pvgpu_session *s)
{
	set_bit(PVGPU_HUNG, &s->flags);
	wake_up_all(&s->wait);
}

/* ---- end ---- */

static void pvgpu_session_free(struct kref *ref)
{
	struct pvgpu_session *s = container_of(ref, struct pvgpu_session, ref);

	xa_destroy(&s->chunks);
	pvgpu_user_put(s->user);
	pvgpu_vgpu_put(s->vgpu);
	kfree(s);
}

void pvgpu_session_put(struct pvgpu_session *s)
{
	kref_put(&s->ref, pvgpu_session_free);
}

/*
 * The backend has unmapped the session, or is disconnected: free its resources, memory at once or,
 * with limbo, later. Only the first call has an effect; it drops the reference of the vGPU's list.
 */
static void pvgpu_session_finish(struct pvgpu_session *s, struct list_head *limbo)
{
	struct pvgpu_vgpu *v = s->vgpu;
	LIST_HEAD(now);
	bool mine;

	spin_lock(&v->lock);
	mine = !list_empty(&s->node);
	list_del_init(&s->node);
	v->n_sessions -= mine;
	spin_unlock(&v->lock);
	if (!mine)
		return;
	pvgpu_session_hang_up(s);
	pvgpu_channel_close(v, &s->channel, s);
	pvgpu_user_drop_session(s->user);
	mutex_lock(&s->lock);
	if (s->ring)
		list_add_tail(&s->ring->node, &now);
	s->ring = NULL;
	pvgpu_chunks_drop(s, &now);
	mutex_unlock(&s->lock);
	if (limbo)
		list_splice_tail(&now, limbo);
	else
		pvgpu_mem_end_list(&now);
	spin_lock(&s->life_lock);
	/* All releases of `life`: with the acquire in pvgpu_session_life(). */
	smp_store_release(&s->life, PVGPU_GONE);
	spin_unlock(&s->life_lock);
	trace_pvgpu_session(v->index, s->number, "gone", s->error);
	wake_up_all(&s->wait);
	pvgpu_session_put(s);
}

bool pvgpu_session_lost(struct pvgpu_session *s, u32 reason, const char *text, size_t len)
{
	struct pvgpu_ring_page *page;

	if (test_and_set_bit(PVGPU_LOST, &s->flags))
		return false;
	mutex_lock(&s->lock);
	if (s->ring) {
		page = pvgpu_mem_first(s->ring);
		pvgpu_printable(page->text, sizeof(page->text), text, len);
		pvgpu_store(&page->reason, reason);
		/* With the acquire of libcuda's look at the status: it finds text and reason. */
		pvgpu_store_release(&page->status, (u32)PVGPU_RING_ENDED);
	}
	mutex_unlock(&s->lock);
	trace_pvgpu_session(s->vgpu->index, s->number, "lost", reason);
	pvgpu_count(&s->vgpu->stats.sessions_lost);
	pvgpu_session_hang_up(s);
	return true;
}

/* ---- close ---- */

static void pvgpu_session_closed(struct pvgpu_req *req)
{
	struct pvgpu_session *s = container_of(req, struct pvgpu_session, close_req);

	/* The result does not matter. Pages that the backend still maps are kept. When the
	 * connection has ended, the session is finished already. */
	pvgpu_session_finish(s, NULL);
	pvgpu_session_put(s);
}

static void pvgpu_session_send_close(struct pvgpu_session *s)
{
	struct pvgpu_req *req = &s->close_req;

	req->done = pvgpu_session_closed;
	req->msg.op = PVGPU_CTL_SESSION_CLOSE;
	req->msg.session = s->number;
	kref_get(&s->ref);
	if (pvgpu_submit(s->vgpu, req, s->gen))
		pvgpu_session_put(s); /* the connection has ended, and with it the session */
}

void pvgpu_session_close(struct pvgpu_session *s)
{
	bool send = false;

	spin_lock(&s->life_lock);
	if (!s->close) {
		s->close = true;
		send = s->life == PVGPU_OPEN;
		if (send)
			smp_store_release(&s->life, PVGPU_CLOSING);
	}
	spin_unlock(&s->life_lock);
	pvgpu_session_hang_up(s);
	if (send)
		pvgpu_session_send_close(s);
}

static struct pvgpu_session *pvgpu_session_numbered(struct pvgpu_vgpu *v, u32 number)
{
	struct pvgpu_session *s;

	lockdep_assert_held(&v->lock);
	list_for_each_entry(s, &v->sessions, node)
		if (s->number == number)
			return s;
	return NULL;
}

/* With a reference; a session of the user that is not closing yet. */
static struct pvgpu_session *pvgpu_session_of(struct pvgpu_vgpu *v, const struct pvgpu_user *user)
{
	struct pvgpu_session *s, *found = NULL;

	spin_lock(&v->lock);
	list_for_each_entry(s, &v->sessions, node) {
		if (s->user != user || READ_ONCE(s->close))
			continue;
		kref_get(&s->ref);
		found = s;
		break;
	}
	spin_unlock(&v->lock);
	return found;
}

/* Its other sessions end before they break the protocol, too, and bring quarantine on all users. */
static void pvgpu_session_end_others(struct pvgpu_vgpu *v, const struct pvgpu_user *user)
{
	static const char text[] = "other sessions of this user broke the protocol";
	struct pvgpu_session *s;

	while ((s = pvgpu_session_of(v, user))) {
		pvgpu_session_lost(s, PVGPU_END_FAILED, text, sizeof(text));
		pvgpu_session_close(s);
		pvgpu_session_put(s);
	}
}

void pvgpu_session_ended(struct pvgpu_vgpu *v, const struct pvgpu_ctl_msg *m)
{
	struct pvgpu_session *s;
	bool first;

	spin_lock(&v->lock);
	s = pvgpu_session_numbered(v, m->session);
	if (s)
		kref_get(&s->ref);
	spin_unlock(&v->lock);
	if (!s) {
		pvgpu_count(&v->stats.answers_dropped);
		return;
	}
	first = pvgpu_session_lost(s, m->u.ended.reason, m->u.ended.text, sizeof(m->u.ended.text));
	pvgpu_session_close(s);
	if (first && m->u.ended.reason == PVGPU_END_PROTOCOL && pvgpu_user_breach(s->user))
		pvgpu_session_end_others(v, s->user);
	pvgpu_session_put(s);
}

void pvgpu_sessions_end(struct pvgpu_vgpu *v, const char *text, struct list_head *limbo)
{
	for (;;) {
		struct pvgpu_session *s;

		spin_lock(&v->lock);
		s = list_first_entry_or_null(&v->sessions, struct pvgpu_session, node);
		if (s)
			kref_get(&s->ref);
		spin_unlock(&v->lock);
		if (!s)
			return;
		pvgpu_session_lost(s, PVGPU_END_FAILED, text, strlen(text));
		pvgpu_session_finish(s, limbo);
		pvgpu_session_put(s);
	}
}

/* ---- open ---- */

static void pvgpu_session_opened(struct pvgpu_req *req)
{
	struct pvgpu_session *s = container_of(req, struct pvgpu_session, open_req);
	bool close;

	mutex_lock(&s->lock);
	/* The backend has read the directory, or has refused the session. When the connection has
	 * ended, the ring is gone already. */
	if (s->ring)
		pvgpu_mem_end_dir(s->ring);
	mutex_unlock(&s->lock);
	spin_lock(&s->life_lock);
	close = s->close;
	if (!req->result) {
		s->backend_number = req->answer.u.opened.number;
		s->arena_limit = req->answer.u.opened.arena_limit;
		if (s->life == PVGPU_OPENING)
			smp_store_release(&s->life, close ? PVGPU_CLOSING : PVGPU_OPEN);
		else
			close = false;
	} else {
		s->error = req->result;
		pvgpu_printable(s->text, sizeof(s->text), req->answer.u.text,
				sizeof(req->answer.u.text));
	}
	spin_unlock(&s->life_lock);
	if (req->result) {
		pvgpu_session_finish(s, NULL);
	} else {
		pvgpu_count(&s->vgpu->stats.sessions_total);
		trace_pvgpu_session(s->vgpu->index, s->number, "open", 0);
		if (close)
			pvgpu_session_send_close(s);
	}
	wake_up_all(&s->wait);
	pvgpu_session_put(s);
}

/* Put it on the vGPU's list, with a number that no other session has. */
static int pvgpu_session_enlist(struct pvgpu_session *s)
{
	struct pvgpu_vgpu *v = s->vgpu;
	int ret = -EUSERS;

	spin_lock(&v->lock);
	if (v->n_sessions < PVGPU_SESSIONS_MAX) {
		do
			v->last_number++;
		while (!v->last_number || pvgpu_session_numbered(v, v->last_number));
		s->number = v->last_number;
		list_add_tail(&s->node, &v->sessions);
		v->n_sessions++;
		kref_get(&s->ref);
		ret = 0;
	}
	spin_unlock(&v->lock);
	return ret;
}

/* The reference to the user is the session's. */
static struct pvgpu_session *pvgpu_session_new(struct pvgpu_vgpu *v, struct pvgpu_user *user,
					       u32 cmd_size, u32 rep_size)
{
	struct pvgpu_session *s = kzalloc(sizeof(*s), GFP_KERNEL_ACCOUNT);

	if (!s)
		return NULL;
	kref_init(&s->ref);
	kref_get(&v->ref);
	s->vgpu = v;
	INIT_LIST_HEAD(&s->node);
	s->user = user;
	s->cmd_size = cmd_size;
	s->rep_size = rep_size;
	init_waitqueue_head(&s->wait);
	pvgpu_channel_init(&s->channel);
	atomic_set(&s->maps, 0);
	spin_lock_init(&s->life_lock);
	mutex_init(&s->lock);
	xa_init_flags(&s->chunks, XA_FLAGS_ALLOC);
	return s;
}

static int pvgpu_session_send_open(struct pvgpu_session *s)
{
	struct pvgpu_ctl_open *open = &s->open_req.msg.u.open;
	int ret;

	s->open_req.done = pvgpu_session_opened;
	s->open_req.msg.op = PVGPU_CTL_SESSION_OPEN;
	s->open_req.msg.session = s->number;
	open->cmd_size = s->cmd_size;
	open->rep_size = s->rep_size;
	open->dir = pvgpu_mem_dir(s->ring);
	open->port = s->channel.port;
	open->user = pvgpu_user_number(s->user);
	get_task_comm(open->comm, current);
	kref_get(&s->ref);
	ret = pvgpu_submit(s->vgpu, &s->open_req, s->gen);
	if (ret)
		pvgpu_session_put(s);
	return ret;
}

/* Make the ring that the backend will map, before other threads can find the session. */
static int pvgpu_session_make_ring(struct pvgpu_session *s, struct pvgpu_why *why)
{
	struct pvgpu_vgpu *v = s->vgpu;
	bool ready;
	int ret;

	spin_lock(&v->ctl_lock);
	ready = v->ready;
	s->gen = v->gen;
	s->backend = v->backend;
	s->features = v->features;
	spin_unlock(&v->ctl_lock);
	if (!ready) {
		pvgpu_say(why, "the vGPU is not connected to its backend at present");
		return -ENODEV;
	}
	ret = pvgpu_mem_new(s->backend, pvgpu_ring_bytes(s->cmd_size, s->rep_size), true, s->user,
			    &s->ring, why);
	if (ret)
		return ret;
	pvgpu_ring_format(pvgpu_mem_first(s->ring), s->cmd_size, s->rep_size);
	snprintf(s->channel.name, sizeof(s->channel.name), "%s-session", v->name);
	return pvgpu_channel_open(v, &s->channel, s->backend, pvgpu_session_doorbell, s, why);
}

/* Make it and let the backend know; on an error nothing of it is left but the session itself. */
static int pvgpu_session_begin(struct pvgpu_session *s, struct pvgpu_why *why)
{
	int ret = pvgpu_session_make_ring(s, why);

	if (!ret) {
		ret = pvgpu_session_enlist(s);
		if (ret)
			pvgpu_say(why, "the vGPU has %u sessions, the maximum", PVGPU_SESSIONS_MAX);
	}
	if (ret) {
		pvgpu_channel_close(s->vgpu, &s->channel, s);
		if (s->ring)
			pvgpu_mem_end(s->ring);
		s->ring = NULL;
		pvgpu_user_drop_session(s->user);
		return ret;
	}
	ret = pvgpu_session_send_open(s);
	if (ret) {
		pvgpu_say(why, "the connection to the backend has just ended");
		pvgpu_session_finish(s, NULL);
	}
	return ret;
}

int pvgpu_session_start(struct pvgpu_vgpu *v, u32 cmd_size, u32 rep_size,
			struct pvgpu_session **out, struct pvgpu_why *why)
{
	struct pvgpu_session *s = NULL;
	struct pvgpu_user *user;
	int ret = pvgpu_user_get(&user);

	if (!ret)
		s = pvgpu_session_new(v, user, cmd_size, rep_size);
	if (!s) {
		pvgpu_user_put(user);
		pvgpu_say(why, "out of memory");
		return -ENOMEM;
	}
	ret = pvgpu_user_take_session(user, why);
	if (!ret)
		ret = pvgpu_session_begin(s, why);
	if (ret)
		pvgpu_session_put(s);
	else
		*out = s;
	return ret;
}
