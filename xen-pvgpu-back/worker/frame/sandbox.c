/* SPDX-License-Identifier: MIT */
/* The order in which the sandbox's parts are closed, and those that need no file of their own. */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "xen-pvgpu-back/confine/calls.h"
#include "xen-pvgpu-back/confine/confine.h"

#define THREADS 1024 /* of a worker: the far end's, and a few of our own */

int sandbox_parse_mode(const char *text, enum sandbox_mode *out)
{
	static const char *const names[] = {[SANDBOX_OFF] = "off",
					    [SANDBOX_NO_SECCOMP] = "no-seccomp",
					    [SANDBOX_FULL] = "full"};

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) != 0)
			continue;
		*out = (enum sandbox_mode)i;
		return 0;
	}
	return -1;
}

const char *sandbox_part_name(unsigned int part)
{
	static const char *const names[SANDBOX_PARTS] = {"mounts",
							 "network",
							 "ipc",
							 "host name",
							 "root",
							 "capabilities",
							 "user and group",
							 "resource limits",
							 "landlock",
							 "system calls",
							 "no_new_privs"};

	return part < SANDBOX_PARTS ? names[part] : "?";
}

static int failed(const char *what, char *reason, size_t cap)
{
	snprintf(reason, cap, "sandbox: %s: %s", what, strerror(errno));
	return -1;
}

/* The kernel does not have it, or this process may not: no privileges, or a container. */
static bool is_absent(int err)
{
	return err == EPERM || err == EACCES || err == ENOSYS || err == EINVAL || err == EOPNOTSUPP;
}

/* A part is closed, absent, or an error. */
static int took(struct sandbox *s, unsigned int part, int r, char *reason, size_t cap)
{
	if (r == 0)
		s->parts |= part;
	else if (!is_absent(errno))
		return failed(sandbox_part_name((unsigned int)__builtin_ctz(part)), reason, cap);
	return 0;
}

static int make_namespaces(struct sandbox *s, char *reason, size_t cap)
{
	static const struct {
		unsigned int part;
		int flag;
	} spaces[] = {{SANDBOX_MOUNTS, CLONE_NEWNS},
		      {SANDBOX_NET, CLONE_NEWNET},
		      {SANDBOX_IPC, CLONE_NEWIPC},
		      {SANDBOX_UTS, CLONE_NEWUTS}};

	for (unsigned int i = 0; i < sizeof(spaces) / sizeof(spaces[0]); i++)
		if (took(s, spaces[i].part, unshare(spaces[i].flag), reason, cap) < 0)
			return -1;
	/* Nothing of ours is seen outside; what is unmounted there goes here, too. */
	if (s->parts & SANDBOX_MOUNTS && mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return failed("mounts", reason, cap);
	return 0;
}

/* The far end loads it by this name later, and finds it loaded. One behind '-' may be missing. */
static int load(const char *list, char *reason, size_t cap)
{
	char name[256];

	for (size_t n; *list; list += n + (list[n] == ',')) {
		const bool may_lack = *list == '-';

		list += may_lack;
		n = strcspn(list, ",");
		snprintf(name, sizeof(name), "%.*s", (int)n, list);
		if (*name && !dlopen(name, RTLD_NOW | RTLD_LOCAL) && !may_lack) {
			snprintf(reason, cap, "sandbox_preload: %s", dlerror());
			return -1;
		}
	}
	return 0;
}

int sandbox_prepare(struct sandbox *s, char *reason, size_t cap)
{
	int err;

	confine_goes_first();
	if (s->preload && load(s->preload, reason, cap) < 0)
		return -1;
	if (s->mode == SANDBOX_OFF)
		return 0;
	if (make_namespaces(s, reason, cap) < 0)
		return -1;
	/* Not where such a file is found: the driver may make it later, and another far end's files
	 * may lie there. */
	s->opens = s->files && *s->files;
	if (s->mode != SANDBOX_FULL)
		return 0;
	err = sandbox_make_calls(s);
	if (!err || err == -EOPNOTSUPP)
		return 0;
	errno = -err;
	return failed("the filter of system calls", reason, cap);
}

/* libc does these for all threads. */
static int become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		return -1;
	return 0;
}

/* Threads are counted by user: those of a user that others are, too, are not ours to limit. */
static int set_limits(const struct sandbox *s)
{
	if (confine_limit(RLIMIT_CORE, 0) < 0 || confine_limit(RLIMIT_MSGQUEUE, 0) < 0 ||
	    confine_limit(RLIMIT_NICE, 0) < 0 || confine_limit(RLIMIT_RTPRIO, 0) < 0)
		return -1;
	return s->uid ? confine_limit(RLIMIT_NPROC, THREADS) : 0;
}

int sandbox_close(struct sandbox *s, char *reason, size_t cap)
{
	bool root = geteuid() == 0;
	int rules;

	if (s->mode == SANDBOX_OFF)
		return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
			       ? failed("no_new_privs", reason, cap)
			       : 0;
	/* Where there is a mount namespace, all of it must go, or there is no telling what stands.
	 */
	if (s->parts & SANDBOX_MOUNTS) {
		if (sandbox_root(s) < 0)
			return failed("root", reason, cap);
		s->parts |= SANDBOX_ROOT;
	}
	rules = sandbox_landlock_rules(s);
	if (rules < 0 && !is_absent(errno))
		return failed("landlock", reason, cap);
	if (took(s, SANDBOX_LIMITS, set_limits(s), reason, cap) < 0)
		return -1;
	if (root && confine_drop_bounds() < 0 && errno != EPERM)
		return failed("capabilities", reason, cap);
	if (root && s->uid) {
		if (become(s->uid) < 0)
			return failed("user and group", reason, cap);
		s->parts |= SANDBOX_UID;
	}
	if (took(s, SANDBOX_CAPS, confine_drop_capabilities(), reason, cap) < 0)
		return -1;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return failed("no_new_privs", reason, cap);
	s->parts |= SANDBOX_NO_GAIN;
	return rules < 0 ? 0 : took(s, SANDBOX_LANDLOCK, sandbox_landlock(rules), reason, cap);
}

int sandbox_close_calls(struct sandbox *s, char *reason, size_t cap)
{
	if (!s->filter)
		return 0;
	return took(s, SANDBOX_CALLS, calls_close(s->filter), reason, cap);
}
