/* SPDX-License-Identifier: MIT */
/*
 * Compares the driver's account of workers' use (from pvgpu-health) with their entitlement. A
 * worker may be hostile: its own reports count only as far as entitle.h accepts them. A worker that
 * uses the GPU with its gate closed or memory beyond its lease is ended. Use beyond the charges of
 * its vGPU is charged.
 */
#ifndef PVGPU_ACCOUNT_H
#define PVGPU_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/contract/health.h"

struct daemon;
struct worker;

/* The findings against a worker. */
enum guilt { GUILTY_OF_USE = 1, GUILTY_OF_MEMORY = 2 };

/* Takes records of pvgpu-health; 0, or -1 with the reason why one is implausible. */
int account_take(struct daemon *d, const struct health_msg *m, unsigned int n, char *why,
		 size_t cap);
/* GPU time that the driver has counted for the worker; false: no report. */
bool account_used(const struct worker *w, uint64_t *ns);

/* health.c: the process pvgpu-health, from pvgpud's start to its end. */
struct health;
void health_start(struct daemon *d);
void health_stop(struct daemon *d);
/* "on" or "off: why". */
const char *health_state(const struct daemon *d);
/* Is NVML's GPU of that number the one that a pool's `device` names? */
bool health_is_device(const struct daemon *d, unsigned int index, const char *device);
void health_uuid(struct daemon *d, unsigned int index, const char uuid[41]);
/* Ends it, until health_resume; does its process live? */
void health_pause(struct daemon *d);
bool health_lives(const struct daemon *d);
void health_resume(struct daemon *d);
/* Its settings have changed. */
void health_restart(struct daemon *d);
/* It has been started and has told nothing yet. */
bool health_starts(const struct daemon *d);
/* The UUID of the GPU that a pool's `device` names; that text where it is not known. */
void health_device_uuid(const struct daemon *d, const char *device, char *out, size_t cap);
/* May two of them name one GPU? */
bool health_same_device(const struct daemon *d, const char *a, const char *b);

#endif
