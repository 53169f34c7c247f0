/* SPDX-License-Identifier: MIT */
/* Another process of the same step. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/probe/core.h"

extern char **environ;

static size_t name_len(const char *pair)
{
	return strcspn(pair, "=");
}

static bool replaced(const char *pair, const char *const *by)
{
	for (; by && *by; by++)
		if (name_len(*by) == name_len(pair) && !strncmp(*by, pair, name_len(pair)))
			return true;
	return false;
}

/* Our environment with some pairs replaced or added; the strings are borrowed. */
static const char **make_env(const char *const *with)
{
	size_t n = 1, m = 0;
	const char **env;

	for (char **e = environ; *e; e++)
		n++;
	for (size_t i = 0; with && with[i]; i++)
		n++;
	env = calloc(n, sizeof(*env));
	if (!env)
		return NULL;
	for (char **e = environ; *e; e++)
		if (!replaced(*e, with))
			env[m++] = *e;
	for (; with && *with; with++)
		env[m++] = *with;
	return env;
}

/* In a session of its own, with nothing inherited that pvgpud would not have left. */
static void like_worker(posix_spawnattr_t *attr)
{
	sigset_t set;

	sigfillset(&set);
	posix_spawnattr_setsigdefault(attr, &set);
	sigemptyset(&set);
	posix_spawnattr_setsigmask(attr, &set);
	posix_spawnattr_setflags(attr, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF |
					       POSIX_SPAWN_SETSIGMASK);
}

static int spawn(struct role *r, const char *role, const char *const *env, int alive, int in)
{
	const char **all = r->worker ? NULL : make_env(env);
	const char *argv[CHILD_ARGS];
	posix_spawn_file_actions_t fa;
	posix_spawnattr_t attr;
	int err;

	if (!all && !r->worker)
		return ENOMEM;
	child_args(argv, NULL, role, r->prefix);
	posix_spawn_file_actions_init(&fa);
	posix_spawn_file_actions_adddup2(&fa, in, 0);
	posix_spawn_file_actions_adddup2(&fa, alive, ALIVE_FD);
	posix_spawn_file_actions_addclosefrom_np(&fa, ALIVE_FD + 1);
	posix_spawnattr_init(&attr);
	if (r->worker)
		like_worker(&attr);
	err = posix_spawn(&r->pid, "/proc/self/exe", &fa, &attr, (char *const *)(uintptr_t)argv,
			  (char *const *)(uintptr_t)(all ? all : env));
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&fa);
	free(all);
	return err;
}

static bool start(struct role *r, const char *role, const char *prefix, const char *const *env,
		  bool worker)
{
	int alive[2] = {-1, -1}, in[2] = {-1, -1};
	int err;

	*r = (struct role){.pid = -1, .alive = -1, .in = -1, .worker = worker};
	snprintf(r->prefix, sizeof(r->prefix), "%s", prefix);
	err = pipe2(alive, O_CLOEXEC) < 0 || pipe2(in, O_CLOEXEC) < 0 ? errno : 0;
	if (!err)
		err = spawn(r, role, env, alive[1], in[0]);
	if (alive[1] >= 0)
		close(alive[1]);
	if (in[0] >= 0)
		close(in[0]);
	r->alive = alive[0];
	r->in = in[1];
	if (!err)
		return true;
	say_text("role_error", "no process for %s: %s", role, strerror(err));
	role_kill(r);
	return false;
}

bool role_start(struct role *r, const char *role, const char *prefix, const char *const *env)
{
	return start(r, role, prefix, env, false);
}

bool role_start_worker(struct role *r, const char *role, const char *prefix, const char *const *env)
{
	return start(r, role, prefix, env, true);
}

static int reap(struct role *r)
{
	int status = 0;

	while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
		;
	r->pid = -1;
	close(r->alive);
	return status;
}

static void hang_up(struct role *r)
{
	if (r->in >= 0)
		close(r->in);
	r->in = -1;
}

void role_kill(struct role *r)
{
	hang_up(r);
	if (r->pid > 0) {
		kill(r->pid, SIGKILL);
		reap(r);
	}
}

static void say_end(const struct role *r, const char *what, int value)
{
	char key[64];

	snprintf(key, sizeof(key), "%s%s", r->prefix, what);
	say_int(key, value);
}

/* Of its limit a step keeps a quarter for what comes after a role that hangs. */
static uint64_t end_of(unsigned int limit_ms)
{
	const uint64_t now = now_ns(), end = now + limit_ms * 1000000ull;
	const uint64_t left = step_end() > now ? step_end() - now : 0;

	return end < now + left / 4 * 3 ? end : now + left / 4 * 3;
}

/* A byte of the role's: 1; its end: 0; neither until then: -1. */
static int heard(struct role *r, uint64_t end)
{
	struct pollfd p = {.fd = r->alive, .events = POLLIN};
	char byte;
	int n;

	do {
		const uint64_t now = now_ns();

		n = poll(&p, 1, now < end ? (int)((end - now + 999999) / 1000000) : 0);
	} while (n < 0 && errno == EINTR);
	return n > 0 ? read(r->alive, &byte, 1) > 0 : -1;
}

void role_ready(void)
{
	if (write(ALIVE_FD, "", 1) < 0)
		_exit(1); /* the parent no longer waits */
}

bool role_pause(void)
{
	char byte;

	role_ready();
	return read(STDIN_FILENO, &byte, 1) == 1;
}

void role_go_on(struct role *r)
{
	if (write(r->in, "", 1) < 0)
		hang_up(r); /* it is gone, as role_await will find */
}

bool role_await(struct role *r, unsigned int limit_ms)
{
	return heard(r, end_of(limit_ms)) > 0;
}

static void say_where(const struct role *r)
{
	char key[64];

	snprintf(key, sizeof(key), "%slast_call", r->prefix);
	say_text(key, "%s", said_note());
}

bool role_wait(struct role *r, unsigned int limit_ms)
{
	const uint64_t end = end_of(limit_ms);
	int is, status;

	hang_up(r);
	while ((is = heard(r, end)) > 0)
		;
	if (is < 0)
		kill(r->pid, SIGKILL);
	status = reap(r);
	if (is < 0 || WIFSIGNALED(status))
		say_where(r);
	if (is < 0)
		say_end(r, "timeout", 1);
	else if (WIFSIGNALED(status))
		say_end(r, "signal", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		say_end(r, "exit", WEXITSTATUS(status));
	return !is && WIFEXITED(status) && !WEXITSTATUS(status);
}

bool role_run(const char *role, const char *prefix, const char *const *env, unsigned int limit_ms)
{
	struct role r;

	return role_start(&r, role, prefix, env) && role_wait(&r, limit_ms);
}
