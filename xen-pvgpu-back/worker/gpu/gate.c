/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the gate: may GPU work be issued, and what pvgpud must be told of it.
 *
 * The decoding thread does all of it. Commands that wait for the gate are parked (submit.c); a ring
 * of pvgpud's and the end of work in flight both make that thread look again. Each side stores its
 * word before it looks at the other's, so no wake-up is lost: here `wants`, `sleeps` and `drained`
 * before `open`, `contended` and the allowances.
 */
#include <unistd.h>

#include "ring/poll.h"
#include "state.h"

#define LOOK_MS        100 /* while work is in flight and no other vGPU wants the GPU */
#define FENCE_LEAST_NS 100000u
#define FENCE_MOST_NS  (PVGPU_GATE_ALONE_NS / 4)
#define STALL_NS       50000000u /* and twice its estimate: work this late waits for something */

static void put_word(uint32_t *word, bool value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
}

static void put_number(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

static void ring(const struct gate *t)
{
	const uint64_t one = 1;

	if (t->bell >= 0 && write(t->bell, &one, sizeof(one)) < 0) {
		/* Full: pvgpud has rings to take. Or it is gone. */
	}
}

/* ---- work in flight ---- */

static bool holds(const struct stream *s, bool returned)
{
	return callback_holds(s->o.gpu, s->number, returned);
}

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

static void add_load(struct load *l, const struct stream *s)
{
	l->work += s->load.work - s->done.work;
	l->cost += s->load.cost - s->done.cost;
}

static void add_held(const struct busy_streams *list, struct load *l)
{
	const struct stream *s;

	LIST_FOREACH(s, list, busy)
	{
		if (holds(s, false))
			add_load(l, s);
	}
}

/* The work in flight that waits for the guest's functions. */
static struct load held(const struct gpu *g)
{
	struct load l = {0};

	if (!atomic_load(&g->cb.runs))
		return l;
	add_held(&g->gate.busy, &l);
	add_held(&g->gate.dying, &l);
	return l;
}

/* Nothing of the session is on the GPU. */
static bool off_gpu(struct gpu *g)
{
	return g->gate.flying.work == held(g).work && evict_done(g);
}

static void set_oldest(struct gate *t, uint64_t at)
{
	t->oldest = at;
	t->announced = false;
	put_number(&t->report->oldest_ns, at);
}

void gate_oldest(struct gate *t)
{
	uint64_t oldest = oldest_of(&t->dying, oldest_of(&t->busy, UINT64_MAX));

	if (oldest == UINT64_MAX)
		oldest = t->begun ? pvgpu_poll_now() : 0;
	set_oldest(t, oldest);
}

static void tell_flying(struct gpu *g)
{
	struct gate *t = &g->gate;

	put_number(&t->report->inflight_ns, t->flying.cost - held(g).cost);
	put_number(&t->report->busy_ns, t->busy_ns);
	put_number(&t->report->copy_ns, t->copy_ns);
}

void gate_first_slow(struct gate *t)
{
	set_oldest(t, pvgpu_poll_now());
	t->announced = true;
}

void gate_withdraw_slow(struct gate *t)
{
	put_number(&t->report->commands, --t->commands);
	gate_abort(t);
}

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
	LIST_INSERT_HEAD(&t->busy, s, busy);
}

void gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes)
{
	struct gpu *g = s->o.gpu;
	struct gate *t = &g->gate;
	struct pvgpu_gate_report *r = t->report;
	const uint64_t copy = kernel ? 0 : cost;

	if (s->load.work == s->done.work)
		begin(t, s);
	evict_needed(s);
	s->load.work++;
	s->load.cost += cost;
	s->load.copy += copy;
	t->flying.work++;
	t->flying.cost += cost;
	t->flying.copy += copy;
	t->begun = false;
	if (t->announced)
		gate_oldest(t);
	put_number(&r->inflight_ns, t->flying.cost);
	if (kernel) {
		put_number(&r->launches, ++t->launches);
		latency_kernel(t, cost);
	} else if (bytes) {
		t->bytes += bytes;
		put_number(&r->copy_bytes, t->bytes);
	}
	stream_issued(s);
	/* While more waits behind it, those of stream_issued() will do. */
	if (t->exact && !g->park.work && !atomic_load(&s->full_wait)) {
		stream_fence(s);
		stream_wake(s);
	}
}

/* This part of the work in flight has ended. */
static void land(struct gpu *g, const struct load *l)
{
	struct gate *t = &g->gate;

	t->flying.work -= l->work;
	t->flying.cost -= l->cost;
	t->flying.copy -= l->copy;
	t->busy_ns += l->cost;
	t->copy_ns += l->copy;
	tell_flying(g);
}

static void leave(struct stream *s)
{
	LIST_REMOVE(s, busy);
	s->listed = false;
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
	struct gate *t = &s->o.gpu->gate;
	const struct load l = {
		.work = upto->work - s->done.work,
		.cost = upto->cost - s->done.cost,
		.copy = upto->copy - s->done.copy,
	};
	const bool oldest = s->since == t->oldest;
	const uint64_t now = pvgpu_poll_now();

	estimates_compare(s->o.gpu, l.cost, now - s->since);
	s->stalled = false;
	s->done = *upto;
	land(s->o.gpu, &l);
	if (s->done.work == s->load.work)
		leave(s);
	else
		s->since = now;
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

void gate_awaited(struct gate *t, uint64_t commands)
{
	put_number(&t->report->awaited, commands);
}

/* Completion threads write to the report, too. */
void gate_set_report(struct gpu *g, struct pvgpu_gate_report *r)
{
	pthread_mutex_lock(&g->complete.lock);
	g->gate.report = r;
	pthread_mutex_unlock(&g->complete.lock);
}

/* Streams of `dying` whose context has gone meanwhile. */
static void take_gone(struct gpu *g)
{
	struct gate *t = &g->gate;
	struct stream *s, *next;

	for (s = LIST_FIRST(&t->dying); s; s = next) {
		const struct load l = {
			.work = s->load.work - s->done.work,
			.cost = s->load.cost - s->done.cost,
			.copy = s->load.copy - s->done.copy,
		};

		next = LIST_NEXT(s, busy);
		if (!atomic_load(&s->gone))
			continue;
		s->done = s->load;
		land(g, &l);
		leave(s);
	}
	gate_oldest(t);
}

/* Count the work that has ended. */
static void poll_all(struct gpu *g)
{
	struct gate *t = &g->gate;
	struct stream *s, *next;

	estimates_poll(g);
	for (s = LIST_FIRST(&t->busy); s; s = next) {
		next = LIST_NEXT(s, busy);
		stream_poll(s);
	}
	if (atomic_load(&t->gone) && atomic_exchange(&t->gone, false))
		take_gone(g);
}

static void fence_all(struct gpu *g)
{
	struct stream *s, *next;

	/* A stream whose fence cannot be made counts as ended, and leaves the list. */
	for (s = LIST_FIRST(&g->gate.busy); s; s = next) {
		next = LIST_NEXT(s, busy);
		stream_fence(s);
	}
}

/* Be kicked when more work has ended, in any stream. */
static void watch(struct gpu *g)
{
	struct stream *s;

	fence_all(g);
	LIST_FOREACH(s, &g->gate.busy, busy)
	{
		stream_wake(s);
	}
}

/* ---- may more be issued? ---- */

static uint64_t bound(const struct gate *t)
{
	return gate_number(&t->page->inflight_ns);
}

static bool shut(const struct gate *t, bool copies)
{
	const struct pvgpu_gate *p = t->page;

	return !gate_word(&p->open) || t->commands >= gate_number(&p->commands) ||
	       (copies && t->bytes >= gate_number(&p->bytes));
}

static void tell_state(struct gate *t, bool wants, bool drained, bool sleeps)
{
	t->wants = wants;
	t->drained = drained;
	t->sleeps = sleeps;
	t->steady = wants && !drained && !sleeps;
	put_word(&t->report->wants, wants);
	put_word(&t->report->drained, drained);
	put_word(&t->report->sleeps, sleeps);
}

static void tell_issued(struct gate *t, bool issued)
{
	t->issued = issued;
	put_word(&t->report->issued, issued);
}

/* How exactly pvgpud wants to be told, and so how far apart fences are. */
static void take_mode(struct gate *t)
{
	const uint32_t depth = gate_word(&t->page->depth);
	uint64_t fence = bound(t) / 4;

	t->exact = t->sleeps || gate_word(&t->page->contended) || !gate_word(&t->page->open);
	if (bound(t) != PVGPU_GATE_NO_LIMIT && fence > FENCE_MOST_NS)
		fence = FENCE_MOST_NS;
	t->fence_cost = fence < FENCE_LEAST_NS ? FENCE_LEAST_NS : fence;
	t->fence_work = depth ? depth / 4 + 1 : UINT64_MAX;
}

/* Closed, or an allowance used up. False: it has opened while this was reported. */
static bool refuse(struct gpu *g, bool copies)
{
	struct gate *t = &g->gate;

	if (!t->sleeps) {
		poll_all(g);
		tell_state(t, true, off_gpu(g), true);
		if (!shut(t, copies))
			return false;
		take_mode(t);
		tell_issued(t, false);
		ring(t);
	}
	watch(g);
	return true;
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

		if (longest ? known || now - s->since <= longest : !known)
			continue;
		s->stalled |= longest != 0;
		add_load(l, s);
	}
}

/*
 * Work that should have ended long ago may wait for a host function or a flag in memory that
 * depends on a parked command, which CUDA would have taken. It does not count as in flight until
 * some work of its stream ends.
 */
static struct load stalled(const struct gate *t)
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

static bool fits(const struct gate *t, const struct load *but)
{
	return t->flying.work - but->work < GATE_LEAST || t->flying.cost - but->cost < bound(t);
}

static bool room(struct gpu *g)
{
	struct load none = {0}, l;

	if (fits(&g->gate, &none))
		return true;
	poll_all(g);
	l = stalled(&g->gate);
	if (fits(&g->gate, &l))
		return true;
	put_number(&g->gate.report->full, ++g->gate.full);
	watch(g);
	return false;
}

/* New work needs room in flight. */
static bool pass(struct gpu *g, bool copies, bool is_new)
{
	struct gate *t = &g->gate;
	bool begins;

	for (;;) {
		if (shut(t, copies) && refuse(g, copies))
			return false;
		if (t->sleeps)
			tell_state(t, true, t->drained, false);
		if (is_new && !room(g))
			return false;
		begins = t->drained;
		if (!t->steady)
			tell_state(t, true, false, false);
		/* pvgpud may have closed it without having seen that there is work. */
		if (!begins || !shut(t, copies))
			break;
	}
	take_mode(t);
	return true;
}

/*
 * Work in flight may wait for this very command, as a kernel waits for a flag that a copy sets. In
 * a stream that has nothing in flight it may go while no other vGPU wants the GPU.
 */
static bool pass_idle(const struct gate *t, const struct stream *s, bool copies)
{
	if (!s || !t->steady || s->load.work > s->done.work || shut(t, copies))
		return false;
	return !gate_word(&t->page->contended);
}

bool gate_admits_slow(const struct request *q, bool copies)
{
	return pass(q->g, copies, true) || pass_idle(&q->g->gate, request_stream(q), copies);
}

/* The streams whose work waits for functions that have returned. */
static bool any_resumes(struct gpu *g)
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

bool gate_resumes(struct gpu *g)
{
	struct gate *t = &g->gate;

	if (!any_resumes(g))
		return true;
	do {
		if (!pass(g, false, false))
			return false;
	} while (!gate_announce(t));
	begin_again(&t->busy, pvgpu_poll_now());
	begin_again(&t->dying, pvgpu_poll_now());
	return true;
}

bool gate_deep_slow(struct gpu *g)
{
	struct gate *t = &g->gate;
	const uint32_t depth = gate_word(&t->page->depth);

	if (t->flying.work < depth)
		return false;
	poll_all(g);
	if (t->flying.work - stalled(t).work < depth)
		return false;
	watch(g);
	return true;
}

/* ---- telling pvgpud ---- */

/* All that waited for the gate is on the GPU: the next vGPU may have the grant before that ends. */
static void see_issued(struct gpu *g)
{
	struct gate *t = &g->gate;

	if (t->issued || g->park.work || !gate_word(&t->page->tell) ||
	    !gate_word(&t->page->contended) || !gate_word(&t->page->open))
		return;
	tell_issued(t, true);
	ring(t);
}

void gate_settle(struct gpu *g)
{
	struct gate *t = &g->gate;
	const bool look = t->look, rung = t->rung;
	const bool wants = g->park.work || callbacks_wait(g);

	take_mode(t);
	if (!t->exact && !look)
		return;
	t->look = t->rung = false;
	fence_all(g);
	poll_all(g);
	if (!off_gpu(g)) {
		if (t->exact)
			watch(g);
		see_issued(g);
		return;
	}
	if (t->flying.work) {
		gate_oldest(t);
		tell_flying(g);
	}
	if (!rung && t->drained && t->wants == wants)
		return;
	tell_state(t, wants, true, t->sleeps && wants);
	take_mode(t);
	if (t->exact)
		ring(t);
}

void gpu_gate_look(struct worker *w, bool rung)
{
	struct gate *t = &worker_gpu(w)->gate;

	t->look = true;
	t->rung |= rung;
	worker_kick(w);
}

int gpu_gate_look_ms(struct worker *w)
{
	return worker_gpu(w)->gate.flying.work ? LOOK_MS : -1;
}

void gate_tell_all(struct gpu *g)
{
	struct gate *t = &g->gate;
	struct pvgpu_gate_report *r = t->report;

	tell_flying(g);
	put_number(&r->copy_bytes, t->bytes);
	put_number(&r->commands, t->commands);
	put_number(&r->launches, t->launches);
	put_number(&r->oldest_ns, t->oldest);
	put_number(&r->full, t->full);
	put_word(&r->counts_full, true);
	put_word(&r->issued, t->issued);
	latency_tell(g);
	/* Parked work looks at the new page, and then says again that it waits. */
	tell_state(t, t->wants, t->drained, false);
}

void gate_init(struct gpu *g)
{
	struct gate *t = &g->gate;

	t->page = &gate_page_own;
	t->report = &t->unread;
	t->bell = -1;
	t->stall_ns = STALL_NS;
	LIST_INIT(&t->busy);
	LIST_INIT(&t->dying);
	t->issued = true;
	tell_state(t, false, true, false);
	take_mode(t);
}

void gate_free(struct gpu *g)
{
	struct gate *t = &g->gate;

	gate_page_drop(g);
	while (!LIST_EMPTY(&t->dying))
		leave(LIST_FIRST(&t->dying));
}
