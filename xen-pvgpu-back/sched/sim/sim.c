/* SPDX-License-Identifier: MIT */
/* A run: vGPUs arrive, are placed, work and leave; figures are taken for each window. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/sched/sim/inner.h"

#define WATCH_EVERY   (10 * SIM_MS)
#define PROGRESS_MASK 0xfffffu /* events between two reports */

void sim_model_default(struct sim_model *m)
{
	*m = (struct sim_model){
		.switch_ns = 59 * SIM_US,
		.hw_slice_ns = 2 * SIM_MS,
		.bell_ns = 10 * SIM_US,
		.grace_ns = SIM_S,
	};
}

static uint64_t window_ns(const struct sim_config *c)
{
	return c->window_ns ? c->window_ns : SIM_S;
}

/* ---- vGPUs come and go ---- */

static void come(struct sim *s, void *arg)
{
	struct vgpu *v = arg;
	size_t at = place_pick(s->c->place, s->places, s->c->n_gpus, &v->want);
	struct gpu *g;

	if (at == PLACE_NONE) {
		s->refused++;
		return;
	}
	g = &s->gpus[at];
	if (g->n_vgpus == g->cap_vgpus) {
		uint32_t cap = g->cap_vgpus ? 2 * g->cap_vgpus : 8;
		struct vgpu **more = realloc(g->vgpus, cap * sizeof(struct vgpu *));

		if (!more) {
			s->failed = true;
			return;
		}
		g->vgpus = more;
		g->cap_vgpus = cap;
	}
	place_take(&s->places[at], &v->want);
	v->g = g;
	v->in_gpu = g->n_vgpus;
	g->vgpus[g->n_vgpus++] = v;
	if (g->n_vgpus > g->sum.vgpus)
		g->sum.vgpus = g->n_vgpus;
	s->r->vgpu[v - s->vgpus].gpu = at;
	if (driver_attach(v) < 0)
		s->failed = true;
	else
		load_begin(v);
}

static void leave(struct sim *s, void *arg)
{
	struct vgpu *v = arg;
	struct gpu *g = v->g;
	struct vgpu *last;

	if (!g)
		return;
	load_stop(v);
	driver_detach(v);
	place_give(&s->places[g->index], &v->want);
	last = g->vgpus[--g->n_vgpus];
	g->vgpus[v->in_gpu] = last;
	last->in_gpu = v->in_gpu;
	v->g = NULL;
}

static void watch(struct sim *s, void *arg)
{
	for (size_t i = 0; i < s->c->n_vgpus; i++) {
		struct vgpu *v = &s->vgpus[i];
		uint64_t limit = v->spec->kernel_limit_ns;

		if (!limit || !v->g || v->killed_ns)
			continue;
		for (uint32_t k = 0; !v->held && k < v->n_process; k++) {
			if (!v->process[k].kernels.n || s->now - v->process[k].began_ns < limit)
				continue;
			v->held_ns = s->now;
			driver_hold(v);
		}
		if (v->held && s->now - v->held_ns >= s->c->model.grace_ns) {
			v->killed_ns = s->now;
			load_stop(v);
			driver_detach(v);
		}
	}
	timer_set(&s->events, &s->watchdog, s->now + WATCH_EVERY);
}

/* ---- figures ---- */

static void window_gpu(struct sim *s, struct gpu *g)
{
	uint64_t *row = s->r->window ? s->r->window + s->r->windows * s->c->n_vgpus : NULL;
	size_t n = 0;

	device_account(g);
	for (uint32_t i = 0; i < g->n_vgpus; i++) {
		struct vgpu *v = g->vgpus[i];
		uint64_t used = v->busy_ns - v->busy_window;
		uint64_t ppm = used * PLACE_PPM / window_ns(s->c);

		v->busy_window = v->busy_ns;
		if (row && s->is_warm)
			row[v - s->vgpus] = used;
		if (!v->had_rest && !v->spec->group)
			s->scratch[n++] = (double)used /
					  (v->spec->share.weight ? v->spec->share.weight : 100);
		v->had_rest = !v->busy_processes;
		v->load_ppm = v->load_ppm / 2 + (uint32_t)(ppm / 2);
		place_load(&s->places[g->index], &v->want, v->load_ppm);
	}
	if (n > 1 && s->is_warm) {
		double j = sim_jain(s->scratch, n);

		s->r->jain_windows++;
		s->jain_sum += j;
		if (j < s->r->jain_min)
			s->r->jain_min = j;
	}
}

static void on_window(struct sim *s, void *arg)
{
	for (size_t i = 0; i < s->c->n_gpus; i++)
		window_gpu(s, &s->gpus[i]);
	s->r->windows += s->is_warm;
	timer_set(&s->events, &s->window, s->now + window_ns(s->c));
}

static void on_warm(struct sim *s, void *arg)
{
	for (size_t i = 0; i < s->c->n_gpus; i++) {
		struct gpu *g = &s->gpus[i];

		device_account(g);
		driver_account(g);
		g->warm = g->sum;
		for (uint32_t k = 0; k < g->n_vgpus; k++)
			g->vgpus[k]->had_rest = !g->vgpus[k]->busy_processes;
	}
	for (size_t i = 0; i < s->c->n_vgpus; i++) {
		struct vgpu *v = &s->vgpus[i];

		v->busy_warm = v->busy_window = v->busy_ns;
		v->charged_warm = v->turn.charged_ns;
		v->grants_warm = v->turn.grants;
	}
	s->is_warm = true;
	timer_set(&s->events, &s->window, s->now + window_ns(s->c));
}

static void sum_up_gpu(struct sim *s, struct gpu *g, struct sim_gpu_result *out)
{
	struct sim_gpu_result *all = &s->r->all;

	device_account(g);
	driver_account(g);
	*out = g->sum;
	out->busy_ns -= g->warm.busy_ns;
	out->switch_ns -= g->warm.switch_ns;
	out->waste_ns -= g->warm.waste_ns;
	out->context_switches -= g->warm.context_switches;
	out->grants -= g->warm.grants;
	out->handovers -= g->warm.handovers;
	out->decisions -= g->warm.decisions;
	all->busy_ns += out->busy_ns;
	all->switch_ns += out->switch_ns;
	all->waste_ns += out->waste_ns;
	all->context_switches += out->context_switches;
	all->grants += out->grants;
	all->handovers += out->handovers;
	all->decisions += out->decisions;
	all->vgpus += out->vgpus;
	s->r->gpus_used += out->vgpus > 0;
}

static void sum_up_vgpu(struct sim *s, struct vgpu *v, struct sim_vgpu_result *out)
{
	struct sched_stats st = {.longest_wait_ns = v->longest_wait};

	out->bound_ns = SCHED_NEVER;
	if (v->turn.sched) {
		sched_stats(v->turn.sched, s->now, &st);
		out->bound_ns = sched_wait_bound(v->turn.sched);
	}
	out->longest_wait_ns = st.longest_wait_ns;
	out->used_ns = v->busy_ns - v->busy_warm;
	out->charged_ns = v->turn.charged_ns - v->charged_warm;
	out->requests = v->requests;
	out->latency_ns = v->requests ? v->latency_sum / (double)v->requests : 0;
	out->killed_ns = v->killed_ns;
	out->grants = v->turn.grants - v->grants_warm;
	s->load[v->spec->load].used_ns += out->used_ns;
	s->load[v->spec->load].vgpus++;
}

static void sum_up(struct sim *s)
{
	struct sim_result *r = s->r;

	for (size_t i = 0; i < s->c->n_gpus; i++)
		sum_up_gpu(s, &s->gpus[i], &r->gpu[i]);
	for (size_t i = 0; i < s->c->n_vgpus; i++)
		sum_up_vgpu(s, &s->vgpus[i], &r->vgpu[i]);
	r->time_ns = s->now - s->c->warm_ns;
	r->events = s->n_events;
	r->refused = s->refused;
	r->jain_mean = r->jain_windows ? s->jain_sum / (double)r->jain_windows : 1;
}

/* ---- begin and end ---- */

static bool dist_good(const struct sim_dist *d)
{
	return d->mean >= 0 && d->mean <= 1e18 && (d->kind != SIM_PARETO || d->shape > 1.0) &&
	       d->shape >= 0;
}

static bool good(const struct sim_config *c)
{
	if (!c->duration_ns || c->warm_ns >= c->duration_ns || !c->n_gpus || !c->n_loads ||
	    c->duration_ns > UINT64_MAX / 8 || c->place >= PLACE_POLICIES ||
	    c->params.policy >= SCHED_POLICIES)
		return false;
	for (size_t i = 0; i < c->n_loads; i++) {
		const struct sim_load *l = &c->loads[i];

		if (!dist_good(&l->gap) || !dist_good(&l->on) || !dist_good(&l->off) ||
		    !dist_good(&l->kernels) || !dist_good(&l->kernel_ns) ||
		    (l->arrival != SIM_IDLE && l->kernel_ns.mean < 1) ||
		    (l->arrival == SIM_CLOSED && l->depth > 1 && l->gap.mean > 0) ||
		    ((l->arrival == SIM_OPEN || l->arrival == SIM_ONOFF) && l->gap.mean < 1))
			return false;
	}
	for (size_t i = 0; i < c->n_vgpus; i++) {
		const struct sim_vgpu_spec *v = &c->vgpus[i];

		if (v->load >= c->n_loads || v->group > c->n_groups || v->processes > 1024 ||
		    !v->share.weight || (v->detach_ns && v->detach_ns < v->attach_ns))
			return false;
	}
	return true;
}

void sim_result_free(struct sim_result *r)
{
	if (!r)
		return;
	free(r->gpu);
	free(r->vgpu);
	free(r->load);
	free(r->window);
	free(r);
}

static struct sim_result *result_new(const struct sim_config *c)
{
	struct sim_result *r = calloc(1, sizeof(*r));
	size_t windows = c->duration_ns / window_ns(c) + 1;

	if (!r)
		return NULL;
	r->jain_min = 1;
	r->n_vgpus = c->n_vgpus;
	r->n_gpus = c->n_gpus;
	r->n_loads = c->n_loads;
	r->gpu = calloc(c->n_gpus, sizeof(*r->gpu));
	r->vgpu = calloc(c->n_vgpus + 1, sizeof(*r->vgpu));
	r->load = calloc(c->n_loads, sizeof(*r->load));
	if (c->record)
		r->window = calloc(windows * (c->n_vgpus + 1), sizeof(*r->window));
	for (size_t i = 0; r->vgpu && i < c->n_vgpus; i++)
		r->vgpu[i].gpu = PLACE_NONE;
	if (r->gpu && r->vgpu && r->load && (r->window || !c->record))
		return r;
	sim_result_free(r);
	return NULL;
}

static int start_gpus(struct sim *s)
{
	for (size_t i = 0; i < s->c->n_gpus; i++) {
		struct gpu *g = &s->gpus[i];

		g->s = s;
		g->index = i;
		s->places[i] = s->c->gpus[i];
		device_init(g);
		if (driver_init(g) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int start_vgpus(struct sim *s)
{
	bool watched = false;

	for (size_t i = 0; i < s->c->n_vgpus; i++) {
		struct vgpu *v = &s->vgpus[i];

		v->s = s;
		v->spec = &s->c->vgpus[i];
		v->load = &s->c->loads[v->spec->load];
		v->want = (struct place_want){.pool = v->spec->pool,
					      .memory = v->spec->memory,
					      .load_ppm = v->spec->load_ppm};
		v->load_ppm = v->spec->load_ppm;
		v->come = (struct timer){.fire = come, .arg = v};
		v->go = (struct timer){.fire = leave, .arg = v};
		driver_init_vgpu(v);
		if (load_init(v) < 0 || events_room(&s->events, 3 + 2 * v->n_process) < 0)
			return -ENOMEM;
		timer_set(&s->events, &v->come, v->spec->attach_ns);
		if (v->spec->detach_ns)
			timer_set(&s->events, &v->go, v->spec->detach_ns);
		watched = watched || v->spec->kernel_limit_ns;
	}
	s->window = (struct timer){.fire = on_window};
	s->warm = (struct timer){.fire = on_warm};
	s->watchdog = (struct timer){.fire = watch};
	timer_set(&s->events, &s->warm, s->c->warm_ns);
	timer_set(&s->events, &s->window, window_ns(s->c));
	if (watched)
		timer_set(&s->events, &s->watchdog, WATCH_EVERY);
	return 0;
}

bool sim_go(struct sim *s, uint64_t events)
{
	const struct sim_config *c = s->c;
	struct timer *t;

	while (events-- && !s->failed && !s->over) {
		t = events_pop(&s->events);
		if (!t || t->at > c->duration_ns) {
			s->now = c->duration_ns;
			s->over = true;
			break;
		}
		s->now = t->at;
		t->fire(s, t->arg);
		if (!(++s->n_events & PROGRESS_MASK) && c->progress)
			c->progress(c->arg,
				    &(struct sim_progress){s->now, c->duration_ns, s->n_events});
	}
	return !s->failed && !s->over;
}

static void end(struct sim *s)
{
	sim_result_free(s->r);
	for (size_t i = 0; s->gpus && i < s->c->n_gpus; i++) {
		driver_end(&s->gpus[i]);
		free(s->gpus[i].vgpus);
	}
	for (size_t i = 0; s->vgpus && i < s->c->n_vgpus; i++)
		load_free(&s->vgpus[i]);
	free(s->events.heap);
	free(s->gpus);
	free(s->places);
	free(s->vgpus);
	free(s->scratch);
	free(s);
}

struct sim *sim_begin(const struct sim_config *c)
{
	struct sim *s;

	if (!good(c)) {
		errno = EINVAL;
		return NULL;
	}
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->c = c;
	s->r = result_new(c);
	s->gpus = calloc(c->n_gpus, sizeof(*s->gpus));
	s->places = calloc(c->n_gpus, sizeof(*s->places));
	s->vgpus = calloc(c->n_vgpus + 1, sizeof(*s->vgpus));
	s->scratch = calloc(c->n_vgpus + 1, sizeof(*s->scratch));
	if (s->r)
		s->load = s->r->load;
	if (s->r && s->gpus && s->places && s->vgpus && s->scratch &&
	    events_room(&s->events, 3 * c->n_gpus + 3) == 0 && start_gpus(s) == 0 &&
	    start_vgpus(s) == 0)
		return s;
	end(s);
	errno = ENOMEM;
	return NULL;
}

struct sim_result *sim_end(struct sim *s)
{
	struct sim_result *r = NULL;

	if (!s->failed && s->over) {
		sum_up(s);
		r = s->r;
		s->r = NULL;
	}
	end(s);
	errno = r ? 0 : ENOMEM;
	return r;
}

struct sim_result *sim_run(const struct sim_config *c)
{
	struct sim *s = sim_begin(c);

	if (!s)
		return NULL;
	sim_go(s, UINT64_MAX);
	return sim_end(s);
}
