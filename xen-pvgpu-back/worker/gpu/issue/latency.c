/* SPDX-License-Identifier: MIT */
/* Histograms of the waits of commands and of kernels' times, in the gate's report. */
#include "xen-pvgpu-back/worker/gpu/gate.h"
#include "ring/poll.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

static void put(uint64_t *number, uint64_t value)
{
	__atomic_store_n(number, value, __ATOMIC_RELAXED);
}

static void add(struct pvgpu_latency *own, struct pvgpu_latency *told, uint64_t ns)
{
	const unsigned int i = pvgpu_latency_bucket(ns);

	own->ns += ns;
	put(&told->ns, own->ns);
	put(&told->n[i], ++own->n[i]);
}

static void tell(const struct pvgpu_latency *own, struct pvgpu_latency *told)
{
	put(&told->ns, own->ns);
	for (unsigned int i = 0; i < PVGPU_LATENCY_BUCKETS; i++)
		put(&told->n[i], own->n[i]);
}

void latency_parked(struct gpu *g)
{
	put(&g->gate.report->parked, g->park.work);
}

void latency_unparked(struct gpu *g, uint64_t since)
{
	struct gate *t = &g->gate;

	put(&t->report->parked, g->park.work);
	add(&t->waits, &t->report->waits, pvgpu_poll_now() - since);
}

void latency_kernel(struct gate *t, uint64_t cost)
{
	add(&t->kernels, &t->report->kernels, cost);
}

void latency_tell(struct gpu *g)
{
	struct gate *t = &g->gate;

	put(&t->report->parked, g->park.work);
	tell(&t->waits, &t->report->waits);
	tell(&t->kernels, &t->report->kernels);
}
