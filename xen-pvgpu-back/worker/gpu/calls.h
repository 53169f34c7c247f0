/* SPDX-License-Identifier: MIT */
/*
 * The parts of default handlers of described calls (docs/calls.md). A handler stops at the
 * first step that does not answer 0.
 */
#ifndef PVGPU_WORKER_CALLS_H
#define PVGPU_WORKER_CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "objects.h"
#include "stream.h"
#include "xen-pvgpu-back/worker/far.h"

struct gpu;

/* An object of a library other than the driver. */
struct lib_object {
	struct obj o;
	void *far;
	uint64_t charge; /* leased for what the library allocates for it; side lanes only */
	/* As the far end has them; decoding thread only. */
	CUstream stream;
	bool stream_set;
	uint32_t mode;
};

/* It is usable, and its context is current on this thread. */
int call_context(void *ctx);
int call_object(void *object);
/* The same for an object that must live in this context, which is current already. */
int call_object_in(void *object, void *ctx);
/* An object inside an array. Decoding thread. */
int call_lookup(struct gpu *g, uint32_t type, uint64_t handle, void **object);

/* The far end's object behind one that is usable. */
void *call_far(void *object);

/* So many bytes of device memory or of the arena lie behind an address. None need lie behind an
 * address of which nothing is used. */
int call_memory(struct gpu *g, uint64_t addr, uint64_t bytes, bool optional);
/* A number: in the record, or (mode 1) in device memory behind the address that the record has. */
int call_scalar(struct gpu *g, uint32_t mode, uint64_t value, uint64_t bytes);
static inline const void *call_number(uint32_t mode, const uint64_t *value)
{
	return mode ? (const void *)(uintptr_t)*value : value;
}

/*
 * The numbers of a call, so many bytes: a copy that the guest cannot change, until the next call's.
 * They came in the record, or lie in the arena. Decoding thread.
 */
int call_numbers(struct gpu *g, const void *packed, uint32_t packed_len, uint64_t large,
		 uint64_t large_len, uint64_t bytes, const char **numbers);

/* A library's status: as a result on the wire, and as a CUresult of one-way work. */
int call_status_of(int library, int status);
int call_deferred_of(int invalid, int status);

/* Objects. call_new: decoding thread; the others: side lanes. */
struct lib_object *call_new(struct gpu *g, uint32_t type, uint64_t handle, void *ctx, int *err);
int call_charge(struct gpu *g, struct lib_object *o, uint64_t bytes);
void call_made(struct gpu *g, struct lib_object *o, void *far, int result);
void call_retire(struct gpu *g, struct lib_object *o);
/* The session's algorithms of cuBLASLt, at its end. */
void lt_algos_free(struct gpu *g);
/* Generated: the library's own call. */
int call_destroy(const struct far *far, uint32_t type, void *object);
/* Generated: is it a type of objects that libraries give out? */
bool call_gives(uint32_t type);

#endif
