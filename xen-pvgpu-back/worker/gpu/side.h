/* SPDX-License-Identifier: MIT */
/* Jobs that may block inside CUDA, in order on threads of their own: side.c. */
#ifndef PVGPU_WORKER_SIDE_H
#define PVGPU_WORKER_SIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct barrier;
struct ctx;
struct gpu;

#define SIDE_JOBS_MAX 8192

enum side_where {
	SIDE_HERE,
	SIDE_LOADS,  /* in the lane for loads */
	SIDE_BEHIND, /* in the side lane, when the loads before it are done */
};

struct job {
	struct job *next;
	void (*run)(struct gpu *g, struct job *j); /* frees it */
	enum side_where where;
};

struct lane { /* side.lock */
	pthread_t thread;
	pthread_cond_t more;
	struct job *head, **tail;
	bool started, exited;
	bool busy; /* a job runs; not kept of loads */
};

struct side {
	pthread_mutex_t lock;
	pthread_cond_t gone;
	struct lane here, loads;
	bool stop;
	struct barrier *last;
	uint64_t last_serial;
	const struct ctx *last_ctx;
	bool last_all;
	atomic_uint jobs; /* queued, running or behind a barrier */
	atomic_bool kick; /* the decoding thread waits for jobs to go down */
	atomic_bool poke; /* look at the allocations that wait */
};

int side_init(struct gpu *g);
bool side_stop(struct gpu *g, unsigned int ms);
void side_push(struct gpu *g, struct job *j);
/* Push it when all work issued so far (in c; NULL: anywhere) has ended. Decoding thread. */
void side_after_work(struct gpu *g, struct ctx *c, struct job *j);
/* The same for work anywhere, and in c, which is in no list any more. */
void side_after_all(struct gpu *g, struct ctx *c, struct job *j);
void side_poke(struct gpu *g);
bool side_room(struct gpu *g);

#endif
