/* SPDX-License-Identifier: MIT */
/*
 * vGPUs with work, in the orders in which they may get the GPU: by turn in each class, by
 * guarantee, and by the length of the wait. A group's vGPUs are ordered within the group, and the
 * group represents the first of each order in the pool's. So an event of one vGPU moves a few nodes
 * in two heaps each, and a group is held back by removing its own few nodes.
 */
#include "xen-pvgpu-back/sched/internal.h"

/* Each ns by which a piece of work outlasts a slice of relief delays the next relief by this number
 * of them: one vGPU has less than 2 % of the GPU by relief. */
#define RELIEF_PER 64u

struct node *queue_node(const struct heap_node *h)
{
	return (struct node *)((char *)h - offsetof(struct node, h));
}

void queue_level_init(struct sched *s, struct level *l)
{
	for (int c = 0; c < SCHED_CLASSES; c++) {
		l->turn[c].steps = &s->steps;
		l->wait[c].steps = &s->steps;
		l->promised[c].steps = &s->steps;
		l->overdue[c].steps = &s->steps;
	}
	l->owed.steps = &s->steps;
}

static struct level *level_of(const struct sched_vgpu *v)
{
	return v->group ? &v->group->level : &v->s->level;
}

/* Inserts a node behind those with the same key, unless it has that key already. */
static void put(struct sched *s, struct heap *h, struct node *n, uint64_t key)
{
	if (!n->h.in || n->h.key != key)
		heap_put(h, &n->h, key, ++s->turns);
}

/* Puts a group's node at the position of its first vGPU; out: removes it. */
static void put_for_first(struct heap *pool, struct node *n, const struct heap *in, bool out)
{
	struct heap_node *first = out ? NULL : heap_first(in);

	if (first)
		heap_put(pool, &n->h, first->key, first->turn);
	else
		heap_take(pool, &n->h);
}

/* Virtual time is the least tag of the queue, and never goes back. Where the queue is empty it
 * is that of the one which has used the GPU last: its work may end after it has left. */
static void advance(struct sched *s, struct level *l, enum sched_class c, uint64_t last)
{
	const struct heap_node *first = heap_first(&l->turn[c]);
	const uint64_t to = first ? first->key : last;
	struct past *past = l->past[c];

	if (s->now - past[1].at >= sched_credit(s) / 2) {
		past[0].clock = vtime_past(l, s, c);
		past[1] = (struct past){s->now, l->clock[c]};
	}
	if (heap_before(l->clock[c], to))
		l->clock[c] = to;
}

void queue_restart(struct level *l, enum sched_class c)
{
	l->clock[c] = 0;
	l->past[c][0] = l->past[c][1] = (struct past){0};
}

void queue_group(struct sched_group *g, enum sched_class c)
{
	struct sched *s = g->s;
	bool out = g->held || !g->queued;

	if (!s->policy->groups)
		put_for_first(&s->level.turn[c], &g->turn[c], &g->level.turn[c], out);
	else if (!out && heap_first(&g->level.turn[c]))
		put(s, &s->level.turn[c], &g->turn[c], g->tag[c].at);
	else
		heap_take(&s->level.turn[c], &g->turn[c].h);
	put_for_first(&s->level.wait[c], &g->wait[c], &g->level.wait[c], out);
	put_for_first(&s->level.owed, &g->owed_inside, &g->level.owed, out);
	if (!out && s->policy->guarantees && pace_on(&g->min))
		put(s, &s->level.owed, &g->owed, g->min.at);
	else
		heap_take(&s->level.owed, &g->owed.h);
}

void queue_group_all(struct sched_group *g)
{
	for (int c = 0; c < SCHED_CLASSES; c++)
		queue_group(g, c);
}

/* A guarantee that was unused for lack of work is not saved. */
static void begin_guarantee(struct pace *min, uint64_t now)
{
	if (pace_on(min))
		pace_save_most(min, 0, now);
}

static void begin_group(struct sched_group *g, enum sched_class c)
{
	struct sched *s = g->s;

	if (!g->queued)
		begin_guarantee(&g->min, s->now);
	if (!heap_first(&g->level.turn[c]))
		vtime_begin(&g->tag[c], s, &s->level, c, settings_group_weight(g));
}

void queue_enter(struct sched_vgpu *v)
{
	enum sched_class c = v->share.class;
	struct sched *s = v->s;

	if (v->queued)
		return;
	if (v->group) {
		begin_group(v->group, c);
		v->group->queued++;
	}
	v->queued = true;
	s->queued++;
	s->policy->begin(v);
	begin_guarantee(&v->min, s->now);
	if (!v->wait.h.in)
		queue_waits(v);
	queue_moved(v);
}

static void forget_promise(struct sched_vgpu *v)
{
	struct level *l = &v->s->level;

	heap_take(&l->promised[v->share.class], &v->promised.h);
	heap_take(&l->overdue[v->share.class], &v->overdue.h);
}

void queue_leave(struct sched_vgpu *v)
{
	enum sched_class c = v->share.class;
	struct level *l = level_of(v);

	if (!v->queued)
		return;
	v->queued = false;
	v->s->queued--;
	heap_take(&l->turn[c], &v->turn.h);
	heap_take(&l->wait[c], &v->wait.h);
	forget_promise(v);
	heap_take(&l->owed, &v->owed.h);
	if (v->group) {
		v->group->queued--;
		queue_group(v->group, c);
		if (!heap_first(&l->turn[c]))
			vtime_leave(&v->group->tag[c], v->s, &v->s->level.turn[c], c);
	}
	vtime_leave(&v->tag, v->s, &vtime_level(v)->turn[c], c);
}

/* A piece of work that outlasts its slice makes the next relief come later, or one with long pieces
 * would have a great part of the GPU by relief alone. */
static uint64_t relief_delay(const struct sched_vgpu *v)
{
	const uint64_t starve = v->s->params.starve_ns, slice = v->s->slice_ns;
	const uint64_t over = v->slice_used > slice ? v->slice_used - slice : 0;

	return v->reason == REASON_RELIEF && over > starve / RELIEF_PER ? over * RELIEF_PER - starve
									: 0;
}

void queue_moved(struct sched_vgpu *v)
{
	enum sched_class c = v->share.class;
	struct level *l = level_of(v);
	struct sched *s = v->s;

	if (v->queued) {
		if (v->wait.h.in)
			put(s, &l->wait[c], &v->wait, v->mark + relief_delay(v));
		put(s, &l->turn[c], &v->turn, v->tag.at);
		if (s->policy->guarantees && pace_on(&v->min))
			put(s, &l->owed, &v->owed, v->min.at);
		else
			heap_take(&l->owed, &v->owed.h);
	}
	if (v->group)
		queue_group(v->group, c);
	/* Not in queue_leave: a vGPU whose settings change must find the same virtual time when it
	 * returns. */
	advance(s, l, c, v->tag.at);
	if (v->group)
		advance(s, &s->level, c, v->group->tag[c].at);
}

/*
 * In an exclusive pool pieces of others' work, however long, run before v's. By the lowest tag
 * alone each vGPU that is behind might run one before v, whose own are short. So v is promised the
 * time at which its weight makes its next turn due, if that is like the last one, and a round of
 * slices. Promises come no faster than v's share allows, so no vGPU gets more than that by them.
 */
static uint64_t promise_after(const struct sched_vgpu *v, uint64_t used)
{
	const struct sched *s = v->s;
	const uint64_t weight = s->policy->weight(v), all = s->level.due.weight[v->share.class];
	const uint64_t turn = used > s->slice_ns ? used : s->slice_ns;
	const uint64_t round = (s->slice_ns + s->params.handover_ns) * s->wanting;

	return s->now + round +
	       (uint64_t)((unsigned __int128)turn * (all > weight ? all : weight) / weight);
}

void queue_promise(struct sched_vgpu *v)
{
	v->promise = promise_after(v, v->slice_used);
}

/* A group waits for its turn as one, so its vGPUs have no promises of their own. */
static void keep_promise(struct sched_vgpu *v)
{
	struct sched *s = v->s;
	uint64_t least;

	if (v->group || !s->params.exclusive || !s->policy->virtual_time) {
		forget_promise(v);
		return;
	}
	if (v->promised.h.in || v->overdue.h.in)
		return;
	least = promise_after(v, 0);
	if (heap_before(v->promise, least))
		v->promise = least;
	put(s, &s->level.promised[v->share.class], &v->promised, v->promise);
}

void queue_waits(struct sched_vgpu *v)
{
	enum sched_class c = v->share.class;
	struct level *l = level_of(v);
	struct sched *s = v->s;

	if (v->queued && s->granted != v && !v->joint) {
		/* A grant that a higher class cut short does not reset the wait. */
		if (!v->cut)
			v->mark = s->kept[c];
		put(s, &l->wait[c], &v->wait, v->mark + relief_delay(v));
		keep_promise(v);
	} else {
		heap_take(&l->wait[c], &v->wait.h);
		forget_promise(v);
	}
	if (v->group)
		queue_group(v->group, c);
}

/* A group's node represents the first vGPU of the group. */
struct sched_vgpu *queue_first(const struct level *l, enum sched_class c)
{
	const struct heap_node *h = heap_first(&l->turn[c]);
	struct node *n = h ? queue_node(h) : NULL;

	if (n && n->g)
		n = queue_node(heap_first(&n->g->level.turn[c]));
	return n ? n->v : NULL;
}

static struct sched_vgpu *group_first(const struct sched_group *g)
{
	enum sched_class c = SCHED_HIGH;

	while (!heap_first(&g->level.turn[c]))
		c++;
	return queue_first(&g->level, c);
}

static struct sched_vgpu *pick_owed(struct sched *s)
{
	struct heap_node *h = heap_first(&s->level.owed);
	struct node *n = h ? queue_node(h) : NULL;

	if (!n || heap_before(s->now, h->key))
		return NULL;
	if (n->g && n == &n->g->owed)
		return group_first(n->g);
	if (n->g)
		n = queue_node(heap_first(&n->g->level.owed));
	return n->v;
}

/* Of those whose promised time has come the one with the shortest turns: a long one that went first
 * would make all of them wait. */
static struct sched_vgpu *pick_overdue(struct sched *s, enum sched_class c)
{
	struct level *l = &s->level;
	struct heap_node *h;

	while ((h = heap_first(&l->promised[c])) && !heap_before(s->now, h->key)) {
		struct sched_vgpu *v = queue_node(h)->v;

		heap_take(&l->promised[c], h);
		put(s, &l->overdue[c], &v->overdue, v->slice_used);
	}
	h = heap_first(&l->overdue[c]);
	return h ? queue_node(h)->v : NULL;
}

static struct sched_vgpu *pick_by_turn(struct sched *s)
{
	for (int c = 0; c < SCHED_CLASSES; c++) {
		struct sched_vgpu *v = pick_overdue(s, c);

		if (v || (v = queue_first(&s->level, c)))
			return v;
	}
	return NULL;
}

static struct sched_vgpu *pick_kept_waiting(struct sched *s)
{
	for (int i = 0; i < SCHED_CLASSES; i++) {
		enum sched_class c = (s->relief + i) % SCHED_CLASSES;
		struct heap_node *h = heap_first(&s->level.wait[c]);
		struct node *n;

		if (!h || heap_before(s->kept[c], h->key + s->params.starve_ns))
			continue;
		n = queue_node(h);
		if (n->g)
			n = queue_node(heap_first(&n->g->level.wait[c]));
		return n->v;
	}
	return NULL;
}

struct sched_vgpu *queue_pick(struct sched *s, enum reason *why)
{
	struct sched_vgpu *kept = pick_kept_waiting(s), *v = pick_owed(s);

	*why = REASON_GUARANTEE;
	if (!v) {
		v = pick_by_turn(s);
		*why = REASON_SHARE;
	}
	/* Not twice in a row, so that the regular order keeps at least half of the GPU. */
	if (kept && (!s->relieved || kept == v)) {
		*why = REASON_RELIEF;
		return kept;
	}
	return v;
}

/* How much GPU time the first of this order may use until another one is first; 0: it is not. */
static uint64_t ahead_of_next(const struct heap *turn, const struct heap_node *own,
			      const struct tag *tag, uint32_t weight)
{
	const struct heap_node *next = heap_second(turn);
	int64_t lead;

	if (heap_first(turn) != own)
		return 0;
	if (!next)
		return SCHED_NEVER;
	lead = vtime_lead(tag, next->key, weight);
	return lead < 0 ? (uint64_t)-lead : 0;
}

uint64_t sched_credit_left(const struct sched_vgpu *v)
{
	const struct sched *s = v->s;
	const struct heap_node *owed = heap_first(&s->level.owed);
	const enum sched_class c = v->share.class;
	const uint32_t weight = s->policy->weight(v);
	struct sched_group *g = v->group;
	uint64_t own, all;

	if (s->granted != v || v->reason == REASON_RELIEF || !s->policy->virtual_time)
		return 0;
	if (owed && !heap_before(s->now, owed->key))
		return owed == &v->owed.h ? SCHED_NEVER : 0;
	own = ahead_of_next(&level_of(v)->turn[c], &v->turn.h, &v->tag, weight);
	if (!g)
		return own;
	all = s->policy->groups ? ahead_of_next(&s->level.turn[c], &g->turn[c].h, &g->tag[c],
						settings_group_weight(g))
				: ahead_of_next(&s->level.turn[c], &g->turn[c].h, &v->tag, weight);
	return all < own ? all : own;
}

bool sched_peers(const struct sched_vgpu *v)
{
	const enum sched_class c = v->share.class;
	size_t n = 0;

	for (int i = 0; i <= (int)c; i++)
		n += v->s->level.turn[i].n;
	/* A group stands there once for all that it has. */
	if (v->group && v->group->level.turn[c].n)
		n += v->group->level.turn[c].n - 1;
	return n > (v->queued ? 1u : 0u);
}
