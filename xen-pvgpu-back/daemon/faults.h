/* SPDX-License-Identifier: MIT */
/*
 * What sessions and GPUs do wrong, and what follows: faults of vGPUs are counted (quarantine.h),
 * GPUs are checked (canary.h). Both are remembered over pvgpud's own life in the file
 * <run_dir>/faults, which is there while there is something to remember.
 */
#ifndef PVGPU_FAULTS_H
#define PVGPU_FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/daemon/quarantine.h"
#include "xen-pvgpu-back/link/local_check.h"

struct daemon;
struct vgpu;
struct worker;

/* A vGPU that is not there now, or not yet. */
struct fault_record {
	SLIST_ENTRY(fault_record) link;
	char identity[40];
	struct quarantine q;
};

/* ---- faults.c ---- */

/* The worker has done harm: a fault of its vGPU, and its end. */
void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void faults_count(struct vgpu *v, enum fault kind, const char *why);
/* Its guest has broken a protocol where there is no session to be ended for it. What comes within a
 * second is one fault: whatever a guest does, it writes no file oftener. */
void faults_breach(struct vgpu *v, const char *why);
/* The session is over, w->reason says why. */
void faults_session_ended(struct worker *w);
/* Is the vGPU quarantined? Then why no session is opened. */
bool faults_refuse(const struct vgpu *v, char reason[CHECK_REASON]);
/* The operator's number (policy field pardon) is this now. */
void faults_pardon(struct vgpu *v, uint64_t number);
/* Seconds that it is still quarantined; 0: it is not. */
uint64_t faults_left_s(const struct vgpu *v);

/* ---- faults_file.c ---- */

/* After pools and before vGPUs are added. */
void faults_load(struct daemon *d);
/* After those that were there before are. */
void faults_load_pools(struct daemon *d);
void faults_save(struct daemon *d);
/* A vGPU was added: what is known of it; is removed. */
void faults_known(struct vgpu *v);
void faults_gone(struct vgpu *v);
void faults_free(struct daemon *d);

#endif
