/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/core/daemon.h"

#include <string.h>
#include <time.h>

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

struct vgpu *daemon_vgpu(struct daemon *d, const char *name)
{
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (!strcmp(d->vgpus[i]->cfg.name, name))
			return d->vgpus[i];
	return NULL;
}

void daemon_check_stopped(struct daemon *d)
{
	if (d->stopping && !d->worker_n)
		ev_break(d->loop, EVBREAK_ALL);
}
