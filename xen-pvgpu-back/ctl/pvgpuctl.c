/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl: looks at vGPUs and manages them. In Xen's dom0 it works on xenstore, elsewhere over
 * pvgpud's admin socket. What there is stands in two tables here: options and commands.
 *
 * Exit status: see enum in ctl.h and print_usage().
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/check.h"
#include "xen-pvgpu-back/ctl/ctl.h"
#include "xen-pvgpu-back/ctl/sizing.h"
#include "xen-pvgpu-back/ctl/store.h"
#include "xen-pvgpu-back/ctl/vms.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define DEFAULT_RUN_DIR "/run/pvgpu"
#define DEFAULT_LIMIT_S 30

struct ctl ctl;

int ctl_fail(int status, const char *fmt, ...)
{
	va_list ap;

	fputs("pvgpuctl: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return status;
}

/* ---- options ---- */

static int set_limit(const char *name, const char *value)
{
	char *end;

	ctl.limit_s = strtod(value, &end);
	if (end == value || *end || !(ctl.limit_s >= 0))
		return ctl_fail(EXIT_USAGE, "--timeout %s: must be a number of seconds", value);
	return 0;
}

static int set_id(const char *name, const char *value)
{
	char *end;
	unsigned long id = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || id > PVGPU_DEVID_MAX)
		return ctl_fail(EXIT_USAGE, "--id %s: must be a number from 0 to %d", value,
				PVGPU_DEVID_MAX);
	ctl.id = ctl.wish.id = (uint32_t)id;
	ctl.has_id = true;
	ctl.wish.any_id = false;
	return 0;
}

static int set_wish(const char *name, const char *value)
{
	char err[WISH_ERROR];

	if (wish_set(&ctl.wish, name, value, err) < 0)
		return ctl_fail(EXIT_USAGE, "--%s %s: %s", name, value, err);
	return 0;
}

static int set_run_dir(const char *name, const char *value)
{
	ctl.run_dir = value;
	ctl.local = true;
	return 0;
}

static int set_config_dir(const char *name, const char *value)
{
	ctl.config_dir = value;
	return 0;
}

enum {
	FOR_LOCAL = 1 << 0,
	FOR_JSON = 1 << 1,
	FOR_LIMIT = 1 << 2,
	FOR_WATCH = 1 << 3,
	FOR_ID = 1 << 4,
	FOR_UUID = 1 << 5,
	FOR_WISH = 1 << 6, /* what an attached vGPU is to be */
	FOR_FORCE = 1 << 7,
	FOR_ALL = 1 << 8,
	FOR_KEEP = 1 << 9,
	FOR_NO_WAIT = 1 << 10,
	FOR_SIZING = 1 << 11,
};

static const struct opt {
	const char *name, *arg;
	unsigned int group;
	bool *flag; /* of one without an argument */
	int (*set)(const char *name, const char *value);
	const char *what;
} opts[] = {
	{"backend", "DOMAIN", FOR_WISH, NULL, set_wish, "that serves the vGPU (default Domain-0)"},
	{"id", "N", FOR_ID, NULL, set_id, "the vGPU's number in its VM"},
	{"memory", "SIZE", FOR_WISH, NULL, set_wish, "device memory, such as 4G (default all)"},
	{"pool", "POOL/GROUP", FOR_WISH, NULL, set_wish,
	 "GPU and group of the backend, POOL, POOL/GROUP or /GROUP"},
	{"weight", "N", FOR_WISH, NULL, set_wish, "share of GPU time (default 100)"},
	{"priority", "CLASS", FOR_WISH, NULL, set_wish, "high, medium (default) or low"},
	{"min-share", "P%", FOR_WISH, NULL, set_wish, "of GPU time for sure (default 0%)"},
	{"max-share", "P%", FOR_WISH, NULL, set_wish,
	 "of GPU time at most, also when alone (default 100%)"},
	{"fixed-share", "P%", FOR_WISH, NULL, set_wish,
	 "in a pool with policy fixed (default 0%: by weight)"},
	{"rate-commands", "N", FOR_WISH, NULL, set_wish,
	 "GPU commands a second (default 0: no limit)"},
	{"burst-commands", "N", FOR_WISH, NULL, set_wish, "of them at once"},
	{"rate-bytes", "SIZE", FOR_WISH, NULL, set_wish, "copied a second (default 0: no limit)"},
	{"burst-bytes", "SIZE", FOR_WISH, NULL, set_wish, "of them at once"},
	{"queue-depth", "N", FOR_WISH, NULL, set_wish,
	 "GPU commands of a process that wait or run (default 0: no limit)"},
	{"max-sessions", "N", FOR_WISH, NULL, set_wish, "processes at a time (default 64)"},
	{"arena-limit", "SIZE", FOR_WISH, NULL, set_wish,
	 "pinned memory of a process (default 8G)"},
	{"device-window", "SIZE", FOR_WISH, NULL, set_wish, "addresses for device memory"},
	{"kernel-limit", "MS", FOR_WISH, NULL, set_wish,
	 "when a kernel is an endless one (default 10000; 0: never)"},
	{"model", "TEXT", FOR_WISH, NULL, set_wish, "the name that the guest sees"},
	{"uuid", "UUID", FOR_UUID, NULL, set_wish, "the vGPU's identity (attach: default random)"},
	{"all", NULL, FOR_ALL, &ctl.all, NULL, "all vGPUs of the VM"},
	{"force", NULL, FOR_FORCE, &ctl.force, NULL,
	 "attach: whatever is free; detach: at once, whatever runs"},
	{"persistent", NULL, FOR_KEEP, &ctl.persistent, NULL,
	 "and for the VM's next starts: pvgpu-attachd(8)"},
	{"config-dir", "DIR", FOR_KEEP, NULL, set_config_dir,
	 "of --persistent (default " VMS_DIR ")"},
	{"no-wait", NULL, FOR_NO_WAIT, &ctl.no_wait, NULL, "do not wait for the guest"},
	{"timeout", "S", FOR_LIMIT, NULL, set_limit, "of waiting, in seconds (default 30)"},
	{"watch", NULL, FOR_WATCH, &ctl.watch, NULL, "show it again whenever it changes"},
	{"json", NULL, FOR_JSON, &ctl.json, NULL, "machine-readable output"},
	{"local", NULL, FOR_LOCAL, &ctl.local, NULL, "this machine's pvgpud, even in dom0"},
	{"run-dir", "DIR", FOR_LOCAL, NULL, set_run_dir,
	 "the same, of the pvgpud with that run directory"},
	{"load", "NAME:...", FOR_SIZING, NULL, sizing_option,
	 "what some of the vGPUs do: pvgpuctl(8) (again for more)"},
	{"p99", "TIME", FOR_SIZING, NULL, sizing_option, "goal of loads without one of their own"},
	{"gpu-memory", "SIZE", FOR_SIZING, NULL, sizing_option,
	 "of the GPU (default not looked at)"},
	{"overcommit", "RATIO", FOR_SIZING, NULL, sizing_option, "of its memory (default 1)"},
	{"policy", "NAME", FOR_SIZING, NULL, sizing_option, "fair, equal, fixed or best-effort"},
	{"slice", "TIME", FOR_SIZING, NULL, sizing_option, "of the pool (default 2ms or 1ms)"},
	{"switch", "TIME", FOR_SIZING, NULL, sizing_option,
	 "the GPU takes from a context to the next (default 59us)"},
	{"most", "N", FOR_SIZING, NULL, sizing_option, "look no further (default 10000)"},
	{"simulate", "TIME", FOR_SIZING, NULL, sizing_option, "how long (default 30s)"},
	{"seed", "N", FOR_SIZING, NULL, sizing_option, "of chance (default 1)"},
};
#define OPTS (sizeof(opts) / sizeof(opts[0]))
_Static_assert(OPTS <= 64, "a bit each");

/* ---- commands ---- */

static const struct command {
	const char *name, *args, *what;
	int min, max;
	unsigned int groups;
	int (*xen)(int argc, char **argv);   /* NULL: not over xenstore */
	int (*local)(int argc, char **argv); /* NULL: not over the admin socket */
} commands[] = {
	{"attach", "VM", "give a VM a vGPU, and wait until the guest uses it", 1, 1,
	 FOR_WISH | FOR_ID | FOR_UUID | FOR_FORCE | FOR_KEEP | FOR_NO_WAIT | FOR_LIMIT | FOR_JSON,
	 xen_attach, NULL},
	{"detach", "VM", "take a vGPU from a VM", 1, 1,
	 FOR_ID | FOR_UUID | FOR_ALL | FOR_FORCE | FOR_KEEP | FOR_LIMIT, xen_detach, NULL},
	{"list", "[VM]", "the vGPUs, with memory, sessions and GPU time", 0, 1,
	 FOR_JSON | FOR_WATCH | FOR_LOCAL, xen_list, local_list},
	{"show", "VM|VGPU", "everything of one", 1, 1, FOR_JSON | FOR_ID | FOR_UUID | FOR_LOCAL,
	 xen_show, local_show},
	{"set", "VM|VGPU KEY=VALUE...",
	 "change policy: weight, priority, max-share, drain, memory...", 2, 16,
	 FOR_ID | FOR_UUID | FOR_ALL | FOR_KEEP | FOR_LOCAL, xen_set, local_set},
	{"pardon", "VM|VGPU", "forget a vGPU's faults, end its quarantine", 1, 1,
	 FOR_ID | FOR_UUID | FOR_ALL | FOR_LOCAL, xen_pardon, local_pardon},
	{"tree", "[PATH]", "all keys of pvgpud below a path", 0, 1, FOR_JSON | FOR_LOCAL, NULL,
	 local_tree},
	{"read", "PATH", "the value of a key of pvgpud", 1, 1, FOR_LOCAL, NULL, local_read},
	{"write", "PATH VALUE", "set one: /daemon/log-level, /vgpu/NAME/drain...", 2, 2, FOR_LOCAL,
	 NULL, local_write},
	{"wait", "PATH VALUE", "until a key of pvgpud has a value", 2, 2, FOR_LIMIT | FOR_LOCAL,
	 NULL, local_wait},
	{"check", "FILE", "keys in xenstore, as xenstore-ls -fp shows them, or JSON", 1, 1, 0,
	 check_main, check_main},
	{"sizing", "", "how many vGPUs of some loads one GPU carries", 0, 0, FOR_SIZING | FOR_JSON,
	 sizing_main, sizing_main},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_options(FILE *f, unsigned int groups)
{
	for (size_t i = 0; i < OPTS; i++) {
		char left[40];

		if (!(opts[i].group & groups))
			continue;
		snprintf(left, sizeof(left), "--%s %s", opts[i].name,
			 opts[i].arg ? opts[i].arg : "");
		fprintf(f, "  %-20s %s\n", left, opts[i].what);
	}
}

static void print_usage(FILE *f, const struct command *only)
{
	if (only) {
		fprintf(f, "Usage: pvgpuctl %s %s%s\n%s\n", only->name, only->args,
			only->groups ? " [option]..." : "", only->what);
		print_options(f, only->groups);
		return;
	}
	fputs("Usage: pvgpuctl COMMAND [argument]... [option]...\n\n", f);
	for (size_t i = 0; i < COMMANDS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		fprintf(f, "  %-26s %s\n", left, commands[i].what);
	}
	fputs("\nA VM is meant by name, uuid or domain number. pvgpuctl COMMAND --help shows its "
	      "options:\n",
	      f);
	print_options(f, ~0u);
	fputs("  --help, --version\n\n"
	      "Exit status: 0 done, 1 refused or found wrong, 2 wrong use, 3 VM, vGPU, domain or "
	      "pvgpud\nnot there, 4 timed out.\n",
	      f);
}

/* Over xenstore where this is dom0, unless somebody wants the admin socket. */
static bool use_xen(const struct command *c)
{
	struct store s;

	if (!c->xen || !c->local || ctl.local)
		return c->xen && !(c->local && ctl.local);
	if (store_open(&s) < 0)
		return false;
	store_close(&s);
	return true;
}

static int run(const struct command *c, int argc, char **argv, uint64_t used)
{
	for (size_t i = 0; i < OPTS; i++)
		if ((used & 1ull << i) && !(opts[i].group & c->groups))
			return ctl_fail(EXIT_USAGE, "--%s is no option of %s", opts[i].name,
					c->name);
	if (argc < c->min || argc > c->max) {
		print_usage(stderr, c);
		return EXIT_USAGE;
	}
	return use_xen(c) ? c->xen(argc, argv) : c->local(argc, argv);
}

enum { OPT_HELP = 'h', OPT_VERSION = 'v', OPT_TABLE = 256 };

static void make_longs(struct option longs[OPTS + 3])
{
	for (size_t i = 0; i < OPTS; i++)
		longs[i] =
			(struct option){opts[i].name, opts[i].arg ? required_argument : no_argument,
					NULL, OPT_TABLE + (int)i};
	longs[OPTS] = (struct option){"help", no_argument, NULL, OPT_HELP};
	longs[OPTS + 1] = (struct option){"version", no_argument, NULL, OPT_VERSION};
	longs[OPTS + 2] = (struct option){0};
}

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

int ctl_main(int argc, char **argv)
{
	struct option longs[OPTS + 3];
	uint64_t used = 0; /* options */
	bool help = false;
	const struct command *command;
	int c;

	ctl = (struct ctl){.run_dir = DEFAULT_RUN_DIR,
			   .config_dir = VMS_DIR,
			   .limit_s = DEFAULT_LIMIT_S,
			   .wish = {.any_id = true}};
	sizing_reset();
	if (getenv("PVGPU_RUN_DIR"))
		set_run_dir(NULL, getenv("PVGPU_RUN_DIR"));
	make_longs(longs);
	while ((c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		const struct opt *o = c >= OPT_TABLE ? &opts[c - OPT_TABLE] : NULL;

		if (c == OPT_HELP) {
			help = true;
		} else if (c == OPT_VERSION) {
			puts("pvgpuctl " PVGPU_VERSION);
			return EXIT_DONE;
		} else if (!o) {
			return EXIT_USAGE;
		} else {
			used |= 1ull << (c - OPT_TABLE);
			if (o->flag)
				*o->flag = true;
			else if (o->set(o->name, optarg))
				return EXIT_USAGE;
		}
	}
	command = optind < argc ? find_command(argv[optind]) : NULL;
	if (help || optind == argc) {
		print_usage(help ? stdout : stderr, command);
		return help ? EXIT_DONE : EXIT_USAGE;
	}
	if (!command)
		return ctl_fail(EXIT_USAGE, "%s: no such command; try pvgpuctl --help",
				argv[optind]);
	return run(command, argc - optind - 1, argv + optind + 1, used);
}
