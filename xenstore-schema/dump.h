/* SPDX-License-Identifier: MIT */
/* Reads what `xenstore-ls -f` and `xenstore-ls -fp` print. */
#ifndef PVGPU_DUMP_H
#define PVGPU_DUMP_H

#include "xenstore-schema/validate.h"

/* Lines of a text, which is an upper bound of its entries. */
size_t pvgpu_dump_lines(const char *text, size_t len);

/*
 * text: len bytes and a NUL after them; it is cut up in place, and the entries point into it.
 * Returns how many entries there are, or -1 and in *line which line is not one of xenstore-ls -f,
 * and in *why what is wrong with it.
 */
long pvgpu_dump_read(char *text, size_t len, struct pvgpu_entry *entries, size_t cap, size_t *line,
		     const char **why);

#endif
