/* SPDX-License-Identifier: MIT */
/*
 * From a connection on a vGPU's socket to a session. A guest has a moment to send its request, then
 * waits for a spare worker if there is none. Connections that are no session yet are bounded; what
 * is wrong with one is told on it and touches nothing else.
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/link/msg.h"

#define TRIES 3u /* workers that a guest is given, one after the other, if they die */

/* What is unread when a socket is closed becomes the peer's error and hides the answer: read it
 * before. */
static void answer_error(int fd, int error, const char *reason)
{
	char unread[sizeof(struct pvgpu_local_open)];
	struct msg_in in;
	struct pvgpu_local_opened m = {
		.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION, .error = error};

	for (int i = 0; i < 4 && msg_recv(fd, unread, sizeof(unread), 0, &in) > 0; i++)
		;
	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	msg_send(fd, &m, sizeof(m), NULL, 0);
}

static void drop(struct opening *o)
{
	struct daemon *d = o->vgpu->d;

	ev_io_stop(d->loop, &o->io);
	ev_timer_stop(d->loop, &o->limit);
	if (o->w)
		o->w->opening = NULL;
	session_close_parts(&o->parts);
	close(o->fd);
	if (o->pidfd >= 0)
		close(o->pidfd);
	TAILQ_REMOVE(&d->openings, o, link);
	o->vgpu->openings--;
	free(o);
}

static void refuse(struct opening *o, int error, const char *reason)
{
	log_info("vgpu %s: refused pid %d uid %u: %s", o->vgpu->cfg.name, (int)o->pid, o->uid,
		 reason);
	answer_error(o->fd, error, reason);
	drop(o);
}

void open_refuse_all(struct daemon *d, struct vgpu *v, int error, const char *reason)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&d->openings); o; o = next) {
		next = TAILQ_NEXT(o, link);
		if (!v || o->vgpu == v)
			refuse(o, error, reason);
	}
}

unsigned int open_waiting(const struct daemon *d)
{
	const struct opening *o;
	unsigned int n = 0;

	TAILQ_FOREACH(o, &d->openings, link)
	n += o->asked && !o->w;
	return n;
}

void open_sealed(struct worker *w)
{
	if (!w->opening)
		return; /* the guest has gone meanwhile */
	session_give(w->opening);
	drop(w->opening);
}

void open_failed(struct worker *w)
{
	struct opening *o = w->opening;

	if (!o)
		return;
	w->opening = NULL;
	o->w = NULL;
	session_close_parts(&o->parts);
	if (w->end >= 0 || ++o->tries == TRIES)
		refuse(o, ENODEV, w->reason);
}

/* May this vGPU have one more session? NULL, or why not. */
static const char *full(const struct vgpu *v, int *error)
{
	const struct daemon *d = v->d;

	*error = ESHUTDOWN;
	if (d->stopping)
		return "pvgpud is stopping";
	if (v->drain)
		return "the vGPU is draining";
	*error = EUSERS;
	if (v->sessions >= v->cfg.max_sessions)
		return "the vGPU's max_sessions is reached";
	if (d->session_n >= d->cfg.max_sessions)
		return "pvgpud's max_sessions is reached";
	return NULL;
}

void open_serve(struct daemon *d)
{
	struct opening *o, *next;

	for (o = TAILQ_FIRST(&d->openings); o; o = next) {
		struct worker *w;
		const char *why;
		int error;

		next = TAILQ_NEXT(o, link);
		if (!o->asked || o->w)
			continue;
		why = full(o->vgpu, &error);
		if (why) {
			refuse(o, error, why);
			continue;
		}
		w = sup_take_spare(d);
		if (!w)
			break;
		error = session_start(o, w);
		if (error == -EOWNERDEAD) {
			/* The worker's fault: the guest gets the next one. */
			sup_kill(w, "cannot be given a session");
			next = o;
			continue;
		}
		if (error)
			refuse(o, -error, "the backend is out of resources");
	}
	sup_keep_spares(d);
}

static void on_request(struct opening *o)
{
	struct daemon *d = o->vgpu->d;
	char reason[CHECK_REASON];
	const char *why;
	struct msg_in in;
	int error, r = msg_recv(o->fd, &o->req, sizeof(o->req), 0, &in);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		drop(o);
		return;
	}
	if (o->asked) {
		refuse(o, EPROTO, "more than one request");
		return;
	}
	error = in.fds_lost ? -EPROTO : check_open(&o->req, in.len, reason);
	if (error) {
		refuse(o, -error, in.fds_lost ? "an open request brings no fds" : reason);
		return;
	}
	why = full(o->vgpu, &error);
	if (why) {
		refuse(o, error, why);
		return;
	}
	if (d->failures && ev_is_active(&d->retry)) {
		refuse(o, ENODEV, d->failure[0] ? d->failure : "workers do not start");
		return;
	}
	o->asked = true;
	ev_timer_stop(d->loop, &o->limit);
	ev_timer_set(&o->limit, d->cfg.start_ms / 1e3, 0.);
	ev_timer_start(d->loop, &o->limit);
	open_serve(d);
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	on_request(io->data);
}

static void on_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	struct opening *o = t->data;

	refuse(o, ETIMEDOUT, o->asked ? "no worker became ready in time" : "no request in time");
}

void open_accept(struct vgpu *v, int fd)
{
	struct daemon *d = v->d;
	struct msg_peer peer;
	struct opening *o;

	/* Of each vGPU: the guests of one do not shut out another's. */
	if (v->openings >= d->cfg.max_opening) {
		answer_error(fd, EAGAIN, "too many connections are opening; try again");
		close(fd);
		return;
	}
	if (msg_peer(fd, &peer) < 0 || (peer.pid > 0 && peer.pidfd < 0)) {
		/* Its process has gone already. */
		close(fd);
		return;
	}
	o = calloc(1, sizeof(*o));
	if (!o) {
		answer_error(fd, ENOMEM, "the backend is out of memory");
		close(fd);
		if (peer.pidfd >= 0)
			close(peer.pidfd);
		return;
	}
	o->vgpu = v;
	o->fd = fd;
	o->pid = peer.pid;
	o->uid = peer.uid;
	o->pidfd = peer.pidfd;
	o->parts = (struct parts){-1, -1, -1, -1, -1};
	ev_io_init(&o->io, on_readable, fd, EV_READ);
	o->io.data = o;
	ev_io_start(d->loop, &o->io);
	ev_timer_init(&o->limit, on_limit, d->cfg.open_ms / 1e3, 0.);
	o->limit.data = o;
	ev_timer_start(d->loop, &o->limit);
	TAILQ_INSERT_TAIL(&d->openings, o, link);
	v->openings++;
}
