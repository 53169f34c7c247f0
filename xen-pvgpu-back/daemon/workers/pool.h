/* SPDX-License-Identifier: MIT */
/*
 * A pool is one GPU (or a MIG instance) with its own policy, spare workers and account of memory. A
 * vGPU is in one pool. It can move only while it has no session, since a session's memory is on its
 * GPU. A group is the vGPUs of a project, in any pools.
 *
 * Admission: the sum of the promises (`memory`) of a pool's vGPUs is at most its GPU's memory times
 * `overcommit`. A vGPU with memory 0 has no promise: it may use memory that is not promised to
 * others, and its use counts against further promises.
 */
#ifndef PVGPU_POOL_H
#define PVGPU_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"

/* Makes the pools and groups of the configuration, before any vGPU is added; 0 or -ENOMEM. */
int pool_start(struct daemon *d);
/* To be called after the last vGPU is removed. */
void pool_stop(struct daemon *d);

/* References a group by name, made if it is new; NULL for "", or when out of memory. */
struct pool_group *group_get(struct daemon *d, const char *name);
void group_put(struct daemon *d, struct pool_group *g); /* NULL: nothing */

/*
 * Chooses the pool of a vGPU: the one that it names, else one with room by the placement. NULL with
 * a reason that tells what is free and what can be done; an empty one: not decided yet, as waits
 * are being predicted (goals.h). A pool whose memory is not known yet has
 * room for everything. v: the vGPU if it is in a pool already; then its own memory does not count,
 * and it stays where it is if possible. NULL: a new vGPU.
 */
struct pool *pool_place(struct daemon *d, const struct config_vgpu *cfg, const struct vgpu *v,
			char reason[POOL_REASON]);
/* Must the placement wait for a worker to report a GPU's memory? */
bool pool_waits(struct daemon *d, const struct config_vgpu *cfg);
/* When the GPU's memory is known: vGPUs of the configuration are moved to where they fit. Those
 * that fit nowhere, the last ones, get no sessions until there is room, and a warning. */
void pool_known(struct pool *p);
/* Promised or free memory has changed: retries vGPUs that wait for memory, and tells those without
 * a promise. */
void pool_changed(struct pool *p);
/* The use of vGPUs without a promise has changed: calls pool_changed after a delay, since
 * allocations are frequent. */
void pool_used(struct pool *p);
/* Apply settings while pvgpud runs: "NAME KEY=VALUE...; NAME..."; 0, or -1 with an error. */
int pool_live(struct daemon *d, const char *text, char error[CONFIG_ERROR]);
int group_live(struct daemon *d, const char *text, char error[CONFIG_ERROR]);
/* The configuration's pools and groups have changed: what was set by these two stays on top. */
int pool_reload(struct daemon *d, char error[CONFIG_ERROR]);
/* Settings that the toolstack has written for the group in a vGPU's keys. Those of pvgpud.conf and
 * of group_live take precedence. */
void group_told(struct daemon *d, struct pool_group *g, const struct pvgpu_backend_group_policy *p);

/* Bytes that are promised to its vGPUs; that can still be promised; that vGPUs without a promise
 * can have in addition. */
uint64_t pool_promised(const struct pool *p);
uint64_t pool_free(const struct pool *p);
uint64_t pool_spare_memory(const struct pool *p);
/* The GPU's memory without what its other vGPUs were promised or use. */
uint64_t pool_room(const struct vgpu *v);

#endif
