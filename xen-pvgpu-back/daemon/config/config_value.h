/* SPDX-License-Identifier: MIT */
/* For config*.c only: tables of keys that describe the sections, and the parser of their values. */
#ifndef PVGPU_CONFIG_VALUE_H
#define PVGPU_CONFIG_VALUE_H

#include <stddef.h>
#include <stdint.h>

#include "xen-pvgpu-back/daemon/config/config.h"

enum kind {
	SIZE,   /* uint64_t, bytes */
	NUMBER, /* unsigned int */
	PATH,
	CGROUP, /* auto, off or a path */
	MODE,
	LEVEL,
	XEN,
	TEXT,
	ENV,
	PLACEMENT,
	POLICY,
	/* the enums of config.h and sched.h, by their names */
	SHARING, /* enum pool_mode */
	SENSORS, /* enum pool_sensors */
	SHARE,   /* unsigned int, ppm; "12.5%" */
	RATIO,   /* unsigned int, thousandths; "1.5" */
	POOL, /* char[CONFIG_POOL]; POOL, POOL/GROUP or /GROUP: the group is in the array behind it
	       */
	SANDBOX, /* enum config_sandbox */
	UIDS,    /* uint32_t[2]; "FIRST-LAST" */
	GPU,     /* text: an ordinal, a GPU's or a MIG instance's UUID */
};

struct key {
	const char *name;
	enum kind kind;
	size_t offset;
	uint64_t min, max; /* of a number, ppm or thousandths; max: of a size, bytes of a text */
};

/* The keys of a section: "daemon", "pool", "group" or "vgpu" (without its policy's). */
const struct key *config_keys(const char *kind, size_t *n);
/* Sets a key of a structure; 0, or -1 with the allowed values in want. */
int config_value_set(struct config *c, const struct key *k, void *base, const char *value,
		     char *want, size_t cap);

/* Makes the object of a section; sets a key of it. 0, or -1 with an error that begins with `place`.
 */
int config_section(struct config *c, const char *section, const char *place, char *error);
int config_key(struct config *c, const char *section, const char *name, const char *value,
	       const char *place, char *error);
int config_check_groups(const struct config *c, char *error);
int config_check_pools(const struct config *c, char *error);

/* The pool of that name, made if it is new; NULL with an error that begins with `place`. */
struct config_pool *config_pool(struct config *c, const char *name, const char *place, char *error);

#endif
