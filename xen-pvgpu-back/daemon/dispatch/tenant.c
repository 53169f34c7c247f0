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

	sched_stats(t->vgpu.sched, now, &n);
	/* Time held back by its own maximum does not count as waiting for others. */
	t->count->wait_ns += (n.waited_ns - n.capped_ns) - (was->waited_ns - was->capped_ns);
	t->count->throttled_ns += n.capped_ns - was->capped_ns;
	t->count->due_ns += n.due_ns - was->due_ns;
	if (n.longest_wait_ns > t->count->longest_wait_ns)
		t->count->longest_wait_ns = n.longest_wait_ns;
	*was = n;
	t->count->slices += t->vgpu.grants - t->seen_grants;
	t->seen_grants = t->vgpu.grants;
}

static void join(struct tenant *t, struct schedule *s)
{
	t->s = s;
	t->limits_at = SCHED_NEVER;
	t->seen = (struct sched_stats){0};
	TAILQ_INSERT_TAIL(&s->tenants, t, link);
}

static void leave(struct tenant *t)
{
	t->s->muted -= t->muted;
	t->muted = false;
	TAILQ_REMOVE(&t->s->tenants, t, link);
}

struct tenant *tenant_new(struct schedule *s, struct sched_group *group,
			  const struct tenant_policy *p, struct tenant_stats *count)
{
	struct tenant *t = calloc(1, sizeof(*t));
	uint64_t now = schedule_now();

	if (!t)
		return NULL;
	turn_vgpu_init(&t->vgpu);
	TAILQ_INIT(&t->gates);
	t->policy = *p;
	t->count = count ? count : &t->own;
	rate_limits_set(t, now);
	if (turns_add(&s->turns, &t->vgpu, group, &p->share, now) < 0) {
		free(t);
		return NULL;
	}
	join(t, s);
	return t;
}

void tenant_free(struct tenant *t)
{
	struct schedule *s = t->s;
	uint64_t now;

	schedule_think(s);
	now = schedule_now();
	take_stats(t, now);
	turns_remove(&t->vgpu, now);
	leave(t);
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
	t->policy = *p;
	turns_set_share(&t->vgpu, &p->share, now);
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
	uint64_t now;

	schedule_think(from);
	now = schedule_now();
	if (from == to) {
		sched_move(t->vgpu.sched, group, now);
		schedule_think(from);
		return 0;
	}
	take_stats(t, now);
	if (turns_move(&t->vgpu, &to->turns, group, now) < 0)
		return -ENOMEM;
	leave(t);
	join(t, to);
	schedule_think(from);
	return 0;
}

uint64_t schedule_charged_ns(const struct schedule *s)
{
	return s->turns.charged_ns;
}

uint64_t schedule_waste_ns(const struct schedule *s)
{
	return s->turns.waste_ns;
}

struct schedule *tenant_schedule(const struct tenant *t)
{
	return t->s;
}

void tenant_charge(struct tenant *t, uint64_t ns)
{
	turns_charge_more(&t->vgpu, ns, schedule_now());
	schedule_think(t->s);
}

void tenant_measured(struct tenant *t, uint64_t used_ns)
{
	turns_measured(&t->vgpu, used_ns);
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
	out->promise_ppm = sched_promise(t->vgpu.sched);
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
