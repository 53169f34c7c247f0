/* SPDX-License-Identifier: MIT */
/* The test's program again, as another process on the GPU: with a role as argument, and lines on
 * its standard output. */
#ifndef PVGPU_TEST_SIMCUDA_CHILD_H
#define PVGPU_TEST_SIMCUDA_CHILD_H

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;
static const char *self;

struct child {
	pid_t pid;
	int out; /* its standard output */
};

static struct child spawn(const char *role, const char *arg)
{
	char *argv[] = {(char *)self, (char *)role, (char *)arg, NULL};
	posix_spawn_file_actions_t fa;
	struct child c;
	int fd[2], err;

	ck_assert_int_eq(pipe2(fd, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, fd[1], 1);
	err = posix_spawn(&c.pid, self, &fa, NULL, argv, environ);
	ck_assert_int_eq(err, 0);
	posix_spawn_file_actions_destroy(&fa);
	close(fd[1]);
	c.out = fd[0];
	return c;
}

static void hear(struct child *c, char line[64])
{
	size_t n = 0;

	while (n < 63 && read(c->out, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = 0;
}

static void wait_for(struct child *c, const char *word)
{
	char line[64];

	hear(c, line);
	ck_assert_str_eq(line, word);
}

static int finish(struct child *c)
{
	int status;

	close(c->out);
	ck_assert_int_eq(waitpid(c->pid, &status, 0), c->pid);
	return status;
}

static void stop(struct child *c, int sig)
{
	kill(c->pid, sig);
	ck_assert(WIFSIGNALED(finish(c)));
}

#endif
