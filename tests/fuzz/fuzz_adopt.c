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
 * A pvgpud that comes after another one: the file of what sessions hold, damaged or not, names in
 * the folder of workers, and what the workers say on the socket that it has connected to. What all
 * workers hold is the sum of what each holds, and at the end nothing is left.
 *
 * Input: steps of one byte, each with what belongs to it.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fuzz/worker_says.h"
#include "tests/unit/daemon/xenctl_fake.h"

#define STEPS_MAX 64
#define DIR_REF   2u
#define CHUNKS    4u /* of each session, at the most */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Nothing when the ring is full of answers. */
static void request(uint32_t op, uint32_t session, const void *u, size_t len)
{
	struct pvgpu_ctl_msg m = {.op = op, .id = ++fake.g.next_id, .session = session};

	memcpy(&m.u, u, len);
	fake_put(&m);
	fake_settle();
}

static void open_session(uint32_t number)
{
	struct pvgpu_ctl_open o = {
		.cmd_size = PVGPU_RING_MIN, .rep_size = PVGPU_RING_MIN, .dir = DIR_REF};
	struct fake_worker *k;

	request(PVGPU_CTL_SESSION_OPEN, number, &o, sizeof(o));
	k = fake_serving(number);
	if (k)
		fake_seal(k);
	fake_settle();
}

static void hold(struct says *in, uint32_t number)
{
	struct fake_worker *k = fake_serving(number);
	struct pvgpu_sup m = {.kind = PVGPU_SUP_LEASE, .a = 1 + says_take(in, 3)};
	struct pvgpu_ctl_chunk c = {.size = 4096ull * (1 + says_take(in, 1) % 8), .dir = DIR_REF};

	if (!k)
		return;
	fake_say(k, &m);
	for (unsigned int i = says_take(in, 1) % (CHUNKS + 1); i; i--) {
		c.address = 0x300000000000 + 0x10000ull * i;
		request(PVGPU_CTL_CHUNK_ADD, number, &c, sizeof(c));
		if (says_take(in, 1) & 1)
			says_answer(in, k);
	}
	fake_settle();
}

/* Some bytes of the file, as a crash, an operator or another version may leave them. */
static void damage(struct says *in)
{
	unsigned char bytes[16];
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/held", fake.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		abort();
	for (unsigned int i = says_take(in, 1) % 4; i; i--) {
		const uint64_t at = says_take(in, 1), what = says_take(in, 1);
		off_t where = what & 1 ? 4096 + (off_t)at : 8192 + (off_t)at * 8;

		if (what & 2)
			where += 69632; /* the second place */
		says_bytes(in, bytes, sizeof(bytes));
		if (pwrite(fd, bytes, what & 4 ? 16 : 4, where) < 0)
			abort();
	}
	if (says_take(in, 1) % 16 == 15 && ftruncate(fd, (off_t)says_take(in, 2)) < 0)
		abort();
	close(fd);
}

/* A name that is no worker's socket. */
static void name(struct says *in)
{
	char text[64];
	int fd;

	says_bytes(in, text, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (char *c = text; *c; c++)
		if (*c == '/')
			*c = '.';
	if (!text[0] || !strcmp(text, ".") || !strcmp(text, "..") || !strcmp(text, "held"))
		return;
	fd = openat(fake.d.workers_dir, text, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	/* Also forgets records of no adopted worker. */
	adopt_scan(&fake.d);
}

static void restart(struct says *in)
{
	if (fake.v->xen_ending)
		return;
	if (says_take(in, 1) & 1)
		damage(in);
	fake_restart();
	if (says_take(in, 1) & 1)
		fake_connect(true);
}

static void step(struct says *in)
{
	struct fake_worker *k = &fake.workers[says_take(in, 1) % 6];
	struct pvgpu_ctl_msg m;

	switch (says_take(in, 1) % 8) {
	case 0:
		if (fake.x.ctl)
			open_session(1 + (uint32_t)says_take(in, 1) % 3);
		break;
	case 1:
		if (fake.x.ctl)
			hold(in, 1 + (uint32_t)says_take(in, 1) % 3);
		break;
	case 2:
		restart(in);
		break;
	case 3:
	case 4:
		says_likely(in, k);
		break;
	case 5:
		says_any(in, k);
		break;
	case 6:
		name(in);
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
	fake_directory(DIR_REF, 100, PVGPU_DIR_REFS);
	open_session(1);
	hold(&in, 1);
	open_session(2);
	restart(&in);
	says_check();
	for (unsigned int i = 0; in.left && i < STEPS_MAX; i++)
		step(&in);
	if (!fake.x.ctl && !fake.v->xen_ending)
		fake_connect(true);
	if (fake.x.ctl)
		xenctl_disconnect(&fake.x, true);
	fake_settle();
	says_nothing_left();
	fake_down();
	return 0;
}
