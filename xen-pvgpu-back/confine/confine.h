/* SPDX-License-Identifier: MIT */
/*
 * Sandboxes of our processes. Each takes away for good what a process does not need; what the
 * kernel, or a lack of privileges, does not allow is absent, and the rest stands.
 */
#ifndef PVGPU_CONFINE_H
#define PVGPU_CONFINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

/* The rights left to a process that has no guest in it, but reads what others wrote. Lists of paths
 * end with NULL; a path that does not exist is left out. */
struct confine {
	const char *const *read;  /* files and folders that it may read, with all below */
	const char *const *write; /* and write, but make none */
	const char *const *calls; /* system calls beside those of calls_common */
	size_t call_n;
	char ioctls;  /* their type (_IOC_TYPE); 0: none */
	rlim_t files; /* that may be open */
};

/* Namespaces of its own but for processes: while there is one thread. */
void confine_spaces(void);
/* All but these: limits, capabilities, no_new_privs, files, system calls; no new executable memory.
 * 0 or -1 with a reason. */
int confine_close(const struct confine *c, char *reason, size_t cap);

/* Its parts: 0, or -1 with errno. */
bool confine_is_absent(int err);
/* What execve, if it were allowed, could give. It takes the capability that goes last. */
int confine_drop_bounds(void);
int confine_drop_capabilities(void);
int confine_limit(int what, rlim_t most);
/* The files that a list of patterns, with commas between them, names, to `each`, while that returns
 * 0. */
int confine_each_file(const char *list, int (*each)(const char *path, void *arg), void *arg);
/* It goes before the services of its machine when memory is short, whatever its parent is. */
void confine_goes_first(void);

#endif
