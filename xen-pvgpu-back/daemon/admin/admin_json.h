/* SPDX-License-Identifier: MIT */
/* One request of the admin socket: a line of JSON in, a line of JSON out. Independent of sockets.
 */
#ifndef PVGPU_ADMIN_JSON_H
#define PVGPU_ADMIN_JSON_H

#include <stddef.h>

#define ADMIN_LINE_MAX 4096

struct daemon;

/* The answer with a newline, for the caller to free; NULL when out of memory. */
char *admin_answer(struct daemon *d, const char *line, size_t len);

#endif
