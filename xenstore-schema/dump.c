/* SPDX-License-Identifier: MIT */
/*
 * A line is one of
 *	/path = "value"
 *	/path = "value"   (n0,r3)
 *	/path:                          the value could not be read
 * In a value, backslashes and bytes other than printable ASCII are written as \\, \t, \n, \r, \ooo
 * or \xhh; quotes are not escaped.
 */
#include "xenstore-schema/dump.h"

#include <string.h>

size_t pvgpu_dump_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* The value of count digits at p, -1 if they are no digits. */
static int digits(const char *p, const char *end, int count, int base)
{
	int v = 0;

	if (end - p < count)
		return -1;
	for (int i = 0; i < count; i++) {
		if (digit(p[i]) >= base)
			return -1;
		v = v * base + digit(p[i]);
	}
	return v < 256 ? v : -1;
}

/* The byte behind a backslash at *p, which moves over it; -1: there is none. */
static int escape(const char **p, const char *end)
{
	static const char from[] = "\\tnr", to[] = "\\\t\n\r";
	const char *at = *p < end ? strchr(from, **p) : NULL;
	int v;

	if (*p == end)
		return -1;
	if (at && **p) {
		(*p)++;
		return to[at - from];
	}
	v = **p == 'x' ? digits(*p + 1, end, 2, 16) : digits(*p, end, 3, 8);
	if (v >= 0)
		*p += 3;
	return v;
}

/* Undo xenstore-ls's escapes in place: the length, or -1. */
static long unescape(char *s, size_t len)
{
	const char *p = s, *end = s + len;
	char *out = s;

	while (p < end) {
		int c = (unsigned char)*p++;

		if (c == '\\')
			c = escape(&p, end);
		if (c < 0)
			return -1;
		*out++ = (char)c;
	}
	return out - s;
}

/* Cut "   (n0,r3)" off a line's end: the permissions, or NULL. */
static const char *take_perms(char *line, size_t *len)
{
	size_t n = *len;
	char *open = memrchr(line, '(', n);

	if (!n || line[n - 1] != ')' || !open || open == line || open[-1] != ' ')
		return NULL;
	line[n - 1] = '\0';
	for (n = (size_t)(open - line); n && (line[n - 1] == ' ' || line[n - 1] == '.'); n--)
		;
	*len = n;
	return open + 1;
}

static const char *read_line(char *line, size_t len, struct pvgpu_entry *e)
{
	char *equals, *value;
	size_t vlen;
	long n;

	*e = (struct pvgpu_entry){.path = line, .value = ""};
	if (line[0] != '/')
		return "not the output of xenstore-ls -f: a line begins with a path";
	/* The last quote ends the value; permissions may follow. */
	if (line[len - 1] != '"')
		e->perms = take_perms(line, &len);
	if (line[len - 1] == ':') {
		line[len - 1] = '\0';
		return NULL;
	}
	equals = memmem(line, len, " = \"", 4);
	if (!equals || line[len - 1] != '"' || equals + 4 > line + len - 1)
		return "not PATH = \"VALUE\"";
	value = equals + 4;
	vlen = (size_t)(line + len - 1 - value);
	if (vlen >= 4 && !memcmp(value + vlen - 4, "\\...", 4))
		return "the value was cut to the width of the terminal: use xenstore-ls -f";
	n = unescape(value, vlen);
	if (n < 0)
		return "a backslash that xenstore-ls does not write";
	*equals = '\0';
	e->value = value;
	e->len = (size_t)n;
	return NULL;
}

long pvgpu_dump_read(char *text, size_t len, struct pvgpu_entry *entries, size_t cap, size_t *line,
		     const char **why)
{
	char *end = text + len;
	size_t n = 0;

	for (*line = 1; text < end; (*line)++) {
		char *stop = memchr(text, '\n', (size_t)(end - text));
		size_t size = (size_t)((stop ? stop : end) - text);

		text[size] = '\0';
		*why = NULL;
		if (strlen(text) != size)
			*why = "a NUL character";
		else if (size && n == cap)
			*why = "too many lines";
		else if (size)
			*why = read_line(text, size, &entries[n++]);
		if (*why)
			return -1;
		text += size + 1;
	}
	return (long)n;
}
