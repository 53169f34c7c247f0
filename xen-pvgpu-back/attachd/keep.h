/* SPDX-License-Identifier: MIT */
/*
 * What pvgpu-attachd does: vGPUs of VMs that have started, and nothing of those that have ended. A
 * round looks at all of it; it is made at the start, when domains come and go, and as long as
 * something is waited for.
 */
#ifndef PVGPU_ATTACHD_KEEP_H
#define PVGPU_ATTACHD_KEEP_H

#include "xen-pvgpu-back/ctl/attach.h"
#include "xen-pvgpu-back/ctl/vms.h"

#define KEEP_HEARING 32

/* A vGPU that a file wants for a domain that is there. */
struct kept {
	uint32_t domid, id;
	char vm[PVGPU_UUID_TEXT]; /* tells a domain from a later one with its number */
	bool done;                /* attached once: whoever detaches it means it */
	bool seen;
	char why_not[ATTACH_ERROR];
};

struct keeper {
	struct store *store;
	const char *dir;
	struct kept *kept;
	size_t n;
	bool watched[PVGPU_DOMID_MAX + 1]; /* backends that are waited for */
	char complaint[VMS_ERROR];         /* of the files, as last logged */
	uint32_t hearing[KEEP_HEARING];    /* driver domains that may hear of domains' ends */
	size_t n_hearing;
	unsigned int unseen; /* vGPUs of the last round that their guests have not taken up */
};

/* 0, or a negative errno when xenstore does not answer. *waiting: how many vGPUs cannot be attached
 * yet. */
int keep_round(struct keeper *k, unsigned int *waiting);
/* Attach again what somebody has detached: for SIGHUP. */
void keep_again(struct keeper *k);
/* The watches that rounds are made for; 0 or a negative errno. */
int keep_watch(struct keeper *k);
void keep_free(struct keeper *k);

#endif
