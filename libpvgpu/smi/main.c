/* SPDX-License-Identifier: MIT */
/* pvgpu-smi: options, the loop, exit statuses. */
#include "log/options.h"
#include "smi/smi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { BAD_USE = 2, NO_DEVICE = 6, OTHER = 255 };

static const char help[] =
	"usage: pvgpu-smi [-l [SECONDS] | -lms MILLISECONDS] [-i GPU]\n"
	"       pvgpu-smi -L\n"
	"       pvgpu-smi --query-gpu=FIELD,... --format=csv[,noheader][,nounits] [-l SECONDS]\n"
	"       pvgpu-smi --query-compute-apps=FIELD,... --format=csv[,noheader][,nounits]\n"
	"       pvgpu-smi --json | --help-query-gpu | --help-query-compute-apps | --help | "
	"--version\n"
	"\n"
	"Shows this guest's vGPU: its memory, the part of the time that it has the GPU, its\n"
	"processes. N/A: not known of a vGPU.\n"
	"\n"
	"  -L, --list-gpus             one line: name and UUID\n"
	"  -i, --id=GPU                this one: index, UUID or bus id\n"
	"      --query-gpu=FIELDS      these fields as CSV; --help-query-gpu lists them\n"
	"      --query-compute-apps=FIELDS  the same for each process\n"
	"      --format=csv[,noheader][,nounits]  without the header, without units\n"
	"      --json                  all of it as one JSON object\n"
	"  -l, --loop=SECONDS          again and again (default: every 5 s)\n"
	"  -lms, --loop-ms=MILLISECONDS  likewise\n"
	"  -h, --help                  this text\n"
	"      --version               the version\n"
	"\n"
	"Exit status: 0; 2 for a wrong use; 6 when there is no such GPU; 9 when this machine has\n"
	"no vGPU; 15 when its backend does not answer; 255 for any other error.\n";

enum option_id {
	OPT_QUERY_GPU = 256,
	OPT_QUERY_APPS,
	OPT_FORMAT,
	OPT_JSON,
	OPT_LOOP_MS,
	OPT_HELP_GPU,
	OPT_HELP_APPS,
	OPT_VERSION
};

static const struct option options[] = {
	{"list-gpus", no_argument, NULL, 'L'},
	{"id", required_argument, NULL, 'i'},
	{"loop", optional_argument, NULL, 'l'},
	{"loop-ms", required_argument, NULL, OPT_LOOP_MS},
	{"lms", required_argument, NULL, OPT_LOOP_MS},
	{"query-gpu", required_argument, NULL, OPT_QUERY_GPU},
	{"query-compute-apps", required_argument, NULL, OPT_QUERY_APPS},
	{"format", required_argument, NULL, OPT_FORMAT},
	{"json", no_argument, NULL, OPT_JSON},
	{"help-query-gpu", no_argument, NULL, OPT_HELP_GPU},
	{"help-query-compute-apps", no_argument, NULL, OPT_HELP_APPS},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{NULL, 0, NULL, 0},
};

struct asked {
	bool list, json, query, formatted;
	const char *id;
	uint64_t every_ms; /* 0: once */
	char *fields, *format;
	struct smi_query q;
};

static int bad_use(const char *what, const char *value)
{
	fprintf(stderr, "pvgpu-smi: %s%s%s; see pvgpu-smi --help\n", what, value ? " " : "",
		value ? value : "");
	return BAD_USE;
}

static int take_time(struct asked *a, const char *text, unsigned int unit)
{
	char *end;
	unsigned long n;

	errno = 0;
	n = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || !n || n > 1000000)
		return bad_use("the time between two looks must be from 1 to 1000000, not", text);
	a->every_ms = (uint64_t)n * unit;
	return 0;
}

/* The words "-l 5" and "-lms 500" as getopt_long() has them: "-l5" and "--lms 500". */
static void respell(int argc, char **argv)
{
	static char joined[64];

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "-lms"))
			argv[i] = (char *)(uintptr_t) "--lms";
		else if (!strcmp(argv[i], "-l") && i + 1 < argc && argv[i + 1][0] != '-' &&
			 strlen(argv[i + 1]) < sizeof(joined) - 2) {
			snprintf(joined, sizeof(joined), "-l%s", argv[i + 1]);
			argv[i] = joined;
			memmove(&argv[i + 1], &argv[i + 2],
				(size_t)(argc - i - 1) * sizeof(argv[0]));
			return;
		}
	}
}

/* -1: go on; else the exit status. */
static int take(struct asked *a, int option)
{
	switch (option) {
	case 'L':
		a->list = true;
		return -1;
	case 'i':
		a->id = optarg;
		return -1;
	case 'l':
		return take_time(a, optarg ? optarg : "5", 1000) ? BAD_USE : -1;
	case OPT_LOOP_MS:
		return take_time(a, optarg, 1) ? BAD_USE : -1;
	case OPT_QUERY_GPU:
	case OPT_QUERY_APPS:
		if (a->query)
			return bad_use("one query at a time", NULL);
		a->query = true;
		a->q.apps = option == OPT_QUERY_APPS;
		a->fields = optarg;
		return -1;
	case OPT_FORMAT:
		a->format = optarg;
		return -1;
	case OPT_JSON:
		a->json = true;
		return -1;
	case OPT_HELP_GPU:
	case OPT_HELP_APPS:
		smi_query_help(stdout, option == OPT_HELP_APPS);
		return 0;
	case 'h':
		fputs(help, stdout);
		return 0;
	case OPT_VERSION:
		puts("pvgpu-smi " PVGPU_VERSION);
		return 0;
	}
	return bad_use("wrong use", NULL);
}

static int parse(struct asked *a, int argc, char **argv)
{
	int option, status;

	respell(argc, argv);
	for (int n = argc; n && !argv[n - 1]; n--)
		argc = n - 1;
	while ((option = options_next(argc, argv, "Li:l::h", options)) != -1) {
		status = take(a, option);
		if (status >= 0)
			return status;
	}
	if (optind < argc)
		return bad_use("no such word:", argv[optind]);
	if (a->list + a->json + a->query > 1)
		return bad_use("-L, --json and a query exclude each other", NULL);
	if (a->query != (a->format != NULL))
		return bad_use(a->query ? "a query wants --format=csv"
					: "--format belongs to a query",
			       NULL);
	a->q.header = a->q.units = true;
	if (a->query && (smi_query_columns(&a->q, a->fields) || smi_query_format(&a->q, a->format)))
		return BAD_USE;
	return -1;
}

static nvmlReturn_t find(const char *id, nvmlDevice_t *device)
{
	if (!id || !strcmp(id, "0"))
		return nvmlDeviceGetHandleByIndex_v2(0, device);
	if (!strncasecmp(id, "GPU-", 4))
		return nvmlDeviceGetHandleByUUID(id, device);
	if (strchr(id, ':'))
		return nvmlDeviceGetHandleByPciBusId_v2(id, device);
	return NVML_ERROR_NOT_FOUND;
}

static unsigned int wanted(const struct asked *a)
{
	if (a->query)
		return a->q.what;
	return a->list ? SMI_FACTS : SMI_ALL;
}

static void show(const struct asked *a, const struct smi_gpu *g)
{
	if (a->query)
		smi_query_rows(stdout, &a->q, g);
	else if (a->list)
		smi_list(stdout, g);
	else if (a->json)
		smi_json(stdout, g);
	else
		smi_table(stdout, g);
}

static int status_of(nvmlReturn_t r)
{
	return (int)r > OTHER ? OTHER : (int)r;
}

static int trouble(nvmlReturn_t r)
{
	const char *why = nvmlErrorString(r);

	if (smi_is_silent(r)) {
		r = NVML_ERROR_GPU_IS_LOST;
		why = "its backend does not answer: pvgpud may be stopped";
	} else if (r == NVML_ERROR_UNKNOWN) {
		why = "it takes no session now; PVGPU_DEBUG=1 says why";
	}
	fprintf(stderr, "pvgpu-smi: GPU 0: %s\n", why);
	return status_of(r);
}

static int look(const struct asked *a, nvmlDevice_t device)
{
	const struct timespec pause = {.tv_sec = (time_t)(a->every_ms / 1000),
				       .tv_nsec = (long)(a->every_ms % 1000) * 1000000L};
	static struct smi_gpu g;
	nvmlReturn_t r;

	if (a->query && a->q.header)
		smi_query_header(stdout, &a->q);
	do {
		r = smi_gather(device, wanted(a), &g);
		if (smi_is_silent(r) || (r && a->list))
			return trouble(r);
		show(a, &g);
		if (fflush(stdout)) {
			fprintf(stderr, "pvgpu-smi: cannot write: %s\n", strerror(errno));
			return OTHER;
		}
	} while (a->every_ms && !nanosleep(&pause, NULL));
	return r ? trouble(r) : 0;
}

int main(int argc, char **argv)
{
	struct asked a = {.id = NULL};
	nvmlDevice_t device;
	nvmlReturn_t r;
	int status = parse(&a, argc, argv);

	if (status >= 0)
		return status;
	r = nvmlInit_v2();
	if (r) {
		fprintf(stderr,
			"pvgpu-smi: no vGPU: neither /dev/pvgpu0 nor a socket of pvgpud's is here; "
			"attach one, or name it by PVGPU_DEVICE or PVGPU_SOCKET\n");
		return status_of(r);
	}
	r = find(a.id, &device);
	if (r == NVML_ERROR_NOT_FOUND || r == NVML_ERROR_INVALID_ARGUMENT) {
		fprintf(stderr,
			"pvgpu-smi: no GPU %s: -L shows the one that is there, with index 0\n",
			a.id);
		status = NO_DEVICE;
	} else {
		status = r ? trouble(r) : look(&a, device);
	}
	nvmlShutdown();
	return status;
}
