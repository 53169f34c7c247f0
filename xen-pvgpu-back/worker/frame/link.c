/* SPDX-License-Identifier: MIT */
/* The common part of both links' ends in the worker. */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

int link_watch(struct worker *w, int fd, uint32_t events, enum source source)
{
	struct epoll_event e = {.events = events, .data.u32 = source};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
}

int link_watch_guest(struct worker *w, int fd, uint32_t events)
{
	struct epoll_event e = {.events = events | EPOLLEXCLUSIVE, .data.u32 = FROM_GUEST};

	/* The first that watches is the first that is woken, if a thread waits there. */
	if (epoll_ctl(w->standby, EPOLL_CTL_ADD, fd, &e) < 0)
		return -1;
	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e);
}

int link_map_ring(struct worker *w, const struct pvgpu_sup_assign *m, int fd, off_t offset,
		  char *reason, size_t cap)
{
	void *p;

	w->ring_bytes = pvgpu_ring_bytes(m->cmd_size, m->rep_size);
	p = mmap(NULL, w->ring_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
	if (p == MAP_FAILED) {
		const int err = -errno;

		snprintf(reason, cap, "cannot map the ring: %s", strerror(-err));
		return err;
	}
	w->page = p;
	pvgpu_ring_init_consumer(&w->cmd, w->page, PVGPU_RING_CMD, m->cmd_size, m->rep_size);
	send_init(w, m->cmd_size, m->rep_size);
	return 0;
}

static int make_files(struct worker *w)
{
	struct epoll_event roused = {.events = EPOLLIN, .data.u32 = FROM_KICK};

	w->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->rouse = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	w->standby = epoll_create1(EPOLL_CLOEXEC);
	if (w->kick < 0 || w->epoll < 0 || w->rouse < 0 || w->standby < 0 ||
	    epoll_ctl(w->standby, EPOLL_CTL_ADD, w->rouse, &roused) < 0 ||
	    link_watch(w, PVGPU_SUP_CONTROL_FD, EPOLLIN | EPOLLRDHUP, FROM_CONTROL) < 0 ||
	    link_watch(w, w->kick, EPOLLIN, FROM_KICK) < 0)
		return -1;
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
	int err;

	w->link = m->link == PVGPU_SUP_LINK_XEN ? &link_xen : &link_local;
	if (make_files(w) < 0) {
		snprintf(reason, cap, "cannot set up epoll: %s", strerror(errno));
		return -1;
	}
	err = w->link->take(w, m, fds, n, reason, cap);
	if (err)
		return err;
	fflush(NULL);
	if (redirect(STDOUT_FILENO, &w->out_fd) < 0 || redirect(STDERR_FILENO, &w->err_fd) < 0) {
		snprintf(reason, cap, "cannot make the output pipes: %s", strerror(errno));
		return -1;
	}
	return 0;
}

void link_ring_guest(const struct worker *w)
{
	w->link->ring_guest(w);
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
