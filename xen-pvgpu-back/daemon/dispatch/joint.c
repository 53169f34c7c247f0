/* SPDX-License-Identifier: MIT */
/*
 * The GPU for several vGPUs at once. Programs that launch little and wait for it leave the GPU idle
 * at each turn's end: a hand-over wakes several processes one after the other. So brief vGPUs,
 * which never have more than 2 ms in flight, have their turns together: when one of them is next,
 * the gates of all of them that want the GPU are open, and the GPU itself queues their work.
 * Nothing is woken then: pvgpud looks at their reports every few milliseconds and charges what each
 * has issued. One that is ahead of the first in turn by more than half a slice is held until the
 * others have caught up. Only one that has work at that look counts among the others: no vGPU is
 * held for a program that thinks.
 *
 * A vGPU that is not brief, or that a group, a class or a guarantee decides about, has turns of its
 * own between theirs. One whose maximum is reached is out until it may have a slice again.
 *
 * A worker in such a turn does not ring when it runs dry. One that has issued nothing for a
 * few looks is asked: it is told that others wait, and rings when it is idle. Its gate stays open
 * for LINGER_NS, so that it begins again without a hand-over.
 */
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define STILL                                                                                      \
	2u /* looks at which one has issued nothing, before it is asked: some may wait for others  \
	    */
#define LINGER_NS     20000000u
#define RATE_NS       100000000u /* estimated use between two comparisons with the driver's account, */
#define RATE_FIRST_NS 50000000u /* and before the first, which counts as a whole */
#define RATE_LEAST_Q8 64u
#define RATE_MOST_Q8  1024u
#define UNSEEN_NS     500000u
#define OLD_NS        100000000u /* work that is older does not end, or waits for something, */
#define OLD_PER       4u         /* beyond so many times what all of them have in flight */

static uint64_t in_flight(const struct tenant *t)
{
	const struct gate *g;
	uint64_t ns = 0;

	TAILQ_FOREACH(g, &t->gates, link)
	ns += g->last.inflight_ns < OLD_NS ? g->last.inflight_ns : OLD_NS;
	return ns;
}

static uint64_t most_at_once(const struct tenant *t)
{
	return sched_brief(t->s->cost_ns, schedule_alike(t));
}

void tenant_measured(struct tenant *t, uint64_t used_ns)
{
	const uint64_t issued = t->issued - t->rate_from;
	uint64_t q8;

	t->rate_used += used_ns < NEVER_NS ? used_ns : NEVER_NS;
	/* The driver's account is late: both begin where it has found something. */
	if (t->rate_known == RATE_NONE) {
		t->rate_known = t->rate_used ? RATE_BEGUN : RATE_NONE;
	} else if (issued >= (t->rate_known == RATE_BEGUN ? RATE_FIRST_NS : RATE_NS)) {
		q8 = t->rate_used / (issued / 256);
		q8 = q8 < RATE_LEAST_Q8 ? RATE_LEAST_Q8 : q8 > RATE_MOST_Q8 ? RATE_MOST_Q8 : q8;
		t->rate_q8 = t->rate_known == RATE_BEGUN ? (uint32_t)q8
							 : (t->rate_q8 + (uint32_t)q8) / 2;
		t->rate_known = RATE_KNOWN;
	} else {
		return;
	}
	t->rate_from = t->issued;
	t->rate_used = 0;
}

/* All that is in flight would have ended twice by now: its worker is starved of CPU, and has not
 * seen the end. */
static bool should_have_ended(const struct gate *g, uint64_t now)
{
	const uint64_t all = g->tenant->s->joint_inflight, own = g->last.inflight_ns;
	const uint64_t ns = own > all ? own : all;

	return g->last.oldest_ns && ns < OLD_NS && g->last.oldest_ns + 2 * ns + UNSEEN_NS < now;
}

bool joint_busy(const struct tenant *t, uint64_t now)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (g->last.inflight_ns && g->last.commands > g->last.awaited &&
		    !should_have_ended(g, now))
			return true;
	}
	return false;
}

/* Has work been on the GPU since then for longer than its place in the GPU's queue explains? */
static bool is_old(const struct schedule *s, uint64_t since, uint64_t now)
{
	return since && since + OLD_NS + OLD_PER * s->joint_inflight < now;
}

static bool works_long(const struct tenant *t, uint64_t now)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (!g->last.drained && is_old(t->s, g->last.oldest_ns, now))
			return true;
	}
	return false;
}

void joint_seen(struct tenant *t, bool full)
{
	if (full || in_flight(t) > sched_brief_kernel(t->s->cost_ns, schedule_alike(t)))
		t->full_from = t->issued;
}

/* It has not filled its queue with what it has issued last. */
static bool is_brief(const struct tenant *t)
{
	const struct gate *g;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (!g->counts_full)
			return false;
	}
	return t->issued - t->full_from >= SCHED_SHOWN_NS;
}

bool joint_may(const struct tenant *t)
{
	/* Work of several in flight would be in the way of a higher class. */
	return !schedule_is_below(t) && sched_may_join(t->v) && is_brief(t);
}

static bool may_begin(const struct schedule *s, const struct tenant *next, uint64_t now)
{
	const struct tenant *t, *h = s->holder;
	unsigned int n = 0;

	if (s->wanting < 2 || s->params.exclusive || s->limited_share || s->awaited)
		return false;
	/* A holder that is not brief gives the grant back first, as in turns. */
	if (!h || (h != next && h->wants && !joint_may(h)) || !joint_may(next))
		return false;
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (t->wants && joint_may(t) && ++n == 2)
			return true;
	}
	return false;
}

static void set_gates(struct tenant *t, bool open, uint64_t now)
{
	const bool opens = open && !t->joint_open;
	bool undrained = false;
	struct gate *g;

	if (!open && !t->joint_open)
		return;
	if (opens) {
		schedule_set_undrained(t, false);
		t->count->slices += t != t->s->holder;
		t->s->waits += t->wants;
		t->s->wait_turns += t->wants ? ev_iteration(t->s->loop) - t->want_turn : 0;
		if (t->wants)
			pvgpu_latency_add(&t->count->grant_wait, now - t->want_at);
	}
	TAILQ_FOREACH(g, &t->gates, link)
	{
		if (open)
			gate_tell(g, t->asked, false, most_at_once(t));
		gate_set_open(g, open, now);
		undrained |= g->closing;
	}
	t->joint_open = open;
	sched_beside(t->v, open, now);
	if (open)
		return;
	t->want_turn = ev_iteration(t->s->loop);
	t->want_at = now;
	t->undrained_since = now;
	t->drain_ns = 0;
	t->as_issued = undrained;
	schedule_set_undrained(t, undrained);
}

void joint_join(struct gate *g, uint64_t now)
{
	struct tenant *t = g->tenant;

	if (!t->joint_open)
		return;
	gate_tell(g, t->asked, false, most_at_once(t));
	gate_set_open(g, true, now);
}

static void add(struct tenant *t, uint64_t now)
{
	t->joint = true;
	t->asked = false;
	t->still = 0;
	t->joint_open = t == t->s->holder;
	t->idle_since = 0;
	t->issued_seen = t->issued;
	t->s->joints++;
	if (t->joint_open)
		sched_beside(t->v, true, now);
	else if (!t->as_issued)
		charge_forget(t);
}

static void drop(struct tenant *t)
{
	t->joint = t->asked = false;
	if (!t->as_issued)
		charge_forget(t);
	t->s->joints--;
}

void joint_leave(struct tenant *t)
{
	if (t->joint)
		drop(t);
	t->joint_open = t->as_issued = false;
}

static bool any_waits_apart(const struct schedule *s)
{
	const struct tenant *t;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (t->wants && !t->joint && !sched_held(t->v))
			return true;
	}
	return false;
}

static void charge_rest(struct schedule *s, uint64_t now)
{
	if (any_waits_apart(s))
		charge_joint_rest(s, now - s->joint_last, now);
	s->joint_last = now;
	s->joint_charged = 0;
}

/* Takes a look's results: which of them must be asked. True: work of one takes too long. */
static bool judge(struct schedule *s, uint64_t now)
{
	bool late = false, held = false, busy = false, idle;
	uint64_t in = 0;
	struct tenant *t;

	charge_rest(s, now);
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->joint)
			continue;
		in += in_flight(t);
		if ((t->asked && works_long(t, now)) ||
		    (t->undrained && is_old(s, t->undrained_since, now))) {
			t->full_from = t->issued;
			late = true;
		}
		t->still = t->issued == t->issued_seen ? t->still + 1 : 0;
		idle = !t->wants && t->still;
		t->asked = t->wants && t->still >= STILL + s->joints / 4;
		t->issued_seen = t->issued;
		if (!idle || !t->idle_since)
			t->idle_since = idle ? now : 0;
		held |= t->wants && !t->joint_open;
		/* The time in which a worker is starved gives the others no more of a lead. */
		busy |= t->undrained || joint_busy(t, 0);
	}
	s->joint_inflight = in;
	s->ahead_ns = sched_ahead_look(s->ahead_ns, s->slice_ns, held && !busy);
	return late;
}

static bool may_go_on(const struct schedule *s, const struct tenant *next)
{
	if (!next || s->joints < 2 || s->params.exclusive || s->awaited)
		return false;
	/* Without work it keeps the grant until another one begins. */
	return !next->wants || joint_may(next);
}

/* The one that is least ahead, but for `first`. */
static struct tenant *least_ahead(struct schedule *s, const struct tenant *first)
{
	struct tenant *t, *best = NULL;
	int64_t lead, least = 0;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->joint || !t->wants || t == first)
			continue;
		lead = sched_lead(t->v);
		if (best && lead >= least)
			continue;
		least = lead;
		best = t;
	}
	return best;
}

static bool may_run(const struct tenant *t, const struct tenant *first, const struct tenant *second)
{
	/* Slices grow with the cost of a hand-over; here is none. */
	const int64_t least = (int64_t)sched_ahead_least(t->s->slice_ns);
	const int64_t most = (int64_t)t->s->ahead_ns > least ? (int64_t)t->s->ahead_ns : least;
	/* The first in turn of all may be one that waits for its own turn. */
	const int64_t lead = t->wants ? sched_lead(t->v) - sched_lead(first->v) : 0;

	/* One that was held and has run dry rings when it has work again. */
	if (!t->wants)
		return t->joint_open;
	if (t == first)
		return true;
	/* Two at least, so that one has work while the other's guest looks at its results. */
	if (t == second)
		return lead <= (2 * least > most ? 2 * least : most);
	return lead <= (t->joint_open ? most : most / 2);
}

/* Those that want the GPU come in; one that is not brief any more waits for a turn of its own. */
static void choose_members(struct schedule *s, uint64_t now)
{
	struct tenant *t;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		const bool may = !t->wants || joint_may(t);
		const bool lingers = t->wants || t == s->holder || !t->idle_since ||
				     now - t->idle_since <= LINGER_NS;

		if (t->joint && !(may && lingers)) {
			set_gates(t, false, now);
			drop(t);
		} else if (!t->joint && t->wants && may) {
			add(t, now);
		}
	}
}

static void open_and_hold(struct schedule *s, uint64_t now)
{
	const struct tenant *first, *second;
	struct tenant *t;

	choose_members(s, now);
	first = least_ahead(s, NULL);
	second = least_ahead(s, first);
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (t->joint)
			set_gates(t, may_run(t, first, second), now);
	}
}

/* Charge all members what they have issued since the last look. */
static void charge_all(struct schedule *s, uint64_t now)
{
	struct tenant *t;
	struct gate *g;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->joint)
			continue;
		TAILQ_FOREACH(g, &t->gates, link)
		gate_take(g, now);
	}
	charge_joint(s, 0, now);
	charge_rest(s, now);
}

/* Back to turns. next keeps its gate if it is open; the others' work drains beside it. */
static void end(struct schedule *s, struct tenant *next, uint64_t now)
{
	struct tenant *t, *last = NULL;
	const bool stays = next && next->joint_open && !s->params.exclusive;
	uint64_t in = 0;

	charge_all(s, now);
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->joint)
			continue;
		if (t == next && stays) {
			sched_beside(t->v, false, now);
		} else if (t->joint_open) {
			in += in_flight(t);
			set_gates(t, false, now);
			last = t->undrained || !last ? t : last;
		}
		drop(t);
		t->joint_open = false;
		t->ahead_ns = t == next ? in_flight(t) : 0;
	}
	s->joint = false;
	s->holder = stays ? next : NULL;
	s->leaving = stays ? NULL : last;
	s->joint_left = !stays;
	s->drained_at = last && last->undrained ? 0 : now;
	in = in < OLD_NS ? in : OLD_NS;
	s->give_at = now + (in > s->cost_ns ? in - s->cost_ns : s->cost_ns);
	if (stays)
		sched_granted(s->lib, next->v, now);
}

static void begin(struct schedule *s, uint64_t now)
{
	s->joint = true;
	s->joint_at = now;
	s->joint_last = now;
	s->joint_charged = s->joint_inflight = 0;
}

bool joint_decide(struct schedule *s, struct tenant *next, uint64_t now)
{
	bool due = s->joint && now >= s->joint_at;

	if (s->joint && ((due && judge(s, now)) || !may_go_on(s, next))) {
		end(s, next, now);
		return false;
	}
	if (!s->joint) {
		if (!next || !may_begin(s, next, now))
			return false;
		begin(s, now);
		due = true;
	}
	if (s->holder != next) {
		if (s->holder && !s->holder->joint)
			add(s->holder, now);
		s->holder = next;
		next->count->slices += !next->joint_open;
		sched_granted(s->lib, next->v, now);
	}
	open_and_hold(s, now);
	if (due)
		s->joint_at = now + sched_look(s->joints);
	return true;
}
