/* SPDX-License-Identifier: MIT */
/*
 * The device window: a range of addresses reserved through the far end. The guest reserves the same
 * range in its process; when it cannot, it asks for another attempt.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"

#define WINDOW_DEFAULT (256ull << 30)
#define WINDOW_MIN     (1ull << 30)

/* Where to ask for it, by attempt: ranges that programs and sanitizers rarely use; 0: anywhere. */
static uint64_t wanted(uint32_t attempt)
{
	static const uint64_t first[] = {
		0x200000000000, 0, 0x300000000000, 0x1000000000, 0x400000000000, 0x4000000000,
	};
	const uint32_t n = sizeof(first) / sizeof(first[0]);

	if (attempt < n)
		return first[attempt];
	return attempt % 2 ? 0 : 0x210000000000 + (uint64_t)attempt * 0x010000000000;
}

static void *lazy(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static size_t map_bytes(const struct window *v)
{
	return (v->pages + 63) / 64 * 8;
}

void window_release(struct gpu *g)
{
	struct window *v = &g->mem.win;

	if (v->taken)
		munmap(v->taken, map_bytes(v));
	if (v->at)
		munmap(v->at, v->pages * sizeof(*v->at));
	if (v->base)
		g->far->cuMemAddressFree(v->base, v->size);
	v->taken = NULL;
	v->at = NULL;
	v->base = 0;
}

int window_reserve(struct gpu *g, uint32_t attempt, uint64_t size, char *reason, size_t cap)
{
	struct window *v = &g->mem.win;
	CUdeviceptr base = 0;
	int r = -1;

	window_release(g);
	size = (size ? size : WINDOW_DEFAULT) / v->page * v->page;
	for (; size >= WINDOW_MIN; size = size / 2 / v->page * v->page) {
		r = (int)g->far->cuMemAddressReserve(&base, size, v->page, wanted(attempt), 0);
		if (!r)
			break;
	}
	if (size < WINDOW_MIN || r) {
		snprintf(reason, cap,
			 "cannot reserve the device window: cuMemAddressReserve failed with "
			 "CUresult %d",
			 r);
		return -1;
	}
	v->base = base;
	v->size = size;
	v->pages = size / v->page;
	v->next = 0;
	v->attempt = attempt;
	v->taken = lazy(map_bytes(v));
	v->at = lazy(v->pages * sizeof(*v->at));
	if (v->taken && v->at)
		return 0;
	window_release(g);
	snprintf(reason, cap, "out of memory for the device window's map");
	return -1;
}

static bool is_taken(const struct window *v, uint64_t page)
{
	return v->taken[page / 64] >> (page % 64) & 1;
}

/* The first of n free pages in [from, to), or `to`. */
static uint64_t find(const struct window *v, uint64_t from, uint64_t to, uint64_t n)
{
	uint64_t run = 0;

	for (uint64_t p = from; p < to; p++) {
		if (!(p % 64) && v->taken[p / 64] == ~0ull) {
			run = 0;
			p += 63;
			continue;
		}
		run = is_taken(v, p) ? 0 : run + 1;
		if (run == n)
			return p + 1 - n;
	}
	return to;
}

uint64_t window_take(struct window *v, uint64_t n)
{
	uint64_t at;

	if (!n || n + 2 > v->pages)
		return 0;
	at = find(v, v->next, v->pages, n + 2);
	if (at == v->pages)
		at = find(v, 0, v->pages, n + 2);
	if (at == v->pages)
		return 0;
	at++;
	for (uint64_t p = at; p < at + n; p++)
		v->taken[p / 64] |= 1ull << (p % 64);
	v->next = at + n;
	return v->base + at * v->page;
}

uint64_t window_take_aligned(struct window *v, uint64_t n, uint64_t align)
{
	const uint64_t extra = align > v->page ? align / v->page - 1 : 0;
	const uint64_t got = window_take(v, n + extra);
	uint64_t first, skipped;

	if (!got || !extra)
		return got;
	first = (got + align - 1) & ~(align - 1);
	skipped = (first - got) / v->page;
	window_put(v, got, skipped);
	window_put(v, first + n * v->page, extra - skipped);
	return first;
}

bool window_take_at(struct window *v, uint64_t addr, uint64_t n)
{
	const uint64_t at = (addr - v->base) / v->page;

	if (addr <= v->base || addr % v->page || !n || at >= v->pages || n >= v->pages - at ||
	    find(v, at - 1, at + n + 1, n + 2) != at - 1)
		return false;
	for (uint64_t p = at; p < at + n; p++)
		v->taken[p / 64] |= 1ull << (p % 64);
	return true;
}

void window_fill(struct window *v, uint64_t addr, uint64_t size, struct area *a)
{
	const uint64_t first = (addr - v->base) / v->page;

	for (uint64_t i = 0; i < size / v->page; i++)
		v->at[first + i] = a;
}

void window_put(struct window *v, uint64_t addr, uint64_t n)
{
	const uint64_t at = (addr - v->base) / v->page;

	for (uint64_t p = at; p < at + n; p++)
		v->taken[p / 64] &= ~(1ull << (p % 64));
}
