/* SPDX-License-Identifier: MIT */
/*
 * The local link's end in the worker: the ring in a memfd, doorbells in eventfds. Whatever the
 * session needs to have open is received here, before the seal.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int check_ring(const struct pvgpu_sup_assign *m, int fd, char *reason, size_t cap)
{
	const size_t bytes = pvgpu_ring_bytes(m->cmd_size, m->rep_size);
	const int seals = fcntl(fd, F_GET_SEALS);
	struct stat st;

	if (seals < 0 || (seals & RING_SEALS) != RING_SEALS) {
		snprintf(reason, cap, "the ring's memory is not a sealed memfd (seals %d)", seals);
		return -1;
	}
	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size != bytes) {
		snprintf(reason, cap, "the ring's memory is not of %zu bytes", bytes);
		return -1;
	}
	return 0;
}

static int local_take(struct worker *w, const struct pvgpu_sup_assign *m, const int *fds,
		      unsigned int n, char *reason, size_t cap)
{
	const int ring = fds[PVGPU_SUP_FD_RING];
	const bool bad = check_ring(m, ring, reason, cap) < 0 ||
			 link_map_ring(w, m, ring, 0, reason, cap) < 0;

	close(ring);
	w->to_worker = fds[PVGPU_SUP_FD_TO_WORKER];
	w->to_guest = fds[PVGPU_SUP_FD_TO_GUEST];
	w->session = fds[PVGPU_SUP_FD_SESSION];
	w->guest_pidfd = n > PVGPU_SUP_FD_GUEST_PIDFD ? fds[PVGPU_SUP_FD_GUEST_PIDFD] : -1;
	if (bad)
		return -1;
	/* The doorbell is edge triggered: its count is never read. */
	if (link_watch_guest(w, w->to_worker, EPOLLIN | EPOLLET) < 0 ||
	    link_watch(w, w->session, EPOLLIN | EPOLLRDHUP, FROM_SESSION) < 0 ||
	    (w->guest_pidfd >= 0 && link_watch(w, w->guest_pidfd, EPOLLIN, FROM_PIDFD) < 0)) {
		snprintf(reason, cap, "cannot set up epoll: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void local_ring_guest(const struct worker *w)
{
	uint64_t one = 1;

	/* A count at its maximum is the guest's own doing, and readable all the same. */
	if (write(w->to_guest, &one, sizeof(one)) < 0) {
		/* Nothing to do. */
	}
}

static void local_rung(struct worker *w)
{
	/* The edge has been taken with the event. */
	(void)w;
}

const struct link_ops link_local = {
	.take = local_take,
	.ring_guest = local_ring_guest,
	.rung = local_rung,
	.serves = CHECK_LOCAL_SESSION,
};
