/* SPDX-License-Identifier: MIT */
/*
 * <run_dir>/usage: the statistics of vGPUs, in a file that pvgpud maps and counts in. They survive
 * a kill of pvgpud without a write. Records have room in the file system before they are used, and
 * are checked when the file is opened. A file that is truncated while it is mapped costs the
 * statistics and nothing else.
 */
#ifndef PVGPU_USAGE_H
#define PVGPU_USAGE_H

#include <stdbool.h>

#include "xen-pvgpu-back/daemon/dispatch/schedule.h"

struct usage;

/* NULL: the file cannot be made; then each pvgpud starts counting at 0. */
struct usage *usage_open(const char *run_dir);
/* remove: no later pvgpud will continue from it. */
void usage_close(struct usage *u, bool remove);
/* Logs once that the file was lost. */
void usage_look(struct usage *u);
/* The statistics on record for the vGPU of that name; *fresh: there were none. NULL: no room. */
struct tenant_stats *usage_of(struct usage *u, const char *name, bool *fresh);
/* The vGPU is removed. */
void usage_forget(struct usage *u, const char *name);

#endif
