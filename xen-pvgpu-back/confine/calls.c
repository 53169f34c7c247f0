/* SPDX-License-Identifier: MIT */
/*
 * The lists are what gpu-trace (tests/gpu/trace) saw workers on the simulated GPU ask for, with
 * what libc asks for in cases that did not arise.
 *
 * clone3 answers ENOSYS, since its flags lie in memory, where a filter cannot look; libc then uses
 * clone.
 */
#include "xen-pvgpu-back/confine/calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const always[] = {"read",
				     "readv",
				     "pread64",
				     "write",
				     "writev",
				     "pwrite64",
				     "close",
				     "close_range",
				     "fstat",
				     "newfstatat",
				     "lseek",
				     "fallocate",
				     "ftruncate",
				     "memfd_create",
				     "dup",
				     "dup2",
				     "dup3",
				     "pipe2",
				     "eventfd2",
				     "epoll_create1",
				     "epoll_ctl",
				     "epoll_wait",
				     "epoll_pwait",
				     "epoll_pwait2",
				     "poll",
				     "ppoll",
				     "select",
				     "pselect6",
				     "timerfd_create",
				     "timerfd_settime",
				     "timerfd_gettime",
				     "sendmsg",
				     "recvmsg",
				     "sendto",
				     "recvfrom",
				     "accept4",
				     "getsockopt",
				     "getsockname",
				     "getpeername",
				     "shutdown",
				     "brk",
				     "munmap",
				     "mremap",
				     "madvise",
				     "mincore",
				     "msync",
				     "mlock",
				     "munlock",
				     "futex",
				     "set_robust_list",
				     "get_robust_list",
				     "rseq",
				     "membarrier",
				     "set_tid_address",
				     "sched_yield",
				     "sched_getaffinity",
				     "sched_getparam",
				     "sched_getscheduler",
				     "getcpu",
				     "getpid",
				     "gettid",
				     "getuid",
				     "geteuid",
				     "getgid",
				     "getegid",
				     "getrandom",
				     "getrusage",
				     "getrlimit",
				     "sysinfo",
				     "uname",
				     "times",
				     "nanosleep",
				     "clock_nanosleep",
				     "clock_gettime",
				     "clock_getres",
				     "gettimeofday",
				     "time",
				     "alarm",
				     "setitimer",
				     "restart_syscall",
				     "rt_sigaction",
				     "rt_sigprocmask",
				     "rt_sigreturn",
				     "rt_sigtimedwait",
				     "rt_sigpending",
				     "rt_sigsuspend",
				     "sigaltstack",
				     "exit",
				     "exit_group"};

static const char *const never[] = {"execve",
				    "execveat",
				    "fork",
				    "vfork",
				    "ptrace",
				    "process_vm_readv",
				    "process_vm_writev",
				    "process_madvise",
				    "pidfd_getfd",
				    "kcmp",
				    "open_by_handle_at",
				    "mount",
				    "umount2",
				    "pivot_root",
				    "chroot",
				    "unshare",
				    "setns",
				    "move_mount",
				    "open_tree",
				    "fsopen",
				    "fsmount",
				    "fsconfig",
				    "fspick",
				    "mount_setattr",
				    "bpf",
				    "perf_event_open",
				    "userfaultfd",
				    "add_key",
				    "request_key",
				    "keyctl",
				    "init_module",
				    "finit_module",
				    "delete_module",
				    "kexec_load",
				    "kexec_file_load",
				    "reboot",
				    "swapon",
				    "swapoff",
				    "iopl",
				    "ioperm",
				    "modify_ldt",
				    "personality",
				    "acct",
				    "quotactl",
				    "syslog",
				    "sethostname",
				    "setdomainname",
				    "settimeofday",
				    "clock_settime",
				    "adjtimex",
				    "clock_adjtime",
				    "setuid",
				    "setgid",
				    "setreuid",
				    "setregid",
				    "setresuid",
				    "setresgid",
				    "setgroups",
				    "setfsuid",
				    "setfsgid",
				    "capset",
				    "mknod",
				    "mknodat"};

/* An action of a call where it is known here, under up to two conditions. */
int calls_rule(scmp_filter_ctx f, uint32_t action, const char *name, unsigned int n,
	       struct scmp_arg_cmp a, struct scmp_arg_cmp b)
{
	const struct scmp_arg_cmp args[] = {a, b};
	const int call = seccomp_syscall_resolve_name(name);

	return call == __NR_SCMP_ERROR ? 0 : seccomp_rule_add_array(f, action, call, n, args);
}

int calls_list(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t n)
{
	const struct scmp_arg_cmp none = {0};
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = calls_rule(f, action, names[i], 0, none, none);
	return r;
}

struct scmp_arg_cmp calls_masked(unsigned int arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp){
		.arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

/* Of an int, of which the kernel takes no more. */
struct scmp_arg_cmp calls_is(unsigned int arg, unsigned int value)
{
	return calls_masked(arg, UINT32_MAX, value);
}

int calls_when(scmp_filter_ctx f, const char *name, struct scmp_arg_cmp a)
{
	return calls_rule(f, SCMP_ACT_ALLOW, name, 1, a, a);
}

static int files(scmp_filter_ctx f)
{
	static const int commands[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD,     F_SETFD,
				       F_GETFL, F_GET_SEALS,     F_ADD_SEALS, F_GETPIPE_SZ};
	int r = 0;

	for (size_t i = 0; i < COUNT(commands) && !r; i++)
		r = calls_when(f, "fcntl", calls_is(1, (unsigned int)commands[i]));
	/* What others have open, too, cannot be made to block them. */
	return r ? r
		 : calls_rule(f, SCMP_ACT_ALLOW, "fcntl", 2, calls_is(1, F_SETFL),
			      calls_masked(2, O_NONBLOCK, O_NONBLOCK));
}

static int processes(scmp_filter_ctx f)
{
	const uint64_t thread = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;
	const uint64_t spaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
				CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME;
	const struct scmp_arg_cmp none = {0};
	const unsigned int self = (unsigned int)getpid();
	static const int options[] = {PR_SET_NAME,     PR_GET_NAME,         PR_SET_VMA,
				      PR_GET_DUMPABLE, PR_GET_NO_NEW_PRIVS, PR_GET_SECCOMP};
	int r = calls_when(f, "clone",
			   calls_masked(0, thread | (spaces & ~(uint64_t)CLONE_NEWTIME), thread));

	if (!r)
		r = calls_rule(f, SCMP_ACT_KILL_PROCESS, "clone", 1,
			       calls_masked(0, CLONE_THREAD, 0), none);
	if (!r)
		r = calls_rule(f, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, none, none);
	if (!r)
		r = calls_when(f, "kill", calls_is(0, self));
	if (!r)
		r = calls_when(f, "tgkill", calls_is(0, self));
	/* To ask, not to set. */
	if (!r)
		r = calls_when(f, "prlimit64", calls_masked(2, UINT64_MAX, 0));
	for (size_t i = 0; i < COUNT(options) && !r; i++)
		r = calls_when(f, "prctl", calls_is(0, (unsigned int)options[i]));
	return r;
}

/* To be loaded by the system call itself: libseccomp makes the program anew each time, which takes
 * longer than all the rest of a worker's seal. */
int calls_export(scmp_filter_ctx f, struct sock_fprog **out)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC), r;
	struct sock_fprog *p = NULL;
	off_t bytes;

	*out = NULL;
	if (fd < 0)
		return -errno;
	/* A tree instead of a list; older libraries cannot. */
	seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	r = seccomp_export_bpf(f, fd);
	bytes = r ? 0 : lseek(fd, 0, SEEK_END);
	if (bytes > 0)
		p = malloc(sizeof(*p) + (size_t)bytes);
	if (p) {
		p->filter = (struct sock_filter *)(p + 1);
		p->len = (unsigned short)((size_t)bytes / sizeof(*p->filter));
		if (pread(fd, p->filter, (size_t)bytes, 0) == bytes)
			*out = p;
		else
			free(p);
	}
	close(fd);
	return r ? r : *out ? 0 : -EIO;
}

int calls_common(scmp_filter_ctx f)
{
	int r = seccomp_attr_set(f, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);

	if (!r)
		r = calls_list(f, SCMP_ACT_ALLOW, always, COUNT(always));
	if (!r)
		r = calls_list(f, SCMP_ACT_KILL_PROCESS, never, COUNT(never));
	if (!r)
		r = files(f);
	return r ? r : processes(f);
}

int calls_close(struct sock_fprog *p)
{
	const long r = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, p);

	/* More than 0 is a thread that has a filter of its own. */
	if (r > 0)
		errno = EBUSY;
	return r ? -1 : 0;
}
