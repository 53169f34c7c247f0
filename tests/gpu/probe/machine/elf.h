/* SPDX-License-Identifier: MIT */
/* A shared library's exports, read from its file: it is not loaded. */
#ifndef PVGPU_PROBE_ELF_H
#define PVGPU_PROBE_ELF_H

#include <jansson.h>

/* An array of "name" or "name@VERSION", sorted; NULL: the file cannot be read so. */
json_t *elf_exports(const char *path);

#endif
