/* SPDX-License-Identifier: MIT */
/* The name that a misspelt one was meant to be, for messages. */
#ifndef PVGPU_NEAREST_H
#define PVGPU_NEAREST_H

#include <stddef.h>

struct pvgpu_nearest {
	const char *word; /* as it was given */
	const char *name; /* the nearest name so far; NULL: none is near */
	size_t cost;      /* of that: letters to change, add, leave out or swap */
};

/* Looks at one of the names that there are; '-' and '_' are the same. */
void pvgpu_nearest_try(struct pvgpu_nearest *n, const char *name);

#endif
