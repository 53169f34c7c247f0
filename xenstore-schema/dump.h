/* SPDX-License-Identifier: MIT */
/* Reads the output of `xenstore-ls -f` and `xenstore-ls -fp`. */
#ifndef PVGPU_DUMP_H
#define PVGPU_DUMP_H

#include "xenstore-schema/validate.h"

/* Lines of a text, which is an upper bound of its entries. */
size_t pvgpu_dump_lines(const char *text, size_t len);

/*
 * text: len bytes and a NUL after them; it is cut up in place, and the entries point into it.
 * Returns the number of entries, or -1, with the number of the bad line in *line and the reason in
 * *why.
 */
long pvgpu_dump_read(char *text, size_t len, struct pvgpu_entry *entries, size_t cap, size_t *line,
		     const char **why);

#endif
