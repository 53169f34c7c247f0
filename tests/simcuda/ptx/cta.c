/* SPDX-License-Identifier: MIT */
/* A block: its memory, and the turns of its warps. */
#include "tests/simcuda/ptx/warp.h"

#include <stdlib.h>

/*
 * Instructions before the next warp has its turn. Nothing promises more than barriers do, but a
 * GPU's warps keep pace, and compiled code lives off it (LLVM 16 leaves a barrier out where a
 * loop of a team clears what the last round has summed up). So turns are short.
 */
#define TURN     8u
#define STUCK_NS 1000000 /* interval of checks of a block whose threads wait for each other */
/* Turns that a warp whose lanes spin gives up in a row, while others have something to do. */
#define GIVE_WAY 64u

static const struct func *kernel_func(const struct ptx_module *m, const struct ptx_kernel *k)
{
	return m->kernel_funcs[k - m->kernels];
}

static void place_threads(struct warp *w, const uint32_t block[3], uint32_t threads)
{
	w->present = 0;
	for (uint32_t l = 0; l < LANES; l++) {
		uint32_t t = w->index * LANES + l;

		w->tid[0][l] = t % block[0];
		w->tid[1][l] = t / block[0] % block[1];
		w->tid[2][l] = t / block[0] / block[1];
		if (t < threads)
			w->present |= 1u << l;
	}
}

static bool start(struct ptx_cta *c, uint32_t x, uint32_t y, uint32_t z, uint32_t smid)
{
	memset(c->pool, 0, c->image->m->func_count * sizeof(*c->pool));
	for (struct frame *f = c->frames; f; f = f->all) {
		f->parent = c->pool[f->func->index];
		c->pool[f->func->index] = f;
	}
	c->id[0] = x;
	c->id[1] = y;
	c->id[2] = z;
	c->smid = smid;
	c->turn = 0;
	c->slice = 0;
	c->live_warps = c->warp_count;
	memset(&c->fault, 0, sizeof(c->fault));
	memset(c->shared, 0, c->shared_bytes);
	if (c->env->private)
		c->env->private(c->env->arg, PTX_SHARED, true, c->shared, c->shared_bytes);
	memset(c->arrivals, 0, (BARRIERS + 1) * c->warp_count * sizeof(*c->arrivals));
	c->cluster_phase = 0;
	for (int k = 0; k <= BARRIERS; k++) {
		c->barriers[k].busy = false;
		c->barriers[k].arrived = c->arrivals + (size_t)k * c->warp_count;
	}
	for (uint32_t k = 0; k < c->warp_count; k++) {
		struct warp *w = &c->warps[k];

		warp_start(w);
		w->splits[0].frame = push_frame(w, c->entry, w->present);
		if (!w->splits[0].frame)
			return false;
	}
	return true;
}

struct ptx_cta *ptx_cta_new(const struct ptx_launch *l, uint32_t x, uint32_t y, uint32_t z,
			    uint32_t smid)
{
	const struct ptx_module *m = l->image->m;
	uint64_t threads = (uint64_t)l->block[0] * l->block[1] * l->block[2];
	struct ptx_cta *c;

	if (!l->block[0] || !l->block[1] || !l->block[2] || l->block[0] > 1024 ||
	    l->block[1] > 1024 || l->block[2] > 1024 || threads > 1024 ||
	    l->dynamic_shared > MAX_SHARED_BYTES)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->launch = l;
	c->env = l->env;
	c->image = l->image;
	c->code = m->code;
	c->entry = kernel_func(m, l->kernel);
	c->threads = (uint32_t)threads;
	c->warp_count = (c->threads + LANES - 1) / LANES;
	c->shared_bytes = m->dynamic_shared + l->dynamic_shared;
	c->warps = calloc(c->warp_count, sizeof(*c->warps));
	c->arrivals = calloc((size_t)(BARRIERS + 1) * c->warp_count, sizeof(*c->arrivals));
	c->pool = calloc(m->func_count, sizeof(*c->pool));
	if (!c->warps || !c->arrivals || !c->pool ||
	    posix_memalign((void **)&c->shared, 128, c->shared_bytes + 16)) {
		c->shared = NULL;
		ptx_cta_free(c);
		return NULL;
	}
	for (uint32_t k = 0; k < c->warp_count; k++) {
		c->warps[k].cta = c;
		c->warps[k].index = k;
		c->warps[k].base[1] = l->image->consts;
		place_threads(&c->warps[k], l->block, c->threads);
	}
	if (!start(c, x, y, z, smid)) {
		ptx_cta_free(c);
		return NULL;
	}
	return c;
}

/* Its memory is about to be another block's, or nobody's. */
static void leave(struct ptx_cta *c)
{
	const struct ptx_env *env = c->env;

	if (!env->private || !c->shared)
		return;
	env->private(env->arg, PTX_SHARED, false, c->shared, c->shared_bytes);
	for (uint32_t k = 0; k < c->warp_count; k++)
		if (c->warps[k].local)
			env->private(env->arg, PTX_LOCAL, false, c->warps[k].local,
				     (size_t)c->warps[k].local_bytes * LANES);
}

void ptx_cta_reset(struct ptx_cta *c, uint32_t x, uint32_t y, uint32_t z, uint32_t smid)
{
	leave(c);
	/* cannot fail: the first start has allocated everything */
	start(c, x, y, z, smid);
}

void ptx_cta_free(struct ptx_cta *c)
{
	if (!c)
		return;
	leave(c);
	while (c->frames) {
		struct frame *f = c->frames;

		c->frames = f->all;
		free(f);
	}
	for (uint32_t k = 0; c->warps && k < c->warp_count; k++)
		free(c->warps[k].local);
	free(c->warps);
	free(c->arrivals);
	free(c->pool);
	free(c->shared);
	free(c);
}

const struct ptx_fault *ptx_cta_fault(const struct ptx_cta *c)
{
	return &c->fault;
}

uint64_t ptx_cta_instructions(const struct ptx_cta *c)
{
	return c->instructions;
}

/* May the warp, which has no split that runs, run, or, if its lanes spin, has it given way often
 * enough? */
static bool can_run(struct warp *w, bool even_spinning)
{
	if (!w->split_count)
		return false;
	if (warp_pick(w) || (sync_together(w) && warp_pick(w)))
		return true;
	return (even_spinning || w->passed_over++ >= GIVE_WAY) && warp_pick_spinning(w);
}

/* Give the turn to the next warp that can run. */
static bool next_warp(struct ptx_cta *c, bool even_spinning)
{
	uint32_t n = c->turn;

	for (uint32_t k = 0; k < c->warp_count; k++) {
		struct warp *w;

		n = n + 1 < c->warp_count ? n + 1 : 0;
		w = &c->warps[n];
		if (w->cur || can_run(w, even_spinning)) {
			c->turn = n;
			c->slice = c->env->turn ? c->env->turn : TURN;
			return true;
		}
	}
	return false;
}

/*
 * All warps that could run wait for a value that another block is to write. Each step of the block
 * lets one of them look, since what they wait for may be something else.
 */
static bool all_spin(struct ptx_cta *c, bool *looked)
{
	if (!*looked && next_warp(c, true)) {
		*looked = true;
		return false;
	}
	for (uint32_t k = 0; k < c->warp_count; k++) {
		for (uint32_t n = 0; n < c->warps[k].split_count; n++) {
			if (c->warps[k].splits[n].state == SPLIT_READY)
				return true;
		}
	}
	return false;
}

/* No thread is ready: until the first sleeper wakes, or, if none sleeps, for ever. */
static uint64_t sleep_time(const struct ptx_cta *c)
{
	uint64_t now = c->env->globaltimer_ns(c->env->arg), first = UINT64_MAX;

	for (uint32_t k = 0; k < c->warp_count; k++) {
		for (uint32_t n = 0; n < c->warps[k].split_count; n++) {
			const struct split *s = &c->warps[k].splits[n];

			if (s->state == SPLIT_SLEEP && s->wake_ns < first)
				first = s->wake_ns;
		}
	}
	if (first == UINT64_MAX)
		return STUCK_NS;
	return first > now ? first - now : 0;
}

enum ptx_step ptx_cta_step(struct ptx_cta *c, uint64_t budget, uint64_t *sleep_ns)
{
	bool looked = false;

	if (c->fault.kind != PTX_FAULT_NONE)
		return PTX_FAULTED;
	memset(c->ranges, 0, sizeof(c->ranges));
	while (budget && c->live_warps) {
		struct warp *w = &c->warps[c->turn];
		uint32_t done;

		if ((!c->slice || (!w->cur && !warp_pick(w))) && !next_warp(c, false)) {
			bool had_looked = looked;
			uint64_t ns;

			if (all_spin(c, &looked))
				return PTX_RUNNING;
			if (looked == had_looked) {
				ns = sleep_time(c);
				if (!ns)
					continue;
				if (sleep_ns)
					*sleep_ns = ns;
				return PTX_SLEEPING;
			}
		}
		w = &c->warps[c->turn];
		warp_run(w, budget < c->slice ? (uint32_t)budget : c->slice, &done);
		budget -= done;
		c->slice -= done;
		c->instructions += done;
		if (c->fault.kind != PTX_FAULT_NONE)
			return PTX_FAULTED;
	}
	return c->live_warps ? PTX_RUNNING : PTX_DONE;
}
