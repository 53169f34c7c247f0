/* SPDX-License-Identifier: MIT */
/* pvgpuctl gpu drain, admit and reset: takes a GPU out of use for its repair or its driver's
 * update, and back into use after a test; the three in one with a reset between them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"

#define STEP_MS 100

static const char out[] = "unhealthy"; /* how the health of a GPU out of use begins */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The vGPUs of the pool that have a session. */
static void say_who(const char *pool)
{
	int status = EXIT_DONE;
	json_t *answer, *vgpus = local_ask_tree("/vgpu", &answer, &status), *v;
	const size_t n = strlen(pool);
	const char *name, *in;

	json_object_foreach(vgpus, name, v)
	{
		const bool one = !strcmp(local_text(v, "sessions"), "1");

		in = local_text(v, "pool");
		if (strncmp(in, pool, n) != 0 || (in[n] && in[n] != '/') ||
		    !strcmp(local_text(v, "sessions"), "0"))
			continue;
		fprintf(stderr, "pvgpuctl: vGPU %s has %s session%s; pvgpuctl sessions shows %s\n",
			name, local_text(v, "sessions"), one ? "" : "s", one ? "it" : "them");
	}
	json_decref(answer);
}

/* Waits until a key of the pool has a value; "": until it is not empty. */
static int await(const char *pool, const char *key, const char *value)
{
	const double end = now() + ctl.limit_s;
	char path[128];

	snprintf(path, sizeof(path), "/pool/%.60s", pool);
	for (;;) {
		int status = EXIT_DONE;
		json_t *answer, *p = local_ask_tree(path, &answer, &status);
		const bool done = p && !strcmp(local_text(p, key), value);

		json_decref(answer);
		if (!p)
			return status;
		if (done)
			return EXIT_DONE;
		if (now() >= end)
			return EXIT_TIMEOUT;
		local_pause(STEP_MS);
	}
}

static int write_health(const char *pool, const char *value)
{
	char path[128];
	int status = EXIT_DONE;

	snprintf(path, sizeof(path), "/pool/%.60s/health", pool);
	json_decref(
		local_ask(json_pack("{s:s, s:s, s:s}", "op", "write", "path", path, "value", value),
			  &status));
	return status;
}

static int drain(const char *pool, bool quiet)
{
	int status = write_health(pool, "drain");

	if (!status)
		status = await(pool, "sessions", "0");
	if (status == EXIT_TIMEOUT) {
		say_who(pool);
		return ctl_fail(EXIT_TIMEOUT,
				"GPU %s takes no new session, and has some after %g s: wait for "
				"them, or end them with pvgpuctl kill",
				pool, ctl.limit_s);
	}
	if (!status && !quiet)
		printf("GPU %s has no session and takes none, until pvgpuctl gpu admit %s\n", pool,
		       pool);
	return status;
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

/* A GPU that was not taken out of use is not tested. */
static int in_use(const char *pool, const char *health, bool quiet)
{
	if (strcmp(health, "ok") != 0)
		return ctl_fail(EXIT_REFUSED,
				"GPU %s is not drained, there is nothing to admit: %s", pool,
				health);
	if (!quiet)
		printf("GPU %s is in use already; pvgpuctl doctor --test runs its test kernel\n",
		       pool);
	return EXIT_DONE;
}

/* Is there a verdict of tests since their count was `before`? A wrong answer is followed by another
 * try. */
static bool judged(json_t *p, const char *before)
{
	return strcmp(before, local_text(p, "canaries")) != 0 &&
	       (begins(local_text(p, "test"), "right") || begins(local_text(p, "health"), out));
}

static int admit(const char *pool, bool quiet)
{
	char path[128], before[32], health[200];
	int status = EXIT_DONE;
	json_t *answer, *p;
	double end = now() + ctl.limit_s;
	bool done = false;

	snprintf(path, sizeof(path), "/pool/%.60s", pool);
	p = local_ask_tree(path, &answer, &status);
	if (!p)
		return status;
	snprintf(before, sizeof(before), "%s", local_text(p, "canaries"));
	snprintf(health, sizeof(health), "%s", local_text(p, "health"));
	json_decref(answer);
	if (!begins(health, out))
		return in_use(pool, health, quiet);
	status = write_health(pool, "ok");
	while (!status && !done) {
		p = local_ask_tree(path, &answer, &status);
		if (!p)
			return status;
		done = judged(p, before);
		snprintf(health, sizeof(health), "%s", local_text(p, "health"));
		json_decref(answer);
		if (!done && now() >= end)
			return ctl_fail(EXIT_TIMEOUT,
					"GPU %s is admitted; the kernel that tests it has not "
					"given the right answer after %g s: pvgpuctl pools shows "
					"its health",
					pool, ctl.limit_s);
		if (!done)
			local_pause(STEP_MS);
	}
	if (status)
		return status;
	if (begins(health, out))
		return ctl_fail(EXIT_REFUSED, "GPU %s: %s", pool, health);
	if (!quiet)
		printf("GPU %s is in use again: its test kernel gave the right answer\n", pool);
	return EXIT_DONE;
}

/* pvgpud limits the reset's time, and the test's. */
static int await_reset(const char *pool)
{
	static const char running[] = "running";
	char path[128], said[300];
	bool runs = true;

	snprintf(path, sizeof(path), "/pool/%.60s", pool);
	while (runs) {
		int status = EXIT_DONE;
		json_t *answer, *p = local_ask_tree(path, &answer, &status);

		if (!p)
			return status;
		snprintf(said, sizeof(said), "%s", local_text(p, "reset"));
		json_decref(answer);
		runs = !strncmp(said, running, strlen(running));
		if (runs)
			local_pause(STEP_MS);
	}
	return strcmp(said, "done") == 0
		       ? EXIT_DONE
		       : ctl_fail(EXIT_REFUSED, "GPU %s stays drained: its reset %s", pool,
				  said[0] ? said : "was forgotten: pvgpud was started again");
}

static int reset(const char *pool, bool quiet)
{
	int status = drain(pool, true);

	if (!status) {
		char path[128];

		snprintf(path, sizeof(path), "/pool/%.60s/reset", pool);
		status = local_write(2, (char *[]){path, (char *)"1", NULL});
	}
	if (!status)
		status = await_reset(pool);
	if (!status && !quiet)
		printf("GPU %s was reset and is in use again: its test kernel gave the right "
		       "answer\n",
		       pool);
	return status;
}

/* How it is now, and whether what was asked for has come about. */
static int print_json(const char *pool, const char *action, int status)
{
	int asked = EXIT_DONE;
	json_t *answer, *p, *o;
	char path[128];

	snprintf(path, sizeof(path), "/pool/%.60s", pool);
	p = local_ask_tree(path, &answer, &asked);
	if (!p)
		return status ? status : asked;
	o = json_pack("{s:s, s:s, s:b, s:s, s:s, s:I}", "pool", pool, "action", action, "done",
		      status == EXIT_DONE, "health", local_text(p, "health"), "reset",
		      local_text(p, "reset"), "sessions",
		      (json_int_t)atoll(local_text(p, "sessions")));
	answer_print(o, false);
	json_decref(answer);
	return status;
}

int local_gpu(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const char *pool, bool quiet);
	} actions[] = {{"drain", drain}, {"admit", admit}, {"reset", reset}};

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++) {
		int status;

		if (strcmp(argv[0], actions[i].name) != 0)
			continue;
		ctl.limit_is_own = true;
		status = actions[i].run(argv[1], ctl.json);
		return ctl.json ? print_json(argv[1], argv[0], status) : status;
	}
	return ctl_fail(EXIT_USAGE, "gpu %s: must be drain, admit or reset", argv[0]);
}
