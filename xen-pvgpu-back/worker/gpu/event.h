/* SPDX-License-Identifier: MIT */
/* Events of the guest: event.c. */
#ifndef PVGPU_WORKER_EVENT_H
#define PVGPU_WORKER_EVENT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "complete.h"
#include "gate.h"
#include "objects.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;
struct stream;

/* A far event; replaced when it is recorded again during a wait for its last record. */
struct fev {
	CUevent ev;
	struct ctx *ctx;
	atomic_uint refs;
};

struct event {
	struct obj o;
	struct fev *far;
	struct stream *s; /* referenced: where it was recorded last, or NULL */
	uint64_t at;      /* s->issued after that */
	struct load load; /* s->load then */
	uint64_t number;  /* of the command that recorded it */
	uint64_t capture; /* in which it was recorded last; 0: in none */
	uint64_t watched; /* the record whose end the guest will be told of, by number */
	bool wanted;      /* the guest asked while a record was parked: watch that one */
	uint32_t flags;
	struct waitq q;
	atomic_uint waits;
	uint32_t parked; /* records of it */
};

struct fev *fev_get(struct fev *f);
void fev_put(struct fev *f);
/* Destroyed by the guest, or with its context: at the far end, too. Side lane. */
void event_retire(struct event *e);
/* Tell the guest when its last record has ended. Decoding thread. */
void event_watch(struct gpu *g, struct event *e);

#endif
