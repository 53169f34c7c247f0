/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a pvgpud on a kernel without pidfds, which gVisor's can be: pidfd_open and
 * pidfd_send_signal made of what there is. A "pidfd" is the reading end of a pipe, into which a
 * thread writes when the process has ended. So it can be polled, duplicated and sent to others, and
 * is known by its inode; a process that was sent one gets no event once this process has ended.
 * Hosts that serve guests have pidfds and do not need this.
 *
 * GPU_COMPAT_PIDFD=1: as if the kernel knew of no pidfds, for tests.
 *
 * A child is waited for. Any other process is looked at every PERIOD_MS; what ends and has its
 * number given to another one meanwhile is told apart by the time of its start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

#define EXPORT    __attribute__((visibility("default")))
#define PERIOD_MS 20
#define STACK     (256u << 10)

struct process {
	struct process *next;
	pid_t pid;
	unsigned long long started; /* in the kernel's ticks */
	bool child, dead;
	int write_end;
	dev_t dev; /* of the pipe */
	ino_t ino;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct process *all;

/* State and time of its start; false: there is no such process. */
static bool look(pid_t pid, char *state, unsigned long long *started)
{
	char path[32], text[1024], *s;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return false;
	text[n] = '\0';
	s = strrchr(text, ')'); /* its name may hold anything */
	/* Behind the state the fields 4 to 21, then the start. */
	return s && sscanf(s + 1,
			   " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
			   "%*s %*s %llu",
			   state, started) == 2;
}

static bool lives(const struct process *p)
{
	unsigned long long started;
	char state;

	return look(p->pid, &state, &started) && started == p->started && state != 'Z' &&
	       state != 'X';
}

/* Does any process still have the reading end? Waits until none has. */
static bool wanted(const struct process *p, int ms)
{
	struct pollfd f = {.fd = p->write_end};

	return poll(&f, 1, ms) <= 0 || !(f.revents & POLLERR);
}

static void forget(struct process *p)
{
	struct process **at = &all;

	pthread_mutex_lock(&lock);
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	pthread_mutex_unlock(&lock);
	close(p->write_end);
	free(p);
}

static void *watch(void *arg)
{
	struct process *p = arg;
	siginfo_t si;

	if (p->child) {
		/* Its parent will reap it, and may have done so. */
		while (syscall(SYS_waitid, P_PID, p->pid, &si, WEXITED | WNOWAIT, NULL) < 0 &&
		       errno == EINTR)
			;
	} else {
		while (lives(p) && wanted(p, PERIOD_MS))
			;
	}
	pthread_mutex_lock(&lock);
	p->dead = true;
	pthread_mutex_unlock(&lock);
	if (write(p->write_end, "", 1) < 0) {
		/* No process waits for it any more. */
	}
	while (wanted(p, 1000))
		;
	forget(p);
	return NULL;
}

/* A thread of which the program knows nothing: no signal is for it. 0 or an errno. */
static int start(struct process *p)
{
	pthread_attr_t attr;
	sigset_t every, old;
	pthread_t t;
	int err;

	sigfillset(&every);
	pthread_sigmask(SIG_SETMASK, &every, &old);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, STACK);
	err = pthread_create(&t, &attr, watch, p);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return err;
}

/* Reading ends are open for writing, too: the end of this process is no hang-up. 0 or an errno. */
static int make_pipe(int *read_end, int *write_end, struct stat *st)
{
	int pipes[2], err = 0;
	char path[32];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", pipes[0]);
	*read_end = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (*read_end < 0 || fstat(*read_end, st) < 0)
		err = errno;
	close(pipes[0]);
	*write_end = pipes[1];
	if (!err)
		return 0;
	if (*read_end >= 0)
		close(*read_end);
	close(*write_end);
	return err;
}

/* 0 or an errno. */
static int watch_it(struct process *p)
{
	siginfo_t si;
	char state;
	int err;

	p->child = syscall(SYS_waitid, P_PID, p->pid, &si, WEXITED | WNOHANG | WNOWAIT, NULL) == 0;
	if (!look(p->pid, &state, &p->started))
		return ESRCH;
	pthread_mutex_lock(&lock);
	err = start(p);
	if (!err) {
		p->next = all;
		all = p;
	}
	pthread_mutex_unlock(&lock);
	return err;
}

static int emulate(pid_t pid)
{
	struct process *p = calloc(1, sizeof(*p));
	struct stat st;
	int fd = -1, err;

	if (!p)
		return -1;
	p->pid = pid;
	err = make_pipe(&fd, &p->write_end, &st);
	if (err)
		goto out_free;
	p->dev = st.st_dev;
	p->ino = st.st_ino;
	err = watch_it(p);
	if (!err)
		return fd;
	close(fd);
	close(p->write_end);
out_free:
	free(p);
	errno = err;
	return -1;
}

static bool forced(void)
{
	const char *s = getenv("GPU_COMPAT_PIDFD");

	return s && !strcmp(s, "1");
}

EXPORT int pidfd_open(pid_t pid, unsigned int flags)
{
	int fd = -1;

	if (pid <= 0 || flags) {
		errno = EINVAL;
		return -1;
	}
	errno = ENOSYS;
	if (!forced())
		fd = (int)syscall(SYS_pidfd_open, pid, flags);
	return fd < 0 && errno == ENOSYS ? emulate(pid) : fd;
}

/* The state behind a pidfd of ours: 0, with a copy; -1: it is the kernel's. */
static int find(int fd, struct process *out)
{
	const struct process *p;
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISFIFO(st.st_mode))
		return -1;
	pthread_mutex_lock(&lock);
	for (p = all; p && (p->dev != st.st_dev || p->ino != st.st_ino); p = p->next)
		;
	if (p)
		*out = *p;
	pthread_mutex_unlock(&lock);
	return p ? 0 : -1;
}

EXPORT int pidfd_send_signal(int fd, int sig, siginfo_t *info, unsigned int flags)
{
	struct process p;

	if (find(fd, &p) < 0)
		return (int)syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
	if (info || flags) {
		errno = EINVAL;
		return -1;
	}
	/* A child's number is its own until it is reaped. */
	if (p.dead || !lives(&p)) {
		errno = ESRCH;
		return -1;
	}
	return kill(p.pid, sig);
}

/* The other way to a pidfd. */
EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level == SOL_SOCKET && name == SO_PEERPIDFD && forced()) {
		errno = ENOPROTOOPT;
		return -1;
	}
	return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}
