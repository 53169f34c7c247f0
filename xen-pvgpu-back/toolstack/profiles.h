/* SPDX-License-Identifier: MIT */
/* pvgpu-profiles.conf(5): the bundles of settings that a site offers. */
#ifndef PVGPU_PROFILES_H
#define PVGPU_PROFILES_H

#include "xen-pvgpu-back/toolstack/ini_file.h"
#include "xen-pvgpu-back/toolstack/vgpu_spec.h"

#define SITE_DIR      "/etc/pvgpu"
#define PROFILES_FILE "profiles.conf"
#define PROFILE_NAME  32 /* with its NUL; as long as the key in xenstore */
#define PROFILE_GPUS  192

struct profile {
	char name[PROFILE_NAME];
	char what[96];           /* for people */
	struct vgpu_spec spec;   /* no uuid, number, profile or tenant */
	uint32_t per_gpu;        /* of its vGPUs on one GPU; 0: no limit */
	char gpus[PROFILE_GPUS]; /* patterns of models, with commas between them; empty: all */
	char fault[INI_FAULT];   /* why it cannot be used; empty: it can */
};

struct profiles {
	char path[512];
	struct profile common; /* [default] */
	struct profile *v;
	size_t n;
};

typedef void site_fault(void *arg, const char *text);

/* The file in a folder. A missing file has no profiles. The number of faults, or a negative errno;
 * each is reported, and the profile that it is in cannot be used. */
int profiles_read(struct profiles *p, const char *dir, site_fault *fault, void *arg);
void profiles_free(struct profiles *p);
const struct profile *profiles_find(const struct profiles *p, const char *name);
/* The profile's settings, and over them what the vGPU's own says. 0, or -ENOENT, -EINVAL or (a
 * fault of the file) -EBADMSG with an error; a vGPU without a profile stays as it is. *out: its
 * profile; NULL: none. */
int profiles_apply(const struct profiles *p, struct vgpu_spec *w, const struct profile **out,
		   char err[VGPU_SPEC_ERROR]);
/* Is a GPU of this model for the profile? */
bool profile_allows(const struct profile *p, const char *model);

#endif
