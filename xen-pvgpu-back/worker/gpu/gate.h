/* SPDX-License-Identifier: MIT */
/*
 * The worker's side of the gate (contract/gate.h), and the work in flight.
 *
 * Decoding thread only, except where said. Costs are estimated GPU time in nanoseconds.
 */
#ifndef PVGPU_WORKER_GATE_H
#define PVGPU_WORKER_GATE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pvgpu_decode.h"
#include "xen-pvgpu-back/contract/gate.h"

struct gpu;
struct stream;
struct ctx;

/* Commands that occupy the GPU, added up. */
struct load {
	uint64_t work;   /* commands; a graph counts as those of its nodes */
	uint64_t cost;   /* estimated */
	uint64_t copy;   /* of that, on the copy path */
	uint64_t unsure; /* commands of which nothing is known */
	uint64_t words;  /* that wait for words */
};

/* How far the streams' work overlaps, as learned from what ends (overlap.c). */
struct overlap {
	uint32_t share;  /* the part, of OVERLAP_WHOLE, of the sum of all costs that it takes at
			    least */
	uint32_t tried;  /* the same, if they overlapped more than has been seen so far */
	uint64_t proved; /* the most in flight that has been seen to overlap */
	/* Of what has ended since the last verdict: its cost, the time it took in its streams, that
	 * times the number of streams that were busy, the most in flight, and the most streams. */
	struct overlap_sum {
		uint64_t cost, took, streams, flying;
		unsigned int most, pieces;
	} own, beside;       /* while no other vGPU's work was on the GPU; while some was */
	unsigned int single; /* pieces that ended with no other stream busy */
	double right;        /* beside others, at the last verdict: the cost in a second that it
			      * took */
	unsigned int rest;   /* verdicts until more streams are tried beside others */
};
#define OVERLAP_WHOLE (1u << 16)

struct gate {
	/* pvgpud's page, or one of the worker's own while there is none. */
	const struct pvgpu_gate *page;
	struct pvgpu_gate_report *report; /* likewise */
	struct pvgpu_gate *page_map;      /* NULL: none has come */
	struct pvgpu_gate_report *report_map;
	struct pvgpu_gate_report unread; /* the report while pvgpud has none */
	int bell;                        /* to pvgpud; -1: none */

	/* As the report has them. */
	bool wants, sleeps, drained;
	bool exact;          /* contended or closed: every change is reported at once */
	bool steady;         /* wants, neither sleeps nor is drained: nothing to report */
	bool look;           /* poll all work in flight: time has passed, */
	bool rung;           /* or pvgpud has rung and wants an answer */
	bool issued;         /* nothing was parked at some time since the gate opened */
	bool begun;          /* between gate_begin() and gate_commit() or gate_abort() */
	uint64_t stall_ns;   /* work late by more than that does not count as in flight */
	uint64_t fence_cost; /* a stream gets a fence after so much, */
	uint64_t fence_work; /* or so many commands */

	uint64_t commands, launches,
		bytes;             /* issued since the session began; commands also tried */
	uint64_t nodes;            /* of graphs launched: what they count beyond `commands` */
	uint64_t busy_ns, copy_ns; /* of work that has ended */
	struct pvgpu_latency waits, kernels;
	uint64_t full;      /* times without room in flight */
	struct load flying; /* in flight, over all streams */
	uint64_t longest;   /* the most of it in one stream */
	uint64_t drain;     /* the time until it has ended, by what is known of the overlap */
	uint64_t quick_ns;  /* that, or UINT64_MAX while some is unsure */
	struct overlap overlap;
	uint64_t oldest;  /* since when the oldest of it runs; 0 */
	bool announced;   /* `oldest` is of what is announced only */
	uint32_t streams; /* that have some of it: */
	LIST_HEAD(busy_streams, stream) busy;
	struct busy_streams dying; /* likewise, but their contexts are going; referenced */
	atomic_bool gone;          /* any thread: one of these has ended */
	bool polling;              /* all streams are polled: the report follows */
	uint64_t polled;           /* when they were polled last */
	/* The decoding thread is kicked when work of any busy stream has ended: until it is, there
	 * is nothing to poll. */
	bool watched;
	bool late;   /* all in flight should have ended long ago */
	bool closed; /* it was when a command was refused */
};

void gate_init(struct gpu *g);
void gate_free(struct gpu *g);

/* gate_page.c: the rules before the first page has come. */
extern const struct pvgpu_gate gate_page_own;
void gate_page_drop(struct gpu *g);
/* The report goes there from now on. */
void gate_set_report(struct gpu *g, struct pvgpu_gate_report *r);
/* All of it is said again. */
void gate_tell_all(struct gpu *g);

static inline uint32_t gate_word(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_SEQ_CST);
}

static inline uint64_t gate_number(const uint64_t *number)
{
	return __atomic_load_n(number, __ATOMIC_RELAXED);
}

static inline void gate_put(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

/* A record on its way to the far end (submit.c), as the gate sees it. */
struct request {
	struct gpu *g;
	const struct pvgpu_cmd_desc *d;
	const void *rec;
};

/* submit.c: do the queues behind the gate have room? Where the record goes; NULL: nowhere. */
bool request_room(const struct request *q);
/* Does the graph that it launches copy? */
bool request_graph_copies(const struct request *q);

/* Does it need an allowance of bytes? */
static inline bool request_copies(const struct request *q)
{
	return q->d->gated == PVGPU_GATED_COPY ||
	       (q->d->op == PVGPU_OP_GRAPH_LAUNCH && request_graph_copies(q));
}
struct stream *request_stream(const struct request *q);

/*
 * The transaction of a command that occupies the GPU:
 *
 *   gate_begin()   before it is run: it may be issued, and is announced to pvgpud. False: it may
 *                  not, and the decoding thread is kicked, or rung by pvgpud, when that changes;
 *   gate_commit()  the far end has taken it: it is in flight;
 *   gate_abort()   after it was run: nothing of it is in flight, unless it was committed.
 *
 * Below, the parts of gate_begin(); those that end in _slow are the rarer cases.
 */

/* As many commands as the session may have are in flight; kicked when that changes. */
bool gate_deep_slow(struct gpu *g);
bool gate_admits_slow(const struct request *q, bool copies);
void gate_first_slow(struct gate *t);
void gate_withdraw_slow(struct gate *t);
void gate_oldest(struct gate *t);

static inline bool gate_admits(struct gate *t, const struct request *q)
{
	const struct pvgpu_gate *p = t->page;
	const bool copies = request_copies(q);

	if (gate_word(&p->depth) && gate_deep_slow(q->g))
		return false;
	if (t->steady && gate_word(&p->open) && !gate_word(&p->contended) &&
	    t->quick_ns < gate_number(&p->inflight_ns) &&
	    t->commands + t->nodes < gate_number(&p->commands) &&
	    (!copies || t->bytes < gate_number(&p->bytes)))
		return true;
	return gate_admits_slow(q, copies);
}

/*
 * pvgpud hears of the command before the GPU does, however long this thread is starved of CPU then:
 * use of the GPU without an announcement counts as cheating (daemon/dispatch/entitle.h). False: the
 * gate has been closed meanwhile, and the announcement is withdrawn.
 */
static inline bool gate_announce(struct gate *t)
{
	t->begun = true;
	if (!t->oldest)
		gate_first_slow(t);
	t->commands++;
	/* In this order where others wait. Elsewhere pvgpud lets pass an announcement that crosses
	 * with its closing of the gate (entitle.h), and nothing waits for it. */
	if (t->exact)
		__atomic_store_n(&t->report->commands, t->commands, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&t->report->commands, t->commands, __ATOMIC_RELAXED);
	if (gate_word(&t->page->open))
		return true;
	gate_withdraw_slow(t);
	return false;
}

static inline bool gate_begin(struct gate *t, const struct request *q)
{
	do {
		if (!gate_admits(t, q) || !request_room(q))
			return false;
	} while (!gate_announce(t));
	return true;
}

/* flight.c: to this stream; bytes: of a copy, or 0; commands: as which it counts. unsure: nothing
 * is known of its cost. */
void gate_commit(struct stream *s, bool kernel, uint64_t cost, uint64_t bytes, uint64_t commands,
		 bool unsure);

static inline void gate_abort(struct gate *t)
{
	if (!t->begun)
		return;
	t->begun = false;
	if (!t->flying.work || t->announced)
		gate_oldest(t);
}

/* Work in flight whose streams wait for functions of the guest that have returned: it may begin,
 * and is announced; gate_abort() follows when they are held no more. False: not now, and the
 * decoding thread is rung when that changes. */
bool gate_resumes(struct gpu *g);

/* latency.c: a command that occupies the GPU is parked; it leaves after so long; a kernel is
 * issued. */
void latency_parked(struct gpu *g);
void latency_unparked(struct gpu *g, uint64_t since);
void latency_kernel(struct gate *t, uint64_t cost);
/* The report is a new one. */
void latency_tell(struct gpu *g);

/* Before and after each run of parked work: look at what has ended; report to pvgpud. */
static inline void gate_look_begins(struct gate *t)
{
	t->watched = t->closed = false;
}

/* Commands were refused because it was closed, and it is open: pvgpud's ring is on its way. */
static inline bool gate_has_opened(const struct gate *t)
{
	return t->closed && gate_word(&t->page->open);
}

void gate_settle(struct gpu *g);

/*
 * flight.c: the work in flight.
 */
/* May it be issued as far as the work in flight goes? */
bool flight_fits(const struct request *q);
/* The same; if not, the decoding thread is kicked when work has ended. */
bool flight_room(const struct request *q);
/* Count what has ended. */
void flight_poll(struct gpu *g);
/* Be kicked when more has ended, in any stream. */
void flight_watch(struct gpu *g);
/* A fence behind the last work of each stream. */
void flight_fence(struct gpu *g);
/* Nothing of the session is on the GPU. */
bool flight_is_off(struct gpu *g);
/* In flight, but for work that waits for the guest's functions. */
struct load flight_counted(const struct gpu *g);
/* That waits, or should have ended long ago. */
struct load flight_stalled(const struct gate *t);
/* The report's numbers. */
void flight_tell(struct gpu *g);
/* Streams whose work waits for functions that have returned: are there any? They go on. */
bool flight_any_resumes(struct gpu *g);
void flight_resume(struct gpu *g);
void flight_init(struct gate *t);
void flight_free(struct gate *t);

/*
 * overlap.c
 */
void overlap_init(struct overlap *o);
/* Work of this stream ends now. */
void overlap_learn(const struct stream *s, const struct load *l, uint64_t now);
/* The time that streams take together for work of this sum, at least. */
static inline uint64_t overlap_part(uint64_t sum, uint32_t share)
{
	return sum / OVERLAP_WHOLE * share + sum % OVERLAP_WHOLE * share / OVERLAP_WHOLE;
}

/* The stream's first `upto` commands that occupy the GPU have ended. */
void gate_ended(struct stream *s, const struct load *upto);
/* Its context is being destroyed: its fences are not polled any more. Then, on any thread: its work
 * has ended. */
void gate_dying(struct stream *s);
void gate_gone(struct gpu *g, struct stream *s);
/* complete.lock held: the commands up to this number have ended. */
void gate_awaited(struct gate *t, uint64_t commands);

#endif
