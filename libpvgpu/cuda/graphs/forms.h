/* SPDX-License-Identifier: MIT */
/*
 * Forms: what the far end has answered about a graph is true of every graph of the same form. The
 * form of a capture is its commands with all that matters of them but the addresses, of which the
 * alignment alone does: what a library makes of a product depends on nothing else. A form is kept
 * as 128 bits of hash; the program's own work is all that could collide.
 */
#ifndef PVGPU_CUDA_GRAPHS_FORMS_H
#define PVGPU_CUDA_GRAPHS_FORMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct form { /* all 0: none */
	uint64_t half[2];
};

static inline bool form_is(const struct form *f)
{
	return f->half[0] | f->half[1];
}
void form_add(struct form *f, const void *bytes, size_t len);
/* Kept before? Numbers that are not known are 0; either place may be NULL. */
bool form_known(const struct form *f, uint32_t *nodes, uint32_t *roots);
void form_keep(const struct form *f, uint32_t nodes, uint32_t roots);

#endif
