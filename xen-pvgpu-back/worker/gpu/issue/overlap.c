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

#define VERDICT_NS  2000000u /* for each busy stream: then it is said how far they overlapped */
#define BESIDE_PART 6u       /* of the time that a piece takes, others' work may be beside it */
#define SINGLES     16u      /* pieces without others: then another one is tried beside one */

void overlap_init(struct overlap *o)
{
	o->share = OVERLAP_WHOLE;
	o->tried = OVERLAP_WHOLE / 2;
}

static void forget(struct overlap *o)
{
	o->cost = o->took = o->streams = 0;
}

/*
 * The work that has ended has an estimate, `cost`, and took `took` in its streams, with n of them
 * busy. If both are about the same, all n overlap, and more might. If it took longer, the GPU has
 * done n times their quotient at once, and does no more.
 */
static void judge(struct overlap *o, uint64_t flying)
{
	const double right = (double)o->cost / (double)o->took;
	const double at_once = right * (double)o->streams / (double)o->took;
	const uint32_t seen =
		at_once > 1 ? (uint32_t)((double)OVERLAP_WHOLE / at_once) : OVERLAP_WHOLE;

	if (seen < o->share)
		o->share = seen;
	else if (right < 2.0 / 3)
		o->share += (seen - o->share) / 2;
	if (right < 2.0 / 3) {
		o->tried = o->share;
		o->proved /= 2;
	} else {
		o->tried = o->share / 2;
		o->proved = flying > o->proved ? flying : o->proved;
	}
	forget(o);
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

/* Was no other vGPU's work on the GPU for most of that time? A turn begins while the former
 * holder's last work ends, and the next one's begins while the last of this session's ends. */
static bool is_own(const struct pvgpu_gate *p, uint64_t since, uint64_t took)
{
	const uint64_t from = gate_number(&p->learn_ns), end = since + took;
	const uint64_t until = gate_word(&p->learn) ? end : gate_number(&p->learn_end_ns);

	return until > from &&
	       (from > since ? from - since : 0) + (until < end ? end - until : 0) <=
		       took / BESIDE_PART;
}

/*
 * Work of this stream has ended. It says something if the time is this session's own, if the worker
 * looks for the end (commands are parked), if the length of the work was known, and if it did not
 * wait for something else.
 */
void overlap_learn(const struct stream *s, const struct load *l, uint64_t now)
{
	struct gpu *g = s->o.gpu;
	struct gate *t = &g->gate;
	struct overlap *o = &t->overlap;
	const uint64_t took = time_taken(t, s->since, l->cost, now);

	if (!is_own(t->page, s->since, took) || !took || l->unsure || s->stalled || !g->park.work ||
	    atomic_load(&g->cb.runs))
		return;
	if (t->streams < 2) {
		if (++o->single % SINGLES == 0 && o->tried > OVERLAP_WHOLE / 2)
			o->tried = OVERLAP_WHOLE / 2;
		return;
	}
	o->cost += l->cost < took ? l->cost : took;
	o->took += took;
	o->streams += took * t->streams;
	if (o->took / VERDICT_NS >= t->streams)
		judge(o, t->flying.cost);
}
