/* SPDX-License-Identifier: MIT */
/*
 * A model of pvgpud and the workers' gates, after daemon/dispatch/schedule.c and contract/gate.h.
 * The holder's workers issue up to an estimated time in flight; others park their work and ring.
 * When the grant is taken the gate closes; the next one opens when the estimated rest is small or
 * the work has drained, or at once if that takes long (not in exclusive pools). Wall time is
 * charged while others want the GPU or a limit applies ("exact"), otherwise the use that workers
 * report.
 */
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

/* Two kernels that take no longer may be in flight: while others want the GPU, or none does. */
#define PAIR_NS         (5500 * SIM_US)
#define ALONE_PAIR_NS   (10500 * SIM_US)
#define NATIVE_DEPTH    1024u /* without a gate: kernels in flight at which a launch blocks */
#define INFLIGHT_MIN_NS (100 * SIM_US)
#define COST_MIN_NS     (20 * SIM_US)
#define COST_DRY_NS     (20 * SIM_US)
#define COST_MAX_NS     (2 * SIM_MS)
#define QUEUED_NS       (2 * SIM_MS) /* for each process of the former holder */
#define SAMPLE_NS       (50 * SIM_US)
#define SOON_BACK_LEAST (750 * SIM_US)

static void think(struct gpu *g, struct vgpu *rang);

static const struct sim_model *model(const struct gpu *g)
{
	return &g->s->c->model;
}

static bool is_open(const struct vgpu *v)
{
	const struct gpu *g = v->g;

	if (v->held)
		return false;
	return g->joint ? v->joint_open : model(g)->native || g->holder == v;
}

/* ---- the worker's side ---- */

bool gate_is_below(const struct vgpu *v)
{
	bool below = false;

	for (int c = 0; c < (int)v->spec->share.class; c++)
		below |= v->g->inhabited[c] != 0;
	return below;
}

/* Has one of a higher class come lately? */
static bool is_soon_below(const struct vgpu *v)
{
	const struct gpu *g = v->g;

	for (int c = 0; c < (int)v->spec->share.class; c++)
		if (g->inhabited[c] && g->wanted_at[c] &&
		    v->s->now - g->wanted_at[c] < SOON_BACK_NS)
			return true;
	return false;
}

static uint64_t most_in_flight(const struct vgpu *v, uint32_t sharers)
{
	const struct gpu *g = v->g;
	uint64_t most, cap;

	if (g->joint)
		return window_brief(g->cost_ns, g->alike) / (sharers ? sharers : 1);
	cap = window_below(g->cost_ns);
	if (!g->exact && !g->limited) {
		cap = cap < SOON_BACK_LEAST ? SOON_BACK_LEAST : cap;
		return is_soon_below(v) && cap < model(g)->alone_ns ? cap : model(g)->alone_ns;
	}
	most = g->slice_ns_now / 1000 * model(g)->inflight_ppm / 1000;
	most = g->alike || most < UNLIKE_NS ? most : UNLIKE_NS;
	most = (gate_is_below(v) && cap < most ? cap : most) / (sharers ? sharers : 1);
	return most < INFLIGHT_MIN_NS ? INFLIGHT_MIN_NS : most;
}

void gate_bell(struct vgpu *v, uint64_t in)
{
	uint64_t at = v->s->now + in;

	if (!v->bell.pos || v->bell.at > at)
		timer_set(&v->s->events, &v->bell, at);
}

/* May it have another kernel in flight? By worker/gpu/flight.c, for one stream. */
static bool fits(const struct process *p, uint64_t most)
{
	const struct gpu *g = p->v->g;
	const bool alone = !g->exact && !g->limited && !g->joint && !g->undrained;
	const uint64_t ns = p->estimate_ns, pair = alone && ns > most ? ALONE_PAIR_NS : PAIR_NS;

	if (!p->kernels.n)
		return true;
	if (p->kernels.n == 1 && p->inflight_ns + ns <= pair)
		return true;
	/* Until one has ended their length is not known. */
	return ns && ns <= most && p->inflight_ns < most;
}

static void pump(struct process *p)
{
	struct gpu *g = p->v->g;
	uint64_t most;

	if (model(g)->native) {
		while (p->kernels.n < NATIVE_DEPTH && load_issue(p))
			;
		return;
	}
	most = most_in_flight(p->v, p->v->busy_processes);
	while (fits(p, most))
		if (!load_issue(p)) {
			ends_issued(p->v);
			return;
		}
	if (load_waiting(p))
		at_once_full(p->v);
}

void gate_pump(struct vgpu *v)
{
	for (uint32_t i = 0; i < v->n_process; i++)
		pump(&v->process[i]);
}

void gate_work(struct process *p)
{
	struct vgpu *v = p->v;

	if (is_open(v))
		pump(p);
	else if (!v->told && !v->held)
		gate_bell(v, model(v->g)->bell_ns);
}

void gate_ended(struct process *p, uint64_t length)
{
	struct vgpu *v = p->v;
	struct gpu *g = v->g;

	v->alone_ns += v->joint || v->as_issued ? 0 : length;
	if (is_open(v))
		pump(p);
	if (model(g)->native || v->held || v->joint_open)
		return;
	if ((!v->busy_processes && (g->exact || !is_open(v))) || (!v->draining && !is_open(v)))
		gate_bell(v, model(g)->bell_ns);
}

static void on_wake(struct sim *s, void *arg)
{
	struct gpu *g = arg;
	struct vgpu *v = g->holder;

	if (v && is_open(v))
		gate_pump(v);
}

/* ---- charging ---- */

void gate_charge_one(struct vgpu *v, uint64_t ns)
{
	if (!ns || !v->sched)
		return;
	v->charged_ns += ns;
	v->g->joint_charged += ns;
	sched_charge(v->sched, ns, v->s->now);
}

void gate_charge_alone(struct vgpu *v, uint64_t passed)
{
	uint64_t ns;

	v->budget_ns += passed;
	ns = v->alone_ns < v->budget_ns ? v->alone_ns : v->budget_ns;
	v->alone_ns -= ns;
	v->budget_ns -= ns;
	gate_charge_one(v, ns);
}

void gate_charge_forget(struct vgpu *v)
{
	v->alone_ns = v->budget_ns = 0;
}

void gate_charge(struct gpu *g)
{
	uint64_t passed = g->s->now - g->charged_at;
	struct vgpu *h = g->joint ? NULL : g->holder;
	const bool queued = g->overlapped && g->overlapped->undrained &&
			    !g->overlapped->as_issued && g->s->now < g->queued_until;
	const bool uses = h && g->exact && h->on_gpu && !queued;
	uint64_t n = uses ? h->users : 0, busy;

	g->charged_at = g->s->now;
	if (g->joint) {
		busy = at_once_charge(g, passed);
		n = queued ? 0 : busy;
	}
	for (struct vgpu *t = g->undrained; t; t = t->undrained_next)
		n += t->users;
	for (struct vgpu *t = g->undrained; t; t = t->undrained_next) {
		if (!t->as_issued)
			gate_charge_one(t, passed * t->users / n);
		else if (!t->joint)
			gate_charge_alone(t, passed);
	}
	if (uses)
		gate_charge_one(h, passed * h->users / n);
	else if (h && !g->exact)
		gate_charge_alone(h, passed);
}

/* From now on wall time is charged; work begun before is charged here. */
static void become_exact(struct gpu *g)
{
	struct vgpu *v = g->holder;

	if (!v || g->exact || g->joint)
		return;
	for (uint32_t i = 0; i < v->n_process; i++)
		if (v->process[i].kernels.n)
			v->alone_ns += g->s->now - v->process[i].began_ns;
	gate_charge_alone(v, 0);
	gate_charge_forget(v);
}

/* ---- reports of workers ---- */

void gate_set_undrained(struct vgpu *v, bool undrained)
{
	struct vgpu **at = &v->g->undrained;

	if (undrained == v->undrained)
		return;
	v->undrained = undrained;
	v->as_issued &= undrained;
	if (undrained) {
		v->undrained_next = *at;
		*at = v;
		return;
	}
	while (*at != v)
		at = &(*at)->undrained_next;
	*at = v->undrained_next;
}

static void learn_cost(struct gpu *g, uint64_t ns)
{
	ns += COST_MIN_NS;
	ns = ns < COST_MAX_NS ? ns : COST_MAX_NS;
	g->cost_ns = (g->cost_ns * 15 + ns) / 16;
}

static void see_drained(struct vgpu *v)
{
	struct gpu *g = v->g;
	uint64_t took = g->s->now - v->undrained_since, ratio;
	const bool dry = v->dry;

	if (v->as_issued && !v->joint) {
		gate_charge_alone(v, 0);
		gate_charge_forget(v);
	}
	gate_set_undrained(v, false);
	if (v->drain_ns >= SAMPLE_NS) {
		ratio = took * 256 / v->drain_ns;
		ratio = ratio < 16 ? 16 : ratio > 2048 ? 2048 : ratio;
		v->drain_q8 = (uint32_t)((v->drain_q8 * 3 + ratio) / 4);
	}
	if (g->joint_left ? !g->undrained : v == g->leaving)
		g->drained_at = g->s->now;
	if (v != g->overlapped)
		return;
	/* The grant was given early enough if the new holder has work on the GPU by now. */
	g->overlapped = NULL;
	if (g->holder)
		learn_cost(g, !g->holder->draining ? model(g)->bell_ns : dry ? COST_DRY_NS : 0);
}

static void tell_wants(struct vgpu *v, bool wants)
{
	struct gpu *g = v->g;

	if (wants == v->told || !v->sched)
		return;
	/* With inexact flags the holder may have begun again. */
	if (!wants && v == g->holder && !v->held && (!g->exact || (g->wants == 1 && !g->limited)))
		return;
	if (!wants && v == g->holder && g->exact && !g->joint)
		v->dry_turns = v->dry_turns << 1 | 1;
	v->told = wants;
	if (wants) {
		g->wanted_at[v->spec->share.class] = g->s->now;
		/* It begins where the others are, and the holder's time alone is behind it. */
		if (v != g->holder)
			become_exact(g);
	}
	g->wants += wants ? 1u : -1u;
	sched_wants(v->sched, wants, g->s->now);
}

/* Workers' estimates only know finished kernels. */
uint64_t gate_in_flight(const struct vgpu *v)
{
	uint64_t ns = 0;

	for (uint32_t i = 0; i < v->n_process; i++)
		ns += v->process[i].inflight_ns;
	return ns;
}

uint64_t gate_left(const struct vgpu *v)
{
	uint64_t left = 0;

	for (uint32_t i = 0; i < v->n_process; i++) {
		const struct process *p = &v->process[i];
		const struct kernel *k;
		uint64_t done;

		if (!p->kernels.n)
			continue;
		k = ring_at(&p->kernels, sizeof(*k), 0);
		done = v->s->now - p->began_ns;
		left += p->inflight_ns - (done < k->estimate_ns ? done : k->estimate_ns);
	}
	return left;
}

void gate_look(struct vgpu *v)
{
	struct gpu *g = v->g;

	v->on_gpu = v == g->holder && (v->busy_processes || v->draining);
	v->users = 0;
	for (uint32_t i = 0; i < v->n_process; i++)
		v->users += v->process[i].kernels.n > 0;
	if (!v->users)
		v->users = 1;
	if (v->undrained && !v->draining)
		see_drained(v);
	if ((g->exact || v != g->holder) && !v->joint && !v->as_issued)
		v->alone_ns = 0;
	/* One of several that is held must not get its gate back by running dry. */
	if (v->busy_processes || v->held || !v->joint || v->joint_open || g->s->now >= g->joint_at)
		tell_wants(v, !ends_look(v) && v->busy_processes && !v->held);
}

/* ---- the grant ---- */

/* When the next vGPU may have the grant that v has lost, as in daemon/dispatch/schedule.c. */
static uint64_t expect_drain(struct vgpu *v)
{
	const uint64_t now = v->s->now, early = window_early(v->g->cost_ns), all = gate_left(v);
	uint64_t ns = all * v->drain_q8 / 256;

	v->drain_ns = all <= TURN_WAIT_NS ? all : 0;
	if (v->dry)
		return now;
	if (v->undrained && !all)
		return now + v->g->cost_ns;
	if (ns > TURN_WAIT_NS)
		ns = gate_left(v);
	return ns > early && ns <= TURN_WAIT_NS ? now + ns - early : now;
}

static void take_grant(struct gpu *g)
{
	struct vgpu *v = g->holder;

	if (v->told)
		v->dry_turns <<= 1;
	g->holder = NULL;
	gate_set_undrained(v, v->draining);
	g->leaving = v;
	v->undrained_since = g->s->now;
	g->drained_at = v->undrained ? 0 : g->s->now;
	g->give_at = expect_drain(v);
}

static bool may_give(const struct gpu *g)
{
	if (g->s->c->params.exclusive)
		return !g->undrained;
	if (!g->leaving || g->s->now >= g->give_at)
		return true;
	return g->joint_left ? !g->undrained : !g->leaving->undrained;
}

static void give_grant(struct gpu *g, struct vgpu *v)
{
	if (g->leaving && g->leaving != v) {
		g->overlapped = g->drained_at ? NULL : g->leaving;
		if (g->drained_at)
			learn_cost(g, g->s->now - g->drained_at + model(g)->bell_ns);
	}
	g->leaving = NULL;
	g->joint_left = false;
	g->holder = v;
	g->given_at = g->s->now;
	g->queued_until =
		g->s->now + (g->overlapped ? g->overlapped->users : 0) * (uint64_t)QUEUED_NS;
	g->dry_at = SCHED_NEVER;
	sched_granted(g->sched, v ? v->sched : NULL, g->s->now);
	if (!v)
		return;
	if (v->as_issued)
		gate_charge_forget(v);
	gate_set_undrained(v, false);
	v->on_gpu = true;
	v->issued = false;
	v->issued_at = g->s->now;
	v->grants++;
	g->sum.grants++;
	timer_set(&g->s->events, &g->wake, g->s->now + model(g)->bell_ns);
}

static void tell_cost(struct gpu *g)
{
	uint64_t d = g->cost_ns > g->told_ns ? g->cost_ns - g->told_ns : g->told_ns - g->cost_ns;

	if (d * 8 < g->told_ns || g->s->c->params.handover_ns)
		return;
	g->told_ns = g->params.handover_ns = g->cost_ns;
	sched_set(g->sched, &g->params, g->s->now);
}

/* As daemon/dispatch/schedule.c's. */
static uint64_t works_until(const struct vgpu *v, uint64_t slice_ns)
{
	return (v == v->g->holder ? v->issued_at : v->s->now) + SCHED_REST_SLICES * slice_ns;
}

/* Asks for a decision and stores all of it but the holder. */
/* Does a former holder's work run on beside the holder's? */
static bool any_runs_on(const struct gpu *g)
{
	for (const struct vgpu *t = g->undrained; t; t = t->undrained_next)
		if (gate_left(t) > TURN_WAIT_NS || g->s->now - t->undrained_since > TURN_WAIT_NS)
			return true;
	return false;
}

static struct vgpu *ask(struct gpu *g)
{
	struct sched_decision d;
	struct vgpu *next;
	uint64_t until = 0;
	bool exact, runs_on = any_runs_on(g);

	sched_runs_on(g->sched, runs_on, g->s->now);
	sched_ends(g->sched, g->holder ? ends_in(g->holder) : 0, g->s->now);
	sched_decide(g->sched, g->s->now, &d);
	g->sum.decisions++;
	next = d.holder ? sched_owner(d.holder) : NULL;
	g->limited = d.contended && d.alone;
	if (g->limited)
		until = works_until(next, d.slice_ns);
	exact = (d.contended && until <= g->s->now) || runs_on;
	if (exact || next != g->holder)
		become_exact(g);
	/* The worker is rung, looks, and rings back if it is idle. */
	if (exact && !g->exact && g->holder && g->holder == next)
		gate_bell(g->holder, 2 * model(g)->bell_ns);
	g->exact = exact;
	g->slice_ns_now = d.slice_ns ? d.slice_ns : 2 * SIM_MS;
	g->again = until > g->s->now && until < d.again ? until : d.again;
	return next;
}

static void decide(struct gpu *g)
{
	const struct vgpu *was = g->holder;
	const bool joint = g->joint;
	struct vgpu *next = ask(g);

	if (at_once_decide(g, next)) {
		if (g->holder != was)
			ask(g);
		return;
	}
	if (joint)
		next = ask(g);
	if (g->holder && next != g->holder)
		take_grant(g);
	if (g->holder || (!next && !g->leaving) || !may_give(g))
		return;
	give_grant(g, next);
	/* The slice begins with the grant: ask for its end. It is over already for one of a higher
	 * class that came while the former holder drained. */
	if (!next)
		return;
	if (ask(g) != next)
		g->again = g->s->now;
	else
		at_once_decide(g, next);
}

static void think(struct gpu *g, struct vgpu *rang)
{
	uint64_t at;

	gate_charge(g);
	if (g->holder)
		gate_look(g->holder);
	for (struct vgpu *t = g->undrained, *next; t; t = next) {
		next = t->undrained_next;
		gate_look(t);
	}
	if (rang && rang != g->holder)
		gate_look(rang);
	if (g->joint && g->s->now >= g->joint_at)
		at_once_look(g);
	if (!g->leaving || may_give(g)) {
		tell_cost(g);
		decide(g);
	}
	at = !g->leaving ? g->again : g->s->c->params.exclusive ? SCHED_NEVER : g->give_at;
	if (g->joint && g->joint_at < at)
		at = g->joint_at;
	if (g->holder && g->dry_at < at)
		at = g->dry_at;
	timer_set(&g->s->events, &g->decide, at > g->s->now ? at : g->s->now + 10 * SIM_US);
}

static void on_bell(struct sim *s, void *arg)
{
	struct vgpu *v = arg;

	if (v->g && v->sched)
		think(v->g, v);
}

static void on_decide(struct sim *s, void *arg)
{
	think(arg, NULL);
}

/* ---- vGPUs come and go ---- */

/* Have all the same weight? */
static void weigh(struct gpu *g)
{
	const struct vgpu *first = NULL;

	g->alike = true;
	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		const struct vgpu *v = g->vgpus[i];

		if (!v->sched)
			continue;
		first = first ? first : v;
		g->alike &= v->spec->share.weight == first->spec->share.weight;
	}
}

static void forget(struct vgpu *v)
{
	struct gpu *g = v->g;
	struct sched_stats st;

	if (!v->sched)
		return;
	gate_charge(g);
	at_once_leave(v);
	gate_set_undrained(v, false);
	sched_stats(v->sched, v->s->now, &st);
	v->longest_wait = st.longest_wait_ns;
	sched_remove(v->sched, v->s->now);
	v->sched = NULL;
	g->inhabited[v->spec->share.class]--;
	weigh(g);
	g->wants -= v->told;
	v->told = false;
	timer_stop(&v->s->events, &v->bell);
	if (g->holder == v)
		g->holder = NULL;
	if (g->leaving == v)
		g->leaving = NULL;
	if (g->overlapped == v)
		g->overlapped = NULL;
}

void gate_hold(struct vgpu *v)
{
	v->held = true;
	if (!model(v->g)->native)
		think(v->g, v);
}

void gate_detach(struct vgpu *v)
{
	forget(v);
	if (!model(v->g)->native)
		think(v->g, NULL);
}

int gate_attach(struct vgpu *v)
{
	struct gpu *g = v->g;
	uint32_t n = v->spec->group;
	const struct sim_config *c = g->s->c;

	if (model(g)->native)
		return 0;
	if (n && !g->groups[n - 1])
		g->groups[n - 1] = sched_group_add(g->sched, &c->groups[n - 1], NULL, g->s->now);
	if (n && !g->groups[n - 1])
		return -ENOMEM;
	v->drain_q8 = 256;
	v->users = 1;
	v->sched = sched_add(g->sched, n ? g->groups[n - 1] : NULL, &v->spec->share, v, g->s->now);
	g->inhabited[v->spec->share.class] += v->sched != NULL;
	weigh(g);
	return v->sched ? 0 : -ENOMEM;
}

int gate_init(struct gpu *g)
{
	g->decide = (struct timer){.fire = on_decide, .arg = g};
	g->wake = (struct timer){.fire = on_wake, .arg = g};
	g->slice_ns_now = 2 * SIM_MS;
	g->params = g->s->c->params;
	g->cost_ns = 2 * COST_MIN_NS;
	if (!g->params.handover_ns)
		g->params.handover_ns = g->cost_ns;
	g->told_ns = g->params.handover_ns;
	g->again = g->dry_at = SCHED_NEVER;
	g->groups = calloc(g->s->c->n_groups + 1, sizeof(struct sched_group *));
	g->sched = sched_new(&g->params, 0);
	return g->groups && g->sched ? 0 : -ENOMEM;
}

void gate_init_vgpu(struct vgpu *v)
{
	v->bell = (struct timer){.fire = on_bell, .arg = v};
}

void gate_end(struct gpu *g)
{
	if (g->sched)
		sched_free(g->sched);
	free(g->groups);
}
