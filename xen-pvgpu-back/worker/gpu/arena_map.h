/* SPDX-License-Identifier: MIT */
/* Registration of the arena's chunks with CUDA: arena_map.c. */
#ifndef PVGPU_WORKER_ARENA_MAP_H
#define PVGPU_WORKER_ARENA_MAP_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "chunks.h"

struct ctx;
struct enrolment;
struct gpu;

struct arena_map {
	struct chunks chunks;
	atomic_bool unsupported; /* the far end cannot register: said once */
	pthread_t thread;        /* that page-locks chunks, once there is one */
	bool started;            /* decoding thread */
	pthread_mutex_t lock;    /* of all below */
	pthread_cond_t more;
	struct enrolment *head, **tail;
	bool stop, exited;
};

void arena_map_init(struct gpu *g);
bool arena_map_stop(struct gpu *g, unsigned int ms);
void arena_map_register(struct gpu *g, struct ctx *c);
void arena_map_unregister(struct gpu *g, struct ctx *c);

#endif
