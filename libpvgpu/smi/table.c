/* SPDX-License-Identifier: MIT */
/* The table, the list, and JSON. */
#include "smi/smi.h"

#include <stdarg.h>
#include <string.h>
#include <time.h>

#define VERSION_TEXT PVGPU_VERSION
enum { WIDTH = 77, MIB = 20 };

void smi_list(FILE *out, const struct smi_gpu *g)
{
	fprintf(out, "GPU 0: %s (UUID: %s)\n", g->facts ? smi_absent(g->facts) : g->name,
		g->facts ? smi_absent(g->facts) : g->uuid);
}

/* ---- the table ---- */

/* Columns of 32, 22 and 23 characters between four bars; with bars NULL, one of all. */
static void rule(FILE *out, char fill, bool parts)
{
	fputc('+', out);
	for (int i = 1; i <= WIDTH; i++)
		fputc(parts && (i == 32 || i == 55) ? '+' : fill, out);
	fputs("+\n", out);
}

static void cells(FILE *out, const char *a, const char *b, const char *c)
{
	fprintf(out, "|%-31.31s|%22.22s|%22.22s|\n", a, b, c);
}

static void line(FILE *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void line(FILE *out, const char *format, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	fprintf(out, "|%-77.77s|\n", text);
}

static void mib(char text[32], nvmlReturn_t known, unsigned long long bytes)
{
	if (known || bytes == NVML_VALUE_NOT_AVAILABLE)
		snprintf(text, 32, "N/A");
	else
		snprintf(text, 32, "%lluMiB", bytes >> MIB);
}

static void gpu(FILE *out, const struct smi_gpu *g)
{
	char a[64], b[72], c[64], used[32], total[32];

	snprintf(a, sizeof(a), "   0  %-19.19s  N/A  ", g->facts ? "N/A" : g->name);
	snprintf(b, sizeof(b), "%s  Off ", g->facts ? "N/A" : g->pci.busId);
	cells(out, a, b, "N/A ");
	mib(used, g->memory_known, g->memory.used);
	mib(total, g->memory_known, g->memory.total);
	snprintf(b, sizeof(b), "%s / %s ", used, total);
	if (g->use_known)
		snprintf(c, sizeof(c), "N/A      Default ");
	else
		snprintf(c, sizeof(c), "%u%%      Default ", g->use);
	cells(out, " N/A   N/A   N/A   N/A /  N/A  ", b, c);
	cells(out, "", "", "N/A ");
}

static void processes(FILE *out, const struct smi_gpu *g)
{
	char used[32];

	line(out, " Processes:");
	line(out, "  GPU   GI   CI        PID   Type   %-29s GPU Memory ", "Process name");
	line(out, "        ID   ID %-48s      Usage ", "");
	rule(out, '=', false);
	if (g->processes_known)
		line(out, "  Not known here");
	else if (!g->processes)
		line(out, "  No running processes found");
	for (unsigned int i = 0; !g->processes_known && i < g->processes; i++) {
		const struct smi_process *p = &g->process[i];
		const size_t n = strlen(p->name);

		mib(used, NVML_SUCCESS, p->memory);
		/* The end of a long path tells more. */
		line(out, "    0   N/A  N/A  %8u      C   %s%-*s %10s ", p->pid,
		     n > 29 ? "..." : "", n > 29 ? 26 : 29, n > 29 ? p->name + n - 26 : p->name,
		     used);
	}
}

void smi_table(FILE *out, const struct smi_gpu *g)
{
	const time_t now = time(NULL);
	char text[64], cuda[16] = "N/A";
	struct tm t;

	localtime_r(&now, &t);
	strftime(text, sizeof(text), "%a %b %e %H:%M:%S %Y", &t);
	fprintf(out, "%s\n", text);
	if (!g->facts)
		snprintf(cuda, sizeof(cuda), "%d.%d", g->cuda / 1000, g->cuda % 1000 / 10);
	rule(out, '-', false);
	line(out, " PVGPU-SMI %-18s Driver Version: %-10s CUDA Version: %-6s", VERSION_TEXT, "N/A",
	     cuda);
	rule(out, '-', true);
	cells(out, " GPU  Name                 P-M ", "Bus-Id          Disp ", "ECC ");
	cells(out, " Fan  Temp  Perf  Pwr:Usage/Cap", "Memory-Usage ", "GPU-Util  Compute M. ");
	cells(out, "", "", "MIG M. ");
	rule(out, '=', true);
	gpu(out, g);
	rule(out, '-', true);
	fputc('\n', out);
	rule(out, '-', false);
	processes(out, g);
	rule(out, '-', false);
}

/* ---- JSON ---- */

static void json_text(FILE *out, const char *name, const char *text)
{
	fprintf(out, "\"%s\": \"", name);
	for (; *text; text++) {
		const unsigned char c = (unsigned char)*text;

		if (c == '"' || c == '\\')
			fprintf(out, "\\%c", c);
		else if (c < 0x20 || c > 0x7e)
			fprintf(out, "\\u%04x", c);
		else
			fputc(c, out);
	}
	fputc('"', out);
}

static void json_number(FILE *out, const char *name, bool known, unsigned long long value)
{
	if (known)
		fprintf(out, "\"%s\": %llu", name, value);
	else
		fprintf(out, "\"%s\": null", name);
}

static void json_facts(FILE *out, const struct smi_gpu *g)
{
	if (g->facts) {
		fprintf(out, "\"name\": null, \"uuid\": null, \"bus_id\": null, \"compute_cap\": "
			     "null, \"cuda_version\": null, ");
		return;
	}
	json_text(out, "name", g->name);
	fputs(", ", out);
	json_text(out, "uuid", g->uuid);
	fputs(", ", out);
	json_text(out, "bus_id", g->pci.busId);
	fprintf(out, ", \"compute_cap\": \"%d.%d\", \"cuda_version\": \"%d.%d\", ", g->major,
		g->minor, g->cuda / 1000, g->cuda % 1000 / 10);
}

void smi_json(FILE *out, const struct smi_gpu *g)
{
	const bool memory = !g->memory_known;

	fprintf(out, "{\"version\": \"%s\", \"gpus\": [{\"index\": 0, ", VERSION_TEXT);
	json_facts(out, g);
	json_number(out, "memory_total", memory, g->memory.total);
	fputs(", ", out);
	json_number(out, "memory_used", memory, g->memory.used);
	fputs(", ", out);
	json_number(out, "memory_free", memory, g->memory.free);
	fputs(", ", out);
	json_number(out, "utilization_gpu", !g->use_known, g->use);
	fprintf(out, ", \"processes\": %s", g->processes_known ? "null" : "[");
	for (unsigned int i = 0; !g->processes_known && i < g->processes; i++) {
		const struct smi_process *p = &g->process[i];

		fprintf(out, "%s{\"pid\": %u, ", i ? ", " : "", p->pid);
		json_text(out, "name", p->name);
		fputs(", ", out);
		json_number(out, "memory_used", p->memory != NVML_VALUE_NOT_AVAILABLE, p->memory);
		fputc('}', out);
	}
	fprintf(out, "%s}]}\n", g->processes_known ? "" : "]");
}
