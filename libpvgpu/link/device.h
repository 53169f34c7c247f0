/* SPDX-License-Identifier: MIT */
/* The system calls of the device link; tests replace them with a device of their own. */
#ifndef PVGPU_LINK_DEVICE_H
#define PVGPU_LINK_DEVICE_H

#include <sys/types.h>

#include "link/link.h"

struct device_calls {
	int (*open)(const char *path);
	int (*ioctl)(int fd, unsigned long what, void *arg);
	void *(*mmap)(void *at, size_t size, int prot, int flags, int fd, off_t offset);
};
extern const struct device_calls *device_calls;

#endif
