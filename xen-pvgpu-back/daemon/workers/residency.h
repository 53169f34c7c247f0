/* SPDX-License-Identifier: MIT */
/*
 * Memory on the GPU and memory in host memory, in a pool with `park_memory`: there the sessions of
 * a vGPU that have more on the GPU than its reserve may be parked while another one needs the
 * room.
 *
 * Each vGPU counts with its reserve, or with what it has on the GPU if that is more. The sum is at
 * most the GPU's memory, so that memory within a reserve is there at once. Memory beyond it may be
 * parked, so the sum of that is at most `park_memory`. Both are promised when the vGPU is admitted.
 */
#ifndef PVGPU_RESIDENCY_H
#define PVGPU_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"

/* Are sessions of this pool parked for others? */
bool residency_is_on(const struct pool *p);
/* Would the promises of the pool's vGPUs hold with one of these settings instead of v (NULL:
 * beside all; cfg NULL: without one more)? False with a reason. */
bool residency_admits(const struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
		      char reason[POOL_REASON]);
/* Bytes of the GPU's memory that are reserved; host memory that is promised, or taken if that is
 * more. */
void residency_promised(const struct pool *p, uint64_t *reserved, uint64_t *parked);
/* Bytes that the vGPU's sessions may have on the GPU beside what they have now. */
uint64_t residency_room(const struct vgpu *v);
/* Bytes that a session of the vGPU may have there at once, beside the others' reserves. */
uint64_t residency_most(const struct vgpu *v);
/* Can the claim's session have all of its memory there at once, beside the others' reserves? */
bool residency_fits(const struct claim *c);
/* Bytes that there are for the claim now. A session that does not fit, since others got their
 * reserves later, is lent what lies unused of them, or it could never come back. */
uint64_t residency_room_for(const struct claim *c);
/* Bytes of the pool's host memory that the vGPU's sessions may park beside what they have: its own
 * part, and what is promised to no vGPU. */
uint64_t residency_host_room(const struct vgpu *v);
/* Are so many bytes more within its reserve? */
bool residency_is_reserved(const struct vgpu *v, uint64_t bytes);

/* ---- making room: who leaves ---- */

void residency_init(struct pool *p);
void residency_stop(struct pool *p);
/* Asks sessions to leave for the pool's first claim, now and until there is room. */
void residency_look(struct pool *p);
/* Could the sessions that can leave make room for it? The requester's own does not leave. */
bool residency_can(const struct claim *c);
/* The worker's answer to parking_leave(): bytes, which are for the pool's first claim; again: it
 * has work, and may be asked again. */
void residency_parked(struct worker *w, uint64_t bytes, bool again);
/* The worker's memory is on the GPU again, after ns; 0: not known. */
void residency_came(struct worker *w, uint64_t bytes, uint64_t ns);

#endif
