/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_LINK_IDENTITY_H
#define PVGPU_LINK_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/* Tells whether a descriptor's number still stands for the same file: the application may close
 * numbers that it does not own, and open other files under them. */
struct pvgpu_identity {
	dev_t dev;
	ino_t ino;
	int event; /* all eventfds have one inode: the kernel's number of it; -1: not known */
};

/* thorough: tells eventfds apart, by a look into /proc. False: the number is closed. */
bool pvgpu_identify(int fd, bool thorough, struct pvgpu_identity *is);
bool pvgpu_is_same(int fd, bool thorough, const struct pvgpu_identity *is);
/* Moves fd above the standard streams' numbers, which the application may have closed; -1: errno.
 */
int pvgpu_away_from_stdio(int fd);

#endif
