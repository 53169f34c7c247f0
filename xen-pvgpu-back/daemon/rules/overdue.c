/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/rules/overdue.h"

#define MS         1000000ull
#define STEP_MIN   (10 * MS)
#define STEP_MAX   (500 * MS)
#define STEP_NONE  (2000 * MS) /* without a limit: a limit may be set later */
#define STEP_SHARE (50 * MS)   /* while others share the time */
/* Work that used less than one part in RUNS_PART of its time is not running: it waits for
 * something. */
#define RUNS_PART 100
/* Work of a simulated GPU may wait for a processor from this part of its limit on. */
#define STARVED_PART 8
/* Kernels of any length that a gate lets into flight, one behind the other. */
#define IN_FLIGHT 2

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t oldest_of(const struct overdue_view *v)
{
	if (v->oldest > v->now)
		return v->now;
	return v->oldest && v->oldest < v->session_began ? v->session_began : v->oldest;
}

static void begin(struct overdue_clock *c, uint64_t at)
{
	/* `held` stays until overdue_look releases it. */
	if (c->begin != at)
		*c = (struct overdue_clock){.begin = at};
}

void overdue_take(struct overdue *w, const struct overdue_view *v)
{
	if (!w->oldest.begin && !w->closed.begin) {
		w->looked = v->now;
		w->others_ns = v->others_ns;
		w->starved_ns = v->starved_ns;
		w->starved_known = v->starved_known;
	}
	begin(&w->oldest, oldest_of(v));
	begin(&w->closed, v->closed);
}

static uint64_t passed(const struct overdue_clock *c, uint64_t now)
{
	return c->begin && now > c->begin ? now - c->begin : 0;
}

static uint64_t age_of(const struct overdue_clock *c, uint64_t now)
{
	uint64_t all = passed(c, now);

	return all > c->shared_ns ? all - c->shared_ns : 0;
}

uint64_t overdue_age(const struct overdue *w, uint64_t now)
{
	uint64_t a = age_of(&w->oldest, now), b = age_of(&w->closed, now);

	return a > b ? a : b;
}

bool overdue_is_long(const struct overdue *w, uint64_t now)
{
	return passed(&w->oldest, now) >= OVERDUE_LONG_NS ||
	       passed(&w->closed, now) >= OVERDUE_LONG_NS;
}

/* The part of `time` that others have had: other vGPUs by their charges since `then`, workers of the
 * same vGPU by their number. A vGPU that has moved meanwhile has another count. */
static uint64_t taken(const struct overdue_view *v, uint64_t then, uint64_t time)
{
	const uint64_t others = v->others_ns > then ? least(time, v->others_ns - then) : 0;

	return others + (time - others) / (v->siblings + 1) * v->siblings;
}

bool overdue_asks_starved(const struct overdue *w, const struct overdue_view *v)
{
	return v->limit_ns && !v->exclusive &&
	       overdue_age(w, v->now) >=
		       v->limit_ns / STARVED_PART + taken(v, w->others_ns, v->now - w->looked);
}

static uint64_t starved_since(const struct overdue *w, const struct overdue_view *v)
{
	if (!w->starved_known || !v->starved_known || v->exclusive)
		return 0;
	return v->starved_ns > w->starved_ns ? v->starved_ns - w->starved_ns : 0;
}

/* Adds the others' part of the time since the last look, or since the clock began if that is later.
 */
static void share(struct overdue_clock *c, const struct overdue *w, const struct overdue_view *v)
{
	const uint64_t time = least(v->now - w->looked, passed(c, v->now));
	const uint64_t others = taken(v, w->others_ns, time);
	const uint64_t starved = least(time, starved_since(w, v));

	if (!c->begin)
		return;
	c->shared_ns += others > starved ? others : starved;
}

/* Does the overdue work really run? Without reports of use it counts as running. Reports lag, so
 * only the use in the second half of its time is considered. */
static bool runs(const struct overdue_clock *c, const struct overdue_view *v)
{
	const uint64_t time = v->now - c->asked;
	const uint64_t part = (time - taken(v, c->others_ns, time)) / RUNS_PART;

	if (v->exclusive && v->closed && v->now >= v->closed + v->limit_ns)
		return true;
	return !v->used_known || v->used_ns - c->used_ns >= part;
}

static bool is_over(const struct overdue_clock *c, const struct overdue_view *v, uint64_t limit)
{
	return limit && c->asked && age_of(c, v->now) >= limit && runs(c, v);
}

static enum overdue_do over(struct overdue *w, const struct overdue_view *v, uint64_t *again)
{
	if (!w->held) {
		w->held = v->now;
		*again = v->grace_ns;
		return OVERDUE_HOLD;
	}
	if (v->now - w->held >= v->grace_ns)
		return OVERDUE_END;
	*again = v->grace_ns - (v->now - w->held);
	return OVERDUE_NOTHING;
}

/* True: ask the worker to report. *again: when to look again. */
static bool ask(struct overdue_clock *c, const struct overdue_view *v, uint64_t limit,
		uint64_t *again)
{
	uint64_t age = age_of(c, v->now);

	if (!limit || !c->begin)
		return false;
	if (age < limit)
		*again = least(*again, limit - age);
	if (age < limit / 2 || c->asked)
		return false;
	c->asked = v->now;
	c->used_ns = v->used_ns;
	c->others_ns = v->others_ns;
	return true;
}

enum overdue_do overdue_look(struct overdue *w, const struct overdue_view *v, uint64_t *again)
{
	uint64_t step = v->limit_ns / 4;
	uint64_t all = v->limit_ns * IN_FLIGHT;
	const bool is_shared = v->siblings || v->others_ns != w->others_ns;
	bool is_late, asked;

	share(&w->oldest, w, v);
	share(&w->closed, w, v);
	w->looked = v->now;
	w->others_ns = v->others_ns;
	w->starved_ns = v->starved_ns;
	w->starved_known = v->starved_known;
	if (step < STEP_MIN)
		step = STEP_MIN;
	*again = v->limit_ns ? least(step, STEP_MAX) : STEP_NONE;
	if (is_shared && (w->oldest.begin || w->closed.begin))
		*again = least(*again, STEP_SHARE);
	is_late = is_over(&w->oldest, v, v->limit_ns) || is_over(&w->closed, v, all);
	if (w->held && !is_late) {
		w->held = 0;
		return OVERDUE_RELEASE;
	}
	if (is_late)
		return over(w, v, again);
	asked = ask(&w->oldest, v, v->limit_ns, again);
	asked |= ask(&w->closed, v, all, again);
	return asked ? OVERDUE_ASK : OVERDUE_NOTHING;
}
