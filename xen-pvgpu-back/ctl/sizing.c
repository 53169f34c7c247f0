/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/sizing.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_keys.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/sched/sim/sizing.h"

#define GIB      (1ull << 30)
#define NAME_CAP 32
#define TIME_MAX 1e14 /* ns: more than a day */

static struct sizing z;
static char names[SIZING_LOADS][NAME_CAP];
static bool has_goal[SIZING_LOADS];
static uint64_t goal_ns; /* of loads without a goal of their own */

static const char *const policies[SCHED_POLICIES] = {"fair", "equal", "fixed", "best-effort"};
static const char *const classes[SCHED_CLASSES] = {"high", "medium", "low"};
static const char *const arrivals[SIZING_ARRIVALS] = {"poisson", "steady", "pareto", "onoff",
						      "closed"};

void sizing_reset(void)
{
	sizing_init(&z);
	memset(has_goal, 0, sizeof(has_goal));
	goal_ns = 0;
}

/* ---- values: each returns NULL, or the requirement that the text fails ---- */

static const char *take_time(const char *text, double *ns)
{
	static const struct {
		const char *unit;
		double ns;
	} units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
	char *end;
	double x = strtod(text, &end);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]) && end != text; i++)
		if (!strcmp(end, units[i].unit) && x >= 0 && x * units[i].ns <= TIME_MAX) {
			*ns = x * units[i].ns;
			return NULL;
		}
	return "must be a time such as 500us, 50ms or 2s";
}

static const char *take_number(const char *text, double least, double most, double *x)
{
	static char why[80];
	char *end;
	double v = strtod(text, &end);

	if (end != text && !*end && v >= least && v <= most) {
		*x = v;
		return NULL;
	}
	snprintf(why, sizeof(why), "must be a number from %g to %g", least, most);
	return why;
}

static const char *take_part(const char *text, double *part)
{
	char *end;
	double x = strtod(text, &end);

	if (end != text && !strcmp(end, "%") && x > 0 && x <= 100) {
		*part = x / 100;
		return NULL;
	}
	return "must be above 0 and up to 100, with a percent sign";
}

static const char *take_word(const char *text, const char *const *words, size_t n, unsigned int *at)
{
	static char why[120];
	int len = snprintf(why, sizeof(why), "must be");

	for (*at = 0; *at < n; ++*at) {
		if (!strcmp(text, words[*at]))
			return NULL;
		len += snprintf(why + len, sizeof(why) - (size_t)len, "%s %s", *at ? "," : "",
				words[*at]);
	}
	return why;
}

static const char *take_size(const char *text, uint64_t *bytes)
{
	static char why[PVGPU_KEY_ERROR];

	return pvgpu_backend_memory_parse(text, strlen(text), bytes, why) ? strstr(why, "must be")
									  : NULL;
}

static const char *take_goal(const char *text, uint64_t *ns)
{
	double x = 0;
	const char *why = strcmp(text, "none") ? take_time(text, &x) : NULL;

	*ns = (uint64_t)x;
	return why ? "must be a time such as 50ms, or none" : NULL;
}

/* ---- options ---- */

static const char *set_load(struct sizing_load *l, const char *key, const char *value)
{
	unsigned int word = 0;
	const char *why;
	double x = 0;

	if (!strcmp(key, "share"))
		return take_part(value, &l->part);
	if (!strcmp(key, "kernel")) {
		why = take_time(value, &l->kernel_ns);
		return why ? why : l->kernel_ns < 1000 ? "must be at least 1us" : NULL;
	}
	if (!strcmp(key, "kernels"))
		return take_number(value, 1, 1e6, &l->kernels);
	if (!strcmp(key, "spread"))
		return take_number(value, 0, 100, &l->spread);
	if (!strcmp(key, "duty"))
		return take_part(value, &l->duty);
	if (!strcmp(key, "least"))
		return take_part(value, &l->least);
	if (!strcmp(key, "memory"))
		return take_size(value, &l->memory);
	if (!strcmp(key, "p99")) {
		has_goal[l - z.loads] = true;
		return take_goal(value, &l->p99_ns);
	}
	if (!strcmp(key, "arrival")) {
		why = take_word(value, arrivals, SIZING_ARRIVALS, &word);
		l->arrival = (enum sizing_arrival)word;
		return why;
	}
	if (!strcmp(key, "priority")) {
		why = take_word(value, classes, SCHED_CLASSES, &word);
		l->share.class = (enum sched_class)word;
		return why;
	}
	if (!strcmp(key, "weight")) {
		why = take_number(value, 1, 10000, &x);
		l->share.weight = (uint32_t)x;
		return why;
	}
	if (!strcmp(key, "processes")) {
		why = take_number(value, 1, 1024, &x);
		l->processes = (uint32_t)x;
		return why;
	}
	why = take_part(value, &x);
	if (!strcmp(key, "max"))
		l->share.max_ppm = (uint32_t)(x * SCHED_PPM);
	else if (!strcmp(key, "min"))
		l->share.min_ppm = (uint32_t)(x * SCHED_PPM);
	else if (!strcmp(key, "fixed"))
		l->share.fixed_ppm = (uint32_t)(x * SCHED_PPM);
	else
		return "is not known: share, kernel, kernels, spread, duty, arrival, p99, least, "
		       "memory, weight, priority, min, max, fixed or processes";
	return why;
}

/* NAME, or NAME:KEY=VALUE,... */
static int add_load(const char *spec)
{
	struct sizing_load *l = &z.loads[z.n_loads];
	size_t len = strcspn(spec, ":");
	char *copy, *rest, *key;
	int status = 0;

	if (z.n_loads == SIZING_LOADS)
		return ctl_fail(EXIT_USAGE, "--load %s: no more than %d loads", spec, SIZING_LOADS);
	if (!len || len >= NAME_CAP)
		return ctl_fail(EXIT_USAGE, "--load %s: a name of 1 to %d characters comes first",
				spec, NAME_CAP - 1);
	copy = rest = strdup(spec + len + (spec[len] == ':'));
	if (!copy)
		return ctl_fail(EXIT_REFUSED, "%s", strerror(ENOMEM));
	snprintf(names[z.n_loads], NAME_CAP, "%.*s", (int)len, spec);
	sizing_load_init(l, names[z.n_loads]);
	while (!status && *rest && (key = strsep(&rest, ","))) {
		char *value = strchr(key, '=');
		const char *why = "must be KEY=VALUE";

		if (value) {
			*value++ = '\0';
			why = set_load(l, key, value);
		}
		if (why)
			status = ctl_fail(EXIT_USAGE, "--load %s: %s%s%s: %s", spec, key,
					  value ? "=" : "", value ? value : "", why);
		if (!rest)
			break;
	}
	free(copy);
	z.n_loads += !status;
	return status;
}

int sizing_option(const char *name, const char *value)
{
	const char *why = NULL;
	unsigned int word = 0;
	double x = 0;

	if (!strcmp(name, "load"))
		return add_load(value);
	if (!strcmp(name, "p99")) {
		why = take_goal(value, &goal_ns);
	} else if (!strcmp(name, "gpu-memory")) {
		why = take_size(value, &z.memory);
	} else if (!strcmp(name, "overcommit")) {
		why = take_number(value, 0.1, 100, &x);
		z.overcommit_ppm = (uint32_t)(x * PLACE_PPM);
	} else if (!strcmp(name, "policy")) {
		why = take_word(value, policies, SCHED_POLICIES, &word);
		z.params.policy = (enum sched_policy)word;
	} else if (!strcmp(name, "slice")) {
		why = take_time(value, &x);
		if (!why && (x < 1e6 || x > 30e6))
			why = "must be from 1ms to 30ms";
		z.params.slice_ns = (uint64_t)x;
	} else if (!strcmp(name, "switch")) {
		why = take_time(value, &x);
		z.model.switch_ns = (uint64_t)x;
	} else if (!strcmp(name, "most")) {
		why = take_number(value, 1, SIZING_MAX, &x);
		z.most = (size_t)x;
	} else if (!strcmp(name, "simulate")) {
		why = take_time(value, &x);
		if (!why && (x < 1e9 || x > 1e13))
			why = "must be from 1s to 10000s";
		z.duration_ns = (uint64_t)x;
	} else {
		why = take_number(value, 0, 4294967295.0, &x);
		z.seed = (uint64_t)x;
	}
	return why ? ctl_fail(EXIT_USAGE, "--%s %s: %s", name, value, why) : 0;
}

/* ---- the answer ---- */

static void say_why(const struct sizing_answer *a, char *buf, size_t cap)
{
	const struct sizing_load *l = &z.loads[a->load];

	switch (a->limit) {
	case SIZING_BY_MEMORY:
		snprintf(buf, cap, "memory: %.1f GiB are left, '%s' needs %.1f", a->value / GIB,
			 l->name, (double)l->memory / GIB);
		break;
	case SIZING_BY_LATENCY:
		snprintf(buf, cap, "latency of '%s': p99 would be %.1f ms, the goal is %.1f",
			 l->name, a->value / 1e6, (double)l->p99_ns / 1e6);
		break;
	case SIZING_BY_LEAST:
		snprintf(buf, cap, "GPU time of '%s': one would get %.2f %%, the least is %.2f",
			 l->name, 100 * a->value, 100 * l->least);
		break;
	case SIZING_BY_BACKLOG:
		snprintf(buf, cap,
			 "GPU time: %.0f %% of the requests of '%s' would not be answered",
			 100 * a->value, l->name);
		break;
	default:
		snprintf(buf, cap, "--most: all goals are still met");
	}
}

static const char *const limits[] = {"none", "memory", "latency", "least", "backlog"};

static void print_json(const struct sizing_answer *a, const char *why)
{
	json_t *loads = json_array(), *o;

	for (size_t i = 0; i < z.n_loads; i++) {
		const struct sizing_load_answer *l = &a->loads[i];

		o = json_pack("{s:s,s:I,s:I,s:f,s:f,s:f,s:f}", "name", z.loads[i].name, "vgpus",
			      (json_int_t)l->vgpus, "requests", (json_int_t)l->requests, "p50_ms",
			      (double)l->p50_ns / 1e6, "p95_ms", (double)l->p95_ns / 1e6, "p99_ms",
			      (double)l->p99_ns / 1e6, "gpu_time", l->used);
		if (z.loads[i].p99_ns)
			json_object_set_new(o, "goal_p99_ms",
					    json_real((double)z.loads[i].p99_ns / 1e6));
		json_array_append_new(loads, o);
	}
	o = json_pack("{s:I,s:s,s:s,s:s,s:f,s:f,s:I,s:o}", "vgpus", (json_int_t)a->vgpus, "limit",
		      limits[a->limit], "why", why, "policy", policies[z.params.policy], "busy",
		      a->busy, "handover", a->handover, "memory", (json_int_t)a->memory, "loads",
		      loads);
	answer_print(o, false);
}

static void print_table(const struct sizing_answer *a, const char *why)
{
	printf("One GPU carries %zu vGPU%s of this mix. Limited by %s.\n", a->vgpus,
	       a->vgpus == 1 ? "" : "s", why);
	if (!a->vgpus)
		return;
	printf("\n%-16s %6s %9s %9s %9s %9s %7s\n", "load", "vGPUs", "p50 ms", "p95 ms", "p99 ms",
	       "goal ms", "GPU %");
	for (size_t i = 0; i < z.n_loads; i++) {
		const struct sizing_load_answer *l = &a->loads[i];
		char goal[24] = "-";

		if (z.loads[i].p99_ns)
			snprintf(goal, sizeof(goal), "%.1f", (double)z.loads[i].p99_ns / 1e6);
		printf("%-16s %6zu %9.2f %9.2f %9.2f %9s %7.1f\n", z.loads[i].name, l->vgpus,
		       (double)l->p50_ns / 1e6, (double)l->p95_ns / 1e6, (double)l->p99_ns / 1e6,
		       goal, 100 * l->used);
	}
	printf("\nGPU busy %.1f %%, handing over %.1f %%", 100 * a->busy, 100 * a->handover);
	if (z.memory)
		printf("; memory %.1f of %.1f GiB", (double)a->memory / GIB,
		       (double)z.memory / GIB);
	putchar('\n');
}

int sizing_main(int argc, char **argv)
{
	struct sizing_answer a;
	char why[200];
	int ret;

	if (!z.n_loads)
		return ctl_fail(EXIT_USAGE,
				"sizing: say with --load what the vGPUs do, such as "
				"--load web:duty=5%%,kernel=200us,kernels=20 --p99 50ms");
	for (size_t i = 0; i < z.n_loads; i++)
		if (!has_goal[i])
			z.loads[i].p99_ns = goal_ns;
	ret = sizing_find(&z, &a);
	if (ret < 0)
		return ctl_fail(EXIT_REFUSED, "sizing: %s", strerror(-ret));
	say_why(&a, why, sizeof(why));
	if (ctl.json)
		print_json(&a, why);
	else
		print_table(&a, why);
	return a.vgpus ? EXIT_DONE : EXIT_REFUSED;
}
