/* SPDX-License-Identifier: MIT */
/*
 * Lines of PVGPU_LOG, each written by one system call, so that threads and processes do not mix
 * theirs. Memory of the program's is read by a system call, which takes a bad address without a
 * fault.
 */
#include "log/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 1024, TEXT = 64 };

unsigned char pvgpu_log_on;

static struct {
	int fd;
	bool starts; /* a line when a call begins, too */
} to;

struct line {
	char text[LINE];
	size_t n;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static __attribute__((format(printf, 2, 3))) void put(struct line *l, const char *format, ...)
{
	va_list list;
	int n;

	va_start(list, format);
	n = vsnprintf(l->text + l->n, sizeof(l->text) - l->n, format, list);
	va_end(list);
	if (n > 0)
		l->n += (size_t)n;
	if (l->n > sizeof(l->text) - 2) /* cut; room for the line's end */
		l->n = sizeof(l->text) - 2;
}

/* Beyond the limit of file sizes (ulimit -f) the log ends, not the program. */
static void write_line(struct line *l)
{
	const struct timespec none = {0};
	sigset_t fsize, old;

	sigemptyset(&fsize);
	sigaddset(&fsize, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, &fsize, &old);
	l->text[l->n++] = '\n';
	for (size_t at = 0; at < l->n;) {
		const ssize_t n = write(to.fd, l->text + at, l->n - at);

		if (n < 0 && errno == EFBIG && !sigismember(&old, SIGXFSZ))
			sigtimedwait(&fsize, NULL, &none);
		if (n < 0 && errno != EINTR)
			break;
		at += n > 0 ? (size_t)n : 0;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

/* So many bytes of the program's, as many as there are. */
static size_t read_some(uint64_t at, void *out, size_t bytes)
{
	const struct iovec local = {out, bytes}, far = {(void *)(uintptr_t)at, bytes};
	const ssize_t n = at ? process_vm_readv(getpid(), &local, 1, &far, 1, 0) : 0;

	return n > 0 ? (size_t)n : 0;
}

static void put_string(struct line *l, uint64_t at)
{
	char text[TEXT + 1];
	size_t n = 0, page = 4096 - at % 4096;

	/* Not beyond a page that may be the last one. */
	n = read_some(at, text, page < TEXT ? page : TEXT);
	text[n] = '\0';
	if (!n) {
		put(l, "0x%" PRIx64, at);
		return;
	}
	put(l, "\"");
	for (size_t i = 0; text[i]; i++)
		put(l, text[i] < ' ' || text[i] == '"' || text[i] == '\\' ? "\\x%02x" : "%c",
		    (unsigned char)text[i]);
	put(l, strlen(text) < n || n < TEXT ? "\"" : "\"...");
}

static void put_number(struct line *l, char kind, uint64_t v)
{
	if (kind == 'u')
		put(l, "%" PRIu32, (uint32_t)v);
	else if (kind == 'i')
		put(l, "%" PRId32, (int32_t)v);
	else if (kind == 'q')
		put(l, "%" PRIu64, v);
	else if (v)
		put(l, "0x%" PRIx64, v);
	else
		put(l, "0");
}

/* A number that a call has written there. */
static void put_out(struct line *l, char kind, uint64_t at)
{
	const char of = (char)(kind == 'I' ? 'i' : kind == 'Q' ? 'q' : 'x');
	const size_t bytes = kind == 'I' ? 4 : 8;
	uint64_t v = 0;

	if (read_some(at, &v, bytes) != bytes) {
		put_number(l, 'x', at);
		return;
	}
	put(l, "[");
	put_number(l, of, v);
	put(l, "]");
}

/* written: the call has been successful. */
static void put_args(struct line *l, const struct pvgpu_log_entry *e, bool written)
{
	const char *p = pvgpu_log_calls[e->number].params;
	unsigned int word = 0;

	put(l, "(");
	while (*p) {
		const size_t name = strcspn(p, ":");
		const char kind = p[name + 1];
		uint64_t v = 0;

		put(l, "%s%.*s=", l->text[l->n - 1] == '(' ? "" : ", ", (int)name, p);
		p += name + 2;
		p += *p == ' ';
		if (kind == 'f' || kind == 'm') {
			put(l, "?");
			continue;
		}
		v = word < 6 ? e->args[word] : e->stack[word - 6];
		word++;
		if (kind == 's')
			put_string(l, v);
		else if (strchr("IQX", kind) && written)
			put_out(l, kind, v);
		else
			put_number(l, strchr("IQX", kind) ? 'x' : kind, v);
	}
	put(l, ")");
}

/* When the call began, by the clock on the wall; the thread; the call. */
static void put_head(struct line *l, uint64_t now, const struct pvgpu_log_entry *e)
{
	const uint64_t us = (now_ns(CLOCK_REALTIME) - (now - e->begin_ns)) / 1000;

	put(l, "pvgpu %" PRIu64 ".%06" PRIu64 " %ld %s", us / 1000000, us % 1000000,
	    syscall(SYS_gettid), pvgpu_log_calls[e->number].name);
}

void pvgpu_log_begin(struct pvgpu_log_entry *e)
{
	const int err = errno;
	struct line l = {.n = 0};
	int cancel;

	e->begin_ns = now_ns(CLOCK_MONOTONIC);
	if (!to.starts)
		return;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	put_head(&l, e->begin_ns, e);
	put_args(&l, e, false);
	put(&l, " ...");
	write_line(&l);
	pthread_setcancelstate(cancel, NULL);
	errno = err;
}

void pvgpu_log_end(const struct pvgpu_log_entry *e, uint64_t result)
{
	const uint64_t end_ns = now_ns(CLOCK_MONOTONIC);
	const int err = errno, status = (int)result;
	const bool pointer = pvgpu_log_calls[e->number].pointer;
	const char *name = pointer ? NULL : pvgpu_log_status(status);
	struct line l = {.n = 0};
	int cancel;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
	put_head(&l, end_ns, e);
	put_args(&l, e, !status);
	if (name && !status)
		put(&l, " = %s", name);
	else if (name)
		put(&l, " = %s (%d)", name, status);
	else if (pointer)
		put(&l, " = 0x%" PRIx64, result);
	else
		put(&l, " = %d", status);
	put(&l, " <%" PRIu64 ".%03" PRIu64 " us>", (end_ns - e->begin_ns) / 1000,
	    (end_ns - e->begin_ns) % 1000);
	write_line(&l);
	pthread_setcancelstate(cancel, NULL);
	errno = err;
}

static void complain(const char *words)
{
	fprintf(stderr,
		"pvgpu: PVGPU_LOG=%s: not known: calls, or calls,starts for a line when a call "
		"begins, too\n",
		words);
}

/* Where a program closes or replaces its stderr, the lines still go to the first one. */
static int open_output(void)
{
	const char *file = secure_getenv("PVGPU_LOG_FILE");
	int fd;

	if (!file)
		return fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 100);
	fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		fprintf(stderr, "pvgpu: PVGPU_LOG_FILE=%s: %s\n", file, strerror(errno));
	return fd;
}

static __attribute__((constructor)) void start(void)
{
	const char *words = secure_getenv("PVGPU_LOG");

	if (!words || !*words)
		return;
	if (strcmp(words, "calls") && strcmp(words, "calls,starts")) {
		complain(words);
		return;
	}
	to.starts = strchr(words, ',');
	to.fd = open_output();
	pvgpu_log_on = to.fd >= 0;
}
