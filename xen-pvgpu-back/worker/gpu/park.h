/* SPDX-License-Identifier: MIT */
/*
 * Parked commands and what they wait for. Decoding thread only.
 *
 * CUDA orders the commands of a stream, and those of different streams by the legacy default
 * stream, by events and by what both use. Each such thing has an *order*: a queue of the parked
 * commands that claim it. A claim that is not shared waits for all claims before it; shared ones
 * wait for those before them that are not shared. A command whose claims are all granted waits for
 * no parked command any more: it is *ready*, and runs as soon as the gate and the queues behind it
 * have room. So each stream parks for itself, and to find the next command that may run costs
 * nothing, however many are parked.
 */
#ifndef PVGPU_WORKER_PARK_H
#define PVGPU_WORKER_PARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pvgpu_decode.h"

struct gpu;
struct ctx;
struct stream;
struct obj;
struct parked;

#define PARK_BYTES_MAX   (8u << 20)
#define PARK_RECORDS_MAX 65536u
#define PARK_CLAIMS      4u /* the session, the context's legacy stream, the stream, an object */

struct claim {
	TAILQ_ENTRY(claim) next;
	struct order *order;
	struct parked *parked;
	bool shared, granted;
};

struct order {
	TAILQ_HEAD(claims, claim) claims;
};

static inline void order_init(struct order *o)
{
	TAILQ_INIT(&o->claims);
}

/* Do parked commands claim it? */
static inline bool order_waits(const struct order *o)
{
	return !TAILQ_EMPTY(&o->claims);
}

/* The objects that a record works on, by its handles. */
struct target {
	struct ctx *ctx;
	struct stream *stream;
	/* An object with a state of its own that it uses: an event, an instantiated graph, a
	 * library's. Shared: it leaves the state as it is. */
	struct obj *object;
	bool shared;
};

struct parked {
	TAILQ_ENTRY(parked) ready; /* while no claim waits */
	const struct pvgpu_cmd_desc *d;
	struct ctx *ctx;       /* referenced, or NULL */
	struct stream *stream; /* referenced, or NULL */
	struct obj *object;    /* referenced, or NULL */
	struct claim claim[PARK_CLAIMS];
	uint32_t claims, waiting; /* of these, those that are not granted */
	uint64_t number;
	uint64_t since; /* when it was parked, if it occupies the GPU */
	uint32_t len;
	uint64_t rec[];
};

struct park {
	struct order all;           /* each parked command claims it */
	struct order primary;       /* of all contexts that are the primary one */
	TAILQ_HEAD(, parked) ready; /* in the order in which they became so */
	uint32_t count, bytes;
	uint32_t work;  /* of these, commands that occupy the GPU, */
	uint32_t waits; /* and a stream's waits for events */
};

void park_init(struct park *p);
struct target target_of(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec);
/* It has to wait for no parked command. */
bool park_passes(struct gpu *g, const struct pvgpu_cmd_desc *d, const struct target *t);
/* The same for a command that becomes a node of a graph: only its stream and its object count. */
bool park_passes_captured(const struct target *t);
/* Park a copy of it; -1: out of memory. */
int park_put(struct gpu *g, const struct pvgpu_cmd_desc *d, const void *rec, uint32_t len);
/* A ready one is ready no more, and those that waited for it alone are. */
void park_take(struct gpu *g, struct parked *n);
/* After park_take(). */
void parked_free(struct gpu *g, struct parked *n);
/* It is full: no more commands are fetched until some have run. */
bool park_full(const struct park *p);
void park_free(struct gpu *g);

/* Commands that occupy the GPU pass the gate. */
static inline bool occupies(const struct pvgpu_cmd_desc *d)
{
	return d->gated != PVGPU_GATED_NOT;
}

#endif
