/* SPDX-License-Identifier: MIT */
/*
 * Faults of vGPUs are counted (quarantine.h); after errors of a GPU it is checked (canary.h). Both,
 * and which vGPUs of the local link drain, are kept across restarts of pvgpud in the file
 * <run_dir>/faults, which exists while there is something to keep.
 */
#ifndef PVGPU_FAULTS_H
#define PVGPU_FAULTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/daemon/rules/quarantine.h"
#include "xen-pvgpu-back/contract/local_check.h"

struct daemon;
struct pool;
struct vgpu;
struct worker;

/* The faults of a vGPU that is not attached now. */
struct fault_record {
	SLIST_ENTRY(fault_record) link;
	char identity[40];
	struct quarantine q;
	enum pvgpu_drain drain; /* of a vGPU of the local link */
};

/* ---- faults.c ---- */

/* Kills a worker for a fault, which counts against its vGPU. */
void faults_kill(struct worker *w, enum fault kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* user: as in rules/quarantine.h. */
void faults_count(struct vgpu *v, uint32_t user, enum fault kind, const char *why);
/* A guest broke a protocol outside a session. Breaches within a second count as one fault, so that
 * a guest cannot make pvgpud write the file more often. */
void faults_breach(struct vgpu *v, const char *why);
void faults_breach_of(struct vgpu *v, uint32_t user, const char *why);
/* The session has ended; w->reason says why. */
void faults_session_ended(struct worker *w);
/* Whether the pool's GPU is at fault has become known: sessions that blamed it were right, or each
 * of them was a fault of its vGPU. */
void faults_blame_settled(struct pool *p, bool right);
/* True: the vGPU is quarantined, or this user of its guest, with the reason for a refusal. */
bool faults_refuse(const struct vgpu *v, uint32_t user, char reason[CHECK_REASON]);
/* The policy's `pardon` has this value now. */
void faults_pardon(struct vgpu *v, uint64_t number);
/* Seconds until the quarantine ends; 0: not quarantined. */
uint64_t faults_left_s(const struct vgpu *v);

/* ---- faults_file.c ---- */

/* To be called after pools and before vGPUs are added. */
void faults_load(struct daemon *d);
/* To be called after the configuration's vGPUs are added. */
void faults_load_pools(struct daemon *d);
/* An error is logged and in d->unsaved. */
void faults_save(struct daemon *d);
/* A vGPU was added: restores its faults; it is removed: keeps them. */
void faults_known(struct vgpu *v);
void faults_gone(struct vgpu *v);
void faults_free(struct daemon *d);

#endif
