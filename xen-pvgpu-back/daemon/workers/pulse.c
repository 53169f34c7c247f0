/* SPDX-License-Identifier: MIT */
/*
 * A local guest without a pidfd (an older kernel, another PID namespace) can block its worker by a
 * full doorbell and go: the worker does not look, and pvgpud cannot see the guest's end. So pvgpud
 * rings such a worker regularly, and ends one that does not take its bell for long. A worker that
 * its guest has taken over can feign taking it; its guest then keeps one session of those that it
 * may have, and no more.
 */
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MISSED  10u /* periods of worker_grace_ms, in which a worker must be able to do more */
#define LEAST_S 0.1

static void on_pulse(struct ev_loop *loop, ev_timer *t, int events)
{
	struct worker *w = t->data;

	w->missed = share_gate_unheard(w) ? w->missed + 1 : 0;
	if (w->missed < MISSED) {
		share_gate_ask(w);
		return;
	}
	ev_timer_stop(loop, t);
	worker_kill(w, "did not take its bell for %.0f s, and its guest cannot be watched",
		    MISSED * t->repeat);
}

void pulse_start(struct worker *w)
{
	const double s = w->d->cfg.worker_ms / 1e3;

	pulse_stop(w);
	w->missed = 0;
	ev_timer_init(&w->pulse, on_pulse, 0., s > LEAST_S ? s : LEAST_S);
	w->pulse.data = w;
	ev_timer_again(w->d->loop, &w->pulse);
}

void pulse_stop(struct worker *w)
{
	ev_timer_stop(w->d->loop, &w->pulse);
}
