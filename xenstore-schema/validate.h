/* SPDX-License-Identifier: MIT */
/*
 * Checks a whole tree of keys against the description: values, missing keys, both ends of a vGPU
 * against each other, permissions. Other entries are ignored. Nothing is allocated. The tree's
 * contents may be hostile.
 */
#ifndef PVGPU_VALIDATE_H
#define PVGPU_VALIDATE_H

#include "pvgpu_keys.h"

struct pvgpu_entry {
	const char *path; /* absolute, NUL-terminated */
	const char *value;
	size_t len;
	const char *perms; /* "n3,r0"; NULL: not known */
	/* For the validator's use. */
	struct pvgpu_ids ids;
	int tree; /* index in pvgpu_trees; below 0: not pvgpu's */
	int key;  /* index in pvgpu_keys; PVGPU_KEYS: the directory, above: no key */
};

enum pvgpu_severity {
	PVGPU_WARNING, /* may be right: a newer version's key, an end that the tree does not show */
	PVGPU_ERROR,
};

struct pvgpu_findings {
	void (*report)(void *arg, enum pvgpu_severity severity, const char *path, const char *text);
	void *arg;
	size_t keys, vgpus, errors, warnings; /* counted; 0 before */
};

/* True if there was no error. The entries are sorted by vGPU. */
bool pvgpu_keys_validate(struct pvgpu_entry *entries, size_t n, struct pvgpu_findings *f);

#endif
