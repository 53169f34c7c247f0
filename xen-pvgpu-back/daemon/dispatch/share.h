/* SPDX-License-Identifier: MIT */
/* Connects pools, vGPUs and workers with the scheduler: a pool has a schedule, a vGPU is a tenant
 * of its pool's schedule, and a worker with a session has a gate of that tenant. */
#ifndef PVGPU_SHARE_H
#define PVGPU_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/config/config.h"
#include "xen-pvgpu-back/daemon/dispatch/schedule.h"

struct daemon;
struct pool;
struct pool_group;
struct vgpu;
struct worker;
struct share;

/* The scheduler's form of settings. */
static inline struct sched_params share_params(const struct config_pool *p)
{
	return (struct sched_params){
		.policy = p->policy,
		.exclusive = p->mode != POOL_SHARED,
		.slice_ns = p->slice_ms * 1000000ull,
		.credit_ns = p->credit_ms * 1000000ull,
		.starve_ns = p->starvation_ms * 1000000ull,
	};
}

static inline struct sched_share share_of_vgpu(const struct config_vgpu *cfg)
{
	const struct pvgpu_backend_policy *p = &cfg->policy;

	return (struct sched_share){
		.class = (enum sched_class)p->priority,
		.weight = p->weight,
		.min_ppm = p->min_share,
		.max_ppm = p->max_share,
		.fixed_ppm = p->fixed_share,
	};
}

static inline struct sched_share share_of_group(const struct config_group *g)
{
	return (struct sched_share){
		.class = SCHED_MEDIUM,
		.weight = g->weight,
		.min_ppm = g->min_ppm,
		.max_ppm = g->max_ppm,
	};
}

/* To be called after pools and before vGPUs are made: 0 or -ENOMEM. */
int share_start(struct daemon *d);
/* To be called before vGPUs and pools are freed. leave: sessions go on. */
void share_stop(struct daemon *d, bool leave);

/* Settings of a pool or a group have changed. */
void share_pool_changed(struct pool *p);
void share_group_changed(struct daemon *d, struct pool_group *g);

/* A vGPU was added (0 or -ENOMEM), or is removed. */
int share_vgpu(struct vgpu *v);
void share_vgpu_gone(struct vgpu *v);
/* v->cfg has changed. */
void share_policy(struct vgpu *v);
/* v->pool, or v->group and v->cfg.group, has changed (the pool only while it has no session). 0, or
 * -ENOMEM: it is scheduled as before and the caller restores them. */
int share_moved(struct vgpu *v);
/* Adds its use before this pvgpud, unless that is on record. */
void share_restore(struct vgpu *v, const struct tenant_stats *before);
void share_stats(const struct vgpu *v, struct tenant_stats *out);

/* A worker of a former pvgpud was found: share_worker or share_worker_gone follows. */
void share_await(struct worker *w);
/* A worker has got a session or was adopted with one; it is dead. */
void share_worker(struct worker *w, bool adopted);
void share_worker_gone(struct worker *w);

/* Copies the worker's report; false: it has no gate. */
bool share_gate_read(const struct worker *w, struct pvgpu_gate_report *out);
/* Makes the worker look and update its report. */
void share_gate_ask(struct worker *w);
/* The worker has not taken all rings yet. */
bool share_gate_unheard(const struct worker *w);
/* on: its gate stays closed even while its vGPU has the grant. */
void share_gate_hold(struct worker *w, bool on);
/* CLOCK_MONOTONIC, ns, when its gate was closed, if it has not drained since; else 0. */
uint64_t share_gate_closed_ns(const struct worker *w);
/* GPU time that other vGPUs of its pool have been charged, ns: grows while it is in the pool. */
uint64_t share_gate_others_ns(const struct worker *w);

#endif
