/* SPDX-License-Identifier: MIT */
/*
 * Landlock, where the kernel has it. It binds the thread that closes it and those that this one
 * starts. Each returns 0, or -1 with errno.
 */
#ifndef PVGPU_CONFINE_LANDLOCK_H
#define PVGPU_CONFINE_LANDLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct landlock {
	int fd;
	uint64_t known; /* rights over files that this kernel knows of */
};

/* Nothing is allowed yet: no file, no TCP, no abstract socket, no signal to others. */
int landlock_open(struct landlock *l);
/* A file, or a folder with all below: to be read; to be written, and devices controlled, too. */
int landlock_allow(const struct landlock *l, const char *path, bool write);
int landlock_close(struct landlock *l);

#endif
