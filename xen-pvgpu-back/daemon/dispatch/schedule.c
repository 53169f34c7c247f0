/* SPDX-License-Identifier: MIT */
/*
 * Drives the turns of one GPU (sched/turn) with workers' gates and a timer. schedule_think() runs
 * after every bell, at the timer and after every change.
 */
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define SOON_NS 10000u /* lets other events of the loop have their turn */

/* ---- what turns have done ---- */

static void report(struct turn_vgpu *v, uint64_t now)
{
	struct tenant *t = tenant_of(v);
	struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	gate_take(g, now);
	rate_limits_run(t, now);
	TAILQ_FOREACH(g, &t->gates, link)
	g->session.limited = rate_limits_used_up(g);
}

static void charge(struct turn_vgpu *v, uint64_t ns)
{
	tenant_of(v)->count->gpu_ns += ns;
}

static void waits(struct turn_vgpu *v, uint64_t now)
{
	struct tenant *t = tenant_of(v);

	t->want_turn = ev_iteration(t->s->loop);
	t->want_at = now;
}

static void granted(struct turn_vgpu *v, uint64_t now)
{
	struct tenant *t = tenant_of(v);

	t->s->waits++;
	t->s->wait_turns += ev_iteration(t->s->loop) - t->want_turn;
	pvgpu_latency_add(&t->count->grant_wait, now - t->want_at);
}

static const struct turn_actions actions = {
	.report = report,
	.open = gate_open,
	.close = gate_close,
	.tell = gate_tell,
	.charge = charge,
	.granted = granted,
	.waits = waits,
};

/* ---- the timer ---- */

static void arm(struct schedule *s, uint64_t at, uint64_t now)
{
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
					    .tv_nsec = (long)(at % 1000000000u)}};

	/* A timer that fires too early wakes once in vain, which is cheaper than setting it each
	 * time. The same holds for one that is not needed any more. */
	if (at == SCHED_NEVER || (s->turns.armed > now && s->turns.armed <= at))
		return;
	s->turns.armed = at;
	timerfd_settime(s->timer, TFD_TIMER_ABSTIME, &t, NULL);
}

/* vGPUs that ring too often are muted until their window ends. */
static void unmute(struct schedule *s, uint64_t now, uint64_t *at)
{
	struct tenant *t;
	struct gate *g;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		bool over = now >= t->window_end;

		if (!t->muted)
			continue;
		TAILQ_FOREACH(g, &t->gates, link)
		{
			if (over && !g->hung_up)
				ev_io_start(s->loop, &g->io);
			else
				ev_io_stop(s->loop, &g->io);
		}
		t->muted = !over;
		s->muted -= over;
		if (!over && t->window_end < *at)
			*at = t->window_end;
	}
}

/* vGPUs whose allowances are due have news, and not at each bell of others. */
static void limits_due(struct schedule *s, uint64_t now)
{
	struct tenant *t;

	if (now < s->limits_at)
		return;
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (now >= t->limits_at)
			turns_news(&t->vgpu);
	}
}

static uint64_t limits_next(struct schedule *s, uint64_t now)
{
	struct tenant *t;

	if (now < s->limits_at)
		return s->limits_at;
	s->limits_at = SCHED_NEVER;
	TAILQ_FOREACH(t, &s->tenants, link)
	s->limits_at = t->limits_at < s->limits_at ? t->limits_at : s->limits_at;
	return s->limits_at;
}

void schedule_think(struct schedule *s)
{
	uint64_t now = schedule_now(), at, limits;

	if (s->stopped)
		return;
	limits_due(s, now);
	at = turns_step(&s->turns, now);
	if (s->muted)
		unmute(s, now, &at);
	limits = limits_next(s, now);
	at = limits < at ? limits : at;
	arm(s, at > now + SOON_NS ? at : now + SOON_NS, now);
}

void schedule_look(struct tenant *t)
{
	turns_news(&t->vgpu);
	schedule_think(t->s);
}

static void on_timer(struct ev_loop *loop, ev_io *io, int events)
{
	struct schedule *s = io->data;
	uint64_t count, now = schedule_now();

	if (read(s->timer, &count, sizeof(count)) < 0)
		return;
	turns_fired(&s->turns, now);
	s->wakeups++;
	schedule_think(s);
	if (s->turns.armed <= now)
		s->turns.armed = SCHED_NEVER;
}

/* ---- schedules ---- */

struct schedule *schedule_new(struct ev_loop *loop, const char *name, const struct sched_params *p)
{
	struct schedule *s = calloc(1, sizeof(*s));
	uint64_t now = schedule_now();

	if (!s)
		return NULL;
	s->loop = loop;
	snprintf(s->name, sizeof(s->name), "%s", name);
	s->limits_at = SCHED_NEVER;
	TAILQ_INIT(&s->tenants);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (turns_init(&s->turns, p, &actions, now) < 0 || s->timer < 0) {
		turns_end(&s->turns);
		if (s->timer >= 0)
			close(s->timer);
		free(s);
		return NULL;
	}
	ev_io_init(&s->timer_io, on_timer, s->timer, EV_READ);
	s->timer_io.data = s;
	ev_io_start(loop, &s->timer_io);
	return s;
}

void schedule_free(struct schedule *s)
{
	ev_io_stop(s->loop, &s->timer_io);
	close(s->timer);
	turns_end(&s->turns);
	free(s);
}

void schedule_stop(struct schedule *s)
{
	s->stopped = true;
}

void schedule_set(struct schedule *s, const struct sched_params *p)
{
	uint64_t now = schedule_now();
	struct tenant *t;
	struct gate *g;

	TAILQ_FOREACH(t, &s->tenants, link)
	TAILQ_FOREACH(g, &t->gates, link)
	gate_set_exclusive(g, p->exclusive);
	turns_set(&s->turns, p, now);
	schedule_think(s);
}

void schedule_await(struct schedule *s, bool more)
{
	s->turns.awaited += more ? 1u : -1u;
	schedule_think(s);
}

struct sched_group *schedule_group_add(struct schedule *s, const struct sched_share *share)
{
	return sched_group_add(s->turns.lib, share, s, schedule_now());
}

void schedule_group_set(struct schedule *s, struct sched_group *g, const struct sched_share *share)
{
	uint64_t now = schedule_now();

	turns_charge(&s->turns, now);
	sched_group_set(g, share, now);
	schedule_think(s);
}

void schedule_group_remove(struct schedule *s, struct sched_group *g)
{
	sched_group_remove(g, schedule_now());
}

uint64_t schedule_handover_ns(const struct schedule *s)
{
	return s->turns.cost_ns;
}

uint64_t schedule_waits(const struct schedule *s, uint64_t *turns)
{
	*turns = s->wait_turns;
	return s->waits;
}

uint64_t schedule_wakeups(const struct schedule *s)
{
	return s->wakeups;
}

uint64_t schedule_handovers(const struct schedule *s)
{
	return s->turns.handovers;
}
