/* SPDX-License-Identifier: MIT */
/* What a list of allowed system calls, ioctls and files needs: what was seen after the seal. */
#include <stdio.h>
#include <string.h>

#include "tests/gpu/trace/trace.h"

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static void print_errors(const json_t *o)
{
	const char *name;
	json_t *times;

	json_object_foreach(json_object_get(o, "errors"), name, times)
		printf(" %s:%lld", name, (long long)json_integer_value(times));
	printf("\n");
}

/* A line for each row: how often, what the keys say, errors. */
static void print_rows(const json_t *after, const char *title, const char *list,
		       const char *const keys[])
{
	json_t *rows = json_object_get(after, list), *o;
	size_t i;

	printf("%s: %zu\n", title, json_array_size(rows));
	json_array_foreach(rows, i, o)
	{
		printf("%10lld", (long long)json_integer_value(json_object_get(o, "count")));
		for (size_t k = 0; keys[k]; k++)
			if (text(o, keys[k])[0])
				printf(" %s", text(o, keys[k]));
		print_errors(o);
	}
}

int summary_print(const char *path)
{
	static const char *const calls[] = {"call", NULL};
	static const char *const ioctls[] = {"file", "request", "what", NULL};
	static const char *const files[] = {"call", "path", "flags", NULL};
	json_error_t error;
	json_t *o = json_load_file(path, 0, &error);
	json_t *after = json_object_get(o, "after");

	if (!after) {
		fprintf(stderr, "gpu-trace: %s: %s\n", path, o ? "no output of ours" : error.text);
		json_decref(o);
		return 1;
	}
	if (!json_integer_value(json_object_get(o, "seals")))
		printf("nothing was sealed\n");
	print_rows(after, "calls", "calls", calls);
	print_rows(after, "ioctls", "ioctls", ioctls);
	print_rows(after, "files", "files", files);
	json_decref(o);
	return 0;
}
