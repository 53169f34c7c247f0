/* SPDX-License-Identifier: MIT */
/* The cost of a hand-over, the delay of the driver's timer, the accuracy of sessions' estimates. */
#include "xen-pvgpu-back/sched/turn/internal.h"

#define COST_MIN_NS   20000u /* of a hand-over, in which the GPU changes contexts */
#define COST_DRY_NS   20000u /* added where the former holder was about to run dry */
#define COST_MAX_NS   2000000u
#define RATE_NS       100000000u /* estimated use between two comparisons with the driver's account, */
#define RATE_FIRST_NS 50000000u /* and before the first, which counts as a whole */
#define RATE_LEAST_Q8 64u
#define RATE_MOST_Q8  1024u

void cost_init(struct turns *t)
{
	t->cost_given = t->params.handover_ns != 0;
	t->cost_ns = 2 * COST_MIN_NS;
	if (!t->cost_given)
		t->params.handover_ns = t->cost_ns;
	t->told_ns = t->params.handover_ns;
}

void cost_learn(struct turns *t, uint64_t ns)
{
	ns += COST_MIN_NS;
	if (ns > COST_MAX_NS)
		ns = COST_MAX_NS;
	t->cost_ns = (t->cost_ns * 15 + ns) / 16;
}

/* Did the new holder's work start early enough to leave no gap? */
void cost_learn_overlap(struct turns *t, bool dry)
{
	const struct turn_session *s;
	bool works = false;

	if (!t->holder)
		return;
	TAILQ_FOREACH(s, &t->holder->sessions, link)
	works |= s->last.inflight_ns != 0;
	cost_learn(t, !works ? t->late_ns : dry ? COST_DRY_NS : 0);
}

/* When it has changed by an eighth. */
void cost_tell(struct turns *t, uint64_t now)
{
	uint64_t d = t->cost_ns > t->told_ns ? t->cost_ns - t->told_ns : t->told_ns - t->cost_ns;

	if (t->cost_given || d * 8 < t->told_ns)
		return;
	t->told_ns = t->params.handover_ns = t->cost_ns;
	sched_set(t->lib, &t->params, now);
}

void turns_fired(struct turns *t, uint64_t now)
{
	uint64_t late = now > t->armed ? now - t->armed : 0;

	late = late < COST_MAX_NS ? late : COST_MAX_NS;
	t->late_ns = (t->late_ns * 15 + late) / 16;
}

void turns_measured(struct turn_vgpu *v, uint64_t used_ns)
{
	const uint64_t issued = v->issued - v->rate.from;
	uint64_t q8;

	v->rate.used += used_ns < TURN_NEVER_NS ? used_ns : TURN_NEVER_NS;
	/* The driver's account is late: both begin where it has found something. */
	if (v->rate.known == RATE_NONE) {
		v->rate.known = v->rate.used ? RATE_BEGUN : RATE_NONE;
	} else if (issued >= (v->rate.known == RATE_BEGUN ? RATE_FIRST_NS : RATE_NS)) {
		q8 = v->rate.used / (issued / 256);
		q8 = q8 < RATE_LEAST_Q8 ? RATE_LEAST_Q8 : q8 > RATE_MOST_Q8 ? RATE_MOST_Q8 : q8;
		v->rate.q8 = v->rate.known == RATE_BEGUN ? (uint32_t)q8
							 : (v->rate.q8 + (uint32_t)q8) / 2;
		v->rate.known = RATE_KNOWN;
	} else {
		return;
	}
	v->rate.from = v->issued;
	v->rate.used = 0;
}
