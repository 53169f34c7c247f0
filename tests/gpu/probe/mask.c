/* SPDX-License-Identifier: MIT */
/*
 * Results are read by others: they hold no host name, no id of a GPU and no path but those of
 * system directories. Everything that is said passes here.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/probe/core.h"

static bool is_path(char c)
{
	return isalnum((unsigned char)c) || strchr("/._-+@~%", c);
}

static bool is_system(const char *path, size_t n)
{
	static const char *const tops[] = {"/usr",  "/lib", "/lib64", "/etc", "/dev",
					   "/proc", "/sys", "/run",   "/opt"};

	for (size_t i = 0; i < sizeof(tops) / sizeof(tops[0]); i++) {
		const size_t len = strlen(tops[i]);

		if (n >= len && !memcmp(path, tops[i], len) && (n == len || path[len] == '/'))
			return true;
	}
	return false;
}

/* Cut [at, at + n) out of a text and put "..." there, which is not longer. */
static void dots(char *at, size_t n)
{
	const size_t put = n < 3 ? n : 3;

	memset(at, '.', put);
	memmove(at + put, at + n, strlen(at + n) + 1);
}

/* A library's own name says nothing about whose it is. */
static size_t keep_of(const char *path, size_t n)
{
	size_t from = n;

	while (from && path[from - 1] != '/')
		from--;
	return memmem(path + from, n - from, ".so", 3) ? n - from + 1 : 0;
}

static void mask_paths(char *text)
{
	for (char *p = text; *p; p++) {
		size_t n = 0;

		if (*p != '/' || (p > text && is_path(p[-1])))
			continue;
		while (p[n] && is_path(p[n]))
			n++;
		/* One component, such as "/s", is no path. */
		if (!is_system(p, n) && memchr(p + 1, '/', n - 1))
			dots(p, n - keep_of(p, n));
		else
			p += n - 1;
	}
}

/* GPU-01234567-89ab-... and MIG-... */
static void mask_ids(char *text)
{
	static const char *const kinds[] = {"GPU-", "MIG-"};

	for (size_t i = 0; i < 2; i++) {
		for (char *p = text; (p = strstr(p, kinds[i]));) {
			size_t n = 0;

			p += 4;
			while (isxdigit((unsigned char)p[n]) || p[n] == '-')
				n++;
			if (n >= 8)
				dots(p, n);
		}
	}
}

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

/* As a word of its own: a host may be called by two letters. */
static void mask_host(char *text)
{
	char host[128];
	size_t n;

	if (gethostname(host, sizeof(host)) || !strcmp(host, "localhost"))
		return;
	host[sizeof(host) - 1] = '\0';
	n = strlen(host);
	for (char *p = text; n && (p = strstr(p, host)); p++)
		if ((p == text || !is_word(p[-1])) && !is_word(p[n]))
			dots(p, n);
}

void mask_text(char *text)
{
	mask_paths(text);
	mask_ids(text);
	mask_host(text);
}
