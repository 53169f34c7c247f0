/* SPDX-License-Identifier: MIT */
#include "tests/unit/daemon/daemon_fake.h"

#include <stdio.h>
#include <stdlib.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

struct daemon_fake daemon_fake;

void share_pool_changed(struct pool *p)
{
	daemon_fake.gpus_changed++;
}

void share_group_changed(struct daemon *dm, struct pool_group *g)
{
	daemon_fake.groups_changed++;
}

bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out)
{
	return false;
}

int share_moved(struct vgpu *v)
{
	daemon_fake.moved++;
	return 0;
}

uint64_t schedule_handovers(const struct schedule *s)
{
	return 0;
}

uint64_t schedule_handover_ns(const struct schedule *s)
{
	return 0;
}

uint64_t schedule_wakeups(const struct schedule *s)
{
	return 0;
}

uint64_t schedule_waits(const struct schedule *s, uint64_t *turns)
{
	*turns = 0;
	return 0;
}

const char *canary_refuses(const struct pool *p)
{
	return p->index ? NULL : daemon_fake.unsound;
}

void canary_init(struct pool *p)
{
}

void canary_stop(struct pool *p)
{
}

void canary_clear(struct pool *p)
{
	daemon_fake.unsound = NULL;
}

void canary_health(const struct pool *p, char *out, size_t cap)
{
	snprintf(out, cap, "ok");
}

bool canary_in_use(const struct pool *p)
{
	return true;
}

int reset_start(struct pool *p, char *why, size_t cap)
{
	snprintf(why, cap, "not here");
	return -1;
}

bool reset_runs(const struct pool *p)
{
	return false;
}

void reset_text(const struct pool *p, char *out, size_t cap)
{
	snprintf(out, cap, "%s", "");
}

void canary_ask(struct pool *p)
{
}

void canary_result(const struct pool *p, char *out, size_t cap)
{
	snprintf(out, cap, "%s", "");
}

unsigned int strangers_count(const struct pool *p)
{
	return 0;
}

void share_policy(struct vgpu *v)
{
}

void share_stats(const struct vgpu *v, struct tenant_stats *out)
{
	*out = (struct tenant_stats){0};
}

void facts_of(const struct vgpu *v, struct pvgpu_gpu_card *out)
{
	*out = (struct pvgpu_gpu_card){0};
}

void facts_changed(struct pool *p)
{
}

void share_restore(struct vgpu *v, const struct tenant_stats *n)
{
}

void faults_pardon(struct vgpu *v, uint64_t number)
{
}

uint64_t faults_left_s(const struct vgpu *v)
{
	return 0;
}

void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
{
	abort();
}

void judge_lease(struct judge *j, uint64_t leased, uint64_t now)
{
}

int supervise_tell(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	return 0;
}

int supervise_say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a)
{
	return 0;
}

void supervise_meminfo(struct worker *w, uint64_t free)
{
}

const char *worker_name(const struct worker *w)
{
	return "worker";
}

void spares_keep(struct daemon *dm)
{
}

void open_accept(struct vgpu *v, int fd)
{
}

void open_refuse_all(struct daemon *dm, struct vgpu *v, int error, const char *reason)
{
}

void open_refuse_user(struct vgpu *v, uint32_t user, int error, const char *reason)
{
}

const char *cgroup_state(const struct daemon *d)
{
	return "on";
}

const char *health_state(const struct daemon *d)
{
	return "off";
}

bool health_starts(const struct daemon *d)
{
	return daemon_fake.health_starts;
}

void health_device_uuid(const struct daemon *d, const char *device, char *out, size_t cap)
{
	snprintf(out, cap, "%s%s", daemon_fake.health_starts ? "" : "GPU-of-", device);
}

uint64_t schedule_charged_ns(const struct schedule *s)
{
	return 0;
}

uint64_t schedule_waste_ns(const struct schedule *s)
{
	return 0;
}

bool canary_drained(const struct pool *p)
{
	return false;
}

enum canary_state canary_state(const struct pool *p)
{
	return 0;
}
