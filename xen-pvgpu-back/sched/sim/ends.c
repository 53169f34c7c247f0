/* SPDX-License-Identifier: MIT */
/* A turn that ends before its holder runs dry, after sched/turn/dry.c. */
#include "xen-pvgpu-back/sched/sim/inner.h"

#define LATELY  0xfu /* the last four turns */
#define SOON_NS (10 * SIM_MS)
/* About as many as a worker parks at most. */
#define MOST_PARKED 4096u

static bool all_issued(const struct vgpu *v)
{
	for (uint32_t i = 0; i < v->n_process; i++)
		if (load_waiting(&v->process[i]))
			return false;
	return true;
}

/* Nothing is parked any more, which its workers tell once in a turn. */
void ends_issued(struct vgpu *v)
{
	struct gpu *g = v->g;

	if (v->issued || !(v->dry_turns & LATELY) || v != g->holder || g->joint || !g->exact ||
	    !v->draining || !all_issued(v))
		return;
	v->issued = true;
	gate_bell(v, g->s->c->model.bell_ns);
}

static bool ends_soon(const struct vgpu *v)
{
	struct gpu *g = v->g;
	const uint64_t left = gate_left(v),
		       early = window_early_dry(g->cost_ns, g->s->now - g->given_at + left);

	g->dry_at = SCHED_NEVER;
	if (!g->exact || g->joint || g->limited || !v->issued || !v->sched ||
	    g->s->c->params.exclusive || g->s->now - g->given_at < 2 * g->cost_ns ||
	    !all_issued(v) || gate_is_below(v) || !sched_peers(v->sched) || at_once_may(v))
		return false;
	if (left > early)
		g->dry_at = g->s->now + left - early;
	return left && left <= early;
}

static bool still_dry(struct vgpu *v)
{
	if (!v->dry || !v->undrained || v->s->now - v->undrained_since > SOON_NS)
		return false;
	if (all_issued(v))
		return true;
	v->dry_turns &= ~1u;
	return false;
}

uint64_t ends_in(const struct vgpu *v)
{
	uint64_t ns = gate_left(v);

	for (uint32_t i = 0; i < v->n_process; i++) {
		const struct process *p = &v->process[i];

		ns += load_parked(p, MOST_PARKED) * p->estimate_ns;
	}
	return ns;
}

bool ends_look(struct vgpu *v)
{
	v->dry = v == v->g->holder ? ends_soon(v) : still_dry(v);
	return v->dry;
}
