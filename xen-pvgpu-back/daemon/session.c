/* SPDX-License-Identifier: MIT */
/*
 * A session's ring, doorbells and socket: made here, given to the worker and, when that has taken
 * them, to the guest, and closed here then, so that their life is that of the two processes.
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ring/ring.h"
#include "xen-pvgpu-back/link/msg.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

#define GIB (1ull << 30)

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

void session_close_parts(struct parts *p)
{
	const int fds[] = {p->ring, p->to_worker, p->to_guest, p->guest, p->worker};

	for (unsigned int i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	*p = (struct parts){-1, -1, -1, -1, -1};
}

/* 0 or -errno. */
static int make_parts(struct parts *p, const struct pvgpu_local_open *req)
{
	int pair[2] = {-1, -1}, err = 0;

	p->ring = make_ring(req->cmd_size, req->rep_size);
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
		session_close_parts(p);
	return -err;
}

/* The device window: room for twice the quota, so that a sub-allocator finds gaps for all sizes. */
static uint64_t window_size(const struct vgpu *v)
{
	uint64_t want = v->cfg.window ? v->cfg.window : 2 * vgpu_quota(v);

	return (want + GIB - 1) / GIB * GIB;
}

static int tell_worker(const struct opening *o, struct worker *w, const struct parts *p)
{
	struct vgpu *v = o->vgpu;
	const int fds[PVGPU_SUP_FDS] = {p->ring, p->to_worker, p->to_guest, p->worker, o->pidfd};
	struct pvgpu_sup_assign m = {
		.head = {.kind = PVGPU_SUP_ASSIGN, .session = w->id},
		.cmd_size = o->req.cmd_size,
		.rep_size = o->req.rep_size,
		.quota = vgpu_quota(v),
		.arena_limit = v->cfg.arena_limit,
		.window_size = window_size(v),
		.guest_pid = (uint64_t)o->pid,
	};

	memcpy(m.head.vgpu, v->cfg.name, sizeof(m.head.vgpu));
	return msg_send(w->control, &m, sizeof(m), fds,
			o->pidfd >= 0 ? PVGPU_SUP_FDS : PVGPU_SUP_FDS - 1);
}

void session_give(const struct opening *o)
{
	const struct parts *p = &o->parts;
	const int fds[PVGPU_LOCAL_FDS] = {p->ring, p->to_worker, p->to_guest, p->guest};
	struct pvgpu_local_opened m = {
		.magic = PVGPU_LOCAL_MAGIC,
		.version = PVGPU_LOCAL_VERSION,
		.cmd_size = o->req.cmd_size,
		.rep_size = o->req.rep_size,
		.session = o->w->id,
		.arena_limit = o->vgpu->cfg.arena_limit,
	};

	/* A guest that has gone by now hangs up the session socket, and the worker sees to it. */
	msg_send(o->fd, &m, sizeof(m), fds, PVGPU_LOCAL_FDS);
}

/* From now on the name says whose session it is. */
static int rename_socket(struct worker *w, const struct vgpu *v)
{
	char name[sizeof(w->sock)];
	int dir = w->d->workers_dir;

	snprintf(name, sizeof(name), "%u.%s.sock", w->id, v->cfg.name);
	if (renameat(dir, w->sock, dir, name) < 0)
		return -errno;
	strcpy(w->sock, name);
	return 0;
}

int session_start(struct opening *o, struct worker *w)
{
	struct parts *p = &o->parts;
	int pidfd, err = make_parts(p, &o->req);

	if (err) {
		log_error("vgpu %s: no session for pid %d: %s", o->vgpu->cfg.name, (int)o->pid,
			  strerror(-err));
		return err;
	}
	if (rename_socket(w, o->vgpu) < 0 || tell_worker(o, w, p) < 0) {
		session_close_parts(p);
		return -EOWNERDEAD;
	}
	/* The worker's end is the worker's alone, or its death would be no hang-up. */
	close(p->worker);
	p->worker = -1;
	o->w = w;
	w->opening = o;
	w->guest_pid = o->pid;
	sup_assigned(w, o->vgpu);
	pidfd = o->pidfd < 0 ? -1 : fcntl(o->pidfd, F_DUPFD_CLOEXEC, 3);
	if (pidfd >= 0)
		sup_watch_guest(w, pidfd);
	sup_meminfo(w);
	log_info("%s: pid %d uid %u (%s), worker %d", sup_name(w), (int)o->pid, o->uid, o->req.comm,
		 (int)w->pid);
	return 0;
}
