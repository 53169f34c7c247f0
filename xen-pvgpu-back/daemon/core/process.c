/* SPDX-License-Identifier: MIT */
/*
 * Into a cgroup with clone3: a process that is moved later has been elsewhere, and to move one
 * takes 10 ms in which no process of the machine forks. posix_spawn cannot yet (glibc 2.39).
 */
#include "xen-pvgpu-back/daemon/core/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOCK_MS      2000
#define LOCK_STEP_MS 10

int process_file(int fd)
{
	int up = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, PROCESS_FDS_ABOVE);
	int err = errno;

	if (fd >= 0)
		close(fd);
	errno = err;
	return up;
}

/* pvgpud has its processor first (main.c); its children, which may be tenants', have not. */
static void be_usual(const struct process *p, pid_t pid)
{
	if (!p->first && getpriority(PRIO_PROCESS, 0) < 0)
		setpriority(PRIO_PROCESS, (id_t)pid, 0);
}

static int spawn(const struct process *p, pid_t *pid)
{
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	sigset_t set;
	int err;

	posix_spawn_file_actions_init(&fa);
	for (unsigned int i = 0; i < p->fd_n; i++) {
		if (p->fds[i] < 0)
			posix_spawn_file_actions_addopen(&fa, (int)i, "/dev/null", O_RDONLY, 0);
		else
			posix_spawn_file_actions_adddup2(&fa, p->fds[i], (int)i);
	}
	posix_spawn_file_actions_addclosefrom_np(&fa, (int)p->fd_n);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETSIGMASK);
	sigfillset(&set);
	posix_spawnattr_setsigdefault(&attr, &set);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(&attr, &set);
	err = posix_spawn(pid, p->path, &fa, &attr, (char *const *)(uintptr_t)p->argv,
			  (char *const *)(uintptr_t)p->env);
	if (!err)
		be_usual(p, *pid);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	return err;
}

uint64_t process_started(pid_t pid)
{
	unsigned long long ticks = 0;
	char path[32], text[1024], state;
	const char *p = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f))
		p = strrchr(text, ')'); /* a name may have any character */
	fclose(f);
	if (!p || sscanf(p,
			 ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d "
			 "%*d %*d %llu",
			 &state, &ticks) != 2)
		return 0;
	/* A zombie has ended. */
	return state == 'Z' ? 0 : ticks;
}

int process_open(pid_t pid, uint64_t started)
{
	const int fd = pid > 0 && started ? pidfd_open(pid, 0) : -1;

	/* Looked at while the pidfd holds the number. */
	if (fd < 0 || process_started(pid) == started)
		return fd;
	close(fd);
	return -1;
}

static int join(int cgroup)
{
	const int fd = openat(cgroup, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : write(fd, "0", 1);

	if (fd >= 0)
		close(fd);
	return n == 1 ? 0 : -1;
}

/* Only what a signal handler may do: the parent may have threads. Errors go to the file `tell`; -1:
 * it is to move to its cgroup first, and says so in its log. */
static void __attribute__((noreturn)) become(const struct process *p, int tell)
{
	static const char cannot[] = "cannot be run\n";
	const struct sigaction plain = {.sa_handler = SIG_DFL};
	const int extra = (int)p->fd_n;
	/* Out of the way of the others. */
	const int kept = fcntl(tell < 0 ? p->cgroup : tell, F_DUPFD_CLOEXEC, PROCESS_FDS_ABOVE);
	sigset_t none;
	ssize_t n;
	int err;

	if (kept < 0)
		goto failed;
	for (int s = 1; s < NSIG; s++)
		sigaction(s, &plain, NULL);
	setsid();
	be_usual(p, 0);
	for (unsigned int i = 0; i < p->fd_n; i++) {
		int fd = p->fds[i] < 0 ? open("/dev/null", O_RDONLY) : p->fds[i];

		if (fd < 0 || (fd != (int)i && dup2(fd, (int)i) < 0))
			goto failed;
	}
	if (dup3(kept, extra, O_CLOEXEC) < 0)
		goto failed;
	closefrom(extra + 1);
	if (tell >= 0)
		tell = extra;
	else if (join(extra) < 0)
		goto failed;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(p->path, (char *const *)(uintptr_t)p->argv, (char *const *)(uintptr_t)p->env);
failed:
	err = errno;
	n = tell < 0 ? write(STDERR_FILENO, cannot, sizeof(cannot) - 1)
		     : write(tell, &err, sizeof(err));
	_exit(n < 0 ? 126 : 127);
}

/* A fork: 0 in the child, else its pid or -1. Our handlers must not run in it. */
static pid_t clone_into(int cgroup)
{
	struct clone_args args = {.flags = CLONE_INTO_CGROUP | CLONE_VFORK,
				  .exit_signal = SIGCHLD,
				  .cgroup = (uint64_t)cgroup};
	sigset_t all, old;
	pid_t pid;
	int err;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	if (pid == 0)
		return 0;
	err = errno;
	sigprocmask(SIG_SETMASK, &old, NULL);
	errno = err;
	return pid;
}

static bool joins; /* there is no clone3: a child moves to its cgroup itself */

static int try_once(int cgroup)
{
	const pid_t pid = joins ? fork() : clone_into(cgroup);
	int status;

	if (pid == 0) {
		status = joins && join(cgroup) < 0 ? errno : 0;
		closefrom(STDERR_FILENO + 1);
		_exit(status);
	}
	if (pid < 0)
		return errno;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
}

int process_try(int cgroup)
{
	int err;

	joins = false;
	err = try_once(cgroup);
	if (err != ENOSYS && err != EINVAL && err != EPERM)
		return err;
	joins = true;
	return try_once(cgroup);
}

/* It takes 10 ms, for which pvgpud does not wait: why it failed is in the child's log. */
static int spawn_joining(const struct process *p, pid_t *pid)
{
	sigset_t all, old;
	int err = 0;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	*pid = fork();
	if (*pid == 0)
		become(p, -1);
	err = *pid < 0 ? errno : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	return err;
}

int process_spawn(const struct process *p, pid_t *pid)
{
	int ends[2], up, err = 0;

	if (p->cgroup < 0)
		return spawn(p, pid);
	if (joins)
		return spawn_joining(p, pid);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return errno;
	up = process_file(ends[1]);
	err = up < 0 ? errno : 0;
	if (!err) {
		*pid = clone_into(p->cgroup);
		if (*pid == 0)
			become(p, up);
		err = *pid < 0 ? errno : 0;
		close(up);
		/* CLONE_VFORK: it runs its program now, or is dead. */
		if (!err && read(ends[0], &err, sizeof(err)) == (ssize_t)sizeof(err))
			waitpid(*pid, NULL, 0);
	}
	close(ends[0]);
	return err;
}

int process_lock(int fd)
{
	const struct timespec step = {.tv_nsec = LOCK_STEP_MS * 1000000};

	for (int ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; ms += LOCK_STEP_MS) {
		if (errno != EWOULDBLOCK || ms >= LOCK_MS)
			return -1;
		nanosleep(&step, NULL);
	}
	return 0;
}

int process_reap(pid_t pid, siginfo_t *si, uint64_t *peak_kib)
{
	struct rusage used = {0};
	long r;

	si->si_pid = 0;
	/* libc's waitid() does not tell of resources. */
	r = syscall(SYS_waitid, P_PID, pid, si, WEXITED | WNOHANG, &used);
	*peak_kib = r == 0 && si->si_pid ? (uint64_t)used.ru_maxrss : 0;
	return (int)r;
}
