/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_LINK_IDENTITY_H
#define PVGPU_LINK_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The identity of a file: the application may close the library's descriptors and open other files
 * under their numbers. */
struct pvgpu_identity {
	dev_t dev;
	ino_t ino;
	int event; /* all eventfds have one inode: the kernel's number of it; -1: not known */
};

/* thorough: tells eventfds apart, by a look into /proc. False: the number is closed. */
bool pvgpu_identify(int fd, bool thorough, struct pvgpu_identity *is);
bool pvgpu_is_same(int fd, bool thorough, const struct pvgpu_identity *is);
/* ftruncate() that fails with EFBIG beyond the process's limit of file sizes (ulimit -f), which
 * counts for shared memory, too, and whose signal would end the application. */
int pvgpu_set_size(int fd, uint64_t size);
/* Moves fd above the standard streams' numbers, which the application may have closed; -1: errno.
 */
int pvgpu_away_from_stdio(int fd);

#endif
