/* SPDX-License-Identifier: MIT */
/*
 * A model of a session's worker, after contract/gate.h and worker/gpu/issue/flight.c: with its gate open
 * it issues what fits into its window; otherwise it parks its work and rings.
 */
#include "xen-pvgpu-back/sched/sim/inner.h"

/* Two kernels that take no longer may be in flight: beside others, or alone. */
#define PAIR_NS       (5500 * SIM_US)
#define ALONE_PAIR_NS (10500 * SIM_US)
#define NATIVE_DEPTH  1024u /* without a gate: kernels in flight at which a launch blocks */
#define MOST_PARKED   4096u /* about as many as a worker parks at most */

static const struct sim_model *model(const struct process *p)
{
	return &p->v->s->c->model;
}

/* May it have another kernel in flight? By worker/gpu/issue/flight.c, for one stream. */
static bool fits(const struct process *p)
{
	const struct turn_window *w = &p->session.window;
	const uint64_t ns = p->estimate_ns, most = w->inflight_ns;
	const bool alone = !w->contended && w->learn;

	if (!p->kernels.n)
		return true;
	if (!most)
		return false;
	if (p->kernels.n == 1 &&
	    p->inflight_ns + ns <= (alone && ns > most ? ALONE_PAIR_NS : PAIR_NS))
		return true;
	/* Until one has ended their length is not known. */
	return ns && ns <= most && p->inflight_ns < most;
}

static void ring(struct process *p)
{
	driver_bell(p->v, model(p)->bell_ns);
}

/* Nothing is parked any more, which it tells once. */
static void see_issued(struct process *p)
{
	const struct turn_window *w = &p->session.window;

	if (p->issued || !w->tell_issued || !w->contended || !p->kernels.n)
		return;
	p->issued = true;
	ring(p);
}

static void pump(struct process *p)
{
	if (model(p)->native) {
		while (p->kernels.n < NATIVE_DEPTH && load_issue(p))
			;
		return;
	}
	p->sleeps = false;
	while (fits(p) && load_issue(p))
		;
	if (load_waiting(p))
		p->full++;
	else
		see_issued(p);
}

/* It has work for a closed gate. */
static void park(struct process *p)
{
	if (!p->sleeps)
		ring(p);
	p->sleeps = true;
	p->issued = false;
}

void worker_works(struct process *p)
{
	if (model(p)->native || p->session.open)
		pump(p);
	else
		park(p);
}

void worker_ended(struct process *p)
{
	if (model(p)->native || p->session.open)
		pump(p);
	else if (load_waiting(p))
		park(p);
	/* It is idle, or has drained. */
	if (!model(p)->native && !p->kernels.n && (!p->session.open || p->session.window.contended))
		ring(p);
}

/* It looks at its gate. At a closed one it says again that it waits, or has drained. */
void worker_rung(struct sim *s, void *arg)
{
	struct process *p = arg;

	if (p->session.open) {
		pump(p);
	} else if (load_waiting(p) && !p->sleeps) {
		park(p);
		return;
	}
	if (!p->kernels.n)
		ring(p);
}

struct turn_report worker_report(const struct process *p)
{
	return (struct turn_report){
		.wants = p->requests.n,
		.sleeps = p->sleeps,
		.drained = !p->kernels.n,
		.issued = p->issued,
		.counts_full = true,
		.full = p->full,
		.parked = load_parked(p, MOST_PARKED),
		.commands = p->commands,
		.inflight_ns = p->inflight_ns,
		.drain_ns = p->inflight_ns,
		.busy_ns = p->busy_ns,
		.oldest_ns = p->kernels.n ? p->began_ns : 0,
	};
}
