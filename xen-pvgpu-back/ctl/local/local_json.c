/* SPDX-License-Identifier: MIT */
/* pvgpud's keys are texts; here they become what pvgpuctl prints with --json. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/local/local.h"
#include "xen-pvgpu-back/toolstack/vgpus.h"

static bool among(const char *key, const char *const *names)
{
	for (; *names; names++)
		if (!strcmp(key, *names))
			return true;
	return false;
}

/* texts: keys that are no numbers. */
static void put_typed(json_t *out, json_t *keys, const char *const *texts)
{
	const char *key, *value;
	json_t *child;

	json_object_foreach(keys, key, child)
	{
		value = json_string_value(child);
		if (value)
			json_object_set_new(out, key,
					    among(key, texts) ? json_string(value)
							      : json_integer(atoll(value)));
	}
}

json_t *local_gpu_json(const char *name, json_t *keys)
{
	static const char *const texts[] = {"device",      "model",  "policy", "mode",
					    "failure",     "health", "reset",  "test",
					    "persistence", "ecc",    "cpus",   NULL};
	json_t *o = json_pack("{s:s}", "name", name);

	put_typed(o, keys, texts);
	return o;
}

json_t *local_sessions_json(const char *vgpu, json_t *sessions)
{
	static const char *const texts[] = {"state", NULL};
	json_t *all = json_array(), *s;
	const char *id;

	json_object_foreach(sessions, id, s)
	{
		/* A session is of a process here, or of a guest. */
		json_t *o =
			json_pack("{s:s, s:I, s:n, s:n, s:n}", "vgpu", vgpu, "id",
				  (json_int_t)atoll(id), "guest-pid", "guest-session", "grants");

		put_typed(o, s, texts);
		json_array_append_new(all, o);
	}
	return all;
}

static json_t *row_of(json_t *statistics, const char *name)
{
	json_t *row;
	size_t i;

	json_array_foreach(json_object_get(statistics, "vgpus"), i, row)
	{
		if (!strcmp(local_text(row, "name"), name))
			return row;
	}
	return NULL;
}

/* A record of xenstore from pvgpud's keys of the same names. */
static json_t *policy_of(json_t *keys)
{
	const struct pvgpu_key *k = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];
	char text[PVGPU_KEY_TEXT] = "";
	size_t n = 0;

	for (uint32_t i = 0; i < k->nfields; i++) {
		const char *value = local_text(keys, k->fields[i].name);

		if (value[0] && n < sizeof(text))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s", n ? " " : "",
					      k->fields[i].name, value);
	}
	return vgpu_record_json(PVGPU_KEY_BACKEND_POLICY, text);
}

/* Under the names of the fields of xenstore's key. */
static json_t *statistics_of(json_t *row)
{
	static const char *const parts[] = {[PVGPU_PART_AVG] = "avg",
					    [PVGPU_PART_P50] = "p50",
					    [PVGPU_PART_P95] = "p95",
					    [PVGPU_PART_P99] = "p99"};
	const struct pvgpu_key *k = &pvgpu_keys[PVGPU_KEY_BACKEND_STATISTICS];
	json_t *o = json_object(), *value;

	for (uint32_t i = 0; i < PVGPU_STATISTIC_FIELDS; i++) {
		const struct pvgpu_statistic_field *f = &pvgpu_statistic_fields[i];

		if (f->part == PVGPU_PART_VALUE)
			value = json_object_get(row, pvgpu_vgpu_statistics[f->of].name);
		else
			value = json_object_get(
				json_object_get(row, pvgpu_vgpu_histograms[f->of].name),
				parts[f->part]);
		json_object_set(o, k->fields[i].name, value);
	}
	return o;
}

/* Of the local link: no VM, and pvgpud itself is the backend. */
static json_t *vm_of(json_t *row, json_t *keys)
{
	json_t *vm = json_object_get(row, "vm");

	if (!json_is_object(vm))
		return json_null();
	vm = json_copy(vm);
	json_object_set(vm, "state", json_object_get(keys, "state"));
	return vm;
}

json_t *local_vgpu_json(const char *name, json_t *tree, json_t *statistics)
{
	json_t *keys = json_object_get(json_object_get(tree, "vgpu"), name);
	json_t *row = row_of(statistics, name), *id = json_object_get(row, "id");
	const char *failure = local_failure(tree, keys), *refusing = local_text(keys, "refusing");
	const bool of_guest = json_is_object(json_object_get(row, "vm"));
	const bool connected = !of_guest || !strcmp(local_text(keys, "state"), "Connected");

	return json_pack(
		"{s:s, s:O, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:n, s:I, s:o, s:o, s:s, "
		"s:s}",
		"name", name, "id", id ? id : json_null(), "uuid", local_text(row, "uuid"), "model",
		"", "pool", local_text(row, "pool"), "profile", "", "tenant",
		local_text(row, "tenant"), "state", local_text(row, "state"), "online", 1,
		"connected", (int)connected, "vm", vm_of(row, keys), "backend", "memory",
		(json_int_t)atoll(local_text(keys, "memory")), "policy", policy_of(keys),
		"statistics", statistics_of(row), "last-reason", local_text(keys, "last-reason"),
		"reason", failure[0] ? failure : refusing);
}
