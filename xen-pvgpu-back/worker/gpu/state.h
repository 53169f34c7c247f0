/* SPDX-License-Identifier: MIT */
/*
 * Inside the worker's GPU side: its state, in sections named after the file that implements them.
 *
 * State of the decoding thread needs no lock: handle tables, the objects' lists, streams' counts,
 * the parked records. Other threads hold references to objects and touch only fields that are
 * atomic or name their lock.
 *
 * Locks, in the order in which they may be taken together: mem.lock, arena.chunks.lock,
 * complete.lock, side.lock. No far-end call is made under any of them. images.lock is taken alone;
 * a lease may be waited for under it.
 */
#ifndef PVGPU_WORKER_STATE_H
#define PVGPU_WORKER_STATE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

#include "chunks.h"
#include "estimate.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/worker/far.h"
#include "gate.h"
#include "gpu.h"
#include "memory.h"
#include "park.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/worker.h"

struct gpu;
struct ctx;

/*
 * objects.c: the session's objects and their handles.
 *
 * A slot of a table holds a chain: a one-way destroy that is still parked leaves the old generation
 * in place while the guest has made the next one already.
 */
#define OBJ_MAKING (-1)

TAILQ_HEAD(obj_list, obj);

struct obj {
	uint8_t type;      /* enum pvgpu_handle_type */
	atomic_int status; /* 0; OBJ_MAKING; or why it could not be made (CUresult): poisoned */
	atomic_uint refs;
	uint64_t handle;   /* 0: in no table */
	struct obj *older; /* in the same slot */
	struct obj *owner; /* in whose list it is, or NULL */
	TAILQ_ENTRY(obj) of_owner;
	struct obj_list owned;
	struct ctx *ctx; /* referenced; NULL for contexts and libraries */
	struct gpu *gpu;
	struct order order; /* parked commands that work on it; of a context: see park.c */
};

#define TABLE_SLOTS 256u /* of a page */

struct table {
	struct obj **page[PVGPU_HANDLES_MAX / TABLE_SLOTS]; /* made when needed */
	uint32_t count;                                     /* objects, over all chains */
};

struct event_pool {
	CUevent *ev;
	uint32_t count, cap;
};

struct ctx {
	struct obj o;
	CUcontext far;
	uint64_t serial; /* never used again; compared with that of the context current on a thread
			  */
	bool primary;
	uint32_t sched;               /* CU_CTX_SCHED_*: how its calls are to wait */
	atomic_bool gone;             /* destroyed at the far end */
	struct stream *legacy;        /* stream 0 */
	TAILQ_HEAD(, stream) streams; /* by in_ctx: all, those being destroyed too */
	atomic_int deferred;          /* first error of one-way work */
	atomic_int sticky;            /* a device fault: the context is lost */
	atomic_uint waits;            /* entries of complete.c that use this context */
	uint32_t parked;              /* records */
	struct event_pool pool;       /* complete.lock */
	struct event_pool timers;     /* events with timing; decoding thread */
	struct heap heap;             /* mem.lock */
	struct staging *staging[2];   /* by enum staging_kind; decoding thread */
	struct {
		bool known;
		uint64_t initial, charge; /* bytes: at first, leased for more than that */
	} limit[3];                       /* those that cost device memory; side lane only */
	bool persists;                    /* it has set a part of the L2 aside; side lane only */
	uint64_t charge;                  /* leased for the context itself; side lane only */
};

/* find.c: the functions of a module or the kernels of a library, in the far end's order. Lane for
 * loads. */
struct listing {
	void **handle;
	unsigned int count;
	bool made;
};
void listing_free(struct listing *l);

struct module {
	struct obj o;
	CUmodule far;
	struct listing all;
	bool borrowed;   /* a library's: goes with it */
	uint64_t charge; /* by image_charge */
};

struct library {
	struct obj o;
	CUlibrary far;
	struct listing all;
	uint64_t charge, declared; /* as in image.h */
};

struct function { /* functions and kernels */
	struct obj o;
	union {
		CUfunction fn;
		CUkernel kernel;
	} far;
	struct obj *holder;     /* a kernel's library; referenced */
	bool known;             /* the far end told the parameters' layout */
	uint32_t params, bytes; /* number, size of the packed buffer */
	struct pvgpu_param_info *param;
	struct { /* launched last; decoding thread */
		struct estimate *e;
		uint64_t tag;
		uint32_t last[WORK_SHAPE];
	} shape;
};

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

#define FENCES 16

struct stream {
	struct obj o;
	CUstream far;
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
	struct {
		CUevent ev;
		uint64_t at;
		struct load load;
	} fence[FENCES];
	uint32_t slot;    /* in the ring page's list of what has ended */
	bool apart;       /* non-blocking: no other stream's work is in order with it */
	uint64_t number;  /* no other stream of the session has or had it */
	bool full;        /* too much in flight: its commands park */
	bool destroyed;   /* the guest has; it goes when its work has ended */
	uint64_t capture; /* number of the capture that it takes part in; 0: none */
	/* any thread */
	atomic_bool gone;      /* dying, and its work has ended */
	atomic_bool full_wait; /* a wait that will kick the decoding thread is under way */
	atomic_ullong seen;    /* issued count up to which a wait has seen it end */
	struct load seen_load; /* complete.lock: the same, of commands that occupy it */
	/* complete.lock: the greatest `at` of its waits: of calls and copies, and of fences */
	uint64_t awaited, fences;
	atomic_uint waits;
};

/* A far event; replaced when it is recorded again during a wait for its last record. */
struct fev {
	CUevent ev;
	struct ctx *ctx;
	atomic_uint refs;
};

struct event {
	struct obj o;
	struct fev *far;
	struct stream *s; /* referenced: where it was recorded last, or NULL */
	uint64_t at;      /* s->issued after that */
	struct load load; /* s->load then */
	uint64_t number;  /* of the command that recorded it */
	uint64_t capture; /* in which it was recorded last; 0: in none */
	uint64_t watched; /* the record whose end the guest will be told of, by number */
	bool wanted;      /* the guest asked while a record was parked: watch that one */
	uint32_t flags;
	struct waitq q;
	atomic_uint waits;
	uint32_t parked; /* records of it */
};

struct tables {
	struct table of[PVGPU_H_END];
};

/* Make an object for a handle that the guest chose and put it into its table and its owner's list.
 */
void *obj_new(struct gpu *g, uint32_t type, uint64_t handle, size_t size, struct ctx *ctx,
	      struct obj *owner, int *err);
/* An object without handle (stream 0). */
void *obj_bare(struct gpu *g, uint32_t type, size_t size, struct ctx *ctx);
void *obj_ref(void *o);
void obj_unref(void *o);
/* Out of table and list; the caller has the reference that the table had. */
void obj_remove(struct gpu *g, struct obj *o);
/* The same for everything owned below it, deepest first, onto `dead` by of_owner. */
void obj_remove_tree(struct gpu *g, struct obj *o, struct obj_list *dead);
/* The first of `dead`, taken out; NULL: it is empty. */
struct obj *obj_take_dead(struct obj_list *dead);
/* 0, or why the object cannot be used. */
static inline int obj_error(void *o)
{
	const int s =
		o ? atomic_load_explicit(&((struct obj *)o)->status, memory_order_acquire) : 0;

	return s < 0 ? CUDA_ERROR_INVALID_HANDLE : s;
}
void obj_ready(void *o, int result);
void *obj_lookup(void *tables, uint32_t type, uint64_t handle);
void tables_free(struct gpu *g);

/* context.c */
/* Make it current on this thread. */
int ctx_enter(struct ctx *c);
/* The context and the stream of a command; NULL with *err set when they cannot be used. */
struct stream *stream_find(void *ctx, void *stream, int *err);
/* The same for a command that becomes a node when the stream is captured. */
struct stream *stream_of(void *ctx, void *stream, int *err);
/* Note a result of the far end: device faults are kept. Returns it. */
int ctx_result(struct ctx *c, int result);
bool result_is_sticky(int result);

/* Destroy it with everything in it; PVGPU_PENDING, or a CUresult. */
int ctx_drop(struct gpu *g, struct ctx *c, uint32_t seq, bool reply);
/* limits.c: before it is destroyed: its data leaves the part of the L2 that it had set aside. */
void limits_end(struct gpu *g, struct ctx *c);
/* library.c: the same for a library */
int library_drop(struct gpu *g, struct library *l, uint32_t seq, bool reply);

/* deferred.c */
int deferred_take(struct gpu *g, struct ctx *c);

/*
 * stream.c: operations in flight. Decoding thread, except stream_retire (side lane).
 */
void stream_init(struct stream *s);
/* After each operation that was handed to the far end. */
void stream_issued(struct stream *s);
/* After an event of the worker's own: it takes its place in the stream, and is no work of the
 * guest's. */
void stream_recorded(struct stream *s);
/* Has all of its work ended? Asks the far end when it must. */
bool stream_idle(struct stream *s);
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
/* Destroy it at the far end, drop the context's reference. */
void stream_retire(struct gpu *g, struct stream *s);
/* Let destroyed streams go whose work has ended. */
void streams_reap(struct gpu *g);
/* Of every context: nothing runs. */
bool streams_idle(struct gpu *g);
void stream_limits(struct gpu *g);
/* event.c */
struct fev *fev_get(struct fev *f);
void fev_put(struct fev *f);
/* Destroyed by the guest, or with its context: at the far end, too. Side lane. */
void event_retire(struct event *e);

/* Tell the guest when its last record has ended. Decoding thread. */
void event_watch(struct gpu *g, struct event *e);

/* launch.c */
bool window_persists(const CUaccessPolicyWindow *w);
/* A command's attributes, up to PVGPU_LAUNCH_ATTRS_MAX of them; a CUresult. */
int launch_attrs(struct gpu *g, const void *bytes, uint32_t len, CUlaunchAttribute *to,
		 unsigned int *count);
/* image.c: the library or the context is gone. Either side lane. */
void image_unuse(struct gpu *g, const void *gone);
/* module.c */
void module_retire(struct gpu *g, struct module *m);
/* graph.c: of all kinds of objects that hold graphs, at the end of their lives */
void graph_retire(struct gpu *g, struct obj *o);
void graph_free(struct obj *o);
/* capture.c: may the stream's capture have so many nodes more? A CUresult. */
int capture_takes(const struct stream *s, uint64_t nodes);
/* The stream waits for the event: it takes part in the event's capture. */
void capture_join(struct stream *s, const struct event *e);
/* Would a query of the stream, or an event in it, end a capture: its own, or that of a stream for
 * which the legacy stream would wait? */
bool capture_bars(const struct stream *s);
/* callback.c: what the far end calls for each run of a host function that is kept; NULL: no room.
 */
void *callback_keep(struct gpu *g, uint64_t id);
CUhostFn callback_fn(void);
uint64_t callback_id(const void *kept);
/* launch.c: a kernel's parameters as the far end wants them; a CUresult. */
#define PARAMS_ON_STACK 1400 /* more than an info reply can describe */
struct args {
	void *param[PARAMS_ON_STACK];
	void *extra[5];
	size_t bytes;
};
int args_make(struct args *a, const struct function *f, const void *params, uint32_t len,
	      void ***by_pointer, void ***packed);
/* link.c: the same; and its memory, after the last reference */
struct link;
void link_retire(struct gpu *g, struct link *l);
void link_free(struct link *l);
CUlinkState link_far(const struct link *l);

/*
 * sync.c: the result of a synchronising call that need not wait any more, noted and with the
 * device's output. A lost context's last output, an assertion's text, comes with a call that
 * waits, which returns at once then.
 */
int sync_end(struct gpu *g, struct ctx *c, int result);

/*
 * complete.c: replies and marks when GPU work has ended.
 */
struct barrier;
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
	bool may_spin;       /* there is a processor to do it on */
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
struct wait *wait_new(struct gpu *g, struct ctx *c);
void wait_drop(struct gpu *g, struct wait *w);
bool waits_room(struct gpu *g);
/* Record an event in the stream now and call w->done when everything issued so far has ended. */
void wait_stream(struct gpu *g, struct wait *w, struct stream *s);
/* The far end says that all has ended: call w->done behind the waits before it. */
void wait_behind(struct gpu *g, struct wait *w, struct stream *s);
/* Call w->done when the event's last record has ended (`ended`: it has). It was recorded. */
void wait_event(struct gpu *g, struct wait *w, struct event *e, bool ended);
/* Call w->done when a fence of the stream, given away with it, has ended. */
void wait_fence(struct gpu *g, struct wait *w, struct stream *s, CUevent ev, uint64_t at,
		const struct load *load);
/* The guest's commands up to the one that runs have ended in s, and no wait for them is left: say
 * so. Decoding thread. */
void stream_tell(struct stream *s);
/* A pooled event without timing. */
int pool_get(struct gpu *g, struct ctx *c, CUevent *ev);
void pool_put(struct gpu *g, struct ctx *c, CUevent ev);
void pool_empty(struct gpu *g, struct ctx *c);
/* False when there is no room: then it is the caller's to destroy. */
bool event_pool_keep(struct event_pool *p, CUevent ev);
void ctx_waits_drain(struct gpu *g, struct ctx *c);

/*
 * side.c: jobs that may block inside CUDA, in order on threads of their own.
 */
#define SIDE_JOBS_MAX 8192

enum side_where {
	SIDE_HERE,
	SIDE_LOADS,  /* in the lane for loads */
	SIDE_BEHIND, /* in the side lane, when the loads before it are done */
};

struct job {
	struct job *next;
	void (*run)(struct gpu *g, struct job *j); /* frees it */
	enum side_where where;
};

struct lane { /* side.lock */
	pthread_t thread;
	pthread_cond_t more;
	struct job *head, **tail;
	bool started, exited;
	bool busy; /* a job runs; not kept of loads */
};

struct side {
	pthread_mutex_t lock;
	pthread_cond_t gone;
	struct lane here, loads;
	bool stop;
	struct barrier *last;
	uint64_t last_serial;
	const struct ctx *last_ctx;
	bool last_all;
	atomic_uint jobs; /* queued, running or behind a barrier */
	atomic_bool kick; /* the decoding thread waits for jobs to go down */
	atomic_bool poke; /* look at the allocations that wait */
};

int side_init(struct gpu *g);
bool side_stop(struct gpu *g, unsigned int ms);
void side_push(struct gpu *g, struct job *j);
/* Push it when all work issued so far (in c; NULL: anywhere) has ended. Decoding thread. */
void side_after_work(struct gpu *g, struct ctx *c, struct job *j);
/* The same for work anywhere, and in c, which is in no list any more. */
void side_after_all(struct gpu *g, struct ctx *c, struct job *j);
void side_poke(struct gpu *g);
bool side_room(struct gpu *g);

/*
 * alloc.c: a request for memory that is made in the side lane, and waits there for frees that are
 * under way before it is refused.
 */
struct mem_wait {
	struct job job;
	struct mem_wait *next;
	/* Answer the guest and free it: always when `last`; else false when there is no memory. */
	bool (*attempt)(struct gpu *g, struct mem_wait *w, bool last);
};
void mem_wait_push(struct gpu *g, struct mem_wait *w);
/* Memory that was pending has come back, in another thread than the side lane. */
void mem_freed(struct gpu *g);

/* arena_map.c: registration of the arena's chunks with CUDA. */
struct enrolment;
struct arena_map {
	struct chunks chunks;
	atomic_bool unsupported; /* the far end cannot register: said once */
	pthread_t thread;        /* that page-locks chunks, once there is one */
	bool started;            /* decoding thread */
	pthread_mutex_t lock;    /* of all below */
	pthread_cond_t more;
	struct enrolment *head, **tail;
	bool stop, exited;
};

void arena_map_init(struct gpu *g);
bool arena_map_stop(struct gpu *g, unsigned int ms);
void arena_map_register(struct gpu *g, struct ctx *c);
void arena_map_unregister(struct gpu *g, struct ctx *c);

/*
 * staging.c: page-locked slots, of each context: for bytes that travel in records, and for copies
 * from and to an arena that is not registered.
 */
enum staging_kind { STAGING_RECORDS, STAGING_COPIES, STAGING_KINDS };
#define STAGING_SLOTS 64
#define STAGING_SIZE  PVGPU_INLINE_MAX
#define BOUNCE_SLOTS  16
#define BOUNCE_SIZE   (1u << 20)

struct staging {
	unsigned char *base;
	size_t bytes;
	bool registered;
	uint32_t slots, next;
	atomic_bool wanted;  /* a command is parked for a slot: kick */
	atomic_bool watched; /* a wait for one of the events is under way */
	struct {
		atomic_bool used;
		uint32_t word;    /* the highest value that a stream waits for */
		CUevent ev;       /* when not NULL: used until it has ended */
		struct stream *s; /* referenced: where it was recorded */
		uint64_t at;      /* s->issued then */
		struct load load; /* s->load then */
	} slot[];
};

/*
 * Is there a slot? If not, the decoding thread is kicked when there is. Decoding thread. With a
 * stream: one that this stream's earlier work uses will do.
 */
bool staging_room(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s);
/* A slot, or -1 when there is none. Decoding thread. */
int staging_take(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s);
void *staging_at(struct ctx *c, enum staging_kind kind, int slot);
/* A word of the slot's, and the value that it does not have yet: values only grow. */
uint32_t *staging_word(struct ctx *c, enum staging_kind kind, int slot, uint32_t *value);
/* Are the slots and their words page-locked? */
bool staging_registered(const struct ctx *c, enum staging_kind kind);
/* It is free again: at once (any thread), or when the stream's work so far has ended. */
void staging_put(struct ctx *c, enum staging_kind kind, int slot);
void staging_put_after(struct gpu *g, struct ctx *c, enum staging_kind kind, int slot,
		       struct stream *s);
void staging_free(struct gpu *g, struct ctx *c);

/* bounce.c: copies from and to an arena that is not registered. */
struct bounce {
	pthread_mutex_t lock;
	pthread_cond_t moved;  /* none is inside */
	LIST_HEAD(, move) all; /* that have not run */
	unsigned int inside;   /* that move bytes now */
};

/* One side: lines of a copy at addr, `pitch` bytes apart, `rows` of them in a slice; or a place in
 * an array: bytes, rows, slices. */
struct bounce_side {
	int at; /* enum where */
	uint64_t addr, pitch, rows;
	CUarray array;
	uint64_t origin[3];
};
struct bounce_copy {
	struct bounce_side dst, src; /* at least one in the arena */
	uint64_t width, height, depth;
};

void bounce_init(struct gpu *g);
/* Is this how copies are made? */
bool bounce_needed(struct gpu *g);
/* Both sides are checked, and there is room for the stream. A CUresult. */
int bounce_copy(struct gpu *g, struct stream *s, const struct bounce_copy *c);
/* The context's slots go; its work has ended, or never will. */
void bounce_forget(struct gpu *g, struct ctx *c);
void bounce_free(struct gpu *g);

/* hold.c: the words of the arena that streams wait for. Decoding thread. */
struct holds {
	struct {
		uint64_t addr; /* 0: none */
		uint32_t value;
	} word[PVGPU_HOLD_WORDS];
};

/* Hold the stream until the word has reached the value, compared over the overflow; gpu_sees: it is
 * page-locked. A CUresult. */
int hold_stream(struct gpu *g, struct stream *s, uint64_t addr, uint32_t value, bool gpu_sees);
/* The guest is gone: let all streams pass. */
void holds_end(struct gpu *g);

/* callback.c */
struct callbacks {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint32_t sent, done;
	uint32_t returned; /* of them the guest's functions have; decoding thread only */
	bool ended;
	LIST_HEAD(, callback) all;
	LIST_HEAD(, callback) running; /* in a stream: the guest's function has been asked for */
	atomic_uint runs;              /* as many */
	uint32_t count;                /* in streams */
	uint32_t kept;                 /* of graphs */
	unsigned int inside;           /* trampolines that wait */
};
/* May one more go into a stream now? */
bool callbacks_room(struct gpu *g);

/* output.c */
struct text {
	char *buf;
	size_t len, cap;
	uint64_t lost;
	int fd;
};

struct output {
	pthread_mutex_t lock;
	pthread_t thread;
	int wake[2];
	bool started;
	struct text text[2];
	atomic_bool waiting;
};

/* Before the reply of a synchronising call: take the device's output into the worker's buffers. */
void output_sync(struct gpu *g);
void output_stop(struct gpu *g);
void callbacks_end(struct gpu *g);
void callbacks_free(struct gpu *g);
/* Does the stream of this number wait for a function of the guest that has been asked for? Work
 * behind that is not on the GPU. returned: and it has returned. Decoding thread only, as the next
 * two. */
bool callback_holds(struct gpu *g, uint64_t stream, bool returned);
/* Functions have returned, and the streams do not go on yet: work behind them waits for the gate.
 */
bool callbacks_wait(const struct gpu *g);
/* Lets the streams go on if the gate permits it. */
void callbacks_resume(struct gpu *g);

#define CAPTURES_MAX 64
/* evict.c: of a session in a confidential pool. Decoding thread, except where said. */
struct evict {
	bool on;           /* fixed for the session */
	struct area *area; /* what is cleared; there before the first context is */
	struct ctx
		*ctx; /* referenced: where work was issued last; NULL: none since the last clear */
	atomic_uint leaving; /* contexts that clear it as they go */
};

void evict_init(struct gpu *g);
/* Before a context is made. Side lane. A CUresult. */
int evict_make(struct gpu *g);
void evict_needed_slow(struct evict *e, struct ctx *c);
/* All work has ended: is nothing of it in the cache? If not, more work is under way now. */
bool evict_done(struct gpu *g);
/* The context goes, `next` (or NULL) stays. True: evict_now() is to be called in the side lane when
 * its work has ended. */
bool evict_leave(struct gpu *g, const struct ctx *c, struct ctx *next);
void evict_now(struct gpu *g, struct ctx *c);
void evict_free(struct gpu *g);
/* The time between two events, as the guest may see it. */
float evict_coarse(const struct gpu *g, float ms);

struct gpu {
	struct worker *w;
	const struct far *far;
	struct pvgpu_decode decode;
	struct tables tables;
	struct obj root;  /* contexts and libraries hang below it */
	uint32_t version; /* of the protocol, once session_hello has settled it */
	uint64_t taken;   /* number of the last command taken from the ring, see ring.h */
	uint64_t number;  /* of the one that runs */
	bool settled;     /* something has been made: the windows stay where they are */
	atomic_int deferred;
	atomic_int fault; /* the first device fault of any context */
	atomic_bool ended;
	atomic_ullong streams; /* made so far: their numbers */
	uint64_t captures;     /* begun so far: their numbers */
	uint32_t capturing;    /* of these, under way */
	struct {
		uint64_t number;
		const struct ctx *bars; /* its legacy stream waits for the captured one; or NULL */
		uint64_t graph;         /* handle of the graph that gets the nodes */
		uint64_t nodes;         /* counted of the session's so far, see graph_sum.c */
	} active[CAPTURES_MAX];
	atomic_ullong graph_nodes; /* of all graphs and instances */
	uint64_t op_serial;        /* operations issued on any stream */
	atomic_uint primaries;     /* times that the primary context is retained; side lane */
	uint32_t full_streams, live_streams, zombies;
	uint32_t stream_limit, fence_every;
	struct park park;
	struct gate gate;
	struct estimates est;
	struct complete complete;
	struct side side;
	struct memory mem;
	struct evict evict;
	struct {
		pthread_mutex_t lock;
		uint64_t bytes; /* of all that are loaded, as charged */
		LIST_HEAD(, image_use) uses;
	} images; /* image.c; both side lanes */
	struct arena_map arena;
	struct bounce bounce;
	struct holds holds;
	struct callbacks cb;
	struct output out;
	unsigned char *scratch; /* decoding thread: the bytes of the reply being made */
	char *numbers; /* decoding thread: of the call being made, if they came by the arena */
	uint64_t numbers_room;
};

#define SCRATCH_SIZE (16u << 10)

#endif
