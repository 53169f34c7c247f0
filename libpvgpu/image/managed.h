/* SPDX-License-Identifier: MIT */
/*
 * Managed variables of PTX: `.global .attribute(.managed)`. The driver that loads them places them
 * where only its own process reaches them. So they are taken out of the text before it is sent:
 * the caller places them, and wherever the code names one its address stands as a number. The far
 * end then knows nothing of them.
 *
 * The text may be hostile; nothing beyond its length is read.
 */
#ifndef PVGPU_IMAGE_MANAGED_H
#define PVGPU_IMAGE_MANAGED_H

#include "libpvgpu/image/ptx_text.h"
#include "libpvgpu/image/ptx_variable.h"

struct managed_variable {
	const char *name; /* in the text, not NUL-terminated */
	size_t name_len;
	uint64_t bytes;
	uint64_t address; /* to be set before managed_initial() and managed_rewrite() */
	struct ptx_element element;
	struct ptx_variable declared;
};

struct managed_span {
	const char *begin, *end;
};

struct managed {
	struct ptx_text text;
	struct managed_variable *variable; /* by name */
	size_t count;
	struct managed_span *declaration; /* in the text's order */
	size_t declarations;
};

/*
 * The managed variables of the text, which the result points into. -EINVAL: it uses them in a way
 * that is not known here, such as `.extern`. -ENOMEM. 0: count may be 0. To be freed in any case.
 */
int managed_find(const char *text, size_t len, struct managed *m);
void managed_free(struct managed *m);
/* The variable's initial value, to `bytes` bytes that are zero. False: it is not known here. */
bool managed_initial(const struct managed *m, const struct managed_variable *v, void *to);
/* The text with addresses in place of names, with a NUL behind it; 0, -ENOMEM or -EINVAL. */
int managed_rewrite(const struct managed *m, char **text, size_t *len);

#endif
