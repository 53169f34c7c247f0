/* SPDX-License-Identifier: MIT */
/* Making and removing the keys of a vGPU, as docs/xenstore.md has it. For pvgpuctl and attachd. */
#ifndef PVGPU_CTL_ATTACH_H
#define PVGPU_CTL_ATTACH_H

#include "xen-pvgpu-back/ctl/vgpus.h"
#include "xen-pvgpu-back/ctl/wish.h"

#define ATTACH_ERROR 512

/*
 * Make both directories in one transaction. ids->fe and ids->be are given, ids->id becomes what it
 * is. force: without a look at the backend's free memory. Errors, with err for people:
 * -ENOENT  the VM or the backend domain is gone
 * -ENODEV  no pvgpud runs in the backend domain
 * -EEXIST  the number is in use
 * -ENOSPC  not enough memory is free there
 * -EAGAIN  others wrote without end
 */
int attach_make(struct store *s, const struct wish *w, struct pvgpu_ids *ids, bool force,
		char err[ATTACH_ERROR]);
/* Would attach_make find the domains, pvgpud and the memory? The same errors, and nothing written.
 */
int attach_possible(struct store *s, const struct wish *w, const struct pvgpu_ids *ids, bool force,
		    char err[ATTACH_ERROR]);
/* Ask for the end of a vGPU: online = 0. 0, or -ENOENT where there is no backend's directory. */
int attach_offline(struct store *s, const struct pvgpu_ids *ids);
/*
 * Remove both directories, and those above them that this leaves empty. The guest's directory stays
 * when it names another backend.
 */
int attach_remove(struct store *s, const struct pvgpu_ids *ids);
/* Is there anybody who could have something of the vGPU still mapped, and would close it? */
bool attach_served(struct store *s, const struct vgpu *v);

#endif
