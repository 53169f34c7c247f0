/* SPDX-License-Identifier: MIT */
/* A vGPU in a schedule: policy, statistics, moves. */
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"

/* Adds the library's counters to our own, which survive a move to another pool and pvgpud's end. */
static void take_stats(struct tenant *t, uint64_t now)
{
	struct sched_stats n, *was = &t->seen;

	sched_stats(t->v, now, &n);
	/* Time held back by its own maximum does not count as waiting for others. */
	t->count->wait_ns += (n.waited_ns - n.capped_ns) - (was->waited_ns - was->capped_ns);
	t->count->throttled_ns += n.capped_ns - was->capped_ns;
	t->count->due_ns += n.due_ns - was->due_ns;
	if (n.longest_wait_ns > t->count->longest_wait_ns)
		t->count->longest_wait_ns = n.longest_wait_ns;
	*was = n;
}

static struct sched_vgpu *enlist(struct tenant *t, struct schedule *s, struct sched_group *group,
				 uint64_t now)
{
	return sched_add(s->lib, group, &t->policy.share, t, now);
}

static void join(struct tenant *t, struct schedule *s, struct sched_vgpu *v)
{
	t->v = v;
	t->s = s;
	t->limits_at = SCHED_NEVER;
	t->seen = (struct sched_stats){0};
	t->charged_ns = 0;
	TAILQ_INSERT_TAIL(&s->tenants, t, link);
	schedule_count(t);
}

static void leave(struct tenant *t, uint64_t now)
{
	struct schedule *s = t->s;

	if (t == s->overlapped || t == s->holder)
		charge_settle(s, now);
	take_stats(t, now);
	schedule_uncount(t);
	if (t == s->holder)
		s->holder = NULL;
	if (t == s->leaving)
		s->leaving = NULL;
	if (t == s->overlapped)
		s->overlapped = NULL;
	if (t->look)
		TAILQ_REMOVE(&s->looks, t, look_link);
	schedule_set_undrained(t, false);
	joint_leave(t);
	s->wanting -= t->wants;
	s->muted -= t->muted;
	t->wants = t->on_gpu = t->look = t->muted = false;
	TAILQ_REMOVE(&s->tenants, t, link);
	sched_remove(t->v, now);
}

struct tenant *tenant_new(struct schedule *s, struct sched_group *group,
			  const struct tenant_policy *p, struct tenant_stats *count)
{
	struct tenant *t = calloc(1, sizeof(*t));
	uint64_t now = schedule_now();
	struct sched_vgpu *v;

	if (!t)
		return NULL;
	TAILQ_INIT(&t->gates);
	t->policy = *p;
	t->drain_q8 = t->rate_q8 = 256;
	t->users = 1;
	t->count = count ? count : &t->own;
	rate_limits_set(t, now);
	v = enlist(t, s, group, now);
	if (v) {
		join(t, s, v);
		return t;
	}
	free(t);
	return NULL;
}

void tenant_free(struct tenant *t)
{
	struct schedule *s = t->s;

	schedule_think(s);
	leave(t, schedule_now());
	rate_limits_gone(t);
	free(t);
	schedule_think(s);
}

void tenant_set(struct tenant *t, const struct tenant_policy *p)
{
	uint64_t now;
	struct gate *g;

	schedule_think(t->s); /* charges the time so far by the old share */
	now = schedule_now();
	schedule_uncount(t);
	t->policy = *p;
	schedule_count(t);
	sched_set_share(t->v, &p->share, now);
	rate_limits_set(t, now);
	rate_limits_run(t, now);
	TAILQ_FOREACH(g, &t->gates, link)
	{
		__atomic_store_n(&g->word->depth, p->depth, __ATOMIC_SEQ_CST);
		if (gate_sleeps(g))
			gate_ring(g);
	}
	schedule_think(t->s);
}

int tenant_move(struct tenant *t, struct schedule *to, struct sched_group *group)
{
	struct schedule *from = t->s;
	struct sched_vgpu *v;
	uint64_t now;

	schedule_think(from);
	now = schedule_now();
	if (from == to) {
		sched_move(t->v, group, now);
		schedule_think(from);
		return 0;
	}
	v = enlist(t, to, group, now);
	if (!v)
		return -ENOMEM;
	leave(t, now);
	join(t, to, v);
	schedule_think(from);
	return 0;
}

uint64_t schedule_charged_ns(const struct schedule *s)
{
	return s->charged_ns;
}

uint64_t schedule_waste_ns(const struct schedule *s)
{
	return s->waste_ns;
}

struct schedule *tenant_schedule(const struct tenant *t)
{
	return t->s;
}

void tenant_charge(struct tenant *t, uint64_t ns)
{
	t->count->gpu_ns += ns;
	t->charged_ns += ns;
	t->s->charged_ns += ns;
	if (t == t->s->holder && !t->s->exact && !t->joint)
		t->ahead_ns += ns;
	sched_charge(t->v, ns, schedule_now());
	schedule_think(t->s);
}

static void add_throttled(struct tenant_stats *n, uint64_t ns)
{
	n->throttled_ns += ns;
	n->rate_ns += ns;
}

void tenant_stats(struct tenant *t, struct tenant_stats *out)
{
	uint64_t now;
	struct gate *g;

	/* Before the counts: no histogram has a launch that they lack. */
	TAILQ_FOREACH(g, &t->gates, link)
	latency_take(g, schedule_now());
	schedule_look(t);
	now = schedule_now();
	take_stats(t, now);
	*out = *t->count;
	out->promise_ppm = sched_promise(t->v);
	if (t->throttled)
		add_throttled(out, now - t->throttled_at);
	out->inflight_ns = out->parked = 0;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		out->inflight_ns += g->last.inflight_ns < 1000000000000u ? g->last.inflight_ns : 0;
		out->parked += latency_parked(g);
	}
}

void tenant_restore(struct tenant *t, const struct tenant_stats *before)
{
	struct tenant_stats *n = t->count;

	n->gpu_ns += before->gpu_ns;
	n->due_ns += before->due_ns;
	n->wait_ns += before->wait_ns;
	n->throttled_ns += before->throttled_ns;
	n->copy_bytes += before->copy_bytes;
	n->launches += before->launches;
	n->commands += before->commands;
	n->slices += before->slices;
	n->rate_ns += before->rate_ns;
}
