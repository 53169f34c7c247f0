/* SPDX-License-Identifier: MIT */
/*
 * gpu-trace-target FILE STATUS|signal: a known number of calls of each kind, before and after a
 * seal, for the tracer's test. Everything that it counts is made here once, by name.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 5
#define NOBODYS _IOWR('P', 7, char[24])

static void open_times(const char *path, int flags, int n)
{
	for (int i = 0; i < n; i++) {
		int fd = open(path, flags);

		if (fd >= 0)
			close(fd);
	}
}

static void *in_thread(void *arg)
{
	open_times("/dev/full", O_WRONLY, 2);
	return NULL;
}

static void start_threads(void)
{
	pthread_t t[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&t[i], NULL, in_thread, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
}

static void in_child(const char *path, int flags, int n)
{
	pid_t pid = fork();

	if (!pid) {
		open_times(path, flags, n);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void connect_nowhere(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		abort();
	close(fd);
}

static void before(const char *file)
{
	char nothing[24] = "";
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC), memory;

	open_times("/dev/null", O_RDWR, 3);
	open_times(file, O_RDONLY, 2);
	open_times("/usr/lib/../lib/pvgpu-is-not-here", O_RDONLY, 4);
	open_times("/etc/0123abcd-4567-89ab-cdef-0123456789ab", O_RDONLY, 1);
	open_times("/dev/\xc3\n\xff", O_RDONLY, 2);
	for (int i = 0; i < 6; i++)
		ioctl(zero, NOBODYS, nothing);
	mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE, zero, 0);
	mmap(NULL, 3 << 20, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	close(zero);
	memory = memfd_create("a name", MFD_CLOEXEC);
	mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	start_threads();
	in_child("/dev/random", O_RDONLY, 3);
	connect_nowhere("/run/pvgpu-is-not-here");
	raise(SIGUSR1);
}

static void after(const char *file)
{
	open_times("/dev/urandom", O_RDONLY, 7);
	in_child(file, O_WRONLY, 1);
	getppid();
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	signal(SIGUSR1, SIG_IGN);
	printf("%d %d\n", getpid(), fcntl(6, F_GETFD) >= 0);
	fflush(stdout);
	before(argv[1]);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return 3;
	after(argv[1]);
	if (!strcmp(argv[2], "signal"))
		kill(getpid(), SIGKILL);
	if (!strcmp(argv[2], "wait"))
		pause();
	return atoi(argv[2]);
}
