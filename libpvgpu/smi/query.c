/* SPDX-License-Identifier: MIT */
/* --query-gpu and --query-compute-apps: columns by name, as CSV. */
#include "smi/smi.h"

#include <string.h>
#include <sys/time.h>
#include <time.h>

enum { MIB = 20 };

/* The row of a cell; `app` is NULL in one of a GPU. */
struct row {
	const struct smi_gpu *g;
	const struct smi_process *app;
	bool units;
};

typedef void put(FILE *out, const struct row *r);

static void put_absent(FILE *out, const struct row *r)
{
	fputs("[N/A]", out);
}

/* As NVIDIA's tool this writes no quotes: a comma in a name would begin another field. */
static void put_text(FILE *out, nvmlReturn_t known, const char *text)
{
	if (known)
		fputs(smi_absent(known), out);
	for (; !known && *text; text++)
		fputc(*text == ',' || *text == '"' ? '?' : *text, out);
}

static void put_number(FILE *out, const struct row *r, nvmlReturn_t known, unsigned long long n,
		       const char *unit)
{
	if (known)
		fputs(smi_absent(known), out);
	else
		fprintf(out, "%llu%s%s", n, r->units && *unit ? " " : "", r->units ? unit : "");
}

static void put_bytes(FILE *out, const struct row *r, nvmlReturn_t known, unsigned long long bytes)
{
	if (bytes == NVML_VALUE_NOT_AVAILABLE)
		known = NVML_ERROR_NOT_SUPPORTED;
	put_number(out, r, known, bytes >> MIB, "MiB");
}

#define PUT(name, ...)                                                                             \
	static void put_##name(FILE *out, const struct row *r)                                     \
	{                                                                                          \
		const struct smi_gpu *g = r->g;                                                    \
                                                                                                   \
		__VA_ARGS__;                                                                       \
	}

PUT(name, put_text(out, g->facts, g->name))
PUT(uuid, put_text(out, g->facts, g->uuid))
PUT(bus_id, put_text(out, g->facts, g->pci.busId))
PUT(total, put_bytes(out, r, g->memory_known, g->memory.total))
PUT(used, put_bytes(out, r, g->memory_known, g->memory.used))
PUT(free, put_bytes(out, r, g->memory_known, g->memory.free))
PUT(use, put_number(out, r, g->use_known, g->use, "%"))
PUT(app_pid, fprintf(out, "%u", g ? r->app->pid : 0))
PUT(app_name, put_text(out, g->processes_known, r->app->name))
PUT(app_memory, put_bytes(out, r, g->processes_known, r->app->memory))

static void put_index(FILE *out, const struct row *r)
{
	fputc('0', out);
}

static void put_count(FILE *out, const struct row *r)
{
	fputc('1', out);
}

static void put_default(FILE *out, const struct row *r)
{
	fputs("Default", out);
}

static void put_disabled(FILE *out, const struct row *r)
{
	fputs("Disabled", out);
}

static void put_capability(FILE *out, const struct row *r)
{
	char text[32];

	snprintf(text, sizeof(text), "%d.%d", r->g->major, r->g->minor);
	put_text(out, r->g->facts, text);
}

static void put_hex(FILE *out, const struct row *r, int digits, unsigned int n)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%0*X", digits, n);
	put_text(out, r->g->facts, text);
}

PUT(domain, put_hex(out, r, 4, g->pci.domain))
PUT(bus, put_hex(out, r, 2, g->pci.bus))
PUT(slot, put_hex(out, r, 2, g->pci.device))

static void put_clock(FILE *out, const struct row *r, unsigned int mhz)
{
	const nvmlReturn_t known = mhz ? r->g->facts : NVML_ERROR_NOT_SUPPORTED;

	put_number(out, r, known, mhz, "MHz");
}

PUT(sm_clock, put_clock(out, r, g->sm_mhz))
PUT(memory_clock, put_clock(out, r, g->memory_mhz))

static void put_time(FILE *out, const struct row *r)
{
	struct timeval now;
	char text[64];
	struct tm t;

	gettimeofday(&now, NULL);
	localtime_r(&now.tv_sec, &t);
	strftime(text, sizeof(text), "%Y/%m/%d %H:%M:%S", &t);
	fprintf(out, "%s.%03d", text, (int)(now.tv_usec / 1000));
}

struct column {
	const char *name, *unit; /* unit NULL: none */
	unsigned int what;       /* SMI_* */
	put *put;
};

static const struct column gpu_columns[] = {
	{"timestamp", NULL, 0, put_time},
	{"count", NULL, 0, put_count},
	{"index", NULL, 0, put_index},
	{"name", NULL, SMI_FACTS, put_name},
	{"gpu_name", NULL, SMI_FACTS, put_name},
	{"uuid", NULL, SMI_FACTS, put_uuid},
	{"gpu_uuid", NULL, SMI_FACTS, put_uuid},
	{"pci.bus_id", NULL, SMI_FACTS, put_bus_id},
	{"gpu_bus_id", NULL, SMI_FACTS, put_bus_id},
	{"pci.domain", NULL, SMI_FACTS, put_domain},
	{"pci.bus", NULL, SMI_FACTS, put_bus},
	{"pci.device", NULL, SMI_FACTS, put_slot},
	{"compute_cap", NULL, SMI_FACTS, put_capability},
	{"compute_mode", NULL, 0, put_default},
	{"display_active", NULL, 0, put_disabled},
	{"display_mode", NULL, 0, put_disabled},
	{"memory.total", "MiB", SMI_MEMORY, put_total},
	{"memory.used", "MiB", SMI_MEMORY, put_used},
	{"memory.free", "MiB", SMI_MEMORY, put_free},
	{"utilization.gpu", "%", SMI_USE, put_use},
	{"clocks.max.graphics", "MHz", SMI_FACTS, put_sm_clock},
	{"clocks.max.gr", "MHz", SMI_FACTS, put_sm_clock},
	{"clocks.max.sm", "MHz", SMI_FACTS, put_sm_clock},
	{"clocks.max.memory", "MHz", SMI_FACTS, put_memory_clock},
	{"clocks.max.mem", "MHz", SMI_FACTS, put_memory_clock},
	/* Known names that a vGPU has no answer for. */
	{"driver_version", NULL, 0, put_absent},
	{"serial", NULL, 0, put_absent},
	{"gpu_serial", NULL, 0, put_absent},
	{"vbios_version", NULL, 0, put_absent},
	{"pstate", NULL, 0, put_absent},
	{"persistence_mode", NULL, 0, put_absent},
	{"memory.reserved", "MiB", 0, put_absent},
	{"utilization.memory", "%", 0, put_absent},
	{"utilization.encoder", "%", 0, put_absent},
	{"utilization.decoder", "%", 0, put_absent},
	{"temperature.gpu", NULL, 0, put_absent},
	{"temperature.memory", NULL, 0, put_absent},
	{"fan.speed", "%", 0, put_absent},
	{"power.draw", "W", 0, put_absent},
	{"power.limit", "W", 0, put_absent},
	{"enforced.power.limit", "W", 0, put_absent},
	{"clocks.current.graphics", "MHz", 0, put_absent},
	{"clocks.current.sm", "MHz", 0, put_absent},
	{"clocks.current.memory", "MHz", 0, put_absent},
	{"clocks.gr", "MHz", 0, put_absent},
	{"clocks.sm", "MHz", 0, put_absent},
	{"clocks.mem", "MHz", 0, put_absent},
	{"ecc.mode.current", NULL, 0, put_absent},
	{"ecc.errors.corrected.volatile.total", NULL, 0, put_absent},
	{"ecc.errors.uncorrected.volatile.total", NULL, 0, put_absent},
	{"mig.mode.current", NULL, 0, put_absent},
	{"pcie.link.gen.current", NULL, 0, put_absent},
	{"pcie.link.width.current", NULL, 0, put_absent},
};

static const struct column app_columns[] = {
	{"timestamp", NULL, 0, put_time},
	{"gpu_name", NULL, SMI_FACTS, put_name},
	{"gpu_uuid", NULL, SMI_FACTS, put_uuid},
	{"gpu_bus_id", NULL, SMI_FACTS, put_bus_id},
	{"pid", NULL, 0, put_app_pid},
	{"process_name", NULL, 0, put_app_name},
	{"name", NULL, 0, put_app_name},
	{"used_memory", "MiB", 0, put_app_memory},
	{"used_gpu_memory", "MiB", 0, put_app_memory},
};

static const struct column *columns(bool apps, unsigned int *n)
{
	*n = apps ? sizeof(app_columns) / sizeof(app_columns[0])
		  : sizeof(gpu_columns) / sizeof(gpu_columns[0]);
	return apps ? app_columns : gpu_columns;
}

int smi_query_columns(struct smi_query *q, char *names)
{
	unsigned int known, i;
	const struct column *c = columns(q->apps, &known);

	q->what = q->apps ? SMI_PROCESS : 0;
	for (char *name; (name = strsep(&names, ",")) != NULL;) {
		for (i = 0; i < known && strcmp(c[i].name, name) != 0; i++)
			;
		if (i == known || q->n == SMI_COLUMNS) {
			fprintf(stderr,
				"pvgpu-smi: Field \"%s\" is not a valid field to query; see "
				"--help-query-%s\n",
				name, q->apps ? "compute-apps" : "gpu");
			return -1;
		}
		q->column[q->n++] = i;
		q->what |= c[i].what;
	}
	return 0;
}

int smi_query_format(struct smi_query *q, char *words)
{
	bool csv = false;

	for (char *word; (word = strsep(&words, ",")) != NULL;) {
		if (!strcmp(word, "csv"))
			csv = true;
		else if (!strcmp(word, "noheader"))
			q->header = false;
		else if (!strcmp(word, "nounits"))
			q->units = false;
		else {
			fprintf(stderr,
				"pvgpu-smi: --format has \"%s\": csv, and noheader or nounits "
				"beside it\n",
				word);
			return -1;
		}
	}
	if (!csv)
		fprintf(stderr, "pvgpu-smi: --format without csv: there is no other format\n");
	return csv ? 0 : -1;
}

void smi_query_header(FILE *out, const struct smi_query *q)
{
	unsigned int known;
	const struct column *c = columns(q->apps, &known);

	for (unsigned int i = 0; i < q->n; i++) {
		const struct column *x = &c[q->column[i]];

		fprintf(out, "%s%s", i ? ", " : "", x->name);
		if (x->unit)
			fprintf(out, " [%s]", x->unit);
	}
	fputc('\n', out);
}

static void put_row(FILE *out, const struct smi_query *q, const struct row *r)
{
	unsigned int known;
	const struct column *c = columns(q->apps, &known);

	for (unsigned int i = 0; i < q->n; i++) {
		fputs(i ? ", " : "", out);
		c[q->column[i]].put(out, r);
	}
	fputc('\n', out);
}

void smi_query_rows(FILE *out, const struct smi_query *q, const struct smi_gpu *g)
{
	struct row r = {.g = g, .units = q->units};

	if (!q->apps) {
		put_row(out, q, &r);
		return;
	}
	for (unsigned int i = 0; i < g->processes; i++) {
		r.app = &g->process[i];
		put_row(out, q, &r);
	}
}

void smi_query_help(FILE *out, bool apps)
{
	unsigned int known;
	const struct column *c = columns(apps, &known);

	for (unsigned int i = 0; i < known; i++)
		fprintf(out, "%s%s\n", c[i].name,
			c[i].put == put_absent ? " (of a vGPU always [N/A])" : "");
}
