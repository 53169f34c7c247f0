/* SPDX-License-Identifier: MIT */
/* FUZZ_DECODES: xen-pvgpu-back/daemon/xen/xenctl.c */
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
 * gen/pvgpu_keys.c */
/* FUZZ_LIBS: -lev */
/*
 * A hostile guest on the control ring with hostile workers behind it, over connections and restarts
 * of pvgpud. At the end no grant is counted and no session left.
 *
 * Input: steps of one byte, modulo STEPS, each with what belongs to it.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/unit/daemon/xenctl_fake.h"

#define STEPS_MAX 256
#define DIR_REF   2u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *at;
static size_t left;

static uint32_t take(unsigned int bytes)
{
	uint32_t v = 0;

	for (unsigned int i = 0; i < bytes && left; i++, left--)
		v |= (uint32_t)*at++ << 8 * i;
	return v;
}

static void take_bytes(void *to, size_t n)
{
	size_t some = n < left ? n : left;

	memset(to, 0, n);
	memcpy(to, at, some);
	at += some;
	left -= some;
}

static const uint32_t ops[] = {PVGPU_CTL_SESSION_OPEN, PVGPU_CTL_SESSION_CLOSE, PVGPU_CTL_CHUNK_ADD,
			       PVGPU_CTL_CHUNK_REMOVE, 0x55};

/* A request that means something: few sessions, few places. */
static void likely_request(void)
{
	struct pvgpu_ctl_msg m = {.id = ++fake.g.next_id};

	m.op = ops[take(1) % 5];
	m.session = take(1) % 5;
	if (m.op == PVGPU_CTL_SESSION_OPEN) {
		m.u.open = (struct pvgpu_ctl_open){
			.cmd_size = PVGPU_RING_MIN, .rep_size = PVGPU_RING_MIN, .dir = DIR_REF};
	} else {
		m.u.chunk.address = 0x300000000000 + 4096ull * (take(1) % 16);
		m.u.chunk.size = 4096ull * (1 + take(1) % 8);
		m.u.chunk.dir = m.op == PVGPU_CTL_CHUNK_ADD ? DIR_REF : 0;
	}
	fake_put(&m);
}

static void any_request(void)
{
	struct pvgpu_ctl_msg m;

	take_bytes(&m, sizeof(m));
	fake_put(&m);
}

static void meddle(void)
{
	uint32_t offset = take(2) % 1024, value = take(4);

	memcpy((char *)fake.g.page + 4 * offset, &value, sizeof(value));
}

static void directory(void)
{
	struct pvgpu_dir_page *d = (struct pvgpu_dir_page *)fake.pages[DIR_REF];

	fake_directory(DIR_REF, 100, PVGPU_DIR_REFS);
	d->ref[take(1) % 64] = take(1);
	d->next = take(1);
}

static struct fake_worker *some_worker(void)
{
	struct fake_worker *k = &fake.workers[take(1) % FAKE_WORKERS];

	return k->w ? k : NULL;
}

static void worker_says(void)
{
	static const uint32_t kinds[] = {PVGPU_SUP_SEALED, PVGPU_SUP_CHUNKED, PVGPU_SUP_ENDED,
					 PVGPU_SUP_STATE,  PVGPU_SUP_LEASE,   PVGPU_SUP_RETURN};
	struct fake_worker *k = some_worker();
	struct pvgpu_sup m = {.kind = kinds[take(1) % 6]};

	m.id = take(1);
	m.a = take(1);
	if (!k)
		return;
	m.session = k->w->id;
	m.b = k->w->number;
	if (k->w->vgpu)
		memcpy(m.vgpu, k->w->vgpu->cfg.name, sizeof(m.vgpu));
	msg_send(k->control, &m, sizeof(m), NULL, 0);
}

/* What it was asked, answered. */
static void worker_obeys(void)
{
	struct fake_worker *k = some_worker();
	struct pvgpu_sup_assign m;
	unsigned int fds;
	const uint32_t kind = take(1) & 1 ? PVGPU_SUP_CHUNK_REMOVE : PVGPU_SUP_CHUNK_ADD;

	if (!k || !fake_hear(k, kind, &m, &fds))
		return;
	m.head = (struct pvgpu_sup){.kind = PVGPU_SUP_CHUNKED, .id = m.head.id, .a = take(1) % 3};
	msg_send(k->control, &m.head, sizeof(m.head), NULL, 0);
}

static void reconnect(void)
{
	if (fake.x.ctl)
		xenctl_disconnect(&fake.x, take(1) & 1);
	else if (!fake.v->xen_ending)
		fake_connect(take(1) & 1);
}

static void settings(void)
{
	fake.fail_map = take(1) % 8 ? 0 : 12;
	fake.fail_channel = take(1) % 8 ? 0 : 22;
	fake.d.cfg.xen_max_grants = take(1) % 4 ? 1 << 20 : 100;
	fake.v->drain = !(take(1) % 8);
}

static void step(void)
{
	struct pvgpu_ctl_msg m;
	struct fake_worker *k;

	switch (take(1) % 16) {
	case 0:
	case 1:
	case 2:
		likely_request();
		break;
	case 3:
		any_request();
		break;
	case 4:
		meddle();
		fake_ring();
		break;
	case 5:
		directory();
		break;
	case 6:
		worker_says();
		break;
	case 7:
	case 8:
		worker_obeys();
		break;
	case 9:
		k = some_worker();
		if (k)
			fake_die(k);
		break;
	case 10:
		reconnect();
		break;
	case 11:
		if (!fake.v->xen_ending)
			fake_restart();
		break;
	case 12:
		settings();
		break;
	case 13:
		fake_settle();
		break;
	default:
		while (fake_answer(&m))
			;
		break;
	}
	ev_run(fake.d.loop, EVRUN_NOWAIT);
}

/* Time goes by, and two breaches are too many: in half of all runs. */
static void be_strict(void)
{
	fake.d.cfg.quarantine_faults = 2;
	fake.d.cfg.quarantine_window_s = 600;
	fake.d.cfg.quarantine_time_s = 5;
	fake_pass(1500);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	at = data;
	left = size;
	fake_up();
	fake_directory(DIR_REF, 100, PVGPU_DIR_REFS);
	for (unsigned int i = 0; left && i < STEPS_MAX; i++) {
		if (size & 1)
			be_strict();
		step();
	}
	xenctl_disconnect(&fake.x, true);
	fake_settle();
	if (fake.v->sessions || fake.v->openings || fake.d.xen_grants || fake.x.ctl || !fake.idle)
		abort();
	fake_down();
	return 0;
}
