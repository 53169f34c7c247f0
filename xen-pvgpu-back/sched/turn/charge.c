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
#include "xen-pvgpu-back/sched/turn/internal.h"

#define QUEUED_NS 2000000u /* the GPU's own time slice: then it serves both in turn */
#define DOUBT_NS  (3 * QUEUED_NS)
#define LATE_NS   1000000u /* timers and loops are later than they should be by less */

static void charge_one(struct turn_vgpu *v, uint64_t ns, uint64_t now)
{
	if (!ns)
		return;
	v->turns->act->charge(v, ns);
	v->charged_ns += ns;
	v->turns->charged_ns += ns;
	v->turns->joint.charged += ns;
	sched_charge(v->sched, ns, now);
}

/* Charges a vGPU's use as its workers report it. */
void charge_alone(struct turn_vgpu *v, uint64_t passed, uint64_t now)
{
	uint64_t ns, ahead;

	v->account.budget_ns += passed;
	ns = v->account.reported_ns < v->account.budget_ns ? v->account.reported_ns
							   : v->account.budget_ns;
	v->account.reported_ns -= ns;
	v->account.budget_ns -= ns;
	/* A part may be charged already, after the driver's accounting reported it first. */
	ahead = ns < v->account.ahead_ns ? ns : v->account.ahead_ns;
	v->account.ahead_ns -= ahead;
	charge_one(v, ns - ahead, now);
}

void charge_forget(struct turn_vgpu *v)
{
	v->account.reported_ns = v->account.budget_ns = v->account.ahead_ns = 0;
}

void charge_joint_rest(struct turns *t, uint64_t passed, uint64_t now)
{
	const uint64_t charged = t->joint.charged;
	uint64_t issued = 0, rest;
	struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->vgpus, link)
	issued += state_joint(v) ? v->issued - v->joint.seen : 0;
	if (!issued || charged >= passed)
		return;
	rest = passed - charged;
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (state_joint(v))
			charge_one(v,
				   (uint64_t)((unsigned __int128)rest *
					      (v->issued - v->joint.seen) / issued),
				   now);
	}
}

uint64_t charge_joint(struct turns *t, uint64_t passed, uint64_t now)
{
	struct turn_vgpu *v;
	uint64_t busy = 0;

	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!state_joint(v))
			continue;
		charge_alone(v, passed, now);
		busy += v->state == TURN_MEMBER && joint_busy(v, now);
	}
	return busy;
}

/* A holder with work has the GPU, or has just got it. Of several at once the GPU has a queue. */
static void count_waste(struct turns *t, uint64_t passed)
{
	const bool used = t->holder && (t->holder->on_gpu || !t->exact);

	if (!t->joint.on && !used && TAILQ_EMPTY(&t->leavers) && sched_any_queued(t->lib))
		t->waste_ns += passed;
}

/* The GPU is still at the former holder's work, behind which that of the new one is queued. */
static bool is_queued(const struct turns *t, uint64_t now)
{
	return t->overlapped && state_leaves(t->overlapped) && !t->overlapped->as_issued &&
	       now < t->queued_until;
}

/* A process that the GPU finds with work has a time slice before those that come later. */
void charge_granted(struct turns *t, uint64_t now)
{
	t->queued_until = now + (t->overlapped ? t->overlapped->users : 0) * (uint64_t)QUEUED_NS;
}

/* Only of two processes is it known in which order the GPU serves them. */
static bool are_many(const struct turns *t)
{
	const struct turn_vgpu *o = t->overlapped, *h = t->holder;

	return o && h && (o->users > 1 || h->users > 1);
}

/* The last work of the former holder is the only one on the GPU beside the holder's. */
static bool in_doubt(const struct turns *t)
{
	const struct turn_vgpu *o = t->overlapped, *h = t->holder;

	return o && state_leaves(o) && !o->as_issued && h && h->on_gpu && t->exact &&
	       !t->joint.on && !t->no_doubt && TAILQ_FIRST(&t->leavers) == o &&
	       !TAILQ_NEXT(o, leaver_link);
}

/*
 * Whose is the time since the hand-over? If the former holder has drained within a slice of the
 * GPU's, all is: its work was first in the queue. Else the GPU has taken that off at the end of its
 * slice, and the new holder has had one before the rest was done.
 */
void charge_settle(struct turns *t, uint64_t now)
{
	const uint64_t ns = t->doubt_ns, holders = t->holder && ns >= QUEUED_NS ? QUEUED_NS : 0;

	t->doubt_ns = 0;
	if (holders)
		charge_one(t->holder, holders, now);
	if (t->overlapped)
		charge_one(t->overlapped, ns - holders, now);
}

/* Returns what is to be divided: work that does not drain is not waited for. */
static uint64_t charge_doubt(struct turns *t, uint64_t passed, uint64_t now)
{
	const uint64_t left = DOUBT_NS - t->doubt_ns;

	t->no_doubt = passed >= left;
	t->doubt_ns += t->no_doubt ? left : passed;
	if (!t->no_doubt)
		return 0;
	charge_settle(t, now);
	return passed - left;
}

/* Return the most GPU time that the vGPU can have used since then, by its sessions' reports. */
static uint64_t may_have_used(struct turn_vgpu *v, uint64_t since, uint64_t now)
{
	const uint64_t issued = v->issued, left = sessions_drains_in(v, since);
	const struct turn_session *s;
	bool goes_on = false;
	uint64_t ns = 0;

	TAILQ_FOREACH(s, &v->sessions, link)
	ns += s->last.inflight_ns < TURN_NEVER_NS ? s->last.inflight_ns : TURN_NEVER_NS;
	sessions_report(v, now);
	/* One piece of work has been on the GPU all the time, however long it was to take. In an
	 * exclusive pool the worker may be about to say that it has ended: what held up this
	 * process has held up that one, too. */
	TAILQ_FOREACH(s, &v->sessions, link)
	goes_on |= !s->last.drained && s->last.oldest_ns && s->last.oldest_ns <= since;
	if (goes_on && v->turns->params.exclusive && left)
		return left;
	return goes_on ? TURN_NEVER_NS : ns + v->issued - issued;
}

/*
 * The driver can be late: its process waits for a processor, or was busy with something else. A
 * turn that should have ended long ago goes on meanwhile, but its holder may have nothing to run,
 * and is not to wait for all others in return. So the time for which pvgpud is late counts as far
 * as there was work for it. Returns the time to charge.
 */
static uint64_t without_delay(struct turns *t, uint64_t passed, uint64_t now)
{
	const uint64_t since = now - passed, late = t->armed < now ? now - t->armed : 0;
	uint64_t used = 0;
	struct turn_vgpu *v;

	if (late < LATE_NS || passed < LATE_NS)
		return passed;
	if (t->holder)
		used += may_have_used(t->holder, since, now);
	TAILQ_FOREACH(v, &t->leavers, leaver_link)
	used += may_have_used(v, since, now);
	if (used >= passed)
		return passed;
	return late < passed && passed - late > used ? passed - late : used;
}

void charge_time(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v, *h = t->joint.on ? NULL : t->holder;
	const bool queued = is_queued(t, now), uses = h && t->exact && h->on_gpu && !queued;
	uint64_t passed = now - t->charged_at;
	uint64_t n = uses ? h->users : 0, busy;

	t->charged_at = now;
	t->no_doubt |= are_many(t);
	count_waste(t, passed);
	if (t->exact && !t->joint.on)
		passed = without_delay(t, passed, now);
	if (in_doubt(t)) {
		passed = charge_doubt(t, passed, now);
		if (!passed)
			return;
	} else if (t->doubt_ns) {
		charge_settle(t, now);
	}
	if (t->joint.on) {
		busy = charge_joint(t, passed, now);
		n = queued ? 0 : busy;
	}
	TAILQ_FOREACH(v, &t->leavers, leaver_link)
	n += v->users;
	TAILQ_FOREACH(v, &t->leavers, leaver_link)
	{
		if (!v->as_issued)
			charge_one(v, passed * v->users / n, now);
		else if (!state_joint(v))
			charge_alone(v, passed, now);
	}
	if (uses)
		charge_one(h, passed * h->users / n, now);
	else if (h && !t->exact)
		charge_alone(h, passed, now);
}

/* Work begun before and not reported yet is charged here. */
void charge_exactly(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v = t->holder;
	struct turn_session *s;

	if (!v || t->exact || t->joint.on)
		return;
	TAILQ_FOREACH(s, &v->sessions, link)
	{
		uint64_t since = s->last.oldest_ns, ns = since && since < now ? now - since : 0;

		/* If its program has waited for all of its work, the end is reported with the next
		 * command only. */
		if (s->last.commands <= s->last.awaited && s->last.inflight_ns < ns)
			ns = s->last.inflight_ns;
		v->account.reported_ns += ns;
	}
	charge_alone(v, 0, now);
	charge_forget(v);
}
