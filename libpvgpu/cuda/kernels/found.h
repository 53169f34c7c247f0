/* SPDX-License-Identifier: MIT */
/*
 * Functions of a module or kernels of a library that were asked for: found.c. Under the owner's
 * lock.
 */
#ifndef PVGPU_CUDA_KERNELS_FOUND_H
#define PVGPU_CUDA_KERNELS_FOUND_H

#include <stdint.h>

#include "pvgpu_wire.h"

struct function;
struct function_info;

struct found {
	enum pvgpu_handle_type type;
	/* Ask the worker for the named, or (name NULL) the index-th one. */
	int (*ask)(struct found *l, const char *name, uint32_t index, uint64_t wire,
		   struct function_info *info);
	/* Set the owner of a new one. */
	void (*adopt)(struct found *l, struct function *f);
	struct function *first; /* all, chained by next */
	struct function **at;   /* the first n in the worker's order */
	uint32_t n, room;
	struct function **by_name; /* hashed; names_room is a power of two, or 0 */
	uint32_t names, names_room;
};
int found_named(struct found *l, const char *name, struct function **out);
/* The handles of the first count. */
int found_first(struct found *l, uint32_t count, void **handles);
/* Remove one, at the owner's end; NULL: there is none left. */
struct function *found_take(struct found *l);

#endif
