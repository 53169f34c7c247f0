/* SPDX-License-Identifier: MIT */
/*
 * Drives the scheduling library for one GPU. schedule_think() runs after every bell, at the timer
 * and after every change: it charges the time that has passed, takes the reports of workers,
 * decides, hands over, and sets the timer.
 *
 * Hand-over. The holder's gates are closed. The next vGPU's open when the holder's work in flight
 * is nearly done, by its report and the accuracy of its former reports, or when it reports that it
 * has drained. An exclusive pool waits for the latter.
 */
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define COST_MIN_NS     20000u /* of a hand-over, in which the GPU changes contexts */
#define COST_DRY_NS     20000u /* added where the former holder was about to run dry */
#define COST_MAX_NS     2000000u
#define INFLIGHT_MIN_NS 100000u
#define SOON_NS         10000u
#define SAMPLE_NS       50000u /* less work in flight is no sample of a report's accuracy */

void schedule_set_undrained(struct tenant *t, bool undrained)
{
	if (undrained && !t->undrained)
		TAILQ_INSERT_TAIL(&t->s->undrained, t, undrained_link);
	else if (!undrained && t->undrained)
		TAILQ_REMOVE(&t->s->undrained, t, undrained_link);
	t->undrained = undrained;
	t->as_issued &= undrained;
	if (undrained)
		return;
	t->helped = false;
	t->help_at = 0;
}

/* ---- reports of workers ---- */

static void learn_cost(struct schedule *s, uint64_t ns)
{
	ns += COST_MIN_NS;
	if (ns > COST_MAX_NS)
		ns = COST_MAX_NS;
	s->cost_ns = (s->cost_ns * 15 + ns) / 16;
}

/* The grant was given before the former holder had drained: did the new holder's work start early
 * enough to leave no gap? */
static void learn_overlap(struct schedule *s, bool dry)
{
	struct pvgpu_gate_report r;
	bool works = false;
	struct gate *g;

	if (!s->holder)
		return;
	TAILQ_FOREACH(g, &s->holder->gates, link)
	{
		gate_report(g, &r);
		works |= r.inflight_ns != 0;
	}
	learn_cost(s, !works ? s->late_ns : dry ? COST_DRY_NS : 0);
}

static void see_drained(struct schedule *s, struct tenant *t, uint64_t now)
{
	uint64_t took = now - t->undrained_since, ratio;
	const bool dry = t->dry;

	if (t->as_issued && !t->joint) {
		charge_alone(t, 0, now);
		charge_forget(t);
	}
	schedule_set_undrained(t, false);
	if (t->drain_ns >= SAMPLE_NS) {
		ratio = took * 256 / t->drain_ns;
		ratio = ratio < 16 ? 16 : ratio > 2048 ? 2048 : ratio;
		t->drain_q8 = (uint32_t)((t->drain_q8 * 3 + ratio) / 4);
	}
	if (s->joint_left ? TAILQ_EMPTY(&s->undrained) : t == s->leaving)
		s->drained_at = now;
	if (t == s->overlapped) {
		charge_settle(s, now);
		s->overlapped = NULL;
		learn_overlap(s, dry);
	}
}

static void tell_wants(struct schedule *s, struct tenant *t, bool wants, uint64_t now)
{
	if (wants == t->wants)
		return;
	if (!wants && t == s->holder && t->gate_n) {
		/* With inexact flags it may have begun again. */
		if (!s->exact)
			return;
		/* No other vGPU wants the GPU: it keeps the grant, so that it can begin again
		 * without a ring. Not so with a limited share, where its slices would go on ending.
		 */
		if (s->wanting == 1 && !s->limited_share)
			return;
	}
	if (!wants && t == s->holder && s->exact && !s->joint)
		dry_turn(t, true);
	t->wants = wants;
	t->want_turn = ev_iteration(s->loop);
	t->want_at = now;
	if (wants) {
		s->wanted_at[t->policy.share.class] = now;
		/* It begins where the others are, and the holder's time alone is behind it. */
		if (t != s->holder)
			charge_exactly(s, now);
	}
	s->wanting += wants ? 1u : -1u;
	sched_wants(t->v, wants, now);
}

static void look(struct schedule *s, struct tenant *t, uint64_t now, uint64_t *at)
{
	bool wants = false, on_gpu = false, closing = false, full = false;
	unsigned int users = 0;
	const uint64_t issued = t->issued;
	struct gate *g;
	uint64_t when;

	TAILQ_FOREACH(g, &t->gates, link)
	gate_take(g, now);
	if (t->issued != issued)
		t->issued_at = now;
	when = rate_limits_run(t, now);
	*at = when < *at ? when : *at;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		wants |= gate_wants(g);
		on_gpu |= g->open && (gate_wants(g) || !g->last.drained);
		closing |= g->closing;
		full |= g->was_full;
		g->was_full = false;
		users += g->open ? !g->last.drained : g->closing;
	}
	t->on_gpu = on_gpu;
	t->users = users ? users : 1;
	if (t->undrained && !closing && !t->helped) {
		see_drained(s, t, now);
	} else if (closing && t != s->holder && !t->undrained) {
		t->undrained_since = now; /* adopted */
		schedule_set_undrained(t, true);
	}
	/* Wall time is charged. */
	if ((s->exact || t != s->holder) && !t->joint && !t->as_issued)
		t->alone_ns = 0;
	joint_seen(t, full);
	/* Of several at once only one that is held or asked tells when it runs dry, and one that is
	 * held must not get its gate back by that. */
	if (t->joint_open)
		wants &= joint_busy(t, now);
	wants &= !dry_look(t, wants, now);
	if (wants || !t->joint || t->joint_open || now >= s->joint_at)
		tell_wants(s, t, wants, now);
}

/* Looks at vGPUs whose allowances are due, and not at each bell of others. */
static void look_at_limits(struct schedule *s, uint64_t now, uint64_t *at)
{
	struct tenant *t;

	if (now >= s->limits_at) {
		s->limits_at = SCHED_NEVER;
		TAILQ_FOREACH(t, &s->tenants, link)
		{
			if (t != s->holder && now >= t->limits_at)
				look(s, t, now, at);
			if (t->limits_at < s->limits_at)
				s->limits_at = t->limits_at;
		}
	}
	*at = s->limits_at < *at ? s->limits_at : *at;
}

/* Looks at vGPUs whose reports may have changed. *at: when to look again for rate limits. */
static void look_around(struct schedule *s, uint64_t now, uint64_t *at)
{
	struct tenant *t, *next;

	if (s->holder)
		look(s, s->holder, now, at);
	if (s->joint && now >= s->joint_at) {
		TAILQ_FOREACH(t, &s->tenants, link)
		{
			if (t->joint && t != s->holder)
				look(s, t, now, at);
		}
	}
	for (t = TAILQ_FIRST(&s->undrained); t; t = next) {
		next = TAILQ_NEXT(t, undrained_link);
		look(s, t, now, at);
	}
	while ((t = TAILQ_FIRST(&s->looks))) {
		TAILQ_REMOVE(&s->looks, t, look_link);
		t->look = false;
		if (t != s->holder)
			look(s, t, now, at);
	}
	look_at_limits(s, now, at);
}

/* ---- the grant ---- */

void schedule_uncount(struct tenant *t)
{
	t->s->inhabited[t->policy.share.class] -= t->gate_n != 0;
	t->s->weighed = false;
}

void schedule_count(struct tenant *t)
{
	t->s->inhabited[t->policy.share.class] += t->gate_n != 0;
	t->s->weighed = false;
}

bool schedule_is_below(const struct tenant *t)
{
	for (int c = 0; c < (int)t->policy.share.class; c++) {
		if (t->s->inhabited[c])
			return true;
	}
	return false;
}

static void weigh(struct schedule *s)
{
	uint32_t weight[SCHED_CLASSES] = {0}, *w;
	const struct tenant *t;

	for (int c = 0; c < SCHED_CLASSES; c++)
		s->alike[c] = true;
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->gate_n)
			continue;
		w = &weight[t->policy.share.class];
		s->alike[t->policy.share.class] &= !*w || *w == t->policy.share.weight;
		*w = t->policy.share.weight;
	}
	s->weighed = true;
}

bool schedule_alike(const struct tenant *t)
{
	if (!t->s->weighed)
		weigh(t->s);
	return t->s->alike[t->policy.share.class];
}

/*
 * The work in flight of a vGPU is what the next one has to wait for. With less in flight a worker
 * that is starved of CPU runs dry sooner, so the amount is reduced only for the sake of higher
 * classes, most while one of them comes and goes, and of heavier vGPUs.
 */
static uint64_t most_in_flight(const struct tenant *t, uint64_t now)
{
	const struct schedule *s = t->s;
	const uint64_t least = sched_inflight_below(s->cost_ns);
	const bool below = schedule_is_below(t);
	bool soon = false;
	uint64_t most;

	for (int c = 0; c < (int)t->policy.share.class; c++) {
		soon |= s->inhabited[c] && s->wanted_at[c] &&
			now - s->wanted_at[c] < SCHED_SOON_BACK_NS;
	}
	/* Work in flight at the end of a slice prolongs the turn. */
	if (s->exact || s->limited_share) {
		most = s->slice_ns / 2;
		if (!schedule_alike(t) && most > SCHED_UNLIKE_NS)
			most = SCHED_UNLIKE_NS;
		return below && least < most ? least : most;
	}
	most = below ? PVGPU_GATE_ALONE_NS * 3 / 4 : PVGPU_GATE_ALONE_NS;
	if (!soon || least >= most)
		return most;
	return least < most / 2 ? most / 2 : least;
}

static void tell_holder(struct schedule *s, uint64_t now)
{
	struct tenant *t = s->holder;
	unsigned int busy = 0;
	bool learn;
	uint64_t ns;
	struct gate *g;

	if (!t)
		return;
	learn = TAILQ_EMPTY(&s->undrained);
	TAILQ_FOREACH(g, &t->gates, link)
	busy += g->last.wants;
	ns = most_in_flight(t, now) / (busy ? busy : 1);
	ns = ns < INFLIGHT_MIN_NS ? INFLIGHT_MIN_NS : ns;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		gate_tell_issued(g, dry_expected(t));
		gate_tell(g, s->exact, learn, ns);
	}
}

/* When the next vGPU may have the grant that t has lost. */
static uint64_t expect_drain(struct tenant *t, uint64_t now)
{
	const uint64_t early = sched_early(t->s->cost_ns), all = tenant_drain_ns(t);
	uint64_t ns = all * t->drain_q8 / 256;

	t->drain_ns = all <= SCHED_WAIT_NS ? all : 0;
	if (t->dry)
		return now;
	/* It reports nothing in flight but has not drained: give it a moment. */
	if (t->undrained && !all)
		return now + t->s->cost_ns;
	/* Only a little of one long piece of work may be left. */
	if (ns > SCHED_WAIT_NS)
		ns = tenant_drains_in(t, now);
	return ns > early && ns <= SCHED_WAIT_NS ? now + ns - early : now;
}

static void take_grant(struct schedule *s, uint64_t now)
{
	struct tenant *t = s->holder;
	bool undrained = false;
	struct gate *g;

	if (t->wants)
		dry_turn(t, false);
	charge_settle(s, now);
	s->holder = NULL;
	t->want_turn = ev_iteration(s->loop);
	t->want_at = now;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		gate_set_open(g, false, now);
		undrained |= g->closing;
	}
	schedule_set_undrained(t, undrained);
	s->leaving = t;
	t->undrained_since = now;
	s->drained_at = t->undrained ? 0 : now;
	s->give_at = expect_drain(t, now);
}

static bool may_give(const struct schedule *s, uint64_t now)
{
	if (s->params.exclusive)
		return TAILQ_EMPTY(&s->undrained) && !s->awaited;
	if (!s->leaving || now >= s->give_at)
		return true;
	return s->joint_left ? TAILQ_EMPTY(&s->undrained) : !s->leaving->undrained;
}

static void give_grant(struct schedule *s, struct tenant *t, uint64_t now)
{
	struct gate *g;

	if (s->leaving && s->leaving != t) {
		s->handovers++;
		charge_settle(s, now);
		s->no_doubt = false;
		s->overlapped = s->drained_at ? NULL : s->leaving;
		if (s->overlapped)
			TAILQ_FOREACH(g, &s->overlapped->gates, link)
		gate_learn_no_more(g);
		/* The next worker's wake-up is assumed to be as late as this process's. */
		if (s->drained_at)
			learn_cost(s, now - s->drained_at + s->late_ns);
	}
	s->leaving = NULL;
	s->joint_left = false;
	s->holder = t;
	s->given_at = now;
	charge_granted(s, now);
	s->dry_at = SCHED_NEVER;
	sched_granted(s->lib, t ? t->v : NULL, now);
	if (!t)
		return;
	if (t->as_issued)
		charge_forget(t);
	schedule_set_undrained(t, false);
	s->waits += t->wants;
	s->wait_turns += t->wants ? ev_iteration(s->loop) - t->want_turn : 0;
	if (t->wants)
		pvgpu_latency_add(&t->count->grant_wait, now - t->want_at);
	t->count->slices++;
	t->on_gpu = true;
	t->issued_at = now;
	tell_holder(s, now);
	TAILQ_FOREACH(g, &t->gates, link)
	gate_set_open(g, true, now);
}

/* Tells the library the cost of a hand-over when it has changed by an eighth. */
static void tell_cost(struct schedule *s, uint64_t now)
{
	uint64_t d = s->cost_ns > s->told_ns ? s->cost_ns - s->told_ns : s->told_ns - s->cost_ns;

	if (d * 8 < s->told_ns)
		return;
	s->told_ns = s->params.handover_ns = s->cost_ns;
	sched_set(s->lib, &s->params, now);
}

/* Until then a lone holder with a maximum counts as working. Then it is asked, and if it rests it
 * gives the grant back: no timer runs for it. */
static uint64_t works_until(const struct tenant *t, uint64_t slice_ns, uint64_t now)
{
	return (t == t->s->holder ? t->issued_at : now) + SCHED_REST_SLICES * slice_ns;
}

/* Does a former holder's work run on beside the holder's? Each is charged its part of the GPU's
 * time then, also if no other vGPU wants the GPU. */
static bool any_runs_on(const struct schedule *s, uint64_t now)
{
	const struct tenant *t;

	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	{
		if (tenant_drain_ns(t) > SCHED_WAIT_NS || now - t->undrained_since > SCHED_WAIT_NS)
			return true;
	}
	return false;
}

static struct tenant *ask(struct schedule *s, uint64_t now)
{
	struct sched_decision d;
	struct tenant *t;
	uint64_t until = 0;
	bool exact, runs_on;

	runs_on = any_runs_on(s, now);
	sched_runs_on(s->lib, runs_on, now);
	sched_ends(s->lib, s->holder ? dry_ends_in(s->holder, now) : 0, now);
	sched_decide(s->lib, now, &d);
	t = d.holder ? sched_owner(d.holder) : NULL;
	s->limited_share = d.contended && d.alone;
	if (s->limited_share)
		until = works_until(t, d.slice_ns, now);
	exact = (d.contended && until <= now) || runs_on;
	if (exact || t != s->holder)
		charge_exactly(s, now);
	s->exact = exact;
	s->slice_ns = d.slice_ns;
	s->again = until > now && until < d.again ? until : d.again;
	return t;
}

static void decide(struct schedule *s, uint64_t now)
{
	const struct tenant *was = s->holder;
	const bool joint = s->joint;
	struct tenant *next = ask(s, now);

	if (joint_decide(s, next, now)) {
		/* The slice begins with the grant: ask again for its end. */
		if (s->holder != was)
			ask(s, now);
		return;
	}
	if (joint)
		next = ask(s, now);
	if (s->holder && next != s->holder)
		take_grant(s, now);
	if (!s->holder && (next || s->leaving) && may_give(s, now)) {
		give_grant(s, next, now);
		/* One of a higher class may have come while the former holder drained. */
		if (ask(s, now) != next)
			s->again = now;
		else if (joint_decide(s, next, now))
			return;
	}
	tell_holder(s, now);
}

/* ---- the timer ---- */

static void arm(struct schedule *s, uint64_t at, uint64_t now)
{
	struct itimerspec t = {.it_value = {.tv_sec = (time_t)(at / 1000000000u),
					    .tv_nsec = (long)(at % 1000000000u)}};

	/* A timer that fires too early wakes once in vain, which is cheaper than setting it each
	 * time. The same holds for one that is not needed any more. */
	if (at == SCHED_NEVER || (s->armed > now && s->armed <= at))
		return;
	s->armed = at;
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

void schedule_think(struct schedule *s)
{
	uint64_t now = schedule_now(), at = SCHED_NEVER, next;

	if (s->stopped)
		return;

	charge(s, now);
	look_around(s, now, &at);
	if (s->joint)
		charge_joint(s, 0, now);
	else if (s->holder && !s->exact)
		charge_alone(s->holder, 0, now);
	if (s->muted)
		unmute(s, now, &at);
	if (!s->leaving || may_give(s, now)) {
		tell_cost(s, now);
		decide(s, now);
	}
	help_look(s, now, &at);
	next = !s->leaving ? s->again : s->params.exclusive ? SCHED_NEVER : s->give_at;
	at = next < at ? next : at;
	at = s->joint && s->joint_at < at ? s->joint_at : at;
	at = s->holder && s->dry_at < at ? s->dry_at : at;
	/* SOON_NS lets other events of the loop have their turn. */
	arm(s, at > now + SOON_NS ? at : now + SOON_NS, now);
}

void schedule_look(struct tenant *t)
{
	if (!t->look)
		TAILQ_INSERT_TAIL(&t->s->looks, t, look_link);
	t->look = true;
	schedule_think(t->s);
}

void schedule_join(struct gate *g, uint64_t now)
{
	struct tenant *t = g->tenant;

	if (t->joint)
		joint_join(g, now);
	else if (t == t->s->holder)
		gate_set_open(g, true, now);
}

static void on_timer(struct ev_loop *loop, ev_io *io, int events)
{
	struct schedule *s = io->data;
	uint64_t count, now = schedule_now(), late;

	if (read(s->timer, &count, sizeof(count)) < 0)
		return;
	late = now > s->armed ? now - s->armed : 0;
	late = late < COST_MAX_NS ? late : COST_MAX_NS;
	s->late_ns = (s->late_ns * 15 + late) / 16;
	s->wakeups++;
	schedule_think(s);
	if (s->armed <= now)
		s->armed = SCHED_NEVER;
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
	s->params = *p;
	s->cost_ns = s->told_ns = s->params.handover_ns = 2 * COST_MIN_NS;
	s->armed = s->again = s->limits_at = s->dry_at = SCHED_NEVER;
	s->charged_at = now;
	TAILQ_INIT(&s->tenants);
	TAILQ_INIT(&s->undrained);
	TAILQ_INIT(&s->looks);
	s->lib = sched_new(&s->params, now);
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (!s->lib || s->timer < 0) {
		if (s->lib)
			sched_free(s->lib);
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
	sched_free(s->lib);
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

	charge(s, now);
	s->params = *p;
	s->params.handover_ns = s->cost_ns;
	TAILQ_FOREACH(t, &s->tenants, link)
	TAILQ_FOREACH(g, &t->gates, link)
	gate_set_exclusive(g, p->exclusive);
	sched_set(s->lib, &s->params, now);
	schedule_think(s);
}

void schedule_await(struct schedule *s, bool more)
{
	s->awaited += more ? 1u : -1u;
	schedule_think(s);
}

struct sched_group *schedule_group_add(struct schedule *s, const struct sched_share *share)
{
	return sched_group_add(s->lib, share, s, schedule_now());
}

void schedule_group_set(struct schedule *s, struct sched_group *g, const struct sched_share *share)
{
	uint64_t now = schedule_now();

	charge(s, now);
	sched_group_set(g, share, now);
	schedule_think(s);
}

void schedule_group_remove(struct schedule *s, struct sched_group *g)
{
	sched_group_remove(g, schedule_now());
}

uint64_t schedule_handover_ns(const struct schedule *s)
{
	return s->cost_ns;
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
	return s->handovers;
}
