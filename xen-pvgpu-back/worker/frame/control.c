/* SPDX-License-Identifier: MIT */
/*
 * The control socket, always fd PVGPU_SUP_CONTROL_FD: an adopting pvgpud's takes the old one's
 * number.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define AT_ONCE 16 /* messages taken before the guest gets its turn */

int control_tell(struct worker *w, struct pvgpu_sup *m, const char *reason)
{
	m->session = w->info.session;
	memcpy(m->vgpu, w->info.vgpu, sizeof(m->vgpu));
	if (reason)
		snprintf(m->reason, sizeof(m->reason), "%s", reason);
	return msg_send(PVGPU_SUP_CONTROL_FD, m, sizeof(*m), NULL, 0);
}

int control_say(struct worker *w, uint32_t kind, uint64_t a, uint64_t b, const char *reason)
{
	struct pvgpu_sup m = {.kind = kind, .a = a, .b = b};

	return control_tell(w, &m, reason);
}

static void drain(struct worker *w, uint64_t grace_ms)
{
	if (grace_ms == PVGPU_SUP_NO_END) {
		w->drain_ns = 0;
		worker_log(w, "draining: the end that was announced is taken back");
		return;
	}
	if (grace_ms > 24ull * 3600 * 1000)
		grace_ms = 24ull * 3600 * 1000;
	w->drain_ns = pvgpu_poll_now() + grace_ms * 1000000u;
	worker_log(w, "draining: the guest may finish for %llu ms", (unsigned long long)grace_ms);
}

static void drop_bell(struct worker *w)
{
	if (w->gate_bell < 0)
		return;
	/* Closing does not unwatch it: its sender may still have it open. */
	epoll_ctl(w->epoll, EPOLL_CTL_DEL, w->gate_bell, NULL);
	close(w->gate_bell);
	w->gate_bell = -1;
}

/* These files only say where to look and whom to wake. */
static void take_gate(struct worker *w, const int *fds)
{
	const int to_worker = fcntl(fds[PVGPU_GATE_FD_TO_WORKER], F_DUPFD_CLOEXEC, 0);
	char reason[CHECK_REASON] = "cannot keep its bell";

	if (to_worker < 0 ||
	    gpu_gate_take(w, fds[PVGPU_GATE_FD_GATE], fds[PVGPU_GATE_FD_REPORT],
			  fds[PVGPU_GATE_FD_TO_PVGPUD], reason, sizeof(reason)) < 0 ||
	    link_watch(w, to_worker, EPOLLIN, FROM_GATE) < 0) {
		if (to_worker >= 0)
			close(to_worker);
		worker_end(w, PVGPU_END_FAILED, "pvgpud's gate: %s", reason);
		return;
	}
	drop_bell(w);
	w->gate_bell = to_worker;
}

void control_rung(struct worker *w)
{
	char rings[64];
	ssize_t n = read(w->gate_bell, rings, sizeof(rings));

	/* Its pvgpud is gone: an end of file would ring for ever. */
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		drop_bell(w);
}

static void take_log(struct worker *w, const int *fds)
{
	if (dup3(fds[0], PVGPU_SUP_LOG_FD, O_CLOEXEC) < 0)
		worker_log(w, "cannot take a new log: %s", strerror(errno));
}

/* False: nothing more to read. */
static bool read_one(struct worker *w)
{
	union {
		struct pvgpu_sup head;
		struct pvgpu_sup_assign assign;
	} m;
	char reason[CHECK_REASON];
	struct msg_in in;
	uint64_t bytes;
	int r = msg_recv(PVGPU_SUP_CONTROL_FD, &m, sizeof(m), PVGPU_GATE_FDS, &in);

	if (r == -EAGAIN)
		return false;
	if (r <= 0) {
		adopt_lost(w);
		return false;
	}
	if (in.fds_lost)
		strcpy(reason, "message whose fds did not fit");
	if (in.fds_lost || check_from_daemon(&m, in.len, w->link->serves, in.n, reason) < 0) {
		msg_close_fds(&in);
		worker_end(w, PVGPU_END_FAILED, "from pvgpud: %s", reason);
		return false;
	}
	switch (m.head.kind) {
	case PVGPU_SUP_DRAIN:
		drain(w, m.head.a);
		break;
	case PVGPU_SUP_LOG:
		take_log(w, in.fds);
		break;
	case PVGPU_SUP_GATE:
		take_gate(w, in.fds);
		break;
	case PVGPU_SUP_PARK:
		gpu_park(w, lease_park_asked(w, m.head.id), m.head.a, m.head.b, m.head.c);
		break;
	case PVGPU_SUP_LEASED:
	case PVGPU_SUP_MEMINFO:
		bytes = lease_heard(w, &m.head);
		if (bytes)
			gpu_resume(w, bytes);
		break;
	case PVGPU_SUP_WANTED:
	case PVGPU_SUP_GIVEN:
	case PVGPU_SUP_CHARGED:
	case PVGPU_SUP_LEFT:
		share_heard(w, &m.head, in.n ? in.fds[0] : -1);
		return true;
	default:
		w->link->control(w, &m.head, in.fds);
		return true;
	}
	msg_close_fds(&in);
	return true;
}

void control_read(struct worker *w)
{
	if (!lease_is_up(w))
		return;
	for (int i = 0; i < AT_ONCE && read_one(w); i++)
		;
}

int control_wait_assign(struct worker *w, struct pvgpu_sup_assign *m, int *fds, unsigned int *n)
{
	struct pollfd p = {.fd = PVGPU_SUP_CONTROL_FD, .events = POLLIN};
	char reason[CHECK_REASON];
	struct msg_in in;
	int r;

	do {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -1;
		r = msg_recv(PVGPU_SUP_CONTROL_FD, m, sizeof(*m), PVGPU_SUP_FDS, &in);
	} while (r == -EAGAIN);
	if (r <= 0)
		return CONTROL_LEAVE;
	r = check_from_daemon(m, in.len, CHECK_NOTHING_YET, in.n, reason);
	if (r == 0 && m->head.kind != PVGPU_SUP_ASSIGN) {
		/* A spare worker that is told to drain, or of memory, has nothing to do. */
		msg_close_fds(&in);
		if (m->head.kind == PVGPU_SUP_CANARY)
			return CONTROL_CANARY;
		return m->head.kind == PVGPU_SUP_DRAIN ? CONTROL_LEAVE
						       : control_wait_assign(w, m, fds, n);
	}
	if (r < 0) {
		msg_close_fds(&in);
		worker_log(w, "from pvgpud: %s", reason);
		return -1;
	}
	memcpy(fds, in.fds, sizeof(int) * in.n);
	*n = in.n;
	return 0;
}
