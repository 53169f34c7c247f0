/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/watchdog.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

#define MS      UINT64_C(1000000)
#define FIRST_S 0.01

/* The simulated GPU's name, tests/simcuda. Each worker says what its GPU is before it has a guest.
 */
#define SIMULATED "pvgpu simulated GPU"

static bool is_simulated(const struct worker *w)
{
	return !strcmp(w->vgpu->pool->model, SIMULATED);
}

/* Time for which the worker's threads waited for a processor, all together: the second number of
 * each one's schedstat (proc(5)). */
static uint64_t starved(const struct worker *w)
{
	unsigned long long ran, waited;
	uint64_t all = 0;
	char path[64 + NAME_MAX];
	struct dirent *e;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)w->pid);
	tasks = opendir(path);
	while (tasks && (e = readdir(tasks))) {
		FILE *f;

		snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)w->pid, e->d_name);
		f = e->d_name[0] != '.' ? fopen(path, "re") : NULL;
		if (f && fscanf(f, "%llu %llu", &ran, &waited) == 2)
			all += waited;
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return all;
}

/* False: the worker has no session to watch. */
static bool view(struct worker *w, uint64_t now, struct overdue_view *v)
{
	struct pvgpu_gate_report r;
	uint64_t age;

	if (w->state != CHECK_SERVING || !w->vgpu || !share_gate_read(w, &r))
		return false;
	age = w->started_ms ? now_ms() - w->started_ms : 0;
	*v = (struct overdue_view){
		.now = now,
		.session_began = age * MS < now ? now - age * MS : 0,
		/* A command that is being issued is not on the GPU yet: the call may compile code
		 * first. */
		.oldest = r.inflight_ns ? r.oldest_ns : 0,
		.closed = share_gate_closed_ns(w),
		.limit_ns = w->vgpu->cfg.policy.kernel_limit * MS,
		.exclusive = w->vgpu->pool->cfg.mode != POOL_SHARED,
		.grace_ns = w->d->cfg.watchdog_grace_ms * MS,
	};
	v->others_ns = share_gate_others_ns(w);
	/* A stream that waits for a word uses nothing of the GPU. */
	v->used_known = account_used(w, &v->used_ns) && !r.words;
	return true;
}

/* Counts each vGPU's workers with long work, and finds the GPUs whose use is counted by process:
 * some drivers list processes without their use. */
static void take_all(struct daemon *d, uint64_t now)
{
	struct overdue_view v;
	struct worker *w;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		d->vgpus[i]->long_workers = 0;
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (!view(w, now, &v))
			continue;
		overdue_take(&w->overdue, &v);
		w->vgpu->pool->use_counted |= v.used_known && v.used_ns;
		w->vgpu->long_workers += overdue_is_long(&w->overdue, now);
	}
}

unsigned int watchdog_long(const struct pool *p)
{
	uint64_t now = pvgpu_poll_now();
	unsigned int n = 0;
	struct overdue_view v;
	struct worker *w;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool != p || !view(w, now, &v))
			continue;
		overdue_take(&w->overdue, &v);
		n += overdue_is_long(&w->overdue, now);
	}
	return n;
}

static void act(struct worker *w, enum overdue_do what, uint64_t now)
{
	const struct vgpu *v = w->vgpu;
	const unsigned int limit = v->cfg.policy.kernel_limit;

	switch (what) {
	case OVERDUE_ASK:
		share_gate_ask(w);
		break;
	case OVERDUE_HOLD:
		log_warning("%s: work of %" PRIu64
			    " ms on the GPU, over the kernel-limit of %u ms: "
			    "gate closed, %u ms of grace",
			    worker_name(w), overdue_age(&w->overdue, now) / MS, limit,
			    w->d->cfg.watchdog_grace_ms);
		share_gate_hold(w, true);
		break;
	case OVERDUE_RELEASE:
		log_info("%s: its work ended within the grace: gate released", worker_name(w));
		share_gate_hold(w, false);
		break;
	case OVERDUE_END:
		faults_kill(w, FAULT_WATCHDOG,
			    "%" PRIu64 " ms on the GPU: vGPU %s's kernel-limit is %u ms, "
			    "pvgpuctl set changes it",
			    overdue_age(&w->overdue, now) / MS, v->cfg.name, limit);
		break;
	default:
		break;
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct daemon *d = t->data;
	uint64_t now = pvgpu_poll_now(), next = UINT64_MAX, again;
	struct overdue_view v;
	struct worker *w;

	take_all(d, now);
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (!view(w, now, &v))
			continue;
		v.used_known &= w->vgpu->pool->use_counted;
		v.siblings = w->vgpu->long_workers - overdue_is_long(&w->overdue, now);
		v.starved_known = is_simulated(w) && overdue_asks_starved(&w->overdue, &v);
		if (v.starved_known)
			v.starved_ns = starved(w);
		act(w, overdue_look(&w->overdue, &v, &again), now);
		if (again < next)
			next = again;
	}
	if (next == UINT64_MAX)
		return; /* the next session starts the timer again */
	ev_timer_set(t, (double)next / 1e9 + 0.0005, 0.);
	ev_timer_start(loop, t);
}

void watchdog_init(struct daemon *d)
{
	ev_timer_init(&d->watchdog, on_timer, 0., 0.);
	d->watchdog.data = d;
}

void watchdog_wake(struct daemon *d)
{
	if (ev_is_active(&d->watchdog))
		return;
	ev_timer_set(&d->watchdog, FIRST_S, 0.);
	ev_timer_start(d->loop, &d->watchdog);
}

void watchdog_stop(struct daemon *d)
{
	ev_timer_stop(d->loop, &d->watchdog);
}
