/* SPDX-License-Identifier: MIT */
/* FUZZ_OBJS: xen-pvgpu-back/daemon/admin/admin_json.c xen-pvgpu-back/daemon/admin/events.c
 * xen-pvgpu-back/daemon/admin/tree.c xen-pvgpu-back/daemon/core/held.c
 * xen-pvgpu-back/daemon/core/pools.c xen-pvgpu-back/contract/log.c
 * xen-pvgpu-back/daemon/workers/pool.c tests/fuzz/fake_goals.c
 * xen-pvgpu-back/daemon/workers/pool_live.c xen-pvgpu-back/daemon/workers/vgpu.c
 * xen-pvgpu-back/daemon/cgroup/cgroup_files.c xen-pvgpu-back/daemon/cgroup/host_memory.c
 * xen-pvgpu-back/daemon/workers/parking.c xen-pvgpu-back/daemon/workers/residency.c
 * xen-pvgpu-back/daemon/admin/tree_write.c
 * xen-pvgpu-back/daemon/workers/lease.c xen-pvgpu-back/daemon/rules/ledger.c
 * xen-pvgpu-back/daemon/rules/budget.c xen-pvgpu-back/daemon/config/config.c
 * xen-pvgpu-back/daemon/config/config_value.c xen-pvgpu-back/daemon/config/config_finish.c
 * xen-pvgpu-back/daemon/config/config_live.c xen-pvgpu-back/sched/place.c
 * xen-pvgpu-back/contract/local_check.c xen-pvgpu-back/contract/msg.c
 * tests/unit/daemon/daemon_fake.c xenstore-schema/values.c xenstore-schema/records.c
 * xenstore-schema/nearest.c gen/pvgpu_keys.c xen-pvgpu-back/statistics/json.c
 * xen-pvgpu-back/statistics/read.c xen-pvgpu-back/statistics/text.c gen/pvgpu_statistics.c
 */
/* FUZZ_LIBS: -ljansson -lev -linih */
/* A line on pvgpud's admin socket: every answer is one line of JSON that says whether it is well.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/admin/admin_json.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

void *snapshot_copy(struct daemon *dm, size_t *size)
{
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct daemon d;

void canary_drain(struct pool *p)
{
}

void faults_save(struct daemon *dm)
{
}

void worker_kill(struct worker *w, const char *fmt, ...)
{
}
static struct vgpu vgpus[2];
static struct worker worker;
static struct xen_vgpu guest;

uint64_t now_ms(void)
{
	return 1000000;
}

void xenbus_changed(struct xen_vgpu *x)
{
}

void xenbus_host_changed(struct daemon *dm)
{
}

void xenbus_memory_changed(struct daemon *dm)
{
}

struct vgpu *daemon_vgpu(struct daemon *dm, const char *name)
{
	for (unsigned int i = 0; i < dm->vgpu_n; i++)
		if (!strcmp(dm->vgpus[i]->cfg.name, name))
			return dm->vgpus[i];
	return NULL;
}

static void set_up(void)
{
	static struct config_pool pools[2] = {
		{.name = "default", .device = "0", .overcommit = 1000},
		{.name = "other", .device = "1", .overcommit = 1500}};
	static struct vgpu *list[2] = {&vgpus[0], &vgpus[1]};
	struct config_vgpu cfg = {.memory = 1 << 20};

	d.cfg.pools = pools;
	d.cfg.pool_n = 2;
	d.loop = ev_loop_new(EVFLAG_AUTO);
	if (!d.loop || pool_start(&d) < 0)
		abort();
	log_set_level(LOG_LEVEL_ERROR);
	TAILQ_INIT(&d.workers);
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(cfg.name, sizeof(cfg.name), "vgpu%u", i);
		strcpy(cfg.socket, "/run/pvgpu/x.sock");
		d.pools[i]->device_memory = 1ull << 30;
		vgpu_init(&vgpus[i], &d, &cfg, d.pools[i]);
	}
	d.vgpus = list;
	d.vgpu_n = 2;
	guest.domid = 3;
	guest.state = PVGPU_STATE_CONNECTED;
	vgpus[1].xen = &guest;
	worker.d = &d;
	worker.vgpu = &vgpus[0];
	worker.id = 7;
	worker.state = CHECK_SERVING;
	TAILQ_INSERT_TAIL(&d.workers, &worker, link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *answer;
	char *text;

	if (!d.vgpu_n)
		set_up();
	if (size > ADMIN_LINE_MAX)
		return 0;
	text = admin_answer(&d, (const char *)data, size);
	if (!text)
		return 0;
	if (!text[0] || strchr(text, '\n') != text + strlen(text) - 1)
		abort();
	answer = json_loads(text, 0, NULL);
	if (!json_is_object(answer) || !json_is_boolean(json_object_get(answer, "ok")))
		abort();
	json_decref(answer);
	free(text);
	return 0;
}
