/* SPDX-License-Identifier: MIT */
/*
 * Order: a graph of operations. An operation starts when the ones that it was pushed behind are
 * done: the previous one of its stream, the ones that the legacy stream's rule names, an event's.
 * A stream is no more than the last operation pushed on it.
 *
 * An operation that starts goes to an engine (compute, copy, callback, poller). A short one is run
 * by the thread that found that it can start. Engines report the end by exec_finish().
 */
#include <errno.h>
#include <linux/futex.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

#define PENDING     0u
#define AWAITED     1u
#define DONE        2u

#define SPIN_ROUNDS 1000 /* 10 to 40 us: less than it costs to sleep and be woken */

pthread_mutex_t exec_mutex = PTHREAD_MUTEX_INITIALIZER;
struct pool stream_pool = POOL(struct sim_stream);
static pthread_cond_t room = PTHREAD_COND_INITIALIZER; /* in a stream that was full */
static uint32_t room_waiters;

#define CALLS 8u

struct work {
	struct op *done;    /* finished; their successors are not started yet */
	struct op *inline_; /* short ones to be run by this thread */
	struct op *call[CALLS];
	unsigned int
		calls; /* finished ones, referenced, whose waiters are woken without the lock */
};

int exec_start(void)
{
	return 0;
}

void exec_lock(void)
{
	pthread_mutex_lock(&exec_mutex);
}

void exec_unlock(void)
{
	pthread_mutex_unlock(&exec_mutex);
}

struct op *op_new(enum op_kind kind, struct sim_stream *s, size_t params)
{
	struct op *op = malloc(sizeof(*op) + params);

	if (!op)
		return NULL;
	memset(op, 0, sizeof(*op));
	op->kind = kind;
	op->refs = 1;
	op->stream = s;
	op->ctx = s->ctx;
	op->extra = (uint32_t)params;
	return op;
}

void op_get(struct op *op)
{
	atomic_fetch_add_explicit(&op->refs, 1, memory_order_relaxed);
}

void op_put(struct op *op)
{
	if (atomic_fetch_sub_explicit(&op->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (op->kind == OP_COPY)
		free(op->copy.staged);
	if (op->kind == OP_CONDITION)
		condition_done(op);
	free(op);
}

bool op_done(const struct op *op)
{
	return atomic_load_explicit(&op->state, memory_order_acquire) == DONE;
}

static bool blocks_legacy(const struct sim_stream *s)
{
	return !(s->flags & CU_STREAM_NON_BLOCKING);
}

/* op waits for before, unless that is done. Without memory for an edge the caller waits. */
static void add_edge(struct op *op, struct op *before)
{
	struct edge *e;

	if (!before || before == op || op_done(before))
		return;
	if (!before->out.op) {
		before->out.op = op;
		op->blockers++;
		return;
	}
	e = malloc(sizeof(*e));
	if (!e) {
		op_get(before);
		exec_unlock();
		exec_wait(before);
		exec_lock();
		op_put(before);
		return;
	}
	e->op = op;
	e->next = before->out.next;
	before->out.next = e;
	op->blockers++;
}

/* Does op occupy the device? */
static bool is_work(const struct op *op)
{
	return op->kind == OP_KERNEL || op->kind == OP_COPY || op->kind == OP_MEMSET;
}

static bool is_instant(const struct op *op)
{
	return op->kind == OP_NOP;
}

/* op waits for no other any more: hand it to its engine. */
static void start(struct op *op, struct work *w)
{
	bool failed = ctx_error(op->ctx) != CUDA_SUCCESS ||
		      atomic_load_explicit(&op->ctx->dying, memory_order_relaxed);
	bool told = op->kind == OP_HOST && op->host.callback; /* is called with the error */

	if (is_instant(op) || (failed && !told)) {
		op->next = w->done;
		w->done = op;
	} else if (op_is_small(op)) {
		op->next = w->inline_;
		w->inline_ = op;
	} else {
		engine_submit(op);
	}
}

/* Without the lock, which the woken threads take. */
static void call_waiters(struct work *w)
{
	for (; w->calls; w->calls--) {
		struct op *op = w->call[w->calls - 1];

		syscall(SYS_futex, (uint32_t *)&op->state, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL,
			0);
		op_put(op);
	}
}

static void set_done(struct op *op, struct work *w)
{
	if (atomic_exchange_explicit(&op->state, DONE, memory_order_acq_rel) != AWAITED)
		return;
	if (w->calls == CALLS)
		call_waiters(w);
	op_get(op); /* a waiter that has seen the state may put it */
	w->call[w->calls++] = op;
}

static void detach_if_drained(struct sim_stream *s)
{
	if (!s->gone || atomic_load_explicit(&s->pending, memory_order_relaxed))
		return;
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	pool_free(&stream_pool, s);
}

static void finish(struct op *op, struct work *w)
{
	struct sim_stream *s = op->stream;
	struct edge *e = &op->out;

	op->done_ns = now_ns();
	if (op->kind == OP_KERNEL)
		arbiter_cache(0);
	if (is_work(op))
		arbiter_work(false);
	while (e && e->op) {
		struct edge *next = e->next;

		if (--e->op->blockers == 0)
			start(e->op, w);
		if (e != &op->out)
			free(e);
		e = next;
	}
	op->out.op = NULL;
	op->out.next = NULL;
	if (s->tail == op) {
		s->tail = NULL;
		op_put(op);
	}
	if (blocks_legacy(s))
		atomic_fetch_sub_explicit(&op->ctx->blocking_pending, 1, memory_order_release);
	atomic_fetch_sub_explicit(&op->ctx->pending, 1, memory_order_release);
	atomic_fetch_sub_explicit(&s->entries, op->entries, memory_order_relaxed);
	atomic_fetch_sub_explicit(&s->pending, 1, memory_order_release);
	detach_if_drained(s);
	if (room_waiters)
		pthread_cond_broadcast(&room);
	set_done(op, w); /* last: the waiter may query at once whether the stream is idle */
	op_put(op);      /* the graph's own */
}

/* exec.lock held; released while a short operation runs. */
static void drain(struct work *w)
{
	while (w->done || w->inline_) {
		struct op *op = w->done;

		if (op) {
			w->done = op->next;
			finish(op, w);
			continue;
		}
		op = w->inline_;
		w->inline_ = op->next;
		exec_unlock();
		call_waiters(w);
		op_run(op);
		exec_lock();
		op->next = w->done;
		w->done = op;
	}
}

void exec_finish(struct op *op)
{
	struct work w = {0};

	exec_lock();
	op->next = NULL;
	w.done = op;
	drain(&w);
	exec_unlock();
	call_waiters(&w);
}

static void add_edges(struct op *op, struct op *after)
{
	struct sim_stream *s = op->stream;

	add_edge(op, s->tail);
	add_edge(op, after);
	if (s->legacy) {
		for (struct sim_stream *o = op->ctx->streams; o; o = o->next)
			if (o != s && blocks_legacy(o))
				add_edge(op, o->tail);
	} else if (blocks_legacy(s)) {
		add_edge(op, op->ctx->legacy->tail);
	}
}

/*
 * Measured on an H200 (driver 580): 1,021 kernels, copies, memsets or waits for a value, and any
 * number of records or host functions, but only 225 operations where kernel, copy, record and host
 * function alternate, and not 200 copies that each wait for a value before. So what another engine,
 * or the host, does in turn takes nine entries.
 */
static void take_entries(struct sim_stream *s, struct op *op)
{
	const enum op_kind who = op->kind == OP_COPY || op->kind == OP_HOST ? op->kind : OP_KERNEL;

	if (op->kind == OP_NOP || op->kind == OP_FREE || op->kind == OP_CONDITION)
		return;
	if (op->kind != OP_HOST)
		op->entries = s->last == OP_NOP || s->last == who ? 1 : 9;
	s->last = who;
	atomic_fetch_add_explicit(&s->entries, op->entries, memory_order_relaxed);
}

static void wait_for_room(struct sim_stream *s)
{
	room_waiters++;
	while (atomic_load_explicit(&s->entries, memory_order_relaxed) >= SIM_STREAM_ENTRIES)
		pthread_cond_wait(&room, &exec_mutex);
	room_waiters--;
}

void exec_push(struct op *op, struct op *after, bool keep)
{
	struct sim_stream *s = op->stream;
	struct work w = {0};

	if (unlikely(sim_collect)) {
		*sim_collect = op;
		return;
	}
	if (unlikely(s->capture)) {
		capture_add(op);
		return;
	}
	exec_lock();
	if (unlikely(atomic_load_explicit(&s->entries, memory_order_relaxed) >=
		     SIM_STREAM_ENTRIES) &&
	    !op->of_graph)
		wait_for_room(s);
	take_entries(s, op);
	if (keep)
		op_get(op);
	if (is_work(op))
		arbiter_work(true);
	op->blockers = 1; /* until all edges are made */
	add_edges(op, after);
	if (s->tail)
		op_put(s->tail);
	s->tail = op;
	op_get(op);
	if (blocks_legacy(s))
		atomic_fetch_add_explicit(&op->ctx->blocking_pending, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&op->ctx->pending, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&s->pending, 1, memory_order_relaxed);
	if (--op->blockers == 0)
		start(op, &w);
	drain(&w);
	exec_unlock();
	call_waiters(&w);
}

bool exec_idle(struct sim_stream *s)
{
	struct sim_ctx *c = s->ctx;

	if (unlikely(sim_collect || s->capture))
		return false;
	if (s->legacy)
		return !atomic_load_explicit(&c->blocking_pending, memory_order_acquire);
	if (atomic_load_explicit(&s->pending, memory_order_acquire))
		return false;
	return !blocks_legacy(s) ||
	       !atomic_load_explicit(&c->legacy->pending, memory_order_acquire);
}

bool exec_busy(struct sim_stream *s)
{
	if (s->legacy)
		return atomic_load_explicit(&s->ctx->blocking_pending, memory_order_acquire);
	return atomic_load_explicit(&s->pending, memory_order_acquire);
}

void exec_wait(struct op *op)
{
	for (int i = 0; i < SPIN_ROUNDS; i++) {
		if (op_done(op))
			return;
		__builtin_ia32_pause();
	}
	for (;;) {
		uint32_t state = PENDING;

		atomic_compare_exchange_strong_explicit(&op->state, &state, AWAITED,
							memory_order_acq_rel, memory_order_acquire);
		if (state == DONE)
			return;
		syscall(SYS_futex, &op->state, FUTEX_WAIT_PRIVATE, AWAITED, NULL, NULL, 0);
	}
}

/* The stream's last operation with a reference, or NULL. */
static struct op *tail_of(struct sim_stream *s)
{
	if (s->tail)
		op_get(s->tail);
	return s->tail;
}

static struct op *wait_one(struct op *op)
{
	if (!op)
		return NULL;
	exec_unlock();
	exec_wait(op);
	exec_lock();
	op_put(op);
	return op;
}

/* Waits for the streams' work at the time of the call; later work cannot delay it for ever. */
static void wait_streams(struct sim_ctx *c, bool blocking_only)
{
	struct op **tails = NULL;
	size_t n = 0, made = 0;

	exec_lock();
	for (struct sim_stream *s = c->streams; s; s = s->next)
		n++;
	tails = malloc((n + 1) * sizeof(*tails));
	for (struct sim_stream *s = c->streams; s && tails; s = s->next)
		if (s->tail && (!blocking_only || blocks_legacy(s)))
			tails[made++] = tail_of(s);
	if (!tails) { /* out of memory: one after the other, as long as any is busy */
		for (struct sim_stream *s = c->streams; s;)
			s = (!blocking_only || blocks_legacy(s)) && wait_one(tail_of(s))
				    ? c->streams
				    : s->next;
	}
	for (size_t i = 0; i < made; i++)
		wait_one(tails[i]);
	exec_unlock();
	free(tails);
}

void exec_stream_wait(struct sim_stream *s)
{
	if (!exec_busy(s))
		return;
	if (s->legacy) {
		wait_streams(s->ctx, true);
		return;
	}
	exec_lock();
	wait_one(tail_of(s));
	exec_unlock();
}

void exec_ctx_wait(struct sim_ctx *c)
{
	if (atomic_load_explicit(&c->pending, memory_order_acquire))
		wait_streams(c, false);
}

static void wait_ctx(void *obj, void *arg)
{
	exec_ctx_wait(obj);
}

void exec_all_wait(void)
{
	pool_each(&ctx_pool, wait_ctx, NULL);
}

void stream_attach(struct sim_stream *s)
{
	exec_lock();
	s->next = s->ctx->streams;
	s->link = &s->ctx->streams;
	if (s->next)
		s->next->link = &s->next;
	s->ctx->streams = s;
	exec_unlock();
}

/* exec.lock held */
void stream_detach(struct sim_stream *s)
{
	capture_abandon(s);
	s->gone = true;
	detach_if_drained(s);
}

/* No stream of the context is left afterwards. */
void exec_ctx_close(struct sim_ctx *c)
{
	struct sim_stream *s, *next;

	exec_lock();
	room_waiters++;
	while (atomic_load_explicit(&c->pending, memory_order_acquire))
		pthread_cond_wait(&room, &exec_mutex);
	room_waiters--;
	for (s = c->streams; s; s = next) {
		next = s->next;
		stream_detach(s);
	}
	exec_unlock();
}
