/* SPDX-License-Identifier: MIT */
/* Records of pvgpu-health: are they plausible, and which use has not been charged yet? Pure. */
#ifndef PVGPU_ACCOUNT_CHECK_H
#define PVGPU_ACCOUNT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/contract/health.h"

/* 0, or -1 with what is wrong. now: CLOCK_MONOTONIC. */
int account_check(const struct health_msg *m, uint64_t now, char *why, size_t cap);
/* Copies a record's text with a NUL, made printable. */
void account_text(const char text[40], char out[41]);

/* The account of one vGPU. */
struct account_vgpu {
	bool started;
	bool fresh;       /* use was reported since the last settlement */
	uint64_t lag_ns;  /* the oldest of these reports was so old */
	uint64_t used_ns; /* by all its sessions since this pvgpud's start */
	uint64_t used_seen, charged_seen;
	int64_t owed_ns; /* used and not charged; negative: charged and not used */
};

/* Adds a sample of one of its sessions; the sample's time ended at end_ns. */
void account_add(struct account_vgpu *a, uint64_t busy_ns, uint64_t end_ns, uint64_t now);
/* Returns the amount to charge on top of `charged`, its total of charges; 0: none yet. */
uint64_t account_settle(struct account_vgpu *a, uint64_t charged);

#endif
