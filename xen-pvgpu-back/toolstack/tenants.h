/* SPDX-License-Identifier: MIT */
/* pvgpu-tenants.conf(5): what the owners of VMs may have, over all their VMs on this host. */
#ifndef PVGPU_TENANTS_H
#define PVGPU_TENANTS_H

#include "xen-pvgpu-back/toolstack/profiles.h"

#define TENANTS_FILE "tenants.conf"

/* 0 stands for no limit. */
struct tenant_limits {
	char name[TENANT_NAME]; /* "*": tenants that the file does not name */
	uint32_t vgpus;
	uint64_t memory;
	char policy[PVGPU_KEY_TEXT]; /* group-policy; empty: not to be written */
	char fault[INI_FAULT];
};

struct tenants {
	char path[512];
	struct tenant_limits *v;
	size_t n;
};

/* As profiles_read. */
int tenants_read(struct tenants *t, const char *dir, site_fault *fault, void *arg);
void tenants_free(struct tenants *t);
/* The tenant's own section, else [tenant *]; NULL: it has no limits. */
const struct tenant_limits *tenants_find(const struct tenants *t, const char *name);
/* The group in a key "pool"; empty: none. */
const char *pool_group(const struct pvgpu_text *pool);

#endif
