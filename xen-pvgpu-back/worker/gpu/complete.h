/* SPDX-License-Identifier: MIT */
/*
 * Waits for GPU work (wait.c), and what is done when it has ended: complete.c, and sync.c for calls
 * of the guest that wait.
 */
#ifndef PVGPU_WORKER_COMPLETE_H
#define PVGPU_WORKER_COMPLETE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "gate.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct event;
struct fev;
struct gpu;
struct obj;
struct stream;

/* Waits for GPU work: the entries of one stream, or of one event. */
struct wait;
struct waitq { /* complete.lock */
	struct wait *head, **tail;
	struct waitq *next;
	struct obj *owner;    /* a stream or an event; referenced while queued */
	unsigned int running; /* taken out, `done` not returned yet */
	bool queued;          /* in the run list or in a thread's hands */
	bool late;            /* in complete.late */
};

static inline void waitq_init(struct waitq *q, struct obj *owner)
{
	q->tail = &q->head;
	q->owner = owner;
}

struct wait {
	struct wait *next;
	CUevent ev;
	struct fev *fev;  /* a guest's event, or NULL: ev is of the context's pool */
	struct ctx *ctx;  /* referenced */
	struct stream *s; /* referenced; NULL: waits for an event of the guest's */
	struct event *e;  /* referenced, or NULL */
	uint64_t at;      /* s->issued when it was recorded */
	struct load load; /* s->load then */
	uint64_t number;  /* commands of s up to this one have ended then; 0: not said */
	uint64_t idles;   /* the gate's commands up to this one have ended then; 0: not known */
	/* On a completion thread, without locks, or at once when recording failed. */
	void (*done)(struct gpu *g, struct wait *w, int result);
	uint32_t seq;
	uint16_t op;
	int held; /* deferred error to report when there is no other */
	void *p;
	int slot;                 /* of staging */
	uint32_t size;            /* of a reply's bytes; the slot's kind */
	uint64_t addr[2], len[2]; /* of the arena, pinned */
	uint64_t spin_ns;         /* it ends soon: look so long before the thread sleeps */
	bool soon;                /* look a few times in any case */
	bool flush;               /* a synchronising call: get device output */
	bool awaited;             /* counted in complete.awaited */
	uint32_t pins;            /* complete.lock: threads that look at the event */
	bool taken, finished;     /* complete.lock */
};

#define COMPLETE_THREADS   16
#define COMPLETE_WAITS_MAX 16384

struct complete {
	pthread_mutex_t lock;
	pthread_cond_t more, gone;
	struct waitq *run, **run_tail;
	struct waitq *late; /* fences that no thread has been asked to wait for yet */
	unsigned int threads, idle, blocked, runs, exited;
	unsigned int coming; /* threads that decode, and then look at the queues */
	bool standing;       /* a thread waits for the doorbell */
	bool spins;          /* a thread spins: one is enough */
	/* Work estimated at no more is waited for on a processor, if there is one to do it on: to
	 * sleep and be woken costs a GPU's interrupt and two switches, 50 to 500 us where the
	 * backend is a virtual machine (docs/gpu.md: blocking_wait). */
	uint64_t spin_cost_ns;
	pthread_t thread[COMPLETE_THREADS];
	struct wait *spare;
	uint32_t spares;
	atomic_uint waits;   /* in flight */
	atomic_uint awaited; /* of these, those that the guest waits in */
	atomic_bool kick;    /* the decoding thread waits for them to go down */
	bool stop;
};

void complete_init(struct gpu *g);
bool complete_stop(struct gpu *g, unsigned int ms);
/* A wait that is whole goes to the end of its queue: for wait.c. */
void complete_add(struct gpu *g, struct waitq *q, struct wait *w);
/* The same for a fence in s, which gets a thread when the decoding thread pauses. */
void complete_add_late(struct gpu *g, struct wait *w, struct stream *s);

/* wait.c */
struct wait *wait_new(struct gpu *g, struct ctx *c);
void wait_drop(struct gpu *g, struct wait *w);
bool waits_room(struct gpu *g);
/* Record an event in the stream now and call w->done when everything issued so far has ended. */
void wait_stream(struct gpu *g, struct wait *w, struct stream *s);
/* The far end says that all has ended: call w->done behind the waits before it. tell: so may the
 * guest hear. */
void wait_behind(struct gpu *g, struct wait *w, struct stream *s, bool tell);
/* As wait_stream(), also where a capture bars the stream (capture_settle()); the guest hears
 * nothing then. False: its end cannot be known, and the wait is dropped. */
bool wait_work(struct gpu *g, struct wait *w, struct stream *s);
/* Call w->done when the event's last record has ended (`ended`: it has). It was recorded. */
void wait_event(struct gpu *g, struct wait *w, struct event *e, bool ended);
/* Call w->done when a fence of the stream, given away with it, has ended. */
void wait_fence(struct gpu *g, struct wait *w, struct stream *s, CUevent ev, uint64_t at,
		const struct load *load);
/* The guest's commands up to the one that runs have ended in s, and no wait for them is left: say
 * so. Decoding thread. */
void stream_tell(struct stream *s);
void ctx_waits_drain(struct gpu *g, struct ctx *c);

/*
 * sync.c: the result of a synchronising call that need not wait any more, noted and with the
 * device's output. A lost context's last output, an assertion's text, comes with a call that
 * waits, which returns at once then.
 */
int sync_end(struct gpu *g, struct ctx *c, int result);

#endif
