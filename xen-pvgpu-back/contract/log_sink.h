/* SPDX-License-Identifier: MIT */
/*
 * Where the log goes beside standard error: the journal, with fields, or syslog. Neither is waited
 * for: a line that is not taken at once goes to standard error.
 *
 * The journal's fields: MESSAGE, PRIORITY, SYSLOG_IDENTIFIER, and of what a line names
 * PVGPU_VGPU, PVGPU_POOL, PVGPU_SESSION, PVGPU_DOMAIN; PVGPU_AUDIT=1 where an administrator has
 * changed something.
 */
#ifndef PVGPU_LOG_SINK_H
#define PVGPU_LOG_SINK_H

#include <stdbool.h>

/* The journal where standard error is the journal's (JOURNAL_STREAM, as systemd sets it), else
 * standard error; syslog: /dev/log instead. 0, or a negative errno: it stays with standard error.
 */
int log_open(bool syslog);

/* The same, to a socket of this name. */
int log_to_journal(const char *path);
int log_to_syslog(const char *path);
void log_close(void);

#endif
