/* SPDX-License-Identifier: MIT */
/* Common to the subcommands that use xenstore. */
#ifndef PVGPU_CTL_XEN_H
#define PVGPU_CTL_XEN_H

#include "xen-pvgpu-back/toolstack/vgpus.h"

struct host {
	struct store store;
	struct domains domains;
	double opened; /* time of store_now() */
};

/* Returns an exit status. */
int host_open(struct host *h);
/* The rest of --timeout, in seconds; below 0: no limit. */
double host_left(const struct host *h);
/* After a wait that took long: what follows it has two seconds for transactions that conflict. */
void host_grace(struct host *h);
void host_close(struct host *h);
/* The VM that an argument names. A domain that is gone can be named by number while it has keys
 * left. */
int host_vm(struct host *h, const char *word, struct domain *out);
/* All vGPUs, or those of the VM that word names, if it is not NULL. Returns an exit status. */
int host_list(struct host *h, const char *word, struct vgpus *all);
/* A VM's vGPUs that --id and --uuid select; without these, all of them. More than one is an error
 * unless `many`. Returns an exit status. */
int host_vgpus(struct host *h, const struct domain *vm, bool many, struct vgpus *out);
/* For messages: "vGPU 0 of web1". */
#define VGPU_LABEL (DOMAIN_NAME + 20)
const char *vgpu_label(const struct host *h, const struct vgpu *v, char buf[VGPU_LABEL]);
/* For --persistent: writes the vGPU as it is now to its VM's file. Returns an exit status. */
int host_keep(struct host *h, const struct vgpu *v);
/* Is it in its VM's file? */
bool host_keeps(struct host *h, const struct vgpu *v);

#endif
