/* SPDX-License-Identifier: MIT */
#include "include/ini.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define LINE 200 /* as inih reads them: the readers complain of longer ones */
#define NAME 50

struct parsing {
	ini_handler handler;
	void *user;
	char section[NAME], name[NAME]; /* of the last value in this section */
};

/* Without the blanks at both ends. */
static char *trim(char *s)
{
	size_t n;

	while (isspace((unsigned char)*s))
		s++;
	for (n = strlen(s); n && isspace((unsigned char)s[n - 1]); n--)
		s[n - 1] = '\0';
	return s;
}

/* The first character of `ends`, or the end: before a comment, which is a ; behind a blank. */
static char *find(char *s, const char *ends)
{
	bool blank = false;

	for (; *s && !strchr(ends, *s) && !(blank && *s == ';'); s++)
		blank = isspace((unsigned char)*s);
	return s;
}

static bool take(const struct parsing *p, const char *name, char *value)
{
	*find(value, "") = '\0';
	return p->handler(p->user, p->section, name, trim(value)) != 0;
}

static bool begin_section(struct parsing *p, char *line)
{
	char *end = find(line + 1, "]");

	if (*end != ']')
		return false;
	*end = '\0';
	snprintf(p->section, NAME, "%s", line + 1);
	p->name[0] = '\0';
	return true;
}

static bool take_pair(struct parsing *p, char *line)
{
	char *value = find(line, "=:"), *name;

	if (*value != '=' && *value != ':')
		return false;
	*value++ = '\0';
	name = trim(line);
	snprintf(p->name, NAME, "%s", name);
	return take(p, name, value);
}

static bool take_line(struct parsing *p, char *line, bool indented)
{
	if (!*line || *line == ';' || *line == '#')
		return true;
	/* One more value of the name before. */
	if (indented && p->name[0])
		return take(p, p->name, line);
	return *line == '[' ? begin_section(p, line) : take_pair(p, line);
}

int ini_parse_stream(ini_reader reader, void *stream, ini_handler handler, void *user)
{
	struct parsing p = {handler, user, "", ""};
	int number = 0, fault = 0;
	char buf[LINE];

	while (reader(buf, sizeof(buf), stream)) {
		/* A file of another system's editor may begin with a byte order mark. */
		const bool mark = ++number == 1 && strncmp(buf, "\xef\xbb\xbf", 3) == 0;
		char *line = trim(buf + (mark ? 3 : 0));

		if (!take_line(&p, line, line > buf) && !fault)
			fault = number;
	}
	return fault;
}
