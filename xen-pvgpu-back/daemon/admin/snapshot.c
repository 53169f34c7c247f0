/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/admin/events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/statistics.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

#define EVENTS 24u /* in a snapshot */

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void put_daemon(const struct daemon *d, const struct snapshots *s,
		       struct pvgpu_daemon_record *out)
{
	uint64_t *n = out->value;

	snprintf(out->version, sizeof(out->version), "%s", PVGPU_VERSION);
	n[PVGPU_DAEMON_UPTIME] = (now_ms() - d->started_ms) / 1000;
	n[PVGPU_DAEMON_CPU_TIME] = clock_ns(CLOCK_PROCESS_CPUTIME_ID) / 1000;
	n[PVGPU_DAEMON_LOOP_TURNS] = ev_iteration(d->loop);
	n[PVGPU_DAEMON_VGPUS] = d->vgpu_n;
	n[PVGPU_DAEMON_SESSIONS] = d->session_n;
	n[PVGPU_DAEMON_WORKERS] = d->worker_n;
	n[PVGPU_DAEMON_WORKERS_STARTED] = d->workers_started;
	n[PVGPU_DAEMON_ACCOUNTING] = !strcmp(health_state(d), "on");
	n[PVGPU_DAEMON_STOPPING] = d->stopping;
	n[PVGPU_DAEMON_SNAPSHOTS] = s->made;
	n[PVGPU_DAEMON_SNAPSHOT_TIME] = s->took_ns / 1000;
}

static uint64_t known(uint32_t n)
{
	return n == UINT32_MAX ? PVGPU_UNKNOWN : n;
}

static void put_sensors(const struct pool *p, uint64_t *n)
{
	const struct health_msg *m = &p->sensors;
	const bool there = m->kind == HEALTH_STATE;

	n[PVGPU_GPU_MEMORY_USED] = there ? p->driver_used : PVGPU_UNKNOWN;
	n[PVGPU_GPU_TEMPERATURE] = there ? known(m->state.celsius) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_POWER] = there ? known(m->state.milliwatts) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_POWER_LIMIT] = there ? known(m->state.limit_milliwatts) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_SM_CLOCK] = there ? known(m->state.sm_mhz) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_MEMORY_CLOCK] = there ? known(m->state.memory_mhz) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_ECC_CORRECTED] = there ? m->state.corrected : PVGPU_UNKNOWN;
	n[PVGPU_GPU_ECC_UNCORRECTED] = there ? m->state.uncorrected : PVGPU_UNKNOWN;
	n[PVGPU_GPU_XIDS] = p->xids;
	n[PVGPU_GPU_LAST_XID] = p->last_xid;
}

/* A pool's `device` may be a number, or the beginning of a UUID. The driver knows none of a MIG
 * instance's. */
static void put_uuid(const struct pool *p, struct pvgpu_gpu_record *out)
{
	char text[CONFIG_GPU];

	snprintf(text, sizeof(text), "%s", p->cfg.device);
	if (strncmp(text, "MIG-", 4) != 0)
		health_device_uuid(p->d, p->cfg.device, text, sizeof(text));
	if (!strncmp(text, "MIG-", 4) || !strncmp(text, "GPU-", 4))
		snprintf(out->uuid, sizeof(out->uuid), "%.40s", text);
	out->uuid_comes = !out->uuid[0] && health_starts(p->d);
}

static void put_link(const struct pool *p, uint64_t *n)
{
	const struct health_msg *m = &p->pcie;
	const bool there = m->kind == HEALTH_PCIE;

	n[PVGPU_GPU_PCIE_GENERATION] = there ? known(m->pcie.generation) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_PCIE_WIDTH] = there ? known(m->pcie.width) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_PCIE_GENERATION_MAX] = there ? known(m->pcie.most_generation) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_PCIE_WIDTH_MAX] = there ? known(m->pcie.most_width) : PVGPU_UNKNOWN;
	n[PVGPU_GPU_PCIE_SENT] = there ? m->pcie.sent : PVGPU_UNKNOWN;
	n[PVGPU_GPU_PCIE_RECEIVED] = there ? m->pcie.received : PVGPU_UNKNOWN;
}

static void put_gpu(const struct pool *p, struct pvgpu_gpu_record *out)
{
	uint64_t *n = out->value, reserved = 0, parked = 0;

	snprintf(out->name, sizeof(out->name), "%s", p->cfg.name);
	snprintf(out->model, sizeof(out->model), "%s", p->model);
	out->confidential = p->cfg.mode == POOL_CONFIDENTIAL;
	put_uuid(p, out);
	canary_health(p, out->health, sizeof(out->health));
	n[PVGPU_GPU_MEMORY] = p->device_memory;
	n[PVGPU_GPU_MEMORY_FREE] = pool_free(p);
	n[PVGPU_GPU_MEMORY_PROMISED] = pool_promised(p);
	n[PVGPU_GPU_PARK_MEMORY] = p->cfg.park_memory;
	if (residency_is_on(p))
		residency_promised(p, &reserved, &parked);
	n[PVGPU_GPU_MEMORY_RESERVED] = reserved;
	n[PVGPU_GPU_PARK_PROMISED] = parked;
	n[PVGPU_GPU_GPU_TIME] = schedule_charged_ns(p->schedule) / 1000;
	n[PVGPU_GPU_WASTE_TIME] = schedule_waste_ns(p->schedule) / 1000;
	n[PVGPU_GPU_HANDOVERS] = schedule_handovers(p->schedule);
	n[PVGPU_GPU_HANDOVER_TIME] = schedule_handover_ns(p->schedule) / 1000;
	n[PVGPU_GPU_WAKEUPS] = schedule_wakeups(p->schedule);
	n[PVGPU_GPU_HEALTHY] = canary_in_use(p);
	n[PVGPU_GPU_DRAINED] = canary_drained(p);
	n[PVGPU_GPU_STATE] = canary_state(p);
	n[PVGPU_GPU_READMISSIONS] = p->canary.readmitted;
	n[PVGPU_GPU_CANARIES] = p->canary.runs;
	n[PVGPU_GPU_START_FAILURES] = p->failures;
	n[PVGPU_GPU_UNKNOWN_PROCESSES] = strangers_count(p);
	put_sensors(p, n);
	put_link(p, n);
}

static void put_state(const struct vgpu *v, struct pvgpu_vgpu_record *out)
{
	const char *state = "open";

	out->domain = out->device = PVGPU_NO_DOMAIN;
	if (v->xen) {
		snprintf(out->vm, sizeof(out->vm), "%s", v->xen->vm);
		snprintf(out->vm_uuid, sizeof(out->vm_uuid), "%s", v->xen->vm_uuid);
		pvgpu_backend_uuid_format(&v->xen->uuid, out->uuid, sizeof(out->uuid), NULL);
		out->domain = v->xen->domid;
		out->device = v->xen->devid;
		state = pvgpu_name_of(&pvgpu_state_names, v->xen->state);
	}
	if (v->drain)
		state = v->drain == PVGPU_DRAIN_NOW ? "ending" : "draining";
	else if (faults_left_s(v))
		state = "quarantined";
	snprintf(out->state, sizeof(out->state), "%s", state);
}

static void put_vgpu(const struct vgpu *v, struct pvgpu_vgpu_record *out)
{
	struct statistics_vgpu n;

	snprintf(out->name, sizeof(out->name), "%s", v->cfg.name);
	snprintf(out->pool, sizeof(out->pool), "%s", v->pool->cfg.name);
	snprintf(out->group, sizeof(out->group), "%s", v->group ? v->group->cfg.name : "");
	put_state(v, out);
	statistics_vgpu(v, &n);
	memcpy(out->value, n.value, sizeof(out->value));
	memcpy(out->latency, n.latency, sizeof(out->latency));
}

/* Adds vGPUs and workers to their GPU. */
static void add_up(const struct daemon *d, struct pvgpu_gpu_record *gpus)
{
	const struct worker *w;

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		uint64_t *n = gpus[d->vgpus[i]->pool->index].value;

		n[PVGPU_GPU_VGPUS]++;
		n[PVGPU_GPU_SESSIONS] += d->vgpus[i]->sessions;
		n[PVGPU_GPU_ACTIVE_VGPUS] += d->vgpus[i]->sessions > 0;
	}
	TAILQ_FOREACH(w, &d->workers, link)
	gpus[w->pool->index].value[PVGPU_GPU_SPARE_WORKERS] += w->state == CHECK_SPARE;
}

void *snapshot_make(struct daemon *d, struct snapshots *s, size_t *size)
{
	const uint64_t began = clock_ns(CLOCK_MONOTONIC);
	struct pvgpu_snapshot_header *h;
	struct pvgpu_daemon_record *own;
	struct pvgpu_gpu_record *gpus;
	struct pvgpu_vgpu_record *vgpus;
	struct pvgpu_event_record events[EVENTS];
	const unsigned int event_n = events_last(events, EVENTS);

	*size = sizeof(*h) + sizeof(*own) + d->pool_n * sizeof(*gpus) + d->vgpu_n * sizeof(*vgpus) +
		event_n * sizeof(events[0]);
	h = calloc(1, *size);
	if (!h)
		return NULL;
	own = (void *)(h + 1);
	gpus = (void *)(own + 1);
	vgpus = (void *)(gpus + d->pool_n);
	*h = (struct pvgpu_snapshot_header){
		.magic = PVGPU_SNAPSHOT_MAGIC,
		.layout = PVGPU_STATISTICS_LAYOUT,
		.gpus = d->pool_n,
		.vgpus = d->vgpu_n,
		.events = event_n,
		.event_size = sizeof(events[0]),
		.daemon_size = sizeof(*own),
		.gpu_size = sizeof(*gpus),
		.vgpu_size = sizeof(*vgpus),
		.realtime_ns = clock_ns(CLOCK_REALTIME),
		.monotonic_ns = began,
	};
	for (unsigned int i = 0; i < d->pool_n; i++)
		put_gpu(d->pools[i], &gpus[i]);
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		put_vgpu(d->vgpus[i], &vgpus[i]);
	add_up(d, gpus);
	memcpy(vgpus + d->vgpu_n, events, event_n * sizeof(events[0]));
	s->made++;
	put_daemon(d, s, own);
	s->took_ns += clock_ns(CLOCK_MONOTONIC) - began;
	return h;
}
