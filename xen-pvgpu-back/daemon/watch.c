/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/watch.h"

#define MS         1000000ull
#define STEP_MIN   (10 * MS)
#define STEP_MAX   (500 * MS)
#define STEP_NONE  (2000 * MS) /* without a limit: it may get one */
#define STEP_SHARE (50 * MS)   /* while time is shared */
/* Work that has not had this part of its time does not run: it waits for something. */
#define RUNS_PART 100

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t begin_of(const struct watch_view *v)
{
	uint64_t begin = v->oldest;

	if (begin > v->now)
		begin = v->now;
	if (begin && begin < v->session_began)
		begin = v->session_began;
	if (v->closed && (!begin || v->closed < begin))
		begin = v->closed;
	return begin;
}

void watch_take(struct watch *w, const struct watch_view *v)
{
	uint64_t begin = begin_of(v);

	if (begin == w->begin)
		return;
	/* `held` stays until watch_look has said that it is over. */
	w->begin = begin;
	w->looked = v->now;
	w->shared_ns = 0;
	w->asked = 0;
}

uint64_t watch_age(const struct watch *w, uint64_t now)
{
	uint64_t all = w->begin && now > w->begin ? now - w->begin : 0;

	return all > w->shared_ns ? all - w->shared_ns : 0;
}

bool watch_is_long(const struct watch *w, uint64_t now)
{
	return w->begin && now > w->begin && now - w->begin >= WATCH_LONG_NS;
}

static void share(struct watch *w, const struct watch_view *v)
{
	uint64_t passed = v->now - w->looked;

	w->looked = v->now;
	if (w->begin)
		w->shared_ns += passed / (v->others + 1) * v->others;
}

/* Old as it is, does it run? What is not known is taken to. Use is reported a moment later: what is
 * looked at is the second half of its time. */
static bool runs(const struct watch *w, const struct watch_view *v)
{
	uint64_t part = (v->now - w->asked) / RUNS_PART / (v->others + 1);

	if (v->exclusive && v->closed && v->now >= v->closed + v->limit_ns)
		return true;
	return !v->used_known || v->used_ns - w->used_ns >= part;
}

static enum watch_do over(struct watch *w, const struct watch_view *v, uint64_t *again)
{
	if (!w->held) {
		w->held = v->now;
		*again = v->grace_ns;
		return WATCH_HOLD;
	}
	if (v->now - w->held >= v->grace_ns)
		return WATCH_END;
	*again = v->grace_ns - (v->now - w->held);
	return WATCH_NOTHING;
}

enum watch_do watch_look(struct watch *w, const struct watch_view *v, uint64_t *again)
{
	uint64_t age, step = v->limit_ns / 4;
	bool is_over;

	share(w, v);
	if (step < STEP_MIN)
		step = STEP_MIN;
	*again = v->limit_ns ? least(step, STEP_MAX) : STEP_NONE;
	if (v->others && w->begin)
		*again = least(*again, STEP_SHARE);
	age = watch_age(w, v->now);
	is_over = v->limit_ns && w->asked && age >= v->limit_ns && runs(w, v);
	if (w->held && !is_over) {
		w->held = 0;
		return WATCH_RELEASE;
	}
	if (is_over)
		return over(w, v, again);
	if (!v->limit_ns || !w->begin)
		return WATCH_NOTHING;
	if (age < v->limit_ns)
		*again = least(*again, v->limit_ns - age);
	if (age < v->limit_ns / 2 || w->asked)
		return WATCH_NOTHING;
	w->asked = v->now;
	w->used_ns = v->used_ns;
	return WATCH_ASK;
}
