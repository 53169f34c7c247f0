/* SPDX-License-Identifier: MIT */
/*
 * xapi's values for its VMs: pvgpu-xapi keeps a folder with a file UUID.conf for each VM that has
 * other_config:pvgpu, in the form of pvgpu-vms.conf(5). A file without a vGPU says off. The file
 * `synced` says that no VM without a file has the key.
 */
#ifndef PVGPU_ATTACHD_XAPI_H
#define PVGPU_ATTACHD_XAPI_H

#include "xen-pvgpu-back/attachd/round.h"

/* 1 with *c, to be freed; 0: xapi says nothing of the VM; negative: its file cannot be read, which
 * is logged, and the VM stays as it is. */
int xapi_conf(const struct reconciler *k, const struct domain *d, struct vm_conf *c);
/* Tells one content of a vGPU's section from another. */
uint32_t xapi_revision(const struct vgpu_spec *w);
/* The identity of a vGPU that was made because xapi says so. */
void xapi_uuid(const struct domain *d, uint32_t id, struct pvgpu_uuid *uuid);
/* Takes away what the VM is to have no longer. said: what xapi says, or NULL; c: what counts. */
void xapi_withdraw(struct round *r, const struct domain *d, const struct vm_conf *said,
		   const struct vm_conf *c);

#endif
