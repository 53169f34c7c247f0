/* SPDX-License-Identifier: MIT */
/* Far events that a context keeps for later, so that a wait need not make one. */
#include <pthread.h>
#include <stdlib.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/event_pool.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"

int pool_get(struct gpu *g, struct ctx *c, CUevent *ev)
{
	bool found;

	pthread_mutex_lock(&g->complete.lock);
	found = c->pool.count > 0;
	if (found)
		*ev = c->pool.ev[--c->pool.count];
	pthread_mutex_unlock(&g->complete.lock);
	if (found)
		return 0;
	return (int)g->far->cuEventCreate(ev, CU_EVENT_DISABLE_TIMING | CU_EVENT_BLOCKING_SYNC);
}

bool event_pool_keep(struct event_pool *p, CUevent ev)
{
	if (p->count == p->cap) {
		const uint32_t cap = p->cap ? 2 * p->cap : 16;
		CUevent *more = realloc(p->ev, cap * sizeof(*more));

		if (!more)
			return false;
		p->ev = more;
		p->cap = cap;
	}
	p->ev[p->count++] = ev;
	return true;
}

void pool_put(struct gpu *g, struct ctx *c, CUevent ev)
{
	bool kept;

	pthread_mutex_lock(&g->complete.lock);
	kept = event_pool_keep(&c->pool, ev);
	pthread_mutex_unlock(&g->complete.lock);
	if (!kept)
		g->far->cuEventDestroy_v2(ev);
}

static void destroy_all(struct gpu *g, struct event_pool *p)
{
	for (uint32_t i = 0; i < p->count; i++)
		g->far->cuEventDestroy_v2(p->ev[i]);
	p->count = 0;
}

void pool_empty(struct gpu *g, struct ctx *c)
{
	/* No other thread uses the context any more. */
	destroy_all(g, &c->pool);
	destroy_all(g, &c->timers);
}
