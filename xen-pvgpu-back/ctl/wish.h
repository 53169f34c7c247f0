/* SPDX-License-Identifier: MIT */
/* What an operator wants a vGPU to be: from the command line, or from pvgpu-vms.conf(5). */
#ifndef PVGPU_CTL_WISH_H
#define PVGPU_CTL_WISH_H

#include "pvgpu_keys.h"

#define WISH_ERROR   512
#define WISH_BACKEND 128

struct wish {
	bool any_id; /* the lowest that is free */
	uint32_t id;
	char backend[WISH_BACKEND]; /* a domain; empty: dom0 */
	uint64_t memory;
	bool has_uuid;
	struct pvgpu_uuid uuid;
	struct pvgpu_text model; /* empty: the GPU's own */
	struct pvgpu_text pool;  /* empty: as the backend decides */
	char policy[PVGPU_KEY_TEXT];
};

/*
 * One property by its name in xenstore, or a field of "policy", or "backend". 0, or -EINVAL with an
 * error for people.
 */
int wish_set(struct wish *w, const char *name, const char *value, char err[WISH_ERROR]);
/* The names that wish_set knows, for help: "memory, model, ..." */
void wish_names(char *buf, size_t cap);
/* Change a field in the text of a policy; fields that are not known here stay as they are. "+N" is
 * so much more, of pardon. */
int policy_set(char policy[PVGPU_KEY_TEXT], const char *name, const char *value,
	       char err[WISH_ERROR]);
/* Is it a field of policy? */
bool policy_has(const char *name);

/* A random one; 0 or a negative errno. */
int uuid_random(struct pvgpu_uuid *u);
/* The same each time for the same text. */
void uuid_derived(struct pvgpu_uuid *u, const char *text);

#endif
