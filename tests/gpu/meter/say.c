/* SPDX-License-Identifier: MIT */
#include "tests/gpu/meter/meter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static json_t *answer;

void say_json(const char *key, json_t *value)
{
	json_object_set_new_nocheck(answer, key, value);
}

void say_int(const char *key, int64_t value)
{
	say_json(key, json_integer(value));
}

void say_num(const char *key, double value)
{
	say_json(key, json_real(value));
}

void say_text(const char *key, const char *text)
{
	say_json(key, json_string(text));
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void say_times(const char *key, uint64_t *ns, size_t n)
{
	const struct {
		const char *name;
		size_t at;
	} of[] = {{"p50", (n - 1) / 2}, {"p99", n * 99 / 100}, {"min", 0}, {"max", n - 1}};
	char name[64];

	if (!n)
		return;
	qsort(ns, n, sizeof(*ns), by_value);
	for (size_t i = 0; i < sizeof(of) / sizeof(of[0]); i++) {
		snprintf(name, sizeof(name), "%s_%s_ns", key, of[i].name);
		say_int(name, (int64_t)ns[of[i].at]);
	}
}

void say_failed(const char *call)
{
	say_json("call", json_stringn(call, strcspn(call, "(")));
}

void answer_begin(const char *command)
{
	answer = json_object();
	say_text("command", command);
	/* First in the line; how it ended is known last. */
	say_text("result", "ok");
}

void answer_end(CUresult r)
{
	const char *name = NULL;
	char *line;

	if (r != CUDA_SUCCESS && (cuGetErrorName(r, &name) != CUDA_SUCCESS || !name))
		name = "an unknown result";
	if (r != CUDA_SUCCESS) {
		say_text("result", name);
		say_int("code", r);
	}
	line = json_dumps(answer, JSON_COMPACT | JSON_REAL_PRECISION(6));
	puts(line ? line : "{}");
	fflush(stdout);
	free(line);
	json_decref(answer);
}

uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void sleep_until(uint64_t ns)
{
	const struct timespec t = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
		;
}
