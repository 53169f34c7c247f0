/* SPDX-License-Identifier: MIT */
/* Records of pvgpu-health: could it be so? And what of it has not been charged. Pure. */
#ifndef PVGPU_ACCOUNT_CHECK_H
#define PVGPU_ACCOUNT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/health/health.h"

/* 0, or -1 with what is wrong. now: CLOCK_MONOTONIC. */
int account_check(const struct health_msg *m, uint64_t now, char *why, size_t cap);
/* A record's text with an end, and printable. */
void account_text(const char text[40], char out[41]);

/* Of a vGPU. */
struct account_vgpu {
	bool started;
	bool fresh;       /* since it was last settled, the far end has spoken of its use, */
	uint64_t lag_ns;  /* and that was so long ago at most */
	uint64_t used_ns; /* of all its sessions, since this pvgpud's start */
	uint64_t used_seen, charged_seen;
	int64_t owed_ns; /* used and not charged; negative: charged and not used */
};

/* A sample of one of its sessions, which ended at end_ns. */
void account_add(struct account_vgpu *a, uint64_t busy_ns, uint64_t end_ns, uint64_t now);
/* It has been charged so much, ever: what is to be charged on top, 0 if that is nothing yet. */
uint64_t account_settle(struct account_vgpu *a, uint64_t charged);

#endif
