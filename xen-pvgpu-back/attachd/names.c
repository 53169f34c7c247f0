/* SPDX-License-Identifier: MIT */
/* The name of its VM in the keys of each vGPU, for the backend domain's statistics. */
#include "xen-pvgpu-back/attachd/round.h"

/* vGPUs that others have attached have no name of the VM yet, and VMs are renamed. */
void names_update(struct round *r)
{
	for (size_t i = 0; i < r->vgpus.n; i++) {
		const struct vgpu *v = &r->vgpus.v[i];
		const struct domain *d = domains_find(&r->k->domains, v->ids.fe);

		if (!v->backend_there || !d || !r->visit[d->domid])
			continue;
		round_one_begins(r->k);
		attach_name(r->k->store, &v->ids, d);
	}
}
