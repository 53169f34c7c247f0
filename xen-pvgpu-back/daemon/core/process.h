/* SPDX-License-Identifier: MIT */
/* Starts a process, in a cgroup from its birth on where one is given. */
#ifndef PVGPU_DAEMON_PROCESS_H
#define PVGPU_DAEMON_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Above the numbers that a process of ours is given. */
#define PROCESS_FDS_ABOVE 10

struct process {
	const char *path;
	const char *const *argv, *const *env;
	/* It has these as 0, 1, ... and no others; -1: nothing. They must be PROCESS_FDS_ABOVE or
	 * more. */
	const int *fds;
	unsigned int fd_n;
	int cgroup; /* a directory; -1: ours */
	bool first; /* has its processor as pvgpud has it, before others */
};

/* The file with a number for process_spawn; fd is closed. -1 with errno: none is left, or fd is -1.
 */
int process_file(int fd);

/* In a session of its own, with no signal blocked or ignored. 0 or an errno. */
int process_spawn(const struct process *p, pid_t *pid);
/* When it started, in clock ticks since the machine's start, which tells it from a later process
 * with that number; 0: there is none. */
uint64_t process_started(pid_t pid);
/* A pidfd of the process with that number which started then; -1: there is none. */
int process_open(pid_t pid, uint64_t started);
/* Can processes be started in a cgroup? Later calls of process_spawn do it as was found here. 0 or
 * an errno. */
int process_try(int cgroup);
/* Takes note of a child's end, in si, if it has ended; si_pid 0: it has not. peak_kib: of the
 * memory that it had at once, mapped files and shared memory included. 0, or -1 with errno. */
int process_reap(pid_t pid, siginfo_t *si, uint64_t *peak_kib);
/*
 * Locks a file for one pvgpud at a time. A child that a killed pvgpud was just starting holds its
 * locks until it runs its program: so much time is given. 0, or -1 with errno, EWOULDBLOCK: another
 * pvgpud has it.
 */
int process_lock(int fd);

#endif
