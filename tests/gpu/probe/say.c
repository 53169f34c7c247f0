/* SPDX-License-Identifier: MIT */
/*
 * The step's side: each fact goes to the parent at once, as one line in one write, so that nothing
 * is lost when the next call crashes.
 */
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/gpu/probe/core.h"

#define FAILED_KINDS 256u

const struct row rows[] = {
#define ASSUME(id, step, text, code) {#id, #step, text},
#include "tests/gpu/assumptions.def"
#undef ASSUME
	{NULL, NULL, NULL},
};

static const char *prefix = "";
static char *note;
static bool lacking;

/* Calls that failed: how often, and how much of that has been said. */
static struct failed {
	char call[64];
	int result;
	uint64_t times, told;
} failed[FAILED_KINDS];
static size_t failed_n;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void say_open(const char *with)
{
	void *page = mmap(NULL, NOTE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, NOTE_FD, 0);

	prefix = with ? with : "";
	note = page == MAP_FAILED ? NULL : page;
}

void say_note(const char *call)
{
	if (note)
		snprintf(note, 64, "%s", call);
}

void *role_shared(size_t bytes)
{
	return note && bytes <= NOTE_BYTES / 2 ? note + NOTE_BYTES / 2 : NULL;
}

const char *said_note(void)
{
	return note ? note : "";
}

static bool send_line(const json_t *o)
{
	char line[PIPE_BUF];
	const size_t n = json_dumpb(o, line, sizeof(line) - 1, JSON_COMPACT);
	ssize_t r;

	if (n >= sizeof(line) - 1)
		return false;
	line[n] = '\n';
	/* Up to PIPE_BUF a write is whole or not at all. */
	do
		r = write(FACTS_FD, line, n + 1);
	while (r < 0 && errno == EINTR);
	return true;
}

/* `o` with a text under `key`, shortened until it can be sent. Takes `o`. */
static void send_text(json_t *o, const char *key, char *text)
{
	mask_text(text);
	for (char *p = text; *p; p++)
		if ((unsigned char)*p >= 0x80) /* JSON has no other encoding than UTF-8 */
			*p = '?';
	for (size_t n = strlen(text);; n /= 2) {
		text[n] = '\0';
		json_object_set_new(o, key, json_string(text));
		if (send_line(o) || !n)
			break;
	}
	json_decref(o);
}

static json_t *value_of(const char *key)
{
	char whole[96];

	snprintf(whole, sizeof(whole), "%s%s", prefix, key);
	return json_pack("{s:s}", "key", whole);
}

static void say_value(const char *key, json_t *value)
{
	json_t *o = value_of(key);

	json_object_set_new(o, "value", value);
	send_line(o);
	json_decref(o);
}

void say_int(const char *key, int64_t value)
{
	say_value(key, json_integer(value));
}

void say_num(const char *key, double value)
{
	if (isfinite(value))
		say_value(key, json_real(value));
	else
		say_text(key, "%f", value);
}

static char *formatted(const char *format, va_list args)
{
	char *text = NULL;

	if (vasprintf(&text, format, args) < 0)
		abort();
	return text;
}

void say_text(const char *key, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = formatted(format, args);
	va_end(args);
	send_text(value_of(key), "value", text);
	free(text);
}

void verdict(enum assumption a, bool holds, const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	text = formatted(format, args);
	va_end(args);
	send_text(json_pack("{s:s, s:b}", "assume", rows[a].id, "holds", holds), "detail", text);
	free(text);
}

static void tell_failed(struct failed *f)
{
	json_t *o = json_pack("{s:s, s:i, s:I}", "failed", f->call, "result", f->result, "times",
			      (json_int_t)(f->times - f->told));

	f->told = f->times;
	send_line(o);
	json_decref(o);
}

void say_failed(const char *call, int result)
{
	struct failed *f = NULL;

	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < failed_n && !f; i++)
		if (failed[i].result == result && !strcmp(failed[i].call, call))
			f = &failed[i];
	if (!f && failed_n < FAILED_KINDS) {
		f = &failed[failed_n++];
		snprintf(f->call, sizeof(f->call), "%s", call);
		f->result = result;
	}
	/* A call that fails a million times must not fill the pipe: say 1, 2, 4, 8, ... */
	if (f)
		f->times++;
	if (f && !(f->times & (f->times - 1)))
		tell_failed(f);
	pthread_mutex_unlock(&lock);
}

int say_close(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < failed_n; i++)
		if (failed[i].told < failed[i].times)
			tell_failed(&failed[i]);
	pthread_mutex_unlock(&lock);
	return lacking;
}

void say_lacking(void)
{
	lacking = true;
}
