/* SPDX-License-Identifier: MIT */
#include "tests/hostile/ways_out.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int read_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC);
}

static int make_file(void)
{
	return open("/tmp/pvgpu-was-here", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
}

static int write_file(void)
{
	return open("/dev/null", O_WRONLY | O_CLOEXEC);
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int signal_parent(void)
{
	return kill(getppid(), 0);
}

/* The other end is another file: this harms only itself. */
static int block(void)
{
	return fcntl(STDOUT_FILENO, F_SETFL, 0);
}

static int raise_limit(void)
{
	const struct rlimit r = {1 << 20, 1 << 20};

	return setrlimit(RLIMIT_NOFILE, &r);
}

static int new_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == MAP_FAILED
		       ? -1
		       : 0;
}

static int run_shell(void)
{
	const char *const argv[] = {"sh", "-c", "exit 0", NULL};

	return execve("/bin/sh", (char *const *)(uintptr_t)argv, NULL);
}

static int make_child(void)
{
	return (int)syscall(SYS_fork);
}

static int trace_parent(void)
{
	return (int)ptrace(PTRACE_SEIZE, getppid(), NULL, NULL);
}

static int become_root(void)
{
	return (int)syscall(SYS_setresuid, 0, 0, 0);
}

static const struct {
	const char *how;
	int (*go)(void);
	int ends; /* the process */
} ways[] = {{"read", read_file, 0},     {"make", make_file, 0},       {"write", write_file, 0},
	    {"socket", make_socket, 0}, {"signal", signal_parent, 0}, {"block", block, 0},
	    {"limit", raise_limit, 0},  {"code", new_code, 0},        {"exec", run_shell, 1},
	    {"fork", make_child, 1},    {"ptrace", trace_parent, 1},  {"root", become_root, 1}};

void ways_out_try(void)
{
	const char *one = getenv("PVGPU_ESCAPE");

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		if (one ? strcmp(ways[i].how, one) != 0 : ways[i].ends)
			continue;
		fprintf(stderr, "escape %s: begins\n", ways[i].how);
		errno = 0;
		fprintf(stderr, "escape %s: %d\n", ways[i].how, ways[i].go() < 0 ? errno : 0);
	}
}
