/* SPDX-License-Identifier: MIT */
/*
 * Parked memory: device memory of idle sessions that lies in their workers' host memory
 * (contract/supervise.h, PVGPU_SUP_PARK and on). It counts against the vGPU's quota, and not as
 * leased: what the driver counts for a worker that has not let go of it is found by the judge of
 * leases (guard/account.c).
 *
 * pvgpud asks and the worker decides whether it is idle. The worker brings its memory back when a
 * program needs it, and asks for the lease first. Its copies are work on the GPU that its gate does
 * not let through: from a question or an answer of pvgpud's to the worker's report it is not
 * judged, up to the time on the GPU that the bytes take at a low rate. Only use counts, as the
 * driver tells it: a worker that is starved of CPU copies later.
 */
#ifndef PVGPU_PARKING_H
#define PVGPU_PARKING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pvgpu_sup;
struct vgpu;
struct worker;

void parking_init(struct vgpu *v);
void parking_stop(struct vgpu *v);
/* An operator's word: the memory of its sessions is parked while they are idle, or is not, and
 * comes back. False with a reason: not in this pool. */
bool parking_want(struct vgpu *v, bool on, char *why, size_t cap);

/* The same as a key's value, 0 or 1: 0, or an errno value with a reason. */
int parking_write(struct vgpu *v, const char *value, char *why, size_t cap);

/* Asks a session to park allocations of up to `most` bytes until they have `enough`, also if it has
 * work, which gets `ms` to end; residency_parked() tells of the answer. False: there is no host
 * memory for it. */
bool parking_leave(struct worker *w, uint64_t most, uint64_t enough, unsigned int ms);
/* It was asked to park more, and has not answered: what it needs to come back is not known. */
bool parking_grows(const struct worker *w);
/* There is room for the bytes that it asked for: it may bring them back. */
void parking_resumes(struct worker *w, uint32_t id);

/* Bytes of the machine's memory; 0: not known. */
uint64_t parking_machine(void);

/* A former pvgpud's worker may be moving its memory. */
void parking_adopted(struct worker *w);
/* A message of the worker's: PARKED, RESUME, RESUMED. */
void parking_heard(struct worker *w, const struct pvgpu_sup *m);
/* It is dead: takes what was parked out of the books. */
void parking_died(struct worker *w);

#endif
