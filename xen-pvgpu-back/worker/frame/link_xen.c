/* SPDX-License-Identifier: MIT */
/*
 * The Xen link's end in the worker. pvgpud has mapped the ring's grants on a gntdev file, which
 * lets it be mmapped once, and has bound the session's event channel on an evtchn file. The guest's
 * process cannot be seen from here: the guest's messages about its arena, and that it has closed
 * the session, comes from pvgpud.
 *
 * An event channel that fired stays masked until its port is written back, which is done before the
 * ring is looked at: a command published from then on rings again. A guest that rings without
 * end wakes the thread once for each time that it slept, as on the local link; while the thread is
 * busy the channel stays masked.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

typedef uint16_t domid_t; /* <xen/evtchn.h> lacks it outside the kernel */
#include <xen/evtchn.h>

#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define PORTS 16 /* read at once; one is bound */

static int evtchn_notify(int fd, uint32_t port)
{
	struct ioctl_evtchn_notify m = {.port = port};

	return ioctl(fd, IOCTL_EVTCHN_NOTIFY, &m);
}

const struct xen_calls *xen_calls = &(const struct xen_calls){.notify = evtchn_notify};

static int xen_take(struct worker *w, const struct pvgpu_sup_assign *m, const int *fds,
		    unsigned int n, char *reason, size_t cap)
{
	const int ring = fds[PVGPU_SUP_XEN_FD_RING];
	const int err = link_map_ring(w, m, ring, (off_t)m->ring_offset, reason, cap);

	/* The mapping keeps the grants; the last of both to go gives them back. */
	close(ring);
	w->evtchn = fds[PVGPU_SUP_XEN_FD_EVTCHN];
	w->port = m->port;
	/* The kernel says so of grants that are no grants to this domain. */
	if (err)
		return err == -EINVAL ? -EPROTO : -1;
	/* Should an event be spurious, no read waits for the next one. */
	if (fcntl(w->evtchn, F_SETFL, O_NONBLOCK) < 0 ||
	    link_watch_guest(w, w->evtchn, EPOLLIN) < 0) {
		snprintf(reason, cap, "cannot wait for the event channel: %s", strerror(errno));
		return -1;
	}
	return 0;
}

static void xen_ring_guest(const struct worker *w)
{
	/* That the guest has closed its end is told by pvgpud. */
	xen_calls->notify(w->evtchn, w->port);
}

static void xen_rung(struct worker *w)
{
	uint32_t ports[PORTS];
	const ssize_t n = read(w->evtchn, ports, sizeof(ports));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		worker_end(w, PVGPU_END_FAILED, "cannot read the event channel's file: %s",
			   n ? strerror(errno) : "it ended");
		return;
	}
	for (size_t i = 0; i < (size_t)n / sizeof(ports[0]); i++) {
		if (ports[i] != w->port)
			continue;
		if (write(w->evtchn, &ports[i], sizeof(ports[i])) < 0)
			worker_end(w, PVGPU_END_FAILED, "cannot unmask the event channel: %s",
				   strerror(errno));
	}
}

/*
 * 0 or a positive errno, which pvgpud answers to the guest. A chunk that is there already is not
 * mapped again: a restarted pvgpud repeats what its predecessor may have done.
 */
static int chunk_add(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	switch (gpu_arena_find(w, m->a, m->b)) {
	case GPU_ARENA_SAME:
		return 0;
	case GPU_ARENA_OVERLAPS:
		return EEXIST;
	case GPU_ARENA_FREE:
		break;
	}
	return -arena_add(w, m->a, m->b, fd, (off_t)m->c, PVGPU_SUP_SLICE);
}

static int chunk_remove(struct worker *w, const struct pvgpu_sup *m)
{
	switch (gpu_arena_find(w, m->a, m->b)) {
	case GPU_ARENA_SAME:
		return -arena_remove(w, m->a, m->b);
	case GPU_ARENA_OVERLAPS:
		return EINVAL; /* part of a chunk, or more than one */
	case GPU_ARENA_FREE:
		break;
	}
	return 0;
}

struct answer {
	struct gpu_arena_then then; /* first: is the answer */
	struct pvgpu_sup body;
};

/* Any thread. If this answer is lost, the next pvgpud asks again. */
static void send_answer(struct worker *w, struct gpu_arena_then *then)
{
	struct answer *a = (struct answer *)then;
	const int err = msg_send(PVGPU_SUP_CONTROL_FD, &a->body, sizeof(a->body), NULL, 0);

	if (err && err != -EPIPE)
		worker_log(w, "pvgpud does not take an answer about arena memory: %s",
			   strerror(-err));
	free(a);
}

/* The file is closed before the answer: pvgpud looks whether anything of it is left. */
static void answer_chunk(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	const bool adding = m->kind == PVGPU_SUP_CHUNK_ADD;
	const uint32_t op = adding ? PVGPU_CHUNK_ADD : PVGPU_CHUNK_REMOVE;
	struct answer *answer;
	struct check_arena window = arena_window(w);
	char reason[CHECK_REASON];
	bool breach;
	int err;

	/* A chunk that is mapped already takes nothing more of the limit. */
	if (adding && gpu_arena_find(w, m->a, m->b) == GPU_ARENA_SAME)
		window.used = 0;
	err = -check_chunk_place(op, m->a, m->b, &window, reason);
	breach = err == EPROTO;
	if (!err)
		err = adding ? chunk_add(w, m, fd) : chunk_remove(w, m);
	if (fd >= 0)
		close(fd);
	if (breach) {
		worker_end(w, PVGPU_END_PROTOCOL, "%s", reason);
		return;
	}
	answer = malloc(sizeof(*answer));
	if (!answer) {
		worker_end(w, PVGPU_END_FAILED, "out of memory");
		return;
	}
	*answer = (struct answer){
		.then.fn = send_answer,
		.body = {.kind = PVGPU_SUP_CHUNKED,
			 .id = m->id,
			 .session = w->info.session,
			 .a = (uint64_t)err},
	};
	if (adding && !err)
		gpu_arena_register(w, &answer->then);
	else
		send_answer(w, &answer->then);
}

static void xen_control(struct worker *w, const struct pvgpu_sup *m, const int *fds)
{
	if (m->kind == PVGPU_SUP_CLOSE)
		worker_end(w, PVGPU_END_GUEST_GONE, "the guest closed the session");
	else
		answer_chunk(w, m, m->kind == PVGPU_SUP_CHUNK_ADD ? fds[0] : -1);
}

const struct link_ops link_xen = {
	.take = xen_take,
	.ring_guest = xen_ring_guest,
	.rung = xen_rung,
	.control = xen_control,
	.serves = CHECK_XEN_SESSION,
};
