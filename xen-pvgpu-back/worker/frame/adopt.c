/* SPDX-License-Identifier: MIT */
/*
 * pvgpud's death ends no session: the worker waits for its successor on the adoption socket.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "xen-pvgpu-back/worker/gpu/gpu.h"

static int watch(struct worker *w, int op, int fd, uint32_t source)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLRDHUP, .data.u32 = source};

	return epoll_ctl(w->epoll, op, fd, &e);
}

void adopt_lost(struct worker *w)
{
	lease_down(w);
	gpu_gate_lost(w);
	/* The next pvgpud knows whether the session is to end, and says so. */
	w->drain_ns = 0;
	watch(w, EPOLL_CTL_DEL, PVGPU_SUP_CONTROL_FD, FROM_CONTROL);
	if (watch(w, EPOLL_CTL_ADD, PVGPU_SUP_ADOPT_FD, FROM_ADOPT) < 0)
		worker_end(w, PVGPU_END_FAILED, "cannot wait for a new pvgpud: %s",
			   strerror(errno));
}

void adopt_accept(struct worker *w)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(PVGPU_SUP_ADOPT_FD, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != w->daemon_uid) {
		worker_log(w, "refused an adoption by uid %u: pvgpud's is %u", peer.uid,
			   w->daemon_uid);
		close(fd);
		return;
	}
	watch(w, EPOLL_CTL_DEL, PVGPU_SUP_ADOPT_FD, FROM_ADOPT);
	if (dup3(fd, PVGPU_SUP_CONTROL_FD, O_CLOEXEC) < 0 ||
	    watch(w, EPOLL_CTL_ADD, PVGPU_SUP_CONTROL_FD, FROM_CONTROL) < 0)
		worker_end(w, PVGPU_END_FAILED, "cannot take pvgpud's new socket: %s",
			   strerror(errno));
	close(fd);
	if (has_ended(w))
		return;
	/* It may be gone already, of several in a row. */
	if (lease_up(w) < 0)
		adopt_lost(w);
}
