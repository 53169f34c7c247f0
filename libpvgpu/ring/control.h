/* SPDX-License-Identifier: MIT */
/*
 * The control ring: fixed messages between a vGPU's frontend (pvgpu.ko) and pvgpud, in one page
 * that the frontend grants, with one event channel. It opens and closes sessions and moves arena
 * memory; no CUDA call passes here.
 *
 * Two queues of PVGPU_CTL_SLOTS messages of 64 bytes. to_back: the frontend's requests. to_front:
 * pvgpud's answers, in any order, and events. Indices are free-running 32-bit counts of messages.
 * The other side may be hostile. Each side keeps its own index privately. It reads the other's
 * index once and checks it (-EPROTO: disconnect). It copies a message out once and checks the copy.
 *
 * pvgpud releases a request's slot (pvgpu_ctl_release) when it has copied the request, so that no
 * request waits for another one's answer. A request survives a restart of pvgpud at any moment: the
 * frontend keeps it until it is answered. A restarted pvgpud begins at the indices in the page and
 * sends PVGPU_CTL_AGAIN with its index of to_back: the frontend sends each request before that
 * index again that has no answer, with a new id. So a request can be executed, and answered, twice:
 *   - every request is idempotent. SESSION_OPEN of a session that is open, CHUNK_ADD of a chunk
 *     that is there with the same size, CHUNK_REMOVE of a chunk and SESSION_CLOSE of a session
 *     that do not exist: error 0.
 *   - the frontend drops an answer to a request that it does not wait for.
 * The frontend gives each request an id that no other outstanding request has.
 *
 * Each message is followed by a notification on the event channel: messages are few, so none is
 * saved. A producer that finds its queue full sets the queue's `waiting` and looks once more. The
 * consumer notifies it when it releases a slot (pvgpu_ctl_release() returns true).
 */
#ifndef PVGPU_RING_CONTROL_H
#define PVGPU_RING_CONTROL_H

#include "ring/ring.h"

#define PVGPU_CTL_SLOTS     16u
#define PVGPU_CTL_PAGE_SIZE 4096u
#define PVGPU_CTL_CHUNK_MAX (256u << 20) /* gntdev maps at most 65,536 grants with one mmap */

enum pvgpu_ctl_op {
	/* Requests; an answer repeats op, id and session. */
	PVGPU_CTL_SESSION_OPEN = 0x10,  /* open -> opened */
	PVGPU_CTL_SESSION_CLOSE = 0x11, /* no body; answered when the worker is gone and nothing of
					   the session is mapped any more */
	PVGPU_CTL_CHUNK_ADD = 0x12,     /* chunk; answered when the worker has mapped it */
	PVGPU_CTL_CHUNK_REMOVE = 0x13,  /* chunk, dir 0; answered when it is not mapped any more */
	/* Events of pvgpud: id 0, session 0 where it is of none. */
	PVGPU_CTL_SESSION_ENDED = 0x80, /* ended; the worker is gone, nothing is mapped; the
					   frontend still closes the session */
	PVGPU_CTL_AGAIN = 0x81, /* again; a new pvgpud: earlier requests are to be sent again */
};

/*
 * error in an answer: 0, or a positive errno of Linux' generic table, among them EPROTO (malformed
 * request), ENOSYS (an op that is not known), EUSERS (too many sessions), ESHUTDOWN (draining or
 * closing), ENOMEM, ENODEV (no worker, or no healthy GPU), EPERM (the vGPU is quarantined), EBUSY
 * (a chunk in use), ENOENT (no such session). text is the reason in words.
 */
struct pvgpu_ctl_open {
	uint32_t cmd_size, rep_size; /* of the streams; the granted memory is pvgpu_ring_bytes() */
	uint32_t dir;                /* grant of the first directory page of the ring's memory */
	uint32_t port;               /* the frontend's unbound event channel of the session */
	uint32_t user;               /* of the process: its uid and 1; 0: root, or not told apart */
	uint32_t pad;
	char comm[16]; /* for logs */
};
struct pvgpu_ctl_opened {
	uint32_t number; /* the backend's session number, for people */
	uint32_t pad;
	uint64_t arena_limit; /* bytes of arena that the session may have */
};
struct pvgpu_ctl_chunk {
	uint64_t address; /* of the chunk in the guest process and in its worker */
	uint64_t size;    /* bytes, a multiple of the page size, at most PVGPU_CTL_CHUNK_MAX */
	uint32_t dir;     /* grant of the first directory page */
	uint32_t pad;
};
struct pvgpu_ctl_ended {
	uint32_t reason; /* enum pvgpu_end */
	char text[44];
};

struct pvgpu_ctl_again {
	uint32_t before; /* index of to_back: the first request that the new pvgpud finds itself */
	uint32_t pad;
};

struct pvgpu_ctl_msg {
	uint32_t op;      /* enum pvgpu_ctl_op */
	uint32_t id;      /* of the request; 0 in an event */
	uint32_t session; /* the frontend's number, never 0, not soon used again */
	int32_t error;    /* of an answer */
	union {
		struct pvgpu_ctl_open open;
		struct pvgpu_ctl_opened opened;
		struct pvgpu_ctl_chunk chunk;
		struct pvgpu_ctl_ended ended;
		struct pvgpu_ctl_again again;
		char text[48]; /* of an answer with an error; may fill it without a NUL */
	} u;
};
_Static_assert(sizeof(struct pvgpu_ctl_msg) == 64, "control message");

/*
 * The budget of a vGPU's frontend: each request costs units, of which it has PVGPU_CTL_BURST,
 * and PVGPU_CTL_A_SECOND more each second. pvgpud executes no request beyond that before the units
 * are there, and disconnects a frontend that has requests waiting for them for many seconds. A
 * frontend that sends no request before it has the units is never close to that.
 */
#define PVGPU_CTL_BURST      16384u
#define PVGPU_CTL_A_SECOND   4096u
#define PVGPU_CTL_OPEN_COST  32u /* grants and an event channel, and a worker's start */
#define PVGPU_CTL_UNIT_PAGES 64u /* pages to map for a unit */

static inline uint32_t pvgpu_ctl_cost(const struct pvgpu_ctl_msg *m)
{
	if (m->op == PVGPU_CTL_SESSION_OPEN)
		return PVGPU_CTL_OPEN_COST;
	if (m->op == PVGPU_CTL_CHUNK_ADD && m->u.chunk.size <= PVGPU_CTL_CHUNK_MAX)
		return 1 + (uint32_t)(m->u.chunk.size / 4096 / PVGPU_CTL_UNIT_PAGES);
	return 1;
}

/*
 * A directory of granted pages, itself in granted pages: how many references there are follows from
 * the size of the memory, never from here. Reference 0 is never valid. The frontend may end the
 * directory's own grants when the request is answered.
 */
#define PVGPU_DIR_REFS 1022u
struct pvgpu_dir_page {
	uint32_t next; /* grant of the next directory page; 0: the last one */
	uint32_t pad;
	uint32_t ref[PVGPU_DIR_REFS];
};
_Static_assert(sizeof(struct pvgpu_dir_page) == 4096, "directory page");

struct pvgpu_ctl_queue {
	struct pvgpu_ring_word prod, cons, waiting;
};

struct pvgpu_ctl_page {
	struct pvgpu_ctl_queue to_back, to_front;
	unsigned char pad[4096 - 6 * 64 - 2 * PVGPU_CTL_SLOTS * 64];
	struct pvgpu_ctl_msg to_back_msg[PVGPU_CTL_SLOTS], to_front_msg[PVGPU_CTL_SLOTS];
};
_Static_assert(sizeof(struct pvgpu_ctl_page) == PVGPU_CTL_PAGE_SIZE, "control page");

/* One side's private view of a queue that it produces, and of one that it consumes. */
struct pvgpu_ctl {
	struct pvgpu_ctl_queue *out_q, *in_q;
	struct pvgpu_ctl_msg *out_msg, *in_msg;
	uint32_t prod; /* ours, of out */
	uint32_t cons; /* ours, of in: up to here slots were released */
};

static inline void pvgpu_ctl_init_(struct pvgpu_ctl *c, struct pvgpu_ctl_page *p, bool back)
{
	c->out_q = back ? &p->to_front : &p->to_back;
	c->in_q = back ? &p->to_back : &p->to_front;
	c->out_msg = back ? p->to_front_msg : p->to_back_msg;
	c->in_msg = back ? p->to_back_msg : p->to_front_msg;
	c->prod = c->cons = 0;
}

/* The frontend, with a zeroed page of its own. */
static inline void pvgpu_ctl_init_front(struct pvgpu_ctl *c, struct pvgpu_ctl_page *p)
{
	pvgpu_ctl_init_(c, p, false);
}

/* pvgpud, for a new connection (both indices 0) or after its own restart. */
static inline void pvgpu_ctl_init_back(struct pvgpu_ctl *c, struct pvgpu_ctl_page *p)
{
	pvgpu_ctl_init_(c, p, true);
	c->prod = pvgpu_load(&c->out_q->prod.v);
	c->cons = pvgpu_load(&c->in_q->cons.v);
}

/* Free slots of the queue that we produce, or -EPROTO. */
static inline int pvgpu_ctl_space(const struct pvgpu_ctl *c)
{
	uint32_t used = c->prod - pvgpu_load_acquire(&c->out_q->cons.v);

	return used > PVGPU_CTL_SLOTS ? -EPROTO : (int)(PVGPU_CTL_SLOTS - used);
}

/* 0: published, ring the other side; -EAGAIN: full, the consumer rings when there is a slot;
 * -EPROTO. */
static inline int pvgpu_ctl_put(struct pvgpu_ctl *c, const struct pvgpu_ctl_msg *m)
{
	int space = pvgpu_ctl_space(c);

	if (!space) {
		pvgpu_store(&c->out_q->waiting.v, 1u);
		pvgpu_full_barrier();
		space = pvgpu_ctl_space(c);
	}
	if (space <= 0)
		return space ? space : -EAGAIN;
	memcpy(&c->out_msg[c->prod % PVGPU_CTL_SLOTS], m, sizeof(*m));
	pvgpu_store_release(&c->out_q->prod.v, ++c->prod);
	return 0;
}

/* Copy out message number `at` (0: the oldest not released): 1; 0 when there are fewer; -EPROTO. */
static inline int pvgpu_ctl_peek(const struct pvgpu_ctl *c, uint32_t at, struct pvgpu_ctl_msg *m)
{
	uint32_t fill = pvgpu_load_acquire(&c->in_q->prod.v) - c->cons;

	if (fill > PVGPU_CTL_SLOTS)
		return -EPROTO;
	if (at >= fill)
		return 0;
	memcpy(m, &c->in_msg[(c->cons + at) % PVGPU_CTL_SLOTS], sizeof(*m));
	pvgpu_copied();
	return 1;
}

/* Release the n oldest. True: the producer waits for a slot, ring it. */
static inline bool pvgpu_ctl_release(struct pvgpu_ctl *c, uint32_t n)
{
	c->cons += n;
	pvgpu_store_release(&c->in_q->cons.v, c->cons);
	pvgpu_full_barrier();
	return pvgpu_ring_claim(&c->in_q->waiting.v);
}

#endif
