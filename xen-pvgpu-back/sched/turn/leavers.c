/* SPDX-License-Identifier: MIT */
/*
 * Those that still drain, overlap with the next turn, or hang, after their turn. The next vGPU's
 * gates open when the work in flight of the former holder is nearly done, by its report and the
 * accuracy of its former reports, or when it has drained. An exclusive pool waits for the latter.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

#define SAMPLE_NS 50000u /* less work in flight is no sample of a report's accuracy */
/* After the expected end of work: longer than a short slice, whose timer replaces this one. */
#define OVERTIME_NS 5000000u

void leavers_begin(struct turn_vgpu *v, uint64_t now)
{
	const struct turn_session *s;
	bool busy = false;

	TAILQ_FOREACH(s, &v->sessions, link)
	busy |= s->closing;
	v->drains_since = now;
	if (busy)
		state_event(v, TURN_BUSY);
}

void leavers_drained(struct turn_vgpu *v, uint64_t now)
{
	uint64_t took = now - v->drains_since, ratio;
	struct turns *t = v->turns;

	if (v->as_issued && !state_joint(v)) {
		charge_alone(v, 0, now);
		charge_forget(v);
	}
	state_event(v, TURN_DRAINED);
	if (v->drain_ns >= SAMPLE_NS) {
		ratio = took * 256 / v->drain_ns;
		ratio = ratio < 16 ? 16 : ratio > 2048 ? 2048 : ratio;
		v->drain_q8 = (uint32_t)((v->drain_q8 * 3 + ratio) / 4);
	}
	if (t->joint.left ? TAILQ_EMPTY(&t->leavers) : v == t->leaving)
		t->drained_at = now;
	if (v != t->overlapped)
		return;
	charge_settle(t, now);
	t->overlapped = NULL;
	cost_learn_overlap(t, v->dry);
}

uint64_t leavers_expect(struct turn_vgpu *v, uint64_t now)
{
	const uint64_t early = window_early(v->turns->cost_ns), all = sessions_drain_ns(v);
	uint64_t ns = all * v->drain_q8 / 256;

	v->drain_ns = all <= TURN_WAIT_NS ? all : 0;
	if (v->dry)
		return now;
	/* It reports nothing in flight but has not drained: give it a moment. */
	if (state_leaves(v) && !all)
		return now + v->turns->cost_ns;
	/* Only a little of one long piece of work may be left. */
	if (ns > TURN_WAIT_NS)
		ns = sessions_drains_in(v, now);
	return ns > early && ns <= TURN_WAIT_NS ? now + ns - early : now;
}

/* Each is charged its part of the GPU's time then, also if no other vGPU wants the GPU. */
bool leavers_run_on(const struct turns *t, uint64_t now)
{
	const struct turn_vgpu *v;

	TAILQ_FOREACH(v, &t->leavers, leaver_link)
	{
		if (sessions_drain_ns(v) > TURN_WAIT_NS || now - v->drains_since > TURN_WAIT_NS)
			return true;
	}
	return false;
}

uint64_t leavers_late_at(const struct turns *t, uint64_t now)
{
	const uint64_t left = sessions_drains_in(t->leaving, now);

	return state_leaves(t->leaving) && left > OVERDUE_NS ? now + left + OVERTIME_NS
							     : SCHED_NEVER;
}

bool leavers_let_go(const struct turns *t, uint64_t now)
{
	if (t->params.exclusive)
		return TAILQ_EMPTY(&t->leavers) && !t->awaited;
	if (!t->leaving || now >= t->give_at)
		return true;
	return t->joint.left ? TAILQ_EMPTY(&t->leavers) : !state_leaves(t->leaving);
}
