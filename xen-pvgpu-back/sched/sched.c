/* SPDX-License-Identifier: MIT */
/* Events and the decision. The model is described in docs/scheduling-model.md. */
#include "xen-pvgpu-back/sched/internal.h"

#define MS            1000000u
#define SLICE_LEAST   (1 * MS)
#define SLICE_MOST    (30 * MS)
#define SLICE_FEW     (2 * MS) /* for up to FEW vGPUs with work */
#define SLICE_MANY    (1 * MS)
#define SLICE_RUNS_ON (8 * MS)
#define FEW           8
#define HANDOVER_PER  100         /* a hand-over takes at most this part of a slice, */
#define ROUND_MOST    (128 * MS)  /* or twice that where a round would take longer; */
#define ROUND_EVER    (1000 * MS) /* no round takes longer than this for it */
#define CREDIT        (30 * MS)
/* A turn lasts so much longer than a slice if all of its holder's work ends by then; with many
 * vGPUs, only until it has lasted for TURN_LONG. */
#define FINISH_MOST (4 * MS)
#define TURN_LONG   (6 * MS)
/* A vGPU that comes back may end the holder's slice if it is behind by so many hand-overs and by
 * this part of a slice; hand-overs for that take at most this part of the time, of which some may
 * be saved up. */
#define WORTH          4
#define WORTH_PER      8
#define INTERRUPT_PER  20
#define OVERRUN_FADES  64 /* by this part with each grant */
#define INTERRUPT_SAVE (20 * MS)

/* Lengthens a slice until a hand-over is a hundredth of it. Where a round of all vGPUs would take
 * too long, only until it is a fiftieth, and never until a round takes more than a second: shares
 * must be right within a second, also while sessions begin and hand-overs are slow for that. */
static uint64_t longer(uint64_t slice, uint64_t handover, uint32_t wanting)
{
	const uint64_t n = wanting ? wanting : 1, ever = ROUND_EVER / n;
	uint64_t most = handover * HANDOVER_PER, least = most / 2, part = ROUND_MOST / n;

	least = least > part ? least : part;
	most = most < SLICE_MOST ? most : SLICE_MOST;
	most = most < ever ? most : ever;
	least = least < most ? least : most;
	return least > slice ? least : slice;
}

uint64_t sched_slice_plain(const struct sched *s, uint32_t wanting)
{
	const uint64_t slice = s->params.slice_ns;

	if (!slice)
		return wanting > FEW ? SLICE_MANY : SLICE_FEW;
	return slice < SLICE_LEAST ? SLICE_LEAST : slice > SLICE_MOST ? SLICE_MOST : slice;
}

uint64_t sched_slice(const struct sched *s, uint32_t wanting)
{
	const uint64_t plain = sched_slice_plain(s, wanting), handover = s->params.handover_ns;
	uint64_t slice;

	if (s->params.slice_ns)
		return plain;
	slice = handover > SLICE_MOST ? SLICE_MOST : longer(plain, handover, wanting);
	return s->runs_on && slice < SLICE_RUNS_ON ? SLICE_RUNS_ON : slice;
}

void sched_runs_on(struct sched *s, bool on, uint64_t now)
{
	if (s->runs_on == on)
		return;
	sched_clock(s, now);
	s->runs_on = on;
	s->slice_ns = sched_slice(s, s->wanting);
}

static uint64_t turn_most(const struct sched *s, uint64_t slice, uint32_t wanting)
{
	const uint64_t part = ROUND_MOST / (wanting ? wanting : 1);
	const uint64_t most = part < TURN_LONG ? TURN_LONG : part;

	if (s->params.exclusive || s->params.slice_ns || slice > most)
		return slice;
	return slice + FINISH_MOST < most ? slice + FINISH_MOST : most;
}

uint64_t sched_turn_most(const struct sched *s)
{
	return turn_most(s, sched_slice(s, 1), 1);
}

uint64_t sched_credit(const struct sched *s)
{
	const uint64_t credit = s->params.credit_ns ? s->params.credit_ns : CREDIT;

	return credit < s->slice_ns ? s->slice_ns : credit;
}

uint64_t sched_grant_least(const struct sched *s, uint64_t slice)
{
	uint64_t least = slice / HANDOVER_PER;

	if (least < s->params.handover_ns)
		least = s->params.handover_ns;
	return least < slice ? least : slice;
}

/* Advances the time, and the totals of the classes that were kept from the GPU. */
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

/* The rest of its work takes no turn of its own, which would cost a hand-over and another wait for
 * all others. */
static bool finishes(const struct sched *s)
{
	return heap_before(s->now, s->ends_at) &&
	       s->ends_at - s->slice_from <= turn_most(s, s->slice_ns, s->wanting);
}

static bool slice_done(const struct sched *s)
{
	if (s->slice_over)
		return true;
	return (s->now - s->slice_from >= s->slice_ns || s->granted->slice_used >= s->slice_ns) &&
	       !finishes(s);
}

void sched_ends(struct sched *s, uint64_t ns, uint64_t now)
{
	s->ends_at = now + (ns < SCHED_CHARGE_MOST ? ns : SCHED_CHARGE_MOST);
}

/* GPU time by which v is behind the holder in the order of their turns. */
static int64_t behind(const struct sched_vgpu *h, const struct sched_vgpu *v)
{
	const enum sched_class c = v->share.class;
	const struct sched *s = v->s;
	const struct tag *to = &h->tag, *from = &v->tag;
	uint32_t weight = s->policy->weight(v);

	if (s->policy->groups && h->group != v->group) {
		to = h->group ? &h->group->tag[c] : to;
		from = v->group ? &v->group->tag[c] : from;
		weight = v->group ? settings_group_weight(v->group) : weight;
	}
	return -vtime_lead(from, to->at, weight);
}

/* v has work again while the former holder drains: it goes before the one that was chosen if its
 * turn comes first. That costs no hand-over. */
static void overtake(struct sched_vgpu *v)
{
	struct sched *s = v->s;
	const struct sched_vgpu *c = s->chosen;

	if (!c || c == s->granted || c == v || !c->queued || !v->queued ||
	    s->reason != REASON_SHARE || v->share.class > c->share.class)
		return;
	if (v->share.class == c->share.class && (!s->policy->virtual_time || behind(c, v) <= 0))
		return;
	s->chosen = v;
}

/* v has come back. Should the holder's slice end for it? */
static void interrupt(struct sched_vgpu *v)
{
	struct sched *s = v->s;
	struct sched_vgpu *h = s->granted;
	const uint64_t cost = 2 * INTERRUPT_PER * s->params.handover_ns;
	uint64_t worth = WORTH * s->params.handover_ns;

	worth = worth < s->slice_ns / WORTH_PER ? s->slice_ns / WORTH_PER : worth;
	if (!h || h == v || v->joint || h != s->chosen || !h->queued || !v->queued || slice_done(s))
		return;
	if (h->reason != REASON_SHARE || h->share.class != v->share.class ||
	    !s->policy->virtual_time)
		return;
	if (behind(h, v) <= (int64_t)worth)
		return;
	if (s->interrupt_at > s->now)
		return;
	if (s->interrupt_at + INTERRUPT_SAVE < s->now)
		s->interrupt_at = s->now - INTERRUPT_SAVE;
	s->interrupt_at += cost;
	s->slice_over = true;
	h->interrupted = true;
}

void sched_wants(struct sched_vgpu *v, bool wants, uint64_t now)
{
	struct sched *s = v->s;

	sched_clock(s, now);
	if (v->wants == wants)
		return;
	settings_refresh(s);
	stats_count(v);
	v->wants = wants;
	s->wanting += wants ? 1 : -1;
	s->slice_ns = sched_slice(s, s->wanting);
	if (!wants) {
		due_leave(v);
		queue_leave(v);
		maximum_forget(v);
		return;
	}
	v->waits_since = s->now;
	v->cut = false;
	due_enter(v);
	if (v == s->chosen)
		queue_enter(v);
	else
		maximum_waiting(v);
	overtake(v);
	interrupt(v);
}

void sched_charge(struct sched_vgpu *v, uint64_t ns, uint64_t now)
{
	struct sched *s = v->s;
	uint64_t paid;

	sched_clock(s, now);
	settings_refresh(s);
	if (ns > SCHED_CHARGE_MOST)
		ns = SCHED_CHARGE_MOST;
	paid = ns < v->prepaid ? ns : v->prepaid;
	v->prepaid -= paid;
	v->stats.used_ns += ns;
	due_used(v, ns);
	s->policy->use(v, ns - paid);
	settings_use_guarantees(v, ns);
	maximum_use(v, ns);
	v->slice_used += ns;
	if (v->slice_used > s->slice_ns && v->slice_used - s->slice_ns > s->overrun_ns)
		s->overrun_ns = v->slice_used - s->slice_ns;
	if (v->queued && v != s->chosen)
		maximum_waiting(v);
	queue_moved(v);
}

/* Does the holder keep the grant without a comparison with others? */
static bool keeps(struct sched *s)
{
	struct sched_vgpu *h = s->granted;

	if (!h || h != s->chosen || !h->queued || slice_done(s))
		return false;
	/* A higher class does not wait for the end of the slice, unless the grant is for a
	 * guarantee or for relief. */
	if (h->reason == REASON_SHARE)
		for (int c = 0; c < (int)h->share.class; c++)
			if (heap_first(&s->level.turn[c]))
				return false;
	return true;
}

/* One that a maximum of its own holds back is none. */
static bool others_want(const struct sched *s, const struct sched_vgpu *v)
{
	return s->queued > (v && v->queued ? 1u : 0u);
}

static void new_slice(struct sched *s, struct sched_vgpu *v, enum reason why)
{
	v->reason = why;
	v->slice_used = 0;
	s->slice_from = s->ends_at = s->now;
	s->slice_over = false;
}

/* Chooses the next holder. When no vGPU with work may run, an idle holder without a maximum keeps
 * the grant. */
static void choose(struct sched *s)
{
	struct sched_vgpu *h = s->granted, *v;
	enum reason why;

	s->chosen = NULL;
	if (h && h->queued)
		s->policy->end(h);
	else if (h && !h->wants && h->group)
		maximum_group(h->group);
	v = queue_pick(s, &why);
	if (!v) {
		s->chosen = h && !h->wants && !maximum_any(h) ? h : NULL;
		return;
	}
	s->relieved = why == REASON_RELIEF;
	if (s->relieved)
		s->relief = (v->share.class + 1) % SCHED_CLASSES;
	s->chosen = v;
	s->reason = why;
	if (h && h != v && h->queued) {
		h->cut = !slice_done(s);
		/* Of a turn that began while it was alone, only the piece that runs on counts. */
		if (h->slice_used > s->slice_ns)
			h->slice_used = s->slice_ns;
		maximum_waiting(h);
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
		if (!heap_before(s->now, at) && finishes(s))
			at = s->ends_at;
		if (again == SCHED_NEVER || heap_before(at, again))
			again = at;
	}
	/* The driver looks at several in its own time. */
	if (maximum_any(v) && !v->joint) {
		at = s->now + maximum_lasts(v);
		if (again == SCHED_NEVER || heap_before(at, again))
			again = at;
	}
	return again;
}

/* In an exclusive pool the former holder's work may take long to drain. The next vGPU is chosen
 * at its end. */
static void choose_again(struct sched *s)
{
	struct sched_vgpu *v;
	enum reason why;

	if (!s->params.exclusive || !s->policy->virtual_time || !s->chosen ||
	    s->chosen == s->granted || s->reason != REASON_SHARE)
		return;
	v = queue_pick(s, &why);
	if (v && v != s->granted && why == REASON_SHARE)
		s->chosen = v;
}

void sched_decide(struct sched *s, uint64_t now, struct sched_decision *d)
{
	struct sched_vgpu *v;

	sched_clock(s, now);
	settings_refresh(s);
	maximum_release(s);
	if (s->chosen != s->granted && !(s->chosen && s->chosen->wants)) {
		/* No vGPU was chosen, or the chosen one was removed or has no more work. */
		s->chosen = s->granted;
		s->slice_over = true;
	}
	choose_again(s);
	v = s->chosen;
	if (v == s->granted && ((v && v->wants && maximum_holder(v)) || !keeps(s)))
		choose(s);
	v = s->chosen;
	/* Use while alone does not count against the guarantee. */
	if (v && v == s->granted && !others_want(s, v))
		v->reason = REASON_SHARE;
	*d = (struct sched_decision){
		.holder = v,
		.again = ask_again(s),
		.contended = v && (others_want(s, v) || maximum_any(v)),
		.alone = !others_want(s, v),
		.slice_ns = s->slice_ns,
	};
}

static void waited(struct sched_vgpu *v)
{
	const uint64_t ns = v->s->now - v->waits_since;

	if (v->wants && ns > v->stats.longest_wait_ns)
		v->stats.longest_wait_ns = ns;
}

void sched_joint(struct sched_vgpu *v, bool on, uint64_t now)
{
	struct sched *s = v->s;

	sched_clock(s, now);
	if (v->joint == on)
		return;
	stats_count(v);
	v->joint = on;
	if (on && s->granted != v) {
		waited(v);
		v->stats.slices++;
	} else if (!on) {
		v->waits_since = s->now;
	}
	queue_waits(v);
}

void sched_granted(struct sched *s, struct sched_vgpu *v, uint64_t now)
{
	struct sched_vgpu *was = s->granted;
	uint64_t least, paid;

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
		queue_promise(was);
		queue_waits(was);
	}
	if (!v)
		return;
	new_slice(s, v, s->reason);
	s->overrun_ns -= s->overrun_ns / OVERRUN_FADES;
	maximum_save(v);
	if (v == was)
		return;
	queue_waits(v);
	/* There is no hand-over: it has the GPU. */
	if (v->joint)
		return;
	v->stats.slices++;
	waited(v);
	/* The minimum charge: a hand-over costs the others this much even if the slice is hardly
	 * used. A vGPU that was interrupted has paid already. */
	least = sched_grant_least(s, s->slice_ns);
	paid = !v->interrupted ? 0 : v->prepaid < least ? v->prepaid : least;
	v->interrupted = false;
	s->policy->use(v, least - paid);
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
