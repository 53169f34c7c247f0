/* SPDX-License-Identifier: MIT */
/* The properties that an operator requests for a vGPU, from the command line or pvgpu-vms.conf(5).
 */
#ifndef PVGPU_VGPU_SPEC_H
#define PVGPU_VGPU_SPEC_H

#include "pvgpu_keys.h"

#define VGPU_SPEC_ERROR   512
#define VGPU_SPEC_BACKEND 128

struct vgpu_spec {
	bool any_id; /* choose the lowest free id */
	uint32_t id;
	char backend[VGPU_SPEC_BACKEND]; /* a domain; empty: dom0 */
	uint64_t memory;
	bool has_uuid;
	struct pvgpu_uuid uuid;
	struct pvgpu_text model; /* empty: the GPU's own */
	struct pvgpu_text pool;  /* empty: the backend decides */
	char policy[PVGPU_KEY_TEXT];
};

/* Sets one property: a key's name in xenstore, a field of "policy", or "backend". 0, or -EINVAL
 * with an error text. */
int vgpu_spec_set(struct vgpu_spec *w, const char *name, const char *value,
		  char err[VGPU_SPEC_ERROR]);
/* The names that vgpu_spec_set accepts, for help: "memory, model, ..." */
void vgpu_spec_names(char *buf, size_t cap);
/* Changes a field in the text of a policy; unknown fields are kept. "+N" adds N to pardon. */
int policy_set(char policy[PVGPU_KEY_TEXT], const char *name, const char *value,
	       char err[VGPU_SPEC_ERROR]);
/* Is it a field of policy? */
bool policy_has(const char *name);

/* A random uuid; 0 or a negative errno. */
int uuid_random(struct pvgpu_uuid *u);
/* A uuid that depends on the text alone. */
void uuid_derived(struct pvgpu_uuid *u, const char *text);

#endif
