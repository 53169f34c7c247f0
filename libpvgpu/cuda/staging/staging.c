/* SPDX-License-Identifier: MIT */
/*
 * Pageable copies: the guest copies one piece while the worker copies another. Pieces are small
 * enough to stay in the cache between the two copies, and large enough that wake-ups cost little.
 */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/staging/staging.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "link/cancel.h"
#include "link/session.h"
#include "pvgpu_stubs.h"

enum {
	PIECE_MIN = 256 * 1024, /* below it a wake-up costs more than overlapping saves */
	PAGE = 4096,
};
/* Pieces that are in use by nobody are kept up to this. */
#define IDLE_MOST (64ull << 20)
/* Pieces that copies of one stream have in flight, before the next waits for the oldest. */
#define STREAM_MOST (16ull << 20)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t freed = PTHREAD_COND_INITIALIZER;
static struct slot *free_slots;
static struct slot *posted, **posted_end = &posted; /* oldest first */
static uint64_t idle;                               /* bytes of free slots */
static unsigned int slots[2];                       /* small ones, and of STAGING_PIECE */

static unsigned int *count(uint64_t size)
{
	return &slots[size > STAGING_SMALL];
}

static struct slot *slot_make(uint64_t size)
{
	struct slot *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->size = size;
	s->mem = pvgpu_arena_alloc(session(), size, true);
	if (s->mem)
		return s;
	free(s);
	return NULL;
}

static void slot_free(struct slot *s)
{
	if (!s)
		return;
	pvgpu_arena_free(session(), s->mem);
	free(s);
}

/* Under lock: true when the slot is kept. */
static bool keep(struct slot *s)
{
	if (idle + s->size > IDLE_MOST) {
		--*count(s->size);
		return false;
	}
	s->next = free_slots;
	free_slots = s;
	idle += s->size;
	return true;
}

/* Under lock: out of the list. */
static struct slot *take_posted(struct slot **at)
{
	struct slot *s = *at;

	*at = s->next;
	if (!s->next)
		posted_end = at;
	return s;
}

/* Under lock: posted slots whose marks are done become free; returns those that are not kept. */
static struct slot *reap(void)
{
	struct slot *over = NULL, **at = &posted;

	/* It drains replies, and so says it of the others, too. */
	if (posted)
		pvgpu_mark_poll(session(), &posted->mark);
	while (*at) {
		struct slot *s;

		if (!__atomic_load_n(&(*at)->mark.done, __ATOMIC_ACQUIRE)) {
			at = &(*at)->next;
			continue;
		}
		s = take_posted(at);
		if (!keep(s)) {
			s->next = over;
			over = s;
		}
	}
	return over;
}

/* Under lock: a free slot of that size, or any that is larger. */
static struct slot *take_free(uint64_t size, bool larger)
{
	for (struct slot **at = &free_slots, *s; (s = *at); at = &s->next) {
		if (s->size != size && !(larger && s->size > size))
			continue;
		*at = s->next;
		idle -= s->size;
		return s;
	}
	return NULL;
}

/* Under lock: the oldest posted slot of at least that size, of this stream or of any. */
static struct slot *take_oldest(uint64_t size, uint64_t stream, bool any)
{
	for (struct slot **at = &posted; *at; at = &(*at)->next) {
		if ((*at)->size >= size && (any || (*at)->stream == stream))
			return take_posted(at);
	}
	return NULL;
}

/* Under lock: bytes of slots in flight. */
static uint64_t bytes_of(uint64_t stream)
{
	uint64_t bytes = 0;

	for (const struct slot *s = posted; s; s = s->next)
		bytes += s->stream == stream ? s->size : 0;
	return bytes;
}

/* Under lock, dropped meanwhile: one more; NULL: no memory. */
static struct slot *add_slot(uint64_t size)
{
	struct slot *s;

	++*count(size);
	pthread_mutex_unlock(&lock);
	s = slot_make(size);
	pthread_mutex_lock(&lock);
	*count(size) -= !s;
	return s;
}

/* Under lock, dropped meanwhile: a free slot. Else *wait is the oldest to wait for, if any: of the
 * stream, or, where there is no memory, of any. */
static struct slot *slot_find(uint64_t size, uint64_t stream, struct slot **wait)
{
	struct slot *over = NULL;
	struct slot *s = take_free(size, false);

	*wait = NULL;
	if (!s && posted) {
		over = reap();
		s = take_free(size, false);
	}
	if (!s && bytes_of(stream) + size > STREAM_MOST)
		*wait = take_oldest(size, stream, false);
	else if (!s)
		s = add_slot(size);
	if (!s && !*wait)
		s = take_free(size, true);
	if (!s && !*wait)
		*wait = take_oldest(size, stream, false);
	if (!s && !*wait)
		*wait = take_oldest(size, 0, true);
	while (over) {
		struct slot *next = over->next;

		slot_free(over);
		over = next;
	}
	return s;
}

/* Under lock: is there a slot of that size? */
static bool is_any(uint64_t size)
{
	return slots[1] || (size <= STAGING_SMALL && slots[0]);
}

/* NULL: the session is dead, there is no memory, or (unless may_wait) other copies hold all slots
 * of that size. */
static struct slot *slot_get(uint64_t size, uint64_t stream, bool may_wait)
{
	struct slot *s, *wait;

	pthread_mutex_lock(&lock);
	for (;;) {
		s = slot_find(size, stream, &wait);
		if (s || wait || !may_wait || !is_any(size) || pvgpu_session_status(session()))
			break;
		const int cancel = pvgpu_cancel_off();

		pthread_cond_wait(&freed, &lock);
		pvgpu_cancel_back(cancel);
	}
	pthread_mutex_unlock(&lock);
	if (wait)
		pvgpu_mark_wait(session(), &wait->mark);
	s = s ? s : wait;
	if (s)
		s->stream = stream;
	return s;
}

static void slot_put(struct slot *s, bool in_flight)
{
	bool kept = true;

	pthread_mutex_lock(&lock);
	if (in_flight) {
		s->next = NULL;
		*posted_end = s;
		posted_end = &s->next;
	} else {
		kept = keep(s);
	}
	/* Others may wait for another size. */
	pthread_cond_broadcast(&freed);
	pthread_mutex_unlock(&lock);
	if (!kept)
		slot_free(s);
}

struct slot *staging_take(void)
{
	return slot_get(STAGING_PIECE, 0, true);
}

void staging_give(struct slot *s, bool in_flight)
{
	slot_put(s, in_flight);
}

void staging_reserve(void)
{
	struct slot *s = NULL;

	pthread_mutex_lock(&lock);
	if (!is_any(STAGING_PIECE))
		s = add_slot(STAGING_PIECE);
	pthread_mutex_unlock(&lock);
	if (s)
		slot_put(s, false);
}

struct staging staging_begin(const struct target *t, uint64_t len)
{
	return (struct staging){.stream = target_key(t),
				.size = len <= STAGING_SMALL ? STAGING_SMALL : STAGING_PIECE};
}

static unsigned int depth_of(const struct staging *st)
{
	return st->depth ? st->depth : STAGING_DEPTH;
}

static struct slot **place(struct staging *st, unsigned int number)
{
	return &st->slot[number % depth_of(st)];
}

unsigned int staging_hold(struct staging *st)
{
	struct slot **at = place(st, st->next);

	if (!*at)
		*at = slot_get(st->size, st->stream, !st->next);
	/* Small pieces where the arena has no room for large ones. */
	if (!*at && !st->next && st->size > STAGING_SMALL) {
		st->size = STAGING_SMALL;
		*at = slot_get(st->size, st->stream, true);
	}
	if (!*at && st->next && st->next < depth_of(st))
		st->depth = st->next;
	return depth_of(st);
}

struct slot *staging_next(struct staging *st)
{
	const unsigned int depth = staging_hold(st);
	struct slot *s = *place(st, st->next);

	if (s && st->next >= depth)
		pvgpu_mark_wait(session(), &s->mark);
	if (!s || pvgpu_session_status(session()))
		return NULL;
	st->next++;
	s->mark = (struct pvgpu_mark){.fn = NULL};
	return s;
}

void staging_unused(struct staging *st)
{
	struct slot **at = place(st, --st->next);

	slot_put(*at, false);
	*at = NULL;
}

int staging_wait(struct staging *st)
{
	return st->next ? pvgpu_mark_wait(session(), &(*place(st, st->next - 1))->mark) : 0;
}

void staging_end(struct staging *st)
{
	const unsigned int depth = depth_of(st);

	/* The oldest first. In the first round the piece held last may not have been posted. */
	for (unsigned int i = 0; i < depth; i++) {
		struct slot **at = place(st, st->next + i);

		if (*at)
			slot_put(*at, i || st->next >= depth);
		*at = NULL;
	}
}

int staging_failure(void)
{
	const int r = pvgpu_session_status(session());

	return r ? r : CUDA_ERROR_OUT_OF_MEMORY;
}

/* A short copy has several pieces, too, so that the two sides overlap. */
uint64_t staging_piece(uint64_t len)
{
	uint64_t piece = (len / 4 + PAGE - 1) & ~(uint64_t)(PAGE - 1);

	if (piece < PIECE_MIN)
		piece = PIECE_MIN;
	return piece < STAGING_PIECE ? piece : STAGING_PIECE;
}

/* The same, once the first piece is held. */
static uint64_t piece_of(const struct staging *st, uint64_t len)
{
	const uint64_t piece = staging_piece(len);

	return piece < st->size ? piece : st->size;
}

/* Without memory to share with the worker, the bytes are sent inside records. */
static int write_inline(const struct target *t, uint64_t dst, const char *from, uint64_t len)
{
	int r = 0;

	while (len && !r) {
		const uint32_t n = len < PVGPU_INLINE_MAX ? (uint32_t)len : PVGPU_INLINE_MAX;

		r = pvgpu_do_copy_inline(session(), t->ctx->o.wire, t->stream, dst, from, n);
		dst += n;
		from += n;
		len -= n;
	}
	return r;
}

static int read_inline(const struct target *t, char *to, uint64_t src, uint64_t len)
{
	int r = 0;

	while (len && !r) {
		const uint32_t n = len < PVGPU_INLINE_MAX ? (uint32_t)len : PVGPU_INLINE_MAX;
		uint32_t got = 0;

		r = pvgpu_do_copy_fetch(session(), t->ctx->o.wire, t->stream, src, n, to, n, &got);
		if (!r && got != n)
			r = pvgpu_broken(session(),
					 "the worker returned fewer bytes than a copy asked for");
		src += n;
		to += n;
		len -= n;
	}
	return r;
}

int staging_write(const struct target *t, uint64_t dst, const void *src, uint64_t len, bool wait)
{
	struct staging st = staging_begin(t, len);
	const char *from = src;
	uint64_t piece;
	int r = 0;

	staging_hold(&st);
	piece = piece_of(&st, len);
	wait = wait && len > STAGING_WAIT_ABOVE;
	while (len && !r) {
		const uint64_t n = len < piece ? len : piece;
		struct slot *s = staging_next(&st);

		if (!s) {
			r = st.next ? staging_failure() : write_inline(t, dst, from, len);
			break;
		}
		memcpy(s->mem, from, n);
		r = pvgpu_do_copy_mark(session(), &s->mark, t->ctx->o.wire, t->stream, dst,
				       (uintptr_t)s->mem, n);
		if (r)
			staging_unused(&st);
		dst += n;
		from += n;
		len -= n;
	}
	if (!r && wait)
		r = ctx_result(t->ctx, staging_wait(&st));
	staging_end(&st);
	return r;
}

/* A read in progress: [0, taken) is in dst, [taken, posted) is in flight in pieces. */
struct reading {
	const struct target *t;
	char *dst;
	uint64_t src, len, piece;
	uint64_t posted, taken;
	struct staging st;
	unsigned int first; /* number of the piece at taken */
};

static int reading_post(struct reading *rd)
{
	const uint64_t left = rd->len - rd->posted;
	const uint64_t n = left < rd->piece ? left : rd->piece;
	struct slot *s = staging_next(&rd->st);
	int r;

	if (!s)
		return staging_failure();
	r = pvgpu_do_copy_mark(session(), &s->mark, rd->t->ctx->o.wire, rd->t->stream,
			       (uintptr_t)s->mem, rd->src + rd->posted, n);
	if (r)
		staging_unused(&rd->st);
	else
		rd->posted += n;
	return r;
}

static int reading_take(struct reading *rd)
{
	const uint64_t left = rd->posted - rd->taken;
	const uint64_t n = left < rd->piece ? left : rd->piece;
	struct slot *s = *place(&rd->st, rd->first++);
	const int r = pvgpu_mark_wait(session(), &s->mark);

	if (!r)
		memcpy(rd->dst + rd->taken, s->mem, n);
	rd->taken += n;
	return r;
}

int staging_read(const struct target *t, void *dst, uint64_t src, uint64_t len)
{
	/* The last bytes come in a reply, which ends the wait and brings deferred errors. */
	const uint32_t tail = PVGPU_INLINE_MAX;
	struct reading rd = {.t = t,
			     .dst = dst,
			     .src = src,
			     .len = len - tail,
			     .st = staging_begin(t, len - tail)};
	uint32_t got = 0;
	bool fetched = false;
	int r = 0;

	staging_hold(&rd.st);
	if (!*place(&rd.st, 0))
		return ctx_result(t->ctx, read_inline(t, dst, src, len));
	rd.piece = piece_of(&rd.st, rd.len);
	while (!r && !fetched) {
		while (!r && rd.posted < rd.len && rd.st.next - rd.first < staging_hold(&rd.st))
			r = reading_post(&rd);
		if (!r && rd.posted == rd.len) {
			r = pvgpu_do_copy_fetch(session(), t->ctx->o.wire, t->stream, src + rd.len,
						tail, rd.dst + rd.len, tail, &got);
			fetched = true;
			if (!r && got != tail)
				r = pvgpu_broken(
					session(),
					"the worker returned fewer bytes than a copy asked for");
		} else if (!r) {
			r = reading_take(&rd);
		}
	}
	/* Also after an error: the worker must not write to pieces after this returns. */
	while (rd.taken < rd.posted) {
		const int taken = reading_take(&rd);

		if (!r)
			r = taken;
	}
	staging_end(&rd.st);
	return ctx_result(t->ctx, r);
}
