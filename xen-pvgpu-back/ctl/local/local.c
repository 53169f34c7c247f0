/* SPDX-License-Identifier: MIT */
/* Subcommands that ask pvgpud: this machine's over its admin socket, another domain's by its keys.
 */
#include <errno.h>
#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/xen/ask.h"
#include "xen-pvgpu-back/ctl/core/await.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/local/local.h"

#define WAIT_STEP_MS 20
#define ANSWER_MAX   (64u << 20)
#define KEYS_STEP_MS 500

/* ---- asking ---- */

/* A connection that does not block, or -1 and errno. */
static int reach(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const struct timespec step = {.tv_nsec = WAIT_STEP_MS * 1000000};
	const double end = await_now() + ctl_answer_s();
	int fd, err;

	if (snprintf(a.sun_path, sizeof(a.sun_path), "%s/admin.sock", ctl.run_dir) >=
	    (int)sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	/* EAGAIN: others wait to be accepted, as many as may. */
	while (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		err = errno;
		if (err == EINTR || (err == EAGAIN && await_now() < end)) {
			nanosleep(&step, NULL);
			continue;
		}
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

/* Waits for a socket; false: the time is over. A stop and its end by signals is no reason to give
 * up. */
static bool await_socket(int fd, short events, double end)
{
	struct pollfd p = {.fd = fd, .events = events};

	for (;;) {
		const double left = end - await_now();
		const int n = poll(&p, 1,
				   left > 1e6 ? 1000000000
				   : left > 0 ? (int)(left * 1e3) + 1
					      : 0);

		if (n > 0)
			return true;
		if (n == 0 && left <= 0)
			return false;
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return false;
	}
}

static bool send_line(int fd, const char *text, double end)
{
	for (size_t at = 0, n = strlen(text); at < n;) {
		const ssize_t sent = send(fd, text + at, n - at, MSG_NOSIGNAL);

		if (sent > 0)
			at += (size_t)sent;
		else if (errno == EAGAIN ? !await_socket(fd, POLLOUT, end) : errno != EINTR)
			return false;
	}
	return true;
}

/* The answer's line, allocated; NULL: none, and *late tells whether the time is over. */
static char *receive_line(int fd, double end, bool *late)
{
	char *line = NULL;
	size_t len = 0, cap = 0;

	*late = false;
	for (;;) {
		ssize_t n;

		if (len + 1 >= cap) {
			char *more = cap < ANSWER_MAX ? realloc(line, cap * 2 + 65536) : NULL;

			if (!more)
				break;
			line = more;
			cap = cap * 2 + 65536;
		}
		n = recv(fd, line + len, cap - len - 1, 0);
		if (n > 0) {
			len += (size_t)n;
			line[len] = '\0';
			if (line[len - 1] == '\n')
				return line;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			break;
		} else if (errno == EAGAIN && !await_socket(fd, POLLIN, end)) {
			*late = true;
			break;
		}
	}
	free(line);
	return NULL;
}

int local_route(void)
{
	int status = EXIT_DONE, fd;

	if (ctl.routed)
		return EXIT_DONE;
	if (ctl.spec.backend[0]) {
		if (ctl.local)
			return ctl_fail(EXIT_USAGE, "--backend excludes --local, --run-dir and "
						    "PVGPU_RUN_DIR");
		status = ask_whom(false, &ctl.asked);
		ctl.by_keys = !status;
	} else if (!ctl.local) {
		fd = reach();
		if (fd >= 0)
			close(fd);
		else
			status = ask_whom(true, &ctl.asked);
		ctl.by_keys = fd < 0 && !status;
		if (status == EXIT_NOT_THERE) /* the socket's error says more */
			status = EXIT_DONE;
	}
	ctl.routed = !status;
	return status;
}

void local_pause(unsigned int ms)
{
	const unsigned int n = ctl.by_keys && ms < KEYS_STEP_MS ? KEYS_STEP_MS : ms;
	const struct timespec step = {.tv_sec = n / 1000, .tv_nsec = n % 1000 * 1000000};

	nanosleep(&step, NULL);
}

static json_t *ask_socket(const json_t *req, int *status)
{
	const double end = await_now() + ctl_answer_s();
	char *text = json_dumps(req, JSON_COMPACT), *line = NULL;
	json_t *answer = NULL;
	int fd = reach();
	bool late = false;

	if (fd < 0) {
		*status = ctl_fail(EXIT_NOT_THERE,
				   "%s/admin.sock: %s; is pvgpud running there? --run-dir names "
				   "another place",
				   ctl.run_dir, strerror(errno));
	} else if (!text || !send_line(fd, text, end) || !send_line(fd, "\n", end) ||
		   !(line = receive_line(fd, end, &late))) {
		*status = late ? ctl_fail(EXIT_TIMEOUT,
					  "%s: pvgpud has not answered in %g s: it is busy or "
					  "hangs; --timeout S waits longer",
					  ctl.run_dir, ctl_answer_s())
			       : ctl_fail(EXIT_NOT_THERE, "%s: no answer from pvgpud", ctl.run_dir);
	} else {
		answer = json_loads(line, 0, NULL);
		if (!json_is_object(answer))
			*status = ctl_fail(EXIT_NOT_THERE, "pvgpud's answer is malformed: %.100s",
					   line);
	}
	if (fd >= 0)
		close(fd);
	free(text);
	free(line);
	return answer;
}

static int status_of(const char *error)
{
	return ctl_status(!strcmp(error, "ENOENT")   ? -ENOENT
			  : !strcmp(error, "EINVAL") ? -EINVAL
						     : -EBUSY);
}

/* Sends a request, which is consumed, and returns the answer. NULL: the reason is on stderr, the
 * exit status in *status. */
json_t *local_ask(json_t *req, int *status)
{
	json_t *answer = NULL;

	*status = local_route();
	if (!*status)
		answer = ctl.by_keys ? ask_domain(ctl.asked, req, status) : ask_socket(req, status);
	json_decref(req);
	if (answer && !json_is_true(json_object_get(answer, "ok"))) {
		const char *why = json_string_value(json_object_get(answer, "reason"));

		*status = ctl_fail(status_of(local_text(answer, "error")), "%s",
				   why ? why : "refused");
		json_decref(answer);
		answer = NULL;
	}
	return answer;
}

json_t *local_ask_tree(const char *path, json_t **answer, int *status)
{
	json_t *tree;

	*answer = local_ask(json_pack("{s:s, s:s}", "op", "tree", "path", path), status);
	tree = json_object_get(*answer, "tree");
	if (!*answer || json_is_object(tree) || json_is_string(tree))
		return tree;
	json_decref(*answer);
	*answer = NULL;
	*status = ctl_fail(EXIT_NOT_THERE, "pvgpud's answer has no keys");
	return NULL;
}

/* ---- showing ---- */

const char *local_text(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_mib(json_t *o, const char *key)
{
	printf(" %10llu", strtoull(local_text(o, key), NULL, 10) >> 20);
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

/* On stderr: scripts read the output. */
static void warn_of_overrides(json_t *daemon)
{
	const char *on = local_text(daemon, "test-overrides");

	if (on[0])
		fprintf(stderr,
			"pvgpuctl: warning: pvgpud runs with overrides for tests (%s): guests are "
			"not isolated\n",
			on);
}

const char *local_failure(json_t *tree, json_t *v)
{
	const char *pool = local_text(v, "pool");
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(pool, "/"), pool);
	return local_text(json_object_get(json_object_get(tree, "pool"), name), "failure");
}

static int no_such_vgpu(const char *name)
{
	return ctl_fail(EXIT_NOT_THERE, "%s: no such vGPU; pvgpuctl list shows them", name);
}

/* ---- subcommands: argc and argv are what follows the name ---- */

/* Tells whether the vGPU takes new sessions. */
static void print_state(json_t *v, const char *failure)
{
	if (strcmp(local_text(v, "drain"), "0") != 0)
		puts(strcmp(local_text(v, "drain"), "now") ? "draining" : "ending");
	else if (atoll(local_text(v, "quarantined")) > 0)
		puts("quarantined");
	else if (failure[0])
		printf("no GPU: %s\n", failure);
	else if (local_text(v, "refusing")[0])
		printf("refuses: %s\n", local_text(v, "refusing"));
	else
		puts("open");
}

static void print_vgpu(const char *name, json_t *v, json_t *tree)
{
	printf("%-24s", name);
	print_mib(v, "memory");
	print_mib(v, "memory-used");
	print_mib(v, "memory-parked");
	printf(" %6s %-8s %9s %8s %8s %8s %10.1f ", local_text(v, "weight"),
	       local_text(v, "priority"), local_text(v, "max-share"), local_text(v, "sessions"),
	       local_text(v, "sessions-total"), local_text(v, "sessions-failed"),
	       atof(local_text(v, "gpu-time")) / 1e6);
	print_state(v, local_failure(tree, v));
}

static json_t *ask_statistics(int *status)
{
	return local_ask(json_pack("{s:s}", "op", "statistics"), status);
}

static json_t *statistics_in(json_t *answer)
{
	return json_object_get(answer, "statistics");
}

int local_list(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *tree = local_ask_tree("/", &answer, &status), *vgpus, *v;
	json_t *only = json_object(), *all = json_array(), *said = NULL;
	const char *name;

	vgpus = json_object_get(tree, "vgpu");
	if (tree)
		warn_of_overrides(json_object_get(tree, "daemon"));
	if (tree && argc && json_object_set(only, argv[0], json_object_get(vgpus, argv[0])) < 0)
		status = no_such_vgpu(argv[0]);
	if (argc)
		vgpus = only;
	if (!status && ctl.json)
		said = ask_statistics(&status);
	if (!status && !ctl.json)
		printf("%-24s %10s %10s %10s %6s %-8s %9s %8s %8s %8s %10s %s\n", "vGPU",
		       "memory MiB", "used MiB", "parked MiB", "weight", "priority", "max share",
		       "sessions", "total", "failed", "GPU time s", "state");
	json_object_foreach(status ? NULL : vgpus, name, v)
	{
		if (ctl.json)
			json_array_append_new(all,
					      local_vgpu_json(name, tree, statistics_in(said)));
		else
			print_vgpu(name, v, tree);
	}
	if (!status && ctl.json)
		answer_print_list("vgpus", json_incref(all), false);
	json_decref(all);
	json_decref(said);
	json_decref(only);
	json_decref(answer);
	return status;
}

static void show_text(json_t *v)
{
	json_t *sessions = json_object_get(v, "session"), *s, *value;
	const char *key;

	json_object_foreach(v, key, value) if (json_is_string(value))
		printf("%-16s %s\n", key, json_string_value(value));
	if (json_object_size(sessions))
		printf("\n%8s %8s %8s %10s %8s %s\n", "session", "guest", "worker", "leased MiB",
		       "age s", "state");
	json_object_foreach(sessions, key, s)
	{
		printf("%8s %8s %8s", key, local_text(s, "guest-pid"), local_text(s, "pid"));
		print_mib(s, "leased");
		printf(" %8s %s\n", local_text(s, "age"), local_text(s, "state"));
	}
}

/* A vGPU as in the list, and beside that all of its keys and its sessions. */
static int show_json(const char *name, json_t *tree, json_t *v)
{
	int status = EXIT_DONE;
	json_t *said = ask_statistics(&status), *o, *texts = json_object(), *value;
	const char *key;

	if (!said) {
		json_decref(texts);
		return status;
	}
	json_object_foreach(v, key, value) if (json_is_string(value))
		json_object_set(texts, key, value);
	o = local_vgpu_json(name, tree, statistics_in(said));
	json_object_set_new(o, "keys", json_pack("{s:o}", "pvgpud", texts));
	json_object_set_new(o, "sessions",
			    local_sessions_json(name, json_object_get(v, "session")));
	answer_print_list("vgpus", json_pack("[o]", o), false);
	json_decref(said);
	return status;
}

int local_show(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *tree = local_ask_tree("/", &answer, &status), *v;

	if (!tree)
		return status;
	warn_of_overrides(json_object_get(tree, "daemon"));
	v = json_object_get(json_object_get(tree, "vgpu"), argv[0]);
	if (!v)
		status = no_such_vgpu(argv[0]);
	else if (ctl.json)
		status = show_json(argv[0], tree, v);
	else
		show_text(v);
	json_decref(answer);
	return status;
}

static void print_sessions(const char *vgpu, json_t *v)
{
	const char *id, *text;
	json_t *s;

	json_object_foreach(json_object_get(v, "session"), id, s)
	{
		text = local_text(s, "guest-session");
		printf("%-24s %8s %10s %8s", vgpu, id, text[0] ? text : local_text(s, "guest-pid"),
		       local_text(s, "pid"));
		print_mib(s, "leased");
		printf(" %8s %s\n", local_text(s, "age"), local_text(s, "state"));
	}
}

int local_sessions(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *vgpus = local_ask_tree("/vgpu", &answer, &status), *v, *all = json_array(),
			*some;
	const char *name;

	if (vgpus && argc && !json_object_get(vgpus, argv[0]))
		status = no_such_vgpu(argv[0]);
	if (vgpus && !status && !ctl.json)
		printf("%-24s %8s %10s %8s %10s %8s %s\n", "vGPU", "session", "guest", "worker",
		       "leased MiB", "age s", "state");
	json_object_foreach(status ? NULL : vgpus, name, v)
	{
		if (argc && strcmp(name, argv[0]) != 0)
			continue;
		if (ctl.json) {
			some = local_sessions_json(name, json_object_get(v, "session"));
			json_array_extend(all, some);
			json_decref(some);
		} else {
			print_sessions(name, v);
		}
	}
	if (ctl.json && !status)
		answer_print_list("sessions", json_incref(all), false);
	json_decref(all);
	json_decref(answer);
	return status;
}

int local_kill(int argc, char **argv)
{
	char path[160];

	snprintf(path, sizeof(path), "/vgpu/%.60s/session/%.20s/kill", argv[0], argv[1]);
	return local_write(2, (char *[]){path, (char *)"1", NULL});
}

int local_pools(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer, *pools = local_ask_tree("/pool", &answer, &status), *p;
	const char *name;

	if (!pools)
		return status;
	if (ctl.json) {
		json_t *all = json_array();

		json_object_foreach(pools, name, p)
			json_array_append_new(all, local_gpu_json(name, p));
		answer_print_list("gpus", all, false);
	} else {
		printf("%-16s %-11s %-9s %6s %10s %10s %6s %8s %s\n", "pool", "policy", "mode",
		       "load %", "memory MiB", "free MiB", "vGPUs", "sessions", "health");
		json_object_foreach(pools, name, p)
		{
			printf("%-16s %-11s %-9s %6.1f", name, local_text(p, "policy"),
			       local_text(p, "mode"), atof(local_text(p, "load")) / 1e4);
			print_mib(p, "gpu-memory");
			print_mib(p, "gpu-memory-free");
			printf(" %6s %8s %s\n", local_text(p, "vgpus"), local_text(p, "sessions"),
			       local_text(p, "health"));
		}
	}
	json_decref(answer);
	return status;
}

int local_tree(int argc, char **argv)
{
	int status = EXIT_DONE;
	const char *path = argc ? argv[0] : "/";
	json_t *answer, *tree = local_ask_tree(path, &answer, &status);

	if (!tree)
		return status;
	if (ctl.json)
		answer_print(json_pack("{s:s, s:O}", "path", path, "tree", tree), false);
	else
		print_tree(tree, strcmp(path, "/") ? path : "");
	json_decref(answer);
	return status;
}

int local_read(int argc, char **argv)
{
	int status = EXIT_DONE;
	json_t *answer = local_ask(json_pack("{s:s, s:s}", "op", "read", "path", argv[0]), &status);

	if (answer)
		puts(local_text(answer, "value"));
	json_decref(answer);
	return status;
}

int local_write(int argc, char **argv)
{
	int status = EXIT_DONE;

	json_decref(local_ask(
		json_pack("{s:s, s:s, s:s}", "op", "write", "path", argv[0], "value", argv[1]),
		&status));
	return status;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int local_wait(int argc, char **argv)
{
	double end = now() + ctl.limit_s;
	char last[128] = "";

	ctl.limit_is_own = true;
	for (;;) {
		int status = EXIT_DONE;
		json_t *answer =
			local_ask(json_pack("{s:s, s:s}", "op", "read", "path", argv[0]), &status);

		if (!answer)
			return status;
		snprintf(last, sizeof(last), "%s", local_text(answer, "value"));
		json_decref(answer);
		if (!strcmp(last, argv[1]))
			return EXIT_DONE;
		if (now() >= end)
			break;
		local_pause(WAIT_STEP_MS);
	}
	return ctl_fail(EXIT_TIMEOUT, "%s is still '%s' after %g s", argv[0], last, ctl.limit_s);
}
