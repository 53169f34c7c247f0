/* SPDX-License-Identifier: MIT */
/*
 * pvgpuctl: shows and manages vGPUs. In Xen's dom0 it works on xenstore, elsewhere over
 * pvgpud's admin socket. Its options and subcommands are described in cli.def.
 *
 * Exit status: see enum in ctl.h and print_usage().
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libpvgpu/log/options.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/sizing.h"
#include "xen-pvgpu-back/toolstack/profiles.h"
#include "xen-pvgpu-back/toolstack/store.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#ifndef PVGPU_VERSION
#define PVGPU_VERSION "0.1.0"
#endif

#define DEFAULT_RUN_DIR    "/run/pvgpu"
#define DEFAULT_LIMIT_S    30
#define DEFAULT_INTERVAL_S 2

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

int ctl_status(int err)
{
	return err == -EINVAL                     ? EXIT_USAGE
	       : err == -ENOENT || err == -ENODEV ? EXIT_NOT_THERE
						  : EXIT_REFUSED;
}

double ctl_answer_s(void)
{
	return ctl.limit_is_own && ctl.limit_s < DEFAULT_LIMIT_S ? DEFAULT_LIMIT_S : ctl.limit_s;
}

/* ---- options ---- */

static int seconds(const char *name, const char *value, double *out)
{
	char *end;

	*out = strtod(value, &end);
	if (end == value || *end || !(*out >= 0))
		return ctl_fail(EXIT_USAGE, "--%s %s: must be a number of seconds", name, value);
	return 0;
}

static int set_limit(const char *name, const char *value)
{
	return seconds(name, value, &ctl.limit_s);
}

static int set_end(const char *name, const char *value)
{
	ctl.ends = true;
	return seconds(name, value, &ctl.end_after_s);
}

static int set_interval(const char *name, const char *value)
{
	char *end;

	ctl.interval_s = strtod(value, &end);
	if (end == value || *end || !(ctl.interval_s >= 0.1 && ctl.interval_s <= 3600))
		return ctl_fail(EXIT_USAGE, "--interval %s: must be 0.1 to 3600 seconds", value);
	return 0;
}

static int set_times(const char *name, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n < 1 || n > 1000000)
		return ctl_fail(EXIT_USAGE, "--count %s: must be a number from 1 to 1000000",
				value);
	ctl.times = (unsigned int)n;
	return 0;
}

static int set_id(const char *name, const char *value)
{
	char *end;
	unsigned long id = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || id > PVGPU_DEVID_MAX)
		return ctl_fail(EXIT_USAGE, "--id %s: must be a number from 0 to %d", value,
				PVGPU_DEVID_MAX);
	ctl.id = ctl.spec.id = (uint32_t)id;
	ctl.has_id = true;
	ctl.spec.any_id = false;
	return 0;
}

static int set_spec(const char *name, const char *value)
{
	char err[VGPU_SPEC_ERROR];

	if (vgpu_spec_set(&ctl.spec, name, value, err) < 0)
		return ctl_fail(EXIT_USAGE, "--%s", err);
	return 0;
}

static int set_run_dir(const char *name, const char *value)
{
	ctl.run_dir = value;
	ctl.local = true;
	return 0;
}

enum {
#define GROUP(group) group##_NR,
#include "xen-pvgpu-back/ctl/core/cli.def"
};
enum {
#define GROUP(group) group = 1 << group##_NR,
#include "xen-pvgpu-back/ctl/core/cli.def"
};

/* Options that mean nothing on the local link. */
#define OF_VMS (FOR_ID | FOR_UUID | FOR_ALL | FOR_KEEP | FOR_WATCH)

static const struct opt {
	const char *name, *arg;
	unsigned int group;
	bool *flag;        /* of one without an argument */
	const char **text; /* where an argument goes that is kept as it is */
	int (*set)(const char *name, const char *value);
	const char *what;
} table[] = {
#define FLAG(member, name, group, what)      {name, NULL, group, &ctl.member, NULL, NULL, what},
#define TEXT(member, name, arg, group, what) {name, arg, group, NULL, &ctl.member, NULL, what},
#define OPTION(name, arg, group, set, what)  {name, arg, group, NULL, NULL, set, what},
#define POLICY_FIELDS(group)                 {NULL, NULL, group, NULL, NULL, NULL, NULL},
#include "xen-pvgpu-back/ctl/core/cli.def"
};
#define TABLE    (sizeof(table) / sizeof(table[0]))
#define OPTS_MAX (TABLE + PVGPU_FIELDS_MAX)

static struct opt opts[OPTS_MAX];
static size_t opts_n;

static struct opt field_option(const struct pvgpu_field *f, unsigned int group)
{
	static char what[PVGPU_FIELDS_MAX][160];
	static size_t n;
	const bool word = f->type == PVGPU_TYPE_ENUM, bytes = f->type == PVGPU_TYPE_SIZE;
	const char *arg = word ? "WORD" : bytes ? "SIZE" : f->type == PVGPU_TYPE_SHARE ? "P%" : "N";
	char *text = what[n++];

	snprintf(text, sizeof(what[0]), "%s%s%s (default %s)", f->doc, word ? ": " : "",
		 word ? f->allowed : "", f->def);
	return (struct opt){f->name, arg, group, NULL, NULL, set_spec, text};
}

/* Copies the table and puts the policy's fields in their place. */
static void make_options(void)
{
	const struct pvgpu_key *policy = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

	if (opts_n)
		return;
	for (size_t i = 0; i < TABLE; i++) {
		if (table[i].name) {
			opts[opts_n++] = table[i];
			continue;
		}
		for (uint32_t j = 0; j < policy->nfields; j++)
			if (!policy->fields[j].live)
				opts[opts_n++] = field_option(&policy->fields[j], table[i].group);
	}
}

/* ---- commands ---- */

static const struct command {
	const char *name, *args, *what;
	int min, max;
	unsigned int groups;
	int (*xen)(int argc, char **argv);   /* NULL: not over xenstore */
	int (*local)(int argc, char **argv); /* NULL: not over the admin socket */
} commands[] = {
#define COMMAND(...) {__VA_ARGS__},
#define XEN_COMMAND(name, args, what, min, max, groups, xen)                                       \
	{name, args, what, min, max, groups, xen, NULL},
#define LOCAL_COMMAND(name, args, what, min, max, groups, local)                                   \
	{name, args, what, min, max, groups, NULL, local},
#include "xen-pvgpu-back/ctl/core/cli.def"
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_options(FILE *f, unsigned int groups)
{
	for (size_t i = 0; i < opts_n; i++) {
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
		fprintf(f, "Usage: pvgpuctl %s%s%s%s\n%s\n", only->name, *only->args ? " " : "",
			only->args, only->groups ? " [option]..." : "", only->what);
		print_options(f, only->groups);
		return;
	}
	fputs("Usage: pvgpuctl COMMAND [argument]... [option]...\n\n", f);
	for (size_t i = 0; i < COMMANDS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].args);
		fprintf(f, "  %-26s %s\n", left, commands[i].what);
	}
	fputs("\nA VM is given by name, uuid or domain number. pvgpuctl COMMAND --help shows its "
	      "options:\n",
	      f);
	print_options(f, ~0u);
	fputs("  --help, --version\n\n"
	      "Exit status: 0 done, 1 refused or faults found, 2 wrong use, 3 VM, vGPU, domain or "
	      "pvgpud\nnot there, 4 timed out.\n",
	      f);
}

static void complete_words(const char *command, unsigned int groups)
{
	printf("\t%s) COMPREPLY=($(compgen -W \"", *command ? command : "\"\"");
	for (size_t i = 0; !*command && i < COMMANDS; i++)
		printf("%s ", commands[i].name);
	for (size_t i = 0; *command && i < opts_n; i++)
		if (opts[i].group & groups)
			printf("--%s ", opts[i].name);
	printf("--help\" -- \"$word\")) ;;\n");
}

void ctl_complete(void)
{
	complete_words("", 0);
	for (size_t i = 0; i < COMMANDS; i++)
		complete_words(commands[i].name, commands[i].groups);
}

/* xenstore is used in dom0, unless --local or --run-dir asks for the admin socket. */
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

static int run(const struct command *c, int argc, char **argv, const bool *used)
{
	for (size_t i = 0; i < opts_n; i++)
		if (used[i] && !(opts[i].group & c->groups))
			return ctl_fail(EXIT_USAGE, "--%s is no option of %s", opts[i].name,
					c->name);
	if (argc < c->min || argc > c->max) {
		print_usage(stderr, c);
		return EXIT_USAGE;
	}
	if (use_xen(c))
		return c->xen(argc, argv);
	for (size_t i = 0; i < opts_n; i++)
		if (used[i] && c->xen && opts[i].group & OF_VMS)
			return ctl_fail(
				EXIT_USAGE,
				"--%s is for the vGPUs of VMs: run pvgpuctl as root in dom0",
				opts[i].name);
	return c->local(argc, argv);
}

enum { OPT_HELP = 'h', OPT_VERSION = 'v', OPT_TABLE = 256 };

static void make_longs(struct option longs[OPTS_MAX + 3])
{
	for (size_t i = 0; i < opts_n; i++)
		longs[i] =
			(struct option){opts[i].name, opts[i].arg ? required_argument : no_argument,
					NULL, OPT_TABLE + (int)i};
	longs[opts_n] = (struct option){"help", no_argument, NULL, OPT_HELP};
	longs[opts_n + 1] = (struct option){"version", no_argument, NULL, OPT_VERSION};
	longs[opts_n + 2] = (struct option){0};
}

int settings_main(int argc, char **argv)
{
	const struct pvgpu_key *policy = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

	for (size_t i = 0; i < opts_n; i++)
		if (opts[i].group & FOR_SPEC && !(opts[i].group & FOR_BACKEND))
			puts(opts[i].name);
	for (uint32_t i = 0; i < policy->nfields; i++)
		if (policy->fields[i].live)
			puts(policy->fields[i].name);
	return EXIT_DONE;
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
	struct option longs[OPTS_MAX + 3];
	bool used[OPTS_MAX] = {false};
	bool help = false;
	const struct command *command;
	int c;

	ctl = (struct ctl){.run_dir = DEFAULT_RUN_DIR,
			   .config_dir = VMS_DIR,
			   .site_dir = SITE_DIR,
			   .xapi_dir = XAPI_DIR,
			   .limit_s = DEFAULT_LIMIT_S,
			   .interval_s = DEFAULT_INTERVAL_S,
			   .spec = {.any_id = true}};
	sizing_reset();
	make_options();
	if (getenv("PVGPU_RUN_DIR"))
		set_run_dir(NULL, getenv("PVGPU_RUN_DIR"));
	make_longs(longs);
	while ((c = options_next(argc, argv, "h", longs)) != -1) {
		const struct opt *o = c >= OPT_TABLE ? &opts[c - OPT_TABLE] : NULL;

		if (c == OPT_HELP) {
			help = true;
		} else if (c == OPT_VERSION) {
			puts("pvgpuctl " PVGPU_VERSION);
			return EXIT_DONE;
		} else if (!o) {
			return EXIT_USAGE;
		} else {
			used[c - OPT_TABLE] = true;
			if (o->flag)
				*o->flag = true;
			else if (o->text)
				*o->text = optarg;
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
