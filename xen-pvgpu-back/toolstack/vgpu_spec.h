/* SPDX-License-Identifier: MIT */
/* The properties that an operator requests for a vGPU, from the command line or pvgpu-vms.conf(5).
 */
#ifndef PVGPU_VGPU_SPEC_H
#define PVGPU_VGPU_SPEC_H

#include "pvgpu_keys.h"

#define VGPU_SPEC_ERROR   512
#define VGPU_SPEC_BACKEND 128
#define TENANT_NAME       40 /* with its NUL: as long as a UUID */

struct profile;
struct tenant_limits;

struct vgpu_spec {
	bool any_id; /* choose the lowest free id */
	uint32_t id;
	char backend[VGPU_SPEC_BACKEND]; /* a domain; empty: dom0 */
	bool has_memory;                 /* it was named */
	uint64_t memory;
	bool has_uuid;
	struct pvgpu_uuid uuid;
	struct pvgpu_text model; /* empty: the GPU's own */
	struct pvgpu_text pool;  /* empty: the backend decides */
	char policy[PVGPU_KEY_TEXT];
	struct pvgpu_text profile; /* the profile's name; empty: none */
	bool made;                 /* it has the profile's settings already, as they once were */
	char tenant[TENANT_NAME];  /* the owner's name; empty: none */
	/* Set by site_resolve, see site.h; NULL: there are none. */
	const struct profile *from;
	const struct tenant_limits *owner;
	const char *group_policy;
};

/* Sets one property: a key's name in xenstore, a field of "policy", or "backend". 0, or -EINVAL
 * with an error text that begins with the name. */
int vgpu_spec_set(struct vgpu_spec *w, const char *name, const char *value,
		  char err[VGPU_SPEC_ERROR]);
/* The error of a name that vgpu_spec_set does not know, with the nearest name or all of them; more:
 * those that its place has beside them, up to a NULL, or NULL. Returns -EINVAL. */
int vgpu_spec_unknown(const char *name, const char *const more[], char err[VGPU_SPEC_ERROR]);
/* Changes a field in the text of a policy; unknown fields are kept. "+N" adds N to pardon. */
int policy_set(char policy[PVGPU_KEY_TEXT], const char *name, const char *value,
	       char err[VGPU_SPEC_ERROR]);
/* The same for any record; without "+N". */
int record_set(const struct pvgpu_key *k, char text[PVGPU_KEY_TEXT], const char *name,
	       const char *value, char err[VGPU_SPEC_ERROR]);
/* Do the fields of a record's text go together? 0, or -EINVAL with an error text. */
int record_agrees(const struct pvgpu_key *k, const char *text, char err[VGPU_SPEC_ERROR]);
/* Is it a field of policy? Is it one that only a vGPU that exists can have? */
bool policy_has(const char *name);
bool policy_is_live(const char *name);
/* Does vgpu_spec_set know the name? */
bool vgpu_spec_knows(const char *name);
/* The rules of a group's name in pvgpud. */
bool tenant_name_ok(const char *name);

/* A random uuid; 0 or a negative errno. */
int uuid_random(struct pvgpu_uuid *u);
/* A uuid that depends on the text alone. */
void uuid_derived(struct pvgpu_uuid *u, const char *text);

#endif
