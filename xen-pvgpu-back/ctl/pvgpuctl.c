/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl: reads and writes pvgpud's keys. It knows nothing of pvgpud but its admin socket.
 *
 * Exit status: 0 done; 1 pvgpud refused, or a wait timed out; 2 wrong use; 3 pvgpud is not there.
 */
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/check.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define DEFAULT_RUN_DIR "/run/pvgpu"
#define WAIT_STEP_MS    20
#define ANSWER_S        10

enum { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_DAEMON };

static const char *run_dir = DEFAULT_RUN_DIR;
static bool as_json;
static double limit_s = 30;

static int fail(int status, const char *fmt, const char *what)
	__attribute__((format(printf, 2, 0)));
static int fail(int status, const char *fmt, const char *what)
{
	fputs("pvgpuctl: ", stderr);
	fprintf(stderr, fmt, what);
	fputc('\n', stderr);
	return status;
}

/* ---- asking ---- */

static FILE *reach(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = ANSWER_S};
	int fd;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/admin.sock", run_dir) >=
	    (int)sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return NULL;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		int err = errno;

		close(fd);
		errno = err;
		return NULL;
	}
	return fdopen(fd, "r+");
}

/* The answer to a request, which is consumed; NULL: said why on stderr, and *status. */
static json_t *ask(json_t *req, int *status)
{
	FILE *f = reach();
	char *text = json_dumps(req, JSON_COMPACT), *line = NULL;
	json_t *answer = NULL;
	size_t cap = 0;

	json_decref(req);
	if (!f) {
		fprintf(stderr,
			"pvgpuctl: %s/admin.sock: %s; is pvgpud running there? --run-dir names "
			"another place\n",
			run_dir, strerror(errno));
		*status = EXIT_NO_DAEMON;
	} else if (!text || fprintf(f, "%s\n", text) < 0 || fflush(f) ||
		   getline(&line, &cap, f) < 0) {
		*status = fail(EXIT_NO_DAEMON, "%s: no answer from pvgpud", run_dir);
	} else {
		answer = json_loads(line, 0, NULL);
		if (!json_is_object(answer))
			*status = fail(EXIT_NO_DAEMON, "not an answer: %.100s", line);
	}
	if (answer && !json_is_true(json_object_get(answer, "ok"))) {
		const char *why = json_string_value(json_object_get(answer, "reason"));

		*status = fail(EXIT_REFUSED, "%s", why ? why : "refused");
		json_decref(answer);
		answer = NULL;
	}
	if (f)
		fclose(f);
	free(text);
	free(line);
	return answer;
}

static json_t *ask_tree(const char *path, json_t **answer, int *status)
{
	*answer = ask(json_pack("{s:s, s:s}", "op", "tree", "path", path), status);
	return *answer ? json_object_get(*answer, "tree") : NULL;
}

/* ---- showing ---- */

static const char *text_of(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_mib(json_t *o, const char *key)
{
	printf(" %10llu", strtoull(text_of(o, key), NULL, 10) >> 20);
}

static void print_json(json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(1));
	putchar('\n');
}

static void print_tree(json_t *o, const char *path)
{
	json_t *child;
	const char *key;

	if (json_is_string(o))
		printf("%s = %s\n", path, json_string_value(o));
	json_object_foreach(o, key, child)
	{
		char deeper[512];

		snprintf(deeper, sizeof(deeper), "%s/%s", path, key);
		print_tree(child, deeper);
	}
}

/* ---- subcommands: argc and argv are what follows the name ---- */

static int list_main(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *vgpus = ask_tree("/vgpu", &answer, &status), *v;
	const char *name;

	if (!vgpus)
		return status;
	if (as_json) {
		print_json(vgpus);
	} else {
		printf("%-24s %10s %10s %8s %8s %8s %s\n", "vGPU", "memory MiB", "used MiB",
		       "sessions", "total", "failed", "state");
		json_object_foreach(vgpus, name, v)
		{
			printf("%-24s", name);
			print_mib(v, "memory");
			print_mib(v, "memory-used");
			printf(" %8s %8s %8s %s\n", text_of(v, "sessions"),
			       text_of(v, "sessions-total"), text_of(v, "sessions-failed"),
			       strcmp(text_of(v, "drain"), "1") ? "open" : "draining");
		}
	}
	json_decref(answer);
	return status;
}

static int show_main(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *v, *sessions, *s, *value;
	const char *key;
	char path[128];

	snprintf(path, sizeof(path), "/vgpu/%.60s", argv[0]);
	v = ask_tree(path, &answer, &status);
	if (!v)
		return status;
	if (as_json) {
		print_json(v);
	} else {
		json_object_foreach(v, key, value) if (json_is_string(value))
			printf("%-16s %s\n", key, json_string_value(value));
		sessions = json_object_get(v, "session");
		if (json_object_size(sessions))
			printf("\n%8s %8s %8s %10s %8s %s\n", "session", "guest", "worker",
			       "leased MiB", "age s", "state");
		json_object_foreach(sessions, key, s)
		{
			printf("%8s %8s %8s", key, text_of(s, "guest-pid"), text_of(s, "pid"));
			print_mib(s, "leased");
			printf(" %8s %s\n", text_of(s, "age"), text_of(s, "state"));
		}
	}
	json_decref(answer);
	return status;
}

static int tree_main(int argc, char **argv)
{
	int status = EXIT_DONE;
	const char *path = argc ? argv[0] : "/";
	json_t *answer, *tree = ask_tree(path, &answer, &status);

	if (!tree)
		return status;
	if (as_json)
		print_json(tree);
	else
		print_tree(tree, strcmp(path, "/") ? path : "");
	json_decref(answer);
	return status;
}

static int read_main(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer = ask(json_pack("{s:s, s:s}", "op", "read", "path", argv[0]), &status);

	if (answer)
		puts(text_of(answer, "value"));
	json_decref(answer);
	return status;
}

static int write_main(int argc, char **argv)
{
	int status = EXIT_DONE;

	json_decref(
		ask(json_pack("{s:s, s:s, s:s}", "op", "write", "path", argv[0], "value", argv[1]),
		    &status));
	return status;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int wait_main(int argc, char **argv)
{
	const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000};
	double end = now() + limit_s;
	char last[128] = "";

	for (;;) {
		int status = EXIT_DONE;
		json_t *answer =
			ask(json_pack("{s:s, s:s}", "op", "read", "path", argv[0]), &status);

		if (!answer)
			return status;
		snprintf(last, sizeof(last), "%s", text_of(answer, "value"));
		json_decref(answer);
		if (!strcmp(last, argv[1]))
			return EXIT_DONE;
		if (now() >= end)
			break;
		nanosleep(&step, NULL);
	}
	fprintf(stderr, "pvgpuctl: %s is still '%s' after %g s\n", argv[0], last, limit_s);
	return EXIT_REFUSED;
}

static const struct command {
	const char *name, *args, *what;
	int min, max;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"list", "[--json]", "the vGPUs, with memory and sessions", 0, 0, list_main},
	{"show", "VGPU [--json]", "one vGPU and its sessions", 1, 1, show_main},
	{"tree", "[PATH] [--json]", "all keys below a path", 0, 1, tree_main},
	{"read", "PATH", "the value of a key", 1, 1, read_main},
	{"write", "PATH VALUE", "set a key: /daemon/log-level, /vgpu/NAME/drain", 2, 2, write_main},
	{"wait", "PATH VALUE [--timeout S]", "until a key has a value", 2, 2, wait_main},
	{"check", "FILE", "keys in xenstore, as xenstore-ls -fp shows them, or JSON", 1, 1,
	 check_main},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *f)
{
	fputs("Usage: pvgpuctl [--run-dir DIR] COMMAND [argument]...\n\n", f);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(f, "  %-6s%-26s %s\n", commands[i].name, commands[i].args,
			commands[i].what);
	fprintf(f,
		"\n"
		"  --run-dir DIR   of pvgpud (default %s, or PVGPU_RUN_DIR)\n"
		"  --json          machine-readable output\n"
		"  --timeout S     of wait, in seconds (default 30)\n"
		"  --help, --version\n"
		"\n"
		"Exit status: 0 done, 1 refused, timed out or found wrong, 2 wrong use, 3 no "
		"pvgpud.\n",
		DEFAULT_RUN_DIR);
}

static int run(int argc, char **argv)
{
	if (!argc) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	for (size_t i = 0; i < COMMANDS; i++) {
		const struct command *c = &commands[i];

		if (strcmp(argv[0], c->name) != 0)
			continue;
		if (argc - 1 < c->min || argc - 1 > c->max) {
			fprintf(stderr, "Usage: pvgpuctl %s %s\n", c->name, c->args);
			return EXIT_USAGE;
		}
		return c->run(argc - 1, argv + 1);
	}
	return fail(EXIT_USAGE, "%s: no such command; try pvgpuctl --help", argv[0]);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"run-dir", required_argument, NULL, 'r'}, {"json", no_argument, NULL, 'j'},
		{"timeout", required_argument, NULL, 't'}, {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},       {NULL, 0, NULL, 0}};
	char *end;
	int c;

	if (getenv("PVGPU_RUN_DIR"))
		run_dir = getenv("PVGPU_RUN_DIR");
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (c) {
		case 'r':
			run_dir = optarg;
			break;
		case 'j':
			as_json = true;
			break;
		case 't':
			limit_s = strtod(optarg, &end);
			if (end == optarg || *end || !(limit_s >= 0))
				return fail(EXIT_USAGE, "--timeout %s: must be a number of seconds",
					    optarg);
			break;
		case 'h':
			print_usage(stdout);
			return EXIT_DONE;
		case 'v':
			puts("pvgpuctl " PVGPU_VERSION);
			return EXIT_DONE;
		default:
			return EXIT_USAGE;
		}
	}
	return run(argc - optind, argv + optind);
}
