/* SPDX-License-Identifier: MIT */
/* The list of vGPUs. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"

struct vgpu *daemon_add_vgpu(struct daemon *d, const struct config_vgpu *cfg, struct pool *pool)
{
	struct vgpu **all = realloc(d->vgpus, (d->vgpu_n + 1) * sizeof(struct vgpu *));
	struct vgpu *v = calloc(1, sizeof(*v));

	if (all)
		d->vgpus = all;
	if (!all || !v) {
		free(v);
		return NULL;
	}
	vgpu_init(v, d, cfg, pool);
	if (share_vgpu(v) < 0) {
		group_put(d, v->group);
		free(v);
		return NULL;
	}
	d->vgpus[d->vgpu_n++] = v;
	faults_known(v);
	goals_changed(pool);
	pool_changed(pool);
	return v;
}

void daemon_remove_vgpu(struct vgpu *v)
{
	struct daemon *d = v->d;
	unsigned int i = 0;

	vgpu_close(v, false);
	share_vgpu_gone(v);
	faults_gone(v);
	group_put(d, v->group);
	while (d->vgpus[i] != v)
		i++;
	d->vgpu_n--;
	memmove(&d->vgpus[i], &d->vgpus[i + 1], (d->vgpu_n - i) * sizeof(struct vgpu *));
	goals_changed(v->pool);
	pool_changed(v->pool);
	free(v);
}
