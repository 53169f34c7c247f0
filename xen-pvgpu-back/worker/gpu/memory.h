/* SPDX-License-Identifier: MIT */
/*
 * Device memory of a session: the window, the pages mapped in it, small blocks inside pages.
 *
 * A page is the far end's allocation granularity or 2 MiB, whichever is larger. Small allocations
 * (less than 1 MiB) share pages of their size class, called slabs, a set of slabs for each context;
 * everything else has pages of its own, with an unmapped page on either side. Every mapped page is
 * leased.
 */
#ifndef PVGPU_WORKER_MEMORY_H
#define PVGPU_WORKER_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;
struct ctx;
struct job;

/* suballoc.c: blocks of one size in one page; no far end, no lock. */
#define SLAB_UNIT    PVGPU_ALLOC_UNIT
#define SLAB_LARGE   PVGPU_ALLOC_LARGE /* from here on: own pages */
#define SLAB_CLASSES 48

struct slab {
	uint32_t block, count, used; /* bytes of a block, blocks, blocks taken */
	uint32_t freeing;            /* of these, given back but still in use */
	uint32_t hint;               /* word of the map where to look first */
	uint64_t *map;               /* a bit for each block that is taken */
	uint32_t *len;               /* bytes asked for; 0: free, or given back but still in use */
};

unsigned int slab_class(uint64_t size);
uint32_t slab_block(unsigned int class);
struct slab *slab_new(uint64_t page, unsigned int class);
void slab_free(struct slab *s);
/* A block's number, or -1 when there is none left. */
int64_t slab_take(struct slab *s, uint32_t len);
void slab_put(struct slab *s, uint32_t block);

/* window.c: the address window and its pages. */
struct window {
	uint64_t base, size, page;
	uint32_t attempt;
	uint64_t pages, next; /* number; where to look first */
	uint64_t *taken;      /* a bit for each page */
	struct area **at;     /* the area that maps each page */
};

int window_reserve(struct gpu *g, uint32_t attempt, uint64_t size, char *reason, size_t cap);
void window_release(struct gpu *g);
/* n pages with an unmapped one before and after them; 0 when there are none. */
uint64_t window_take(struct window *v, uint64_t n);
/* The same, at a multiple of align bytes, a power of two or 0. */
uint64_t window_take_aligned(struct window *v, uint64_t n, uint64_t align);
/* The same, at this address; false when something is there or beside it. */
bool window_take_at(struct window *v, uint64_t addr, uint64_t n);
void window_put(struct window *v, uint64_t addr, uint64_t n);
/* Pages of addr and after it are mapped by an area; NULL: by none. */
void window_fill(struct window *v, uint64_t addr, uint64_t size, struct area *a);

/* memory.c */
struct area { /* pages mapped together */
	uint64_t addr, size;
	uint64_t len; /* bytes asked for; 0: given back, or a slab */
	unsigned long long far;
	struct slab *slab;
	unsigned int class;
	struct ctx *ctx;          /* whose heap it is in, or NULL */
	struct area *next, *prev; /* in the context's heap, or in a list to release */
	struct area *more, *less; /* slabs of the same class with room */
	bool open, detached, freeing;
	uint64_t until; /* spare: when it is given back; 0: it is kept */
	bool orphan;    /* its context has gone, frees of its blocks have not come yet */
	/* share.c: a number while other sessions may have it (mem.lock); it was imported: then the
	 * first len bytes from `from` on are the guest's. */
	uint64_t number, from;
	bool imported;
	uint32_t giving;           /* exports under way; mem.lock */
	bool tokens;               /* it may have some; decoding thread */
	uint64_t serial;           /* of the area, 0: none yet; mem.lock */
	struct physical *physical; /* mapped by the guest (vmm.c); referenced; NULL: it is not */
	uint32_t access;           /* then, the device's: a CUmemAccess_flags */
	bool away;                 /* parked (swap.c): not mapped, and not leased */
};

struct heap { /* of a context; mem.lock */
	struct area *areas;
	struct area *open[SLAB_CLASSES];
};

struct global { /* of a module: known because the guest asked for it */
	uint64_t addr, size;
	const void *owner; /* module or library */
	const struct ctx *ctx;
};

struct mem_wait;
struct physical;

struct memory {
	pthread_mutex_t lock;
	struct window win;
	struct area *spare;  /* mapped pages without an allocation, the latest first */
	unsigned int spares; /* single pages that are kept */
	uint64_t lingering;  /* bytes of the others */
	uint64_t linger_ns;  /* time from a free until they are given back */
	uint32_t blocks;     /* allocations */
	uint64_t serials;    /* given to areas so far */
	/* How memory is made: so that other sessions can have it, where the far end can do that. */
	CUmemAllocationProp prop;
	uint64_t freeing; /* bytes */
	struct global *global;
	uint32_t globals, global_cap;
	atomic_uint pending;                      /* frees that have not given their memory back */
	struct mem_wait *waiting, **waiting_tail; /* side lane only */
};

#define MEM_SPARES      2u
#define MEM_BLOCKS_MAX  (1u << 22)
#define MEM_GLOBALS_MAX 65536u

enum where { AT_NOWHERE, AT_DEVICE, AT_ARENA };

int mem_init(struct gpu *g);
void mem_fini(struct gpu *g);
/* Where a range lies, wholly and in one allocation, module global or the arena. */
enum where mem_where(struct gpu *g, uint64_t addr, uint64_t len);
/* CUresult; may_wait: on the side lane, where a lease may be asked for. */
int mem_get(struct gpu *g, struct ctx *c, uint64_t size, bool may_wait, uint64_t *addr);
/* An allocation's address is invalid from here on; the memory is free with mem_put. */
bool mem_forget(struct gpu *g, uint64_t addr, struct area **area, uint32_t *block);
void mem_put(struct gpu *g, struct area *a, uint32_t block);
/* The area of an allocation that holds the range, and its serial number; NULL: none, or it was
 * imported. */
struct area *mem_shareable(struct gpu *g, uint64_t addr, uint64_t size, uint64_t *serial);
/* The area that mem_shareable() found, as long as it is there. mem.lock held. */
struct area *mem_shared(struct memory *m, uint64_t addr, uint64_t serial);
/* Imported memory, mapped, is the guest's in c from now on. */
void mem_import(struct gpu *g, struct ctx *c, struct area *a);
/* Imported memory that begins at addr is the guest's no longer; NULL: there is none. */
struct area *mem_forget_import(struct gpu *g, uint64_t addr);
/* Take a context's memory out of the map; to be given to mem_release when its work has ended. */
struct area *mem_detach(struct gpu *g, struct ctx *c);
void mem_release(struct gpu *g, struct area *list);
/* Pages of the worker's own: no address of the guest's. Side lane. A CUresult. */
int mem_own(struct gpu *g, uint64_t size, struct area **out);
void mem_own_free(struct gpu *g, struct area *a); /* NULL: nothing */
/* It is on its way back to the far end: cuMemGetInfo counts it as free already. mem.lock held. */
void area_freeing(struct memory *m, struct area *a);
/* Parking: its memory goes back to the far end, and comes again, without its contents. A CUresult.
 * Side lane. */
void area_leave(struct gpu *g, struct area *a);
int area_return(struct gpu *g, struct area *a);
/* Unmap an area of no heap and give its lease back. Side lane. */
void area_unmap(struct gpu *g, struct area *a);
/* Try again what waits for memory. Side lane. */
void mem_retry(struct gpu *g);

/* globals.c */
int global_add(struct gpu *g, uint64_t addr, uint64_t size, const void *owner, const struct ctx *c);
/* Those of a module or library, or in a context. */
void globals_remove(struct gpu *g, const void *which);
/* The last one that begins at or before an address; NULL: none does. mem.lock held. */
const struct global *global_at(const struct memory *m, uint64_t addr);

/* spare.c */
void spare_init(struct memory *m);
/* Of exactly that size, or NULL. mem.lock held. */
struct area *spare_take(struct memory *m, uint64_t size);
/* An area without an allocation; false: it is to be unmapped. Side lane. */
bool spare_keep(struct gpu *g, struct area *a, bool may_linger);
/* Give spare pages back. Side lane. */
void mem_trim(struct gpu *g);
/* Those whose time has come. Returns when to call it again, 0: no need. Side lane. */
uint64_t mem_linger(struct gpu *g);
/* Leased bytes that no allocation has: spare pages, and allocations being freed. */
uint64_t mem_free_bytes(struct gpu *g);
/* The vGPU's quota, and what a session may still have of it, for cuMemGetInfo. Bytes. */
void mem_info(struct gpu *g, uint64_t *free_bytes, uint64_t *total);

/* span.c: bytes from the first to the last of a strided range, -1 when the sizes are impossible. */
int64_t span_3d(uint64_t pitch, uint64_t rows, uint64_t width, uint64_t height, uint64_t depth);

#endif
