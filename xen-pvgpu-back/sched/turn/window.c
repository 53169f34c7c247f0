/* SPDX-License-Identifier: MIT */
/*
 * Every bound on work in flight. The next vGPU waits for the work in flight when a gate closes;
 * with less of it a session that is starved of CPU runs dry sooner.
 *
 * | who has the GPU                          | the most in flight                               |
 * |------------------------------------------|--------------------------------------------------|
 * | one vGPU, no other wants it              | ALONE: what the first newcomer waits for         |
 * | likewise, one of a higher class is there | 3/4 of ALONE; for a second after that one began  |
 * |                                          | to have work BELOW, at least 3/8 of ALONE        |
 * | one vGPU, others want it                 | half a slice: more would prolong the turn        |
 * | likewise, weights differ                 | and UNLIKE: a heavy one that comes back waits    |
 * | likewise, one of a higher class is there | and BELOW: that one waits each time it comes     |
 * | several at once, same weights            | SCHED_JOINT_NS, for each of them                |
 * | likewise, weights differ                 | 12 hand-overs: longer bursts are worth a turn,   |
 * |                                          | in which they are not in a heavy one's way       |
 * | a moment of help                         | nothing but what its own work may wait for       |
 *
 * A vGPU's bound is divided among its sessions with work, and is INFLIGHT_MIN_NS at least.
 */
#include "xen-pvgpu-back/sched/turn/internal.h"

#define US              1000u
#define INFLIGHT_MIN_NS (100 * US)
/* A burst that fits is issued at once, and its end is known from the turn's beginning. */
#define UNLIKE_NS (1500 * US)
/* With less in flight than this a holder runs dry while its worker is woken. */
#define BELOW_PER   8u
#define BELOW_LEAST (500 * US)
/* One of a higher class that began to want the GPU since then is expected back. */
#define SOON_BACK_NS 1000000000u
/* A turn costs a hand-over, so brief bursts and kernels are those of up to this many of them. A
 * kernel may be longer than a burst, but where weights differ not by much: a kernel is not stopped,
 * and a heavy one that comes back would wait for those of all others. */
#define BRIEF_PER   12u
#define BRIEF_LEAST (500 * US)
#define KERNEL_PER  48u
#define KERNEL_MOST (SCHED_JOINT_NS + SCHED_JOINT_NS / 4)
#define UNLIKE_MOST (1250 * US)
/* From the timer of a hand-over to the next one's first kernel, as the trace of one has it, with
 * what estimates are wrong by. */
#define EARLY_PER   2u
#define EARLY_LEAST (250 * US)
#define EARLY_TURN                                                                                 \
	(2000 * US) /* the GPU's own time slice: the last bit would wait for the next              \
		     */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t window_early(uint64_t handover_ns)
{
	return handover_ns * EARLY_PER + EARLY_LEAST;
}

uint64_t window_early_dry(uint64_t handover_ns, uint64_t turn_ns)
{
	return turn_ns < EARLY_TURN ? window_early(handover_ns) : handover_ns;
}

uint64_t window_below(uint64_t handover_ns)
{
	return most(handover_ns * BELOW_PER, BELOW_LEAST);
}

/* Long bursts of light ones stand in the way of a heavy one each time that it comes back, more than
 * its turns make up for. Among equals each waits for the others as they wait for it. */
uint64_t window_brief(uint64_t handover_ns, bool alike)
{
	const uint64_t ns = alike ? SCHED_JOINT_NS : handover_ns * BRIEF_PER;

	return ns < BRIEF_LEAST ? BRIEF_LEAST : ns > SCHED_JOINT_NS ? SCHED_JOINT_NS : ns;
}

uint64_t window_brief_kernel(uint64_t handover_ns, bool alike)
{
	const uint64_t most = alike ? KERNEL_MOST : UNLIKE_MOST, per = handover_ns * KERNEL_PER,
		       least = 2 * window_brief(handover_ns, alike), ns = per < least ? least : per;

	return ns < most ? ns : most;
}

/* ---- neighbours ---- */

void window_uncount(struct turn_vgpu *v)
{
	v->turns->inhabited[v->share.class] -= v->session_n != 0;
	v->turns->weighed = false;
}

void window_count(struct turn_vgpu *v)
{
	v->turns->inhabited[v->share.class] += v->session_n != 0;
	v->turns->weighed = false;
}

bool window_is_below(const struct turn_vgpu *v)
{
	for (int c = 0; c < (int)v->share.class; c++) {
		if (v->turns->inhabited[c])
			return true;
	}
	return false;
}

static bool is_soon_below(const struct turn_vgpu *v, uint64_t now)
{
	const struct turns *t = v->turns;
	bool soon = false;

	for (int c = 0; c < (int)v->share.class; c++)
		soon |= t->inhabited[c] && t->wanted_at[c] && now - t->wanted_at[c] < SOON_BACK_NS;
	return soon;
}

static void weigh(struct turns *t)
{
	uint32_t weight[SCHED_CLASSES] = {0}, *w;
	const struct turn_vgpu *v;

	for (int c = 0; c < SCHED_CLASSES; c++)
		t->alike[c] = true;
	TAILQ_FOREACH(v, &t->vgpus, link)
	{
		if (!v->session_n)
			continue;
		w = &weight[v->share.class];
		t->alike[v->share.class] &= !*w || *w == v->share.weight;
		*w = v->share.weight;
	}
	t->weighed = true;
}

bool window_alike(const struct turn_vgpu *v)
{
	if (!v->turns->weighed)
		weigh(v->turns);
	return v->turns->alike[v->share.class];
}

/* ---- windows ---- */

static uint64_t window_of(const struct turn_vgpu *v, uint64_t now)
{
	const struct turns *t = v->turns;
	const uint64_t below = window_below(t->cost_ns);
	uint64_t ns;

	if (t->exact || t->limited_share) {
		ns = t->slice_ns / 2;
		if (!window_alike(v))
			ns = least(ns, UNLIKE_NS);
		return window_is_below(v) ? least(ns, below) : ns;
	}
	ns = window_is_below(v) ? TURN_ALONE_NS * 3 / 4 : TURN_ALONE_NS;
	return is_soon_below(v, now) ? least(ns, most(ns / 2, below)) : ns;
}

static void tell(struct turn_session *s, const struct turn_window *w)
{
	s->vgpu->turns->act->tell(s, w);
	s->window = *w;
}

void window_tell(struct turns *t, uint64_t now)
{
	struct turn_vgpu *v = t->holder;
	struct turn_window w = {.contended = t->exact, .learn = TAILQ_EMPTY(&t->leavers)};
	struct turn_session *s;
	unsigned int busy = 0;

	if (!v)
		return;
	TAILQ_FOREACH(s, &v->sessions, link)
	busy += s->last.wants;
	w.tell_issued = dry_expected(v);
	w.inflight_ns = most(window_of(v, now) / (busy ? busy : 1), INFLIGHT_MIN_NS);
	TAILQ_FOREACH(s, &v->sessions, link)
	tell(s, &w);
}

void window_tell_joint(struct turn_session *s)
{
	const struct turn_vgpu *v = s->vgpu;
	struct turn_window w = s->window;

	w.inflight_ns = window_brief(v->turns->cost_ns, window_alike(v));
	w.contended = v->joint.asked;
	w.learn = false;
	tell(s, &w);
}

void window_tell_help(struct turn_session *s)
{
	struct turn_window w = s->window;

	w.inflight_ns = 0;
	w.contended = true;
	w.learn = false;
	tell(s, &w);
}

void window_learn_no_more(struct turn_vgpu *v)
{
	struct turn_session *s;

	TAILQ_FOREACH(s, &v->sessions, link)
	{
		struct turn_window w = s->window;

		w.learn = false;
		tell(s, &w);
	}
}
