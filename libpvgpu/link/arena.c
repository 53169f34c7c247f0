/* SPDX-License-Identifier: MIT */
/*
 * Arena memory: regions inside the arena window, each made of one chunk (or several, for
 * allocations beyond the largest chunk), with an allocator of its own. Staging and pinned memory
 * never share a region: staging regions are kept and used again, pinned ones go back to the system
 * when empty.
 */
#include "link/runtime.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "link/cancel.h"
#include "link/pages.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define REGION_FIRST (4ull << 20)
#define REGION_DEAR  (512ull << 10) /* the same where each page costs a grant on both sides */
#define REGION_MOST  (256ull << 20) /* beyond it regions grow only as allocations need */
#define REGION_ALIGN (2ull << 20)   /* huge pages at both ends, where there are any */

struct pvgpu_region {
	unsigned char *base;
	uint64_t size;
	bool staging;
	struct pvgpu_pages pages;
};

/* Under arena.lock: the region that p lies in. */
static struct pvgpu_region *region_of(const struct pvgpu_arena *a, const void *p)
{
	unsigned int lo = 0, hi = a->n;

	while (lo < hi) {
		const unsigned int mid = (lo + hi) / 2;
		struct pvgpu_region *r = a->region[mid];

		if ((const unsigned char *)p < r->base)
			hi = mid;
		else if ((uint64_t)((const unsigned char *)p - r->base) < r->size)
			return r;
		else
			lo = mid + 1;
	}
	return NULL;
}

static void *alloc_inside(struct pvgpu_arena *a, uint64_t size, bool staging)
{
	for (unsigned int i = 0; i < a->n; i++) {
		struct pvgpu_region *r = a->region[i];
		int64_t at = r->staging == staging ? pvgpu_pages_alloc(&r->pages, size) : -1;

		if (at >= 0)
			return r->base + at;
	}
	return NULL;
}

/* Under arena.grow: the lowest gap of size bytes in the window, and its place among the regions. */
static unsigned char *find_gap(const struct pvgpu_session *s, uint64_t size, unsigned int *place)
{
	const struct pvgpu_arena *a = &s->arena;
	const uint64_t end = s->info.arena_base + s->info.arena_size;
	uint64_t at = s->info.arena_base;

	for (unsigned int i = 0; i <= a->n; i++) {
		uint64_t limit = i < a->n ? (uintptr_t)a->region[i]->base : end;

		at = (at + REGION_ALIGN - 1) / REGION_ALIGN * REGION_ALIGN;
		if (at <= limit && size <= limit - at) {
			*place = i;
			return (unsigned char *)(uintptr_t)at;
		}
		if (i < a->n)
			at = limit + a->region[i]->size;
	}
	return NULL;
}

/* Bytes of the largest chunk: a region larger than that has several. */
static uint64_t chunk_most(const struct pvgpu_session *s)
{
	const uint64_t most = s->link->chunk_max / PVGPU_PAGE * PVGPU_PAGE;

	return most && most < PVGPU_CHUNK_MAX ? most : PVGPU_CHUNK_MAX;
}

/*
 * Remove chunks at base, of `size` bytes in all, until one is busy; returns how many bytes are
 * gone. A chunk whose removal fails is unmapped here, too, so it counts as gone.
 */
static uint64_t drop_chunks(struct pvgpu_session *s, unsigned char *base, uint64_t size)
{
	const uint64_t most = chunk_most(s);
	uint64_t at = 0;
	int err = 0;

	while (at < size) {
		const uint64_t n = size - at < most ? size - at : most;
		const int e = s->link->ops->shrink(s->link, base + at, n);

		if (e == -EBUSY)
			break;
		err = err ? err : e;
		at += n;
	}
	if (err)
		pvgpu_session_fail(s, "the worker failed to release arena memory");
	return at;
}

/* Chunks that no command has named: an honest worker cannot be using them. */
static void drop_unused(struct pvgpu_session *s, unsigned char *base, uint64_t size)
{
	if (drop_chunks(s, base, size) != size)
		pvgpu_session_fail(s, "the worker failed to release unused arena memory");
}

static int add_chunks(struct pvgpu_session *s, unsigned char *base, uint64_t size)
{
	const uint64_t most = chunk_most(s);

	for (uint64_t at = 0; at < size; at += most) {
		const uint64_t n = size - at < most ? size - at : most;
		int err = pvgpu_is_dead(s) ? -EPIPE : s->link->ops->grow(s->link, base + at, n);

		if (err) {
			drop_unused(s, base, at);
			return err;
		}
	}
	return 0;
}

static bool make_room(struct pvgpu_arena *a)
{
	const unsigned int cap = a->cap ? a->cap * 2 : 8;
	struct pvgpu_region **region;

	if (a->n < a->cap)
		return true;
	region = realloc(a->region, cap * sizeof(*region));
	if (!region)
		return false;
	a->region = region;
	a->cap = cap;
	return true;
}

/* Under arena.lock: out of the table, so that no thread allocates from it; and back. */
static void take_out(struct pvgpu_arena *a, unsigned int i)
{
	a->n--;
	memmove(&a->region[i], &a->region[i + 1], (a->n - i) * sizeof(a->region[0]));
}

static void put_in(struct pvgpu_arena *a, unsigned int i, struct pvgpu_region *r)
{
	memmove(&a->region[i + 1], &a->region[i], (a->n - i) * sizeof(a->region[0]));
	a->region[i] = r;
	a->n++;
}

/* Under arena.grow: a region of size bytes. 0 or a negative errno. */
static int add_region(struct pvgpu_session *s, uint64_t size, bool staging)
{
	struct pvgpu_arena *a = &s->arena;
	struct pvgpu_region *r = calloc(1, sizeof(*r));
	unsigned int place;
	int err = -ENOMEM;

	if (!r || pvgpu_pages_init(&r->pages, (uint32_t)(size / PVGPU_PAGE)))
		goto out_free;
	r->size = size;
	r->staging = staging;
	r->base = find_gap(s, size, &place);
	if (!r->base)
		goto out_pages;
	err = add_chunks(s, r->base, size);
	if (err)
		goto out_pages;
	pvgpu_lock(&a->lock);
	if (make_room(a)) {
		put_in(a, place, r);
		a->used += size;
		pvgpu_unlock(&a->lock);
		return 0;
	}
	pvgpu_unlock(&a->lock);
	drop_unused(s, r->base, size);
	err = -ENOMEM;
out_pages:
	pvgpu_pages_destroy(&r->pages);
out_free:
	free(r);
	return err;
}

/*
 * Under arena.grow: give an empty region's chunks back, from its begin to the first one that the
 * worker still uses. False: the rest is left, as a smaller region.
 */
static bool give_back(struct pvgpu_session *s, struct pvgpu_region *r)
{
	const uint64_t gone = drop_chunks(s, r->base, r->size);

	pvgpu_lock(&s->arena.lock);
	s->arena.used -= gone;
	pvgpu_unlock(&s->arena.lock);
	if (gone && gone < r->size) {
		struct pvgpu_pages less;

		if (pvgpu_pages_init(&less, (uint32_t)((r->size - gone) / PVGPU_PAGE))) {
			pvgpu_session_fail(s, "out of memory");
			return true;
		}
		pvgpu_pages_destroy(&r->pages);
		r->pages = less;
	}
	if (gone == r->size)
		return true;
	r->base += gone;
	r->size -= gone;
	return false;
}

/*
 * Under arena.grow: give empty regions back, with `all` staging ones, too. A region is busy while
 * other threads' work in flight may use it; it stays until the next trim.
 */
static void trim(struct pvgpu_session *s, bool all)
{
	struct pvgpu_arena *a = &s->arena;
	unsigned int i = 0;

	pvgpu_lock(&a->lock);
	a->trim = false;
	while (i < a->n) {
		struct pvgpu_region *r = a->region[i];
		bool gone;

		if (r->pages.used || (r->staging && !all)) {
			i++;
			continue;
		}
		take_out(a, i);
		pvgpu_unlock(&a->lock);
		gone = give_back(s, r);
		if (gone) {
			/* A program that allocates and frees in turn must not get ever larger
			 * regions. */
			if (r->size < a->next[r->staging])
				a->next[r->staging] = r->size;
			pvgpu_pages_destroy(&r->pages);
			free(r);
		}
		pvgpu_lock(&a->lock);
		if (!gone) {
			/* The table changes under arena.grow only: the place is still i. */
			put_in(a, i++, r);
			a->trim |= !r->staging;
		}
	}
	pvgpu_unlock(&a->lock);
}

/* Under arena.grow: bytes that the session may still add. */
static uint64_t bytes_left(const struct pvgpu_session *s)
{
	const struct pvgpu_arena *a = &s->arena;
	const uint64_t limit = s->link->arena_limit < s->info.arena_size ? s->link->arena_limit
									 : s->info.arena_size;

	return a->used < limit ? (limit - a->used) / PVGPU_PAGE * PVGPU_PAGE : 0;
}

static uint64_t region_first(const struct pvgpu_session *s)
{
	return chunk_most(s) < PVGPU_CHUNK_MAX ? REGION_DEAR : REGION_FIRST;
}

/* The size up to which regions double: with a small limit, an eighth of it. */
static uint64_t region_most(const struct pvgpu_session *s)
{
	const uint64_t part = s->link->arena_limit / 8 / PVGPU_PAGE * PVGPU_PAGE;
	uint64_t most = chunk_most(s);

	if (most > REGION_MOST)
		most = REGION_MOST;
	if (most > part && part > REGION_FIRST)
		most = part;
	return most;
}

/*
 * Under arena.grow: add a region that an allocation of size bytes fits into. It is larger than
 * that, so that later allocations fit, too. When memory is short it is made smaller: a guest's
 * grants are few, and other processes need some. 0 or a negative errno.
 */
static int grow_for(struct pvgpu_session *s, uint64_t size, bool staging, bool again)
{
	struct pvgpu_arena *a = &s->arena;
	const uint64_t left = bytes_left(s), most = region_most(s);
	uint64_t want = again || !a->next[staging] ? region_first(s) : a->next[staging];
	bool less = false;
	int err;

	if (size > left || size / PVGPU_PAGE >= UINT32_MAX)
		return -ENOMEM;
	size = (size + PVGPU_PAGE - 1) / PVGPU_PAGE * PVGPU_PAGE;
	if (want < size)
		want = size;
	if (want > left)
		want = left;
	for (;;) {
		err = add_region(s, want, staging);
		if (!err || err == -EPROTO || err == -EPIPE || want <= size)
			break;
		less = true;
		want = want / 2 / PVGPU_PAGE * PVGPU_PAGE;
		if (want < size)
			want = size;
	}
	if (!err) {
		want = less ? want : want * 2;
		a->next[staging] = want < most ? want : most;
	}
	return err;
}

/* Grow the arena; the allocation is tried again under arena.grow first, so that threads share a
 * region that one of them adds. */
static void *alloc_grown(struct pvgpu_session *s, uint64_t size, bool staging)
{
	struct pvgpu_arena *a = &s->arena;
	const int cancel = pvgpu_cancel_off();
	void *p = NULL;
	int err = 0;

	pvgpu_lock(&a->grow);
	for (int attempt = 0; !p && attempt < 2; attempt++) {
		pvgpu_lock(&a->lock);
		p = alloc_inside(a, size, staging);
		pvgpu_unlock(&a->lock);
		if (p)
			break;
		if (attempt)
			trim(s, true);
		err = grow_for(s, size, staging, attempt);
		if (!err) {
			pvgpu_lock(&a->lock);
			p = alloc_inside(a, size, staging);
			pvgpu_unlock(&a->lock);
		} else if (err == -EPROTO || err == -EPIPE) {
			break;
		}
	}
	pvgpu_unlock(&a->grow);
	if (err == -EPROTO)
		pvgpu_session_fail(s, "the worker's answer about arena memory is invalid");
	else if (err == -EPIPE)
		pvgpu_session_lost(s); /* now: the caller would take it for a shortage */
	pvgpu_cancel_back(cancel);
	return p;
}

void *pvgpu_arena_alloc(struct pvgpu_session *s, uint64_t size, bool staging)
{
	struct pvgpu_arena *a = &s->arena;
	void *p;

	if (!size || pvgpu_is_dead(s))
		return NULL;
	pvgpu_lock(&a->lock);
	p = alloc_inside(a, size, staging);
	pvgpu_unlock(&a->lock);
	if (!p && !pvgpu_in_mark)
		p = alloc_grown(s, size, staging);
	/* Populate pinned memory now: a shortage is an error here, and would be a fault later. */
	if (p && !staging && size >= PVGPU_PAGE && madvise(p, size, MADV_POPULATE_WRITE) < 0 &&
	    errno != EINVAL) {
		pvgpu_arena_free(s, p);
		return NULL;
	}
	return p;
}

void pvgpu_arena_free(struct pvgpu_session *s, void *p)
{
	struct pvgpu_arena *a = &s->arena;
	struct pvgpu_region *r;
	bool now;
	int cancel;

	pvgpu_lock(&a->lock);
	r = p ? region_of(a, p) : NULL;
	if (r && pvgpu_pages_free(&r->pages, (uint64_t)((unsigned char *)p - r->base)) &&
	    !r->pages.used && !r->staging)
		a->trim = true;
	now = a->trim && !pvgpu_in_mark;
	pvgpu_unlock(&a->lock);
	if (!now)
		return;
	cancel = pvgpu_cancel_off();
	pvgpu_lock(&a->grow);
	trim(s, false);
	pvgpu_unlock(&a->grow);
	pvgpu_cancel_back(cancel);
}

void pvgpu_arena_free_all(struct pvgpu_session *s)
{
	for (unsigned int i = 0; i < s->arena.n; i++) {
		pvgpu_pages_destroy(&s->arena.region[i]->pages);
		free(s->arena.region[i]);
	}
	free(s->arena.region);
}
