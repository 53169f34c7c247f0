/* SPDX-License-Identifier: MIT */
/*
 * Memory pools of the guest. A pool takes segments of device memory from the worker as
 * cuMemAlloc() does, so that the vGPU's quota holds for what it has reserved, and cuts them into
 * blocks here: an allocation from memory that is reserved already sends nothing.
 *
 * A block that was freed in a stream may be given to later work of that stream at once, and to
 * others when the work before the free is known to have ended.
 */
#ifndef PVGPU_CUDA_POOL_H
#define PVGPU_CUDA_POOL_H

#include "cuda/core/public.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct ctx;

enum {
	POOL_UNIT = PVGPU_ALLOC_UNIT, /* sizes of blocks */
	POOL_BINS = 160,
	POOL_SEGMENT = PVGPU_ALLOC_PAGE, /* the least that is asked of the worker */
	POOLS_MAX = 4096,
};

struct pool;

struct segment {
	struct pool *pool;
	struct ctx *ctx;
	uint64_t base, size;
	struct block *first;
	struct segment *next, *prev;
};

struct block {
	struct segment *seg;
	uint64_t addr, size;
	struct block *next, *prev; /* in the segment, by address */
	struct block *more, *less; /* free: in its bin */
	bool used;
	bool shared; /* other processes may open it: its tokens go when it is freed */
	/* Free: it may be in use by the stream until that place has ended; 0: it is not. Used: the
	 * same, by the work before the last free. */
	uint64_t stream, place;
};

struct pool {
	uint32_t index, generation;
	int device;
	bool dead; /* destroyed; lives on while blocks of it are used */
	bool standard;
	bool shareable; /* with other processes */
	bool imported;  /* another process's: it gives no memory */
	int reuse[3];   /* by CUmemPool_attribute - 1 */
	uint64_t threshold, most;
	uint64_t reserved, reserved_high, used, used_high;
	struct segment *segments;
	struct block *bin[POOL_BINS];
};

/* One lock for all pools, taken before that of memory_map.c. */
extern pthread_mutex_t pools_lock;

/* Under the lock: */

/* A block for work in the stream; NULL: the pool has to grow. */
struct block *pool_take(struct pool *p, const struct ctx *c, uint64_t stream, uint64_t size);
/* Free from that place of the stream on; 0: as soon as it would have been before it was taken. */
void pool_give(struct block *b, uint64_t stream, uint64_t place);
/* A new segment, in one free block. False: no memory. */
bool pool_add(struct pool *p, struct ctx *c, uint64_t base, uint64_t size);
/* Give back segments that nothing uses while more than `keep` is reserved. */
void pool_trim(struct pool *p, uint64_t keep);
/* The context's memory is gone. */
void pool_drop_ctx(struct pool *p, const struct ctx *c);

/* pool_calls.c */
void pool_each(void (*fn)(struct pool *p, void *arg), void *arg);
struct pool *pool_find(CUmemoryPool h);
struct pool *pool_current(int device);
/* A destroyed pool gives back what nothing uses, and is gone with the last of it. True: it has more
 * that will be unused. */
bool pool_collect(struct pool *p);
CUmemoryPool pool_handle(const struct pool *p);

CUmemoryPool pool_of_block(const struct block *b);
/* Another process's; 0: out of memory. */
CUmemoryPool pool_import(int device);

/* pool_alloc.c */
/* The block's use has ended: cuMemFree(). */
void pool_free(struct block *b);
/* A block that other processes may open is about to be freed. */
void pool_unshare(struct block *b);
void pool_forget_ctx(struct ctx *c);

#endif
