/* SPDX-License-Identifier: MIT */
/*
 * Streams, and their operations in flight: stream.c. Decoding thread, except stream_retire() (side
 * lane). context.c finds the stream of a command.
 */
#ifndef PVGPU_WORKER_STREAM_H
#define PVGPU_WORKER_STREAM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "complete.h"
#include "gate.h"
#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;
struct green;
struct green_far;

#define FENCES 16

struct fence {
	CUevent ev;
	uint64_t at; /* s->issued then */
	struct load load;
};

struct stream {
	struct obj o;
	CUstream far;
	struct green_far *green; /* of a green context's; referenced */
	TAILQ_ENTRY(stream) in_ctx;
	struct waitq q, fenceq;
	/* decoding thread */
	uint64_t issued;                     /* operations handed to the far end */
	uint64_t ended;                      /* of these, known to have ended */
	uint64_t fenced;                     /* issued when the last fence was put in */
	struct load load, done, load_fenced; /* the same, of commands that occupy the GPU */
	LIST_ENTRY(stream) busy;             /* while load.work > done.work */
	bool listed, dying;                  /* so; and among those whose context goes */
	bool stalled;                        /* should have ended long ago, see flight.c */
	uint64_t since; /* CLOCK_MONOTONIC: the oldest of it that is not done began then */
	uint32_t fence_head, fence_count;
	struct fence fence[FENCES];
	uint32_t slot;    /* in the ring page's list of what has ended */
	bool apart;       /* non-blocking: no other stream's work is in order with it */
	uint64_t number;  /* no other stream of the session has or had it */
	bool full;        /* too much in flight: its commands park */
	uint64_t last;    /* number of the command that destroyed it; 0: it is not */
	uint64_t capture; /* number of the capture that it takes part in; 0: none */
	/* any thread */
	atomic_bool gone;      /* dying, and its work has ended */
	atomic_bool full_wait; /* a wait that will kick the decoding thread is under way */
	atomic_ullong seen;    /* issued count up to which a wait has seen it end */
	struct load seen_load; /* complete.lock: the same, of commands that occupy it */
	/* complete.lock: the greatest `at` of its waits: of calls and copies, and of fences */
	uint64_t awaited, fences;
	atomic_uint waits;
	/* The guest has destroyed it: it goes when its work has ended, and the decoding thread is
	 * kicked when its last wait goes. */
	atomic_bool destroyed;
};

/* The context and the stream of a command; NULL with *err set when they cannot be used. */
struct stream *stream_find(void *ctx, void *stream, int *err);
/* The same for a command that becomes a node when the stream is captured. */
struct stream *stream_of(void *ctx, void *stream, int *err);

void stream_init(struct stream *s);
/* How a stream is to be made. */
struct stream_wish {
	uint32_t flags;
	int32_t priority;
	int refused;         /* a CUresult that poisons its handle; 0: none */
	struct green *green; /* where, or NULL */
};
int stream_new(struct gpu *g, struct ctx *c, uint64_t handle, const struct stream_wish *wish);
/* After each operation that was handed to the far end. */
void stream_issued(struct stream *s);
/* After an event of the worker's own: it takes its place in the stream, and is no work of the
 * guest's. */
void stream_recorded(struct stream *s);
/* Has all of its work ended? Asks the far end when it must. */
bool stream_idle(struct stream *s);
/* Does the result speak of a capture, and not of the stream's work? */
bool result_hides(int r);
/* Before it is captured, or barred by a capture: it is idle, or its newest fence is behind all of
 * its work. A CUresult. */
int stream_settle(struct stream *s);
/* That fence, which becomes the caller's. False: there is none any more. */
bool stream_tail(struct stream *s, CUevent *ev);
/* Take in which fences have ended. */
void stream_poll(struct stream *s);
/* A fence behind the last of its work, if there is none. */
void stream_fence(struct stream *s);
/* All of its work has ended. */
void stream_ended(struct stream *s);
/* Kick the decoding thread when its oldest fence has ended. False: there is none. */
bool stream_wake(struct stream *s);
/* May more be issued? If not, the decoding thread is kicked when it may. */
bool stream_room(struct stream *s);
/* Its context goes: out of the counts. */
void stream_forget(struct gpu *g, struct stream *s);
/* It needs its green context no more: it is destroyed, or never was. */
void stream_leave(struct stream *s);
/* Destroy it at the far end, drop the context's reference. */
void stream_retire(struct gpu *g, struct stream *s);
/* Let destroyed streams go whose work has ended. */
void streams_reap(struct gpu *g);
/* Of every context: nothing runs. */
bool streams_idle(struct gpu *g);
void stream_limits(struct gpu *g);

#endif
