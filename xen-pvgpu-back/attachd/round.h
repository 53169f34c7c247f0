/* SPDX-License-Identifier: MIT */
/* One round of pvgpu-attachd, for its parts. */
#ifndef PVGPU_ATTACHD_ROUND_H
#define PVGPU_ATTACHD_ROUND_H

#include "xen-pvgpu-back/attachd/reconcile.h"

/* The state of the host as one round sees it. */
struct round {
	struct reconciler *k;
	bool visit[PVGPU_DOMID_MAX + 1]; /* the domains that the round is about */
	struct vgpus vgpus;              /* theirs */
	struct vms vms;
	unsigned int waiting;
};

/* For the transactions about one vGPU: a guest can make those conflict that touch its own
 * directory, and the other guests wait meanwhile. */
void round_one_begins(struct reconciler *k);
/* The domain has, or had, a vGPU to serve: its directory is looked at from now on. */
void round_backend(struct reconciler *k, uint32_t be);
/* Look at the domain again in the next round, too. */
void round_next(struct round *r, uint32_t domid);

/* ---- libxl.c: domains whose toolstack attaches vGPUs itself ---- */

/* left: which vGPUs of the file are the toolstack's to attach. */
void libxl_leave(struct round *r, const struct domain *d, const struct vm_conf *c,
		 bool left[VMS_VGPUS]);

/* ---- names.c ---- */

void names_update(struct round *r);

/* ---- leftovers.c: keys of ended VMs, and who hears of ends ---- */

/* Removes keys that are left over from r->vgpus and from xenstore. */
void leftovers_remove(struct round *r);
/* Those of a domain that has gone since the last round. */
void leftovers_of(struct reconciler *k, uint32_t fe);
/* xenstored tells a driver domain of the end of domains only if dom0 permits it. */
void leftovers_let_hear(struct reconciler *k, uint32_t be);
void leftovers_let_backends_hear(struct round *r);
/* A domain's number is reused: the permission must not pass to the next domain. */
void leftovers_forget_hearing(struct reconciler *k);

#endif
