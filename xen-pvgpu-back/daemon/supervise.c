/* SPDX-License-Identifier: MIT */
/*
 * The life of workers, from start to death. A worker's word is checked, its death is seen on its
 * pidfd, and what it had is taken back then and only then.
 */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/share.h"
#include "xen-pvgpu-back/daemon/watchdog.h"
#include "xen-pvgpu-back/daemon/xenctl.h"

#define AT_ONCE     16u   /* messages of one worker before others have their turn */
#define LAST_WORDS  1024u /* more than its socket holds */
#define EXIT_MS     2000u /* from a worker's hang-up to its exit */
#define RETRY_S     0.25  /* after the first worker that did not start; doubles */
#define RETRY_MAX_S 30.

static const char takes_long[] = "did not take its session in time";

static void on_message(struct worker *w);

const char *sup_name(const struct worker *w)
{
	static char name[80];

	if (w->vgpu)
		snprintf(name, sizeof(name), "session %u %s", w->id, w->vgpu->cfg.name);
	else
		snprintf(name, sizeof(name), "worker %u", w->id);
	return name;
}

void sup_kill(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	if (w->killed)
		return;
	w->killed = true;
	if (w->end < 0) {
		va_start(ap, fmt);
		vsnprintf(w->reason, sizeof(w->reason), fmt, ap);
		va_end(ap);
		log_line(w->vgpu ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s: killed: %s",
			 sup_name(w), w->reason);
	}
	w->state = CHECK_ENDED;
	if (w->pidfd >= 0)
		pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
	struct worker *w = t->data;

	sup_kill(w, "%s", w->why);
}

void sup_deadline(struct worker *w, unsigned int ms, const char *why)
{
	ev_timer_stop(w->d->loop, &w->deadline);
	w->why = why;
	if (!why)
		return;
	ev_timer_set(&w->deadline, ms / 1e3, 0.);
	ev_timer_start(w->d->loop, &w->deadline);
}

static void on_control(struct ev_loop *loop, ev_io *io, int events)
{
	on_message(io->data);
}

/* How a child ended; adopted workers are nobody's children. */
static void reap(struct worker *w)
{
	siginfo_t si = {0};
	int r;

	if (w->adopted)
		r = -1;
	else
		r = waitid(P_PIDFD, (id_t)w->pidfd, &si, WEXITED | WNOHANG);
	if (w->reason[0])
		return;
	if (r < 0 || !si.si_pid)
		snprintf(w->reason, sizeof(w->reason), "the worker died");
	else if (si.si_code == CLD_EXITED)
		snprintf(w->reason, sizeof(w->reason), "the worker exited with status %d",
			 si.si_status);
	else
		snprintf(w->reason, sizeof(w->reason), "the worker was ended by signal %d (%s)",
			 si.si_status, strsignal(si.si_status));
}

static void on_exit_(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *w = io->data;

	/* Its last words first, to the hang-up behind them. */
	for (unsigned int i = 0; w->control >= 0 && i < LAST_WORDS; i++)
		on_message(w);
	if (w->log >= 0)
		wlog_read(w);
	reap(w);
	sup_gone(w);
}

static void on_guest_gone(struct ev_loop *loop, ev_io *io, int events)
{
	struct worker *w = io->data;

	/* The worker sees it, too; this is for one that does not want to. */
	ev_io_stop(loop, io);
	sup_deadline(w, w->d->cfg.worker_ms + EXIT_MS, "did not end after its guest");
}

struct worker *sup_new(struct pool *p, unsigned int id)
{
	struct worker *w = calloc(1, sizeof(*w));
	struct daemon *d = p->d;

	if (!w)
		return NULL;
	w->d = d;
	w->pool = p;
	w->id = id;
	w->state = CHECK_STARTING;
	w->pidfd = w->control = w->log = w->guest_pidfd = -1;
	w->end = -1;
	ev_timer_init(&w->deadline, on_deadline, 0., 0.);
	w->deadline.data = w;
	TAILQ_INSERT_TAIL(&d->workers, w, link);
	d->worker_n++;
	return w;
}

void sup_watch(struct worker *w)
{
	struct ev_loop *loop = w->d->loop;

	ev_io_init(&w->pidfd_io, on_exit_, w->pidfd, EV_READ);
	w->pidfd_io.data = w;
	ev_io_start(loop, &w->pidfd_io);
	ev_io_init(&w->control_io, on_control, w->control, EV_READ);
	w->control_io.data = w;
	ev_io_start(loop, &w->control_io);
	if (w->log >= 0)
		wlog_open(w, w->log);
}

void sup_watch_guest(struct worker *w, int pidfd)
{
	w->guest_pidfd = pidfd;
	ev_io_init(&w->guest_io, on_guest_gone, pidfd, EV_READ);
	w->guest_io.data = w;
	ev_io_start(w->d->loop, &w->guest_io);
}

/* A session is over: take back what it had and remember why. */
static void end_session(struct worker *w)
{
	struct vgpu *v = w->vgpu;
	bool failed = w->killed || w->end < 0 || w->end == PVGPU_END_PROTOCOL ||
		      w->end == PVGPU_END_FAILED;

	share_worker_gone(w);
	v->sessions--;
	w->d->session_n--;
	v->failed += failed;
	snprintf(v->last_reason, sizeof(v->last_reason), "session %u: %s", w->id, w->reason);
	log_line(failed ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "%s: ended: %s", sup_name(w),
		 w->reason);
	lease_died(w);
	open_failed(w);
	if (w->number)
		xenctl_ended(w);
	faults_session_ended(w);
	vgpu_settle(v);
}

/* A worker that died before it could serve: wait a little longer each time before the next. */
static void start_failed(struct worker *w)
{
	struct pool *p = w->pool;
	double wait = RETRY_S;

	for (unsigned int i = 0; i < p->failures && wait < RETRY_MAX_S; i++)
		wait *= 2;
	p->failures++;
	snprintf(p->failure, sizeof(p->failure), "%s", w->reason);
	log_error("%s: did not start: %s", sup_name(w), w->reason);
	ev_timer_stop(w->d->loop, &p->retry);
	ev_timer_set(&p->retry, wait, 0.);
	ev_timer_start(w->d->loop, &p->retry);
	open_refuse_pool(p, ENODEV, p->failure);
	canary_no_worker(p, p->failure);
	pool_evacuate(p);
	xenbus_memory_changed(w->d);
}

/* Not at once again, should they all go this way. */
static void spare_gone(struct worker *w)
{
	struct daemon *d = w->d;
	struct pool *p = w->pool;

	log_line(d->stopping ? LOG_LEVEL_DEBUG : LOG_LEVEL_WARNING, "%s: gone: %s", sup_name(w),
		 w->reason);
	if (d->stopping || ev_is_active(&p->retry))
		return;
	ev_timer_set(&p->retry, RETRY_S, 0.);
	ev_timer_start(d->loop, &p->retry);
}

void sup_gone(struct worker *w)
{
	struct daemon *d = w->d;

	ev_timer_stop(d->loop, &w->deadline);
	ev_io_stop(d->loop, &w->pidfd_io);
	ev_io_stop(d->loop, &w->control_io);
	ev_io_stop(d->loop, &w->log_io);
	ev_io_stop(d->loop, &w->guest_io);
	TAILQ_REMOVE(&d->workers, w, link);
	d->worker_n--;
	if (w->vgpu)
		end_session(w);
	else if (!w->ready && !d->stopping && !w->adopted)
		start_failed(w);
	else if (w->canary)
		canary_gone(w);
	else
		spare_gone(w);
	if (w->sock[0])
		unlinkat(d->workers_dir, w->sock, 0);
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

static unsigned int count(const struct pool *p)
{
	const struct worker *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, &p->d->workers, link)
	n += w->pool == p && !w->vgpu && (w->state == CHECK_STARTING || w->state == CHECK_SPARE);
	return n;
}

/* One more worker of the pool; -1 when that is not to be had now. */
static int start_one(struct pool *p)
{
	struct daemon *d = p->d;
	struct worker *w = sup_new(p, d->next_id++);

	if (!w)
		return -1;
	if (spawn_worker(w) < 0) {
		snprintf(w->reason, sizeof(w->reason), "%s", p->failure);
		TAILQ_REMOVE(&d->workers, w, link);
		d->worker_n--;
		start_failed(w);
		free(w);
		return -1;
	}
	sup_watch(w);
	sup_deadline(w, d->cfg.start_ms, "did not become ready in time");
	log_debug("worker %u: pid %d, pool %s", w->id, (int)w->pid, p->cfg.name);
	return 0;
}

void sup_keep_spares(struct daemon *d)
{
	if (d->stopping)
		return;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];
		unsigned int want = d->cfg.spares + open_waiting(p) + canary_waits(p);

		/* Sessions were adopted, or the toolstack asks, and only a worker can tell how much
		 * memory there is. */
		if (!want && !p->device_memory && (d->session_n || d->xen))
			want = 1;
		if (ev_is_active(&p->retry))
			continue;
		for (unsigned int have = count(p); have < want; have++)
			if (start_one(p) < 0)
				break;
	}
}

struct worker *sup_take_spare(struct pool *p)
{
	struct worker *w;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool == p && w->state == CHECK_SPARE)
			return w;
	}
	return NULL;
}

void sup_assigned(struct worker *w, struct vgpu *v)
{
	w->state = CHECK_SERVING;
	w->vgpu = v;
	w->started_ms = now_ms();
	v->sessions++;
	v->total++;
	w->d->session_n++;
	if (v->xen)
		xenbus_changed(v->xen);
	sup_deadline(w, w->d->cfg.start_ms, takes_long);
	watchdog_wake(w->d);
}

/* 0, or -1 when the worker does not read: then it is killed, since what it misses would not be true
 * any more. What others do with their memory can be told later: it is no reason to end this one,
 * and leaves room for what is.
 */
int sup_tell(struct worker *w, const struct pvgpu_sup *m, int fd)
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
		sup_kill(w, "does not read its control socket: %s", strerror(-err));
	return -1;
}

int sup_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a)
{
	struct pvgpu_sup m = {.kind = kind, .id = id, .a = a, .session = w->id};

	if (w->vgpu && (kind == PVGPU_SUP_LEASED || kind == PVGPU_SUP_MEMINFO)) {
		m.b = lease_free(w->vgpu);
		m.c = w->leased;
		w->told = m.b + m.c;
	}
	return sup_tell(w, &m, -1);
}

void sup_meminfo(struct worker *w)
{
	sup_say(w, PVGPU_SUP_MEMINFO, 0, w->vgpu->ledger.quota);
}

/*
 * The configuration promises more than there is: an error at start, as long as nobody is served.
 * Sessions of a former pvgpud are not for that to be left alone, nor those of a pvgpud whose GPU
 * has become smaller.
 */
static void admit(struct pool *p, bool first)
{
	struct daemon *d = p->d;
	char reason[POOL_REASON];

	if (pool_known(p, reason) == 0)
		return;
	log_error("%s", reason);
	if (d->session_n || !first)
		return;
	d->failed = true;
	ev_break(d->loop, EVBREAK_ALL);
}

static void ready(struct worker *w, const struct pvgpu_sup *m)
{
	struct daemon *d = w->d;
	struct pool *p = w->pool;
	bool first = !p->device_memory;

	w->state = CHECK_SPARE;
	w->ready = true;
	sup_deadline(w, 0, NULL);
	p->failures = 0;
	p->failure[0] = '\0';
	if (p->device_memory != m->b) {
		log_info("pool %s: %s, %" PRIu64 " MiB, driver version %" PRIu64, p->cfg.name,
			 m->reason, m->b >> 20, m->a);
		p->device_memory = m->b;
		p->driver_version = (int)m->a;
		snprintf(p->model, sizeof(p->model), "%.63s", m->reason);
		admit(p, first);
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
	sup_deadline(w, w->d->cfg.worker_ms + EXIT_MS, "did not exit after its end");
}

static void handle(struct worker *w, const struct pvgpu_sup *m)
{
	switch (m->kind) {
	case PVGPU_SUP_READY:
		ready(w, m);
		break;
	case PVGPU_SUP_SEALED:
		w->sealed = true;
		/* Any other is not ended by that: its guest has gone, or has closed. */
		if (w->why == takes_long)
			sup_deadline(w, 0, NULL);
		open_sealed(w);
		break;
	case PVGPU_SUP_LEASE:
		lease_asked(w, m);
		break;
	case PVGPU_SUP_RETURN:
		lease_returned(w, m);
		break;
	case PVGPU_SUP_STATE:
		adopt_state(w, m);
		break;
	case PVGPU_SUP_MEMINFO:
		sup_meminfo(w);
		break;
	case PVGPU_SUP_CHUNKED:
		xenctl_chunked(w, m);
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
		sup_deadline(w, EXIT_MS, "closed its control socket");
}

static void on_message(struct worker *w)
{
	struct pvgpu_sup m;
	char reason[CHECK_REASON];
	struct msg_in in;
	int r = msg_recv(w->control, &m, sizeof(m), 0, &in);

	if (r == -EAGAIN)
		return;
	if (r <= 0) {
		hung_up(w);
		return;
	}
	if (w->state == CHECK_ENDED)
		return;
	r = in.fds_lost ? -EPROTO : check_from_worker(&m, in.len, w->state, reason);
	if (r < 0)
		faults_kill(w, FAULT_PROTOCOL, "broke the protocol: %s",
			    in.fds_lost ? "message with fds" : reason);
	else
		handle(w, &m);
}
