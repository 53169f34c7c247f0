/* SPDX-License-Identifier: MIT */
/* A pool whose sessions are parked for each other, and what they and pvgpud say. */
#ifndef PVGPU_RESIDENCY_CASE_H
#define PVGPU_RESIDENCY_CASE_H

#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static void say(struct fake_worker *k, uint32_t kind, uint32_t id, uint64_t a, uint64_t c)
{
	const struct pvgpu_sup m = {.kind = kind, .id = id, .a = a, .c = c};

	ck_assert_int_eq(msg_send(k->control, &m, sizeof(m), NULL, 0), 0);
	fake_settle();
}

/* The worker's next message of that kind, which comes within a turn of the pool's timer. */
static struct pvgpu_sup heard(struct fake_worker *k, uint32_t kind)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	while (!fake_hear(k, kind, &m, &fds))
		ev_run(fake.d.loop, EVRUN_ONCE);
	return m.head;
}

static inline bool hears_nothing(struct fake_worker *k, uint32_t kind)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	return !fake_hear(k, kind, &m, &fds);
}

static void set_gpu(uint64_t bytes)
{
	fake.gpu_memory = fake.v->pool->device_memory = bytes;
}

/* A GPU of 16 MiB; the vGPU may have 1 GiB, of which 4 MiB are reserved. */
static void make_pool(void)
{
	struct pool *p = fake.v->pool;

	set_gpu(16 * MIB);
	p->cfg.park_memory = 4096 * MIB;
	p->cfg.park_ppm = CONFIG_PARK_PPM;
	fake.v->cfg.policy.memory_reserve = 4 * MIB;
	lease_quota_known(fake.v);
}

static struct fake_worker *session(uint32_t number)
{
	struct fake_worker *k = opened(number);

	k->w->sealed = k->w->parking.knows = k->w->parking.knows_busy = true;
	return k;
}

static inline struct fake_worker *with_memory(uint32_t number, uint64_t bytes)
{
	struct fake_worker *k = session(number);

	say(k, PVGPU_SUP_LEASE, number, bytes, 0);
	ck_assert_uint_eq(heard(k, PVGPU_SUP_LEASED).a, bytes);
	return k;
}

#endif
