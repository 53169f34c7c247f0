/* SPDX-License-Identifier: MIT */
/*
 * The local link: from a connection on a vGPU's socket to a session. A guest has open_timeout_ms to
 * send its request. The number of connections without a session is bounded. An error is answered on
 * its connection and affects no other.
 *
 * Ring, doorbells and session socket are made here and given to the worker, then to the guest.
 * Afterwards they are closed here, so that they live only as long as the two processes.
 */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/ring.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* The files of a session; -1: none, or closed. guest and worker: ends of the session socket. */
struct parts {
	int ring, to_worker, to_guest, guest, worker;
};
static const struct parts none = {-1, -1, -1, -1, -1};

struct open_local {
	struct opening o;
	int fd, pidfd;
	pid_t pid;
	uid_t uid;
	struct parts parts;
	ev_io io;
	struct pvgpu_local_open req;
};

static struct open_local *of(struct opening *o)
{
	return (struct open_local *)o; /* its first member */
}

/* A close with unread data makes the peer see ECONNRESET in place of the answer, so the data is
 * read first. */
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

static int make_ring(uint32_t cmd_size, uint32_t rep_size)
{
	const unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("pvgpu-ring", flags | MFD_NOEXEC_SEAL);
	struct pvgpu_ring_page page;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("pvgpu-ring", flags);
	if (fd < 0)
		return -1;
	memset(&page, 0, sizeof(page));
	pvgpu_ring_format(&page, cmd_size, rep_size);
	if (ftruncate(fd, (off_t)pvgpu_ring_bytes(cmd_size, rep_size)) < 0 ||
	    pwrite(fd, &page, sizeof(page), 0) != (ssize_t)sizeof(page) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static void close_parts(struct parts *p)
{
	const int fds[] = {p->ring, p->to_worker, p->to_guest, p->guest, p->worker};

	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*p = none;
}

/* 0 or -errno. */
static int make_parts(struct parts *p, const struct opening *o)
{
	int pair[2] = {-1, -1}, err = 0;

	p->ring = make_ring(o->cmd_size, o->rep_size);
	if (p->ring < 0)
		err = errno;
	p->to_worker = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	p->to_guest = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (!err && (p->to_worker < 0 || p->to_guest < 0))
		err = errno;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 && !err)
		err = errno;
	p->guest = pair[0];
	p->worker = pair[1];
	if (err)
		close_parts(p);
	return -err;
}

static int make(struct opening *o, struct pvgpu_sup_assign *m, int fds[MSG_FDS_MAX],
		char reason[CHECK_REASON])
{
	struct open_local *l = of(o);
	struct parts *p = &l->parts;
	int err = make_parts(p, o);

	if (err) {
		log_error("vgpu %s: cannot make a session for pid %d: %s", o->vgpu->cfg.name,
			  (int)l->pid, strerror(-err));
		snprintf(reason, CHECK_REASON, "the backend is out of resources");
		return err;
	}
	m->link = PVGPU_SUP_LINK_LOCAL;
	m->guest_pid = (uint64_t)l->pid;
	fds[PVGPU_SUP_FD_RING] = p->ring;
	fds[PVGPU_SUP_FD_TO_WORKER] = p->to_worker;
	fds[PVGPU_SUP_FD_TO_GUEST] = p->to_guest;
	fds[PVGPU_SUP_FD_SESSION] = p->worker;
	fds[PVGPU_SUP_FD_GUEST_PIDFD] = l->pidfd;
	return l->pidfd >= 0 ? PVGPU_SUP_FDS : PVGPU_SUP_FDS - 1;
}

static void unmake(struct opening *o)
{
	close_parts(&of(o)->parts);
}

static void assigned(struct opening *o)
{
	struct open_local *l = of(o);
	struct worker *w = o->w;
	int pidfd = l->pidfd < 0 ? -1 : fcntl(l->pidfd, F_DUPFD_CLOEXEC, 3);

	/* A copy here would keep the socket from hanging up when the worker dies. */
	close(l->parts.worker);
	l->parts.worker = -1;
	w->guest_pid = l->pid;
	if (pidfd >= 0)
		supervise_watch_guest(w, pidfd);
	else
		pulse_start(w);
	log_info("%s: pid %d uid %u (%s), worker %d", worker_name(w), (int)l->pid, l->uid,
		 l->req.comm, (int)w->pid);
}

static void given(struct opening *o)
{
	const struct parts *p = &of(o)->parts;
	const int fds[PVGPU_LOCAL_FDS] = {p->ring, p->to_worker, p->to_guest, p->guest};
	struct pvgpu_local_opened m = {
		.magic = PVGPU_LOCAL_MAGIC,
		.version = PVGPU_LOCAL_VERSION,
		.cmd_size = o->cmd_size,
		.rep_size = o->rep_size,
		.session = o->w->id,
		.arena_limit = o->vgpu->cfg.policy.arena_limit,
	};

	/* The error is ignored: when the guest has gone, the worker sees the session socket hang
	 * up. */
	msg_send(of(o)->fd, &m, sizeof(m), fds, PVGPU_LOCAL_FDS);
}

static void refused(struct opening *o, int error, const char *reason)
{
	struct open_local *l = of(o);

	if (log_room(&o->vgpu->noise, now_ms(), o->vgpu->cfg.name))
		log_info("vgpu %s: refused pid %d uid %u: %s", o->vgpu->cfg.name, (int)l->pid,
			 l->uid, reason);
	answer_error(l->fd, error, reason);
}

static void free_local(struct opening *o)
{
	struct open_local *l = of(o);

	ev_io_stop(o->vgpu->d->loop, &l->io);
	close_parts(&l->parts);
	close(l->fd);
	if (l->pidfd >= 0)
		close(l->pidfd);
	free(l);
}

static const struct opening_ops local_ops = {.make = make,
					     .unmake = unmake,
					     .assigned = assigned,
					     .given = given,
					     .refused = refused,
					     .free = free_local};

/* A malformed request counts as a fault of the vGPU; one of another version does not. */
static void refuse(struct open_local *l, int error, const char *reason)
{
	struct vgpu *v = l->o.vgpu;

	const uint32_t user = l->o.user;

	open_refuse(&l->o, error, reason);
	if (error == EPROTO)
		faults_breach_of(v, user, reason);
}

/* A process of the vGPU asks for its figures, and gets no session. */
static void answer_figures(const struct open_local *l)
{
	const struct vgpu *v = l->o.vgpu;
	struct pvgpu_local_figures m = {.magic = PVGPU_LOCAL_MAGIC,
					.version = PVGPU_LOCAL_ASK,
					.asker = l->pid,
					.memory_limit = v->ledger.quota,
					.memory_used = ledger_used(&v->ledger)};
	const struct worker *w;
	struct tenant_stats s;

	share_stats(v, &s);
	m.gpu_time = s.gpu_ns / 1000;
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu != v || w->state != CHECK_SERVING || w->guest_pid <= 0)
			continue;
		if (m.sessions == PVGPU_LOCAL_SESSIONS)
			break;
		m.session[m.sessions++] = (struct pvgpu_local_session){
			.pid = w->guest_pid,
			.memory_used = w->leased + w->parking.bytes + w->account.beyond};
	}
	msg_send(l->fd, &m, sizeof(m), NULL, 0);
}

static void answer_gpu(const struct open_local *l)
{
	struct pvgpu_local_gpu m = {.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_ASK_GPU};
	struct pvgpu_gpu_card gpu;

	static_assert(sizeof(m.text) >= PVGPU_KEY_TEXT, "room for the key");
	facts_of(l->o.vgpu, &gpu);
	pvgpu_gpu_card_format(&gpu, m.text, sizeof(m.text), NULL);
	msg_send(l->fd, &m, sizeof(m), NULL, 0);
}

/* A process asks for something in place of a session: false if not. */
static bool answer(const struct open_local *l, size_t len)
{
	if (check_is_ask(&l->req, len, PVGPU_LOCAL_ASK))
		answer_figures(l);
	else if (check_is_ask(&l->req, len, PVGPU_LOCAL_ASK_GPU))
		answer_gpu(l);
	else
		return false;
	return true;
}

static void on_readable(struct ev_loop *loop, ev_io *io, int events)
{
	struct open_local *l = io->data;
	char reason[CHECK_REASON];
	struct msg_in in;
	int error, r = msg_recv(l->fd, &l->req, sizeof(l->req), 0, &in);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		open_drop(&l->o);
		return;
	}
	if (l->o.asked) {
		refuse(l, EPROTO, "more than one request");
		return;
	}
	if (!in.fds_lost && answer(l, in.len)) {
		open_drop(&l->o);
		return;
	}
	error = in.fds_lost ? -EPROTO : check_open(&l->req, in.len, reason);
	if (error) {
		refuse(l, -error, in.fds_lost ? "open request with file descriptors" : reason);
		return;
	}
	l->o.cmd_size = l->req.cmd_size;
	l->o.rep_size = l->req.rep_size;
	error = open_ask(&l->o, reason);
	if (error)
		open_refuse(&l->o, -error, reason);
}

static void refuse_at_once(struct vgpu *v, int fd, int error, const char *reason)
{
	open_count_refusal(v, error, reason);
	if (log_room(&v->noise, now_ms(), v->cfg.name))
		log_info("vgpu %s: refused a connection: %s", v->cfg.name, reason);
	answer_error(fd, error, reason);
	close(fd);
}

void open_accept(struct vgpu *v, int fd)
{
	struct daemon *d = v->d;
	struct msg_peer peer;
	struct open_local *l;

	if (msg_peer(fd, &peer) < 0 || (peer.pid > 0 && peer.pidfd < 0)) {
		/* The process has already gone. */
		close(fd);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		refuse_at_once(v, fd, ENOMEM, "the backend is out of memory");
		if (peer.pidfd >= 0)
			close(peer.pidfd);
		return;
	}
	l->fd = fd;
	l->pid = peer.pid;
	l->uid = peer.uid;
	l->pidfd = peer.pidfd;
	l->parts = none;
	open_init(&l->o, &local_ops, v);
	ev_io_init(&l->io, on_readable, fd, EV_READ);
	/* The operator's own programs are not told apart. */
	if (peer.uid && peer.uid != geteuid())
		l->o.user = QUARANTINE_USER(peer.uid);
	l->io.data = l;
	ev_io_start(d->loop, &l->io);
}
