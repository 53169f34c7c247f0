/* SPDX-License-Identifier: MIT */
/*
 * A guest process's session: the runtime beneath the generated stubs.
 *
 * Any thread may post; records go to the ring in the order posted. Waiting threads share the reply
 * stream: one of them drains it and completes the others. Every call looks at the session's status
 * first: once a session is dead, all calls return its error at once.
 *
 * All ints that are not counts are CUresult values (0 = CUDA_SUCCESS); a dead session answers
 * PVGPU_DEAD_RESULT.
 */
#ifndef PVGPU_LINK_SESSION_H
#define PVGPU_LINK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PVGPU_DEAD_RESULT                                                                          \
	46 /* CUDA_ERROR_DEVICE_UNAVAILABLE: the sticky error of a lost session                    \
	    */

struct pvgpu_session;

struct pvgpu_piece {
	const void *base;
	uint32_t len;
};

/*
 * Completion of a marked one-way command. The owner keeps it alive until it is done. fn, when not
 * NULL, is called once, by the thread that drains the mark and under post_lock: it must be short
 * and must not post.
 */
struct pvgpu_mark {
	void (*fn)(struct pvgpu_mark *m);
	int result; /* CUresult, valid when done */
	bool done;  /* use pvgpu_mark_wait()/pvgpu_mark_poll() */
	uint32_t seq;
	struct pvgpu_mark *next;
};

/* Host functions and device output reach the library through these. */
struct pvgpu_session_ops {
	/* Called on the session's own thread (all signals blocked), in order, one at a time. */
	void (*callback)(void *arg, uint64_t id, uint32_t status);
	/* The worker holds device output (printf, assert): called by the thread that got the reply,
	 * with no lock held, before its call returns. */
	void (*output)(void *arg);
	void *arg;
};

/*
 * Open a session over the link that the environment names (link.h), negotiate the version, settle
 * the windows. Returns 0 or a CUresult:
 * CUDA_ERROR_NO_DEVICE when there is no backend to talk to; a reason is printed on stderr once when
 * PVGPU_DEBUG is set. Not for a forked child of a process that has a session.
 */
int pvgpu_session_open(const struct pvgpu_session_ops *ops, struct pvgpu_session **out);
/* Tell the worker, wait at most half a second for its end, unmap. */
void pvgpu_session_close(struct pvgpu_session *s);
/* In a forked child: drop what was inherited without touching the parent's session. */
void pvgpu_session_abandon(struct pvgpu_session *s);

struct pvgpu_session_info {
	uint32_t version, device_count;
	uint64_t features;
	int32_t driver_version;
	uint64_t device_base, device_size; /* device window: inaccessible here */
	uint64_t arena_base, arena_size;   /* arena window */
};
const struct pvgpu_session_info *pvgpu_session_info(const struct pvgpu_session *s);
/* 0, or the dead session's result: one load. */
int pvgpu_session_status(const struct pvgpu_session *s);

/* For the generated stubs. Pieces are concatenated; the first begins with the header. */
int pvgpu_post(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n);
int pvgpu_post_mark(struct pvgpu_session *s, struct pvgpu_mark *m, const struct pvgpu_piece *p,
		    unsigned int n);
int pvgpu_call(struct pvgpu_session *s, const struct pvgpu_piece *p, unsigned int n, void *rep,
	       uint32_t cap, uint32_t *rep_len);
/* Such calls so far, of this process. */
uint64_t pvgpu_awaited(void);
int pvgpu_broken(struct pvgpu_session *s, const char *what);

/* Wait for a mark (returns its result or the dead session's); poll: true when done. Both drain
 * replies. */
int pvgpu_mark_wait(struct pvgpu_session *s, struct pvgpu_mark *m);
bool pvgpu_mark_poll(struct pvgpu_session *s, struct pvgpu_mark *m);

/*
 * Commands are numbered from 1, in the order posted. pvgpu_posted: the number of this thread's last
 * one. pvgpu_worked: of the session's last one-way command; what an awaited one does has ended when
 * it returns.
 */
uint64_t pvgpu_posted(void);
uint64_t pvgpu_worked(struct pvgpu_session *s);
/* The slot of a stream by its handle, of a context's default stream by the context's. */
enum { PVGPU_NO_SLOT = 0xffff };
uint32_t pvgpu_slot(uint64_t handle);
/*
 * Has all ended that was posted to the stream of this slot, up to this number, and have
 * its marks been done? Asks nobody: false when it is not known, as of slots that the ring page
 * does not have.
 */
bool pvgpu_ended(struct pvgpu_session *s, uint32_t slot, uint64_t number);
/* Can pvgpu_ended() become true without a question? */
bool pvgpu_tells_ends(const struct pvgpu_session *s);
/* No context has had a fault, and the worker is there: what was known of it still holds. */
bool pvgpu_sound(const struct pvgpu_session *s);

/* A command is about to be posted that has the worker call so many kept host functions: make room.
 * False: no memory. After it was posted: make sure that a thread listens. */
bool pvgpu_expect_hosts(struct pvgpu_session *s, uint32_t n);
void pvgpu_expected_hosts(struct pvgpu_session *s);

/*
 * How this thread's calls wait from now on: as it pays, on the processor for longer, or asleep.
 * Returns how they waited before.
 */
enum pvgpu_patience { PVGPU_ADAPT, PVGPU_SPIN, PVGPU_SLEEP };
enum pvgpu_patience pvgpu_wait_so(enum pvgpu_patience how);

/* Wait until *count, which fn of marks changes atomically, is not `seen` any more, or the session
 * is dead. */
void pvgpu_count_wait(struct pvgpu_session *s, const uint32_t *count, uint32_t seen);

/* Store a value in a word of the arena, for which a stream is held (pvgpu_do_hold()). A thread that
 * learns from the worker that the stream went on sees what this thread did before. */
void pvgpu_let_go(struct pvgpu_session *s, uint32_t *word, uint32_t value);

/* Handles that the guest chooses: index and generation per type. 0 when all PVGPU_HANDLES_MAX are
 * in use. */
uint64_t pvgpu_handle_new(struct pvgpu_session *s, uint32_t type, uint32_t vgpu);
void pvgpu_handle_free(struct pvgpu_session *s, uint64_t handle);

/*
 * Arena memory, 4096-aligned for sizes from a page up, 64-byte aligned below. It is mapped at the
 * same address in the worker. alloc grows the arena by whole chunks when it must; NULL when the
 * backend's limit is reached. staging: short-lived ranges for pageable copies (may be kept mapped
 * and recycled); pinned: the application's own host allocations (returned to the system when whole
 * chunks are free).
 */
void *pvgpu_arena_alloc(struct pvgpu_session *s, uint64_t size, bool staging);
void pvgpu_arena_free(struct pvgpu_session *s, void *p);

#endif
