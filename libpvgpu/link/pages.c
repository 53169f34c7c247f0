/* SPDX-License-Identifier: MIT */
#include "link/pages.h"

#include <errno.h>
#include <stdlib.h>

enum { FREE = 0, RUN = 1, PART = 2, SLOTS = 3 };
enum { SLOT_MIN = 64, FIT_TRIES = 16 };

static unsigned int log2_of(uint32_t n)
{
	return 31u - (unsigned int)__builtin_clz(n);
}

static void list_add(struct pvgpu_pages *p, uint32_t *list, uint32_t at)
{
	p->page[at].prev = 0;
	p->page[at].next = *list;
	if (*list)
		p->page[*list - 1].prev = at + 1;
	*list = at + 1;
}

static void list_remove(struct pvgpu_pages *p, uint32_t *list, uint32_t at)
{
	struct pvgpu_page *g = &p->page[at];

	if (g->next)
		p->page[g->next - 1].prev = g->prev;
	if (g->prev)
		p->page[g->prev - 1].next = g->next;
	else
		*list = g->next;
}

static void free_run_add(struct pvgpu_pages *p, uint32_t at, uint32_t len)
{
	const unsigned int bin = log2_of(len);

	p->page[at].kind = FREE;
	p->page[at].len = len;
	p->page[at + len - 1].kind = FREE;
	p->page[at + len - 1].head = at;
	list_add(p, &p->bin[bin], at);
	p->bins |= 1u << bin;
}

static void free_run_remove(struct pvgpu_pages *p, uint32_t at)
{
	const unsigned int bin = log2_of(p->page[at].len);

	list_remove(p, &p->bin[bin], at);
	if (!p->bin[bin])
		p->bins &= ~(1u << bin);
}

int pvgpu_pages_init(struct pvgpu_pages *p, uint32_t n)
{
	*p = (struct pvgpu_pages){.n = n};
	p->page = calloc(n, sizeof(*p->page));
	if (!p->page)
		return -ENOMEM;
	free_run_add(p, 0, n);
	return 0;
}

void pvgpu_pages_destroy(struct pvgpu_pages *p)
{
	free(p->page);
	p->page = NULL;
}

/* A free run of at least n pages, 0 or page + 1: a fitting one of n's own bin, or any of a larger
 * one. */
static uint32_t find_run(const struct pvgpu_pages *p, uint32_t n)
{
	const unsigned int bin = log2_of(n);
	uint32_t at = p->bin[bin], larger;

	for (int i = 0; at && i < FIT_TRIES; i++, at = p->page[at - 1].next)
		if (p->page[at - 1].len >= n)
			return at;
	larger = bin + 1 < PVGPU_PAGES_BINS ? p->bins >> (bin + 1) << (bin + 1) : 0;
	if (larger)
		return p->bin[__builtin_ctz(larger)];
	for (; at; at = p->page[at - 1].next)
		if (p->page[at - 1].len >= n)
			return at;
	return 0;
}

static int64_t alloc_run(struct pvgpu_pages *p, uint32_t n, uint8_t kind)
{
	uint32_t at = find_run(p, n), len;

	if (!at)
		return -1;
	at--;
	len = p->page[at].len;
	free_run_remove(p, at);
	if (len > n)
		free_run_add(p, at + n, len - n);
	for (uint32_t i = 0; i < n; i++) {
		p->page[at + i].kind = PART;
		p->page[at + i].head = at;
	}
	p->page[at].kind = kind;
	p->page[at].len = n;
	p->used += n;
	return at;
}

static void free_run(struct pvgpu_pages *p, uint32_t at)
{
	uint32_t len = p->page[at].len;

	p->used -= len;
	p->page[at].kind = FREE; /* merged below, this page may not head the free run */
	if (at + len < p->n && p->page[at + len].kind == FREE) {
		const uint32_t more = p->page[at + len].len;

		free_run_remove(p, at + len);
		len += more;
	}
	if (at && p->page[at - 1].kind == FREE) {
		const uint32_t head = p->page[at - 1].head;

		free_run_remove(p, head);
		len += at - head;
		at = head;
	}
	free_run_add(p, at, len);
}

static uint64_t all_slots(unsigned int slab)
{
	const unsigned int n = PVGPU_PAGE / SLOT_MIN >> slab;

	return n == 64 ? ~0ull : (1ull << n) - 1;
}

static int64_t alloc_slot(struct pvgpu_pages *p, unsigned int slab)
{
	uint32_t at = p->slab[slab];
	unsigned int slot;

	if (at) {
		at--;
	} else {
		int64_t page = alloc_run(p, 1, SLOTS);

		if (page < 0)
			return -1;
		at = (uint32_t)page;
		p->page[at].slab = (uint8_t)slab;
		p->page[at].slots = all_slots(slab);
		list_add(p, &p->slab[slab], at);
	}
	slot = (unsigned int)__builtin_ctzll(p->page[at].slots);
	p->page[at].slots &= p->page[at].slots - 1;
	if (!p->page[at].slots)
		list_remove(p, &p->slab[slab], at);
	return (int64_t)at * PVGPU_PAGE + ((int64_t)slot * SLOT_MIN << slab);
}

int64_t pvgpu_pages_alloc(struct pvgpu_pages *p, uint64_t size)
{
	const uint64_t n = (size + PVGPU_PAGE - 1) / PVGPU_PAGE;
	int64_t at;

	if (size <= PVGPU_PAGE / 2)
		return alloc_slot(p, size <= SLOT_MIN ? 0 : log2_of((uint32_t)size - 1) - 5);
	if (size > UINT64_MAX - PVGPU_PAGE || n > p->n)
		return -1;
	at = alloc_run(p, (uint32_t)n, RUN);
	return at < 0 ? at : at * PVGPU_PAGE;
}

static bool free_slot(struct pvgpu_pages *p, uint32_t at, uint32_t within)
{
	struct pvgpu_page *g = &p->page[at];
	const unsigned int size = (unsigned int)SLOT_MIN << g->slab;
	const uint64_t bit = 1ull << within / size;

	if (within % size || (g->slots & bit))
		return false;
	if (!g->slots)
		list_add(p, &p->slab[g->slab], at);
	g->slots |= bit;
	if (g->slots == all_slots(g->slab)) {
		list_remove(p, &p->slab[g->slab], at);
		free_run(p, at);
	}
	return true;
}

bool pvgpu_pages_free(struct pvgpu_pages *p, uint64_t offset)
{
	const uint64_t at = offset / PVGPU_PAGE;
	const uint32_t within = offset % PVGPU_PAGE;

	if (at >= p->n)
		return false;
	if (p->page[at].kind == SLOTS && p->page[at].head == at)
		return free_slot(p, (uint32_t)at, within);
	if (p->page[at].kind != RUN || within)
		return false;
	free_run(p, (uint32_t)at);
	return true;
}
