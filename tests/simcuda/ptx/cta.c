/* SPDX-License-Identifier: MIT */
/* A block: its memory, and the turns of its warps; and a cluster of blocks. */
#include "tests/simcuda/ptx/warp.h"

#include <stdlib.h>

/*
 * Instructions before the next warp has its turn. Nothing promises more than barriers do, but a
 * GPU's warps keep pace, and compiled code lives off it (LLVM 16 leaves a barrier out where a
 * loop of a team clears what the last round has summed up). So turns are short.
 */
#define TURN     8u
#define ALONE    4096u   /* of a block's only warp */
#define STUCK_NS 1000000 /* interval of checks of a block whose threads wait for each other */
/* Turns that a warp whose lanes spin gives up in a row, while others have something to do. */
#define GIVE_WAY 64u
/* Instructions of a block before the next one of its cluster has its turn. */
#define CLUSTER_TURN 256u

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

static void free_block(struct ptx_cta *c)
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

/* A block that start() makes ready. */
static struct ptx_cta *new_block(const struct ptx_launch *l, struct cluster *k, uint32_t rank)
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
	c->cluster = k;
	c->rank = rank;
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
		free_block(c);
		return NULL;
	}
	for (uint32_t i = 0; i < c->warp_count; i++) {
		c->warps[i].cta = c;
		c->warps[i].index = i;
		c->warps[i].base[1] = l->image->consts;
		place_threads(&c->warps[i], l->block, c->threads);
	}
	return c;
}

static void free_all(struct cluster *k)
{
	for (uint32_t n = 0; n < k->count; n++)
		free_block(k->blocks[n]);
	free(k);
}

/* All blocks of the cluster whose first one is (x, y, z). */
static bool start_all(struct cluster *k, uint32_t x, uint32_t y, uint32_t z, uint32_t smid)
{
	k->phase = 0;
	k->turn = 0;
	k->slice = CLUSTER_TURN;
	for (uint32_t n = 0; n < k->count; n++) {
		struct ptx_cta *c = k->blocks[n];

		if (!start(c, x + n % k->size[0], y + n / k->size[0] % k->size[1],
			   z + n / k->size[0] / k->size[1], smid))
			return false;
	}
	return true;
}

struct ptx_cta *ptx_cta_new(const struct ptx_launch *l, uint32_t x, uint32_t y, uint32_t z,
			    uint32_t smid)
{
	const bool one = !l->cluster[0];
	const uint64_t count = one ? 1 : (uint64_t)l->cluster[0] * l->cluster[1] * l->cluster[2];
	struct cluster *k;

	if (!count || count > PTX_MAX_CLUSTER)
		return NULL;
	k = calloc(1, sizeof(*k) + count * sizeof(k->blocks[0]));
	if (!k)
		return NULL;
	for (int i = 0; i < 3; i++)
		k->size[i] = one ? 1 : l->cluster[i];
	k->count = (uint32_t)count;
	for (uint32_t n = 0; n < k->count; n++) {
		k->blocks[n] = new_block(l, k, n);
		if (!k->blocks[n])
			goto out_free;
	}
	if (start_all(k, x, y, z, smid))
		return k->blocks[0];
out_free:
	free_all(k);
	return NULL;
}

void ptx_cta_reset(struct ptx_cta *c, uint32_t x, uint32_t y, uint32_t z, uint32_t smid)
{
	for (uint32_t n = 0; n < c->cluster->count; n++)
		leave(c->cluster->blocks[n]);
	/* cannot fail: the first start has allocated everything */
	start_all(c->cluster, x, y, z, smid);
}

void ptx_cta_free(struct ptx_cta *c)
{
	if (c)
		free_all(c->cluster);
}

const struct ptx_fault *ptx_cta_fault(const struct ptx_cta *c)
{
	const struct cluster *k = c->cluster;

	for (uint32_t n = 1; n < k->count; n++)
		if (k->blocks[n]->fault.kind != PTX_FAULT_NONE)
			return &k->blocks[n]->fault;
	return &c->fault;
}

uint64_t ptx_cta_instructions(const struct ptx_cta *c)
{
	uint64_t all = 0;

	for (uint32_t n = 0; n < c->cluster->count; n++)
		all += c->cluster->blocks[n]->instructions;
	return all;
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
			c->slice = c->warp_count == 1 ? ALONE : c->env->turn ? c->env->turn : TURN;
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

static enum ptx_step step_block(struct ptx_cta *c, uint64_t budget, uint64_t *sleep_ns)
{
	bool looked = false;

	if (c->fault.kind != PTX_FAULT_NONE)
		return PTX_FAULTED;
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

/* The next block that has not ended, from the one behind the last turn's on; NULL: all have. */
static struct ptx_cta *next_block(struct cluster *k)
{
	for (uint32_t n = 0; n < k->count; n++) {
		k->turn = (k->turn + 1) % k->count;
		if (k->blocks[k->turn]->live_warps) {
			k->slice = CLUSTER_TURN;
			return k->blocks[k->turn];
		}
	}
	return NULL;
}

/* The blocks take turns. A step ends early when none makes use of its turns: they sleep or spin. */
static enum ptx_step step_cluster(struct cluster *k, uint64_t budget, uint64_t *sleep_ns)
{
	uint32_t unused = 0, asleep = 0;

	*sleep_ns = UINT64_MAX;
	while (budget && unused < 4 * k->count) {
		struct ptx_cta *c = k->blocks[k->turn];
		uint64_t ns = UINT64_MAX, before, given;
		enum ptx_step s;

		if (!k->slice || !c->live_warps)
			c = next_block(k);
		if (!c)
			return PTX_DONE;
		before = c->instructions;
		given = budget < k->slice ? budget : k->slice;
		s = step_block(c, given, &ns);
		if (s == PTX_FAULTED)
			return s;
		before = c->instructions - before;
		budget -= before < budget ? before : budget;
		k->slice = before < given ? 0 : k->slice - (uint32_t)given;
		unused = before < given ? unused + 1 : 0;
		/* what it has done may be what those that sleep wait for */
		asleep = s == PTX_SLEEPING && !before ? asleep + 1 : 0;
		*sleep_ns = asleep > 1 && *sleep_ns < ns ? *sleep_ns : ns;
	}
	return asleep >= k->count ? PTX_SLEEPING : PTX_RUNNING;
}

enum ptx_step ptx_cta_step(struct ptx_cta *c, uint64_t budget, uint64_t *sleep_ns)
{
	struct cluster *k = c->cluster;
	enum ptx_step s;
	uint64_t ns = 0;

	for (uint32_t n = 0; n < k->count; n++)
		memset(k->blocks[n]->ranges, 0, sizeof(k->blocks[n]->ranges));
	s = k->count > 1 ? step_cluster(k, budget, &ns) : step_block(c, budget, &ns);
	if (s == PTX_SLEEPING && sleep_ns)
		*sleep_ns = ns;
	return s;
}
