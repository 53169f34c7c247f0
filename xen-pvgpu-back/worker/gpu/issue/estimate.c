/* SPDX-License-Identifier: MIT */
/*
 * Estimates of GPU work: a table of bounded size, averages that follow the measurements, and a few
 * pairs of events with timing, never one for each launch.
 */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"

#define MIB_SHIFT   20
#define MIB_MOST_NS (1u << 27) /* for a MiB; so that a product fits */
#define JUMP        8          /* a measure so many times the estimate replaces it */
#define BESIDE      64         /* beside others', which each may have had the GPU as long */
/* A hundred other vGPUs may have so much in flight before it, 2 ms and a kernel each. */
#define BESIDE_QUEUE_NS 300000000u
#define SURPRISE        2       /* so many times the estimate is in doubt; beside others BESIDE */
#define LATE_NS         500000u /* by which its end may have been seen too late */
#define SPAN            1024u   /* commands: one used that lately may have taken so long */
#define LOOK_EVERY      16u     /* commands between looks at the timers */

static const uint32_t any_shape[WORK_SHAPE];

/* At first: about what PCIe and device memory do. */
static const struct {
	uint32_t small, mib;
} at_first[WORK_KINDS] = {
	[WORK_TO_DEVICE] = {4000, 50000}, [WORK_TO_HOST] = {4000, 50000},
	[WORK_DEVICE] = {3000, 2000},     [WORK_HOST] = {3000, 100000},
	[WORK_MEMSET] = {3000, 1000},
};

int estimates_init(struct gpu *g)
{
	struct estimates *x = &g->est;

	x->set = calloc(ESTIMATE_SETS, sizeof(*x->set));
	if (!x->set)
		return -1;
	for (unsigned int i = 0; i < WORK_KINDS; i++) {
		x->small[i] = (struct estimate){.tag = 1, .ns = at_first[i].small};
		x->mib[i] = (struct estimate){.tag = 1, .ns = at_first[i].mib};
	}
	return 0;
}

void estimates_free(struct gpu *g)
{
	free(g->est.set);
	g->est.set = NULL;
}

/* ---- the table ---- */

static uint64_t mix(uint64_t h, uint64_t v)
{
	h ^= v;
	h *= 0x9e3779b97f4a7c15ull;
	return h ^ h >> 29;
}

/* Four steps to each doubling: a grid that grows with every launch is not a new kind of work each
 * time. */
static uint32_t step_of(uint32_t v)
{
	uint32_t log;

	if (v < 8)
		return v;
	log = 31 - (uint32_t)__builtin_clz(v);
	return log << 2 | (v >> (log - 2) & 3);
}

static uint64_t tag_from(uint64_t what, const uint32_t shape[WORK_SHAPE])
{
	uint64_t h = mix(0, what);

	for (unsigned int i = 0; i < WORK_SHAPE; i++)
		h = mix(h, step_of(shape[i]));
	return h | 1;
}

static uint64_t tag_of(const struct function *f, const uint32_t shape[WORK_SHAPE])
{
	return tag_from(f->o.handle, shape);
}

static struct estimate *seek(struct estimates *x, uint64_t tag)
{
	struct estimate *set = x->set[tag >> 32 & (ESTIMATE_SETS - 1)];

	for (unsigned int i = 0; i < ESTIMATE_WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
	}
	return NULL;
}

/* The entry of a tag; a new one replaces the least recently used of its set. */
static struct estimate *find(struct estimates *x, uint64_t tag)
{
	struct estimate *set = x->set[tag >> 32 & (ESTIMATE_SETS - 1)], *oldest = seek(x, tag);

	if (oldest)
		return oldest;
	oldest = set;

	for (unsigned int i = 0; i < ESTIMATE_WAYS; i++) {
		/* The clock may come round. */
		if (!set[i].tag ||
		    (oldest->tag && x->clock - set[i].used > x->clock - oldest->used))
			oldest = &set[i];
	}
	*oldest = (struct estimate){.tag = tag};
	return oldest;
}

/* Beside a vGPU that hangs a command of a microsecond can take minutes, and as an estimate they
 * would keep this vGPU's next commands back as long. So a long one is believed by steps, each of
 * which needs a measurement. */
static bool is_doubted(struct estimate *e, uint64_t ns)
{
	const uint64_t step = e->ns < ESTIMATE_BESIDE_NS / 2 ? ESTIMATE_BESIDE_NS : 2 * e->ns;

	e->doubted = ns > step;
	if (!e->doubted)
		return false;
	e->ns = step;
	e->own = false;
	e->samples = 1;
	return true;
}

/* One measurement that was disturbed would count against this vGPU until the next one, which may be
 * far off: it is believed when a second one is as long. */
static bool is_surprise(struct estimate *e, uint64_t ns)
{
	e->surprising = !e->surprising && e->samples >= 2 && ns / SURPRISE > e->ns;
	return e->surprising;
}

/* Longer than the work of other vGPUs explains? */
static bool is_beyond(uint64_t estimate, uint64_t ns)
{
	return ns > BESIDE_QUEUE_NS && (ns - BESIDE_QUEUE_NS) / BESIDE > estimate;
}

/* expected: work is known to have taken longer than estimated. */
static void learn(struct estimate *e, uint64_t ns, bool own, bool expected)
{
	if (ns < 1)
		ns = 1;
	if (ns > ESTIMATE_MOST_NS)
		ns = ESTIMATE_MOST_NS;
	/* Other vGPUs' work may have made it longer, but not so much; never shorter. */
	if (e->own && !own && ns < e->ns)
		own = true;
	if (e->samples && !e->doubted && !own && ns >= e->ns && !is_beyond(e->ns, ns))
		return;
	if (!own && is_doubted(e, ns))
		return;
	if (own && e->own && !expected && is_surprise(e, ns))
		return;
	if (!e->samples || own != e->own || ns / JUMP > e->ns)
		e->ns = ns;
	else if ((e->samples == 1 || !own) && ns < e->ns)
		e->ns = ns; /* the first one may have found everything cold */
	else if (ns > e->ns)
		e->ns += (ns - e->ns + 3) / 4;
	else
		e->ns -= (e->ns - ns) / 4;
	e->own = own;
	e->doubted = false;
	e->samples += e->samples < 2;
}

/* ---- timers ---- */

static int timer_event(struct gpu *g, struct ctx *c, CUevent *ev)
{
	if (c->timers.count) {
		*ev = c->timers.ev[--c->timers.count];
		return 0;
	}
	return (int)g->far->cuEventCreate(ev, CU_EVENT_BLOCKING_SYNC);
}

static void timer_put(struct gpu *g, struct ctx *c, CUevent ev)
{
	if (!event_pool_keep(&c->timers, ev))
		g->far->cuEventDestroy_v2(ev);
}

static void timer_end(struct gpu *g, struct timer *m)
{
	timer_put(g, m->ctx, m->before);
	timer_put(g, m->ctx, m->after);
	if (m->e->tag == m->tag)
		m->e->measured = false;
	m->ctx = NULL;
	g->est.timers--;
}

/* The timer's number, or -1. */
static int timer_begin(struct work *k, struct stream *s, bool doubt)
{
	struct gpu *g = s->o.gpu;
	struct estimates *x = &g->est;
	struct timer *m = x->timer;

	while (m->ctx)
		m++;
	if (timer_event(g, s->o.ctx, &m->before))
		return -1;
	if (timer_event(g, s->o.ctx, &m->after)) {
		timer_put(g, s->o.ctx, m->before);
		return -1;
	}
	m->ctx = s->o.ctx;
	m->e = k->e;
	m->tag = k->e->tag;
	m->bytes = k->bytes;
	m->stream = s->number;
	m->running = m->disturbed = false;
	m->doubt = doubt;
	m->learn = gate_word(&g->gate.page->learn);
	k->e->measured = true;
	x->timers++;
	x->unmeasured = 0;
	k->e->checked = x->doubts;
	if (g->far->cuEventRecord(m->before, s->far)) {
		timer_end(g, m);
		return -1;
	}
	return (int)(m - x->timer);
}

/* A large copy measures the cost of a MiB, beyond the fixed cost of each copy. */
static void take(struct gpu *g, struct timer *m, float ms)
{
	struct estimates *x = &g->est;
	const bool own = m->learn && gate_word(&g->gate.page->learn) == m->learn;
	uint64_t ns = ESTIMATE_MOST_NS;

	if (!(ms >= 0)) /* nor a number */
		return;
	if ((double)ms * 1e6 < (double)ESTIMATE_MOST_NS)
		ns = (uint64_t)((double)ms * 1e6 + 0.5);
	if (m->e >= x->mib && m->e < x->mib + WORK_KINDS) {
		const uint64_t each = x->small[m->e - x->mib].ns;

		ns = ns > each ? ns - each : 0;
		ns = (uint64_t)((double)ns * (1u << MIB_SHIFT) / (double)m->bytes);
		learn(m->e, ns < MIB_MOST_NS ? ns : MIB_MOST_NS, own, m->doubt);
		return;
	}
	if (ns < ESTIMATE_LEAST_NS)
		ns = ESTIMATE_LEAST_NS;
	if (m->e->tag == m->tag)
		learn(m->e, ns, own, m->doubt);
	if (m->whole) {
		struct estimate *whole = find(x, m->whole);

		whole->used = x->clock;
		learn(whole, ns, own, m->doubt);
	}
}

void estimates_poll(struct gpu *g)
{
	struct estimates *x = &g->est;

	for (unsigned int i = 0; x->timers && i < ESTIMATE_TIMERS; i++) {
		struct timer *m = &x->timer[i];
		float ms = 0;
		int r;

		if (!m->ctx || !m->running)
			continue;
		r = ctx_enter(m->ctx);
		if (!r)
			r = (int)g->far->cuEventQuery(m->after);
		if (r == CUDA_ERROR_NOT_READY)
			continue;
		if (!r)
			r = (int)g->far->cuEventElapsedTime(&ms, m->before, m->after);
		if (!r && !m->disturbed)
			take(g, m, ms);
		timer_end(g, m);
	}
}

void estimates_disturbed(struct gpu *g)
{
	for (unsigned int i = 0; i < ESTIMATE_TIMERS; i++)
		g->est.timer[i].disturbed = true;
}

void estimates_leave(struct gpu *g, struct ctx *c)
{
	for (unsigned int i = 0; i < ESTIMATE_TIMERS; i++) {
		if (g->est.timer[i].ctx == c)
			timer_end(g, &g->est.timer[i]);
	}
}

void estimates_compare(struct gpu *g, uint64_t cost, uint64_t took)
{
	struct estimates *x = &g->est;
	const bool own = gate_word(&g->gate.page->learn);
	uint64_t now;

	if (own ? took / SURPRISE <= cost + LATE_NS : !is_beyond(cost, took))
		return;
	now = pvgpu_poll_now();
	if (x->doubt_ns && now - x->doubt_ns < ESTIMATE_DOUBT_NS)
		return;
	if (x->doubt || !x->doubt_ns)
		x->passed = 0;
	else if (x->passed < ESTIMATE_PASSED)
		x->passed++;
	x->doubt = true;
	x->doubts++;
	x->doubt_at = x->clock;
	x->doubt_left = ESTIMATE_DOUBTS;
	x->doubt_ns = now;
}

/* ---- work ---- */

static void poll_timers(struct stream *s)
{
	estimates_poll(s->o.gpu);
	ctx_enter(s->o.ctx);
}

/* May this entry have taken so long? used: when it was used last, before this time. */
static bool doubtful(const struct estimates *x, const struct estimate *e, uint32_t used)
{
	const uint8_t ago = (uint8_t)(x->doubts - e->checked);

	return x->doubt && ago > x->passed && (int32_t)(x->doubt_at - used) < (int32_t)SPAN;
}

/* The measurement that is under way may take long: a function of the guest has to return first. */
static bool is_held(struct gpu *g, const struct estimate *e)
{
	for (unsigned int i = 0; i < ESTIMATE_TIMERS; i++) {
		const struct timer *m = &g->est.timer[i];

		if (m->ctx && m->e == e && !callback_holds(g, m->stream, false))
			return false;
	}
	return true;
}

/* Measure this command? Unknown ones twice; then one in a while, with no other vGPU there. */
static void maybe_measure(struct work *k, struct stream *s, uint32_t used)
{
	struct gpu *g = s->o.gpu;
	struct estimates *x = &g->est;
	const bool doubt = doubtful(x, k->e, used);
	bool due;

	x->unmeasured += k->ns;
	due = doubt || x->unmeasured >= ESTIMATE_EVERY_NS;
	if (x->timers && !(++x->looks % LOOK_EVERY))
		poll_timers(s);
	if ((k->e->samples >= 2 && !due && !k->e->surprising) || x->timers == ESTIMATE_TIMERS ||
	    (k->e->measured && !is_held(g, k->e)))
		return;
	/* Beside other vGPUs' work only commands of which little is known, or that have been
	 * measured there only: the shortest time is the best. */
	if (k->e->samples && !doubt && !k->e->doubted && (k->e->own || !due) &&
	    !gate_word(&g->gate.page->learn))
		return;
	k->timer = timer_begin(k, s, doubt);
	if (doubt && !--x->doubt_left)
		x->doubt = false;
}

/* The estimate of other shapes of the function, or of unknown work. */
static uint64_t guess(struct estimates *x, uint64_t any)
{
	struct estimate *whole = seek(x, any);

	if (!whole)
		return ESTIMATE_UNKNOWN_NS;
	whole->used = x->clock;
	return whole->ns;
}

uint64_t estimate_of(struct gpu *g, uint64_t what, const uint32_t shape[WORK_SHAPE], bool *known)
{
	const struct estimate *e = seek(&g->est, tag_from(what, shape ? shape : any_shape));

	*known = e && e->samples;
	return *known ? e->ns : ESTIMATE_UNKNOWN_NS;
}

/* Word by word, as they were just written: a wider load would miss store forwarding. */
static inline bool same(const uint32_t *a, const uint32_t *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] &&
	       a[5] == b[5] && a[6] == b[6];
}

/* Work of this entry is about to begin; what: the function or the call. */
static inline void expect(struct work *k, struct stream *s, struct estimate *e, uint64_t what)
{
	struct estimates *x = &s->o.gpu->est;
	const uint32_t used = e->used;

	k->kind = WORK_KERNEL;
	k->bytes = 0;
	k->commands = 1;
	k->timer = -1;
	k->unsure = false;
	if (s->capture)
		return; /* a node of a graph: nothing runs */
	k->e = e;
	e->used = ++x->clock;
	if (!e->samples && x->timers)
		poll_timers(s);
	k->unsure = !e->samples;
	k->ns = k->unsure ? guess(x, tag_from(what, any_shape)) : e->ns;
	maybe_measure(k, s, used);
	if (k->timer >= 0)
		x->timer[k->timer].whole = tag_from(what, any_shape);
}

void work_kernel(struct work *k, struct stream *s, struct function *f,
		 const uint32_t shape[WORK_SHAPE])
{
	struct estimates *x = &s->o.gpu->est;

	if (!f->shape.e || f->shape.e->tag != f->shape.tag || !same(f->shape.last, shape)) {
		memcpy(f->shape.last, shape, sizeof(f->shape.last));
		f->shape.tag = tag_of(f, shape);
		f->shape.e = find(x, f->shape.tag);
	}
	expect(k, s, f->shape.e, f->o.handle);
}

void work_call(struct work *k, struct stream *s, uint32_t op, const uint32_t shape[WORK_SHAPE])
{
	expect(k, s, find(&s->o.gpu->est, tag_from(op, shape)), op);
}

void work_graph(struct work *k, struct stream *s, uint64_t exec, const struct graph_sum *sum)
{
	expect(k, s, find(&s->o.gpu->est, tag_from(exec, any_shape)), exec);
	k->bytes = sum->bytes;
	k->commands = sum->commands ? sum->commands : 1;
}

uint64_t estimate_bytes(struct gpu *g, enum work_kind kind, uint64_t bytes)
{
	const struct estimates *x = &g->est;
	uint64_t ns = x->small[kind].ns;

	if (bytes >= ESTIMATE_SMALL)
		ns += (bytes >> 12) * x->mib[kind].ns >> (MIB_SHIFT - 12);
	return ns < ESTIMATE_MOST_NS ? ns : ESTIMATE_MOST_NS;
}

void work_bytes(struct work *k, struct stream *s, enum work_kind kind, uint64_t bytes,
		bool measured)
{
	struct estimates *x = &s->o.gpu->est;
	const bool small = bytes < ESTIMATE_SMALL;
	uint32_t used;

	k->timer = -1;
	k->unsure = false;
	if (s->capture)
		return;

	k->kind = kind;
	k->bytes = bytes;
	k->commands = 1;
	k->timer = -1;
	k->unsure = false;
	k->e = small ? &x->small[kind] : &x->mib[kind];
	used = k->e->used;
	k->e->used = ++x->clock;
	k->ns = estimate_bytes(s->o.gpu, kind, bytes);
	if (measured)
		maybe_measure(k, s, used);
	if (k->timer >= 0)
		x->timer[k->timer].whole = 0;
}

void work_commit(struct work *k, struct stream *s)
{
	struct gpu *g = s->o.gpu;

	if (s->capture)
		return;
	if (k->timer >= 0) {
		struct timer *m = &g->est.timer[k->timer];

		m->running = !g->far->cuEventRecord(m->after, s->far);
		if (!m->running)
			timer_end(g, m);
	}
	gate_commit(s, k->kind == WORK_KERNEL, k->ns, k->kind == WORK_MEMSET ? 0 : k->bytes,
		    k->commands, k->unsure);
	/* Its end is seen when it comes, whatever follows. */
	if (k->unsure)
		stream_fence(s);
}

void work_abort(struct work *k, struct stream *s)
{
	if (k->timer >= 0)
		timer_end(s->o.gpu, &s->o.gpu->est.timer[k->timer]);
}
