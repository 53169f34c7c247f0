/* SPDX-License-Identifier: MIT */
/* Events: event.c. */
#ifndef PVGPU_CUDA_STREAMS_EVENT_H
#define PVGPU_CUDA_STREAMS_EVENT_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct ctx;
struct target;

struct event {
	struct object o;
	unsigned int flags;
	struct shared_event
		*shared;          /* of one that processes share, which has all; NULL: it is not */
	_Atomic uint32_t records; /* how often it was recorded */
	_Atomic uint32_t completed; /* value of records that is known to be done */
	_Atomic uint32_t waited;    /* the same, known by a call that waits */
	_Atomic uint64_t place;     /* of the last record, see done.c */
	_Atomic uint64_t capture;   /* in which it was recorded last; 0: in none */
	_Atomic bool by_node; /* recorded last by a graph's node: its time is the graph's end */
};

/* handle: of another process's event, or NULL. */
int event_new(struct ctx *c, unsigned int flags, const CUipcEventHandle *handle,
	      struct event **out);
/* Its object is retired. */
void event_destroy(struct event *e);
int event_record(struct event *e, const struct target *t, bool by_node);
/* Let the stream wait for the last record. */
int event_wait(struct event *e, const struct target *t);

/* shared_event.c */
struct shared_event {
	struct object o;
};
/* Make the event's; token: open another process's, NULL: a new one. A CUresult. */
int shared_event_new(struct event *e, struct ctx *c, const void *token);
void shared_event_free(struct event *e);
int shared_event_record(struct event *e, const struct target *t);
int shared_event_wait(struct event *e, const struct target *t);
int shared_event_query(struct event *e);
int shared_event_synchronize(struct event *e);

#endif
