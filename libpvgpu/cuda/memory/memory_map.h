/* SPDX-License-Identifier: MIT */
/* Address ranges with a meaning to CUDA: memory_map.c. All other memory is pageable. */
#ifndef PVGPU_CUDA_MEMORY_MEMORY_MAP_H
#define PVGPU_CUDA_MEMORY_MEMORY_MAP_H

#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct block;
struct ctx;
struct object;

enum range_kind {
	RANGE_NONE, /* pageable, or not mapped */
	RANGE_DEVICE,
	RANGE_GLOBAL, /* a module's variable */
	RANGE_PINNED, /* arena memory */
	RANGE_STAGED, /* pinned, but beyond the arena: ordinary memory, which kernels cannot reach
		       */
	RANGE_REGISTERED,
	RANGE_MAPPED,   /* physical memory at reserved addresses; flags: the device's access */
	RANGE_RESERVED, /* addresses; in a map of its own */
};

/* Of a RANGE_DEVICE's flags: it goes with the graphs that allocate it; it is another process's. */
enum { RANGE_OF_GRAPH = 1, RANGE_SHARED = 2 };

struct range {
	uint64_t base, size;
	enum range_kind kind;
	unsigned int flags; /* as given to cuMemHostAlloc() or cuMemHostRegister() */
	uint64_t id;        /* CU_POINTER_ATTRIBUTE_BUFFER_ID */
	struct ctx *ctx;    /* NULL: a managed variable */
	/* RANGE_GLOBAL: module or library; RANGE_MAPPED: its memory; RANGE_RESERVED: itself */
	const struct object *owner;
	bool sync;           /* synchronous copies and fills of it wait: SYNC_MEMOPS */
	struct block *block; /* of a pool, see pool.h; NULL: of none */
};

/* id is filled in. CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED for registered memory that overlaps
 * other. A RANGE_GLOBAL that is known already, or empty, is ignored. A range from the worker that
 * is impossible (outside of the window, overlapping) ends the session. */
int range_add(const struct range *r);
/* The range that holds a device address: device memory, a variable, pinned memory. */
bool range_find_device(uint64_t addr, struct range *out);
/* The range that holds a host address: pinned, staged or registered memory. */
bool range_find_host(uint64_t addr, struct range *out);
/* The reservation that holds an address. */
bool range_find_reserved(uint64_t addr, struct range *out);
/* Is nothing at [addr, addr+len) that is valid on the device? */
bool range_is_free(uint64_t addr, uint64_t len);
/* Is [addr, addr+len) made of whole mappings? */
bool range_is_mapped(uint64_t addr, uint64_t len);
/* Set the access of these. */
void range_set_access(uint64_t addr, uint64_t len, unsigned int flags);
/* Copies and fills of the memory at this address by synchronous calls wait for their end. */
bool range_set_sync(uint64_t addr, bool sync);
extern atomic_bool range_any_sync;
/* Is that asked for? */
bool range_is_sync(uint64_t addr);
/* Remove the range of this kind that begins at addr. */
bool range_remove(uint64_t addr, enum range_kind kind, struct range *out);
/* Remove the device ranges of an owner (a module, a library). Called before the worker is told to
 * end it: afterwards the addresses may be reused for other memory at any time. */
void range_remove_owner(const struct object *owner);

/* Bytes from the range's begin that copies and fills may touch: of cuMemAlloc's what was asked for,
 * as with the driver; of a pool's and of host memory what is mapped for it. */
uint64_t range_mapped(const struct range *r);
/* Has the device access to all of [addr, addr+len), in mappings without a gap? */
bool range_accessible(uint64_t addr, uint64_t len);
/* A copy or a fill is to write there: is part of it a mapping that the device may only read? */
bool range_read_only_slow(uint64_t addr, uint64_t len);
extern _Atomic bool ranges_read_only; /* there have been such */
static inline bool range_read_only(uint64_t addr, uint64_t len)
{
	return unlikely(atomic_load_explicit(&ranges_read_only, memory_order_relaxed)) &&
	       range_read_only_slow(addr, len);
}
/* Does [addr, addr+len) begin in the range and end in what is mapped for it? */
static inline bool range_holds(const struct range *r, uint64_t addr, uint64_t len)
{
	if (unlikely(r->kind == RANGE_MAPPED))
		return range_accessible(addr, len);
	return len <= range_mapped(r) - (addr - r->base);
}

/* Is [addr, addr+len) device memory, a variable or pinned memory? */
static inline bool range_on_device(uint64_t addr, uint64_t len)
{
	struct range r;

	return range_find_device(addr, &r) && range_holds(&r, addr, len);
}

#endif
