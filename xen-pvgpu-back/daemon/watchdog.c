/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/watchdog.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/account.h"
#include "xen-pvgpu-back/daemon/daemon.h"
#include "xen-pvgpu-back/daemon/faults.h"
#include "xen-pvgpu-back/daemon/share.h"

#define MS      UINT64_C(1000000)
#define FIRST_S 0.01

/* False: it has nothing to be watched. */
static bool view(struct worker *w, uint64_t now, struct watch_view *v)
{
	struct pvgpu_gate_report r;
	uint64_t age;

	if (w->state != CHECK_SERVING || !w->vgpu || !gate_read(w, &r))
		return false;
	age = w->started_ms ? now_ms() - w->started_ms : 0;
	*v = (struct watch_view){
		.now = now,
		.session_began = age * MS < now ? now - age * MS : 0,
		/* What is only being issued is not there yet: a call may compile first. */
		.oldest = r.inflight_ns ? r.oldest_ns : 0,
		.closed = gate_closed_ns(w),
		.limit_ns = w->vgpu->cfg.kernel_limit_ms * MS,
		.exclusive = w->vgpu->pool->cfg.exclusive,
		.grace_ns = w->d->cfg.watchdog_grace_ms * MS,
	};
	v->used_known = account_used(w, &v->used_ns);
	return true;
}

/* Which vGPUs have long work; and which GPUs' use by process is counted: some drivers tell of
 * processes, but nothing of what they use. */
static void take_all(struct daemon *d, uint64_t now)
{
	struct watch_view v;
	struct worker *w;

	for (unsigned int i = 0; i < d->pool_n; i++)
		d->pools[i]->long_vgpus = 0;
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		d->vgpus[i]->is_long = false;
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (!view(w, now, &v))
			continue;
		watch_take(&w->watch, &v);
		w->vgpu->pool->use_counted |= v.used_known && v.used_ns;
		if (w->vgpu->is_long || !watch_is_long(&w->watch, now))
			continue;
		w->vgpu->is_long = true;
		w->vgpu->pool->long_vgpus++;
	}
}

unsigned int watchdog_long(const struct pool *p)
{
	uint64_t now = pvgpu_poll_now();
	unsigned int n = 0;
	struct watch_view v;
	struct worker *w;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->pool != p || !view(w, now, &v))
			continue;
		watch_take(&w->watch, &v);
		n += watch_is_long(&w->watch, now);
	}
	return n;
}

static void act(struct worker *w, enum watch_do what, uint64_t now)
{
	const struct vgpu *v = w->vgpu;
	const unsigned int limit = v->cfg.kernel_limit_ms;

	switch (what) {
	case WATCH_ASK:
		gate_ask(w);
		break;
	case WATCH_HOLD:
		log_warning("%s: work of %" PRIu64
			    " ms on the GPU, over the kernel-limit of %u ms: "
			    "gate closed, %u ms of grace",
			    sup_name(w), watch_age(&w->watch, now) / MS, limit,
			    w->d->cfg.watchdog_grace_ms);
		gate_hold(w, true);
		break;
	case WATCH_RELEASE:
		log_info("%s: its work has ended in time", sup_name(w));
		gate_hold(w, false);
		break;
	case WATCH_END:
		faults_kill(w, FAULT_WATCHDOG,
			    "%" PRIu64 " ms on the GPU: vGPU %s's kernel-limit is %u ms, "
			    "pvgpuctl set changes it",
			    watch_age(&w->watch, now) / MS, v->cfg.name, limit);
		break;
	default:
		break;
	}
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct daemon *d = t->data;
	uint64_t now = pvgpu_poll_now(), next = UINT64_MAX, again;
	struct watch_view v;
	struct worker *w;

	take_all(d, now);
	TAILQ_FOREACH(w, &d->workers, link)
	{
		if (!view(w, now, &v))
			continue;
		v.used_known &= w->vgpu->pool->use_counted;
		v.others = v.limit_ns ? w->vgpu->pool->long_vgpus - w->vgpu->is_long : 0;
		act(w, watch_look(&w->watch, &v, &again), now);
		if (again < next)
			next = again;
	}
	if (next == UINT64_MAX)
		return; /* the next session wakes us */
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
