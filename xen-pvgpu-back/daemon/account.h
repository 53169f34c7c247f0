/* SPDX-License-Identifier: MIT */
/*
 * The far end's account of what workers use (from pvgpu-health), against what they were given.
 * A worker is assumed hostile: nothing that it says of itself counts here but what entitle.h makes
 * of it. Who uses the GPU with its gate closed, or has memory beyond its lease, is ended; who uses
 * more than its vGPU was charged is charged the rest.
 */
#ifndef PVGPU_ACCOUNT_H
#define PVGPU_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/account_check.h"
#include "xen-pvgpu-back/daemon/judge.h"
#include "xen-pvgpu-back/health/health.h"

struct daemon;
struct worker;

/* Of a worker. */
struct account {
	struct judge judge;
	bool known;       /* the far end has spoken of it */
	uint64_t used_ns; /* GPU time */
	uint64_t memory;  /* bytes, when it was last read */
};

/* Records that pvgpu-health has written; 0, or -1 when one cannot be: with what is wrong. */
int account_take(struct daemon *d, const struct health_msg *m, unsigned int n, char *why,
		 size_t cap);
/* GPU time that the far end has counted for it; false: it has not. */
bool account_used(const struct worker *w, uint64_t *ns);

/* health.c: the process, from pvgpud's start to its end. */
struct health;
void health_start(struct daemon *d);
void health_stop(struct daemon *d);
/* "on", or "off: why": for people. */
const char *health_state(const struct daemon *d);
/* Is NVML's GPU of that number the one that a pool's `device` names? */
bool health_is_device(const struct daemon *d, unsigned int index, const char *device);
void health_uuid(struct daemon *d, unsigned int index, const char uuid[41]);

#endif
