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
#include "xen-pvgpu-back/sched/turn/internal.h"

#define STILL                                                                                      \
	2u /* looks at which one has issued nothing, before it is asked: some may wait for others  \
	    */
#define LINGER_NS 20000000u
#define SHOWN_NS  5000000u /* so much is issued before one counts as brief: its first turn */
#define UNSEEN_NS 500000u
#define OLD_NS    100000000u /* work that is older does not end, or waits for something, */
#define OLD_PER   4u         /* beyond so many times what all of them have in flight */

/* The lead by which one is held grows at a look at an idle GPU, and shrinks at another one: in
 * balance the GPU is idle at one look of 121. */
#define AHEAD_MORE 500000u
#define AHEAD_LESS (AHEAD_MORE / 120)

uint64_t joint_ahead_least(uint64_t slice_ns)
{
	return slice_ns < 2ull * SCHED_JOINT_NS ? slice_ns / 2 : SCHED_JOINT_NS;
}

uint64_t joint_ahead_look(uint64_t ahead_ns, uint64_t slice_ns, bool idle)
{
	const uint64_t least = joint_ahead_least(slice_ns);

	ahead_ns = ahead_ns < least ? least : ahead_ns;
	if (!idle)
		return ahead_ns - least < AHEAD_LESS ? least : ahead_ns - AHEAD_LESS;
	return ahead_ns + AHEAD_MORE < SCHED_AHEAD_NS ? ahead_ns + AHEAD_MORE : SCHED_AHEAD_NS;
}

static uint64_t in_flight(const struct turn_vgpu *v)
{
	const struct turn_session *s;
	uint64_t ns = 0;

	TAILQ_FOREACH(s, &v->sessions, link)
	ns += s->last.inflight_ns < OLD_NS ? s->last.inflight_ns : OLD_NS;
	return ns;
}

/* All that is in flight would have ended twice by now: its worker is starved of CPU, and has not
 * seen the end. */
static bool should_have_ended(const struct turn_session *s, uint64_t now)
{
	const uint64_t all = s->vgpu->turns->joint.inflight_ns, own = s->last.inflight_ns;
	const uint64_t ns = own > all ? own : all;

	return s->last.oldest_ns && ns < OLD_NS && s->last.oldest_ns + 2 * ns + UNSEEN_NS < now;
}

bool joint_busy(const struct turn_vgpu *v, uint64_t now)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (s->last.inflight_ns && s->last.commands > s->last.awaited &&
		    !should_have_ended(s, now))
			return true;
	}
	return false;
}

/* Has work been on the GPU since then for longer than its place in the GPU's queue explains? */
static bool is_old(const struct turns *t, uint64_t since, uint64_t now)
{
	return since && since + OLD_NS + OLD_PER * t->joint.inflight_ns < now;
}

static bool works_long(const struct turn_vgpu *v, uint64_t now)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (!s->last.drained && is_old(v->turns, s->last.oldest_ns, now))
			return true;
	}
	return false;
}

void joint_seen(struct turn_vgpu *v, bool full)
{
	if (full || in_flight(v) > window_brief_kernel(v->turns->cost_ns, window_alike(v)))
		v->joint.full_from = v->issued;
}

/* It has not filled its queue with what it has issued last. */
static bool is_brief(const struct turn_vgpu *v)
{
	const struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		if (!s->last.counts_full)
			return false;
	}
	return v->issued - v->joint.full_from >= SHOWN_NS;
}

bool joint_may(const struct turn_vgpu *v)
{
	/* Work of several in flight would be in the way of a higher class. */
	return !window_is_below(v) && sched_may_join(v->sched) && is_brief(v);
}

static bool may_begin(const struct turns *t, const struct turn_vgpu *next, uint64_t now)
{
	const struct turn_vgpu *v, *h = t->holder;
	unsigned int n = 0;

	if (t->wanting < 2 || t->params.exclusive || t->limited_share || t->awaited)
		return false;
	/* A holder that is not brief gives the grant back first, as in turns. */
	if (!h || (h != next && h->wants && !joint_may(h)) || !joint_may(next))
		return false;
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (v->wants && joint_may(v) && ++n == 2)
			return true;
	}
	return false;
}

static void open_gates(struct turn_vgpu *v, uint64_t now)
{
	const bool opens = v->state != TURN_MEMBER;
	struct turn_session *s;

	if (opens) {
		state_event(v, TURN_OPEN);
		v->grants += v != v->turns->holder;
		if (v->wants)
			v->turns->act->granted(v, now);
		sched_joint(v->sched, true, now);
	}
	TAILQ_FOREACH(s, &v->sessions, link)
	{
		window_tell_joint(s);
		session_set_open(s, true, now);
	}
}

static void close_gates(struct turn_vgpu *v, uint64_t now)
{
	if (v->state != TURN_MEMBER)
		return;
	sessions_set_open(v, false, now);
	state_event(v, TURN_CLOSE);
	sched_joint(v->sched, false, now);
	v->turns->act->waits(v, now);
	leavers_begin(v, now);
	v->drain_ns = 0;
	v->as_issued = state_leaves(v);
}

void joint_admit(struct turn_session *s, uint64_t now)
{
	if (s->vgpu->state != TURN_MEMBER)
		return;
	window_tell_joint(s);
	session_set_open(s, true, now);
}

static void add(struct turn_vgpu *v, uint64_t now)
{
	help_end(v, now);
	state_event(v, TURN_JOIN);
	v->joint.asked = false;
	v->joint.still = 0;
	v->joint.idle_since = 0;
	v->joint.seen = v->issued;
	if (v->state == TURN_MEMBER)
		sched_joint(v->sched, true, now);
	else if (!v->as_issued)
		charge_forget(v);
}

static void drop(struct turn_vgpu *v)
{
	state_event(v, TURN_DROP);
	v->joint.asked = false;
	if (!v->as_issued)
		charge_forget(v);
}

void joint_leave(struct turn_vgpu *v)
{
	if (state_joint(v) && !v->as_issued)
		charge_forget(v);
	v->joint.asked = false;
}

static bool any_waits_apart(const struct turns *t)
{
	const struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (v->wants && !state_joint(v) && !sched_held(v->sched))
			return true;
	}
	return false;
}

static void charge_rest(struct turns *t, uint64_t now)
{
	if (any_waits_apart(t))
		charge_joint_rest(t, now - t->joint.last, now);
	t->joint.last = now;
	t->joint.charged = 0;
}

/* Takes a look's results: which of them must be asked. True: work of one takes too long. */
static bool judge(struct turns *t, uint64_t now)
{
	bool late = false, held = false, busy = false, idle;
	uint64_t in = 0;
	struct turn_vgpu *v;

	charge_rest(t, now);
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!state_joint(v))
			continue;
		in += in_flight(v);
		if ((v->joint.asked && works_long(v, now)) ||
		    (state_leaves(v) && is_old(t, v->drains_since, now))) {
			v->joint.full_from = v->issued;
			late = true;
		}
		v->joint.still = v->issued == v->joint.seen ? v->joint.still + 1 : 0;
		idle = !v->wants && v->joint.still;
		v->joint.asked = v->wants && v->joint.still >= STILL + t->joint.n / 4;
		v->joint.seen = v->issued;
		if (!idle || !v->joint.idle_since)
			v->joint.idle_since = idle ? now : 0;
		held |= v->wants && v->state != TURN_MEMBER;
		/* The time in which a worker is starved gives the others no more of a lead. */
		busy |= state_leaves(v) || joint_busy(v, 0);
	}
	t->joint.inflight_ns = in;
	t->joint.ahead_ns = joint_ahead_look(t->joint.ahead_ns, t->slice_ns, held && !busy);
	return late;
}

static bool may_go_on(const struct turns *t, const struct turn_vgpu *next)
{
	if (!next || t->joint.n < 2 || t->params.exclusive || t->awaited)
		return false;
	/* Without work it keeps the grant until another one begins. */
	return !next->wants || joint_may(next);
}

/* The one that is least ahead, but for `first`. */
static struct turn_vgpu *least_ahead(struct turns *t, const struct turn_vgpu *first)
{
	struct turn_vgpu *v, *best = NULL;
	int64_t lead, least = 0;

	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!state_joint(v) || !v->wants || v == first)
			continue;
		lead = sched_lead(v->sched);
		if (best && lead >= least)
			continue;
		least = lead;
		best = v;
	}
	return best;
}

static bool may_run(const struct turn_vgpu *v, const struct turn_vgpu *first,
		    const struct turn_vgpu *second)
{
	/* Slices grow with the cost of a hand-over; here is none. */
	const int64_t least = (int64_t)joint_ahead_least(v->turns->slice_ns);
	const int64_t most = (int64_t)v->turns->joint.ahead_ns > least
				     ? (int64_t)v->turns->joint.ahead_ns
				     : least;
	/* The first in turn of all may be one that waits for its own turn. */
	const int64_t lead = v->wants ? sched_lead(v->sched) - sched_lead(first->sched) : 0;

	/* One that was held and has run dry rings when it has work again. */
	if (!v->wants)
		return v->state == TURN_MEMBER;
	if (v == first)
		return true;
	/* Two at least, so that one has work while the other's guest looks at its results. */
	if (v == second)
		return lead <= (2 * least > most ? 2 * least : most);
	return lead <= (v->state == TURN_MEMBER ? most : most / 2);
}

/* Those that want the GPU come in; one that is not brief any more waits for a turn of its own. */
static void choose_members(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		const bool may = !v->wants || joint_may(v);
		const bool lingers = v->wants || v == t->holder || !v->joint.idle_since ||
				     now - v->joint.idle_since <= LINGER_NS;

		if (state_joint(v) && !(may && lingers)) {
			close_gates(v, now);
			drop(v);
		} else if (!state_joint(v) && v->wants && may) {
			add(v, now);
		}
	}
}

static void open_and_hold(struct turns *t, uint64_t now)
{
	const struct turn_vgpu *first, *second;
	struct turn_vgpu *v;

	choose_members(t, now);
	first = least_ahead(t, NULL);
	second = least_ahead(t, first);
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!state_joint(v))
			continue;
		if (may_run(v, first, second))
			open_gates(v, now);
		else
			close_gates(v, now);
	}
}

/* Charge all members what they have issued since the last look. */
static void charge_all(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (state_joint(v))
			sessions_report(v, now);
	}
	charge_joint(t, 0, now);
	charge_rest(t, now);
}

/* Back to turns. next keeps its gate if it is open; the others' work drains beside it. */
static void end(struct turns *t, struct turn_vgpu *next, uint64_t now)
{
	struct turn_vgpu *v, *last = NULL;
	const bool stays = next && next->state == TURN_MEMBER && !t->params.exclusive;
	uint64_t in = 0;

	charge_all(t, now);
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!state_joint(v))
			continue;
		if (v == next && stays) {
			sched_joint(v->sched, false, now);
		} else if (v->state == TURN_MEMBER) {
			in += in_flight(v);
			close_gates(v, now);
			last = state_leaves(v) || !last ? v : last;
		}
		drop(v);
		v->account.ahead_ns = v == next ? in_flight(v) : 0;
	}
	t->joint.on = false;
	t->holder = stays ? next : NULL;
	t->leaving = stays ? NULL : last;
	t->joint.left = !stays;
	t->drained_at = last && state_leaves(last) ? 0 : now;
	in = in < OLD_NS ? in : OLD_NS;
	t->give_at = now + (in > t->cost_ns ? in - t->cost_ns : t->cost_ns);
	if (stays)
		sched_granted(t->lib, next->sched, now);
}

static void begin(struct turns *t, uint64_t now)
{
	t->joint.on = true;
	t->joint.at = now;
	t->joint.last = now;
	t->joint.charged = t->joint.inflight_ns = 0;
}

bool joint_decide(struct turns *t, struct turn_vgpu *next, uint64_t now)
{
	bool due = t->joint.on && now >= t->joint.at;

	if (t->joint.on && ((due && judge(t, now)) || !may_go_on(t, next))) {
		end(t, next, now);
		return false;
	}
	if (!t->joint.on) {
		if (!next || !may_begin(t, next, now))
			return false;
		begin(t, now);
		due = true;
	}
	if (t->holder != next) {
		if (t->holder && !state_joint(t->holder))
			add(t->holder, now);
		t->holder = next;
		next->grants += next->state != TURN_MEMBER;
		sched_granted(t->lib, next->sched, now);
	}
	open_and_hold(t, now);
	if (due)
		t->joint.at = now + sched_look(t->joint.n);
	return true;
}
