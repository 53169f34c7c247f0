/* SPDX-License-Identifier: MIT */
/* The sandbox of workers, which they close themselves: who they become in it, and whether it holds.
 */
#ifndef PVGPU_DAEMON_SANDBOX_H
#define PVGPU_DAEMON_SANDBOX_H

#include "xen-pvgpu-back/daemon/core/daemon.h"

#define SANDBOX_ARGS 10

/* Options of pvgpu-worker; their number. uid: 0: none. `text` holds it. */
unsigned int sandbox_args(const struct config *c, uint32_t uid, char text[16],
			  const char *args[SANDBOX_ARGS]);
/* Users for workers, where this pvgpud is root. 0 or -1, logged. */
int sandbox_start(struct daemon *d);
void sandbox_stop(struct daemon *d);
/* -1, logged: a door is open that the configuration does not name, or the check failed. */
int sandbox_check(struct daemon *d);
/* The worker's socket, by whose owner a later pvgpud knows the worker's user. 0 or -errno. */
int sandbox_record(const struct worker *w);

#endif
