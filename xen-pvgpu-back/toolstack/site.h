/* SPDX-License-Identifier: MIT */
/* The site's decisions about vGPUs: profiles and tenants. */
#ifndef PVGPU_SITE_H
#define PVGPU_SITE_H

#include "xen-pvgpu-back/toolstack/tenants.h"

struct site {
	struct profiles profiles;
	struct tenants tenants;
};

/* The number of faults, each reported, or a negative errno with an error in the report. */
int site_read(struct site *s, const char *dir, site_fault *fault, void *arg);
void site_free(struct site *s);

/*
 * Makes of what was requested what the vGPU will have: the profile's settings, and the tenant as
 * the group in `pool`. Sets w->from and w->owner, which point into the site. 0, or -ENOENT or
 * -EINVAL, or (a fault of a file) -EBADMSG, with an error.
 */
int site_resolve(const struct site *s, struct vgpu_spec *w, char err[VGPU_SPEC_ERROR]);

#endif
