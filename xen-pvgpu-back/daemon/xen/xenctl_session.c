/* SPDX-License-Identifier: MIT */
/* Sessions of a Xen guest, from SESSION_OPEN to the worker's death, and across restarts of pvgpud.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define PAGE    4096u
#define EXIT_MS 2000u /* for a worker to exit, in addition to libcuda's time to stop */

static struct xen_session *of(struct opening *o)
{
	return (struct xen_session *)o; /* its first member */
}

static struct xen_session *session_new(struct xenctl *c, uint32_t number,
				       enum xen_session_state state)
{
	struct xen_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->c = c;
	s->number = number;
	s->state = state;
	s->ring_fd = s->channel_fd = -1;
	TAILQ_INIT(&s->chunks);
	TAILQ_INSERT_TAIL(&c->sessions, s, link);
	c->session_n++;
	return s;
}

static void close_files(struct xen_session *s)
{
	if (s->ring_fd >= 0)
		close(s->ring_fd);
	if (s->channel_fd >= 0)
		close(s->channel_fd);
	s->ring_fd = s->channel_fd = -1;
}

void xenctl_session_free(struct xen_session *s)
{
	xenctl_map_cancel(s);
	if (s->w)
		s->w->xs = NULL;
	close_files(s);
	free(s->refs);
	xenctl_chunks_free(s);
	TAILQ_REMOVE(&s->c->sessions, s, link);
	s->c->session_n--;
	free(s);
}

static void answer_opened(struct xen_session *s, struct xen_request *req)
{
	xenctl_answer(s->c, req, 0, "%s", "");
	req->answer.u.opened.number = s->w->id;
	req->answer.u.opened.arena_limit = s->c->v->cfg.policy.arena_limit;
}

/* ---- opening (struct opening_ops) ---- */

static int make(struct opening *o, struct pvgpu_sup_assign *m, int fds[MSG_FDS_MAX],
		char reason[CHECK_REASON])
{
	struct xen_session *s = of(o);
	struct xenctl *c = s->c;
	int err = xenctl_room(c, s->pages, true, reason);

	if (!err)
		err = xenctl_room_channel(c, reason);
	if (err)
		return err;
	err = c->ops->grants(c->x->domid, s->refs, s->pages, &s->ring_fd, &m->ring_offset);
	if (err) {
		snprintf(reason, CHECK_REASON, "cannot map %u grants: %s", s->pages,
			 strerror(-err));
		return err;
	}
	s->channel_fd = c->ops->channel(c->x->domid, s->port, &m->port);
	if (s->channel_fd < 0) {
		err = s->channel_fd;
		snprintf(reason, CHECK_REASON, "cannot bind event channel %u: %s", s->port,
			 strerror(-err));
		close_files(s);
		return err;
	}
	m->link = PVGPU_SUP_LINK_XEN;
	m->guest_pid = s->number;
	m->flags = c->d->xen_zero_copy ? 0 : PVGPU_SUP_NO_ZERO_COPY;
	fds[PVGPU_SUP_XEN_FD_RING] = s->ring_fd;
	fds[PVGPU_SUP_XEN_FD_EVTCHN] = s->channel_fd;
	return PVGPU_SUP_XEN_FDS;
}

static void unmake(struct opening *o)
{
	struct xen_session *s = of(o);

	close_files(s);
	if (s->w)
		s->w->xs = NULL;
	s->w = NULL;
}

/* Only the worker keeps the fds: its death unmaps the ring and closes the event channel. */
static void assigned(struct opening *o)
{
	struct xen_session *s = of(o);

	close_files(s);
	s->w = o->w;
	s->w->xs = s;
	xenctl_count(s->w, s->pages);
	log_info("%s: session %u of domain %u (%s), worker %d", worker_name(s->w), s->number,
		 s->c->x->domid, s->comm, (int)s->w->pid);
	xenbus_changed(s->c->x);
}

static void given(struct opening *o)
{
	struct xen_session *s = of(o);
	struct xen_request *req =
		xenctl_request(s->c, XEN_REQ_RUNNING, s->number, PVGPU_CTL_SESSION_OPEN);

	s->state = XEN_OPEN;
	if (req)
		answer_opened(s, req);
}

static void refused(struct opening *o, int error, const char *reason)
{
	struct xen_session *s = of(o);
	struct xen_request *req =
		xenctl_request(s->c, XEN_REQ_RUNNING, s->number, PVGPU_CTL_SESSION_OPEN);

	if (log_room(&o->vgpu->noise, now_ms(), o->vgpu->cfg.name))
		log_info("vgpu %s: refused session %u (%s): %s", o->vgpu->cfg.name, s->number,
			 s->comm, reason);
	if (o->w) {
		/* The worker may have mapped the ring: the guest is answered when it has died. */
		s->state = XEN_ENDING;
		s->refused = error;
		snprintf(s->why, sizeof(s->why), "%.103s", reason);
		worker_kill(o->w, "its guest was refused the session: %s", reason);
		return;
	}
	if (req)
		xenctl_answer(s->c, req, error, "%s", reason);
}

static void free_opening(struct opening *o)
{
	struct xen_session *s = of(o);

	if (s->state == XEN_OPENING) {
		xenctl_session_free(s);
		return;
	}
	free(s->refs);
	s->refs = NULL;
}

static const struct opening_ops xen_opening = {.make = make,
					       .unmake = unmake,
					       .assigned = assigned,
					       .given = given,
					       .refused = refused,
					       .free = free_opening};

/* ---- requests ---- */

/* Answers a request for a known session number; false: the number is new. */
static bool open_again(struct xenctl *c, struct xen_request *req)
{
	struct xen_session *s = xenctl_session(c, req->m.session);

	if (!s)
		return false;
	if (s->state == XEN_OPEN)
		answer_opened(s, req);
	else if (s->state == XEN_ENDED)
		xenctl_answer(c, req, ENODEV, "%s", s->why);
	else
		xenctl_answer(c, req, EBUSY, "session %u is opening or closing", s->number);
	return true;
}

static int check_open_request(struct xenctl *c, const struct pvgpu_ctl_open *m, uint32_t *pages,
			      char reason[CHECK_REASON])
{
	if (!pvgpu_ring_size_ok(m->cmd_size) || !pvgpu_ring_size_ok(m->rep_size)) {
		snprintf(reason, CHECK_REASON, "ring streams of %u and %u bytes: not allowed",
			 m->cmd_size, m->rep_size);
		return -EPROTO;
	}
	*pages = (uint32_t)(pvgpu_ring_bytes(m->cmd_size, m->rep_size) / PAGE);
	if (*pages > XEN_MAP_MAX) {
		snprintf(reason, CHECK_REASON, "a ring of %u pages: at most %u", *pages,
			 XEN_MAP_MAX);
		return -EINVAL;
	}
	/* Ended sessions count until the guest has been told. */
	if (c->session_n >= c->v->cfg.policy.max_sessions) {
		snprintf(reason, CHECK_REASON, "the vGPU's max_sessions is reached");
		return -EUSERS;
	}
	return xenctl_room(c, *pages, true, reason);
}

static void set_comm(struct xen_session *s, const char comm[16])
{
	memcpy(s->comm, comm, sizeof(s->comm) - 1);
	for (char *p = s->comm; *p; p++)
		if ((unsigned char)*p < 0x20 || (unsigned char)*p >= 0x7f)
			*p = '?';
}

/* The ring's grants, for the caller to free, or NULL with an errno and a reason. */
static uint32_t *ring_refs(struct xenctl *c, uint32_t dir, uint32_t pages, int *error,
			   char reason[CHECK_REASON])
{
	const size_t bytes = pages * sizeof(uint32_t);
	struct xen_refs once = {0};
	struct pvgpu_dir_page d;
	uint32_t *refs;

	*error = xenctl_directory(c, dir, pages, 0, &d, reason);
	if (!*error && xenctl_refs_begin(&once, pages) == 0)
		*error = xenctl_refs_add(&once, d.ref, pages, reason);
	refs = *error || !once.slots ? NULL : malloc(bytes);
	xenctl_refs_end(&once);
	if (refs) {
		memcpy(refs, d.ref, bytes);
	} else if (!*error) {
		*error = ENOMEM;
		snprintf(reason, CHECK_REASON, "the backend is out of memory");
	}
	return refs;
}

bool xenctl_open(struct xenctl *c, struct xen_request *req)
{
	const struct pvgpu_ctl_open *m = &req->m.u.open;
	char reason[CHECK_REASON];
	struct xen_session *s;
	uint32_t pages, *refs;
	int err;

	if (open_again(c, req))
		return false;
	err = -check_open_request(c, m, &pages, reason);
	if (err) {
		open_count_refusal(c->v, err, reason);
		xenctl_answer(c, req, err, "%s", reason);
		return false;
	}
	refs = ring_refs(c, m->dir, pages, &err, reason);
	s = refs ? session_new(c, req->m.session, XEN_OPENING) : NULL;
	if (!s) {
		if (!err)
			snprintf(reason, sizeof(reason), "the backend is out of memory");
		err = err ? err : ENOMEM;
		open_count_refusal(c->v, err, reason);
		xenctl_answer(c, req, err, "%s", reason);
		free(refs);
		return true;
	}
	s->refs = refs;
	s->pages = pages;
	s->port = m->port;
	set_comm(s, m->comm);
	open_init(&s->o, &xen_opening, c->v);
	s->o.cmd_size = m->cmd_size;
	s->o.rep_size = m->rep_size;
	s->o.number = s->number;
	s->o.user = m->user;
	err = open_ask(&s->o, reason);
	if (err)
		open_refuse(&s->o, -err, reason);
	return true;
}

void xenctl_tell_close(struct worker *w, const char *otherwise)
{
	/* A worker that has reported its end already has a deadline. */
	if (w->state != CHECK_SERVING)
		return;
	held_set_closed(w->held);
	supervise_say(w, PVGPU_SUP_CLOSE, 0, 0);
	worker_deadline(w, w->d->cfg.worker_ms + EXIT_MS, otherwise);
}

void xenctl_close(struct xenctl *c, struct xen_request *req)
{
	struct xen_session *s = xenctl_session(c, req->m.session);

	if (s && s->state == XEN_OPENING) {
		open_refuse(&s->o, ESHUTDOWN, "closed by the guest");
		s = xenctl_session(c, req->m.session);
	} else if (s && s->state == XEN_OPEN) {
		s->state = XEN_ENDING;
		xenctl_map_cancel(s);
		xenctl_tell_close(s->w, "did not end after its guest closed the session");
	} else if (s && s->state == XEN_ENDED) {
		xenctl_session_free(s);
		s = NULL;
	}
	/* Otherwise the answer follows when its worker has gone. */
	if (!s)
		xenctl_answer(c, req, 0, "%s", "");
}

/* ---- ends ---- */

/* Nothing of the session is mapped any more: answers all requests that waited for this. */
static void answer_all(struct xen_session *s)
{
	struct xenctl *c = s->c;
	struct xen_request *req;

	while ((req = xenctl_request(c, XEN_REQ_RUNNING, s->number, 0))) {
		if (req->m.op == PVGPU_CTL_SESSION_OPEN)
			xenctl_answer(c, req, s->refused ? s->refused : ENODEV, "%s", s->why);
		else if (req->m.op == PVGPU_CTL_CHUNK_ADD)
			xenctl_answer(c, req, EPIPE, "the session has ended");
		else
			xenctl_answer(c, req, 0, "%s", "");
	}
}

static void session_over(struct xen_session *s, const struct worker *w)
{
	struct xenctl *c = s->c;

	s->w->xs = NULL;
	s->w = NULL;
	if (!s->refused)
		snprintf(s->why, sizeof(s->why), "%.103s", w->reason);
	answer_all(s);
	if (s->state == XEN_ENDING) {
		xenctl_session_free(s);
	} else {
		s->state = XEN_ENDED;
		s->end = w->end >= 0 ? (enum pvgpu_end)w->end : PVGPU_END_FAILED;
		xenctl_chunks_free(s);
	}
	xenctl_again(c);
}

void xenctl_ended(struct worker *w)
{
	struct vgpu *v = w->vgpu;

	if (w->xs)
		xenctl_map_cancel(w->xs);
	xenctl_uncount(w, w->grants);
	if (w->xs)
		session_over(w->xs, w);
	else if (v->xen_ending)
		xenctl_check_idle(v->xen);
	else if (w->adopted && v->xen && !v->xen->ctl)
		xenctl_lost(v, w->number);
	if (v->xen)
		xenbus_changed(v->xen);
}

bool xenctl_is_device(const struct daemon *d, int fd)
{
	return d->xen_ops->is_device(fd);
}

void xenctl_refuse_all(struct xenctl *c)
{
	struct xen_session *s, *next;

	for (s = TAILQ_FIRST(&c->sessions); s; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state == XEN_OPENING)
			open_refuse(&s->o, ESHUTDOWN, "the vGPU is closing");
	}
}

void xenctl_forget_all(struct xenctl *c)
{
	struct xen_session *s;

	while ((s = TAILQ_FIRST(&c->sessions))) {
		if (s->state == XEN_OPENING)
			open_drop(&s->o);
		else
			xenctl_session_free(s);
	}
}

/* ---- restart of pvgpud ---- */

void xenctl_found(struct worker *w, uint32_t ring_pages)
{
	struct held_chunk c;

	xenctl_count(w, ring_pages);
	for (unsigned int i = held_next(w->held, 0); i < HELD_CHUNKS; i = held_next(w->held, i + 1))
		if (held_chunk(w->held, i, &c))
			xenctl_count(w, c.pages);
}

void xenctl_adopted(struct worker *w)
{
	if (!w->xs)
		return;
	w->xs->state = XEN_OPEN;
	xenctl_again(w->xs->c);
}

static void adopt_one(struct xenctl *c, struct worker *w)
{
	struct xen_session *s = NULL;

	if (!xenctl_session(c, w->number))
		s = session_new(c, w->number, w->sealed ? XEN_OPEN : XEN_ADOPTING);
	if (!s) {
		worker_kill(w, "session %u of the guest cannot be adopted", w->number);
		return;
	}
	s->w = w;
	w->xs = s;
	xenctl_chunks_adopt(s);
}

void xenctl_adopt_all(struct xenctl *c)
{
	struct xen_session *s;
	struct xen_lost *l;
	struct worker *w;

	TAILQ_FOREACH(w, &c->d->workers, link)
	{
		if (w->vgpu == c->v)
			adopt_one(c, w);
	}
	SLIST_FOREACH(l, &c->v->lost, link)
	{
		if (xenctl_session(c, l->number))
			continue;
		s = session_new(c, l->number, XEN_ENDED);
		if (!s)
			continue;
		s->end = l->end;
		memcpy(s->why, l->reason, sizeof(s->why));
	}
}
