/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/contract/log_sink.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"

#define JOURNAL "/run/systemd/journal/socket"
#define SYSLOG  "/dev/log"
#define NAME    64

static int sock = -1;

static const int priority[] = {[LOG_LEVEL_ERROR] = LOG_ERR,
			       [LOG_LEVEL_WARNING] = LOG_WARNING,
			       [LOG_LEVEL_INFO] = LOG_INFO,
			       [LOG_LEVEL_DEBUG] = LOG_DEBUG};

struct record {
	char bytes[2048];
	size_t n;
};

static void add(struct record *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct record *r, const char *fmt, ...)
{
	const size_t left = sizeof(r->bytes) - r->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(r->bytes + r->n, left, fmt, ap);
	va_end(ap);
	if (n > 0)
		r->n += (size_t)n < left ? (size_t)n : left - 1;
}

/* The word after `what` in the text, if that begins a word; its length, 0: none. */
static size_t named(const char *text, const char *what, char name[NAME])
{
	const size_t len = strlen(what);
	size_t n = 0;

	for (const char *at = text; (at = strstr(at, what)); at += len) {
		if (at > text && isalnum((unsigned char)at[-1]))
			continue;
		while (n + 1 < NAME && (isalnum((unsigned char)at[len + n]) ||
					(at[len + n] && strchr("_.-", at[len + n]))))
			n++;
		memcpy(name, at + len, n);
		break;
	}
	name[n] = '\0';
	return n;
}

static void add_names(struct record *r, const char *text)
{
	static const struct {
		const char *what, *field;
	} names[] = {{"vgpu ", "PVGPU_VGPU"},
		     {"pool ", "PVGPU_POOL"},
		     {"session ", "PVGPU_SESSION"},
		     {"domain ", "PVGPU_DOMAIN"}};
	char name[NAME], colon;

	/* "session 12 web1: ..." */
	if (sscanf(text, "session %*u %63[A-Za-z0-9_.-]%c", name, &colon) == 2 && colon == ':')
		add(r, "PVGPU_VGPU=%s\n", name);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (named(text, names[i].what, name))
			add(r, "%s=%s\n", names[i].field, name);
	if (!strncmp(text, "audit: ", 7))
		add(r, "PVGPU_AUDIT=1\n");
}

static bool give(const struct record *r)
{
	return send(sock, r->bytes, r->n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)r->n;
}

/* A line feed would begin a field. */
static void add_text(struct record *r, const char *text)
{
	for (; *text; text++)
		add(r, "%c", *text == '\n' ? ' ' : *text);
}

static bool journal_line(enum log_level level, const char *program, const char *text)
{
	struct record r = {.n = 0};

	add(&r, "PRIORITY=%d\nSYSLOG_IDENTIFIER=%s\n", priority[level], program);
	add_names(&r, text);
	add(&r, "MESSAGE=");
	add_text(&r, text);
	add(&r, "\n");
	return give(&r);
}

static bool syslog_line(enum log_level level, const char *program, const char *text)
{
	struct record r = {.n = 0};
	const time_t now = time(NULL);
	char when[32];
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%b %e %H:%M:%S", &tm);
	add(&r, "<%d>%s %s[%d]: ", LOG_DAEMON | priority[level], when, program, (int)getpid());
	add_text(&r, text);
	return give(&r);
}

static int reach(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int err;

	if (strlen(path) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	strcpy(a.sun_path, path);
	log_close();
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&a, sizeof(a)) == 0)
		return 0;
	err = errno;
	log_close();
	return -err;
}

int log_to_journal(const char *path)
{
	const int err = reach(path);

	if (!err)
		log_set_sink(journal_line);
	return err;
}

int log_to_syslog(const char *path)
{
	const int err = reach(path);

	if (!err)
		log_set_sink(syslog_line);
	return err;
}

void log_close(void)
{
	log_set_sink(NULL);
	if (sock >= 0)
		close(sock);
	sock = -1;
}

/* Is standard error the stream that systemd made for it? */
static bool is_journal(void)
{
	const char *s = getenv("JOURNAL_STREAM");
	uintmax_t dev, ino;
	struct stat st;

	return s && sscanf(s, "%ju:%ju", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
	       st.st_dev == dev && st.st_ino == ino;
}

int log_open(bool syslog)
{
	if (syslog)
		return log_to_syslog(SYSLOG);
	return is_journal() ? log_to_journal(JOURNAL) : 0;
}
