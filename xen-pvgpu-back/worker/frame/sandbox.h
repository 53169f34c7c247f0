/* SPDX-License-Identifier: MIT */
/*
 * The worker's sandbox. It is made ready while nothing of a guest's has been read, and closed at
 * the seal, before the first such byte: what it takes away, no code in this process gets back.
 *
 * A part that this kernel, or pvgpud's lack of privileges, does not allow is absent, and the others
 * stand; anything else that goes wrong ends the worker. --sandbox-check says what is absent.
 */
#ifndef PVGPU_WORKER_SANDBOX_H
#define PVGPU_WORKER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct sock_fprog;

enum sandbox_mode { SANDBOX_OFF, SANDBOX_NO_SECCOMP, SANDBOX_FULL };

enum sandbox_part {
	SANDBOX_MOUNTS = 1 << 0, /* a mount namespace of its own */
	SANDBOX_NET = 1 << 1,    /* likewise */
	SANDBOX_IPC = 1 << 2,
	SANDBOX_UTS = 1 << 3,
	SANDBOX_ROOT = 1 << 4,     /* an empty root, but for `files` */
	SANDBOX_CAPS = 1 << 5,     /* no capability */
	SANDBOX_UID = 1 << 6,      /* a user and group of its own, and no other group */
	SANDBOX_LIMITS = 1 << 7,   /* resource limits that cannot be raised */
	SANDBOX_LANDLOCK = 1 << 8, /* of the closing thread and those that it starts */
	SANDBOX_CALLS = 1 << 9,    /* seccomp, of all threads */
	SANDBOX_NO_GAIN = 1 << 10, /* no_new_privs */
	SANDBOX_PARTS = 11
};

struct sandbox {
	enum sandbox_mode mode;
	uid_t uid;         /* and gid; 0: none of its own */
	const char *files; /* patterns with commas between them: what the root holds; "": nothing */
	const char *preload; /* libraries with commas between them that the far end loads lazily */
	unsigned int parts;  /* that are closed */
	bool opens;          /* there are such patterns: the far end may open files */
	struct sock_fprog *filter; /* ready to be loaded; NULL: there is none */
};

/* 0, or -1: no such mode. */
int sandbox_parse_mode(const char *text, enum sandbox_mode *out);
const char *sandbox_part_name(unsigned int part);

/* Before there is a second thread. 0 or -1 with a reason. */
int sandbox_prepare(struct sandbox *s, char *reason, size_t cap);
/* All but the filter of calls; then that. 0 or -1 with a reason. */
int sandbox_close(struct sandbox *s, char *reason, size_t cap);
int sandbox_close_calls(struct sandbox *s, char *reason, size_t cap);

/* sandbox_root.c: -1 with errno, or 0. */
int sandbox_root(struct sandbox *s);

/* sandbox_landlock.c: -1 with errno, or a file for the other, which closes it and returns 0. */
int sandbox_landlock_rules(const struct sandbox *s);
int sandbox_landlock(int rules);

/* sandbox_calls.c: the filter into s->filter; 0 or a negative errno. */
int sandbox_make_calls(struct sandbox *s);

/* sandbox_cgroup.c: prints what is absent of its limits; while there is a /proc. */
void sandbox_say_cgroup(void);

/* sandbox_check.c: tries each door; the exit status. */
int sandbox_check(struct sandbox *s);

#endif
