/* SPDX-License-Identifier: MIT */
/* The load of applications: requests, each of several kernels, in order within a process. */
#include <errno.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

#define QUEUE_MAX      4096u /* most waiting requests of a process; further ones are dropped */
#define FIRST_ESTIMATE (100 * SIM_US)
#define ENDLESS        (UINT64_MAX / 4)
#define EWMA           8

static struct request *request(const struct process *p, uint32_t i)
{
	return ring_at(&p->requests, sizeof(struct request), i);
}

bool load_waiting(const struct process *p)
{
	return p->issuing < p->requests.n;
}

uint64_t load_parked(const struct process *p, uint64_t most)
{
	uint64_t n = 0;

	for (uint32_t i = p->issuing; i < p->requests.n && n < most; i++)
		n += request(p, i)->to_issue;
	return n < most ? n : most;
}

static bool over(const struct vgpu *v)
{
	return v->load->stop_ns && v->s->now >= v->load->stop_ns;
}

static void push(struct process *p, uint64_t length)
{
	struct vgpu *v = p->v;
	struct sim *s = v->s;
	struct request *r;

	s->load[v->spec->load].arrived += s->is_warm;
	if (p->requests.n >= QUEUE_MAX) {
		s->load[v->spec->load].dropped += s->is_warm;
		return;
	}
	r = ring_push(&p->requests, sizeof(*r));
	if (!r) {
		s->failed = true;
		return;
	}
	*r = (struct request){.arrived_ns = s->now, .length_ns = length};
	if (length) {
		uint64_t mean = (uint64_t)v->load->kernel_ns.mean, n = (length + mean - 1) / mean;

		r->to_issue = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	} else {
		uint64_t n = dist_count(&v->load->kernels, &p->rng, 1);

		r->to_issue = n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
	}
	if (v->load->endless_ns && s->now >= v->load->endless_ns && !p->endless_done) {
		p->endless_done = r->endless = true;
		r->to_issue = 1;
	}
	r->to_end = r->to_issue;
	if (p->requests.n > 1)
		return;
	if (v->busy_processes++ == 0) {
		device_account(v->g);
		v->g->wanting++;
	}
}

static void pop(struct process *p)
{
	struct vgpu *v = p->v;

	ring_pop(&p->requests);
	p->issuing--;
	if (p->requests.n)
		return;
	if (--v->busy_processes == 0) {
		device_account(v->g);
		v->g->wanting--;
		v->had_rest = true;
	}
}

static void arrive(struct process *p, uint64_t length)
{
	push(p, length);
	worker_works(p);
}

static void again(struct process *p, uint64_t in)
{
	timer_set(&p->v->s->events, &p->arrival, p->v->s->now + (in ? in : 1));
}

static void arrive_onoff(struct process *p)
{
	const struct sim_load *l = p->v->load;
	uint64_t now = p->v->s->now, gap;

	if (now >= p->on_until_ns) {
		uint64_t off = dist_count(&l->off, &p->rng, 1);

		p->on_until_ns = now + off + dist_count(&l->on, &p->rng, 1);
		again(p, off);
		return;
	}
	arrive(p, 0);
	gap = dist_count(&l->gap, &p->rng, 1);
	again(p, gap < p->on_until_ns - now ? gap : p->on_until_ns - now);
}

static void arrive_row(struct process *p)
{
	const struct sim_vgpu_spec *spec = p->v->spec;

	if (p->row >= spec->n_rows)
		return;
	arrive(p, spec->rows[p->row].length_ns ? spec->rows[p->row].length_ns : 1);
	/* Rows of one vGPU go to its processes in turn. */
	p->row += p->v->n_process;
	if (p->row < spec->n_rows) {
		uint64_t at = spec->rows[p->row].at_ns, now = p->v->s->now;

		again(p, at > now ? at - now : 1);
	}
}

static void fire(struct sim *s, void *arg)
{
	struct process *p = arg;
	const struct sim_load *l = p->v->load;

	if (over(p->v))
		return;
	switch (l->arrival) {
	case SIM_CLOSED:
		arrive(p, 0);
		break;
	case SIM_OPEN:
		arrive(p, 0);
		again(p, dist_count(&l->gap, &p->rng, 1));
		break;
	case SIM_ONOFF:
		arrive_onoff(p);
		break;
	case SIM_TRACE:
		arrive_row(p);
		break;
	default:
		break;
	}
}

/* Processes start at random phases, not all at once. */
static void begin(struct process *p, uint32_t number)
{
	const struct sim_load *l = p->v->load;
	uint64_t start = l->start_ns > p->v->s->now ? l->start_ns - p->v->s->now : 0;
	double phase = rng_unit(&p->rng);

	if (l->arrival == SIM_TRACE) {
		p->row = number;
		if (p->row < p->v->spec->n_rows)
			again(p, start + p->v->spec->rows[p->row].at_ns);
	} else if (l->arrival == SIM_CLOSED && l->gap.mean <= 0) {
		for (uint32_t i = 1; i < (l->depth ? l->depth : 1) && !start; i++)
			push(p, 0);
		again(p, start);
	} else if (l->arrival == SIM_ONOFF) {
		again(p, start + (uint64_t)(phase * (l->on.mean + l->off.mean)));
	} else if (l->arrival != SIM_IDLE) {
		again(p, start + (uint64_t)(phase * l->gap.mean));
	}
}

void load_begin(struct vgpu *v)
{
	v->had_rest = true;
	for (uint32_t i = 0; i < v->n_process; i++)
		begin(&v->process[i], i);
}

bool load_issue(struct process *p)
{
	struct vgpu *v = p->v;
	struct request *r;
	struct kernel *k;
	uint64_t length;

	if (!load_waiting(p))
		return false;
	r = request(p, p->issuing);
	k = ring_push(&p->kernels, sizeof(*k));
	if (!k) {
		v->s->failed = true;
		return false;
	}
	if (r->endless) {
		length = ENDLESS;
	} else if (r->length_ns) {
		uint64_t mean = (uint64_t)v->load->kernel_ns.mean;

		length = r->length_ns < mean ? r->length_ns : mean;
		r->length_ns -= length;
	} else {
		length = dist_count(&v->load->kernel_ns, &p->rng, 1);
	}
	*k = (struct kernel){length, p->estimate_ns ? p->estimate_ns : FIRST_ESTIMATE, length};
	p->inflight_ns += k->estimate_ns;
	p->commands++;
	if (--r->to_issue == 0)
		p->issuing++;
	device_issue(v->g, p);
	return true;
}

static void answered(struct process *p)
{
	struct vgpu *v = p->v;
	struct sim *s = v->s;
	const struct request *r = request(p, 0);

	if (s->is_warm && r->arrived_ns >= s->c->warm_ns) {
		uint64_t took = s->now - r->arrived_ns;

		sim_hist_add(&s->load[v->spec->load].latency, took);
		v->latency_sum += (double)took;
		v->requests++;
	}
	if (v->load->arrival == SIM_CLOSED && !over(v)) {
		if (v->load->gap.mean > 0)
			again(p, dist_count(&v->load->gap, &p->rng, 1));
		else
			push(p, 0); /* before the old one is removed, so that the process is never
				       idle */
	}
	pop(p);
}

void load_kernel_end(struct process *p)
{
	const struct kernel *k = ring_at(&p->kernels, sizeof(*k), 0);
	int64_t off = (int64_t)(k->length_ns - p->estimate_ns);

	p->inflight_ns -= k->estimate_ns;
	p->estimate_ns =
		p->estimate_ns ? (uint64_t)((int64_t)p->estimate_ns + off / EWMA) : k->length_ns;
	p->busy_ns += p->session.window.learn ? k->length_ns : k->estimate_ns;
	ring_pop(&p->kernels);
	if (--request(p, 0)->to_end == 0)
		answered(p);
}

void load_stop(struct vgpu *v)
{
	for (uint32_t i = 0; i < v->n_process; i++) {
		struct process *p = &v->process[i];

		timer_stop(&v->s->events, &p->arrival);
		device_kill(v->g, p);
		p->issuing = p->requests.n;
		while (p->requests.n)
			pop(p);
	}
}

int load_init(struct vgpu *v)
{
	v->n_process = v->spec->processes ? v->spec->processes : 1;
	v->process = calloc(v->n_process, sizeof(*v->process));
	if (!v->process)
		return -ENOMEM;
	for (uint32_t i = 0; i < v->n_process; i++) {
		/* Random numbers do not depend on policy and placement, so that runs can be
		 * compared. */
		uint64_t n = (uint64_t)(v - v->s->vgpus) << 20 | i;

		v->process[i] = (struct process){
			.v = v,
			.rng = v->s->c->seed ^ rng_next(&n),
			.arrival = {.fire = fire, .arg = &v->process[i]},
			.rung = {.fire = worker_rung, .arg = &v->process[i]},
			.issued = true,
		};
	}
	return 0;
}

void load_free(struct vgpu *v)
{
	for (uint32_t i = 0; v->process && i < v->n_process; i++) {
		free(v->process[i].requests.at);
		free(v->process[i].kernels.at);
	}
	free(v->process);
}
