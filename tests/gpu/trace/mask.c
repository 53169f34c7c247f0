/* SPDX-License-Identifier: MIT */
/*
 * Outputs are read by others: no process id, no serial number, no host name, and of a path outside
 * the system's folders no more than what kind of file it is.
 */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/trace/trace.h"

#define ID_DIGITS 16 /* so many hexadecimal digits, dashes among them, are an identifier */

struct text {
	char *at, *end; /* room for the NUL is kept */
};

static void put(struct text *t, const char *s, size_t n)
{
	if (n > (size_t)(t->end - t->at))
		n = (size_t)(t->end - t->at);
	memcpy(t->at, s, n);
	t->at += n;
	*t->at = '\0';
}

static bool starts(const char *s, const char *with)
{
	return !strncmp(s, with, strlen(with));
}

/* "." and ".." and double slashes out of an absolute path, by its text alone. */
static void tidy(const char *path, char *out, size_t cap)
{
	struct text t = {out, out + cap - 1};

	out[0] = '\0';
	while (*path) {
		const char *part = path + strspn(path, "/");
		size_t n = strcspn(part, "/");

		path = part + n;
		if (n == 2 && !memcmp(part, "..", 2)) {
			char *slash = strrchr(out, '/');

			t.at = slash ? slash : out;
			*t.at = '\0';
		} else if (n && !(n == 1 && *part == '.')) {
			put(&t, "/", 1);
			put(&t, part, n);
		}
	}
	if (!out[0])
		put(&t, "/", 1);
}

static bool is_system(const char *path)
{
	static const char *const tops[] = {"/usr",  "/lib", "/lib64", "/etc", "/dev",
					   "/proc", "/sys", "/run",   "/opt"};

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		size_t n = strlen(tops[i]);

		if (starts(path, tops[i]) && (!path[n] || path[n] == '/'))
			return true;
	}
	return !strcmp(path, "/");
}

static size_t id_length(const char *s)
{
	size_t n = 0, digits = 0;

	for (; isxdigit((unsigned char)s[n]) || (n && s[n] == '-'); n++)
		digits += s[n] != '-';
	return digits >= ID_DIGITS ? n : 0;
}

/* A part of a path that is a number. */
static size_t number_length(const char *s, const char *begin)
{
	size_t n = s > begin && s[-1] == '/' ? strspn(s, "0123456789") : 0;

	return n && (!s[n] || s[n] == '/') ? n : 0;
}

static size_t host_length(const char *s)
{
	static char host[HOST_NAME_MAX + 1];

	if (!host[0] && (gethostname(host, sizeof(host) - 1) < 0 || strlen(host) < 4))
		snprintf(host, sizeof(host), "/"); /* which no part of a path is */
	return !strncasecmp(s, host, strlen(host)) && host[0] != '/' ? strlen(host) : 0;
}

static void put_masked(struct text *t, const char *s)
{
	const char *begin = s;
	bool numbers = starts(s, "/proc/") || starts(s, "/run/");

	while (*s) {
		bool at_word = s == begin || !isalnum((unsigned char)s[-1]);
		size_t n = at_word ? id_length(s) : 0;

		if (!n && at_word)
			n = host_length(s);
		if (n)
			put(t, "*", 1);
		else if (numbers && (n = number_length(s, begin)))
			put(t, "N", 1);
		else
			put(t, s, n = 1);
		s += n;
	}
}

static void put_elsewhere(struct text *t, const char *path)
{
	const char *nv = strstr(path, "/.nv/"), *base = strrchr(path, '/') + 1;
	const char *dot = strrchr(base, '.');

	put(t, "<elsewhere>/", 12);
	/* Names of libraries and of NVIDIA's own cache identify no user. */
	if (nv)
		put_masked(t, nv + 1);
	else if (strstr(base, ".so"))
		put_masked(t, base);
	else
		put(t, "*", 1);
	if (!nv && !strstr(base, ".so") && dot && dot != base && strlen(dot) <= 8)
		put(t, dot, strlen(dot));
}

/* What is no file of a file system: kind and name, without its number. */
static bool put_other(struct text *t, const char *path)
{
	if (starts(path, "/memfd:")) {
		const char *end = strstr(path, " (deleted)");

		put(t, path + 1, (end ? (size_t)(end - path) : strlen(path)) - 1);
		return true;
	}
	if (path[0] == '/')
		return false;
	if (starts(path, "anon_inode:"))
		put(t, path, strlen(path));
	else
		put(t, path, strcspn(path, ":"));
	return true;
}

void mask_path(const char *path, char *out, size_t cap)
{
	struct text t = {out, out + cap - 1};
	char clean[PATH_MAX];

	out[0] = '\0';
	if (!path[0] || put_other(&t, path))
		return;
	tidy(path, clean, sizeof(clean));
	/* Which is where these lie, and what the list of system folders has. */
	if (starts(clean, "/bin/") || starts(clean, "/sbin/"))
		put(&t, "/usr", 4);
	if (t.at > out || is_system(clean))
		put_masked(&t, clean);
	else
		put_elsewhere(&t, clean);
}
