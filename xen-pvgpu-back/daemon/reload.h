/* SPDX-License-Identifier: MIT */
/* A changed pvgpud.conf while pvgpud runs: settings that can change do; the log and the key
 * /daemon/waits-for-restart name the others. No session ends. */
#ifndef PVGPU_RELOAD_H
#define PVGPU_RELOAD_H

struct config;
struct daemon;

/* The new configuration is finished, and stays the caller's. */
void reload(struct daemon *d, const struct config *new);

/* Makes files of the run directory again that others need and that were deleted. */
void reload_files(struct daemon *d);

#endif
