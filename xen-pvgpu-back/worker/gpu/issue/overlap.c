/* SPDX-License-Identifier: MIT */
/*
 * How far the streams of a session overlap on the GPU, as learned from what ends.
 *
 * A program that lets streams overlap, and then fills them with kernels that do not, gains what was
 * taken for overlap, once: the first ones that end say so. It is charged the sum of their costs,
 * and long pieces are taken to overlap only up to twice what has overlapped before (flight.c).
 */
#include <stdatomic.h>

#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/contract/gate.h"

#define VERDICT_NS 2000000u  /* for each busy stream: then it is said how far they overlapped */
#define EDGE_PART  6u        /* of the time that a piece takes others' work may come or go */
#define RIGHT      (2.0 / 3) /* of the time that they take is their cost: streams overlap */
#define SINGLES    16u       /* pieces without others: then another one is tried beside one */

void overlap_init(struct overlap *o)
{
	o->share = OVERLAP_WHOLE;
	o->tried = OVERLAP_WHOLE / 2;
}

/* True: so much has ended that it can be judged. */
static bool add(struct overlap_sum *u, uint64_t cost, uint64_t took, const struct gate *t)
{
	u->cost += cost < took ? cost : took;
	u->took += took;
	u->streams += took * t->streams;
	u->most = t->streams > u->most ? t->streams : u->most;
	u->flying = t->flying.cost > u->flying ? t->flying.cost : u->flying;
	u->pieces++;
	return u->took / VERDICT_NS >= t->streams;
}

static void prove(struct overlap *o, const struct overlap_sum *u)
{
	o->proved = u->flying > o->proved ? u->flying : o->proved;
}

/*
 * The work that has ended has an estimate, `cost`, and took `took` in its streams, with n of them
 * busy. If both are about the same, all n overlap, and more might. If it took longer, the GPU has
 * done n times their quotient at once, and does no more.
 */
static void judge(struct overlap *o)
{
	const struct overlap_sum *u = &o->own;
	const double right = (double)u->cost / (double)u->took;
	const double at_once = right * (double)u->streams / (double)u->took;
	const uint32_t seen =
		at_once > 1 ? (uint32_t)((double)OVERLAP_WHOLE / at_once) : OVERLAP_WHOLE;

	if (seen < o->share)
		o->share = seen;
	else if (right < RIGHT)
		o->share += (seen - o->share) / 2;
	if (right < RIGHT) {
		o->tried = o->share;
		o->proved /= 2;
	} else {
		o->tried = o->share / 2;
		prove(o, u);
	}
	o->own = (struct overlap_sum){0};
}

/*
 * Beside others' work everything takes longer, and by how much is not known. But streams that
 * overlap take no longer when there are more of them. Of the time that they take together nothing
 * is learned.
 */
static void judge_beside(struct overlap *o)
{
	const struct overlap_sum *u = &o->beside;
	const double right = (double)u->cost / (double)u->took;
	const uint32_t part = u->most < OVERLAP_WHOLE / 2 ? OVERLAP_WHOLE / u->most / 2 : 1;

	if (right < RIGHT * o->right) {
		o->rest = SINGLES;
		o->tried = 4 * part < o->share ? 4 * part : o->share;
		o->proved /= 2;
	} else if (!o->rest || !--o->rest) {
		o->tried = part < o->tried ? part : o->tried;
		prove(o, u);
	}
	o->right = right;
	o->beside = (struct overlap_sum){0};
}

/* It took from `since` to between the last look at all streams and now: what it costs, if that may
 * be, since to see an end late says nothing of the GPU. */
static uint64_t time_taken(const struct gate *t, uint64_t since, uint64_t cost, uint64_t now)
{
	const uint64_t least = t->polled > since ? t->polled - since : 0;

	if (cost < least)
		return least;
	return cost < now - since ? cost : now - since;
}

/* How much of that time no other vGPU's work was on the GPU: of the last such time, which is all
 * that is known. */
static uint64_t own_part(const struct pvgpu_gate *p, uint64_t since, uint64_t took)
{
	uint64_t from = gate_number(&p->learn_ns), end = since + took;

	if (!gate_word(&p->learn) && gate_number(&p->learn_end_ns) < end)
		end = gate_number(&p->learn_end_ns);
	from = from > since ? from : since;
	return end > from ? end - from : 0;
}

/*
 * Work of this stream has ended. It says something if the time is this session's own or beside
 * others as a whole, if the worker looks for the end (commands are parked), if the length of the
 * work was known, and if it did not wait for something else.
 */
void overlap_learn(const struct stream *s, const struct load *l, uint64_t now)
{
	struct gpu *g = s->o.gpu;
	struct gate *t = &g->gate;
	struct overlap *o = &t->overlap;
	const uint64_t took = time_taken(t, s->since, l->cost, now);
	/* A turn begins while the former holder's last work ends, and the next one's begins while
	 * the last of this session's ends. */
	const uint64_t part = own_part(t->page, s->since, took), edge = took / EDGE_PART;
	const bool own = took - part <= edge;

	if (!took || l->unsure || s->stalled || !g->park.work || atomic_load(&g->cb.runs))
		return;
	if (t->streams < 2) {
		if (++o->single % SINGLES == 0 && o->tried > OVERLAP_WHOLE / 2)
			o->tried = OVERLAP_WHOLE / 2;
	} else if (own) {
		if (add(&o->own, l->cost, took, t))
			judge(o);
	} else if (part <= edge && add(&o->beside, l->cost, took, t) &&
		   2 * o->beside.pieces > t->streams) {
		judge_beside(o);
	}
}
