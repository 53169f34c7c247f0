/* SPDX-License-Identifier: MIT */
/*
 * --sandbox-check: is each door shut? The sandbox is closed as for a session; then a child of it
 * for each door, under the filter of calls as well, tries to go through. Of a door that opens and
 * that nothing in this sandbox is to keep shut (the kernel lacks it, or the configuration says so)
 * it says `absent`.
 */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT_S    10  /* for one door */
#define CANNOT_TRY 255 /* of a child's exit status, beside errno values and 0 */

/* 0: it is open; -1: errno says why not. Values that fd 0 and the pair of sockets have here. */
static int pair[2];
static pid_t starter; /* of all this: pvgpud */

static int try_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0) < 0 ? -1 : 0;
}

static int read_file(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int other_memory(void)
{
	return try_open("/proc/1/mem", O_RDWR);
}

static int own_memory(void)
{
	return try_open("/proc/self/mem", O_RDWR);
}

static int shared_memory(void)
{
	return try_open("/dev/shm", O_RDONLY);
}

static int make_file(void)
{
	return try_open("/", O_TMPFILE | O_RDWR);
}

static int unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0) < 0 ? -1 : 0;
}

static int inet_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? -1 : 0;
}

static int netlink_socket(void)
{
	return socket(AF_NETLINK, SOCK_RAW, 0) < 0 ? -1 : 0;
}

/* Its credentials are those of who listened; pvgpud looks at them. */
static int listen_anew(void)
{
	return listen(pair[0], 1);
}

static int new_process(void)
{
	const long r = syscall(SYS_fork);

	if (r == 0)
		_exit(0);
	return r < 0 ? -1 : 0;
}

static int new_process_clone(void)
{
	const long r = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (r == 0)
		_exit(0);
	return r < 0 ? -1 : 0;
}

/* The first argument is the program that this one is. */
static int run_program(void)
{
	const char *const none[] = {"/bin/true", NULL};

	return execve("/bin/true", (char *const *)(uintptr_t)none, NULL);
}

static int trace_parent(void)
{
	return (int)ptrace(PTRACE_SEIZE, starter, NULL, NULL);
}

static int read_parent(void)
{
	char byte, *there = (char *)(uintptr_t)&pair; /* of ours; there it may be nothing */
	struct iovec to = {&byte, 1}, from = {there, 1};

	return process_vm_readv(starter, &to, 1, &from, 1, 0) < 0 ? -1 : 0;
}

static int signal_init(void)
{
	return kill(1, 0);
}

static int signal_parent(void)
{
	return kill(starter, 0);
}

static int become_root(void)
{
	return (int)syscall(SYS_setuid, 0);
}

/* No such file system: an error that only those hear who may mount one. */
static int mount_something(void)
{
	return mount("none", "/", "no-such-thing", 0, NULL);
}

static int change_root(void)
{
	return chroot("/");
}

static int user_namespace(void)
{
	return unshare(CLONE_NEWUSER);
}

static int mount_namespace(void)
{
	return unshare(CLONE_NEWNS);
}

static int may_block(void)
{
	return fcntl(pair[0], F_SETFL, 0);
}

static int may_block_ioctl(void)
{
	int off = 0;

	return ioctl(pair[0], FIONBIO, &off);
}

/* Numbers of xen/gntdev.h and xen/evtchn.h. */
static int map_grants(void)
{
	return ioctl(0, _IOC(_IOC_NONE, 'G', 0, 24), NULL);
}

static int bind_events(void)
{
	return ioctl(0, _IOC(_IOC_NONE, 'E', 2, 4), NULL);
}

static int bpf_map(void)
{
	union bpf_attr a = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return syscall(SYS_bpf, BPF_MAP_CREATE, &a, sizeof(a)) < 0 ? -1 : 0;
}

static int perf_event(void)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
				    .size = sizeof(a),
				    .config = PERF_COUNT_SW_CPU_CLOCK,
				    .exclude_kernel = 1};

	return syscall(SYS_perf_event_open, &a, 0, -1, -1, 0) < 0 ? -1 : 0;
}

static int keyring(void)
{
	return syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) < 0 ? -1 : 0;
}

static int page_faults(void)
{
	return syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */) < 0 ? -1 : 0;
}

static int ring_of_calls(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL) < 0 ? -1 : 0;
}

static int file_handle(void)
{
	return syscall(SYS_open_by_handle_at, -1, NULL, 0) < 0 ? -1 : 0;
}

static int raise_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_CORE, &r) < 0)
		return -1;
	r.rlim_cur = ++r.rlim_max;
	return setrlimit(RLIMIT_CORE, &r);
}

static int new_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int be_traced(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

#define CALLS SANDBOX_CALLS
#define FILES (SANDBOX_ROOT | SANDBOX_LANDLOCK | CALLS)

static const struct door {
	const char *name;
	int (*go)(void);
	unsigned int guards; /* parts of which each shuts it */
	int inside[3];       /* errors that one hears who has come through, too */
} doors[] = {
	{"open-file", read_file, FILES, {0}},
	{"open-memory-of-init", other_memory, FILES | SANDBOX_UID, {0}},
	{"open-own-memory", own_memory, FILES, {0}},
	{"open-shared-memory", shared_memory, FILES, {0}},
	{"make-file", make_file, FILES, {0}},
	{"socket-unix", unix_socket, CALLS, {0}},
	{"socket-inet", inet_socket, CALLS, {0}},
	{"socket-netlink", netlink_socket, CALLS, {0}},
	{"listen", listen_anew, CALLS, {EINVAL, EOPNOTSUPP}},
	{"fork", new_process, CALLS, {0}},
	{"clone", new_process_clone, CALLS, {0}},
	{"execve", run_program, SANDBOX_ROOT | CALLS, {0}},
	{"ptrace", trace_parent, SANDBOX_UID | CALLS, {0}},
	{"process-vm-readv", read_parent, SANDBOX_UID | CALLS, {EFAULT}},
	{"kill-init", signal_init, SANDBOX_UID | CALLS, {0}},
	{"kill-parent", signal_parent, SANDBOX_UID | CALLS, {0}},
	{"setuid", become_root, SANDBOX_UID | CALLS, {0}},
	{"mount", mount_something, SANDBOX_CAPS | CALLS, {ENODEV}},
	{"chroot", change_root, SANDBOX_CAPS | CALLS, {0}},
	{"unshare-user", user_namespace, CALLS, {0}},
	{"unshare-mounts", mount_namespace, SANDBOX_CAPS | CALLS, {0}},
	{"clear-nonblock", may_block, CALLS, {0}},
	{"clear-nonblock-ioctl", may_block_ioctl, CALLS, {0}},
	{"gntdev-map", map_grants, CALLS, {ENOTTY, EINVAL, EFAULT}},
	{"evtchn-bind", bind_events, CALLS, {ENOTTY, EINVAL, EFAULT}},
	{"bpf", bpf_map, CALLS, {EINVAL}},
	{"perf-event", perf_event, CALLS, {EINVAL}},
	{"keyctl", keyring, CALLS, {EINVAL}},
	{"userfaultfd", page_faults, CALLS, {EINVAL}},
	{"io-uring", ring_of_calls, CALLS, {EINVAL, EFAULT}},
	{"open-by-handle", file_handle, CALLS, {EFAULT, EBADF, EINVAL}},
	{"raise-limit", raise_limit, SANDBOX_LIMITS | CALLS, {0}},
	{"dumpable", be_traced, CALLS, {0}},
};

/* The far end's own code may be loaded late: not with files. */
static const struct door code = {"executable-memory", new_code, CALLS, {0}};

static bool is_inside(const struct door *d, int err)
{
	for (unsigned int i = 0; i < sizeof(d->inside) / sizeof(d->inside[0]); i++)
		if (d->inside[i] && d->inside[i] == err)
			return true;
	return false;
}

/* In a child. */
static void go(struct sandbox *s, const struct door *d)
{
	char reason[128];
	int err;

	alarm(LIMIT_S);
	if (sandbox_close_calls(s, reason, sizeof(reason)) < 0) {
		fprintf(stderr, "pvgpu-worker: %s\n", reason);
		_exit(CANNOT_TRY);
	}
	errno = 0;
	err = d->go() < 0 ? errno : 0;
	_exit(is_inside(d, err) ? 0 : err < CANNOT_TRY ? err : CANNOT_TRY - 1);
}

/* 0, 1: it is open, or -1: that cannot be said. */
static int knock(struct sandbox *s, const struct door *d, unsigned int parts)
{
	const char *how = "shut", *why = "";
	int status, r = 0;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		go(s, d);
	if (pid < 0 || waitpid(pid, &status, 0) < 0 ||
	    (WIFEXITED(status) && WEXITSTATUS(status) == CANNOT_TRY) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) != SIGSYS)) {
		fprintf(stderr, "pvgpu-worker: %s: cannot be tried\n", d->name);
		return -1;
	}
	if (WIFSIGNALED(status))
		why = "ends the process";
	else if (WEXITSTATUS(status))
		why = strerrordesc_np(WEXITSTATUS(status));
	else if (d->guards & parts)
		how = "OPEN", r = 1;
	else
		how = "absent";
	printf("%s: %s%s%s\n", d->name, how, *why ? ": " : "", why);
	return r;
}

static int say_parts(unsigned int parts, enum sandbox_mode mode)
{
	for (unsigned int i = 0; i < SANDBOX_PARTS; i++)
		if (!(parts & 1u << i))
			printf("part %s: absent%s\n", sandbox_part_name(i),
			       mode == SANDBOX_FULL ? "" : ": as sandbox says");
	return 0;
}

int sandbox_check(struct sandbox *s)
{
	unsigned int parts;
	char reason[128];
	int open = 0;

	starter = getppid();
	sandbox_say_cgroup();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair) < 0 ||
	    sandbox_prepare(s, reason, sizeof(reason)) < 0 ||
	    sandbox_close(s, reason, sizeof(reason)) < 0) {
		fprintf(stderr, "pvgpu-worker: %s\n", reason);
		return 2;
	}
	/* What the children close, too, and what a kernel without it would make of it. */
	parts = s->parts | (s->filter ? CALLS : 0);
	say_parts(parts, s->mode);
	for (unsigned int i = 0; i < sizeof(doors) / sizeof(doors[0]) + !s->opens; i++) {
		const struct door *d = i < sizeof(doors) / sizeof(doors[0]) ? &doors[i] : &code;
		int r = knock(s, d, parts);

		if (r < 0)
			return 2;
		open |= r;
	}
	return open;
}
