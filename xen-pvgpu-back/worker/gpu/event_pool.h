/* SPDX-License-Identifier: MIT */
/* The worker's own events, kept for the next use: event_pool.c. */
#ifndef PVGPU_WORKER_EVENT_POOL_H
#define PVGPU_WORKER_EVENT_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;

struct event_pool {
	CUevent *ev;
	uint32_t count, cap;
};

/* A pooled event without timing. */
int pool_get(struct gpu *g, struct ctx *c, CUevent *ev);
void pool_put(struct gpu *g, struct ctx *c, CUevent ev);
void pool_empty(struct gpu *g, struct ctx *c);
/* False when there is no room: then it is the caller's to destroy. */
bool event_pool_keep(struct event_pool *p, CUevent ev);

#endif
