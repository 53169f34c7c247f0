/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/sched/place.h"

#include <string.h>

static const char *const names[PLACE_POLICIES] = {"breadth-first", "depth-first", "least-loaded"};

/* memory * ppm / PLACE_PPM without overflow of the product; saturates. */
static uint64_t scaled(uint64_t memory, uint32_t ppm)
{
	uint64_t whole = memory / PLACE_PPM, rest = memory % PLACE_PPM, big;

	if (ppm && whole > UINT64_MAX / ppm)
		return UINT64_MAX;
	big = whole * ppm;
	rest = rest * ppm / PLACE_PPM;
	return big > UINT64_MAX - rest ? UINT64_MAX : big + rest;
}

static bool is_full(const struct place_gpu *g)
{
	return g->max_vgpus && g->vgpus >= g->max_vgpus;
}

/* Bytes that can be promised, without a look at other limits. */
static uint64_t free_memory(const struct place_gpu *g)
{
	uint64_t limit = scaled(g->memory, g->overcommit_ppm ? g->overcommit_ppm : PLACE_PPM);

	return limit > g->promised ? limit - g->promised : 0;
}

static bool in_pool(const struct place_gpu *g, const struct place_want *w)
{
	return w->pool == PLACE_ANY_POOL || w->pool == g->pool;
}

uint64_t place_free(const struct place_gpu *g)
{
	return g->closed || is_full(g) ? 0 : free_memory(g);
}

/* Is a better than b? Not if equal, so that the first one wins. */
static bool better(enum place_policy policy, const struct place_gpu *a, const struct place_gpu *b)
{
	uint64_t fa = free_memory(a), fb = free_memory(b);

	switch (policy) {
	case PLACE_DEPTH:
		/* GPUs may differ in size: the least free memory wins, then the most vGPUs. */
		return fa != fb ? fa < fb : a->vgpus > b->vgpus;
	case PLACE_LOAD:
		if (a->load_ppm != b->load_ppm)
			return a->load_ppm < b->load_ppm;
		break;
	default:
		break;
	}
	return a->vgpus != b->vgpus ? a->vgpus < b->vgpus : fa > fb;
}

size_t place_pick(enum place_policy policy, const struct place_gpu *gpus, size_t n,
		  const struct place_want *w)
{
	size_t best = PLACE_NONE;

	for (size_t i = 0; i < n; i++) {
		const struct place_gpu *g = &gpus[i];

		if (g->closed || is_full(g) || !in_pool(g, w) || free_memory(g) < w->memory)
			continue;
		if (best == PLACE_NONE || better(policy, g, &gpus[best]))
			best = i;
	}
	return best;
}

void place_take(struct place_gpu *g, const struct place_want *w)
{
	g->promised += w->memory;
	g->load_ppm += w->load_ppm;
	g->vgpus++;
}

void place_give(struct place_gpu *g, const struct place_want *w)
{
	g->promised -= w->memory < g->promised ? w->memory : g->promised;
	g->load_ppm -= w->load_ppm < g->load_ppm ? w->load_ppm : g->load_ppm;
	if (g->vgpus)
		g->vgpus--;
}

void place_load(struct place_gpu *g, struct place_want *w, uint32_t load_ppm)
{
	g->load_ppm -= w->load_ppm < g->load_ppm ? w->load_ppm : g->load_ppm;
	w->load_ppm = load_ppm;
	g->load_ppm += load_ppm;
}

void place_explain(const struct place_gpu *gpus, size_t n, const struct place_want *w,
		   struct place_refusal *out)
{
	*out = (struct place_refusal){0};
	for (size_t i = 0; i < n; i++) {
		const struct place_gpu *g = &gpus[i];

		if (!in_pool(g, w))
			continue;
		out->in_pool++;
		if (g->closed)
			out->closed++;
		else if (is_full(g))
			out->full++;
		else if (free_memory(g) < w->memory)
			out->short_of_memory++;
		if (place_free(g) > out->most_free)
			out->most_free = place_free(g);
	}
}

const char *place_name(enum place_policy policy)
{
	return policy < PLACE_POLICIES ? names[policy] : "unknown";
}

enum place_policy place_by_name(const char *name)
{
	for (unsigned int i = 0; i < PLACE_POLICIES; i++)
		if (!strcmp(names[i], name))
			return (enum place_policy)i;
	return PLACE_POLICIES;
}
