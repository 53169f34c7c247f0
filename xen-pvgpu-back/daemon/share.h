/* SPDX-License-Identifier: MIT */
/*
 * What pvgpud's vGPUs, workers and pools have to do with the scheduler: each pool has a schedule,
 * each vGPU a seat in its pool's, each worker with a session a gate at its vGPU's seat.
 */
#ifndef PVGPU_SHARE_H
#define PVGPU_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/schedule.h"

struct daemon;
struct pool;
struct pool_group;
struct vgpu;
struct worker;
struct share;

/* The pools are there, vGPUs are not yet: 0 or -ENOMEM. */
int share_start(struct daemon *d);
/* vGPUs and pools are there still. leave: sessions go on. */
void share_stop(struct daemon *d, bool leave);

/* Settings of a pool or a group have changed. */
void share_pool_changed(struct pool *p);
void share_group_changed(struct daemon *d, struct pool_group *g);

/* A vGPU is there: 0 or -ENOMEM; it goes. */
int share_vgpu(struct vgpu *v);
void share_vgpu_gone(struct vgpu *v);
/* v->cfg has changed. */
void share_policy(struct vgpu *v);
/* v->pool, or v->group and v->cfg.group, have (the pool only while it has no session): 0, or
 * -ENOMEM, and it is scheduled as before: the caller sets them back. */
int share_moved(struct vgpu *v);
/* What it had used before, if that is not known here. */
void share_restore(struct vgpu *v, const struct seat_stats *before);
void share_stats(const struct vgpu *v, struct seat_stats *out);

/* A former pvgpud's worker has been found: share_worker follows, or share_worker_gone. */
void share_await(struct worker *w);
/* A worker has a session, perhaps of a former pvgpud; it is dead. */
void share_worker(struct worker *w, bool adopted);
void share_worker_gone(struct worker *w);

/* A snapshot of what the worker reports; false: it has no gate. */
bool gate_read(const struct worker *w, struct pvgpu_gate_report *out);
/* It looks, and reports what is true now. */
void gate_ask(struct worker *w);
/* Its gate stays closed whatever its vGPU is granted. */
void gate_hold(struct worker *w, bool on);
/* CLOCK_MONOTONIC, ns, when its gate was closed if it has not drained since; else 0. */
uint64_t gate_closed_ns(const struct worker *w);

#endif
