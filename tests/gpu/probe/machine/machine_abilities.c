/* SPDX-License-Identifier: MIT */
/*
 * Does what pvgpu's processes ask of the kernel work here? A sandbox may lack some of it. Whatever
 * changes this process is tried in a child.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/probe/machine/machine.h"
#include "xen-pvgpu-back/contract/msg.h"

/* Sealed as the ring's memory must be. */
#define RING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define PLACE      0x200000000000ull

/* 0, or the errno with which `try` fails in a child; -1: it died otherwise. */
static int in_child(int (*try)(void))
{
	const pid_t pid = fork();
	int status;

	if (pid < 0)
		return errno;
	if (pid == 0)
		_exit(try());
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void say_ability(const char *key, int err)
{
	say_text(key, "%s", !err ? "yes" : (err < 0 ? "the child died" : strerror(err)));
}

static int try_pidfd(void)
{
	const pid_t pid = fork();
	siginfo_t si;
	int fd;

	if (pid == 0)
		for (;;)
			pause();
	fd = pidfd_open(pid, 0);
	if (fd < 0) {
		fd = errno;
		kill(pid, SIGKILL);
		return fd;
	}
	if (pidfd_send_signal(fd, SIGKILL, NULL, 0) < 0)
		return errno;
	return waitid(P_PIDFD, (id_t)fd, &si, WEXITED) < 0 ? errno : 0;
}

static int try_close_range(void)
{
	return syscall(SYS_close_range, 100, ~0u, 0) < 0 ? errno : 0;
}

static int try_filter(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog all = {1, &allow};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return errno;
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &all) < 0
		       ? errno
		       : 0;
}

static void say_seccomp(void)
{
	static const struct {
		const char *key;
		uint32_t action;
	} actions[] = {
		{"seccomp_kill_process", SECCOMP_RET_KILL_PROCESS},
		{"seccomp_errno", SECCOMP_RET_ERRNO},
		{"seccomp_log", SECCOMP_RET_LOG},
		{"seccomp_user_notif", SECCOMP_RET_USER_NOTIF},
	};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		say_ability(actions[i].key, syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0,
						    &actions[i].action) < 0
						    ? errno
						    : 0);
	say_ability("seccomp_filter", in_child(try_filter));
}

static void say_landlock(void)
{
	const long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	say_int("landlock_abi", abi < 0 ? 0 : abi);
	if (abi < 0)
		say_text("landlock_error", "%s", strerror(errno));
}

static int unshared;

static int try_unshare(void)
{
	return unshare(unshared) < 0 ? errno : 0;
}

static void say_namespaces(void)
{
	static const struct {
		const char *key;
		int flag;
	} kinds[] = {{"namespace_user", CLONE_NEWUSER},    {"namespace_mount", CLONE_NEWNS},
		     {"namespace_net", CLONE_NEWNET},      {"namespace_ipc", CLONE_NEWIPC},
		     {"namespace_uts", CLONE_NEWUTS},      {"namespace_pid", CLONE_NEWPID},
		     {"namespace_cgroup", CLONE_NEWCGROUP}};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		unshared = kinds[i].flag;
		say_ability(kinds[i].key, in_child(try_unshare));
	}
}

static void say_cgroup(void)
{
	static const char root[] = "/sys/fs/cgroup/cgroup.controllers";
	char path[64];

	say_int("cgroup_v2", !access(root, R_OK));
	if (access(root, R_OK))
		return;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/gpu-probe-%d", getpid());
	say_ability("cgroup_make", mkdir(path, 0700) < 0 ? errno : 0);
	rmdir(path);
}

static int try_ptrace(void)
{
	const pid_t pid = fork();
	int status;

	if (pid == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) < 0)
			_exit(errno);
		raise(SIGSTOP);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) < 0)
		return errno;
	if (!WIFSTOPPED(status))
		return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	if (ptrace(PTRACE_SETOPTIONS, pid, NULL, PTRACE_O_TRACESYSGOOD) < 0 ||
	    ptrace(PTRACE_SYSCALL, pid, NULL, NULL) < 0 || waitpid(pid, &status, 0) < 0)
		return errno;
	/* The call of exit: a stop with bit 7 set. */
	status = WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80) ? 0 : EIO;
	kill(pid, SIGKILL);
	return status;
}

/* Pages at a fixed place among reserved ones, from a file that another process sends. */
static int try_send(void)
{
	void *base = mmap((void *)PLACE, 1 << 21, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int pair[2], fd, byte = 0, status;
	struct msg_in in;
	volatile char *page;
	pid_t pid;

	if (base != (void *)PLACE)
		return base == MAP_FAILED ? errno : EEXIST;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return errno;
	pid = fork();
	if (pid == 0) {
		fd = memfd_create("gpu-probe", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		if (fd < 0 || ftruncate(fd, 8192) < 0 || fcntl(fd, F_ADD_SEALS, RING_SEALS) < 0 ||
		    pwrite(fd, "x", 1, 4096) != 1)
			_exit(errno);
		_exit(-msg_send(pair[1], &byte, sizeof(byte), &fd, 1));
	}
	waitpid(pid, &status, 0);
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
	if (msg_recv(pair[0], &byte, sizeof(byte), 1, &in) != 1 || in.n != 1)
		return EBADMSG;
	if (fcntl(in.fds[0], F_GET_SEALS) != RING_SEALS)
		return EPERM;
	page = mmap((char *)base + 4096, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		    in.fds[0], 4096);
	return page == MAP_FAILED ? errno : (*page == 'x' ? 0 : EIO);
}

/* Connected to `to`, until the other side hangs up. */
static int be_client(const struct sockaddr_un *to, socklen_t len)
{
	const int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	char byte;

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, len) < 0)
		return errno;
	return read(fd, &byte, 1) < 0 ? errno : 0;
}

/* The other side of a connection, as pvgpud finds out whose it is. */
static int try_peer(void)
{
	const int door = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = 5}; /* for a client that cannot connect */
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(at.sun_family); /* the kernel finds a name */
	struct msg_peer peer;
	pid_t client;
	int fd, err;

	if (door < 0 || bind(door, (struct sockaddr *)&at, len) < 0 || listen(door, 1) < 0)
		return errno;
	len = sizeof(at);
	if (getsockname(door, (struct sockaddr *)&at, &len) < 0 ||
	    setsockopt(door, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) < 0)
		return errno;
	client = fork();
	if (client == 0) {
		err = be_client(&at, len);
		close(door);
		_exit(err);
	}
	fd = client < 0 ? -1 : accept(door, NULL, NULL);
	err = fd < 0 ? errno : -msg_peer(fd, &peer);
	if (!err && (peer.pid != client || peer.pidfd < 0))
		err = ESRCH;
	close(fd);
	close(door);
	while (client > 0 && waitpid(client, NULL, 0) < 0 && errno == EINTR)
		;
	return err;
}

static int try_noreplace(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	void *p = mmap(NULL, 4096, PROT_READ, flags, -1, 0);

	if (p == MAP_FAILED)
		return errno;
	if (mmap(p, 4096, PROT_READ, flags | MAP_FIXED_NOREPLACE, -1, 0) != MAP_FAILED)
		return ENOTSUP;
	return errno == EEXIST ? 0 : errno;
}

static int try_memory(void)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p = mmap((void *)PLACE, 256ull << 30, PROT_NONE, flags, -1, 0);

	if (p == MAP_FAILED)
		return errno;
	return p == (void *)PLACE ? 0 : EEXIST;
}

static void judged(enum assumption a, const char *key, int (*try)(void))
{
	const int err = in_child(try);

	say_ability(key, err);
	verdict(a, !err, "%s", err < 0 ? "the child died" : (err ? strerror(err) : "works"));
}

void machine_abilities(void)
{
	judged(ASSUME_pidfd, "pidfd", try_pidfd);
	judged(ASSUME_close_range, "close_range", try_close_range);
	judged(ASSUME_shared_memory, "sealed_memory_sent", try_send);
	judged(ASSUME_peer, "peer_of_socket", try_peer);
	judged(ASSUME_place_free, "place_of_windows_free", try_memory);
	say_ability("fixed_noreplace", in_child(try_noreplace));
	say_seccomp();
	say_landlock();
	say_namespaces();
	say_cgroup();
	say_ability("ptrace", in_child(try_ptrace));
}
