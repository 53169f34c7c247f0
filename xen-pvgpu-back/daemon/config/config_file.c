/* SPDX-License-Identifier: MIT */
/* Reads pvgpud.conf. */
#include <errno.h>
#include <ini.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"

/* inih's handler gets no line numbers, so the reader counts. */
struct reading {
	struct config *c;
	FILE *f;
	const char *name;
	unsigned int line;
	bool daemon; /* there was a [daemon] */
	bool failed;
	char *error;
};

/* There is a fault: is the rest of the file read, too? */
static bool goes_on(struct reading *r)
{
	r->failed = true;
	if (r->c->each_fault)
		r->c->each_fault(r->error);
	return r->c->each_fault;
}

/* Things that sections have made. */
static unsigned int objects(const struct config *c)
{
	return c->pool_n + c->group_n + c->vgpu_n;
}

/*
 * inih reports no section without keys, but here such a section makes a vGPU, a pool or a group. It
 * would take an indented line as the continuation of a value; the blanks are removed, so that it is
 * a line of its own.
 */
static int look_at_line(struct reading *r, char *buf)
{
	char *s = buf + strspn(buf, " \t"), *end;
	char section[80], place[CONFIG_PATH + 20];
	unsigned int had;

	if (s != buf)
		memmove(buf, s, strlen(s) + 1);
	end = strchr(buf, ']');
	if (buf[0] != '[' || !end)
		return 0;
	snprintf(section, sizeof(section), "%.*s", end - buf > 79 ? 79 : (int)(end - buf - 1),
		 buf + 1);
	snprintf(place, sizeof(place), "%.200s:%u: ", r->name, r->line);
	had = objects(r->c);
	if (config_section(r->c, section, place, r->error) < 0)
		return -1;
	if (strcmp(section, "daemon") ? objects(r->c) > had : !r->daemon) {
		r->daemon |= !strcmp(section, "daemon");
		return 0;
	}
	snprintf(r->error, CONFIG_ERROR,
		 "%s[%s] is there already: put its settings into one section", place, section);
	return -1;
}

static char *read_line(char *buf, int cap, void *arg)
{
	struct reading *r = arg;
	size_t n;

	if ((r->failed && !r->c->each_fault) || !fgets(buf, cap, r->f))
		return NULL;
	r->line++;
	n = strlen(buf);
	if (n && buf[n - 1] != '\n' && !feof(r->f)) {
		snprintf(r->error, CONFIG_ERROR, "%s:%u: line longer than %d characters", r->name,
			 r->line, cap - 2);
		r->failed = true;
		return NULL;
	}
	if (look_at_line(r, buf) < 0 && !goes_on(r))
		return NULL;
	return buf;
}

static int on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;
	char place[CONFIG_PATH + 20];

	if (r->failed && !r->c->each_fault)
		return 0;
	snprintf(place, sizeof(place), "%.200s:%u: ", r->name, r->line);
	return config_key(r->c, section, name, value, place, r->error) == 0 || goes_on(r);
}

int config_stream(struct config *c, FILE *f, const char *name, char error[CONFIG_ERROR])
{
	struct reading r = {.c = c, .f = f, .name = name, .error = error};
	int line = ini_parse_stream(read_line, &r, on_value, &r);

	if (r.failed)
		return -1;
	if (line) {
		snprintf(error, CONFIG_ERROR, "%s:%d: neither [section] nor key = value", name,
			 line);
		return -1;
	}
	return 0;
}

int config_file(struct config *c, const char *path, char error[CONFIG_ERROR])
{
	FILE *f = fopen(path, "re");
	int r;

	if (!f) {
		snprintf(error, CONFIG_ERROR, "%s: %s; --config FILE names another", path,
			 strerror(errno));
		return -1;
	}
	r = config_stream(c, f, path, error);
	fclose(f);
	return r;
}
