/* SPDX-License-Identifier: MIT */
/* The parent's side: the facts of a step as they come, folded into one object. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tests/gpu/probe/core.h"
#include "xen-pvgpu-back/health/nvml.h"

void fold_open(struct fold *f)
{
	*f = (struct fold){
		.values = json_object(), .failed = json_array(), .verdicts = json_object()};
}

static const char *result_name(const char *call, int result)
{
	const char *name = NULL;

	if (result >= 0 && !strncmp(call, "nvml", 4))
		return nvml_text((nvmlReturn_t)result);

	if (result < 0)
		return "no such symbol";
	return cuGetErrorName((CUresult)result, &name) == CUDA_SUCCESS ? name : "unknown";
}

static void fold_failed(struct fold *f, const json_t *o, const char *call)
{
	const json_int_t result = json_integer_value(json_object_get(o, "result"));
	const json_int_t times = json_integer_value(json_object_get(o, "times"));
	json_t *e;
	size_t i;

	json_array_foreach(f->failed, i, e)
	{
		json_t *had = json_object_get(e, "times");

		if (json_integer_value(json_object_get(e, "result")) != result ||
		    strcmp(json_string_value(json_object_get(e, "call")), call))
			continue;
		json_integer_set(had, json_integer_value(had) + times);
		return;
	}
	json_array_append_new(f->failed,
			      json_pack("{s:s, s:I, s:s, s:I}", "call", call, "result", result,
					"name", result_name(call, (int)result), "times", times));
}

/* Where one part of a step contradicts another, the assumption does not hold. */
static void fold_verdict(struct fold *f, const json_t *o, const char *id)
{
	const bool holds = json_is_true(json_object_get(o, "holds"));

	if (holds && json_object_get(f->verdicts, id))
		return;
	json_object_set_new(f->verdicts, id,
			    json_pack("{s:s, s:O}", "verdict", holds ? "holds" : "does not hold",
				      "detail", json_object_get(o, "detail")));
}

static void fold_line(struct fold *f)
{
	json_t *o = json_loadb(f->line, f->n, 0, NULL);
	const char *s;

	f->n = 0;
	if (!o)
		return;
	f->any = true;
	if ((s = json_string_value(json_object_get(o, "key"))))
		json_object_set(f->values, s, json_object_get(o, "value"));
	else if ((s = json_string_value(json_object_get(o, "failed"))))
		fold_failed(f, o, s);
	else if ((s = json_string_value(json_object_get(o, "assume"))))
		fold_verdict(f, o, s);
	json_decref(o);
}

bool fold_read(struct fold *f, int fd)
{
	char some[4096];
	ssize_t n;

	while ((n = read(fd, some, sizeof(some))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			if (some[i] == '\n')
				fold_line(f);
			else if (f->n < sizeof(f->line))
				f->line[f->n++] = some[i];
		}
	}
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void fold_unseen(struct fold *f, const char *step)
{
	for (const struct row *r = rows; r->id; r++)
		if (!strcmp(r->step, step) && !json_object_get(f->verdicts, r->id))
			json_object_set_new(
				f->verdicts, r->id,
				json_pack("{s:s, s:s}", "verdict", "not seen", "detail", ""));
}
