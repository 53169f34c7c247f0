/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "xen-pvgpu-back/confine/calls.h"
#include "xen-pvgpu-back/confine/landlock.h"

/* What execve, if it were allowed, could give. It takes the capability that goes last. */
int confine_drop_bounds(void)
{
	for (unsigned long c = 0; c < 64; c++)
		if (prctl(PR_CAPBSET_DROP, c, 0, 0, 0) < 0)
			return c && errno == EINVAL ? 0 : -1;
	return 0;
}

int confine_drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	const struct __user_cap_data_struct none[2] = {0};
	struct __user_cap_data_struct has[2];

	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -1;
	if (syscall(SYS_capset, &head, none) == 0)
		return 0;
	/* systemd's units refuse capset to who has no capability anyway. */
	if (errno == EPERM && syscall(SYS_capget, &head, has) == 0 &&
	    memcmp(has, none, sizeof(none)) == 0)
		return 0;
	return -1;
}

int confine_limit(int what, rlim_t most)
{
	struct rlimit r;

	if (getrlimit((__rlimit_resource_t)what, &r) < 0)
		return -1;
	if (r.rlim_max > most)
		r.rlim_max = most;
	r.rlim_cur = r.rlim_max;
	return setrlimit((__rlimit_resource_t)what, &r);
}

void confine_goes_first(void)
{
	static const char score[] = "500";
	const int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	/* Without it, the kernel chooses by size. */
	if (write(fd, score, sizeof(score) - 1) < 0)
		errno = 0;
	close(fd);
}

/* The kernel does not have it, or this process may not. */
bool confine_is_absent(int err)
{
	return err == EPERM || err == EACCES || err == ENOSYS || err == EINVAL || err == EOPNOTSUPP;
}

static int failed(const char *what, char *reason, size_t cap)
{
	snprintf(reason, cap, "sandbox: %s: %s", what, strerror(errno));
	return -1;
}

void confine_spaces(void)
{
	static const int flags[] = {CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWIPC, CLONE_NEWUTS};

	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (unshare(flags[i]) == 0 && flags[i] == CLONE_NEWNS)
			mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
}

static int allow_files(const struct confine *c, const struct landlock *l)
{
	for (size_t i = 0; c->read && c->read[i]; i++)
		if (landlock_allow(l, c->read[i], false) < 0 && errno != ENOENT)
			return -1;
	for (size_t i = 0; c->write && c->write[i]; i++)
		if (landlock_allow(l, c->write[i], true) < 0 && errno != ENOENT)
			return -1;
	return 0;
}

static int close_files(const struct confine *c, char *reason, size_t cap)
{
	struct landlock l;

	if (landlock_open(&l) < 0)
		return confine_is_absent(errno) ? 0 : failed("landlock", reason, cap);
	if (allow_files(c, &l) < 0 || landlock_close(&l) < 0)
		return confine_is_absent(errno) ? 0 : failed("landlock", reason, cap);
	return 0;
}

static int make_filter(const struct confine *c, struct sock_fprog **out)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int r;

	if (!f)
		return -ENOMEM;
	r = calls_common(f);
	if (!r)
		r = calls_list(f, SCMP_ACT_ALLOW, c->calls, c->call_n);
	if (!r && c->ioctls)
		r = calls_when(f, "ioctl", calls_masked(1, 0xff00, (uint64_t)c->ioctls << 8));
	if (!r)
		r = calls_when(f, "ioctl", calls_is(1, FIONREAD));
	if (!r)
		r = calls_when(f, "mmap", calls_masked(2, PROT_EXEC, 0));
	if (!r)
		r = calls_when(f, "mprotect", calls_masked(2, PROT_EXEC, 0));
	if (!r)
		r = calls_export(f, out);
	seccomp_release(f);
	return r;
}

int confine_close(const struct confine *c, char *reason, size_t cap)
{
	struct sock_fprog *filter = NULL;
	const bool root = geteuid() == 0;
	int err;

	if (confine_limit(RLIMIT_CORE, 0) < 0 || confine_limit(RLIMIT_MSGQUEUE, 0) < 0 ||
	    confine_limit(RLIMIT_NICE, 0) < 0 || confine_limit(RLIMIT_RTPRIO, 0) < 0 ||
	    confine_limit(RLIMIT_NOFILE, c->files) < 0)
		return failed("resource limits", reason, cap);
	if (root && confine_drop_bounds() < 0 && errno != EPERM)
		return failed("capabilities", reason, cap);
	if (confine_drop_capabilities() < 0)
		return failed("capabilities", reason, cap);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("no_new_privs", reason, cap);
	if (close_files(c, reason, cap) < 0)
		return -1;
	err = make_filter(c, &filter);
	if (err == -EOPNOTSUPP)
		return 0;
	errno = -err;
	if (err || (calls_close(filter) < 0 && !confine_is_absent(errno)))
		return failed("system calls", reason, cap);
	return 0;
}

int confine_each_file(const char *list, int (*each)(const char *path, void *arg), void *arg)
{
	char pattern[256];
	int r = 0;

	for (size_t n; list && *list && !r; list += n + (list[n] == ',')) {
		glob_t found;

		n = strcspn(list, ",");
		snprintf(pattern, sizeof(pattern), "%.*s", (int)n, list);
		if (glob(pattern, 0, NULL, &found) != 0)
			continue;
		for (size_t i = 0; i < found.gl_pathc && !r; i++)
			r = each(found.gl_pathv[i], arg);
		globfree(&found);
	}
	return r;
}
