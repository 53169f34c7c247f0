/* SPDX-License-Identifier: MIT */
/* The life of workers. Their messages are checked. Death is seen on the pidfd, and resources are
 * taken back only then. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"

#define LAST_WORDS 1024u /* more messages than its socket holds */
#define EXIT_MS    2000u /* from a hang-up to the exit */
#define TAKE_MS    1000u /* from a session's assignment to the worker's answer */
#define LATE_S     0.02  /* after a deadline, for what is unread; LATE_MOST times */
#define LATE_MOST  64u

static const char takes_long[] = "did not begin its session in time";
static const char is_silent[] = "did not take its session: another worker gets it";

static void on_message(struct worker *w);

/* Timers run before sockets: where pvgpud was late, what the worker has sent is read first. */
static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
	struct worker *w = t->data;

	if (msg_unread(w->control) && w->late < LATE_MOST) {
		w->late++;
		ev_timer_set(t, LATE_S, 0.);
		ev_timer_start(loop, t);
		return;
	}
	w->silent = w->why == is_silent;
	worker_kill(w, "%s", w->why);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *t, int events)
{
	struct worker *w = t->data;

	if (w->control >= 0)
		ev_io_start(loop, &w->control_io);
}

/* The worker's budget is used up. Its death is seen on its pidfd all the same. */
static void make_pause(struct worker *w, uint64_t now)
{
	if (budget_flooded(&w->budget, &budget_worker,
			   msg_unread(w->control) / sizeof(struct pvgpu_sup) >= BUDGET_UNREAD, now))
		faults_kill(w, FAULT_PROTOCOL,
			    "floods its control socket: over %u messages a second for %" PRIu64
			    " s",
			    budget_worker.a_second, budget_worker.over_ns / 1000000000u);
	ev_io_stop(w->d->loop, &w->control_io);
	ev_timer_set(&w->pause, budget_worker.pause_ns / 1e9, 0.);
	ev_timer_start(w->d->loop, &w->pause);
}

/* One message, then others have their turn. */
static void on_control(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *w = io->data;
	uint64_t now = pvgpu_poll_now();

	if (budget_take(&w->budget, &budget_worker, 1, now))
		on_message(w);
	else
		make_pause(w, now);
}

static void tried_to_leave(struct worker *w)
{
	if (w->fault == FAULT_NONE)
		w->fault = FAULT_ESCAPE;
	snprintf(w->reason, sizeof(w->reason),
		 "the worker tried to leave its sandbox: a system call that none makes");
}

/* Finds out how a child ended. Adopted workers are not children of this pvgpud. */
static void reap(struct worker *w)
{
	siginfo_t si = {0};
	uint64_t peak = 0;
	int r = w->adopted ? -1 : process_reap(w->pid, &si, &peak);

	if (peak)
		log_debug("worker %u: its memory was at most %" PRIu64 " KiB", w->id, peak);
	if (w->reason[0] || cgroup_was_full(w, w->reason, sizeof(w->reason)))
		return;
	if (r < 0 || !si.si_pid)
		snprintf(w->reason, sizeof(w->reason), "the worker died");
	else if (si.si_code == CLD_EXITED)
		snprintf(w->reason, sizeof(w->reason), "the worker exited with status %d",
			 si.si_status);
	else if (si.si_status == SIGSYS)
		tried_to_leave(w);
	else
		snprintf(w->reason, sizeof(w->reason), "the worker was ended by signal %d (%s)",
			 si.si_status, strsignal(si.si_status));
}

static void on_exit_(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *w = io->data;

	/* Messages that it sent before its death come first. */
	for (unsigned int i = 0; w->control >= 0 && i < LAST_WORDS; i++)
		on_message(w);
	if (w->log >= 0)
		worker_log_read(w);
	reap(w);
	cgroup_gone(w);
	supervise_gone(w);
}

static void on_guest_gone(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *w = io->data;

	/* The worker sees this, too; the deadline is for a hostile one. */
	ev_io_stop(loop, io);
	worker_deadline(w, w->d->cfg.worker_ms + EXIT_MS, "did not end after its guest");
}

struct worker *supervise_new(struct pool *p, unsigned int id)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct daemon *d = p->d;

	if (!w)
		return NULL;
	w->d = d;
	w->pool = p;
	w->id = id;
	w->state = CHECK_STARTING;
	w->pidfd = w->control = w->log = w->guest_pidfd = w->cgroup = -1;
	w->end = -1;
	ev_timer_init(&w->deadline, on_deadline, 0., 0.);
	ev_timer_init(&w->pause, on_pause_over, 0., 0.);
	w->deadline.data = w->pause.data = w;
	TAILQ_INSERT_TAIL(&d->workers, w, link);
	d->worker_n++;
	return w;
}

void supervise_watch(struct worker *w)
{
	struct ev_loop *loop = w->d->loop;

	ev_io_init(&w->pidfd_io, on_exit_, w->pidfd, EV_READ);
	w->pidfd_io.data = w;
	ev_io_start(loop, &w->pidfd_io);
	ev_io_init(&w->control_io, on_control, w->control, EV_READ);
	w->control_io.data = w;
	ev_io_start(loop, &w->control_io);
	if (w->log >= 0)
		worker_log_open(w, w->log);
}

void supervise_watch_guest(struct worker *w, int pidfd)
{
	w->guest_pidfd = pidfd;
	ev_io_init(&w->guest_io, on_guest_gone, pidfd, EV_READ);
	w->guest_io.data = w;
	ev_io_start(w->d->loop, &w->guest_io);
}

/* A session is over: takes its resources back and records why. */
static void end_session(struct worker *w)
{
	struct vgpu *v = w->vgpu;
	bool failed = !w->silent && (w->killed || w->end < 0 || w->end == PVGPU_END_PROTOCOL ||
				     w->end == PVGPU_END_FAILED);

	share_worker_gone(w);
	v->sessions--;
	w->d->session_n--;
	v->failed += failed;
	v->kills += w->killed && !w->silent;
	snprintf(v->last_reason, sizeof(v->last_reason), "session %u: %s", w->id, w->reason);
	log_line(failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: ended: %s", worker_name(w),
		 w->reason);
	exports_worker_gone(w);
	lease_died(w);
	open_failed(w);
	if (w->number)
		xenctl_ended(w);
	faults_session_ended(w);
	vgpu_settle(v);
}

void supervise_gone(struct worker *w)
{
	struct daemon *d = w->d;

	ev_timer_stop(d->loop, &w->deadline);
	ev_timer_stop(d->loop, &w->pause);
	pulse_stop(w);
	ev_io_stop(d->loop, &w->pidfd_io);
	ev_io_stop(d->loop, &w->control_io);
	ev_io_stop(d->loop, &w->log_io);
	ev_io_stop(d->loop, &w->guest_io);
	TAILQ_REMOVE(&d->workers, w, link);
	d->worker_n--;
	uids_put(&d->uids, w->uid);
	if (w->vgpu)
		end_session(w);
	else if (!w->ready && !d->stopping && !w->adopted)
		spares_start_failed(w);
	else if (w->canary)
		canary_gone(w);
	else
		spares_gone(w);
	if (w->sock[0])
		unlinkat(d->workers_dir, w->sock, 0);
	held_end(w->held);
	close(w->pidfd);
	if (w->control >= 0)
		close(w->control);
	if (w->log >= 0)
		close(w->log);
	if (w->guest_pidfd >= 0)
		close(w->guest_pidfd);
	free(w);
	open_serve(d);
	daemon_check_stopped(d);
}

void supervise_assigned(struct worker *w, struct vgpu *v)
{
	w->state = CHECK_SERVING;
	w->vgpu = v;
	w->started_ms = now_ms();
	v->sessions++;
	v->total++;
	w->d->session_n++;
	cgroup_weigh(w);
	if (v->xen)
		xenbus_changed(v->xen);
	if (w->answers)
		worker_deadline(w, TAKE_MS << (w->opening->silent < 5 ? w->opening->silent : 5),
				is_silent);
	else
		worker_deadline(w, w->d->cfg.start_ms, takes_long);
	watchdog_wake(w->d);
}

/*
 * 0, or -1 when the worker does not read its socket: it is killed, because its state would differ
 * from pvgpud's. MEMINFO about other sessions can wait: it is sent later, which leaves room for
 * other messages.
 */
int supervise_tell(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	int err;

	if (w->state == CHECK_ENDED || w->control < 0)
		return -1;
	if (m->kind == PVGPU_SUP_MEMINFO && msg_is_behind(w->control)) {
		w->told = UINT64_MAX;
		vgpu_tell(w->vgpu);
		return 0;
	}
	err = msg_send(w->control, m, sizeof(*m), &fd, fd >= 0);
	if (!err)
		return 0;
	if (err != -EPIPE)
		worker_kill(w, "does not read its control socket: %s", strerror(-err));
	return -1;
}

static int say(struct worker *w, struct pvgpu_sup *m, uint64_t free)
{
	m->session = w->id;
	m->b = free;
	m->c = w->leased + w->parking.bytes;
	m->knows = PVGPU_SUP_KNOWS_ALL;
	w->told = m->b + m->c;
	return supervise_tell(w, m, -1);
}

int supervise_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a)
{
	struct pvgpu_sup m = {.kind = kind, .id = id, .a = a, .session = w->id};

	if (w->vgpu && (kind == PVGPU_SUP_LEASED || kind == PVGPU_SUP_MEMINFO))
		return say(w, &m, lease_free(w->vgpu));
	return supervise_tell(w, &m, -1);
}

void supervise_meminfo(struct worker *w, uint64_t free)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_MEMINFO, .a = w->vgpu->ledger.quota};

	say(w, &m, free);
}

static void ready(struct worker *w, const struct pvgpu_sup *m)
{
	struct daemon *d = w->d;
	struct pool *p = w->pool;

	w->state = CHECK_SPARE;
	w->ready = true;
	w->answers = m->c & PVGPU_SUP_KNOWS_TAKEN;
	w->shares = m->c & PVGPU_SUP_KNOWS_SHARE;
	w->parking.knows = m->c & PVGPU_SUP_KNOWS_PARK;
	w->parking.knows_busy = m->c & PVGPU_SUP_KNOWS_BUSY;
	w->parking.knows_more = m->c & PVGPU_SUP_KNOWS_MORE;
	worker_deadline(w, 0, NULL);
	if (pool_starts_fail(p))
		xenbus_host_changed(d);
	p->failures = 0;
	p->failure[0] = '\0';
	if (p->device_memory != m->b) {
		log_info("pool %s: %s, %" PRIu64 " MiB, driver version %" PRIu64, p->cfg.name,
			 m->reason, m->b >> 20, m->a);
		p->device_memory = m->b;
		p->driver_version = (int)m->a;
		snprintf(p->model, sizeof(p->model), "%.63s", m->reason);
		pool_known(p);
		for (unsigned int i = 0; i < d->vgpu_n; i++)
			if (d->vgpus[i]->pool == p)
				lease_quota_known(d->vgpus[i]);
		pool_changed(p);
	}
	open_serve(d);
}

static void ended(struct worker *w, const struct pvgpu_sup *m)
{
	w->end = (int)m->a;
	w->device_error = (unsigned int)m->b;
	w->hardware = m->c;
	snprintf(w->reason, sizeof(w->reason), "%s", m->reason);
	w->state = CHECK_ENDED;
	worker_deadline(w, w->d->cfg.worker_ms + EXIT_MS, "did not exit after its end");
}

static void handle(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	switch (m->kind) {
	case PVGPU_SUP_READY:
		ready(w, m);
		break;
	case PVGPU_SUP_TAKEN:
		if (w->why == is_silent)
			worker_deadline(w, w->d->cfg.start_ms, takes_long);
		break;
	case PVGPU_SUP_SEALED:
		w->sealed = true;
		/* Another deadline stays: the guest has gone or has closed the session. */
		if (w->why == takes_long || w->why == is_silent)
			worker_deadline(w, 0, NULL);
		open_sealed(w);
		break;
	case PVGPU_SUP_LEASE:
		lease_asked(w, m);
		break;
	case PVGPU_SUP_RETURN:
		lease_returned(w, m);
		break;
	case PVGPU_SUP_PARKED:
	case PVGPU_SUP_RESUME:
	case PVGPU_SUP_RESUMED:
		parking_heard(w, m);
		break;
	case PVGPU_SUP_STATE:
		adopt_state(w, m);
		break;
	case PVGPU_SUP_MEMINFO:
		supervise_meminfo(w, lease_free(w->vgpu));
		break;
	case PVGPU_SUP_CHUNKED:
		xenctl_chunked(w, m);
		break;
	case PVGPU_SUP_IMPORT:
		exports_wanted(w, m);
		break;
	case PVGPU_SUP_SHARED:
		exports_shared(w, m, fd);
		break;
	case PVGPU_SUP_DROP:
		exports_dropped(w, m);
		break;
	case PVGPU_SUP_HELD:
		exports_held(w, m);
		break;
	case PVGPU_SUP_CANARIED:
		canary_answered(w, m);
		break;
	case PVGPU_SUP_ENDED:
		ended(w, m);
		break;
	}
}

static void hung_up(struct worker *w)
{
	ev_io_stop(w->d->loop, &w->control_io);
	close(w->control);
	w->control = -1;
	if (w->end < 0)
		worker_deadline(w, EXIT_MS, "closed its control socket");
}

static void on_message(struct worker *w)
{
	struct pvgpu_sup m;
	char reason[CHECK_REASON];
	struct msg_in in;
	int r = msg_recv(w->control, &m, sizeof(m), 1, &in);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		hung_up(w);
		return;
	}
	r = 0;
	if (w->state != CHECK_ENDED)
		r = in.fds_lost ? -EPROTO : check_from_worker(&m, in.len, in.n, w->state, reason);
	if (r < 0)
		faults_kill(w, FAULT_PROTOCOL, "broke the protocol: %s",
			    in.fds_lost ? "message with file descriptors" : reason);
	else if (w->state != CHECK_ENDED)
		handle(w, &m, in.n ? in.fds[0] : -1);
	msg_close_fds(&in);
}
