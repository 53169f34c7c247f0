/* SPDX-License-Identifier: MIT */
/*
 * Latency goals. A vGPU with one is admitted only where the goals of all vGPUs of the pool can be
 * met, its own included, by a simulation of the pool: those with goals use little, all others have
 * work all the time. A change of settings is never refused; the prediction then says what it means.
 */
#ifndef PVGPU_GOALS_H
#define PVGPU_GOALS_H

#include "xen-pvgpu-back/daemon/core/daemon.h"

enum goals_verdict { GOALS_MET, GOALS_MISSED, GOALS_NOT_YET };

/* Would a goal be missed in the pool with this vGPU beside those that are there? Then with a
 * reason. v: the vGPU if it is in a pool already, else NULL. GOALS_NOT_YET: the loop simulates it,
 * a part in each turn; then vGPUs that are `unsettled` are settled, and xenbus_predicted is called:
 * ask again. */
enum goals_verdict goals_ask(struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
			     char reason[POOL_REASON]);
/* The pool's vGPUs or their settings have changed: their predictions are made again, soon. */
void goals_changed(struct pool *p);
void goals_init(struct pool *p);
void goals_stop(struct pool *p);

#endif
