/* SPDX-License-Identifier: MIT */
/*
 * The GPU for several vGPUs at once, after sched/turn/joint.c: while all that want it are
 * brief ones their gates are open together, and the GPU queues their work. A look every few
 * milliseconds charges what each has issued, and holds who is ahead of the first in turn.
 */
#include "xen-pvgpu-back/sched/sim/inner.h"

#define LINGER_NS (20 * SIM_MS)
/* Work that is older does not end, beyond so many times what all of them have in flight. */
#define OLD_NS  (100 * SIM_MS)
#define OLD_PER 4u

static bool is_brief(const struct vgpu *v)
{
	return v->issued_ns - v->full_from >= SHOWN_NS;
}

bool at_once_may(const struct vgpu *v)
{
	return sched_may_join(v->sched) && is_brief(v);
}

static bool may_begin(const struct gpu *g, const struct vgpu *next)
{
	const struct vgpu *h = g->holder;
	uint32_t n = 0;

	if (g->wants < 2 || g->limited || g->s->c->params.exclusive)
		return false;
	if (!h || (h != next && h->told && !at_once_may(h)) || !at_once_may(next))
		return false;
	for (uint32_t i = 0; i < g->n_vgpus; i++)
		n += g->vgpus[i]->told && at_once_may(g->vgpus[i]);
	return n >= 2;
}

void at_once_issued(struct process *p, uint64_t estimate_ns)
{
	struct vgpu *v = p->v;

	v->issued_ns += estimate_ns;
	v->issued_at = v->s->now;
	if (v->joint)
		v->alone_ns += estimate_ns;
	if (p->inflight_ns > window_brief_kernel(v->g->cost_ns, v->g->alike))
		at_once_full(v);
}

void at_once_full(struct vgpu *v)
{
	v->full_from = v->issued_ns;
}

static void set_open(struct vgpu *v, bool open)
{
	if (open == v->joint_open)
		return;
	v->joint_open = open;
	sched_beside(v->sched, open, v->s->now);
	if (open) {
		gate_set_undrained(v, false);
		v->grants += v != v->g->holder;
		gate_pump(v);
		return;
	}
	v->undrained_since = v->s->now;
	v->drain_ns = 0;
	v->as_issued = v->draining;
	gate_set_undrained(v, v->draining);
}

static void add(struct vgpu *v)
{
	v->joint = true;
	v->idle_since = 0;
	v->g->joints++;
	if (!v->as_issued)
		gate_charge_forget(v);
	if (v == v->g->holder) {
		v->joint_open = true;
		sched_beside(v->sched, true, v->s->now);
		gate_pump(v);
	}
}

void at_once_leave(struct vgpu *v)
{
	v->g->joints -= v->joint;
	v->joint = v->joint_open = v->as_issued = false;
}

static struct vgpu *least_ahead(const struct gpu *g, const struct vgpu *first)
{
	struct vgpu *best = NULL;

	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];

		if (v->joint && v->told && v != first &&
		    (!best || sched_lead(v->sched) < sched_lead(best->sched)))
			best = v;
	}
	return best;
}

static bool may_run(const struct vgpu *v, const struct vgpu *first, const struct vgpu *second)
{
	const int64_t least = (int64_t)joint_ahead_least(v->g->slice_ns_now);
	const int64_t most = (int64_t)v->g->ahead_ns > least ? (int64_t)v->g->ahead_ns : least;
	const int64_t lead = v->told ? sched_lead(v->sched) - sched_lead(first->sched) : 0;

	if (!v->told)
		return v->joint_open;
	if (v == first)
		return true;
	if (v == second)
		return lead <= (2 * least > most ? 2 * least : most);
	return lead <= (v->joint_open ? most : most / 2);
}

static void choose_members(struct gpu *g)
{
	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];
		const bool fits = !v->told || at_once_may(v);
		const bool lingers = v->told || v == g->holder || !v->idle_since ||
				     g->s->now - v->idle_since <= LINGER_NS;

		if (v->joint && !(fits && lingers)) {
			set_open(v, false);
			v->joint = false;
			if (!v->as_issued)
				gate_charge_forget(v);
			g->joints--;
		} else if (!v->joint && v->told && fits) {
			add(v);
		}
	}
}

static void open_and_hold(struct gpu *g)
{
	const struct vgpu *first, *second;

	choose_members(g);
	first = least_ahead(g, NULL);
	second = least_ahead(g, first);
	for (uint32_t i = 0; i < g->n_vgpus; i++)
		if (g->vgpus[i]->joint)
			set_open(g->vgpus[i], may_run(g->vgpus[i], first, second));
}

/* Has its work been on the GPU for longer than its place in the GPU's queue explains? */
static bool is_old(const struct vgpu *v)
{
	const uint64_t most = OLD_NS + OLD_PER * v->g->joint_inflight;

	for (uint32_t i = 0; i < v->n_process; i++)
		if (v->process[i].kernels.n && v->s->now - v->process[i].began_ns > most)
			return true;
	return false;
}

static bool any_waits_apart(const struct gpu *g)
{
	for (uint32_t i = 0; i < g->n_vgpus; i++)
		if (g->vgpus[i]->told && !g->vgpus[i]->joint && !sched_held(g->vgpus[i]->sched))
			return true;
	return false;
}

/* While one waits for its own turn the whole time of theirs is charged. */
static void charge_rest(struct gpu *g)
{
	const uint64_t passed = g->s->now - g->joint_last;
	uint64_t issued = 0, rest;

	g->joint_last = g->s->now;
	for (uint32_t i = 0; i < g->n_vgpus; i++)
		if (g->vgpus[i]->joint)
			issued += g->vgpus[i]->issued_ns - g->vgpus[i]->issued_seen;
	rest = passed > g->joint_charged && any_waits_apart(g) ? passed - g->joint_charged : 0;
	for (uint32_t i = 0; issued && i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];

		if (v->joint)
			gate_charge_one(v, (uint64_t)((double)rest / (double)issued *
						      (double)(v->issued_ns - v->issued_seen)));
	}
	g->joint_charged = 0;
}

void at_once_look(struct gpu *g)
{
	bool idle, held = false, busy = false;
	uint64_t in = 0;

	charge_rest(g);
	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];

		if (!v->joint)
			continue;
		gate_look(v);
		in += gate_in_flight(v);
		if (is_old(v))
			at_once_full(v);
		idle = !v->told && v->issued_ns == v->issued_seen;
		v->issued_seen = v->issued_ns;
		if (!idle || !v->idle_since)
			v->idle_since = idle ? g->s->now : 0;
		held |= v->told && !v->joint_open;
		busy |= v->draining > 0;
	}
	g->joint_inflight = in;
	g->ahead_ns = joint_ahead_look(g->ahead_ns, g->slice_ns_now, held && !busy);
}

static void end(struct gpu *g, struct vgpu *next)
{
	const bool stays = next && next->joint_open;
	struct vgpu *last = NULL;
	uint64_t in = 0;

	at_once_charge(g, 0);
	charge_rest(g);
	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];

		if (!v->joint)
			continue;
		if (v == next && stays) {
			sched_beside(v->sched, false, g->s->now);
		} else if (v->joint_open) {
			in += gate_left(v);
			set_open(v, false);
			last = v->undrained || !last ? v : last;
		}
		v->joint = v->joint_open = false;
		if (!v->as_issued)
			gate_charge_forget(v);
	}
	g->joints = 0;
	g->joint = false;
	g->holder = stays ? next : NULL;
	g->leaving = stays ? NULL : last;
	g->joint_left = !stays;
	g->drained_at = last && last->undrained ? 0 : g->s->now;
	in = in < OLD_NS ? in : OLD_NS;
	g->give_at = g->s->now + (in > g->cost_ns ? in - g->cost_ns : g->cost_ns);
	if (stays)
		sched_granted(g->sched, next->sched, g->s->now);
}

uint64_t at_once_charge(struct gpu *g, uint64_t passed)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];

		if (!v->joint)
			continue;
		gate_charge_alone(v, passed);
		n += v->joint_open && v->draining > 0;
	}
	return n;
}

bool at_once_decide(struct gpu *g, struct vgpu *next)
{
	if (g->joint && (!next || g->joints < 2 || (next->told && !at_once_may(next)))) {
		end(g, next);
		return false;
	}
	if (!g->joint) {
		if (!next || !may_begin(g, next))
			return false;
		g->joint = true;
		g->joint_at = g->joint_last = g->s->now;
		g->joint_charged = g->joint_inflight = 0;
	}
	if (g->holder != next) {
		if (g->holder && !g->holder->joint)
			add(g->holder);
		g->holder = next;
		next->grants++;
		sched_granted(g->sched, next->sched, g->s->now);
	}
	open_and_hold(g);
	if (g->s->now >= g->joint_at)
		g->joint_at = g->s->now + sched_look(g->joints);
	return true;
}
