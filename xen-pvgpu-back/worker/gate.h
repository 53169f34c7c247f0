/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the gate (daemon/gate.h), and what is in flight: a part of state.h.
 *
 * Decoding thread only, except where said. Costs are estimated GPU time in nanoseconds.
 */
#ifndef PVGPU_WORKER_GATE_H
#define PVGPU_WORKER_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/gate.h"

struct gpu;
struct stream;
struct ctx;

/* Fewer than these commands in flight are no matter how long they take: nothing stalls. */
#define GATE_LEAST 2u

/* Commands that occupy the GPU, added up. */
struct load {
	uint64_t work; /* commands */
	uint64_t cost; /* estimated */
	uint64_t copy; /* of that, on the copy path */
};

struct gate {
	/* pvgpud's word: its page, or while there is none one of our own that is open. */
	const struct pvgpu_gate *page;
	struct pvgpu_gate_report *report; /* likewise */
	struct pvgpu_gate *page_map;      /* NULL: none has come */
	struct pvgpu_gate_report *report_map;
	struct pvgpu_gate_report unread; /* the report while nobody reads it */
	int bell;                        /* to pvgpud; -1: nobody hears it */

	/* As the report has them. */
	bool wants, sleeps, drained;
	bool exact;  /* contended or closed: pvgpud is told at once of all that changes */
	bool steady; /* wants, neither sleeps nor is drained: pvgpud need be told of nothing */
	bool look;   /* at all that flies: time has passed, */
	bool rung;   /* or pvgpud has rung, who wants an answer */
	bool begun;  /* a command has been counted and is about to be issued */
	uint64_t stall_ns;   /* what has flown for that much too long is not counted as in flight */
	uint64_t fence_cost; /* a stream gets a fence after so much, */
	uint64_t fence_work; /* or so many commands */

	uint64_t commands, launches,
		bytes;             /* issued since the session began; commands also tried */
	uint64_t busy_ns, copy_ns; /* of what has ended */
	struct load flying;        /* in flight, over all streams */
	uint64_t oldest;           /* since when the oldest of it runs; 0 */
	LIST_HEAD(busy_streams, stream) busy; /* streams that have some of it */
	struct busy_streams dying; /* likewise, but their contexts are going; referenced */
	atomic_bool gone;          /* any thread: one of these has ended */
};

void gate_init(struct gpu *g);
void gate_free(struct gpu *g);
/* gate_pass() when there is something to tell or to look at. */
bool gate_pass_slow(struct gpu *g, bool copies);

static inline uint32_t gate_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline uint64_t gate_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

/*
 * May a command that occupies the GPU be issued? If not, the decoding thread is kicked, or rung by
 * pvgpud, when it may.
 */
static inline bool gate_pass(struct gpu *g, struct gate *t, bool copies)
{
	const struct pvgpu_gate *p = t->page;

	if (t->steady && gate_word(&p->open) && !gate_word(&p->contended) &&
	    t->flying.cost < gate_number(&p->inflight_ns) &&
	    t->commands < gate_number(&p->commands) &&
	    (!copies || t->bytes < gate_number(&p->bytes)))
		return true;
	return gate_pass_slow(g, copies);
}

/*
 * If not because of what is in flight: what is may wait for this very command, as a kernel waits
 * for a flag that a copy sets. In a stream that has nothing in flight it may go while nobody else
 * wants the GPU.
 */
bool gate_pass_idle(struct gpu *g, const struct stream *s, bool copies);

/* gate_count() and gate_counted() in the rarer cases. */
void gate_begin(struct gate *t);
void gate_oldest(struct gate *t);
void gate_take_back(struct gate *t);

/*
 * A command has passed and is issued next. pvgpud hears of it before the GPU does, however long
 * this thread gets no processor then: who uses the GPU without having said so is taken for a cheat
 * (daemon/entitle.h). False: the gate has been closed meanwhile, and nothing was said.
 */
static inline bool gate_count(struct gate *t)
{
	t->begun = true;
	if (!t->flying.work)
		gate_begin(t);
	t->commands++;
	/* In this order where others wait; else one that crosses with pvgpud's closing is let pass
	 * (entitle.h), and nothing waits for it. */
	if (t->exact)
		__atomic_store_n(&t->report->commands, t->commands, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&t->report->commands, t->commands, __ATOMIC_RELAXED);
	if (gate_word(&t->page->open))
		return true;
	gate_take_back(t);
	return false;
}

/* It has been issued, or the far end has refused it. */
static inline void gate_counted(struct gate *t)
{
	if (!t->begun)
		return;
	t->begun = false;
	if (!t->flying.work)
		gate_oldest(t);
}

/* As many commands as the session may have are in flight; kicked when that changes. */
bool gate_deep_slow(struct gpu *g);

static inline bool gate_deep(struct gpu *g, const struct gate *t)
{
	return gate_word(&t->page->depth) && gate_deep_slow(g);
}
/* After each run of parked work: tell pvgpud what it must know. */
void gate_settle(struct gpu *g);

/* One command that occupies the GPU has been issued to the stream; bytes: of a copy, or 0. */
void gate_issued(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes);
/* The stream's first `upto` of them have ended. */
void gate_ended(struct stream *s, const struct load *upto);
/* Its context is being destroyed: nobody asks for its fences. Then, on any thread: its work has
 * ended. */
void gate_dying(struct stream *s);
void gate_gone(struct gpu *g, struct stream *s);

#endif
