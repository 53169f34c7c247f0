/* SPDX-License-Identifier: MIT */
/* Events: event.c. */
#ifndef PVGPU_CUDA_STREAMS_EVENT_H
#define PVGPU_CUDA_STREAMS_EVENT_H

#include "cuda/core/object.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct target;

struct event {
	struct object o;
	unsigned int flags;
	_Atomic uint32_t records;   /* how often it was recorded */
	_Atomic uint32_t completed; /* value of records that is known to be done */
	_Atomic uint32_t waited;    /* the same, known by a call that waits */
	_Atomic uint64_t place;     /* of the last record, see done.c */
	_Atomic uint64_t capture;   /* in which it was recorded last; 0: in none */
	_Atomic bool by_node; /* recorded last by a graph's node: its time is the graph's end */
};

int event_record(struct event *e, const struct target *t, bool by_node);

#endif
