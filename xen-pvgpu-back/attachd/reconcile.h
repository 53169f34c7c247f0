/* SPDX-License-Identifier: MIT */
/*
 * The work of pvgpu-attachd: attach the vGPUs of VMs that have started and remove the keys of VMs
 * that have ended. A round looks at all of them. There is a round at the start, when domains come
 * and go, and at intervals while an attach is waited for.
 */
#ifndef PVGPU_ATTACHD_RECONCILE_H
#define PVGPU_ATTACHD_RECONCILE_H

#include "xen-pvgpu-back/toolstack/attach.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#define RECONCILE_HEARING 32

/* A vGPU that a file describes, for a domain that exists. */
struct attachment {
	uint32_t domid, id;
	char vm[PVGPU_UUID_TEXT]; /* tells a domain from a later one of the same number */
	bool done;                /* was attached: an operator who detaches it does so on purpose */
	bool seen;
	char why_not[ATTACH_ERROR];
};

struct reconciler {
	struct store *store;
	const char *dir;
	const char *xl_dir;   /* of xl's configuration files; NULL: none */
	const char *site_dir; /* of profiles.conf and tenants.conf */
	struct attachment *attachments;
	size_t n;
	bool watched[PVGPU_DOMID_MAX + 1];   /* backends that are waited for */
	char complaint[VMS_ERROR];           /* the errors in files, as last logged */
	uint32_t hearing[RECONCILE_HEARING]; /* driver domains that may hear of domains' ends */
	size_t n_hearing;
	unsigned int unseen; /* vGPUs that their guests had not taken up in the last round */
};

/* 0, or a negative errno when xenstore does not answer. *waiting: number of vGPUs that cannot be
 * attached yet. */
int reconcile_round(struct reconciler *k, unsigned int *waiting);
/* For SIGHUP: vGPUs that an operator has detached are attached again. */
void reconcile_again(struct reconciler *k);
/* Sets the watches that trigger rounds; 0 or a negative errno. */
int reconcile_watch(struct reconciler *k);
void reconcile_free(struct reconciler *k);

#endif
