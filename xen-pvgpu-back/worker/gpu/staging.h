/* SPDX-License-Identifier: MIT */
/*
 * Page-locked slots, of each context: for bytes that travel in records, and for copies from and to
 * an arena that is not registered: staging.c.
 */
#ifndef PVGPU_WORKER_STAGING_H
#define PVGPU_WORKER_STAGING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gate.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;
struct stream;

enum staging_kind { STAGING_RECORDS, STAGING_COPIES, STAGING_KINDS };
#define STAGING_SLOTS 64
#define STAGING_SIZE  PVGPU_INLINE_MAX
#define BOUNCE_SLOTS  16
#define BOUNCE_SIZE   (1u << 20)

struct staging {
	unsigned char *base;
	size_t bytes;
	bool registered;
	uint32_t slots, next;
	atomic_bool wanted;  /* a command is parked for a slot: kick */
	atomic_bool watched; /* a wait for one of the events is under way */
	struct {
		atomic_bool used;
		uint32_t word;    /* the highest value that a stream waits for */
		CUevent ev;       /* when not NULL: used until it has ended */
		struct stream *s; /* referenced: where it was recorded */
		uint64_t at;      /* s->issued then */
		struct load load; /* s->load then */
	} slot[];
};

/*
 * Is there a slot? If not, the decoding thread is kicked when there is. Decoding thread. With a
 * stream: one that this stream's earlier work uses will do.
 */
bool staging_room(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s);
/* A slot, or -1 when there is none. Decoding thread. */
int staging_take(struct gpu *g, struct ctx *c, enum staging_kind kind, const struct stream *s);
void *staging_at(struct ctx *c, enum staging_kind kind, int slot);
/* A word of the slot's, and the value that it does not have yet: values only grow. */
uint32_t *staging_word(struct ctx *c, enum staging_kind kind, int slot, uint32_t *value);
/* Are the slots and their words page-locked? */
bool staging_registered(const struct ctx *c, enum staging_kind kind);
/* It is free again: at once (any thread), or when the stream's work so far has ended. */
void staging_put(struct ctx *c, enum staging_kind kind, int slot);
void staging_put_after(struct gpu *g, struct ctx *c, enum staging_kind kind, int slot,
		       struct stream *s);
void staging_free(struct gpu *g, struct ctx *c);

#endif
