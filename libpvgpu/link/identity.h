/* SPDX-License-Identifier: MIT */
#ifndef PVGPU_LINK_IDENTITY_H
#define PVGPU_LINK_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

/* What a file is, to see whether its number still stands for it: the application may close a number
 * that it does not own, and open another file under it. */
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
