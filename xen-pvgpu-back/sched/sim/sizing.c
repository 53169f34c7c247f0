/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/sim/sizing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define UNANSWERED 0.02 /* part of the requests that may be unanswered at the end */

void sizing_init(struct sizing *z)
{
	*z = (struct sizing){.duration_ns = 30 * SIM_S, .seed = 1};
	sim_model_default(&z->model);
}

void sizing_load_init(struct sizing_load *l, const char *name)
{
	*l = (struct sizing_load){
		.name = name,
		.part = 1,
		.arrival = SIZING_POISSON,
		.kernel_ns = 100e3,
		.kernels = 20,
		.duty = 0.05,
		.share = {.class = SCHED_MEDIUM, .weight = 100},
	};
}

static bool good(const struct sizing *z)
{
	double parts = 0;

	if (!z->n_loads || z->n_loads > SIZING_LOADS || !z->duration_ns || z->most > SIZING_MAX ||
	    z->duration_ns > 100000 * SIM_S)
		return false;
	for (size_t i = 0; i < z->n_loads; i++) {
		const struct sizing_load *l = &z->loads[i];

		parts += l->part;
		if (!(l->part >= 0) || !(l->duty > 0) || !(l->duty <= 1) || !(l->kernel_ns >= 1) ||
		    !(l->kernel_ns <= 1e15) || !(l->kernels >= 1) || !(l->kernels <= 1e9) ||
		    !(l->spread >= 0) || l->arrival >= SIZING_ARRIVALS || !l->share.weight)
			return false;
	}
	return parts > 0;
}

static struct sim_load load_of(const struct sizing_load *l)
{
	double request = l->kernel_ns * l->kernels, gap = request / l->duty;
	struct sim_load s = {
		.name = l->name,
		.arrival = SIM_OPEN,
		.gap = {SIM_EXP, gap, 0},
		.kernels = {SIM_CONST, l->kernels, 0},
		.kernel_ns = {l->spread > 0 ? SIM_LOGNORMAL : SIM_CONST, l->kernel_ns, l->spread},
	};

	switch (l->arrival) {
	case SIZING_STEADY:
		s.gap.kind = SIM_CONST;
		break;
	case SIZING_PARETO:
		s.gap.kind = SIM_PARETO;
		s.gap.shape = 1.5;
		break;
	case SIZING_ONOFF:
		s.arrival = SIM_ONOFF;
		s.gap.mean = gap / 5 > 1 ? gap / 5 : 1;
		s.on = (struct sim_dist){SIM_EXP, 200e6, 0};
		s.off = (struct sim_dist){SIM_EXP, 800e6, 0};
		break;
	case SIZING_CLOSED:
		s.arrival = SIM_CLOSED;
		s.gap = (struct sim_dist){SIM_CONST, gap - request, 0};
		s.depth = gap > request ? 1 : 2;
		break;
	default:
		break;
	}
	return s;
}

/* Deals the loads to n vGPUs. The first n are the same for every larger number. */
static void deal(const struct sizing *z, struct sim_vgpu_spec *v, size_t n)
{
	double credit[SIZING_LOADS] = {0}, parts = 0;

	for (size_t i = 0; i < z->n_loads; i++)
		parts += z->loads[i].part;
	for (size_t k = 0; k < n; k++) {
		size_t next = 0;

		for (size_t i = 0; i < z->n_loads; i++) {
			credit[i] += z->loads[i].part / parts;
			if (credit[i] > credit[next])
				next = i;
		}
		credit[next] -= 1;
		v[k] = (struct sim_vgpu_spec){.load = (uint32_t)next,
					      .processes = z->loads[next].processes,
					      .share = z->loads[next].share,
					      .memory = z->loads[next].memory};
	}
}

static void miss(struct sizing_answer *a, enum sizing_limit limit, size_t load, double value)
{
	if (a->limit != SIZING_BY_MOST)
		return;
	a->limit = limit;
	a->load = load;
	a->value = value;
}

static void judge_load(const struct sizing *z, const struct sim_result *r, size_t i,
		       struct sizing_answer *a)
{
	const struct sizing_load *l = &z->loads[i];
	const struct sim_load_result *res = &r->load[i];
	struct sizing_load_answer *out = &a->loads[i];
	double open = (double)res->arrived - (double)res->latency.count;

	*out = (struct sizing_load_answer){
		.vgpus = res->vgpus,
		.requests = res->latency.count,
		.p50_ns = sim_hist_at(&res->latency, 0.5),
		.p95_ns = sim_hist_at(&res->latency, 0.95),
		.p99_ns = sim_hist_at(&res->latency, 0.99),
		.used = (double)res->used_ns / (double)r->time_ns,
	};
	if (!res->vgpus)
		return;
	if (l->p99_ns && out->p99_ns > l->p99_ns)
		miss(a, SIZING_BY_LATENCY, i, (double)out->p99_ns);
	/* A closed loop has no backlog. Without a single answer it has no latency either, and must
	 * count here. */
	if (l->arrival != SIZING_CLOSED || (l->p99_ns && !res->latency.count))
		if (open > UNANSWERED * (double)res->arrived + 4 * (double)res->vgpus ||
		    res->dropped)
			miss(a, SIZING_BY_BACKLOG, i, open / (double)res->arrived);
}

static void judge_least(const struct sizing *z, const struct sim_config *c,
			const struct sim_result *r, struct sizing_answer *a)
{
	for (size_t k = 0; k < r->n_vgpus; k++) {
		size_t load = c->vgpus[k].load;
		double used = (double)r->vgpu[k].used_ns / (double)r->time_ns;

		if (z->loads[load].least > 0 && used < z->loads[load].least)
			miss(a, SIZING_BY_LEAST, load, used);
	}
}

/* Simulates n vGPUs. a->limit stays SIZING_BY_MOST if all goals are met. */
static int look(const struct sizing *z, size_t n, struct sizing_answer *a)
{
	struct sim_load loads[SIZING_LOADS];
	struct place_gpu gpu = {.memory = z->memory ? z->memory : UINT64_MAX,
				.overcommit_ppm = z->overcommit_ppm};
	struct sim_vgpu_spec *v = calloc(n, sizeof(*v));
	struct sim_config c = {.seed = z->seed,
			       .duration_ns = SIM_S + z->duration_ns,
			       .warm_ns = SIM_S,
			       .model = z->model,
			       .params = z->params,
			       .gpus = &gpu,
			       .n_gpus = 1,
			       .loads = loads,
			       .n_loads = z->n_loads,
			       .vgpus = v,
			       .n_vgpus = n};
	struct sim_result *r;

	*a = (struct sizing_answer){.vgpus = n};
	if (!v)
		return -ENOMEM;
	deal(z, v, n);
	for (size_t i = 0; i < z->n_loads; i++)
		loads[i] = load_of(&z->loads[i]);
	for (size_t k = 0; k < n; k++) {
		struct place_want w = {.memory = v[k].memory};

		if (place_pick(PLACE_DEPTH, &gpu, 1, &w) == PLACE_NONE) {
			miss(a, SIZING_BY_MEMORY, v[k].load, (double)place_free(&gpu));
			free(v);
			return 0;
		}
		place_take(&gpu, &w);
	}
	a->memory = gpu.promised;
	gpu.promised = gpu.vgpus = 0;
	gpu.load_ppm = 0;
	r = sim_run(&c);
	if (!r) {
		free(v);
		return -errno;
	}
	for (size_t i = 0; i < z->n_loads; i++)
		judge_load(z, r, i, a);
	judge_least(z, &c, r, a);
	a->busy = (double)r->all.busy_ns / (double)r->time_ns;
	a->handover = (double)r->all.switch_ns / (double)r->time_ns;
	a->jain = r->jain_min;
	sim_result_free(r);
	free(v);
	return 0;
}

int sizing_find(const struct sizing *z, struct sizing_answer *out)
{
	size_t most = z->most ? z->most : SIZING_MAX, fits = 0, fails = most + 1;
	struct sizing_answer a = {0}, best = {0}, worse = {0};
	int ret;

	if (!good(z))
		return -EINVAL;
	/* Doubles the number until a goal is missed, then bisects: goals are assumed to be missed
	 * from some number on. */
	for (size_t n = 1; fits + 1 < fails;) {
		ret = look(z, n, &a);
		if (ret < 0)
			return ret;
		if (a.limit == SIZING_BY_MOST) {
			fits = n;
			best = a;
		} else {
			fails = n;
			worse = a;
		}
		n = fails > most ? (2 * fits < most ? 2 * fits : most) : fits + (fails - fits) / 2;
	}
	best.limit = worse.limit;
	best.load = worse.load;
	best.value = worse.value;
	*out = best;
	return 0;
}
