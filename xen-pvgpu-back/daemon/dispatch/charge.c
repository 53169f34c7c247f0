/* SPDX-License-Identifier: MIT */
/*
 * Charging. While the holder's flags are exact (others want the GPU, or its share is limited) wall
 * time is charged: to the holder while it has work, and to vGPUs that have lost the grant and not
 * drained yet. The time is divided by the number of workers with work on the GPU, which serves
 * processes in turn. Just after a hand-over each process of the former holder is first in the GPU's
 * queue, for a time slice or until its work ends; if there is one, and one of the new holder, it is
 * known when the former holder drains. While a vGPU is alone its workers' reported use is charged,
 * at most the time that has passed.
 *
 * While several have the GPU at once (joint.c) each is charged what it has issued, by its workers'
 * estimates, and at most the time that has passed, until that work has drained. A worker that
 * reports less than it uses is found by the driver's accounting, which charges the rest. While
 * another vGPU waits for its own turn the time of theirs is charged as a whole: changes of contexts
 * and the time in which their programs look at results are theirs.
 */
#include "xen-pvgpu-back/daemon/dispatch/schedule_state.h"

#define QUEUED_NS 2000000u /* the GPU's own time slice: then it serves both in turn */
#define DOUBT_NS  (3 * QUEUED_NS)
#define LATE_NS   1000000u /* timers and loops are later than they should be by less */

static void charge_one(struct tenant *t, uint64_t ns, uint64_t now)
{
	if (!ns)
		return;
	t->count->gpu_ns += ns;
	t->charged_ns += ns;
	t->s->charged_ns += ns;
	t->s->joint_charged += ns;
	sched_charge(t->v, ns, now);
}

/* Charges a vGPU's use as its workers report it. */
void charge_alone(struct tenant *t, uint64_t passed, uint64_t now)
{
	uint64_t ns, ahead;

	t->budget_ns += passed;
	ns = t->alone_ns < t->budget_ns ? t->alone_ns : t->budget_ns;
	t->alone_ns -= ns;
	t->budget_ns -= ns;
	/* A part may be charged already, after the driver's accounting reported it first. */
	ahead = ns < t->ahead_ns ? ns : t->ahead_ns;
	t->ahead_ns -= ahead;
	charge_one(t, ns - ahead, now);
}

void charge_forget(struct tenant *t)
{
	t->alone_ns = t->budget_ns = t->ahead_ns = 0;
}

void charge_joint_rest(struct schedule *s, uint64_t passed, uint64_t now)
{
	const uint64_t charged = s->joint_charged;
	uint64_t issued = 0, rest;
	struct tenant *t;

	TAILQ_FOREACH(t, &s->tenants, link)
	issued += t->joint ? t->issued - t->issued_seen : 0;
	if (!issued || charged >= passed)
		return;
	rest = passed - charged;
	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (t->joint)
			charge_one(t,
				   (uint64_t)((unsigned __int128)rest *
					      (t->issued - t->issued_seen) / issued),
				   now);
	}
}

uint64_t charge_joint(struct schedule *s, uint64_t passed, uint64_t now)
{
	struct tenant *t;
	uint64_t busy = 0;

	TAILQ_FOREACH(t, &s->tenants, link)
	{
		if (!t->joint)
			continue;
		charge_alone(t, passed, now);
		busy += t->joint_open && joint_busy(t, now);
	}
	return busy;
}

/* A holder with work has the GPU, or has just got it. Of several at once the GPU has a queue. */
static void count_waste(struct schedule *s, uint64_t passed)
{
	const bool used = s->holder && (s->holder->on_gpu || !s->exact);

	if (!s->joint && !used && TAILQ_EMPTY(&s->undrained) && sched_any_queued(s->lib))
		s->waste_ns += passed;
}

/* The GPU is still at the former holder's work, behind which that of the new one is queued. */
static bool is_queued(const struct schedule *s, uint64_t now)
{
	return s->overlapped && s->overlapped->undrained && !s->overlapped->as_issued &&
	       now < s->queued_until;
}

/* A process that the GPU finds with work has a time slice before those that come later. */
void charge_granted(struct schedule *s, uint64_t now)
{
	s->queued_until = now + (s->overlapped ? s->overlapped->users : 0) * (uint64_t)QUEUED_NS;
}

/* Only of two processes is it known in which order the GPU serves them. */
static bool are_many(const struct schedule *s)
{
	const struct tenant *o = s->overlapped, *h = s->holder;

	return o && h && (o->users > 1 || h->users > 1);
}

/* The last work of the former holder is the only one on the GPU beside the holder's. */
static bool in_doubt(const struct schedule *s)
{
	const struct tenant *o = s->overlapped, *h = s->holder;

	return o && o->undrained && !o->as_issued && h && h->on_gpu && s->exact && !s->joint &&
	       !s->no_doubt && TAILQ_FIRST(&s->undrained) == o && !TAILQ_NEXT(o, undrained_link);
}

/*
 * Whose is the time since the hand-over? If the former holder has drained within a slice of the
 * GPU's, all is: its work was first in the queue. Else the GPU has taken that off at the end of its
 * slice, and the new holder has had one before the rest was done.
 */
void charge_settle(struct schedule *s, uint64_t now)
{
	const uint64_t ns = s->doubt_ns, holders = s->holder && ns >= QUEUED_NS ? QUEUED_NS : 0;

	s->doubt_ns = 0;
	if (holders)
		charge_one(s->holder, holders, now);
	if (s->overlapped)
		charge_one(s->overlapped, ns - holders, now);
}

/* Returns what is to be divided: work that does not drain is not waited for. */
static uint64_t charge_doubt(struct schedule *s, uint64_t passed, uint64_t now)
{
	const uint64_t left = DOUBT_NS - s->doubt_ns;

	s->no_doubt = passed >= left;
	s->doubt_ns += s->no_doubt ? left : passed;
	if (!s->no_doubt)
		return 0;
	charge_settle(s, now);
	return passed - left;
}

/* Return the most GPU time that the vGPU can have used since then, by its workers' reports. */
static uint64_t may_have_used(struct tenant *t, uint64_t since, uint64_t now)
{
	const uint64_t issued = t->issued;
	bool goes_on = false;
	struct gate *g;
	uint64_t ns = 0;

	TAILQ_FOREACH(g, &t->gates, link)
	{
		ns += g->last.inflight_ns < NEVER_NS ? g->last.inflight_ns : NEVER_NS;
		gate_take(g, now);
		/* One piece of work has been on the GPU all the time, however long it was to take.
		 */
		goes_on |= !g->last.drained && g->last.oldest_ns && g->last.oldest_ns <= since;
	}
	if (t->issued != issued)
		t->issued_at = now;
	return goes_on ? NEVER_NS : ns + t->issued - issued;
}

/*
 * pvgpud can be late: its process waits for a processor, or was busy with something else. A turn
 * that should have ended long ago goes on meanwhile, but its holder may have nothing to run, and is
 * not to wait for all others in return. So the time for which pvgpud is late counts as far as there
 * was work for it. Returns the time to charge.
 */
static uint64_t without_delay(struct schedule *s, uint64_t passed, uint64_t now)
{
	const uint64_t since = now - passed, late = s->armed < now ? now - s->armed : 0;
	uint64_t used = 0;
	struct tenant *t;

	if (late < LATE_NS || passed < LATE_NS)
		return passed;
	if (s->holder)
		used += may_have_used(s->holder, since, now);
	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	used += may_have_used(t, since, now);
	if (used >= passed)
		return passed;
	return late < passed && passed - late > used ? passed - late : used;
}

void charge(struct schedule *s, uint64_t now)
{
	struct tenant *t, *h = s->joint ? NULL : s->holder;
	const bool queued = is_queued(s, now), uses = h && s->exact && h->on_gpu && !queued;
	uint64_t passed = now - s->charged_at;
	uint64_t n = uses ? h->users : 0, busy;

	s->charged_at = now;
	s->no_doubt |= are_many(s);
	count_waste(s, passed);
	if (s->exact && !s->joint)
		passed = without_delay(s, passed, now);
	if (in_doubt(s)) {
		passed = charge_doubt(s, passed, now);
		if (!passed)
			return;
	} else if (s->doubt_ns) {
		charge_settle(s, now);
	}
	if (s->joint) {
		busy = charge_joint(s, passed, now);
		n = queued ? 0 : busy;
	}
	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	n += t->users;
	TAILQ_FOREACH(t, &s->undrained, undrained_link)
	{
		if (!t->as_issued)
			charge_one(t, passed * t->users / n, now);
		else if (!t->joint)
			charge_alone(t, passed, now);
	}
	if (uses)
		charge_one(h, passed * h->users / n, now);
	else if (h && !s->exact)
		charge_alone(h, passed, now);
}

/* Work begun before and not reported yet is charged here. */
void charge_exactly(struct schedule *s, uint64_t now)
{
	struct tenant *t = s->holder;
	struct gate *g;

	if (!t || s->exact || s->joint)
		return;
	TAILQ_FOREACH(g, &t->gates, link)
	{
		uint64_t since = g->last.oldest_ns, ns = since && since < now ? now - since : 0;

		/* If its program has waited for all of its work, the end is reported with the next
		 * command only. */
		if (g->last.commands <= g->last.awaited && g->last.inflight_ns < ns)
			ns = g->last.inflight_ns;
		t->alone_ns += ns;
	}
	charge_alone(t, 0, now);
	charge_forget(t);
}
