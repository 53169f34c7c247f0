/* SPDX-License-Identifier: MIT */
/*
 * gpu-probe: what a driver and its GPU really do, step by step. Each step is a process of its own
 * in a group of its own: one that crashes or hangs costs its own row.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/gpu/probe/core.h"

/* A killed process that waits in the driver does not die: it is not waited for longer. */
#define DIE_NS 10000000000ull

struct options opt = {.libcuda = "libcuda.so.1", .libnvml = "libnvidia-ml.so.1"};

struct step {
	const char *name;
	void (*run)(void);
	unsigned int limit_s;
	bool risky;
	const char *what;
};

static const struct step steps[] = {
	{"machine", step_machine, 60, false, "driver, HMM, attributes, NVML, limits, sandbox"},
	{"init", step_init, 60, false, "cuInit in a worker's environment"},
	{"window", step_window, 120, false, "virtual memory management"},
	{"register", step_register, 120, false, "cuMemHostRegister of shared memory"},
	{"context", step_context, 120, false, "contexts: time and memory"},
	{"images", step_images, 120, false, "JIT, fatbins, libraries that are opened"},
	{"params", step_params, 60, false, "cuFuncGetParamInfo, launching a CUkernel"},
	{"rate", step_rate, 120, false, "launch rate, depth, waits, host functions"},
	{"semantics", step_semantics, 120, false, "small questions that decide semantics"},
	{"faults", step_faults, 180, true,
	 "illegal address, assert, trap, endless kernel, SIGKILL"},
	{"timeslice", step_timeslice, 60, true, "time-slice and preemption control"},
	{"record", step_record, 60, false, "driver.json, with --record"},
};
#define STEPS (sizeof(steps) / sizeof(steps[0]))

static const char usage[] =
	"Usage: gpu-probe [option]... [STEP]...\n"
	"Finds out what a driver and its GPU do; a JSON line for each step on standard output.\n"
	"\n"
	"  --libcuda LIBRARY  the driver's library, a path or a name (default libcuda.so.1)\n"
	"  --nvml LIBRARY     the management library (default libnvidia-ml.so.1); '' for none\n"
	"  --record FILE      write symbols, attributes and error texts of the driver there\n"
	"  --quick            small sizes and few rounds\n"
	"  --risky            steps that can wedge a GPU are run, too\n"
	"  --limit-s N        each step may take that long\n"
	"  --list             name the steps\n"
	"  --help\n";

static unsigned int limit_s;
static const char *child; /* the step that this process is to run */
static const char *child_prefix;
static uint64_t child_end;

static const struct step *find(const char *name)
{
	for (size_t i = 0; i < STEPS; i++)
		if (!strcmp(steps[i].name, name))
			return &steps[i];
	return NULL;
}

static int list(void)
{
	for (size_t i = 0; i < STEPS; i++)
		printf("%-10s %s%s\n", steps[i].name, steps[i].what,
		       steps[i].risky ? " (with --risky)" : "");
	return 0;
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {{"libcuda", required_argument, NULL, 'c'},
					      {"nvml", required_argument, NULL, 'n'},
					      {"record", required_argument, NULL, 'r'},
					      {"quick", no_argument, NULL, 'q'},
					      {"risky", no_argument, NULL, 'x'},
					      {"limit-s", required_argument, NULL, 'l'},
					      {"list", no_argument, NULL, 'L'},
					      {"help", no_argument, NULL, 'h'},
					      {"child", required_argument, NULL, 'C'},
					      {"role", required_argument, NULL, 'R'},
					      {"prefix", required_argument, NULL, 'P'},
					      {NULL, 0, NULL, 0}};
	char *end;
	int c;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			opt.libcuda = optarg;
			break;
		case 'n':
			opt.libnvml = optarg;
			break;
		case 'r':
			opt.record = optarg;
			break;
		case 'q':
			opt.quick = true;
			break;
		case 'x':
			opt.risky = true;
			break;
		case 'l':
			limit_s = (unsigned int)strtoul(optarg, &end, 10);
			if (!*end && limit_s && limit_s <= 3600)
				break;
			fprintf(stderr, "gpu-probe: --limit-s %s: must be from 1 to 3600\n",
				optarg);
			exit(2);
		case 'L':
			exit(list());
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'C':
			child = optarg;
			break;
		case 'R':
			opt.role = optarg;
			break;
		case 'P':
			child_prefix = optarg;
			break;
		default:
			fputs("Try gpu-probe --help.\n", stderr);
			exit(2);
		}
	}
}

void child_args(const char *argv[CHILD_ARGS], const char *step, const char *role,
		const char *prefix)
{
	static char limit[16];
	size_t n = 0;

	argv[n++] = "gpu-probe";
	argv[n++] = "--child";
	argv[n++] = step ? step : child;
	argv[n++] = "--libcuda";
	argv[n++] = opt.libcuda;
	argv[n++] = "--nvml";
	argv[n++] = opt.libnvml;
	if (opt.quick)
		argv[n++] = "--quick";
	if (opt.risky)
		argv[n++] = "--risky";
	if (opt.record) {
		argv[n++] = "--record";
		argv[n++] = opt.record;
	}
	if (limit_s) {
		snprintf(limit, sizeof(limit), "%u", limit_s);
		argv[n++] = "--limit-s";
		argv[n++] = limit;
	}
	if (role) {
		argv[n++] = "--role";
		argv[n++] = role;
		argv[n++] = "--prefix";
		argv[n++] = prefix;
	}
	argv[n] = NULL;
}

/* ---- the process of a step ---- */
uint64_t step_end(void)
{
	return child_end;
}

static uint64_t limit_ns(const struct step *s)
{
	return (limit_s ? limit_s : s->limit_s) * 1000000000ull;
}

static int run_child(void)
{
	const struct step *s = find(child);

	if (!s || !s->run)
		return 2;
	child_end = now_ns() + limit_ns(s);
	if (opt.role) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		fcntl(ALIVE_FD, F_SETFD, FD_CLOEXEC);
	}
	signal(SIGPIPE, SIG_IGN);
	say_open(child_prefix);
	say_note("");
	s->run();
	return say_close();
}

/* After fork: from here on only what is safe between fork and exec. */
static void __attribute__((noreturn)) become(const struct step *s, int facts, int note)
{
	const struct rlimit none = {0, 0};
	const char *argv[CHILD_ARGS];
	sigset_t set;

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	setrlimit(RLIMIT_CORE, &none);
	sigemptyset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	/* Device printf and libraries that talk must not get between the results. */
	dup2(STDERR_FILENO, STDOUT_FILENO);
	dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
	/* Both are above 4: see occupy. */
	dup2(facts, FACTS_FD);
	dup2(note, NOTE_FD);
	child_args(argv, s->name, NULL, NULL);
	execv("/proc/self/exe", (char *const *)(uintptr_t)argv);
	_exit(127);
}

/* ---- the parent ---- */
struct running {
	pid_t pid;
	int facts, note;
	int status;
	bool ended, killed;
	uint64_t began, took;
};

static void on_child(int sig)
{
}

static int start(const struct step *s, struct running *r)
{
	int p[2];

	r->note = memfd_create("gpu-probe", MFD_CLOEXEC);
	if (r->note < 0 || ftruncate(r->note, NOTE_BYTES) < 0 || pipe2(p, O_CLOEXEC) < 0)
		return -errno;
	r->began = now_ns();
	r->pid = fork();
	if (r->pid == 0)
		become(s, p[1], r->note);
	close(p[1]);
	if (r->pid < 0)
		return -errno;
	setpgid(r->pid, r->pid);
	r->facts = p[0];
	fcntl(r->facts, F_SETFL, O_NONBLOCK);
	return 0;
}

/* Read until the step's process ends or `end` is reached. SIGCHLD is only let in by ppoll. */
static void await(struct running *r, struct fold *f, uint64_t end)
{
	struct pollfd p = {.fd = r->facts, .events = POLLIN};
	sigset_t none;

	sigemptyset(&none);
	for (;;) {
		const uint64_t now = now_ns();
		const uint64_t left = now < end ? end - now : 0;
		const struct timespec t = {(time_t)(left / 1000000000), (long)(left % 1000000000)};

		if (waitpid(r->pid, &r->status, WNOHANG) == r->pid) {
			r->ended = true;
			return;
		}
		if (!left)
			return;
		if (ppoll(&p, 1, &t, &none) > 0 && !fold_read(f, r->facts))
			p.fd = -1;
	}
}

static const char *status_of(const struct running *r, const struct fold *f)
{
	if (r->killed)
		return "timeout";
	if (WIFSIGNALED(r->status))
		return "crashed";
	return f->any && !WEXITSTATUS(r->status) ? "ok" : "failed";
}

static json_t *result_of(const struct step *s, const struct running *r, struct fold *f)
{
	const char *status = status_of(r, f);
	const double seconds = (double)(r->took / 1000000) / 1000;
	json_t *o = json_pack("{s:s, s:s}", "step", s->name, "status", status);
	char call[64] = "";

	if (!r->killed && WIFSIGNALED(r->status))
		json_object_set_new(o, "signal", json_integer(WTERMSIG(r->status)));
	if (!r->killed && WIFEXITED(r->status) && WEXITSTATUS(r->status))
		json_object_set_new(o, "exit", json_integer(WEXITSTATUS(r->status)));
	if (!r->ended) /* it waits in the kernel, where it cannot be killed */
		json_object_set_new(o, "unkillable", json_true());
	if (strcmp(status, "ok") && pread(r->note, call, sizeof(call) - 1, 0) > 0 && call[0])
		json_object_set_new(o, "last_call", json_string(call));
	json_object_set_new(o, "seconds", json_real(seconds));
	json_object_set_new(o, "values", f->values);
	json_object_set_new(o, "failed_calls", f->failed);
	json_object_set_new(o, "assumptions", f->verdicts);
	fprintf(stderr, "%s %.1f s\n", status, seconds);
	return o;
}

static json_t *run(const struct step *s, struct running *r)
{
	struct fold f;
	json_t *o;

	fold_open(&f);
	await(r, &f, r->began + limit_ns(s));
	r->took = now_ns() - r->began;
	r->killed = !r->ended;
	/* Its children end with it. */
	kill(-r->pid, SIGKILL);
	if (r->killed)
		await(r, &f, now_ns() + DIE_NS);
	fold_read(&f, r->facts);
	fold_unseen(&f, s->name);
	o = result_of(s, r, &f);
	close(r->facts);
	close(r->note);
	return o;
}

/* A step that has no process. */
static json_t *not_run(const struct step *s, const char *status, const char *why)
{
	struct fold f;

	fprintf(stderr, "%s: %s\n", status, why);
	fold_open(&f);
	fold_unseen(&f, s->name);
	return json_pack("{s:s, s:s, s:s, s:f, s:o, s:o, s:o}", "step", s->name, "status", status,
			 "why", why, "seconds", 0.0, "values", f.values, "failed_calls", f.failed,
			 "assumptions", f.verdicts);
}

/* 0, or 1 where the step's process did not end well. */
static int do_step(const struct step *s)
{
	struct running r = {.facts = -1, .note = -1};
	json_t *o;
	int err;

	fprintf(stderr, "%-10s ... ", s->name);
	if (s->risky && !opt.risky)
		o = not_run(s, "skipped", "it can wedge the GPU: --risky");
	else if (!s->run)
		o = not_run(s, "skipped", "not in this program");
	else if ((err = start(s, &r)))
		o = not_run(s, "failed", strerror(-err));
	else
		o = run(s, &r);
	json_dumpf(o, stdout, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putchar('\n');
	fflush(stdout);
	err = strcmp(json_string_value(json_object_get(o, "status")), "ok") &&
	      strcmp(json_string_value(json_object_get(o, "status")), "skipped");
	json_decref(o);
	return err;
}

static bool wanted(const struct step *s, int n, char **names)
{
	if (!strcmp(s->name, "record"))
		return opt.record;
	for (int i = 0; i < n; i++)
		if (!strcmp(names[i], s->name))
			return true;
	return !n;
}

/* 0 to 4 are in use, so that no pipe is made where a step's process wants its own. */
static void occupy(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= NOTE_FD);
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	const struct sigaction sa = {.sa_handler = on_child};
	sigset_t set;
	int bad = 0;

	parse(argc, argv);
	if (child)
		return run_child();
	for (int i = optind; i < argc; i++) {
		if (find(argv[i]))
			continue;
		fprintf(stderr, "gpu-probe: no step is called %s; --list names them\n", argv[i]);
		return 2;
	}
	for (int i = optind; i < argc; i++) {
		if (strcmp(argv[i], "record") || opt.record)
			continue;
		fputs("gpu-probe: the step record needs --record FILE\n", stderr);
		return 2;
	}
	occupy();
	sigaction(SIGCHLD, &sa, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* Compiled kernels are not kept on the machine, and each run compiles anew, as workers do.
	 */
	setenv("CUDA_CACHE_DISABLE", "1", 1);
	for (size_t i = 0; i < STEPS; i++)
		if (wanted(&steps[i], argc - optind, argv + optind))
			bad |= do_step(&steps[i]);
	return bad;
}
