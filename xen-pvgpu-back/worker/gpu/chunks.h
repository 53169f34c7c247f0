/* SPDX-License-Identifier: MIT */
/*
 * The table of the arena's chunks: which ranges are mapped, which commands use them, and through
 * which context each is page-locked. The decoding thread adds and removes chunks; any thread may
 * look one up or pin it.
 */
#ifndef PVGPU_WORKER_CHUNKS_H
#define PVGPU_WORKER_CHUNKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "gpu.h"

struct ctx;

struct chunk {
	uint64_t addr, size;
	uint32_t users; /* commands under way; while there are any the chunk stays mapped */
	bool registered;
	struct ctx *ctx; /* that registers it; referenced, NULL: none yet */
};

struct chunks {
	pthread_mutex_t lock; /* of all below */
	struct chunk *at;     /* sorted by address, without overlaps */
	uint32_t count, cap;
};

void chunks_init(struct chunks *t);
void chunks_free(struct chunks *t);

/* The number of the first chunk that ends above an address; t->count: none. Lock held. */
uint32_t chunks_seek(const struct chunks *t, uint64_t addr);
enum gpu_arena_found chunks_find(struct chunks *t, uint64_t addr, uint64_t size);

/* A range that chunks_find() calls free. 0 or -ENOMEM. */
int chunks_add(struct chunks *t, uint64_t addr, uint64_t size);
/* *was: as it was. 0; -ENOENT: no such chunk; -EBUSY: it has users. */
int chunks_remove(struct chunks *t, uint64_t addr, uint64_t size, struct chunk *was);

/* How many of the bytes lie in the chunk of the first one; all of them where there is no chunk. */
uint64_t chunks_part(struct chunks *t, uint64_t addr, uint64_t len);
/* Does the range lie wholly in chunks? chunks_pin() also adds a user to each of them. */
bool chunks_contain(struct chunks *t, uint64_t addr, uint64_t len);
bool chunks_pin(struct chunks *t, uint64_t addr, uint64_t len);
void chunks_unpin(struct chunks *t, uint64_t addr, uint64_t len);

#endif
