/* SPDX-License-Identifier: MIT */
/*
 * An allocator over a range of pages. It never touches their contents: the worker can write there,
 * so all bookkeeping lies elsewhere. Runs of pages come from segregated free lists with coalescing,
 * sizes of up to half a page from pages cut into equal slots. Not locked.
 */
#ifndef PVGPU_LINK_PAGES_H
#define PVGPU_LINK_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#define PVGPU_PAGE 4096u

enum { PVGPU_PAGES_BINS = 32, PVGPU_PAGES_SLABS = 6 }; /* slots of 64 to 2048 bytes */

struct pvgpu_page {
	uint64_t slots;      /* page of slots: bits of free ones */
	uint32_t len;        /* head of a run: pages */
	uint32_t head;       /* used run: its head; last page of a free run: its head */
	uint32_t prev, next; /* list of free runs, or of pages with free slots; page + 1, 0 ends */
	uint8_t kind, slab;
};

struct pvgpu_pages {
	struct pvgpu_page *page;
	uint32_t n, used;               /* pages */
	uint32_t bins;                  /* bit i: bin[i] is not empty */
	uint32_t bin[PVGPU_PAGES_BINS]; /* free runs of 2^i pages up to 2^(i+1) - 1 */
	uint32_t slab[PVGPU_PAGES_SLABS];
};

/* 0 or -ENOMEM. */
int pvgpu_pages_init(struct pvgpu_pages *p, uint32_t n);
void pvgpu_pages_destroy(struct pvgpu_pages *p);
/* Offset in bytes, or -1: no room. size > 0. */
int64_t pvgpu_pages_alloc(struct pvgpu_pages *p, uint64_t size);
/* False: nothing begins at offset. */
bool pvgpu_pages_free(struct pvgpu_pages *p, uint64_t offset);

#endif
