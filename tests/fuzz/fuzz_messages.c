/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: tests/unit/daemon/xenctl_fake.c xen-pvgpu-back/daemon/xen/xenctl.c
 * xen-pvgpu-back/daemon/core/held.c xen-pvgpu-back/daemon/core/pools.c
 * xen-pvgpu-back/daemon/core/process.c xen-pvgpu-back/daemon/core/worker.c
 * xen-pvgpu-back/daemon/xen/xenctl_session.c xen-pvgpu-back/daemon/xen/xenctl_chunk.c
 * xen-pvgpu-back/daemon/xen/xenctl_map.c xen-pvgpu-back/daemon/xen/xenctl_grants.c
 * xen-pvgpu-back/daemon/workers/adopt.c xen-pvgpu-back/daemon/workers/open.c
 * xen-pvgpu-back/daemon/workers/session.c xen-pvgpu-back/daemon/workers/spares.c xen-pvgpu-back/daemon/workers/supervise.c
 * xen-pvgpu-back/daemon/cgroup/cgroup_files.c xen-pvgpu-back/daemon/cgroup/host_memory.c
 * xen-pvgpu-back/daemon/workers/parking.c xen-pvgpu-back/daemon/workers/residency.c
 * xen-pvgpu-back/daemon/workers/exports.c
 * xen-pvgpu-back/daemon/workers/lease.c xen-pvgpu-back/daemon/rules/ledger.c
 * xen-pvgpu-back/daemon/rules/portion.c xen-pvgpu-back/daemon/workers/vgpu.c
 * xen-pvgpu-back/daemon/workers/worker_log.c xen-pvgpu-back/contract/log.c
 * xen-pvgpu-back/contract/msg.c xen-pvgpu-back/daemon/workers/pool.c tests/fuzz/fake_goals.c
 * xen-pvgpu-back/daemon/config/config_value.c xen-pvgpu-back/sched/place.c
 * xen-pvgpu-back/daemon/guard/faults.c xen-pvgpu-back/daemon/rules/quarantine.c
 * xen-pvgpu-back/daemon/guard/canary.c xen-pvgpu-back/daemon/guard/xid.c
 * xen-pvgpu-back/daemon/rules/overdue.c xen-pvgpu-back/daemon/rules/judge.c
 * xen-pvgpu-back/daemon/core/overrides.c xen-pvgpu-back/daemon/rules/budget.c
 * xen-pvgpu-back/daemon/rules/uids.c xen-pvgpu-back/daemon/workers/pulse.c
 * xen-pvgpu-back/contract/local_check.c xenstore-schema/values.c xenstore-schema/records.c
 * gen/pvgpu_keys.c tests/fuzz/worker_says.c */
/* FUZZ_LIBS: -lev */
/*
 * Workers that guests have taken over, on their control sockets: what they say, in every state,
 * to pvgpud's own state machine. What all workers hold is always the sum of what each holds, and at
 * the end nothing is left.
 *
 * Input: steps of one byte, each with what belongs to it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/worker_says.h"
#include "tests/unit/daemon/xenctl_fake.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"

#define STEPS_MAX 128
#define DIR_REF   2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void guest_asks(struct says *in)
{
	static const uint32_t ops[] = {PVGPU_CTL_SESSION_OPEN, PVGPU_CTL_SESSION_OPEN,
				       PVGPU_CTL_SESSION_CLOSE, PVGPU_CTL_CHUNK_ADD,
				       PVGPU_CTL_CHUNK_REMOVE};
	struct pvgpu_ctl_msg m = {.op = ops[says_take(in, 1) % 5], .id = ++fake.g.next_id};

	m.session = 1 + says_take(in, 1) % 4;
	if (m.op == PVGPU_CTL_SESSION_OPEN) {
		m.u.open = (struct pvgpu_ctl_open){
			.cmd_size = PVGPU_RING_MIN, .rep_size = PVGPU_RING_MIN, .dir = DIR_REF};
	} else if (m.op != PVGPU_CTL_SESSION_CLOSE) {
		m.u.chunk.address = 0x300000000000 + 4096ull * (says_take(in, 1) % 16);
		m.u.chunk.size = 4096ull * (1 + says_take(in, 1) % 8);
		m.u.chunk.dir = m.op == PVGPU_CTL_CHUNK_ADD ? DIR_REF : 0;
	}
	fake_put(&m);
}

static void step(struct says *in)
{
	struct fake_worker *k = &fake.workers[says_take(in, 1) % FAKE_WORKERS % 6];
	struct pvgpu_ctl_msg m;

	switch (says_take(in, 1) % 8) {
	case 0:
		guest_asks(in);
		break;
	case 1:
	case 2:
		says_likely(in, k);
		break;
	case 3:
		says_any(in, k);
		break;
	case 4:
		says_answer(in, k);
		break;
	case 5:
		if (k->w && says_take(in, 1) % 4 == 0)
			fake_die(k);
		break;
	case 6:
		canary_want(fake.d.pools[0], "for the fuzzer");
		break;
	default:
		fake_settle();
		while (fake_answer(&m))
			;
		break;
	}
	for (unsigned int i = 0; i < 3; i++)
		ev_run(fake.d.loop, EVRUN_NOWAIT);
	says_check();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct says in = {.at = data, .left = size};

	fake_up();
	fake.d.cfg.quarantine_faults = size & 1 ? 0 : 3;
	fake.d.cfg.quarantine_window_s = 600;
	fake.d.cfg.quarantine_time_s = 1;
	/* The GPU is full at times, and sessions leave it for others. */
	fake.v->pool->cfg.park_memory = size & 2 ? 1ull << 31 : 0;
	fake.v->cfg.policy.memory_reserve = size & 2 ? 1 << 16 : 0;
	fake.d.pools[0]->device_memory = size & 2 ? 1 << 21 : 1 << 30;
	fake_directory(DIR_REF, 100, PVGPU_DIR_REFS);
	for (unsigned int i = 0; in.left && i < STEPS_MAX; i++)
		step(&in);
	xenctl_disconnect(&fake.x, true);
	fake_settle();
	says_nothing_left();
	fake_down();
	return 0;
}
