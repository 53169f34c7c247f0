/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/core/ctl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore-schema/dump.h"

#define DUMP_MAX (64u << 20)
#define PATH_CAP 4096

enum { GOOD, WRONG, NO_DUMP };

struct tree {
	struct pvgpu_entry *e;
	size_t n, cap;
	char **paths; /* of JSON: allocated, as many as entries */
};

static int fail(const char *file, const char *what)
{
	fprintf(stderr, "pvgpuctl: %s: %s\n", file, what);
	return NO_DUMP;
}

/* All of a file, with a NUL after it; NULL with errno. */
static char *slurp(FILE *f, size_t *len)
{
	size_t cap = 1 << 16, n;
	char *text = malloc(cap + 1);

	*len = 0;
	while (text && (n = fread(text + *len, 1, cap - *len, f)) > 0) {
		char *more;

		*len += n;
		if (*len < cap)
			continue;
		cap *= 2;
		more = cap <= DUMP_MAX ? realloc(text, cap + 1) : NULL;
		if (!more) {
			free(text);
			errno = EFBIG;
			return NULL;
		}
		text = more;
	}
	if (text && ferror(f)) {
		free(text);
		return NULL;
	}
	if (text)
		text[*len] = '\0';
	return text;
}

static int add(struct tree *t, const char *path, json_t *value)
{
	if (t->n == t->cap) {
		size_t cap = t->cap ? 2 * t->cap : 64;
		struct pvgpu_entry *e = reallocarray(t->e, cap, sizeof(*e));
		char **paths = e ? reallocarray(t->paths, cap, sizeof(*paths)) : NULL;

		t->e = e ? e : t->e;
		if (!paths)
			return -ENOMEM;
		t->paths = paths;
		t->cap = cap;
	}
	t->paths[t->n] = strdup(path);
	if (!t->paths[t->n])
		return -ENOMEM;
	t->e[t->n] = (struct pvgpu_entry){.path = t->paths[t->n],
					  .value = json_string_value(value),
					  .len = json_string_length(value)};
	t->n++;
	return 0;
}

/* Objects inside objects, or whole paths as names, or both. Depth is bounded by jansson. */
static int from_json(struct tree *t, json_t *o, const char *path)
{
	const char *name;
	json_t *child;

	if (json_is_string(o))
		return add(t, path, o);
	if (!json_is_object(o))
		return -EINVAL;
	json_object_foreach(o, name, child)
	{
		char *deeper;
		int ret;

		if (asprintf(&deeper, "%s%s%s", path, name[0] == '/' ? "" : "/", name) < 0)
			return -ENOMEM;
		ret = strlen(deeper) < PATH_CAP ? from_json(t, child, deeper) : -EINVAL;
		free(deeper);
		if (ret)
			return ret;
	}
	return 0;
}

static void print_finding(void *arg, enum pvgpu_severity severity, const char *path,
			  const char *text)
{
	/* A path from a hostile guest may hold a terminal's control sequences. */
	for (; *path; path++)
		putchar(*path >= ' ' && *path <= '~' ? *path : '?');
	printf(": %s: %s\n", severity == PVGPU_ERROR ? "error" : "warning", text);
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

static int judge(struct tree *t, const char *file)
{
	struct pvgpu_findings f = {.report = print_finding};
	bool good = pvgpu_keys_validate(t->e, t->n, &f);

	if (!f.keys)
		return fail(file, "there is no key of pvgpu in it");
	printf("%zu vGPU%s, %zu key%s: %zu error%s, %zu warning%s\n", f.vgpus, plural(f.vgpus),
	       f.keys, plural(f.keys), f.errors, plural(f.errors), f.warnings, plural(f.warnings));
	return good ? GOOD : WRONG;
}

static int check_json(const char *text, size_t len, const char *file)
{
	json_error_t error;
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	struct tree t = {0};
	int status;

	if (!root) {
		fprintf(stderr, "pvgpuctl: %s:%d: %s\n", file, error.line, error.text);
		return NO_DUMP;
	}
	status = from_json(&t, root, "");
	if (status)
		status =
			fail(file, status == -ENOMEM
					   ? strerror(ENOMEM)
					   : "must be objects and strings only, paths below 4 KiB");
	else
		status = t.n ? judge(&t, file) : fail(file, "there is no key in it");
	for (size_t i = 0; i < t.n; i++)
		free(t.paths[i]);
	free(t.paths);
	free(t.e);
	json_decref(root); /* owns the values */
	return status;
}

static int check_ls(char *text, size_t len, const char *file)
{
	struct tree t = {.cap = pvgpu_dump_lines(text, len)};
	const char *why;
	size_t line;
	long n;
	int status;

	t.e = calloc(t.cap, sizeof(*t.e));
	if (!t.e)
		return fail(file, strerror(ENOMEM));
	n = pvgpu_dump_read(text, len, t.e, t.cap, &line, &why);
	if (n < 0) {
		fprintf(stderr, "pvgpuctl: %s:%zu: %s\n", file, line, why);
		status = NO_DUMP;
	} else {
		t.n = (size_t)n;
		status = judge(&t, file);
	}
	free(t.e);
	return status;
}

int check_main(int argc, char **argv)
{
	const char *file = strcmp(argv[0], "-") ? argv[0] : "stdin";
	FILE *f = strcmp(argv[0], "-") ? fopen(file, "re") : stdin;
	char *text;
	size_t len;
	int status;

	if (!f)
		return fail(file, strerror(errno));
	text = slurp(f, &len);
	if (f != stdin)
		fclose(f);
	if (!text)
		return fail(file, strerror(errno));
	status = text[strspn(text, " \t\r\n")] == '{' ? check_json(text, len, file)
						      : check_ls(text, len, file);
	free(text);
	return status;
}
