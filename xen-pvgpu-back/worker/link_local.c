/* SPDX-License-Identifier: MIT */
/*
 * The local link's end in the worker: the ring in a memfd, doorbells in eventfds. Whatever the
 * session needs to have open is opened or received here, before the seal.
 */
#include "xen-pvgpu-back/worker/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static int map_ring(struct worker *w, const struct pvgpu_sup_assign *m, int fd, char *reason,
		    size_t cap)
{
	struct stat st;
	int seals = fcntl(fd, F_GET_SEALS);
	void *p;

	w->ring_bytes = pvgpu_ring_bytes(m->cmd_size, m->rep_size);
	if (seals < 0 || (seals & RING_SEALS) != RING_SEALS) {
		snprintf(reason, cap, "the ring's memory is not a sealed memfd (seals %d)", seals);
		return -1;
	}
	if (fstat(fd, &st) < 0 || st.st_size < 0 || (size_t)st.st_size != w->ring_bytes) {
		snprintf(reason, cap, "the ring's memory is not of %zu bytes", w->ring_bytes);
		return -1;
	}
	p = mmap(NULL, w->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		snprintf(reason, cap, "cannot map the ring: %s", strerror(errno));
		return -1;
	}
	w->page = p;
	pvgpu_ring_init_consumer(&w->cmd, w->page, PVGPU_RING_CMD, m->cmd_size, m->rep_size);
	send_init(w, m->cmd_size, m->rep_size);
	return 0;
}

static int watch(struct worker *w, int fd, uint32_t events, uint32_t source)
{
	struct epoll_event e = {.events = events, .data.u32 = source};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
}

static int make_files(struct worker *w, char *reason, size_t cap)
{
	w->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (w->kick < 0 || w->epoll < 0 ||
	    watch(w, w->to_worker, EPOLLIN | EPOLLET, FROM_GUEST) < 0 ||
	    watch(w, w->session, EPOLLIN | EPOLLRDHUP, FROM_SESSION) < 0 ||
	    (w->guest_pidfd >= 0 && watch(w, w->guest_pidfd, EPOLLIN, FROM_PIDFD) < 0) ||
	    watch(w, PVGPU_SUP_CONTROL_FD, EPOLLIN | EPOLLRDHUP, FROM_CONTROL) < 0 ||
	    watch(w, w->kick, EPOLLIN, FROM_KICK) < 0) {
		snprintf(reason, cap, "cannot set up epoll: %s", strerror(errno));
		return -1;
	}
	return 0;
}

/* 1 and 2 become pipes, whose other ends the output thread reads. */
static int redirect(int target, int *read_end)
{
	int p[2];

	if (pipe2(p, O_CLOEXEC) < 0)
		return -1;
	if (dup2(p[1], target) < 0) {
		close(p[0]);
		close(p[1]);
		return -1;
	}
	close(p[1]);
	*read_end = p[0];
	return fcntl(p[0], F_SETFL, O_NONBLOCK);
}

int link_take(struct worker *w, const struct pvgpu_sup_assign *m, const int *fds, unsigned int n,
	      char *reason, size_t cap)
{
	int err = map_ring(w, m, fds[PVGPU_SUP_FD_RING], reason, cap);

	close(fds[PVGPU_SUP_FD_RING]);
	w->to_worker = fds[PVGPU_SUP_FD_TO_WORKER];
	w->to_guest = fds[PVGPU_SUP_FD_TO_GUEST];
	w->session = fds[PVGPU_SUP_FD_SESSION];
	w->guest_pidfd = n > PVGPU_SUP_FD_GUEST_PIDFD ? fds[PVGPU_SUP_FD_GUEST_PIDFD] : -1;
	if (err || make_files(w, reason, cap) < 0)
		return -1;
	fflush(NULL);
	if (redirect(STDOUT_FILENO, &w->out_fd) < 0 || redirect(STDERR_FILENO, &w->err_fd) < 0) {
		snprintf(reason, cap, "cannot make the output pipes: %s", strerror(errno));
		return -1;
	}
	return 0;
}

void link_ring_guest(const struct worker *w)
{
	uint64_t one = 1;

	/* A count at its maximum is the guest's own doing, and readable all the same. */
	if (write(w->to_guest, &one, sizeof(one)) < 0) {
		/* Nothing to do. */
	}
}

void link_say_ended(struct worker *w, int end, const char *reason)
{
	char text[sizeof(w->page->text)] = {0};

	snprintf(text, sizeof(text), "%s", reason);
	memcpy(w->page->text, text, sizeof(text));
	pvgpu_store(&w->page->reason, (uint32_t)end);
	pvgpu_store_release(&w->page->status, PVGPU_RING_ENDED);
	link_ring_guest(w);
}
