/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/sim/goal.h"

#include <errno.h>
#include <stdlib.h>

#define COMMAND_NS 100e3
#define GAP_NS     20e6
#define LEAST_NS   (5 * SIM_S)
#define REQUESTS   100 /* of each with a goal, on average */

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

int goal_predict(const struct goal *g)
{
	const double own = 4 * COMMAND_NS * (double)g->n, gap = own > GAP_NS ? own : GAP_NS;
	const uint64_t need = (uint64_t)(REQUESTS * gap);
	struct sim_load *loads = calloc(g->n + 1, sizeof(*loads));
	struct sim_vgpu_spec *v = calloc(g->n, sizeof(*v));
	const struct place_gpu gpu = {.memory = UINT64_MAX};
	struct sim_config c = {.seed = 1,
			       .duration_ns = SIM_S + (need > LEAST_NS ? need : LEAST_NS),
			       .warm_ns = SIM_S,
			       .params = g->params,
			       .gpus = &gpu,
			       .n_gpus = 1,
			       .groups = g->groups,
			       .n_groups = g->n_groups,
			       .loads = loads,
			       .n_loads = g->n + 1,
			       .vgpus = v,
			       .n_vgpus = g->n};
	struct sim_result *r = NULL;
	int err = -ENOMEM;

	if (loads && v && g->n) {
		sim_model_default(&c.model);
		fill(g, gap, loads, v);
		r = sim_run(&c);
		err = r ? 0 : -errno;
	}
	if (r)
		take(g, r);
	sim_result_free(r);
	free(loads);
	free(v);
	return err;
}
