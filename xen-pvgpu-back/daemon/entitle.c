/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/entitle.h"

void entitle_init(struct entitle *e, bool busy, uint64_t now)
{
	/* What it had issued before is not known here: UINT64_MAX is never exceeded. */
	*e = (struct entitle){.draining = busy, .since_ns = now, .at_close = busy ? UINT64_MAX : 0};
}

static void count(struct entitle *e, uint64_t now)
{
	uint64_t d = now > e->since_ns ? now - e->since_ns : 0;

	e->since_ns += d;
	if (e->open)
		e->total_ns += d;
	else if (e->draining)
		e->drain_ns += d;
}

static void end_drain(struct entitle *e)
{
	if (!e->late)
		e->total_ns += e->drain_ns;
	e->drain_ns = 0;
	e->draining = false;
}

void entitle_gate(struct entitle *e, bool open, const struct pvgpu_gate_report *r, uint64_t now)
{
	bool was_open = e->open;

	count(e, now);
	if (was_open && !open) {
		e->at_close = r->commands;
		e->late = false;
		e->draining = !r->drained && r->commands > e->at_drained;
	} else if (!was_open && r->commands > e->at_close) {
		e->late = true;
		e->draining = false;
		e->drain_ns = 0;
	}
	e->open = open;
	if (e->draining && (open || r->drained))
		end_drain(e);
	if (r->drained && r->commands > e->at_drained)
		e->at_drained = r->commands;
}

uint64_t entitle_ns(const struct entitle *e, uint64_t now)
{
	uint64_t d = now > e->since_ns ? now - e->since_ns : 0;

	return e->total_ns + e->drain_ns + (e->open || e->draining ? d : 0);
}
