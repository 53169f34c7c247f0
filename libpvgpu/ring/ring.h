/* SPDX-License-Identifier: MIT */
/*
 * The ring: two byte streams of records between a guest process and its worker.
 *
 * The shared memory is one page of words (struct pvgpu_ring_page), then the command stream (guest
 * to worker), then the reply stream (worker to guest). Both sides get the sizes from the party that
 * made the memory, never from the page: the page's copies are for people and tools.
 *
 * The other side may be hostile. Each side keeps its own index privately and only ever writes it to
 * the page. The other's index is read once, checked (-EPROTO when it is impossible: end the
 * session) and used from the private copy. Records are copied out once and checked in the copy.
 * Indices are free-running 32-bit byte counts.
 *
 * A struct pvgpu_ring is one side of one stream, private to that side, and not locked: one thread
 * at a time produces, one thread at a time consumes.
 *
 * Producer                                         Consumer
 *   pvgpu_ring_has_space(r, len)                     len = pvgpu_ring_fetch(r, buf, cap)
 *   pvgpu_ring_put(r, off, piece, n) ...             ... the record is in buf: check and use it
 *   if (pvgpu_ring_publish(r, len))                  if (pvgpu_ring_consume(r, len))
 *           ring the peer's doorbell                         ring the peer's doorbell
 *
 * The consumer tells the producer about freed space in batches. Whenever it finds the stream empty,
 * before it polls or sleeps, it calls pvgpu_ring_flush() (and rings if that says so).
 *
 * Sleeping, without lost wake-ups. A consumer that found nothing:
 *   if (pvgpu_ring_flush(r)) ring the peer
 *   poll pvgpu_ring_avail(r) for a short while
 *   if (pvgpu_ring_sleep_begin(r))                   the flag is up and the stream is still empty
 *           block until the own doorbell rings, and take its count (read the eventfd)
 *   pvgpu_ring_sleep_end(r)                          look at the stream again
 * A producer that lacks space does the same with pvgpu_ring_wait_begin(r, len) and
 * pvgpu_ring_wait_end(r). A side that sleeps on one doorbell for both streams raises both flags:
 * begin one, then the other, sleep only when both said so, end both. Each side that publishes
 * stores its index, passes a full barrier and tests the flag; each that sleeps stores the flag,
 * passes a full barrier and tests the index: one of the two sees the other. tests/spin/ring.pml
 * proves it.
 *
 * A doorbell may ring without cause. Its count is taken before the stream is looked at: taken
 * afterwards, it would hide a record that came in between.
 */
#ifndef PVGPU_RING_H
#define PVGPU_RING_H

#include "ring/compat.h"

#define PVGPU_RING_MAGIC       0x72677670u /* "pvgr" */
#define PVGPU_RING_LAYOUT      1u
#define PVGPU_RING_PAGE_SIZE   4096u
#define PVGPU_RING_MIN         (64u << 10)
#define PVGPU_RING_MAX         (16u << 20)
#define PVGPU_RING_CMD_DEFAULT (1u << 20)
#define PVGPU_RING_REP_DEFAULT (256u << 10)
#define PVGPU_RECORD_HDR       16u /* of either kind; begins with the record's length */

/* Slots of streams, by their handles' indices: the contexts' default streams, then the others.
 * Those beyond have none. */
#define PVGPU_ENDED_SLOTS 384u
#define PVGPU_ENDED_CTXS  32u
#define PVGPU_ENDED_NONE  0xffffu

static inline uint32_t pvgpu_ended_slot(bool is_default, uint32_t index)
{
	if (is_default)
		return index < PVGPU_ENDED_CTXS ? index : PVGPU_ENDED_NONE;
	return index < PVGPU_ENDED_SLOTS - PVGPU_ENDED_CTXS ? PVGPU_ENDED_CTXS + index
							    : PVGPU_ENDED_NONE;
}

/* A shared word on a cache line of its own. */
struct pvgpu_ring_word {
	uint32_t v;
	uint32_t pad[15];
};

enum pvgpu_ring_status {
	PVGPU_RING_RUNNING = 0,
	PVGPU_RING_ENDED = 1, /* the backend has ended the session: reason and text say why */
};

enum pvgpu_end {
	PVGPU_END_GUEST_GONE = 0, /* normal: the application exited or closed its device */
	PVGPU_END_DRAINED = 1,
	PVGPU_END_PROTOCOL = 2, /* the guest broke the protocol */
	PVGPU_END_FAILED = 3,   /* the far end or the worker failed */
	PVGPU_ENDS
};

struct pvgpu_ring_page {
	uint32_t magic, layout; /* informative, as all of this line */
	uint32_t cmd_size, rep_size;
	uint32_t pad0[12];
	struct pvgpu_ring_word cmd_prod; /* guest */
	struct pvgpu_ring_word cmd_cons; /* worker */
	struct pvgpu_ring_word rep_prod; /* worker */
	struct pvgpu_ring_word rep_cons; /* guest */
	struct pvgpu_ring_word
		cmd_sleeping; /* worker sets before it sleeps, guest clears and rings */
	struct pvgpu_ring_word
		cmd_waiting; /* guest sets when it lacks space, worker clears and rings */
	struct pvgpu_ring_word rep_sleeping; /* guest sets, worker clears and rings */
	struct pvgpu_ring_word rep_waiting;  /* worker sets, guest clears and rings */
	struct pvgpu_ring_word cb_done;      /* guest: host functions run so far */
	uint32_t status;                     /* backend: enum pvgpu_ring_status */
	uint32_t reason;                     /* backend: why it ended (enum pvgpu_end) */
	char text[120];                /* backend: the same for people; written before status */
	struct pvgpu_ring_word faults; /* worker: not 0 once a fault has spoilt a context */
	unsigned char rest[1024 - 64 * 13];
	/*
	 * Worker, when session_hello's reply says PVGPU_FEATURE_ENDED: by slot of a stream, the
	 * number of the last of its commands up to which all have ended, and their marks are in
	 * the reply stream. Commands are numbered from 1, all of the session together; a record's
	 * seq is the lower half of its number.
	 */
	uint64_t ended[PVGPU_ENDED_SLOTS];
};
_Static_assert(sizeof(struct pvgpu_ring_page) == PVGPU_RING_PAGE_SIZE, "ring page");
_Static_assert(offsetof(struct pvgpu_ring_page, ended) == 1024, "ring page layout");
_Static_assert(offsetof(struct pvgpu_ring_page, status) == 640, "ring page layout");

enum pvgpu_ring_stream { PVGPU_RING_CMD, PVGPU_RING_REP };

struct pvgpu_ring {
	unsigned char *data; /* the stream's bytes, shared */
	uint32_t size, mask;
	uint32_t own;                   /* own index; ahead of what is published */
	uint32_t published;             /* consumer: the own index as the producer knows it */
	uint32_t peer;                  /* the other's index as last read and checked */
	uint32_t *own_word, *peer_word; /* shared */
	uint32_t *sleeping, *waiting;   /* shared: of the consumer, of the producer */
};

static inline bool pvgpu_ring_size_ok(uint32_t size)
{
	return size >= PVGPU_RING_MIN && size <= PVGPU_RING_MAX && !(size & (size - 1));
}

/* Bytes of shared memory for streams of these sizes. */
static inline size_t pvgpu_ring_bytes(uint32_t cmd_size, uint32_t rep_size)
{
	return (size_t)PVGPU_RING_PAGE_SIZE + cmd_size + rep_size;
}

/* Called by the party that makes the memory, before it is used. The memory must be zero. */
static inline void pvgpu_ring_format(struct pvgpu_ring_page *page, uint32_t cmd_size,
				     uint32_t rep_size)
{
	page->magic = PVGPU_RING_MAGIC;
	page->layout = PVGPU_RING_LAYOUT;
	page->cmd_size = cmd_size;
	page->rep_size = rep_size;
}

static inline void pvgpu_ring_init_(struct pvgpu_ring *r, struct pvgpu_ring_page *page,
				    enum pvgpu_ring_stream which, uint32_t cmd_size,
				    uint32_t rep_size, bool producer)
{
	bool cmd = which == PVGPU_RING_CMD;
	uint32_t *prod = cmd ? &page->cmd_prod.v : &page->rep_prod.v;
	uint32_t *cons = cmd ? &page->cmd_cons.v : &page->rep_cons.v;

	r->data = (unsigned char *)page + PVGPU_RING_PAGE_SIZE + (cmd ? 0 : cmd_size);
	r->size = cmd ? cmd_size : rep_size;
	r->mask = r->size - 1;
	r->own = r->published = r->peer = 0;
	r->own_word = producer ? prod : cons;
	r->peer_word = producer ? cons : prod;
	r->sleeping = cmd ? &page->cmd_sleeping.v : &page->rep_sleeping.v;
	r->waiting = cmd ? &page->cmd_waiting.v : &page->rep_waiting.v;
}

/* Sizes must be pvgpu_ring_size_ok() and come from a trusted place. A new ring begins at index 0.
 */
static inline void pvgpu_ring_init_producer(struct pvgpu_ring *r, struct pvgpu_ring_page *page,
					    enum pvgpu_ring_stream which, uint32_t cmd_size,
					    uint32_t rep_size)
{
	pvgpu_ring_init_(r, page, which, cmd_size, rep_size, true);
}

static inline void pvgpu_ring_init_consumer(struct pvgpu_ring *r, struct pvgpu_ring_page *page,
					    enum pvgpu_ring_stream which, uint32_t cmd_size,
					    uint32_t rep_size)
{
	pvgpu_ring_init_(r, page, which, cmd_size, rep_size, false);
}

/* True for one caller only, when the flag was up: that caller rings the flag's owner. */
static inline bool pvgpu_ring_claim(uint32_t *flag)
{
	return pvgpu_load(flag) && pvgpu_exchange(flag, 0u);
}

/* ---- producer ---- */

/* Bytes that can be put now, or -EPROTO. */
static inline int pvgpu_ring_space(struct pvgpu_ring *r)
{
	uint32_t cons = pvgpu_load_acquire(r->peer_word);
	uint32_t used = r->own - cons;

	if (used > r->size)
		return -EPROTO;
	r->peer = cons;
	return (int)(r->size - used);
}

/* 1: len bytes fit; 0: not now; -EPROTO. Reads the shared index only when the last value of it
 * does not suffice. */
static inline int pvgpu_ring_has_space(struct pvgpu_ring *r, uint32_t len)
{
	int space;

	if (r->size - (r->own - r->peer) >= len)
		return 1;
	space = pvgpu_ring_space(r);
	return space < 0 ? space : (uint32_t)space >= len;
}

/* Copy into the stream, off bytes after what is published. The caller has checked the space. */
static inline void pvgpu_ring_put(struct pvgpu_ring *r, uint32_t off, const void *src, uint32_t len)
{
	uint32_t at = (r->own + off) & r->mask;
	uint32_t first = r->size - at;

	if (len <= first) {
		memcpy(r->data + at, src, len);
		return;
	}
	memcpy(r->data + at, src, first);
	memcpy(r->data, (const unsigned char *)src + first, len - first);
}

/* Hand len bytes to the consumer. True: it sleeps, ring its doorbell. */
static inline bool pvgpu_ring_publish(struct pvgpu_ring *r, uint32_t len)
{
	r->own += len;
	pvgpu_store_release(r->own_word, r->own);
	pvgpu_full_barrier();
	return pvgpu_ring_claim(r->sleeping);
}

/* About to sleep for len bytes of space. False: do not, look again (they are there, or -EPROTO). */
static inline bool pvgpu_ring_wait_begin(struct pvgpu_ring *r, uint32_t len)
{
	pvgpu_store(r->waiting, 1u);
	pvgpu_full_barrier();
	return pvgpu_ring_has_space(r, len) == 0;
}

static inline void pvgpu_ring_wait_end(struct pvgpu_ring *r)
{
	pvgpu_store(r->waiting, 0u);
}

/* ---- consumer ---- */

/* Bytes that can be got now, or -EPROTO. */
static inline int pvgpu_ring_avail(struct pvgpu_ring *r)
{
	uint32_t prod = pvgpu_load_acquire(r->peer_word);
	uint32_t fill = prod - r->own;

	/* An index that steps back is impossible, too: a record stays until it is consumed. */
	if (fill > r->size || fill < r->peer - r->own)
		return -EPROTO;
	r->peer = prod;
	return (int)fill;
}

/* Copy out of the stream, off bytes after what is consumed. The caller knows that they are there.
 */
static inline void pvgpu_ring_get(const struct pvgpu_ring *r, uint32_t off, void *dst, uint32_t len)
{
	uint32_t at = (r->own + off) & r->mask;
	uint32_t first = r->size - at;

	if (len <= first) {
		memcpy(dst, r->data + at, len);
	} else {
		memcpy(dst, r->data + at, first);
		memcpy((unsigned char *)dst + first, r->data, len - first);
	}
	pvgpu_copied();
}

/*
 * Copy exactly one record into buf (8-byte aligned, cap bytes, cap = the largest record allowed)
 * and check its length. Returns the length, 0 when there is none, -EPROTO. Does not consume it.
 */
static inline int pvgpu_ring_fetch(struct pvgpu_ring *r, void *buf, uint32_t cap)
{
	uint32_t fill = r->peer - r->own; /* of an earlier look */
	uint32_t len;

	if (!fill) {
		int n = pvgpu_ring_avail(r);

		if (n <= 0)
			return n;
		fill = (uint32_t)n;
	}
	if (fill < PVGPU_RECORD_HDR)
		return -EPROTO;
	pvgpu_ring_get(r, 0, buf, PVGPU_RECORD_HDR);
	memcpy(&len, buf, sizeof(len));
	if (len < PVGPU_RECORD_HDR || (len & 7) || len > cap || len > fill)
		return -EPROTO;
	/* The header is not read again: the other side may have changed it. */
	pvgpu_ring_get(r, PVGPU_RECORD_HDR, (unsigned char *)buf + PVGPU_RECORD_HDR,
		       len - PVGPU_RECORD_HDR);
	return (int)len;
}

/* Publish the consumer's index. True: the producer waits for space, ring its doorbell. */
static inline bool pvgpu_ring_flush(struct pvgpu_ring *r)
{
	if (r->published == r->own)
		return false;
	r->published = r->own;
	pvgpu_store_release(r->own_word, r->own);
	pvgpu_full_barrier();
	return pvgpu_ring_claim(r->waiting);
}

/* Consume len bytes. The index is published after an eighth of the stream, or by a flush. True:
 * ring the producer's doorbell. */
static inline bool pvgpu_ring_consume(struct pvgpu_ring *r, uint32_t len)
{
	r->own += len;
	if (r->own - r->published < r->size / 8)
		return false;
	return pvgpu_ring_flush(r);
}

/* About to sleep for data. False: do not, look again. Call pvgpu_ring_flush() before. */
static inline bool pvgpu_ring_sleep_begin(struct pvgpu_ring *r)
{
	pvgpu_store(r->sleeping, 1u);
	pvgpu_full_barrier();
	return pvgpu_ring_avail(r) == 0;
}

static inline void pvgpu_ring_sleep_end(struct pvgpu_ring *r)
{
	pvgpu_store(r->sleeping, 0u);
}

#endif
