/* SPDX-License-Identifier: MIT */
/* The GPU side's beginning and end. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <time.h>

#include "xen-pvgpu-back/worker/gpu/arena_map.h"
#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/callback.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/hold.h"
#include "xen-pvgpu-back/worker/gpu/calls.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/output.h"
#include "xen-pvgpu-back/worker/gpu/park.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/gpu/swap.h"
#include "xen-pvgpu-back/worker/gpu/vmm.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define STOP_MS       5000 /* for the far end to stop; the frame's watchdog is stricter */
#define LOOK_FIRST_NS 16000
#define LOOK_MOST_NS  1000000

int gpu_check(const struct far *far, char *reason, size_t cap)
{
	int vmm = 0;
	int r = (int)far->cuDeviceGetAttribute(
		&vmm, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, far->dev);

	if (r || !vmm) {
		snprintf(reason, cap,
			 "the GPU has no virtual memory management "
			 "(CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED is 0)");
		return -1;
	}
	return 0;
}

static void init(struct gpu *g, struct worker *w)
{
	g->w = w;
	g->far = worker_far(w);
	g->decode.lookup = obj_lookup;
	g->decode.tables = &g->tables;
	TAILQ_INIT(&g->root.owned);
	park_init(&g->park);
	arena_map_init(g);
	callbacks_init(g);
	bounce_init(g);
	pthread_mutex_init(&g->images.lock, NULL);
	pthread_mutex_init(&g->out.lock, NULL);
	g->out.text[0].fd = g->out.text[1].fd = -1;
	stream_limits(g);
	gate_init(g);
	evict_init(g);
}

int gpu_open(struct worker *w, struct gpu **out, char *reason, size_t cap)
{
	struct gpu *g = calloc(1, sizeof(*g));
	int r;

	if (!g) {
		snprintf(reason, cap, "out of memory");
		return -1;
	}
	init(g, w);
	g->scratch = malloc(SCRATCH_SIZE);
	if (estimates_init(g) || !g->scratch) {
		snprintf(reason, cap, "out of memory");
		goto out_free;
	}
	r = mem_init(g);
	if (r) {
		snprintf(reason, cap, "cuMemGetAllocationGranularity failed with CUresult %d", r);
		goto out_free;
	}
	if (window_reserve(g, 0, worker_info(w)->window_size, reason, cap))
		goto out_free;
	/* The threads find it through worker_gpu(). */
	*out = g;
	complete_init(g);
	if (side_init(g)) {
		snprintf(reason, cap, "cannot start threads");
		*out = NULL;
		goto out_free; /* the process ends: a thread that did start goes with it */
	}
	return 0;

out_free:
	estimates_free(g);
	free(g->scratch);
	free(g->numbers);
	free(g);
	return -1;
}

/* Everything that the guest left, as if it had destroyed it. */
static void drop_all(struct gpu *g)
{
	struct obj *o, *next;

	for (o = TAILQ_FIRST(&g->root.owned); o; o = next) {
		next = TAILQ_NEXT(o, of_owner);
		if (o->type == PVGPU_H_LIBRARY && !obj_error(o))
			library_drop(g, (struct library *)o, 0, false);
	}
	for (o = TAILQ_FIRST(&g->root.owned); o; o = next) {
		next = TAILQ_NEXT(o, of_owner);
		if (o->type == PVGPU_H_CTX && !obj_error(o))
			ctx_drop(g, (struct ctx *)o, 0, false);
	}
}

/* Most jobs end within microseconds; one that does not is not worth many looks. */
static bool side_done(struct gpu *g, unsigned int ms)
{
	struct timespec step = {.tv_nsec = LOOK_FIRST_NS};
	uint64_t slept = 0;

	while (atomic_load(&g->side.jobs)) {
		if (slept >= ms * 1000000ull)
			return false;
		nanosleep(&step, NULL);
		slept += (uint64_t)step.tv_nsec;
		step.tv_nsec = step.tv_nsec < LOOK_MOST_NS / 2 ? step.tv_nsec * 2 : LOOK_MOST_NS;
	}
	return true;
}

void gpu_shutdown(struct worker *w)
{
	struct gpu *g = worker_gpu(w);

	if (!g)
		return;
	atomic_store(&g->ended, true);
	gpu_pause(w);
	callbacks_end(g);
	holds_end(g);
	park_free(g);
	/* Contexts that are still being made can be dropped when they are. */
	if (!side_done(g, STOP_MS))
		return;
	drop_all(g);
	if (!side_done(g, STOP_MS) || !arena_map_stop(g, STOP_MS) || !complete_stop(g, STOP_MS) ||
	    !side_stop(g, STOP_MS))
		return;
	output_stop(g);
	gate_free(g);
	estimates_free(g);
	callbacks_free(g);
	bounce_free(g);
	evict_free(g);
	shares_end(g);
	vmm_end(g);
	swap_free(g);
	tables_free(g);
	mem_fini(g);
	chunks_free(&g->arena.chunks);
	free(g->scratch);
	lt_algos_free(g);
	free(g->numbers);
}
