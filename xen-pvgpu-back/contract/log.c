/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/contract/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BOUND_LINES 50u
#define BOUND_MS    10000u

static enum log_level threshold = LOG_LEVEL_INFO;
static const char *program = "pvgpud";
static const char *const names[] = {"error", "warning", "info", "debug"};

void log_set_program(const char *name)
{
	program = name;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

enum log_level log_get_level(void)
{
	return threshold;
}

const char *log_level_name(enum log_level level)
{
	return names[level];
}

int log_parse_level(const char *name)
{
	for (int i = 0; i <= LOG_LEVEL_DEBUG; i++)
		if (!strcmp(name, names[i]))
			return i;
	return -1;
}

static void (*tap_line)(enum log_level level, const char *text);

void log_set_tap(void (*tap)(enum log_level level, const char *text))
{
	tap_line = tap;
}

static bool (*sink_line)(enum log_level level, const char *program, const char *text);

void log_set_sink(bool (*sink)(enum log_level level, const char *program, const char *text))
{
	sink_line = sink;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	if (level > threshold)
		return;
	n = snprintf(line, sizeof(line), "%s: %s%s", program,
		     level <= LOG_LEVEL_WARNING ? names[level] : "",
		     level <= LOG_LEVEL_WARNING ? ": " : "");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	if (m < 0)
		return;
	if (n + m > (int)sizeof(line) - 2)
		m = (int)sizeof(line) - 2 - n;
	if (tap_line)
		tap_line(level, line + n);
	if (sink_line && sink_line(level, program, line + n))
		return;
	n += m;
	line[n] = '\n';
	if (write(STDERR_FILENO, line, (size_t)n + 1) < 0) {
		/* There is no other place to report it. */
	}
}

bool log_room(struct log_bound *b, uint64_t now_ms, const char *who)
{
	if (now_ms - b->since_ms >= BOUND_MS) {
		b->since_ms = now_ms;
		b->lines = 0;
	}
	if (b->lines == BOUND_LINES) {
		b->lines++;
		log_warning("%s: more than %u lines in %u s: the next ones are left out", who,
			    BOUND_LINES, BOUND_MS / 1000);
	}
	if (b->lines > BOUND_LINES)
		return false;
	b->lines++;
	return true;
}
