/* SPDX-License-Identifier: MIT */
/* Events come in, decisions go out. The model is described in docs/scheduling.md. */
#include "xen-pvgpu-back/sched/internal.h"

#define MS           1000000u
#define SLICE_LEAST  (1 * MS)
#define SLICE_MOST   (30 * MS)
#define SLICE_FEW    (2 * MS) /* for up to FEW vGPUs with work */
#define SLICE_MANY   (1 * MS)
#define FEW          8
#define HANDOVER_PER 100        /* a hand-over takes no more than one part of so many, */
#define ROUND_MOST   (128 * MS) /* or twice that, where a round would take longer */

/* Until a hand-over is a hundredth of it; but where a round of all would take long by then, only
 * until it is a fiftieth: everybody's part is to be right within a second. */
static uint64_t longer(uint64_t slice, uint64_t handover, uint32_t wanting)
{
	uint64_t most = handover * HANDOVER_PER, least = most / 2,
		 part = ROUND_MOST / (wanting ? wanting : 1);

	least = least > part ? least : part;
	most = most < SLICE_MOST ? most : SLICE_MOST;
	least = least < most ? least : most;
	return least > slice ? least : slice;
}

uint64_t sched_slice(const struct sched *s, uint32_t wanting)
{
	uint64_t slice = s->params.slice_ns, handover = s->params.handover_ns;

	if (!slice)
		slice = wanting > FEW ? SLICE_MANY : SLICE_FEW;
	if (handover > SLICE_MOST)
		return SLICE_MOST;
	if (slice < handover * HANDOVER_PER)
		slice = longer(slice, handover, wanting);
	return slice < SLICE_LEAST ? SLICE_LEAST : slice > SLICE_MOST ? SLICE_MOST : slice;
}

uint64_t sched_grant_least(const struct sched *s, uint64_t slice)
{
	uint64_t least = slice / HANDOVER_PER;

	if (least < s->params.handover_ns)
		least = s->params.handover_ns;
	return least < slice ? least : slice;
}

/* Time has passed: who had the GPU in it, and which classes were kept from it? */
void sched_clock(struct sched *s, uint64_t now)
{
	bool own_turn = s->granted && s->granted->reason == REASON_SHARE;

	if (!heap_before(s->now, now))
		return;
	for (int c = 0; c < SCHED_CLASSES; c++)
		if (!own_turn || s->granted->share.class != (enum sched_class)c)
			s->kept[c] += now - s->now;
	s->now = now;
}

void sched_wants(struct sched_vgpu *v, bool wants, uint64_t now)
{
	struct sched *s = v->s;

	sched_clock(s, now);
	if (v->wants == wants)
		return;
	share_refresh(s);
	stats_count(v);
	v->wants = wants;
	s->wanting += wants ? 1 : -1;
	s->slice_ns = sched_slice(s, s->wanting);
	if (!wants) {
		queue_leave(v);
		limit_forget(v);
		return;
	}
	v->waits_since = s->now;
	v->cut = false;
	if (v == s->chosen)
		queue_enter(v);
	else
		limit_waiting(v);
}

void sched_charge(struct sched_vgpu *v, uint64_t ns, uint64_t now)
{
	struct sched *s = v->s;
	uint64_t paid;

	sched_clock(s, now);
	share_refresh(s);
	if (ns > SCHED_CHARGE_MOST)
		ns = SCHED_CHARGE_MOST;
	paid = ns < v->prepaid ? ns : v->prepaid;
	v->prepaid -= paid;
	v->stats.used_ns += ns;
	s->policy->use(v, ns - paid);
	share_use_guarantees(v, ns);
	limit_use(v, ns);
	v->slice_used += ns;
	if (v->queued && v != s->chosen)
		limit_waiting(v);
	queue_moved(v);
}

static bool slice_done(const struct sched *s)
{
	return s->slice_over || s->now - s->slice_from >= s->slice_ns ||
	       s->granted->slice_used >= s->slice_ns;
}

/* Whether the one that has the grant keeps it without being compared with others. */
static bool keeps(struct sched *s)
{
	struct sched_vgpu *h = s->granted;

	if (!h || h != s->chosen || !h->queued || slice_done(s))
		return false;
	/* Higher classes do not wait for the slice's end, but for one that was earned. */
	if (h->reason == REASON_SHARE)
		for (int c = 0; c < (int)h->share.class; c++)
			if (heap_first(&s->level.turn[c]))
				return false;
	return true;
}

static bool others_want(const struct sched *s, const struct sched_vgpu *v)
{
	return s->wanting > (v && v->wants ? 1u : 0u);
}

static void new_slice(struct sched *s, struct sched_vgpu *v, enum reason why)
{
	v->reason = why;
	v->slice_used = 0;
	s->slice_from = s->now;
	s->slice_over = false;
}

/* Choose anew. Nobody with work that may go on: who has the grant keeps it if it may use it. */
static void choose(struct sched *s)
{
	struct sched_vgpu *h = s->granted, *v;
	enum reason why;

	s->chosen = NULL;
	if (h && h->queued)
		s->policy->end(h);
	else if (h && !h->wants && h->group)
		limit_group(h->group);
	v = queue_pick(s, &why);
	if (!v) {
		s->chosen = h && !h->wants && !limit_any(h) ? h : NULL;
		return;
	}
	s->relieved = why == REASON_RELIEF;
	if (s->relieved)
		s->relief = (v->share.class + 1) % SCHED_CLASSES;
	s->chosen = v;
	s->reason = why;
	if (h && h != v && h->queued) {
		h->cut = !slice_done(s);
		limit_waiting(h);
	}
	if (h == v && others_want(s, v))
		new_slice(s, v, why);
}

static uint64_t ask_again(const struct sched *s)
{
	const struct heap_node *timer = heap_first(&s->timers);
	const struct sched_vgpu *v = s->chosen;
	uint64_t again = timer ? timer->key : SCHED_NEVER, at;

	if (v != s->granted)
		return v ? SCHED_NEVER : again;
	if (!v || !v->wants)
		return again;
	if (others_want(s, v)) {
		at = s->slice_from + s->slice_ns;
		if (again == SCHED_NEVER || heap_before(at, again))
			again = at;
	}
	if (limit_any(v)) {
		at = s->now + limit_lasts(v);
		if (again == SCHED_NEVER || heap_before(at, again))
			again = at;
	}
	return again;
}

void sched_decide(struct sched *s, uint64_t now, struct sched_decision *d)
{
	struct sched_vgpu *v;

	sched_clock(s, now);
	share_refresh(s);
	limit_release(s);
	if (s->chosen != s->granted && !(s->chosen && s->chosen->wants)) {
		/* Nobody was to have it, or who was has gone or has no work any more. */
		s->chosen = s->granted;
		s->slice_over = true;
	}
	v = s->chosen;
	if (v == s->granted && ((v && v->wants && limit_holder(v)) || !keeps(s)))
		choose(s);
	v = s->chosen;
	/* Alone nobody is owed anything: what it uses now is not of its guarantee. */
	if (v && v == s->granted && !others_want(s, v))
		v->reason = REASON_SHARE;
	*d = (struct sched_decision){
		.holder = v,
		.again = ask_again(s),
		.contended = v && (others_want(s, v) || limit_any(v)),
		.slice_ns = s->slice_ns,
	};
}

void sched_granted(struct sched *s, struct sched_vgpu *v, uint64_t now)
{
	struct sched_vgpu *was = s->granted;
	uint64_t waited, least;

	sched_clock(s, now);
	if (v != s->chosen)
		s->reason = REASON_SHARE;
	if (was)
		stats_count(was);
	if (v)
		stats_count(v);
	s->granted = s->chosen = v;
	if (was && was != v) {
		was->waits_since = s->now;
		queue_waits(was);
	}
	if (!v)
		return;
	new_slice(s, v, s->reason);
	limit_save(v);
	if (v == was)
		return;
	queue_waits(v);
	v->stats.slices++;
	waited = s->now - v->waits_since;
	if (v->wants && waited > v->stats.longest_wait_ns)
		v->stats.longest_wait_ns = waited;
	/* However little it uses: that it gets the GPU costs the others this much. */
	least = sched_grant_least(s, s->slice_ns);
	s->policy->use(v, least);
	v->prepaid = least;
	queue_moved(v);
}

uint64_t sched_steps(const struct sched *s)
{
	return s->steps;
}

void *sched_owner(const struct sched_vgpu *v)
{
	return v->owner;
}
