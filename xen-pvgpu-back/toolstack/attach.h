/* SPDX-License-Identifier: MIT */
/* Writes and removes the keys of a vGPU as docs/xenstore.md describes. For pvgpuctl and
 * pvgpu-attachd. */
#ifndef PVGPU_CTL_ATTACH_H
#define PVGPU_CTL_ATTACH_H

#include "xen-pvgpu-back/toolstack/vgpus.h"
#include "xen-pvgpu-back/toolstack/vgpu_spec.h"

#define ATTACH_ERROR 1024

/*
 * Makes both directories in one transaction. w is resolved (site.h). ids->fe and ids->be are given,
 * ids->id is set. force: the backend's free memory is not checked. Errors, with a text in err:
 * -ENOENT  the VM or the backend domain is gone
 * -ENODEV  no pvgpud runs in the backend domain
 * -EEXIST  the number is in use
 * -ENOSPC  not enough memory is free there, or a limit of its profile or tenant is reached
 * -EAGAIN  too many conflicts with other writers, -ETIMEDOUT conflicts up to s->until
 */
int attach_make(struct store *s, const struct vgpu_spec *w, struct pvgpu_ids *ids, bool force,
		char err[ATTACH_ERROR]);
/* The same for a guest that has these vGPUs and no others; -EALREADY: it has got another. */
int attach_beside(struct store *s, const struct vgpu_spec *w, struct pvgpu_ids *ids, bool force,
		  const struct vgpus *others, char err[ATTACH_ERROR]);
/* Would attach_make find the domains, pvgpud and the memory? Same errors; writes nothing. */
int attach_possible(struct store *s, const struct vgpu_spec *w, const struct pvgpu_ids *ids,
		    bool force, char err[ATTACH_ERROR]);
/* Has the vGPU's keys name its VM as it is called now. */
int attach_name(struct store *s, const struct pvgpu_ids *ids, const struct domain *d);
/* Asks for the end of a vGPU: online = 0. 0, or -ENOENT where the backend's directory is missing,
 * or is that of a vGPU with another uuid; empty: any. */
int attach_offline(struct store *s, const struct pvgpu_ids *ids, const char *uuid);
/* Removes both directories, and those above them that become empty: the backend's first, in a
 * transaction that no guest can disturb, then the guest's, by one request. That one stays when it
 * names another backend. uuid: the vGPU's; one that has its number by now stays. Empty: any. */
int attach_remove(struct store *s, const struct pvgpu_ids *ids, const char *uuid);
/* Is there a running backend that may have memory of the vGPU mapped and will close it? */
bool attach_served(struct store *s, const struct vgpu *v);

#endif
