/* SPDX-License-Identifier: MIT */
/*
 * A vGPU's control ring. The guest may be hostile: pvgpu_ctl_* check its indices, and a message is
 * copied once. It cannot monopolise pvgpud: its event channel is masked until it was served, a turn
 * takes at most the messages that the page holds and ends with the first request that reads a
 * directory of grants, and all that it asks for has a budget (ring/control.h).
 */
#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/guard/faults.h"

#define KEPT_MIN 16u /* requests of a vGPU without an answer; and two for each session */

static const struct budget_rule budget_requests = {.burst = PVGPU_CTL_BURST,
						   .a_second = PVGPU_CTL_A_SECOND,
						   .pause_ns = 20000000,
						   .over_ns = 10000000000ull};
/* Without disconnecting: rings do not add up. */
static const struct budget_rule budget_rings = {
	.burst = 16384, .a_second = 8192, .pause_ns = 20000000, .over_ns = UINT64_MAX};

static uint64_t now_ns(void)
{
	return now_ms() * 1000000u;
}

void xenctl_again(struct xenctl *c)
{
	if (!ev_is_active(&c->again)) {
		ev_timer_set(&c->again, 0., 0.);
		ev_timer_start(c->d->loop, &c->again);
	}
}

void xenctl_answer(struct xenctl *c, struct xen_request *s, int error, const char *fmt, ...)
{
	char text[CHECK_REASON];
	va_list ap;

	memset(&s->answer, 0, sizeof(s->answer));
	s->answer.op = s->m.op;
	s->answer.id = s->m.id;
	s->answer.session = s->m.session;
	s->answer.error = error;
	if (error) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
		/* A text that fills the field has no NUL. */
		memcpy(s->answer.u.text, text, strnlen(text, sizeof(s->answer.u.text)));
		log_debug("vgpu %s: request %#x of session %u: %s", c->v->cfg.name, s->m.op,
			  s->m.session, text);
		/* Counted later: a fault may refuse sessions, and the caller is working on one. */
		if (error == EPROTO && !c->breach[0])
			memcpy(c->breach, text, sizeof(c->breach));
	}
	s->state = XEN_REQ_ANSWERED;
	s->asked = 0;
	xenctl_again(c);
}

struct xen_request *xenctl_request(struct xenctl *c, enum xen_request_state state, uint32_t session,
				   uint32_t op)
{
	struct xen_request *r;

	TAILQ_FOREACH(r, &c->requests, link)
	{
		if (r->state == state && r->m.session == session && (!op || r->m.op == op))
			return r;
	}
	return NULL;
}

struct xen_session *xenctl_session(struct xenctl *c, uint32_t number)
{
	struct xen_session *s;

	TAILQ_FOREACH(s, &c->sessions, link)
	{
		if (s->number == number)
			return s;
	}
	return NULL;
}

/* The ring is not used any more. Its sessions go on until xenbus ends them. */
static void fatal(struct xenctl *c, const char *what)
{
	c->broken = true;
	ev_io_stop(c->d->loop, &c->io);
	ev_timer_stop(c->d->loop, &c->again);
	ev_timer_stop(c->d->loop, &c->pause);
	xenbus_fatal(c->x, what);
	faults_breach(c->v, what);
}

/* 1: published; 0: no room, the guest rings when there is some; -1: fatal. */
static int publish(struct xenctl *c, const struct pvgpu_ctl_msg *m)
{
	int r = pvgpu_ctl_put(&c->ctl, m);

	if (r == -EPROTO) {
		fatal(c, "control ring: invalid index of the queue of answers");
		return -1;
	}
	if (r)
		return 0;
	c->ring = true;
	return 1;
}

static void forget_request(struct xenctl *c, struct xen_request *r)
{
	TAILQ_REMOVE(&c->requests, r, link);
	c->request_n--;
	free(r);
}

/* The guest sends again what the former pvgpud has copied and not answered. */
static int send_again(struct xenctl *c)
{
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_AGAIN, .u.again.before = c->before};
	int r = c->adopted ? publish(c, &m) : 1;

	c->adopted &= r <= 0;
	return r;
}

static int send_answers(struct xenctl *c)
{
	struct xen_request *req, *next;

	for (req = TAILQ_FIRST(&c->requests); req; req = next) {
		int r;

		next = TAILQ_NEXT(req, link);
		if (req->state != XEN_REQ_ANSWERED)
			continue;
		r = publish(c, &req->answer);
		if (r <= 0)
			return r;
		forget_request(c, req);
	}
	return 1;
}

/* After the answers, so that the guest gets the answer to an opening before the session's end. */
static int send_ends(struct xenctl *c)
{
	struct xen_session *s, *next;

	for (s = TAILQ_FIRST(&c->sessions); s; s = next) {
		struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_ENDED, .session = s->number};
		int r;

		next = TAILQ_NEXT(s, link);
		if (s->state != XEN_ENDED)
			continue;
		m.u.ended.reason = s->end;
		snprintf(m.u.ended.text, sizeof(m.u.ended.text), "%.43s", s->why);
		r = publish(c, &m);
		if (r <= 0)
			return r;
		/* Later requests for this session are answered as unknown. */
		xenctl_session_free(s);
	}
	return 1;
}

/* False: fatal. */
static bool flush(struct xenctl *c)
{
	int r = send_again(c);

	if (r > 0)
		r = send_answers(c);
	if (r > 0)
		r = send_ends(c);
	return r >= 0;
}

static bool may_keep(const struct xenctl *c)
{
	return c->request_n < KEPT_MIN + 2 * c->v->cfg.policy.max_sessions;
}

/* Copies as many as the page holds. False: fatal. */
static bool take(struct xenctl *c)
{
	struct xen_request *req;

	c->full = true;
	for (unsigned int i = 0; i < PVGPU_CTL_SLOTS && may_keep(c); i++) {
		int r;

		req = calloc(1, sizeof(*req));
		r = req ? pvgpu_ctl_peek(&c->ctl, 0, &req->m) : 0;
		if (r <= 0) {
			c->full = !req;
			free(req);
			if (r < 0)
				fatal(c, "control ring: invalid index of the queue of requests");
			return r == 0;
		}
		c->ring |= pvgpu_ctl_release(&c->ctl, 1);
		req->state = XEN_REQ_HELD;
		TAILQ_INSERT_TAIL(&c->requests, req, link);
		c->request_n++;
	}
	return true;
}

static void make_pause(struct xenctl *c)
{
	if (ev_is_active(&c->pause))
		return;
	ev_timer_set(&c->pause, budget_requests.pause_ns / 1e9, 0.);
	ev_timer_start(c->d->loop, &c->pause);
}

/* False: the request waits, or its sender was disconnected. */
static bool pay(struct xenctl *c, struct xen_request *req)
{
	struct budget *b = &c->x->requests;
	const uint64_t now = now_ns();

	req->paid = req->paid || budget_take(b, &budget_requests, pvgpu_ctl_cost(&req->m), now);
	if (req->paid)
		return true;
	if (budget_flooded(b, &budget_requests, true, now))
		fatal(c, "control ring: more requests than PVGPU_CTL_A_SECOND allows");
	else
		make_pause(c);
	return false;
}

/* True: the turn ends. */
static bool execute(struct xenctl *c, struct xen_request *req)
{
	struct xen_session *about = xenctl_session(c, req->m.session);

	if (about && about->state == XEN_ADOPTING)
		return false;
	if (req->m.op == PVGPU_CTL_CHUNK_ADD && c->map)
		return true; /* its end starts another turn */
	if (!pay(c, req))
		return true;
	req->state = XEN_REQ_RUNNING;
	if (!req->m.session) {
		xenctl_answer(c, req, EPROTO, "request of session 0");
		return false;
	}
	switch (req->m.op) {
	case PVGPU_CTL_SESSION_OPEN:
		if (!xenctl_open(c, req))
			return false;
		xenctl_again(c);
		return true;
	case PVGPU_CTL_SESSION_CLOSE:
		xenctl_close(c, req);
		return false;
	case PVGPU_CTL_CHUNK_ADD:
		xenctl_chunk_add(c, req);
		return false;
	case PVGPU_CTL_CHUNK_REMOVE:
		xenctl_chunk_remove(c, req);
		return false;
	default:
		xenctl_answer(c, req, ENOSYS, "unknown request %#x", req->m.op);
		return false;
	}
}

static void count_breach(struct xenctl *c)
{
	if (!c->breach[0])
		return;
	faults_breach(c->v, c->breach);
	c->breach[0] = '\0';
}

static void turn(struct xenctl *c)
{
	struct xen_request *req;

	if (c->broken)
		return;
	count_breach(c);
	if (!flush(c) || !take(c))
		return;
	TAILQ_FOREACH(req, &c->requests, link)
	{
		if (req->state == XEN_REQ_HELD && execute(c, req))
			break;
	}
	if (c->broken)
		return;
	count_breach(c);
	if (flush(c) && c->ring) {
		c->ring = false;
		c->ops->port_ring(c->port);
	}
	if (c->full && may_keep(c))
		xenctl_again(c);
}

static void on_again(struct ev_loop *loop, ev_timer *t, int events)
{
	turn(t->data);
}

static void unmask(struct xenctl *c)
{
	/* Requests published from now on ring again. Those published during the turn rang while the
	 * port was masked, and were seen. */
	c->masked = false;
	if (!c->broken)
		c->ops->port_unmask(c->port);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *t, int events)
{
	struct xenctl *c = t->data;

	turn(c);
	if (c->masked)
		unmask(c);
}

static void on_rung(struct ev_loop *loop, ev_io *io, int events)
{
	struct xenctl *c = io->data;

	if (!c->ops->port_take(c->port))
		return;
	if (!budget_take(&c->x->rings, &budget_rings, 1, now_ns())) {
		c->masked = true;
		make_pause(c);
		return;
	}
	turn(c);
	unmask(c);
}

static int map(struct xenctl *c, uint32_t ring_ref, uint32_t port, char reason[CHECK_REASON])
{
	int err = c->ops->page_map(c->x->domid, ring_ref, &c->page);

	if (err) {
		snprintf(reason, CHECK_REASON, "cannot map the control ring, grant %u: %s",
			 ring_ref, strerror(-err));
		return err;
	}
	err = c->ops->port_open(c->x->domid, port, &c->port);
	if (err) {
		snprintf(reason, CHECK_REASON, "cannot bind event channel %u: %s", port,
			 strerror(-err));
		c->ops->page_unmap(c->page);
	}
	return err;
}

static void forget_lost(struct vgpu *v)
{
	struct xen_lost *l;

	while ((l = SLIST_FIRST(&v->lost))) {
		SLIST_REMOVE_HEAD(&v->lost, link);
		free(l);
	}
}

/* Ends workers of a former connection, which have no session here. */
static void end_workers(struct xen_vgpu *x, bool now, const char *why)
{
	struct worker *w;

	TAILQ_FOREACH(w, &x->d->workers, link)
	{
		if (w->vgpu != x->v)
			continue;
		if (now || !w->sealed)
			worker_kill(w, "%s", why);
		else
			xenctl_tell_close(w, why);
	}
}

int xenctl_connect(struct xen_vgpu *x, uint32_t ring_ref, uint32_t port, bool adopting,
		   char reason[CHECK_REASON])
{
	struct xenctl *c = calloc(1, sizeof(*c));
	int err;

	if (!c) {
		snprintf(reason, CHECK_REASON, "out of memory");
		return -ENOMEM;
	}
	c->x = x;
	c->v = x->v;
	c->d = x->d;
	c->ops = x->d->xen_ops;
	TAILQ_INIT(&c->sessions);
	TAILQ_INIT(&c->requests);
	err = map(c, ring_ref, port, reason);
	if (err) {
		free(c);
		return err;
	}
	pvgpu_ctl_init_back(&c->ctl, c->page);
	c->adopted = adopting;
	c->before = c->ctl.cons;
	ev_io_init(&c->io, on_rung, c->ops->port_fd(c->port), EV_READ);
	c->io.data = c;
	ev_io_start(c->d->loop, &c->io);
	ev_timer_init(&c->again, on_again, 0., 0.);
	ev_timer_init(&c->pause, on_pause_over, 0., 0.);
	c->again.data = c->pause.data = c;
	x->ctl = c;
	if (adopting)
		xenctl_adopt_all(c);
	else
		end_workers(x, true, "its vGPU was connected anew");
	forget_lost(c->v);
	/* A former pvgpud may have published without a ring, and may have missed rings of the
	 * guest. */
	c->ring = true;
	xenctl_again(c);
	return 0;
}

/* Frees the ring and the state of sessions. Workers go on. */
static void let_go(struct xenctl *c)
{
	ev_io_stop(c->d->loop, &c->io);
	xenctl_forget_all(c);
	ev_timer_stop(c->d->loop, &c->again);
	ev_timer_stop(c->d->loop, &c->pause);
	while (!TAILQ_EMPTY(&c->requests))
		forget_request(c, TAILQ_FIRST(&c->requests));
	c->ops->port_close(c->port);
	c->ops->page_unmap(c->page);
	c->x->ctl = NULL;
	free(c);
}

void xenctl_check_idle(struct xen_vgpu *x)
{
	struct vgpu *v = x->v;

	if (!v->xen_ending || v->sessions)
		return;
	v->xen_ending = false;
	xenbus_idle(x);
}

void xenctl_disconnect(struct xen_vgpu *x, bool guest_gone)
{
	struct xenctl *c = x->ctl;

	if (!x->v) {
		xenbus_idle(x);
		return;
	}
	x->v->xen_ending = true;
	if (c) {
		xenctl_refuse_all(c);
		if (!c->broken && flush(c) && c->ring)
			c->ops->port_ring(c->port);
		let_go(c);
	}
	forget_lost(x->v);
	end_workers(x, guest_gone, "its vGPU was disconnected");
	xenctl_check_idle(x);
}

void xenctl_leave(struct xen_vgpu *x)
{
	if (x->ctl)
		let_go(x->ctl);
	if (x->v)
		forget_lost(x->v);
}

void xenctl_lost(struct vgpu *v, uint32_t number)
{
	struct xen_lost *l = calloc(1, sizeof(*l));

	if (!l)
		return;
	l->number = number;
	l->end = PVGPU_END_FAILED;
	snprintf(l->reason, sizeof(l->reason), "the worker died");
	SLIST_INSERT_HEAD(&v->lost, l, link);
}
