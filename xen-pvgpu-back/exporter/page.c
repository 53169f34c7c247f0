/* SPDX-License-Identifier: MIT */
/*
 * The status page: one document without a script, which loads itself again. Its only other file is
 * its style; all texts are escaped. Curves are SVG.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/exporter/exporter.h"

#define CURVE_W 120
#define CURVE_H 24

const char page_style[] =
	"body{font:16px/1.4 sans-serif;margin:1em;color:#222;background:#fff}\n"
	"table{border-collapse:collapse;width:100%}\n"
	"caption{text-align:left;font-weight:bold;padding:.5em 0}\n"
	"th,td{padding:.25em .5em;text-align:right;border-bottom:1px solid #ddd}\n"
	"th:first-child,td:first-child{text-align:left}\n"
	".text{text-align:left}.time{white-space:nowrap}\n"
	".bad{color:#b00020;font-weight:bold}\n"
	"svg{vertical-align:middle}\n"
	"polyline{fill:none;stroke:#06c;stroke-width:1.5}\n"
	"rect{fill:#eef}\n"
	".scroll{overflow-x:auto}\n"
	"@media (prefers-color-scheme:dark){body{color:#ddd;background:#181818}"
	"th,td{border-color:#444}rect{fill:#223}polyline{stroke:#6af}.bad{color:#ff7b8a}}\n"
	"@media (max-width:40em){.wide{display:none}body{margin:.5em}"
	"th,td{padding:.25em}.time,.time+td{display:block}"
	".time{border:0;padding-bottom:0;color:#777}}\n";

static void put(struct text *t, const char *text)
{
	for (; *text; text++) {
		if (*text == '<')
			text_add(t, "&lt;");
		else if (*text == '&')
			text_add(t, "&amp;");
		else if (*text == '"')
			text_add(t, "&quot;");
		else
			text_add(t, "%c", *text >= ' ' && *text <= '~' ? *text : '?');
	}
}

static void put_time(struct text *t, uint64_t us)
{
	if (us < 1000)
		text_add(t, "%" PRIu64 " &micro;s", us);
	else if (us < 1000000)
		text_add(t, "%.1f ms", (double)us / 1e3);
	else
		text_add(t, "%.1f s", (double)us / 1e6);
}

/* The part of the time between two samples in which the vGPU had the GPU, 0 to 1. */
static double part(const struct source *s, const struct history *h, unsigned int i)
{
	const long long ms = s->sample_ms[i] - s->sample_ms[i - 1];
	const uint64_t us = h->gpu_us[i] > h->gpu_us[i - 1] ? h->gpu_us[i] - h->gpu_us[i - 1] : 0;
	const double p = ms > 0 ? (double)us / 1e3 / (double)ms : 0;

	return p < 1 ? p : 1;
}

static const struct history *history_of(const struct source *s, const char *name)
{
	for (unsigned int i = 0; i < s->vgpus; i++)
		if (!strcmp(s->history[i].name, name))
			return &s->history[i];
	return NULL;
}

static void put_curve(struct text *t, const struct source *s, const struct history *h)
{
	if (!h || s->samples < 2) {
		text_add(t, "<td></td><td class=\"wide\"></td>");
		return;
	}
	text_add(t,
		 "<td>%.0f%%</td><td class=\"wide\"><svg width=\"%d\" height=\"%d\" role=\"img\" "
		 "aria-label=\"GPU time of late\"><rect width=\"%d\" height=\"%d\"/><polyline "
		 "points=\"",
		 part(s, h, s->samples - 1) * 100, CURVE_W, CURVE_H, CURVE_W, CURVE_H);
	for (unsigned int i = 1; i < s->samples; i++)
		text_add(t, "%u,%.1f ", (i - 1) * CURVE_W / (HISTORY_SAMPLES - 2),
			 (1 - part(s, h, i)) * (CURVE_H - 2) + 1);
	text_add(t, "\"/></svg></td>");
}

/* The part of the last samples' time in which its vGPUs had the GPU. */
static double busy(const struct source *s, const char *pool)
{
	double sum = 0;

	for (uint32_t i = 0; s->samples > 1 && i < s->now.header->vgpus; i++) {
		const struct history *h = history_of(s, s->now.vgpus[i].name);

		if (h && !strcmp(s->now.vgpus[i].pool, pool))
			sum += part(s, h, s->samples - 1);
	}
	return sum < 1 ? sum : 1;
}

/* "-": the driver does not tell, or it is of a confidential pool. */
static void put_number(struct text *t, uint64_t value, uint64_t divisor, const char *unit)
{
	if (value == PVGPU_UNKNOWN)
		text_add(t, "-");
	else
		text_add(t, "%" PRIu64 "%s", value / divisor, unit);
}

static void put_sensor(struct text *t, uint64_t value, uint64_t divisor, const char *unit)
{
	text_add(t, "<td class=\"wide\">");
	put_number(t, value, divisor, unit);
	text_add(t, "</td>");
}

static void put_part(struct text *t, uint64_t value, uint64_t of, uint64_t divisor,
		     const char *unit)
{
	text_add(t, "<td>");
	put_number(t, value, divisor, "");
	text_add(t, " of ");
	put_number(t, of, divisor, unit);
	text_add(t, "</td>");
}

static void put_gpus(struct text *t, const struct source *source)
{
	const struct statistics *s = &source->now;

	text_add(t, "<div class=\"scroll\"><table><caption>GPUs</caption><tr><th>pool</th>"
		    "<th class=\"wide\">model</th><th>busy</th><th>vGPUs</th>"
		    "<th class=\"wide\">sessions</th>"
		    "<th>memory left</th><th class=\"wide\">temperature</th>"
		    "<th class=\"wide\">power</th><th>health</th></tr>\n");
	for (uint32_t i = 0; i < s->header->gpus; i++) {
		const struct pvgpu_gpu_record *g = &s->gpus[i];
		const uint64_t *n = g->value;

		text_add(t, "<tr><td>");
		put(t, g->name);
		text_add(t, "</td><td class=\"wide\">");
		put(t, g->model);
		if (g->confidential)
			text_add(t, "</td><td>-</td>");
		else
			text_add(t, "</td><td>%.0f%%</td>", busy(source, g->name) * 100);
		put_part(t, n[PVGPU_GPU_ACTIVE_VGPUS], n[PVGPU_GPU_VGPUS], 1, "");
		put_sensor(t, n[PVGPU_GPU_SESSIONS], 1, "");
		put_part(t, n[PVGPU_GPU_MEMORY_FREE], n[PVGPU_GPU_MEMORY], 1 << 20, " MiB");
		put_sensor(t, n[PVGPU_GPU_TEMPERATURE], 1, " &deg;C");
		put_sensor(t, n[PVGPU_GPU_POWER], 1000, " W");
		text_add(t, "<td%s>", n[PVGPU_GPU_HEALTHY] ? "" : " class=\"bad\"");
		put(t, g->health);
		text_add(t, "</td></tr>\n");
	}
	text_add(t, "</table></div>\n");
}

static void put_vgpu(struct text *t, const struct source *s, const struct pvgpu_vgpu_record *v)
{
	const uint64_t *n = v->value;
	const bool bad = n[PVGPU_VGPU_QUARANTINED] > 0;

	text_add(t, "<tr><td>");
	/* As pvgpuctl calls it in dom0. */
	put(t, v->vm[0] ? v->vm : v->name);
	if (v->vm[0])
		text_add(t, ":%" PRIu32, v->device);
	text_add(t, "</td><td%s>", bad ? " class=\"bad\"" : "");
	put(t, v->state);
	text_add(t, "</td>");
	put_curve(t, s, history_of(s, v->name));
	text_add(t, "<td class=\"wide\">%.1f%%</td>", (double)n[PVGPU_VGPU_SHARE] * 1e-4);
	text_add(t,
		 "<td class=\"wide\">%" PRIu64 "</td><td>%" PRIu64 " of %" PRIu64
		 " MiB</td><td class=\"wide\">",
		 n[PVGPU_VGPU_SESSIONS], n[PVGPU_VGPU_MEMORY_USED] >> 20,
		 n[PVGPU_VGPU_MEMORY_LIMIT] >> 20);
	put_time(t, pvgpu_latency_percentile_us(&v->latency[PVGPU_VGPU_HIST_GRANT_WAIT], 50));
	text_add(t, "</td><td>");
	put_time(t, pvgpu_latency_percentile_us(&v->latency[PVGPU_VGPU_HIST_GRANT_WAIT], 99));
	text_add(t, "</td><td class=\"wide\">%" PRIu64 "</td></tr>\n", n[PVGPU_VGPU_FAULTS]);
}

static void put_events(struct text *t, const struct statistics *s)
{
	text_add(t, "<div class=\"scroll\"><table><caption>Events</caption>\n");
	for (uint32_t i = s->header->events; i-- > 0;) {
		const struct pvgpu_event_record *e = &s->events[i];
		const time_t at = (time_t)(e->realtime_ns / 1000000000u);
		const bool bad = strcmp(e->level, "info") != 0;
		char text[40];
		struct tm tm;

		gmtime_r(&at, &tm);
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
		text_add(t, "<tr><td class=\"time\">%s</td><td class=\"%s\">", text,
			 bad ? "text bad" : "text");
		put(t, e->text);
		text_add(t, "</td></tr>\n");
	}
	text_add(t, "</table></div>\n");
}

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static void put_count(struct text *t, uint64_t n, const char *what)
{
	text_add(t, ", ");
	put_number(t, n, 1, " ");
	text_add(t, "%s%s%s", n == PVGPU_UNKNOWN ? " " : "", what, plural(n));
}

void page_make(struct text *t, const struct source *s)
{
	char host[HOST_NAME_MAX + 1] = "";

	gethostname(host, sizeof(host) - 1);
	text_add(t, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
		    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
		    "<meta http-equiv=\"refresh\" content=\"5\"><title>pvgpu on ");
	put(t, host);
	text_add(t,
		 "</title><link rel=\"stylesheet\" href=\"style.css\"></head><body><h1>pvgpu on ");
	put(t, host);
	text_add(t, "</h1>\n");
	if (s->why[0]) {
		text_add(t, "<p class=\"bad\">");
		put(t, s->why);
		text_add(t, "</p>\n");
	}
	if (s->now.header) {
		const uint64_t *n = s->now.own->value;

		text_add(t, "<p>pvgpud ");
		put(t, s->now.own->version);
		text_add(t, ", up for %" PRIu64 " minute%s", n[PVGPU_DAEMON_UPTIME] / 60,
			 plural(n[PVGPU_DAEMON_UPTIME] / 60));
		put_count(t, n[PVGPU_DAEMON_SESSIONS], "session");
		put_count(t, n[PVGPU_DAEMON_WORKERS], "worker");
		text_add(t, ".%s</p>\n",
			 n[PVGPU_DAEMON_ACCOUNTING]
				 ? ""
				 : " <span class=\"bad\">The driver's accounting is off.</span>");
		put_gpus(t, s);
		text_add(t, "<div class=\"scroll\"><table><caption>vGPUs</caption><tr><th>vGPU</th>"
			    "<th>state</th><th>GPU</th><th class=\"wide\">last minutes</th>"
			    "<th class=\"wide\">share</th><th class=\"wide\">sessions</th>"
			    "<th>memory</th><th "
			    "class=\"wide\">wait, median</th>"
			    "<th>wait, p99</th><th class=\"wide\">faults</th></tr>\n");
		for (uint32_t i = 0; i < s->now.header->vgpus; i++)
			put_vgpu(t, s, &s->now.vgpus[i]);
		text_add(t, "</table></div>\n");
		put_events(t, &s->now);
	}
	text_add(t, "<p>Waits are since the vGPU's first use. For Prometheus: "
		    "<a href=\"metrics\">metrics</a>; for programs: "
		    "<a href=\"statistics.json\">statistics.json</a>.</p></body></html>\n");
}
