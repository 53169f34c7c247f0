/* SPDX-License-Identifier: MIT */
/* What the subcommands over xenstore have in common. */
#ifndef PVGPU_CTL_XEN_H
#define PVGPU_CTL_XEN_H

#include "xen-pvgpu-back/ctl/vgpus.h"

struct host {
	struct store store;
	struct domains domains;
};

/* An exit status. */
int host_open(struct host *h);
void host_close(struct host *h);
/* The VM that an argument means; a domain that is gone has a number only. */
int host_vm(struct host *h, const char *word, struct domain *out);
/*
 * A VM's vGPUs that --id, --uuid and --all choose; without any of them all, and an error unless
 * many may be meant or there is only one. An exit status.
 */
int host_vgpus(struct host *h, const struct domain *vm, bool many, struct vgpus *out);
/* For messages: "vGPU 0 of web1" */
#define VGPU_LABEL (DOMAIN_NAME + 20)
const char *vgpu_label(const struct host *h, const struct vgpu *v, char buf[VGPU_LABEL]);
/* For --persistent: the file of the vGPU's VM holds it as it is now. An exit status. */
int host_keep(struct host *h, const struct vgpu *v);

#endif
