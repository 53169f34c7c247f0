/* SPDX-License-Identifier: MIT */
/*
 * Turns of one GPU. turns_step() charges the time that has passed, takes reports, decides, and
 * hands over.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

#include <errno.h>
#include <string.h>

/* ---- looks ---- */

static void tell_wants(struct turns *t, struct turn_vgpu *v, bool wants, uint64_t now)
{
	if (wants == v->wants)
		return;
	if (!wants && v == t->holder && v->session_n) {
		/* With inexact flags it may have begun again. */
		if (!t->exact)
			return;
		/* No other vGPU wants the GPU: it keeps the grant, so that it can begin again
		 * without a ring. Not so with a limited share, where its slices would go on ending.
		 */
		if (t->wanting == 1 && !t->limited_share)
			return;
	}
	if (!wants && v == t->holder && t->exact && !t->joint.on)
		dry_turn(v, true);
	v->wants = wants;
	t->act->waits(v, now);
	if (wants) {
		t->wanted_at[v->share.class] = now;
		/* It begins where the others are, and the holder's time alone is behind it. */
		if (v != t->holder)
			charge_exactly(t, now);
	}
	t->wanting += wants ? 1u : -1u;
	sched_wants(v->sched, wants, now);
}

static void look(struct turns *t, struct turn_vgpu *v, uint64_t now)
{
	bool wants = false, on_gpu = false, closing = false, full = false, pauses;
	unsigned int users = 0;
	struct turn_session *s;

	sessions_report(v, now);
	TAILQ_FOREACH(s, &v->sessions, link)
	{
		wants |= session_wants(s);
		on_gpu |= s->open && (session_wants(s) || !s->last.drained);
		closing |= s->closing;
		full |= s->full;
		s->full = false;
		users += s->open ? !s->last.drained : s->closing;
	}
	v->on_gpu = on_gpu;
	v->users = users ? users : 1;
	if (state_leaves(v) && !closing && v->state != TURN_HELPED)
		leavers_drained(v, now);
	else if (closing && (v->state == TURN_OUT || v->state == TURN_HELD))
		leavers_begin(v, now); /* adopted */
	/* Wall time is charged. */
	if ((t->exact || v != t->holder) && !state_joint(v) && !v->as_issued)
		v->account.reported_ns = 0;
	joint_seen(v, full);
	/* Of several at once only one that is held or asked tells when it runs dry, and one that is
	 * held must not get its gate back by that. */
	if (v->state == TURN_MEMBER)
		wants &= joint_busy(v, now);
	pauses = pause_look(v, wants, now);
	wants &= !dry_look(v, wants, now);
	wants |= pauses;
	v->on_gpu |= pauses;
	if (wants || !state_joint(v) || v->state == TURN_MEMBER || now >= t->joint.at)
		tell_wants(t, v, wants, now);
}

/* Looks at vGPUs whose reports may have changed. */
static void look_around(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v, *next;

	if (t->holder)
		look(t, t->holder, now);
	if (t->joint.on && now >= t->joint.at) {
		TAILQ_FOREACH(v, &t->vgpus, link)
		{
			if (state_joint(v) && v != t->holder)
				look(t, v, now);
		}
	}
	for (v = TAILQ_FIRST(&t->leavers); v; v = next) {
		next = TAILQ_NEXT(v, leaver_link);
		look(t, v, now);
	}
	while ((v = TAILQ_FIRST(&t->looks))) {
		TAILQ_REMOVE(&t->looks, v, look_link);
		v->look = false;
		if (v != t->holder)
			look(t, v, now);
	}
}

void turns_news(struct turn_vgpu *v)
{
	if (!v->look)
		TAILQ_INSERT_TAIL(&v->turns->looks, v, look_link);
	v->look = true;
}

/* ---- the grant ---- */

static void take_grant(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v = t->holder;

	if (v->wants)
		dry_turn(v, false);
	charge_settle(t, now);
	t->holder = NULL;
	t->act->waits(v, now);
	sessions_set_open(v, false, now);
	state_event(v, TURN_CLOSE);
	leavers_begin(v, now);
	t->leaving = v;
	t->drained_at = state_leaves(v) ? 0 : now;
	t->give_at = leavers_expect(v, now);
}

static void give_grant(struct turns *t, struct turn_vgpu *v, uint64_t now)
{
	if (t->leaving && t->leaving != v) {
		t->handovers++;
		charge_settle(t, now);
		t->no_doubt = false;
		t->overlapped = t->drained_at ? NULL : t->leaving;
		if (t->overlapped)
			window_learn_no_more(t->overlapped);
		/* The next session's wake-up is assumed to be as late as the driver's. */
		if (t->drained_at)
			cost_learn(t, now - t->drained_at + t->late_ns);
	}
	t->leaving = NULL;
	t->joint.left = false;
	t->holder = v;
	t->given_at = now;
	charge_granted(t, now);
	t->dry_at = t->pause_at = SCHED_NEVER;
	sched_granted(t->lib, v ? v->sched : NULL, now);
	if (!v)
		return;
	if (v->as_issued)
		charge_forget(v);
	state_event(v, TURN_GRANT);
	if (v->wants)
		t->act->granted(v, now);
	v->grants++;
	v->on_gpu = true;
	v->issued_at = now;
	window_tell(t, now);
	sessions_set_open(v, true, now);
}

/* Until then a lone holder with a maximum counts as working. Then it is asked, and if it rests it
 * gives the grant back: no timer runs for it. */
static uint64_t works_until(const struct turn_vgpu *v, uint64_t slice_ns, uint64_t now)
{
	return (v == v->turns->holder ? v->issued_at : now) + SCHED_REST_SLICES * slice_ns;
}

static struct turn_vgpu *ask(struct turns *t, uint64_t now)
{
	const bool runs_on = leavers_run_on(t, now);
	struct sched_decision d;
	struct turn_vgpu *v;
	uint64_t until = 0;
	bool exact;

	sched_runs_on(t->lib, runs_on, now);
	sched_ends(t->lib, t->holder ? dry_ends_in(t->holder, now) : 0, now);
	sched_decide(t->lib, now, &d);
	t->decisions++;
	v = d.holder ? sched_owner(d.holder) : NULL;
	t->limited_share = d.contended && d.alone;
	if (t->limited_share)
		until = works_until(v, d.slice_ns, now);
	exact = (d.contended && until <= now) || runs_on;
	if (exact || v != t->holder)
		charge_exactly(t, now);
	t->exact = exact;
	t->slice_ns = d.slice_ns;
	t->again = until > now && until < d.again ? until : d.again;
	return v;
}

/*
 * One of a higher class does not wait for what a lower one has in flight: the GPU's own slices let
 * it run beside that. Waiting cost it 7.3 ms beside kernels of 5 ms on an H200, where its kernel of
 * 0.5 ms took 1.5 ms by these slices alone.
 */
static void go_before(struct turns *t, const struct turn_vgpu *next, uint64_t now)
{
	if (next && next->share.class < t->leaving->share.class)
		t->give_at = now;
}

static void decide(struct turns *t, uint64_t now)
{
	const struct turn_vgpu *was = t->holder;
	const bool joint = t->joint.on;
	struct turn_vgpu *next = ask(t, now);

	if (joint_decide(t, next, now)) {
		/* The slice begins with the grant: ask again for its end. */
		if (t->holder != was)
			ask(t, now);
		return;
	}
	if (joint)
		next = ask(t, now);
	if (t->holder && next != t->holder) {
		take_grant(t, now);
		go_before(t, next, now);
	}
	if (!t->holder && (next || t->leaving) && leavers_let_go(t, now)) {
		give_grant(t, next, now);
		/* One of a higher class may have come while the former holder drained. */
		if (ask(t, now) != next)
			t->again = now;
		else if (joint_decide(t, next, now))
			return;
	}
	window_tell(t, now);
}

uint64_t turns_step(struct turns *t, uint64_t now)
{
	uint64_t at = SCHED_NEVER, next;

	charge_time(t, now);
	look_around(t, now);
	if (t->joint.on)
		charge_joint(t, 0, now);
	else if (t->holder && !t->exact)
		charge_alone(t->holder, 0, now);
	if (!t->leaving || leavers_let_go(t, now)) {
		cost_tell(t, now);
		decide(t, now);
	}
	help_look(t, now, &at);
	next = !t->leaving ? t->again : t->params.exclusive ? leavers_late_at(t, now) : t->give_at;
	at = next < at ? next : at;
	at = t->joint.on && t->joint.at < at ? t->joint.at : at;
	if (!t->holder)
		return at;
	at = t->pause_at < at ? t->pause_at : at;
	return t->dry_at < at ? t->dry_at : at;
}

/* ---- vGPUs come and go ---- */

int turns_init(struct turns *t, const struct sched_params *p, const struct turn_actions *act,
	       uint64_t now)
{
	memset(t, 0, sizeof(*t));
	t->params = *p;
	t->act = act;
	cost_init(t);
	t->armed = t->again = t->dry_at = t->pause_at = SCHED_NEVER;
	t->charged_at = now;
	TAILQ_INIT(&t->vgpus);
	TAILQ_INIT(&t->leavers);
	TAILQ_INIT(&t->looks);
	t->lib = sched_new(&t->params, now);
	return t->lib ? 0 : -ENOMEM;
}

void turns_end(struct turns *t)
{
	if (t->lib)
		sched_free(t->lib);
	t->lib = NULL;
}

void turns_set(struct turns *t, const struct sched_params *p, uint64_t now)
{
	charge_time(t, now);
	t->params = *p;
	t->params.handover_ns = t->cost_given ? t->told_ns : t->cost_ns;
	sched_set(t->lib, &t->params, now);
}

void turns_charge(struct turns *t, uint64_t now)
{
	charge_time(t, now);
}

void turn_vgpu_init(struct turn_vgpu *v)
{
	memset(v, 0, sizeof(*v));
	TAILQ_INIT(&v->sessions);
	v->drain_q8 = v->rate.q8 = 256;
	v->users = 1;
}

static void enter(struct turns *t, struct turn_vgpu *v, struct sched_vgpu *sched)
{
	v->turns = t;
	v->sched = sched;
	v->charged_ns = 0;
	v->pause.since = v->pause.from = 0;
	TAILQ_INSERT_TAIL(&t->vgpus, v, link);
	window_count(v);
}

int turns_add(struct turns *t, struct turn_vgpu *v, struct sched_group *group,
	      const struct sched_share *share, uint64_t now)
{
	struct sched_vgpu *sched = sched_add(t->lib, group, share, v, now);

	if (!sched)
		return -ENOMEM;
	v->share = *share;
	enter(t, v, sched);
	return 0;
}

int turns_move(struct turn_vgpu *v, struct turns *to, struct sched_group *group, uint64_t now)
{
	struct sched_vgpu *sched = sched_add(to->lib, group, &v->share, v, now);

	if (!sched)
		return -ENOMEM;
	turns_remove(v, now);
	enter(to, v, sched);
	return 0;
}

void turns_remove(struct turn_vgpu *v, uint64_t now)
{
	struct turns *t = v->turns;

	if (v == t->overlapped || v == t->holder)
		charge_settle(t, now);
	window_uncount(v);
	if (v == t->holder)
		t->holder = NULL;
	if (v == t->leaving)
		t->leaving = NULL;
	if (v == t->overlapped)
		t->overlapped = NULL;
	if (v->look)
		TAILQ_REMOVE(&t->looks, v, look_link);
	joint_leave(v);
	state_gone(v);
	t->wanting -= v->wants;
	v->wants = v->on_gpu = v->look = false;
	TAILQ_REMOVE(&t->vgpus, v, link);
	sched_remove(v->sched, now);
	v->sched = NULL;
}

void turns_set_share(struct turn_vgpu *v, const struct sched_share *share, uint64_t now)
{
	window_uncount(v);
	v->share = *share;
	window_count(v);
	sched_set_share(v->sched, share, now);
}

void turns_charge_more(struct turn_vgpu *v, uint64_t ns, uint64_t now)
{
	struct turns *t = v->turns;

	t->act->charge(v, ns);
	v->charged_ns += ns;
	t->charged_ns += ns;
	if (v == t->holder && !t->exact && !state_joint(v))
		v->account.ahead_ns += ns;
	sched_charge(v->sched, ns, now);
}
