/* SPDX-License-Identifier: MIT */
/* Errors of one-way commands: the first is kept and reported once, by the next synchronising call.
 */
#include <stdatomic.h>

#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

void gpu_deferred(struct worker *w, void *ctx, int result)
{
	struct gpu *g = worker_gpu(w);
	int none = 0;

	if (result > 0 && !(g->capturing && capture_defers(g, result)))
		atomic_compare_exchange_strong(ctx ? &((struct ctx *)ctx)->deferred : &g->deferred,
					       &none, result);
}

int deferred_take(struct gpu *g, struct ctx *c)
{
	int r = 0;

	if (atomic_load_explicit(&c->deferred, memory_order_relaxed))
		r = atomic_exchange(&c->deferred, 0);
	if (!r && atomic_load_explicit(&g->deferred, memory_order_relaxed))
		r = atomic_exchange(&g->deferred, 0);
	return r;
}
