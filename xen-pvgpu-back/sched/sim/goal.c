/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/sim/goal.h"

#include <errno.h>
#include <stdlib.h>

#define COMMAND_NS 100e3
#define GAP_NS     20e6
#define LEAST_NS   (5 * SIM_S)
#define REQUESTS   100           /* of each with a goal, on average */
#define COLD_NS    (30 * SIM_MS) /* of each vGPU: its first kernels have no estimates and queue */

/* Load 0 has work all the time; load i + 1 is that of vGPU i. */
static void fill(const struct goal *g, double gap, struct sim_load *loads, struct sim_vgpu_spec *v)
{
	loads[0] = (struct sim_load){.arrival = SIM_CLOSED,
				     .kernels = {SIM_CONST, 1e6, 0},
				     .kernel_ns = {SIM_CONST, 1e6, 0}};
	for (size_t i = 0; i < g->n; i++) {
		loads[i + 1] = (struct sim_load){.arrival = SIM_OPEN,
						 .gap = {SIM_EXP, gap, 0},
						 .kernels = {SIM_CONST, 1, 0},
						 .kernel_ns = {SIM_CONST, COMMAND_NS, 0}};
		v[i] = (struct sim_vgpu_spec){.share = g->v[i].share,
					      .group = g->v[i].group,
					      .load = g->v[i].goal_ns ? (uint32_t)i + 1 : 0};
	}
}

static void take(const struct goal *g, const struct sim_result *r)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct sim_hist *h = &r->load[i + 1].latency;
		uint64_t ns = sim_hist_at(h, 0.99);

		if (!g->v[i].goal_ns)
			continue;
		ns = ns > (uint64_t)COMMAND_NS ? ns - (uint64_t)COMMAND_NS : 0;
		/* Those that wait at the end have waited for that long, at least. */
		if (!h->count || r->load[i + 1].arrived > h->count + h->count / 50 + 4)
			ns = r->time_ns;
		g->v[i].p99_ns = ns;
	}
}

struct goal_run {
	const struct goal *g;
	struct place_gpu gpu;
	struct sim_load *loads;
	struct sim_vgpu_spec *v;
	struct sim_config c;
	struct sim *s;
};

static void run_free(struct goal_run *r)
{
	free(r->loads);
	free(r->v);
	free(r);
}

static void configure(struct goal_run *r)
{
	const struct goal *g = r->g;
	const double own = 4 * COMMAND_NS * (double)g->n, gap = own > GAP_NS ? own : GAP_NS;
	const uint64_t need = (uint64_t)(REQUESTS * gap), warm = SIM_S + g->n * COLD_NS;

	r->gpu = (struct place_gpu){.memory = UINT64_MAX};
	r->c = (struct sim_config){.seed = 1,
				   .duration_ns = warm + (need > LEAST_NS ? need : LEAST_NS),
				   .warm_ns = warm,
				   .params = g->params,
				   .gpus = &r->gpu,
				   .n_gpus = 1,
				   .groups = g->groups,
				   .n_groups = g->n_groups,
				   .loads = r->loads,
				   .n_loads = g->n + 1,
				   .vgpus = r->v,
				   .n_vgpus = g->n};
	sim_model_default(&r->c.model);
	fill(g, gap, r->loads, r->v);
}

struct goal_run *goal_begin(const struct goal *g)
{
	struct goal_run *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->g = g;
	r->loads = calloc(g->n + 1, sizeof(*r->loads));
	r->v = calloc(g->n + 1, sizeof(*r->v));
	if (r->loads && r->v && g->n) {
		configure(r);
		r->s = sim_begin(&r->c);
		if (r->s)
			return r;
	}
	run_free(r);
	return NULL;
}

bool goal_go(struct goal_run *r, uint64_t events)
{
	return sim_go(r->s, events);
}

int goal_end(struct goal_run *r)
{
	struct sim_result *result = sim_end(r->s);
	const int err = result ? 0 : -ENOMEM;

	if (result)
		take(r->g, result);
	sim_result_free(result);
	run_free(r);
	return err;
}

int goal_predict(const struct goal *g)
{
	struct goal_run *r = goal_begin(g);

	if (!r)
		return -ENOMEM;
	goal_go(r, UINT64_MAX);
	return goal_end(r);
}
