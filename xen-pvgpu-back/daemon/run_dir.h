/* SPDX-License-Identifier: MIT */
/*
 * The run directory, of one pvgpud at a time. The lock is on the folder of the workers' sockets:
 * only pvgpud's user can open it, and what removes old files does not remove the lock with a file.
 */
#ifndef PVGPU_DAEMON_RUN_DIR_H
#define PVGPU_DAEMON_RUN_DIR_H

#include <stdbool.h>

struct daemon;

/* 0, or -1 with a line on standard error. */
int run_dir_make(struct daemon *d);
/* False: another pvgpud has made its own files at our paths, since ours were deleted. */
bool run_dir_is_ours(const struct daemon *d);
/* Makes the folder of the workers' sockets again if it was deleted. */
void run_dir_again(struct daemon *d);
/* No later pvgpud will need it. */
void run_dir_remove(struct daemon *d);

#endif
