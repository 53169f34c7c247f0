/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/ini_file.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct reading {
	const struct ini_reader *reader;
	const char *path;
	FILE *f;
	unsigned int line;
	int faults;
	bool skipping; /* the section was not accepted */
	bool open;     /* there was a section */
};

static void complain(struct reading *r, unsigned int line, const char *why)
{
	char text[INI_FAULT];

	snprintf(text, sizeof(text), "%s:%u: %s", r->path, line, why);
	r->faults++;
	r->reader->fault(r->reader->arg, text);
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	char why[INI_WHY];

	if (r->skipping)
		return 1;
	if (!r->open)
		complain(r, r->line, "a key before the first [section]");
	else if (r->reader->value(r->reader->arg, name, value, why) < 0)
		complain(r, r->line, why);
	return 1;
}

static void begin(struct reading *r, char *line)
{
	char why[INI_WHY], *end = strchr(line, ']');

	if (!end)
		return;
	*end = '\0';
	r->open = true;
	r->skipping = r->reader->section(r->reader->arg, line + 1, why) < 0;
	if (r->skipping)
		complain(r, r->line, why);
	*end = ']';
}

/* inih's handler gets no line numbers and no sections without keys, and takes a line that begins
 * with a blank for the continuation of the one before. */
static char *next_line(char *buf, int cap, void *arg)
{
	struct reading *r = arg;
	size_t n;

	if (!fgets(buf, cap, r->f))
		return NULL;
	r->line++;
	n = strlen(buf);
	if (n && buf[n - 1] != '\n' && !feof(r->f)) {
		int c;

		complain(r, r->line, "the line is too long");
		while ((c = fgetc(r->f)) != EOF && c != '\n')
			;
		buf[0] = '\n';
		buf[1] = '\0';
		return buf;
	}
	n = strspn(buf, " \t");
	memmove(buf, buf + n, strlen(buf + n) + 1);
	if (buf[0] == '[')
		begin(r, buf);
	return buf;
}

int ini_file_read(const char *path, const struct ini_reader *reader)
{
	struct reading r = {.reader = reader, .path = path, .f = fopen(path, "re")};
	int line;

	if (!r.f)
		return -errno;
	line = ini_parse_stream(next_line, &r, on_value, &r);
	fclose(r.f);
	if (line > 0)
		complain(&r, (unsigned int)line, "neither [section] nor key = value");
	return r.faults;
}

void ini_fault_ignore(void *arg, const char *text)
{
}
