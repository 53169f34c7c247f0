/* SPDX-License-Identifier: MIT */
/*
 * The driver of sched/turn for modelled GPUs and workers, in the place of pvgpud: a ring takes
 * bell_ns to either side, and so does the wake-up at a timer.
 */
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

#define SOON_NS (10 * SIM_US) /* as pvgpud's */

static const struct sim_model *model(const struct gpu *g)
{
	return &g->s->c->model;
}

static struct vgpu *vgpu_of(struct turn_vgpu *v)
{
	return (struct vgpu *)v;
}

static struct process *process_of(struct turn_session *s)
{
	return (struct process *)s;
}

void driver_bell(struct vgpu *v, uint64_t in)
{
	uint64_t at = v->s->now + in;

	if (!v->bell.pos || v->bell.at > at)
		timer_set(&v->s->events, &v->bell, at);
}

static void ring_worker(struct process *p)
{
	struct sim *s = p->v->s;

	if (!p->rung.pos)
		timer_set(&s->events, &p->rung, s->now + s->c->model.bell_ns);
}

/* ---- actions ---- */

static void report(struct turn_vgpu *turn, uint64_t now)
{
	struct vgpu *v = vgpu_of(turn);

	for (uint32_t i = 0; i < v->n_process; i++) {
		const struct turn_report r = worker_report(&v->process[i]);

		turns_report(&v->process[i].session, &r);
	}
}

static void open_gate(struct turn_session *s, uint64_t now)
{
	if (process_of(s)->sleeps)
		ring_worker(process_of(s));
}

static bool close_gate(struct turn_session *s, uint64_t now)
{
	/* A worker that only waits for its work might not look at the gate until that ends. */
	if (process_of(s)->kernels.n)
		ring_worker(process_of(s));
	return process_of(s)->kernels.n;
}

/* The session has the window when this has returned. */
static void tell(struct turn_session *s, const struct turn_window *w)
{
	struct process *p = process_of(s);

	if ((w->inflight_ns > s->window.inflight_ns && p->sleeps) ||
	    (w->contended && !s->window.contended))
		ring_worker(p);
}

static void charge(struct turn_vgpu *v, uint64_t ns)
{
}

static void granted(struct turn_vgpu *v, uint64_t now)
{
	vgpu_of(v)->g->sum.grants++;
}

static void waits(struct turn_vgpu *v, uint64_t now)
{
}

static const struct turn_actions actions = {
	.report = report,
	.open = open_gate,
	.close = close_gate,
	.tell = tell,
	.charge = charge,
	.granted = granted,
	.waits = waits,
};

/* ---- steps ---- */

static void think(struct gpu *g)
{
	const uint64_t soon = g->s->now + SOON_NS;
	uint64_t at = turns_step(&g->turns, g->s->now);

	at = at > soon ? at : soon;
	g->turns.armed = at;
	timer_set(&g->s->events, &g->decide,
		  at == SCHED_NEVER ? SCHED_NEVER : at + model(g)->bell_ns);
}

static void on_bell(struct sim *s, void *arg)
{
	struct vgpu *v = arg;

	turns_news(&v->turn);
	think(v->g);
}

static void on_decide(struct sim *s, void *arg)
{
	struct gpu *g = arg;

	turns_fired(&g->turns, s->now);
	think(g);
}

void driver_account(struct gpu *g)
{
	if (!model(g)->native)
		think(g);
	g->sum.decisions = g->turns.decisions;
	g->sum.handovers = g->turns.handovers;
	g->sum.slice_ns = g->turns.slice_ns;
}

/* ---- vGPUs come and go ---- */

void driver_hold(struct vgpu *v)
{
	v->held = true;
	if (model(v->g)->native)
		return;
	for (uint32_t i = 0; i < v->n_process; i++)
		turns_keep_closed(&v->process[i].session, true, v->s->now);
	turns_news(&v->turn);
	think(v->g);
}

void driver_detach(struct vgpu *v)
{
	struct sched_stats st;

	if (!v->turn.sched)
		return;
	turns_charge(&v->g->turns, v->s->now);
	sched_stats(v->turn.sched, v->s->now, &st);
	v->longest_wait = st.longest_wait_ns;
	for (uint32_t i = 0; i < v->n_process; i++) {
		turns_leave(&v->process[i].session);
		timer_stop(&v->s->events, &v->process[i].rung);
	}
	turns_remove(&v->turn, v->s->now);
	timer_stop(&v->s->events, &v->bell);
	think(v->g);
}

int driver_attach(struct vgpu *v)
{
	struct gpu *g = v->g;
	uint32_t n = v->spec->group;
	const struct sim_config *c = g->s->c;

	if (model(g)->native)
		return 0;
	if (n && !g->groups[n - 1])
		g->groups[n - 1] =
			sched_group_add(g->turns.lib, &c->groups[n - 1], NULL, g->s->now);
	if (n && !g->groups[n - 1])
		return -ENOMEM;
	if (turns_add(&g->turns, &v->turn, n ? g->groups[n - 1] : NULL, &v->spec->share,
		      g->s->now) < 0)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_process; i++) {
		turns_join(&v->turn, &v->process[i].session, false);
		turns_admit(&v->process[i].session, g->s->now);
	}
	return 0;
}

int driver_init(struct gpu *g)
{
	g->decide = (struct timer){.fire = on_decide, .arg = g};
	g->groups = calloc(g->s->c->n_groups + 1, sizeof(struct sched_group *));
	if (turns_init(&g->turns, &g->s->c->params, &actions, 0) < 0 || !g->groups)
		return -ENOMEM;
	return 0;
}

void driver_init_vgpu(struct vgpu *v)
{
	turn_vgpu_init(&v->turn);
	v->bell = (struct timer){.fire = on_bell, .arg = v};
}

void driver_end(struct gpu *g)
{
	turns_end(&g->turns);
	free(g->groups);
}
