/* SPDX-License-Identifier: MIT */
/*
 * Handles: handle.c. The tables, with the size of each type's objects, are in cuda/objects.c.
 *
 * A handle that the application holds is an opaque number (type, generation, index) that is looked
 * up in a table here and never dereferenced. The wire handle of the same object is a field of it,
 * because some objects (the primary context) outlive the worker's object.
 */
#ifndef PVGPU_CUDA_CORE_OBJECT_H
#define PVGPU_CUDA_CORE_OBJECT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct ctx;

/* The first member of every object that the application has a handle of. Slots are never given back
 * to the allocator: a stale handle finds a free slot or one of another generation, never freed
 * memory. */
struct object {
	_Atomic uint32_t generation; /* of the live object; 0: none */
	uint32_t last_generation;
	uint32_t index;
	uint32_t type;   /* enum pvgpu_handle_type */
	uint64_t wire;   /* the worker's handle */
	struct ctx *ctx; /* the context that it lives in; NULL for contexts, libraries, kernels */
	struct object *prev, *next; /* the context's objects; under ctx.lock */
	struct object *free_next;
};

enum { OBJECT_CHUNK = 256, OBJECT_CHUNKS = PVGPU_HANDLES_MAX / OBJECT_CHUNK };
enum { OBJECT_TYPES = PVGPU_H_END, OBJECT_INDEX_SHIFT = 4, OBJECT_TYPE_SHIFT = 56 };

struct object_table {
	_Atomic(char *) chunk[OBJECT_CHUNKS];
	size_t size; /* of one object */
	pthread_mutex_t lock;
	struct object *free;
	uint32_t used; /* slots that exist */
};
extern struct object_table object_tables[OBJECT_TYPES];

/* A zeroed object with a wire handle, which object_find() does not find until it is published; NULL
 * when out of handles. */
void *object_new(enum pvgpu_handle_type type);
/* Let object_find() find it, and put it on its context's list when it has a context (functions are
 * on lists of their modules and kernels). */
void object_publish(struct object *o);
/* Take it out of the tables; true for the one caller that did it. */
bool object_retire(struct object *o);
/* Free an object that is not published or is retired. */
void object_free(struct object *o);

static inline void *object_handle(const struct object *o)
{
	const uint64_t generation = atomic_load_explicit(&o->generation, memory_order_relaxed);

	return (void *)(uintptr_t)((uint64_t)o->type << OBJECT_TYPE_SHIFT | generation << 32 |
				   (uint64_t)o->index << OBJECT_INDEX_SHIFT);
}

static inline void *object_in(const struct object_table *tables, enum pvgpu_handle_type type,
			      const void *handle)
{
	const uint64_t h = (uintptr_t)handle;
	const uint32_t index = (uint32_t)h >> OBJECT_INDEX_SHIFT;
	const uint32_t generation = (uint32_t)(h >> 32) & 0xffffff;
	const struct object_table *t = &tables[type];
	struct object *o;
	char *chunk;

	if (h >> OBJECT_TYPE_SHIFT != type || !generation || index >= PVGPU_HANDLES_MAX ||
	    (h & ((1u << OBJECT_INDEX_SHIFT) - 1)))
		return NULL;
	chunk = atomic_load_explicit(&t->chunk[index / OBJECT_CHUNK], memory_order_acquire);
	if (!chunk)
		return NULL;
	o = (struct object *)(chunk + index % OBJECT_CHUNK * t->size);
	return atomic_load_explicit(&o->generation, memory_order_acquire) == generation ? o : NULL;
}

static inline void *object_find(enum pvgpu_handle_type type, const void *handle)
{
	return object_in(object_tables, type, handle);
}

#endif
