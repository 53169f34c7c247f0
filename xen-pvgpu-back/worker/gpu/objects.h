/* SPDX-License-Identifier: MIT */
/*
 * The session's objects and their handles: objects.c. Decoding thread.
 *
 * A slot of a table holds a chain: a one-way destroy that is still parked leaves the old generation
 * in place while the guest has made the next one already.
 */
#ifndef PVGPU_WORKER_OBJECTS_H
#define PVGPU_WORKER_OBJECTS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "park.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;

#define OBJ_MAKING (-1)

TAILQ_HEAD(obj_list, obj);

struct obj {
	uint8_t type;      /* enum pvgpu_handle_type */
	atomic_int status; /* 0; OBJ_MAKING; or why it could not be made (CUresult): poisoned */
	atomic_uint refs;
	uint64_t handle;   /* 0: in no table */
	struct obj *older; /* in the same slot */
	struct obj *owner; /* in whose list it is, or NULL */
	TAILQ_ENTRY(obj) of_owner;
	struct obj_list owned;
	struct ctx *ctx; /* referenced; NULL for contexts and libraries */
	struct gpu *gpu;
	struct order order; /* parked commands that work on it; of a context: see park.c */
};

#define TABLE_SLOTS 256u /* of a page */

struct table {
	struct obj **page[PVGPU_HANDLES_MAX / TABLE_SLOTS]; /* made when needed */
	uint32_t count;                                     /* objects, over all chains */
};

struct tables {
	struct table of[PVGPU_H_END];
};

/* Make an object for a handle that the guest chose and put it into its table and its owner's list.
 */
void *obj_new(struct gpu *g, uint32_t type, uint64_t handle, size_t size, struct ctx *ctx,
	      struct obj *owner, int *err);
/* An object without handle (stream 0). */
void *obj_bare(struct gpu *g, uint32_t type, size_t size, struct ctx *ctx);
void *obj_ref(void *o);
void obj_unref(void *o);
/* Out of table and list; the caller has the reference that the table had. */
void obj_remove(struct gpu *g, struct obj *o);
/* The same for everything owned below it, deepest first, onto `dead` by of_owner. */
void obj_remove_tree(struct gpu *g, struct obj *o, struct obj_list *dead);
/* The first of `dead`, taken out; NULL: it is empty. */
struct obj *obj_take_dead(struct obj_list *dead);
/* 0, or why the object cannot be used. */
static inline int obj_error(void *o)
{
	const int s =
		o ? atomic_load_explicit(&((struct obj *)o)->status, memory_order_acquire) : 0;

	return s < 0 ? CUDA_ERROR_INVALID_HANDLE : s;
}
void obj_ready(void *o, int result);
void *obj_lookup(void *tables, uint32_t type, uint64_t handle);
void tables_free(struct gpu *g);

#endif
