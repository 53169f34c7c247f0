/* SPDX-License-Identifier: MIT */
/* Functions of the guest that streams call: callback.c. */
#ifndef PVGPU_WORKER_CALLBACK_H
#define PVGPU_WORKER_CALLBACK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/far.h"

struct gpu;

struct callbacks {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	uint32_t sent;
	atomic_uint done;  /* streams go on that wait for these; written under the lock */
	uint32_t returned; /* of them the guest's functions have; decoding thread only */
	bool ended;
	LIST_HEAD(, callback) all;
	LIST_HEAD(, callback) running; /* in a stream: the guest's function has been asked for */
	atomic_uint runs;              /* as many */
	uint32_t count;                /* in streams */
	unsigned int inside;           /* trampolines that wait */
};

void callbacks_init(struct gpu *g);
/* May one more go into a stream now? */
bool callbacks_room(struct gpu *g);
void callbacks_end(struct gpu *g);
void callbacks_free(struct gpu *g);
/* Does the stream of this number wait for a function of the guest that has been asked for? Work
 * behind that is not on the GPU. returned: and it has returned. Decoding thread only, as the next
 * two. */
bool callback_holds(struct gpu *g, uint64_t stream, bool returned);
/* Functions have returned, and the streams do not go on yet: work behind them waits for the gate.
 */
bool callbacks_wait(const struct gpu *g);
/* Lets the streams go on if the gate permits it. */
void callbacks_resume(struct gpu *g);

/* The argument that the far end calls callback_fn() with for each run of a graph's host function,
 * which the guest knows by this number; NULL: it is no number. */
void *callback_keep(struct gpu *g, uint64_t id);
CUhostFn callback_fn(void);
uint64_t callback_id(const void *kept);

#endif
