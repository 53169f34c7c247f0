/* SPDX-License-Identifier: MIT */
/*
 * gpu-trace --out FILE [--seal no_new_privs|none] -- COMMAND [ARGUMENT...]
 * gpu-trace --summary FILE
 *
 * FILE: {"format": 1, "command", "ended": "running" | "exit N" | "signal N" | "told to stop",
 * "interface": "syscall_info" | "registers", "seal", "seconds", "seals", "processes", "threads",
 * "threads_not_followed", "before": PHASE, "after": PHASE}. A PHASE has the lists "calls", "files",
 * "ioctls", "maps" and "details"; each row has "call", "count", "errors": {NAME: count} where there
 * were any, and what table.c's row_json says. What is too much for a list is its row "other". A
 * process is in the second phase from its own seal, or its parent's, on.
 *
 * COMMAND runs in this very process, whose pid another process may know, with all of its files as
 * they are: the tracer is a grandchild, in a session of its own, that shares no file with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <libgen.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/trace/trace.h"

#define MOST_FILES 65535
#define FAILED     125 /* to trace; 126 and 127: to run the command, as shells say */

static int fail(const char *what, int err)
{
	fprintf(stderr, "gpu-trace: %s: %s\n", what, strerror(err));
	return FAILED;
}

static void close_files(int first, int last)
{
	if (close_range((unsigned int)first, (unsigned int)last, 0) == 0)
		return;
	for (int fd = first; fd <= last; fd++) /* a kernel without that call */
		close(fd);
}

/* Nothing of the command's stays open in the tracer: it may wait for the other end to hang up. */
static void leave_files(int *sock, int *folder)
{
	int kept[2], null;

	kept[0] = fcntl(*sock, F_DUPFD_CLOEXEC, 10);
	kept[1] = fcntl(*folder, F_DUPFD_CLOEXEC, 10);
	close_files(0, 9);
	null = open("/dev/null", O_RDWR); /* 0; 1 and 2 may be written to by libraries */
	dup2(null, 1);
	dup2(null, 2);
	dup2(kept[0], 3);
	dup2(kept[1], 4);
	close_files(5, MOST_FILES);
	*sock = 3;
	*folder = 4;
}

/* The tracer's life, from when it knows the command's process. */
static void trace(struct follow *f, int sock)
{
	pid_t self = getpid();
	int err;

	setsid();
	leave_files(&sock, &f->folder);
	signal(SIGPIPE, SIG_IGN);
	if (send(sock, &self, sizeof(self), 0) < 0 || recv(sock, &err, sizeof(err), 0) <= 0)
		return;
	err = follow_attach(f);
	if (send(sock, &err, sizeof(err), 0) < 0 || err)
		return;
	close(sock);
	follow_run();
}

/* Whole, also where a tracer's stop interrupts it. */
static bool hear(int sock, void *what, size_t len)
{
	ssize_t n;

	do {
		n = recv(sock, what, len, 0);
	} while (n < 0 && errno == EINTR);
	return n == (ssize_t)len;
}

/* Start the tracer and wait until it has attached; 0 or an exit status. */
static int start_tracer(struct follow *f)
{
	int pair[2], err = 0;
	pid_t child, tracer;

	f->pid = getpid();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return fail("no socket", errno);
	child = fork();
	if (child < 0)
		return fail("no process", errno);
	if (!child) {
		close(pair[0]);
		if (!fork())
			trace(f, pair[1]);
		_exit(0);
	}
	close(pair[1]);
	waitpid(child, NULL, 0);
	if (!hear(pair[0], &tracer, sizeof(tracer)))
		return fail("no tracer", ECHILD);
	/* Where only ancestors may trace; an error where there is no such rule. */
	prctl(PR_SET_PTRACER, tracer, 0, 0, 0);
	if (send(pair[0], &err, sizeof(err), 0) < 0 || !hear(pair[0], &err, sizeof(err)))
		return fail("the tracer is gone", ECHILD);
	close(pair[0]);
	return err ? fail("cannot trace", -err) : 0;
}

static int run(struct follow *f, char *out, char **command)
{
	char *copy = strdup(out);
	int status;

	if (!copy)
		return fail(out, ENOMEM);
	f->folder = open(dirname(copy), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (f->folder < 0)
		return fail(out, errno);
	f->out = basename(out);
	f->command = command[0];
	status = start_tracer(f);
	close(f->folder);
	free(copy);
	if (status)
		return status;
	execvp(command[0], command);
	fail(command[0], errno);
	return errno == ENOENT ? 127 : 126;
}

static int usage(void)
{
	fprintf(stderr, "usage: gpu-trace --out FILE [--seal no_new_privs|none] [--registers] -- "
			"COMMAND [ARGUMENT...]\n"
			"       gpu-trace --summary FILE\n");
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"out", required_argument, NULL, 'o'},
						{"seal", required_argument, NULL, 's'},
						{"summary", required_argument, NULL, 'y'},
						{"registers", no_argument, NULL, 'r'},
						{}};
	struct follow f = {.seal = "no_new_privs"};
	const char *summary = NULL;
	char *out = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (c == 'o')
			out = optarg;
		else if (c == 's')
			f.seal = optarg;
		else if (c == 'y')
			summary = optarg;
		else if (c == 'r')
			f.registers = true;
		else
			return usage();
	}
	if (strcmp(f.seal, "no_new_privs") && strcmp(f.seal, "none"))
		return usage();
	if (summary)
		return summary_print(summary);
	if (!out || optind == argc)
		return usage();
	return run(&f, out, argv + optind);
}
