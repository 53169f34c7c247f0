/* SPDX-License-Identifier: MIT */
/*
 * The GPU: contexts (processes) with kernels in flight form a ring. One runs. When it has no more
 * work, or when the hardware's time slice is over and another has work, the next context is loaded,
 * which takes switch_ns. With a single context the slice starts again.
 */
#include "xen-pvgpu-back/sched/sim/inner.h"

static struct kernel *front(const struct process *p)
{
	return ring_at(&p->kernels, sizeof(struct kernel), 0);
}

void device_account(struct gpu *g)
{
	uint64_t dt = g->s->now - g->since_ns;

	g->since_ns = g->s->now;
	switch (g->state) {
	case DEVICE_RUN:
		g->sum.busy_ns += dt;
		g->cur->v->busy_ns += dt;
		front(g->cur)->left_ns -= dt;
		break;
	case DEVICE_SWITCH:
		g->sum.switch_ns += dt;
		break;
	default:
		if (g->wanting)
			g->sum.waste_ns += dt;
	}
}

static void arm(struct gpu *g)
{
	uint64_t hw = g->s->c->model.hw_slice_ns, now = g->s->now, at;

	if (g->state != DEVICE_RUN || !g->cur->kernels.n)
		return;
	at = front(g->cur)->left_ns;
	at = at < UINT64_MAX - 1 - now ? now + at : UINT64_MAX - 1;
	if (hw && g->contexts > 1) {
		uint64_t over = g->slice_ns + ((now - g->slice_ns) / hw + 1) * hw;

		at = over < at ? over : at;
	}
	timer_set(&g->s->events, &g->device, at);
}

static void run(struct gpu *g)
{
	g->state = DEVICE_RUN;
	g->last = g->cur;
	g->slice_ns = g->s->now;
	arm(g);
}

/* Gives p its turn; NULL: no context has work. The time until now must be accounted for. */
static void turn(struct gpu *g, struct process *p)
{
	g->cur = p;
	if (!p) {
		g->state = DEVICE_IDLE;
		timer_stop(&g->s->events, &g->device);
	} else if (g->last == p || !g->s->c->model.switch_ns) {
		run(g);
	} else {
		if (g->last)
			g->sum.context_switches++;
		g->state = DEVICE_SWITCH;
		timer_set(&g->s->events, &g->device, g->s->now + g->s->c->model.switch_ns);
	}
}

/* Removes p and returns the next context; NULL: none. */
static struct process *unlink_context(struct gpu *g, struct process *p)
{
	struct process *next = p->next == p ? NULL : p->next;

	p->prev->next = p->next;
	p->next->prev = p->prev;
	p->next = p->prev = NULL;
	g->contexts--;
	return next;
}

static void link_context(struct gpu *g, struct process *p)
{
	if (g->contexts++ == 0) {
		p->next = p->prev = p;
		return;
	}
	/* The last place is before the running context. */
	p->next = g->cur;
	p->prev = g->cur->prev;
	p->prev->next = p;
	p->next->prev = p;
}

void device_issue(struct gpu *g, struct process *p)
{
	if (p->kernels.n == 1)
		p->began_ns = g->s->now;
	if (!p->next)
		link_context(g, p);
	if (g->state == DEVICE_IDLE) {
		device_account(g);
		turn(g, p);
	} else if (g->contexts > 1) {
		device_account(g);
		arm(g);
	}
}

static bool slice_is_over(const struct gpu *g)
{
	uint64_t hw = g->s->c->model.hw_slice_ns, in = g->s->now - g->slice_ns;

	return hw && in && in % hw == 0;
}

static void fire(struct sim *s, void *arg)
{
	struct gpu *g = arg;
	struct process *p = g->cur;
	bool over;

	device_account(g);
	if (g->state == DEVICE_SWITCH) {
		run(g);
		return;
	}
	over = slice_is_over(g);
	if (!front(p)->left_ns) {
		load_kernel_end(p);
		p->began_ns = s->now;
		worker_ended(p);
	}
	if (!p->kernels.n)
		turn(g, unlink_context(g, p));
	else if (over && p->next != p)
		turn(g, p->next);
	else
		arm(g);
}

void device_kill(struct gpu *g, struct process *p)
{
	struct process *next;

	p->inflight_ns = 0;
	device_account(g);
	p->kernels.n = 0;
	if (!p->next)
		return;
	next = unlink_context(g, p);
	if (g->cur == p)
		turn(g, next);
}

void device_init(struct gpu *g)
{
	g->device = (struct timer){.fire = fire, .arg = g};
}
