/* SPDX-License-Identifier: MIT */
/*
 * Memory and events that sessions of one vGPU share: share.c, shared_event.c. A token stands for
 * what this session lets others have; only its own session knows whether it is right.
 */
#ifndef PVGPU_WORKER_SHARE_H
#define PVGPU_WORKER_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct gpu;
struct import;
struct obj;
struct token;
struct event_page;
struct ctx;

#define SHARE_EVENT_BYTES 4096u /* of a file of events */
#define SHARE_EVENT_UNIT  64u

enum share_kind {
	SHARE_KIND_MEMORY = PVGPU_SHARE_MEMORY,
	SHARE_KIND_POOL = PVGPU_SHARE_POOL,
	SHARE_KIND_PHYSICAL,
	SHARE_KIND_EVENT,
};

/* A token, which guests pass on: all of it must be as the owner made it. */
struct share_bytes {
	uint32_t session, index;
	uint64_t from, len; /* the memory in the area that is given; of an event: from */
	unsigned char secret[40];
};

struct shares { /* decoding thread, except where said */
	struct token *token;
	uint32_t tokens, cap;     /* places, used or not */
	uint32_t ids;             /* of imports */
	uint32_t numbers;         /* of what is shared, so far */
	struct import *imports;   /* that wait for their answer */
	struct event_page *pages; /* side lane */
};

/* share.c */
/* A token for an object, which is referenced, or for an address in the area with that serial. A
 * CUresult. */
int token_new(struct gpu *g, enum share_kind kind, const struct share_bytes *what, struct obj *o,
	      uint64_t addr, uint64_t serial, struct share_bytes *out);
/* The tokens of freed memory are void. */
void share_forget(struct gpu *g, uint64_t addr, uint64_t size);
/* Those of an object. */
void share_forget_object(struct gpu *g, const struct obj *o);
/* A number for what is shared. Decoding thread. */
uint64_t share_number(struct gpu *g);
/* Wait until no export of this memory is under way; none can begin any more. Side lane. */
void share_given_wait(struct gpu *g, const uint32_t *giving);
/* At the end, when no thread is left. */
void shares_end(struct gpu *g);

/* shared_event.c */
/* An event of this context, without its memory yet. */
struct obj *shared_event_new(struct gpu *g, struct ctx *c, uint64_t handle, int *err);
void shared_event_free(struct obj *o);
/* Another session wants it. Decoding thread. */
void shared_event_give(struct gpu *g, uint32_t id, struct obj *o);
/* The fd has come; a CUresult. Side lane. */
int shared_event_take(struct obj *o, int fd, uint64_t from, uint64_t number);
void shared_event_pages_free(struct gpu *g);

#endif
