/* SPDX-License-Identifier: MIT */
/*
 * The work of pvgpu-attachd: attach the vGPUs of VMs that have started, take away those that xapi
 * no longer has for a VM, and remove the keys of VMs that have ended.
 *
 * reconcile_round looks at everything: at the start, for SIGHUP, and some time after a change.
 * reconcile_changes looks at the domains that events were about and at those whose vGPUs wait for
 * something: the requests to xenstore do not grow with the number of domains.
 */
#ifndef PVGPU_ATTACHD_RECONCILE_H
#define PVGPU_ATTACHD_RECONCILE_H

#include "xen-pvgpu-back/toolstack/attach.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#define RECONCILE_HEARING 32

/* A vGPU that a file describes, for a domain that exists. */
struct attachment {
	uint32_t domid, id;
	uint32_t be;              /* that served it when it was last seen */
	char vm[PVGPU_UUID_TEXT]; /* tells a domain from a later one of the same number */
	uint32_t revision;        /* of what xapi says; a change counts like a start */
	bool done;                /* was attached: an operator who detaches it does so on purpose */
	bool seen;
	char why_not[ATTACH_ERROR];
};

struct reconciler {
	struct store *store;
	const char *dir;
	const char *xl_dir;   /* of xl's configuration files; NULL: none */
	const char *xapi_dir; /* of what xapi says of its VMs, see xapi.h; NULL: no xapi */
	const char *site_dir; /* of profiles.conf and tenants.conf */
	struct attachment *attachments;
	size_t n;
	bool watched[PVGPU_DOMID_MAX + 1];   /* backends that are waited for */
	char complaint[VMS_ERROR];           /* the errors in files, as last logged */
	uint32_t hearing[RECONCILE_HEARING]; /* driver domains that may hear of domains' ends */
	size_t n_hearing;
	unsigned int unseen;  /* vGPUs that their guests had not taken up in the last round */
	unsigned int leaving; /* vGPUs that are being taken away */

	/* Between rounds: */
	struct domains domains;
	bool known;                         /* domains have been read */
	bool listing;                       /* domains have come or gone */
	bool dirty[PVGPU_DOMID_MAX + 1];    /* domains to look at in the next round */
	bool backends[PVGPU_DOMID_MAX + 1]; /* domains that have had vGPUs to serve */
	bool others[PVGPU_DOMID_MAX + 1];   /* domains that are watched for their first one */
};

/* 0, or a negative errno when xenstore does not answer. *waiting: number of vGPUs that cannot be
 * attached yet. */
int reconcile_round(struct reconciler *k, unsigned int *waiting);
int reconcile_changes(struct reconciler *k, unsigned int *waiting);
/* A watch has fired for the path. */
void reconcile_event(struct reconciler *k, const char *path);
/* A file of xapi_dir has changed; NULL: perhaps any. */
void reconcile_file(struct reconciler *k, const char *name);
/* For SIGHUP: vGPUs that an operator has detached are attached again. */
void reconcile_again(struct reconciler *k);
/* Sets the watches that trigger rounds; 0 or a negative errno. */
int reconcile_watch(struct reconciler *k);
void reconcile_free(struct reconciler *k);

#endif
