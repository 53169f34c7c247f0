/* SPDX-License-Identifier: MIT */
/*
 * The work in flight: how long it takes to drain, and what may be added to it.
 *
 * The *time to drain* is what the GPU would still run if nothing were added. Streams run beside
 * each other as far as the GPU has room, so it is the larger of two: the sum of the estimates of
 * the stream that has most, and a part of the sum over all streams. That part is one where streams
 * do not overlap, and one n-th where n of them do; it is learned from what ends (overlap.c).
 *
 * A piece of work (a kernel, a graph, a copy) of length p may be added, with the bound B of pvgpud,
 * if one of these is true:
 *
 *  1. Nothing is in flight: one piece always may be, however long it takes.
 *  2. p is not more than B, and all in flight drains in less than B.
 *  3. It is the second one, and it takes PAIR_NS at most to drain both: the GPU does not wait for
 *     this process between two short ones. With no other vGPU there each stream may have a second
 *     one that is longer than B, while it takes ALONE_PAIR_NS at most to drain all.
 *  4. Its stream has B at most with it, while another stream has more than B, and so have all
 *     streams but that one together: a long kernel keeps no copies of other streams back. With no
 *     other vGPU there this also holds for the first piece of a stream when none has more than B.
 *  5. It is longer, its stream has nothing in flight, and if the streams overlap as far as is known
 *     the whole takes no longer to drain than its longest piece.
 *
 * But of pieces of unknown length one is in flight at a time; and B = 0 allows one piece in each
 * stream that has nothing in flight while others have some, and nothing else. So kernels of up to
 * half of PAIR_NS always have another one behind them, of longer ones each stream has one, and it
 * takes the time of one to drain all. With no other vGPU there the quick look (gate_admits()) asks
 * only whether all in flight drains in less than B: a long piece may follow that.
 */
#include <stdatomic.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/worker.h"

#define STALL_NS      50000000u /* and twice its estimate: work this late waits for something */
#define PAIR_NS       5500000u
#define ALONE_PAIR_NS 10500000u

/* ---- loads ---- */

static struct load difference(const struct load *a, const struct load *b)
{
	return (struct load){
		.work = a->work - b->work,
		.cost = a->cost - b->cost,
		.copy = a->copy - b->copy,
		.unsure = a->unsure - b->unsure,
		.words = a->words - b->words,
	};
}

static void add(struct load *l, const struct load *more)
{
	l->work += more->work;
	l->cost += more->cost;
	l->copy += more->copy;
	l->unsure += more->unsure;
	l->words += more->words;
}

static struct load load_of(const struct stream *s)
{
	return difference(&s->load, &s->done);
}

static bool holds(const struct stream *s, bool returned)
{
	return callback_holds(s->o.gpu, s->number, returned);
}

static void add_held(const struct busy_streams *list, struct load *l)
{
	const struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		const struct load own = load_of(s);

		if (holds(s, false))
			add(l, &own);
	}
}

struct load flight_counted(const struct gpu *g)
{
	struct load held = {0};

	if (!atomic_load(&g->cb.runs))
		return g->gate.flying;
	add_held(&g->gate.busy, &held);
	add_held(&g->gate.dying, &held);
	return difference(&g->gate.flying, &held);
}

bool flight_is_off(struct gpu *g)
{
	return !flight_counted(g).work && evict_done(g);
}

/* ---- the time to drain ---- */

static uint64_t longest_of(const struct busy_streams *list, bool any_holds, uint64_t longest)
{
	const struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		const uint64_t cost = s->load.cost - s->done.cost;

		if (cost > longest && !(any_holds && holds(s, false)))
			longest = cost;
	}
	return longest;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void set_drain(struct gate *t, const struct load *counted)
{
	uint64_t hoped;

	t->drain = t->longest;
	if (t->streams > 1)
		t->drain = larger(t->drain, overlap_part(counted->cost, t->overlap.share));
	if (!t->drain)
		t->drain = counted->work > 0;
	t->quick_ns = counted->unsure ? UINT64_MAX : t->drain;
	/* Where another stream is tried beside one, pvgpud waits for the end that this hopes for:
	 * it shows how far they overlap, which work of other vGPUs beside them would hide. */
	hoped = larger(t->longest, overlap_part(counted->cost, t->overlap.tried));
	gate_put(&t->report->drain_ns, hoped ? hoped : t->drain);
}

void flight_tell(struct gpu *g)
{
	struct gate *t = &g->gate;
	const bool any_holds = atomic_load(&g->cb.runs);
	const struct load counted = flight_counted(g);

	t->longest = longest_of(&t->dying, any_holds, longest_of(&t->busy, any_holds, 0));
	set_drain(t, &counted);
	gate_put(&t->report->inflight_ns, counted.cost);
	__atomic_store_n(&t->report->words, t->flying.words != 0, __ATOMIC_RELAXED);
	gate_put(&t->report->busy_ns, t->busy_ns);
	gate_put(&t->report->copy_ns, t->copy_ns);
}

/* ---- what may be added ---- */

static bool is_alone(const struct gate *t)
{
	return !gate_word(&t->page->contended) && gate_word(&t->page->learn);
}

/* A piece that is longer than the bound, or for which there is no room within it. */
static bool fits_beside(const struct gate *t, const struct load *all, const struct load *own,
			uint64_t bound, uint64_t ns)
{
	const struct overlap *o = &t->overlap;
	const bool alone = is_alone(t);
	const uint64_t in_stream = own->cost + ns, sum = all->cost + ns;
	const uint64_t drain = larger(larger(t->longest, in_stream), overlap_part(sum, o->share));
	const uint64_t longest = larger(t->longest, ns);

	if (alone && ns > bound ? own->work < 2 && drain <= ALONE_PAIR_NS
				: all->work < 2 && drain <= PAIR_NS)
		return true;
	if (in_stream <= bound)
		return (t->longest > bound || (alone && !own->work)) &&
		       overlap_part(sum - t->longest, o->share) <= bound;
	return !own->work && overlap_part(sum, o->tried) <= longest &&
	       sum <= 2 * larger(o->proved, longest);
}

bool flight_fits(const struct request *q)
{
	struct gpu *g = q->g;
	struct gate *t = &g->gate;
	const uint64_t bound = gate_number(&t->page->inflight_ns);
	const struct stream *s = request_stream(q);
	const struct load own = s ? load_of(s) : (struct load){0};
	struct load all;
	bool known;
	uint64_t ns;

	if (bound == PVGPU_GATE_NO_LIMIT)
		return true;
	all = flight_counted(g);
	if (!bound) {
		/* A length that such a moment ends would make the next moment come later. */
		estimates_disturbed(g);
		return all.work && !own.work;
	}
	if (!all.work)
		return true;
	ns = work_foresee(g, q->d, q->rec, &known);
	if (!known && all.unsure)
		return false;
	return (t->drain < bound && ns <= bound) || fits_beside(t, &all, &own, bound, ns);
}

/* Add the load in flight of streams that stall; with `longest`, of those that begin to stall now.
 */
static void add_stalled(const struct busy_streams *list, uint64_t longest, struct load *l)
{
	const uint64_t now = pvgpu_poll_now();
	struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		const bool known = s->stalled || holds(s, false);
		const struct load own = load_of(s);

		if (longest ? known || now - s->since <= longest : !known)
			continue;
		s->stalled |= longest != 0;
		add(l, &own);
	}
}

struct load flight_stalled(const struct gate *t)
{
	struct load l = {0};
	uint64_t longest;

	add_stalled(&t->busy, 0, &l);
	add_stalled(&t->dying, 0, &l);
	longest = 2 * (t->flying.cost - l.cost) + t->stall_ns;
	add_stalled(&t->busy, longest, &l);
	add_stalled(&t->dying, longest, &l);
	return l;
}

/*
 * Work that should have ended long ago may wait for a host function or a flag in memory that
 * depends on a parked command, which CUDA would have taken. When all in flight is so late, one
 * piece goes into a stream that has nothing in flight, and the next when that is late, too.
 */
static bool passes_late(const struct gate *t, const struct request *q)
{
	const struct stream *s = request_stream(q);

	return t->late && s && s->load.work == s->done.work;
}

bool flight_room(const struct request *q)
{
	struct gate *t = &q->g->gate;
	const bool look = !t->watched;

	if (flight_fits(q))
		return true;
	if (look) {
		flight_poll(q->g);
		if (flight_fits(q))
			return true;
		t->late = t->flying.work == flight_stalled(t).work;
	}
	if (passes_late(t, q))
		return true;
	gate_put(&t->report->full, ++t->full);
	flight_watch(q->g);
	/* Streams that can have no fence may have left: then nothing would kick this thread. */
	return look && flight_fits(q);
}

/* ---- since when ---- */

static uint64_t oldest_of(const struct busy_streams *list, uint64_t oldest)
{
	struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		if (s->since < oldest && !holds(s, false))
			oldest = s->since;
	}
	return oldest;
}

static void set_oldest(struct gate *t, uint64_t at)
{
	t->oldest = at;
	t->announced = false;
	gate_put(&t->report->oldest_ns, at);
}

void gate_oldest(struct gate *t)
{
	uint64_t oldest = oldest_of(&t->dying, oldest_of(&t->busy, UINT64_MAX));

	if (oldest == UINT64_MAX)
		oldest = t->begun ? pvgpu_poll_now() : 0;
	set_oldest(t, oldest);
}

void gate_first_slow(struct gate *t)
{
	set_oldest(t, pvgpu_poll_now());
	t->announced = true;
}

/* ---- begin and end ---- */

/* In a confidential pool its context's last use of the GPU ends with a clear of the caches. */
static void evict_needed(const struct stream *s)
{
	struct evict *e = &s->o.gpu->evict;

	if (e->on && e->ctx != s->o.ctx)
		evict_needed_slow(e, s->o.ctx);
}

static void begin(struct gate *t, struct stream *s)
{
	s->since = pvgpu_poll_now();
	s->listed = true;
	t->streams++;
	LIST_INSERT_HEAD(&t->busy, s, busy);
}

static void add_command(struct load *l, bool kernel, uint64_t cost, uint64_t commands, bool unsure)
{
	l->work += commands;
	l->cost += cost;
	if (!kernel)
		l->copy += cost;
	if (unsure)
		l->unsure++;
}

/* The stream has more in flight than before. */
static void tell_more(struct gpu *g, const struct stream *s)
{
	struct gate *t = &g->gate;
	const uint64_t in_stream = s->load.cost - s->done.cost;

	if (atomic_load_explicit(&g->cb.runs, memory_order_relaxed)) {
		flight_tell(g);
		return;
	}
	if (in_stream > t->longest)
		t->longest = in_stream;
	set_drain(t, &t->flying);
	gate_put(&t->report->inflight_ns, t->flying.cost);
}

void gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes, uint64_t commands,
		 bool unsure)
{
	struct gpu *g = s->o.gpu;
	struct gate *t = &g->gate;
	struct pvgpu_gate_report *r = t->report;

	if (s->load.work == s->done.work)
		begin(t, s);
	evict_needed(s);
	add_command(&s->load, kernel, cost, commands, unsure);
	add_command(&t->flying, kernel, cost, commands, unsure);
	tell_more(g, s);
	t->begun = t->late = false;
	if (t->announced)
		gate_oldest(t);
	if (kernel) {
		gate_put(&r->launches, ++t->launches);
		latency_kernel(t, cost);
	}
	if (bytes) {
		t->bytes = bytes < UINT64_MAX - t->bytes ? t->bytes + bytes : UINT64_MAX;
		gate_put(&r->copy_bytes, t->bytes);
	}
	if (commands > 1) {
		t->nodes += commands - 1;
		gate_put(&r->nodes, t->nodes);
	}
	stream_issued(s);
	/* While more waits behind it in its stream, those of stream_issued() will do. */
	if ((t->exact || t->watched) && (t->watched || !order_waits(&s->o.order)) &&
	    !atomic_load(&s->full_wait)) {
		stream_fence(s);
		stream_wake(s);
	}
}

/* This part of the work in flight has ended. */
static void land(struct gpu *g, const struct load *l)
{
	struct gate *t = &g->gate;

	t->flying = difference(&t->flying, l);
	t->busy_ns += l->cost;
	t->copy_ns += l->copy;
	if (!t->polling)
		flight_tell(g);
}

static void leave(struct gate *t, struct stream *s)
{
	LIST_REMOVE(s, busy);
	s->listed = false;
	t->streams--;
	if (s->dying)
		obj_unref(s);
}

void gate_dying(struct stream *s)
{
	if (!s->listed)
		return;
	LIST_REMOVE(s, busy);
	LIST_INSERT_HEAD(&s->o.gpu->gate.dying, s, busy);
	s->dying = true;
	obj_ref(s);
}

void gate_ended(struct stream *s, const struct load *upto)
{
	struct gpu *g = s->o.gpu;
	struct gate *t = &g->gate;
	const struct load l = difference(upto, &s->done);
	const bool oldest = s->since == t->oldest;
	const uint64_t now = pvgpu_poll_now();

	estimates_compare(g, l.cost, now - s->since);
	overlap_learn(s, &l, now);
	s->stalled = false;
	s->done = *upto;
	if (s->done.work == s->load.work)
		leave(t, s);
	else
		s->since = now;
	land(g, &l);
	if (oldest || !t->flying.work)
		gate_oldest(t);
}

void gate_gone(struct gpu *g, struct stream *s)
{
	struct gate *t = &g->gate;

	if (!s->listed)
		return;
	atomic_store(&s->gone, true);
	atomic_store(&t->gone, true);
	worker_kick(g->w);
}

/* Streams of `dying` whose context has gone meanwhile. */
static void take_gone(struct gpu *g)
{
	struct gate *t = &g->gate;
	struct stream *s, *next;

	for (s = LIST_FIRST(&t->dying); s; s = next) {
		const struct load l = load_of(s);

		next = LIST_NEXT(s, busy);
		if (!atomic_load(&s->gone))
			continue;
		s->done = s->load;
		leave(t, s);
		land(g, &l);
	}
	gate_oldest(t);
}

void flight_poll(struct gpu *g)
{
	struct gate *t = &g->gate;
	const uint64_t now = pvgpu_poll_now();
	struct stream *s, *next;

	t->polling = true;
	estimates_poll(g);
	for (s = LIST_FIRST(&t->busy); s; s = next) {
		next = LIST_NEXT(s, busy);
		stream_poll(s);
	}
	if (atomic_load(&t->gone) && atomic_exchange(&t->gone, false))
		take_gone(g);
	t->polling = false;
	t->polled = now;
	flight_tell(g);
}

void flight_fence(struct gpu *g)
{
	struct stream *s, *next;

	/* A stream whose fence cannot be made counts as ended, and leaves the list. */
	for (s = LIST_FIRST(&g->gate.busy); s; s = next) {
		next = LIST_NEXT(s, busy);
		stream_fence(s);
	}
}

void flight_watch(struct gpu *g)
{
	struct stream *s;

	if (g->gate.watched)
		return;
	flight_fence(g);
	LIST_FOREACH(s, &g->gate.busy, busy)
	{
		stream_wake(s);
	}
	g->gate.watched = true;
}

/* ---- host functions ---- */

bool flight_any_resumes(struct gpu *g)
{
	struct stream *s, *next;
	bool any = false;

	/* Their fences say whether their last work was before the function. */
	for (s = LIST_FIRST(&g->gate.busy); s; s = next) {
		next = LIST_NEXT(s, busy);
		if (!holds(s, true))
			continue;
		stream_poll(s);
		any |= s->listed;
	}
	LIST_FOREACH(s, &g->gate.dying, busy)
	any |= holds(s, true);
	return any;
}

static void begin_again(struct busy_streams *list, uint64_t now)
{
	struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		if (!holds(s, true))
			continue;
		s->since = now;
		s->stalled = false;
		evict_needed(s);
	}
}

void flight_resume(struct gpu *g)
{
	begin_again(&g->gate.busy, pvgpu_poll_now());
	begin_again(&g->gate.dying, pvgpu_poll_now());
}

void flight_init(struct gate *t)
{
	t->stall_ns = STALL_NS;
	overlap_init(&t->overlap);
	LIST_INIT(&t->busy);
	LIST_INIT(&t->dying);
}

void flight_free(struct gate *t)
{
	while (!LIST_EMPTY(&t->dying))
		leave(t, LIST_FIRST(&t->dying));
}
