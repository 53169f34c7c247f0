/* SPDX-License-Identifier: MIT */
/* The files of a cgroup (v2), by a descriptor of its directory. Errors are negative errnos. */
#ifndef PVGPU_DAEMON_CGROUP_FILES_H
#define PVGPU_DAEMON_CGROUP_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

int cgroup_write(int dir, const char *file, const char *text);
int cgroup_write_number(int dir, const char *file, uint64_t n);
/* As much as fits, with a NUL; its length. */
int cgroup_read(int dir, const char *file, char *text, size_t cap);
/* UINT64_MAX: "max", or it cannot be read. */
uint64_t cgroup_read_number(int dir, const char *file);
/* The number behind a word, as in memory.events; 0: it is not there. */
uint64_t cgroup_read_event(int dir, const char *file, const char *word);
/* Is the word in a list such as cgroup.controllers? */
bool cgroup_lists(int dir, const char *file, const char *word);
/* How many processes are in it beside this one, of which *other is one. */
unsigned int cgroup_others(int dir, pid_t pid, pid_t *other);
bool cgroup_has(int dir, pid_t pid);
/* Ends all processes in it. */
int cgroup_kill_all(int dir);
/* This process's own cgroup, as a path; -1 with the reason why there is none. */
int cgroup_own(const char *proc, char *path, size_t cap, char *why, size_t why_cap);

#endif
