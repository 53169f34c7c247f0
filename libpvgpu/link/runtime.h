/* SPDX-License-Identifier: MIT */
/*
 * The session runtime's internal interfaces. Sections are named after the file that implements
 * them.
 *
 * Locks, in the order in which they may be taken:
 *   turn_lock   held by the one thread that waits for ring space
 *   arena.grow  one thread at a time adds or removes chunks
 *   lead_lock   the leading thread and its followers
 *   post_lock   command stream, numbers of commands, tables of pending calls and marks
 *   cb.lock, handles.lock, arena.lock: leaves
 * A mark's fn runs under post_lock and must not wait for the worker.
 *
 * Waiting: of the threads that wait for the worker, one leads: it drains the reply stream, polls
 * and sleeps. The others follow: each sleeps on a word of its own until the leader has found its
 * reply, or hands it the lead. `leading` says that a thread leads; only the leader touches `rep`,
 * `poll` and `record`.
 */
#ifndef PVGPU_LINK_RUNTIME_H
#define PVGPU_LINK_RUNTIME_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "link/link.h"
#include "link/session.h"
#include "pvgpu_wire.h"
#include "ring/poll.h"
#include "ring/ring.h"

#define pvgpu_likely(x)   __builtin_expect(!!(x), 1)
#define pvgpu_unlikely(x) __builtin_expect(!!(x), 0)

enum { PVGPU_CALL_BUCKETS = 64, PVGPU_MARK_BUCKETS = 1024 };

/* An awaited command, on its caller's stack; found by seq, under post_lock, until it is done. */
struct pvgpu_call_slot {
	uint32_t library; /* of the command: its statuses are results, too */
	struct pvgpu_call_slot *next;
	uint32_t seq;
	uint32_t cap, len; /* of rep; len: of the reply as received, 0: the session was lost */
	void *rep;
	int result;
	uint16_t flags;
	bool done; /* atomic; the slot is the caller's again */
};

enum pvgpu_wait_kind {
	PVGPU_WAIT_CALL,
	PVGPU_WAIT_MARK,
	PVGPU_WAIT_SPACE,
	PVGPU_WAIT_CALLBACK,
	PVGPU_WAIT_COUNT
};

/* A thread that waits, on its stack. */
struct pvgpu_waiter {
	struct pvgpu_waiter *prev, *next; /* followers, under lead_lock */
	uint32_t word;                    /* wait.c: futex */
	enum pvgpu_wait_kind kind;
	struct pvgpu_call_slot *call;
	struct pvgpu_mark *mark;
	uint32_t len;          /* of space */
	const uint32_t *count; /* atomic */
	uint32_t seen;         /* of count */
};

struct pvgpu_callback {
	uint64_t id;
	uint32_t status;
};

/* thread.c: host functions that the worker has called or will call. */
struct pvgpu_callbacks {
	pthread_mutex_t lock;
	struct pvgpu_callback *queue; /* ring of cap entries; cap is a power of two or 0 */
	uint32_t head, tail, cap;     /* tail - head: called, not yet run */
	uint32_t expected;            /* posted, not yet called; atomic, written under lock */
	uint32_t done;                /* run; session's thread only */
};

/* handles.c: the slots of one handle type. */
struct pvgpu_handle_table {
	uint16_t *generation; /* of each slot ever used */
	uint32_t *free;       /* stack of slots to use again */
	unsigned char *live;
	uint32_t n_free, used, cap;
};

enum { PVGPU_HANDLE_TYPES = PVGPU_H_END };

struct pvgpu_handles {
	pthread_mutex_t lock;
	struct pvgpu_handle_table type[PVGPU_HANDLE_TYPES];
};

/* arena.c */
struct pvgpu_region;
struct pvgpu_arena {
	pthread_mutex_t lock, grow;
	struct pvgpu_region **region; /* sorted by address; under lock */
	unsigned int n, cap;
	uint64_t used;    /* bytes of regions; under lock, written under grow too */
	uint64_t next[2]; /* size of the next chunk: pinned, staging */
	bool trim;        /* an empty pinned region waits for its removal */
};

struct pvgpu_session {
	int dead; /* 0 or PVGPU_DEAD_RESULT; atomic */
	struct pvgpu_link *link;
	struct pvgpu_session_ops ops;
	struct pvgpu_session_info info;
	bool debug;

	/* post.c */
	_Alignas(64) pthread_mutex_t post_lock;
	struct pvgpu_ring cmd;
	uint64_t number;     /* of the last command; its lower half is the record's seq */
	uint64_t worked;     /* of the last one-way command; atomic, written under post_lock */
	bool crowded;        /* a thread waits for space: others queue on turn_lock */
	uint32_t space_want; /* bytes that it waits for, or 0; atomic, written under post_lock */
	struct pvgpu_call_slot *calls[PVGPU_CALL_BUCKETS];
	struct pvgpu_mark *marks[PVGPU_MARK_BUCKETS];
	pthread_mutex_t turn_lock;

	/* wait.c */
	_Alignas(64) pthread_mutex_t lead_lock;
	bool leading;
	struct pvgpu_waiter *followers;
	struct pvgpu_ring rep;
	struct pvgpu_poll poll;
	bool output;     /* a mark said that device output waits; atomic */
	uint32_t let_go; /* words stored by pvgpu_let_go(), modulo 2^32; atomic */
	_Alignas(8) unsigned char record[PVGPU_REP_MAX];

	/* thread.c */
	struct pvgpu_callbacks cb;
	pthread_t thread;
	bool threaded, closing; /* closing: atomic */

	struct pvgpu_handles handles;
	struct pvgpu_arena arena;
};

/*
 * A record of the worker came after each host function that it knows to have returned, and after
 * each word that let a stream go on. The order goes through the worker, which ThreadSanitizer does
 * not see: for it both ends meet on these counts.
 */
static inline void pvgpu_see_other_threads(const struct pvgpu_session *s)
{
	(void)pvgpu_load_acquire(&s->link->page->cb_done.v);
	(void)pvgpu_load_acquire(&s->let_go);
}

static inline bool pvgpu_is_dead(const struct pvgpu_session *s)
{
	return pvgpu_load_acquire(&s->dead) != 0;
}

static inline void pvgpu_lock(pthread_mutex_t *m)
{
	pthread_mutex_lock(m);
}

static inline void pvgpu_unlock(pthread_mutex_t *m)
{
	pthread_mutex_unlock(m);
}

/* session.c: everything but link, windows and thread. */
struct pvgpu_session *pvgpu_session_new(const struct pvgpu_session_ops *ops, struct pvgpu_link *l);
void pvgpu_session_free(struct pvgpu_session *s);
/* Only the first call counts. Wakes all waiters. Called with no lock held. */
void pvgpu_session_fail(struct pvgpu_session *s, const char *why);
/* The worker has hung up or reports its end: drain what it sent before, then fail. */
void pvgpu_session_lost(struct pvgpu_session *s);

/* windows.c: 0 or a CUresult. */
int pvgpu_windows_settle(struct pvgpu_session *s);
void pvgpu_windows_release(struct pvgpu_session *s);

/* post.c, under post_lock: remove and return the call or mark of seq; NULL: there is none. */
struct pvgpu_call_slot *pvgpu_take_call(struct pvgpu_session *s, uint32_t seq);
struct pvgpu_mark *pvgpu_take_mark(struct pvgpu_session *s, uint32_t seq);

/* replies.c */
struct pvgpu_drained {
	bool some;   /* there were records */
	bool others; /* something was completed that another thread may wait for */
	int err;     /* -EPROTO: broken, and why */
	const char *why;
};
/*
 * Handle records until there is none left, or w (unless NULL) is served, or PVGPU_DRAIN_BATCH are
 * done, so that followers are woken in between. The leader only.
 */
enum { PVGPU_DRAIN_BATCH = 64 };
void pvgpu_drain(struct pvgpu_session *s, const struct pvgpu_waiter *w, struct pvgpu_drained *d);
/* Handle all records, when the worker is gone. */
void pvgpu_drain_last(struct pvgpu_session *s);
/* Complete everything that is pending with PVGPU_DEAD_RESULT. May be repeated. */
void pvgpu_sweep(struct pvgpu_session *s);
void pvgpu_complete_mark(struct pvgpu_session *s, struct pvgpu_mark *m, int result);

/* results.c: a CUresult that the driver API knows, or CUDA_ERROR_UNKNOWN. */
int pvgpu_result_check(int32_t result);
/* The same for a command of a library, whose statuses travel as PVGPU_STATUS(). */
int pvgpu_result_of(uint32_t library, int32_t result);

/* wait.c */
/* Returns when w is served or the session is dead. No lock held. */
void pvgpu_wait(struct pvgpu_session *s, struct pvgpu_waiter *w);
/* Drain once, unless another thread leads: then false. */
bool pvgpu_try_drain(struct pvgpu_session *s, bool last);
void pvgpu_wake_followers(struct pvgpu_session *s);

/* thread.c */
int pvgpu_thread_start(struct pvgpu_session *s);
/* False: the thread still runs a host function. */
bool pvgpu_thread_stop(struct pvgpu_session *s);
/* A host function is about to be posted: make room for its call. False: no memory. */
bool pvgpu_callback_expect(struct pvgpu_session *s);
/* One has been posted: make sure that a thread waits for its call. */
void pvgpu_callback_posted(struct pvgpu_session *s);
/* The worker calls one; false: none was expected. kick: the session's thread may be asleep. */
bool pvgpu_callback_called(struct pvgpu_session *s, uint64_t id, uint32_t status, bool kick);
bool pvgpu_callback_waits(struct pvgpu_session *s);

/* handles.c */
void pvgpu_handles_free(struct pvgpu_session *s);

/* arena.c */
void pvgpu_arena_free_all(struct pvgpu_session *s);
/* True inside a mark's fn, which must not wait for the worker. */
extern _Thread_local bool pvgpu_in_mark __attribute__((tls_model("initial-exec")));

#endif
