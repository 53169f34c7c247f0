/* SPDX-License-Identifier: MIT */
/*
 * <run_dir>/usage: what vGPUs have used, in memory that outlives pvgpud: a file that it maps and
 * counts in, so that nothing is lost when it is killed and nothing is written while it runs.
 */
#ifndef PVGPU_USAGE_H
#define PVGPU_USAGE_H

#include <stdbool.h>

#include "xen-pvgpu-back/daemon/schedule.h"

struct usage;

/* NULL: no such file can be had; then counting begins anew with each pvgpud. */
struct usage *usage_open(const char *run_dir);
/* remove: nobody will go on from it. */
void usage_close(struct usage *u, const char *run_dir, bool remove);
/* Of the vGPU of that name, as it was left; *fresh: there was nothing. NULL: no room. */
struct seat_stats *usage_of(struct usage *u, const char *name, bool *fresh);
/* There is no such vGPU any more. */
void usage_forget(struct usage *u, const char *name);

#endif
