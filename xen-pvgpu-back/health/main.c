/* SPDX-License-Identifier: MIT */
/*
 * pvgpu-health: reads the use of the GPUs by process from NVML and sends it to pvgpud on a
 * socket that is its standard output. pvgpud starts it. NVML can hang: then only this process
 * hangs, and pvgpud, which hears no more of it, ends it and starts another.
 */
#include <dlfcn.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/confine/confine.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/health/sample.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define PERIOD_MIN 10u
#define PERIOD_MAX 10000u
#define FILES      256 /* that may be open */

static const char usage[] =
	"Usage: pvgpu-health --nvml LIBRARY [option]...\n"
	"Tells pvgpud what each process does on the GPUs. pvgpud starts it, with a socket as "
	"standard output.\n"
	"\n"
	"  --nvml LIBRARY   NVIDIA's management library, a path or a name\n"
	"  --period-ms N    a round each N ms (default 100)\n"
	"  --devices P,...  patterns of the device files that the library needs (default none)\n"
	"  --user NAME      become this user if started as root\n"
	"  --sandbox MODE   full (default), no-seccomp or off, as pvgpud.conf(5) has it; the "
	"latter two close none\n"
	"  --help, --version\n";

struct options {
	const char *nvml, *user, *devices;
	unsigned int period_ms;
	bool closed;
};

static void parse(struct options *o, int argc, char **argv)
{
	static const struct option longs[] = {
		{"nvml", required_argument, NULL, 'n'}, {"period-ms", required_argument, NULL, 'p'},
		{"user", required_argument, NULL, 'u'}, {"devices", required_argument, NULL, 'd'},
		{"help", no_argument, NULL, 'h'},       {"sandbox", required_argument, NULL, 's'},
		{"version", no_argument, NULL, 'v'},    {NULL, 0, NULL, 0}};
	char *end = NULL;
	int c;

	*o = (struct options){.period_ms = 100, .closed = true};
	while ((c = options_next(argc, argv, "", longs)) != -1) {
		switch (c) {
		case 'n':
			o->nvml = optarg;
			break;
		case 'u':
			o->user = optarg;
			break;
		case 'd':
			o->devices = optarg;
			break;
		case 's':
			o->closed = !strcmp(optarg, "full");
			break;
		case 'p':
			o->period_ms = (unsigned int)strtoul(optarg, &end, 10);
			if (*end || o->period_ms < PERIOD_MIN || o->period_ms > PERIOD_MAX) {
				fprintf(stderr,
					"pvgpu-health: --period-ms %s: must be a number from %u "
					"to %u\n",
					optarg, PERIOD_MIN, PERIOD_MAX);
				exit(2);
			}
			break;
		case 'h':
			fputs(usage, stdout);
			exit(0);
		case 'v':
			puts("pvgpu-health " PVGPU_VERSION);
			exit(0);
		default:
			fputs("Try pvgpu-health --help.\n", stderr);
			exit(2);
		}
	}
	if (o->nvml && optind == argc)
		return;
	fputs("pvgpu-health: --nvml must be given, and options only; pvgpud does that.\n", stderr);
	exit(2);
}

/* Writes all of it. A failed write means that pvgpud is gone: then this process exits. */
static void tell(const void *data, size_t n)
{
	const char *p = data;

	while (n) {
		ssize_t r = write(STDOUT_FILENO, p, n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			_exit(0);
		p += r;
		n -= (size_t)r;
	}
}

static void tell_text(enum health_kind kind, uint32_t code, uint32_t device, const char *text)
{
	struct health_msg m = {.kind = kind, .code = code, .device = device, .at_ns = sample_now()};

	snprintf(m.text, sizeof(m.text), "%.*s", (int)sizeof(m.text) - 1, text);
	tell(&m, sizeof(m));
}

/* A reason may be longer than a record's text. */
static void __attribute__((noreturn)) trouble(const char *reason)
{
	struct health_msg m = {.kind = HEALTH_TROUBLE, .at_ns = sample_now()};

	log_error("%s", reason);
	for (size_t n = strlen(reason); n;) {
		size_t part = n < sizeof(m.text) ? n : sizeof(m.text);

		memset(m.text, 0, sizeof(m.text));
		memcpy(m.text, reason, part);
		tell(&m, sizeof(m));
		reason += part;
		n -= part;
	}
	_exit(1);
}

/* Drops the privileges that NVML does not need. 0 or -1 with errno. */
static int drop(const char *user, bool bounds)
{
	const struct rlimit none = {0, 0};
	const struct passwd *pw;

	/* A later user could not. */
	if (bounds && geteuid() == 0 && confine_drop_bounds() < 0 && errno != EPERM)
		return -1;
	if (user && geteuid() == 0) {
		errno = 0;
		pw = getpwnam(user);
		if (!pw) {
			errno = errno ? errno : ENOENT;
			return -1;
		}
		if (setgroups(0, NULL) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
		    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
			return -1;
	}
	/* A change of user resets PR_SET_PDEATHSIG. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return setrlimit(RLIMIT_CORE, &none);
}

static bool has_socket(void)
{
	struct stat st;

	return fstat(STDOUT_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);
}

struct devices {
	char *path[FILES + 1];
	size_t n;
};

static int add_device(const char *path, void *arg)
{
	struct devices *d = arg;

	d->path[d->n] = strdup(path);
	d->n += d->path[d->n] != NULL;
	return d->n == FILES;
}

/* After NVML has done once all that it will be asked for. The needs of NVIDIA's library after that
 * are not proven: it may read files that every user may, and talk to its devices. */
static void close_sandbox(const char *devices)
{
	static const char *const read[] = {"/proc", "/sys", "/dev", "/usr", "/lib", "/lib64", NULL};
	static const char *const calls[] = {"open",       "openat",    "access",     "faccessat",
					    "faccessat2", "readlink",  "readlinkat", "stat",
					    "lstat",      "statx",     "statfs",     "getdents64",
					    "getppid",    "getresuid", "getresgid"};
	struct devices d = {.n = 0};
	char reason[160];

	confine_each_file(devices, add_device, &d);
	if (confine_close(&(struct confine){.read = read,
					    .write = (const char *const *)d.path,
					    .calls = calls,
					    .call_n = sizeof(calls) / sizeof(calls[0]),
					    .ioctls = devices && *devices ? 'F' : 0,
					    .files = FILES},
			  reason, sizeof(reason)) < 0)
		trouble(reason);
	while (d.n)
		free(d.path[--d.n]);
}

static void run(struct sample *s, unsigned int period_ms)
{
	const uint64_t period = period_ms * 1000000ull;
	uint64_t next = sample_now();

	for (;;) {
		uint64_t now;

		if (sample_round(s) < 0)
			trouble(nvml_text(s->why));
		tell(s->out, s->out_n * sizeof(*s->out));
		next += period;
		while ((now = sample_now()) < next)
			if (sample_wait(s, (unsigned int)((next - now + 999999) / 1000000)))
				tell(s->out, s->out_n * sizeof(*s->out));
		/* Missed rounds are left out. */
		if (now - next > period)
			next = now;
	}
}

int main(int argc, char **argv)
{
	static struct nvml nvml;
	static struct sample sample;
	char reason[512];
	struct options o;

	log_set_program("pvgpu-health");
	parse(&o, argc, argv);
	if (!has_socket()) {
		fputs("pvgpu-health: standard output is no socket: pvgpud must start this "
		      "program\n",
		      stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	confine_goes_first();
	if (o.closed && geteuid() == 0)
		confine_spaces();
	if (drop(o.user, o.closed) < 0) {
		snprintf(reason, sizeof(reason), "cannot become user %s: %s",
			 o.user ? o.user : "(none)", strerror(errno));
		trouble(reason);
	}
	if (nvml_load(&nvml, o.nvml, reason, sizeof(reason)) < 0 ||
	    nvml_start(&nvml, reason, sizeof(reason)) < 0 ||
	    sample_open(&sample, &nvml, reason, sizeof(reason)) < 0)
		trouble(reason);
	tell_text(HEALTH_HELLO, HEALTH_VERSION, nvml.device_n, nvml.driver);
	tell(sample.out, sample.out_n * sizeof(*sample.out));
	if (sample_round(&sample) < 0)
		trouble(nvml_text(sample.why));
	/* libc loads it late, or aborts, when a thread is cancelled. */
	dlopen("libgcc_s.so.1", RTLD_NOW);
	if (o.closed)
		close_sandbox(o.devices);
	run(&sample, o.period_ms);
}
