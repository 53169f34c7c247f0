/* SPDX-License-Identifier: MIT */
/* The counts: rows are found by hash, kept in the order in which they were first seen. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/gpu/trace/trace.h"

#define CALLS      1024
#define INDEX      4096 /* a power of two, above the most rows of a group */
#define PER_GROUP  1500
#define OTHER_NAME "other"

static const char *const names[CALLS] = {
#include "trace_calls.h"
};

struct group_table {
	uint16_t index[INDEX]; /* row + 1 */
	unsigned int n;
	struct row rows[PER_GROUP], other;
};

static struct {
	struct call calls[CALLS], other;
	struct group_table groups[GROUPS];
} phases[PHASES];

const char *call_name(uint64_t nr)
{
	return nr < CALLS ? names[nr] : NULL;
}

struct call *table_call(enum phase p, uint64_t nr)
{
	return call_name(nr) ? &phases[p].calls[nr] : &phases[p].other;
}

void table_error(struct errors *e, int number)
{
	for (size_t i = 0; i < sizeof(e->each) / sizeof(e->each[0]); i++) {
		if (e->each[i].times && e->each[i].number != number)
			continue;
		e->each[i].number = number;
		e->each[i].times++;
		return;
	}
	e->other++;
}

static uint32_t hash(const struct key *k)
{
	const char *const parts[] = {k->call, k->name, k->a, k->b};
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (const char *s = parts[i]; *s; s++)
			h = (h ^ (uint8_t)*s) * 16777619u;
		h = (h ^ '\n') * 16777619u;
	}
	return h;
}

static bool same(const struct key *a, const struct key *b)
{
	return !strcmp(a->call, b->call) && !strcmp(a->name, b->name) && !strcmp(a->a, b->a) &&
	       !strcmp(a->b, b->b);
}

struct row *table_row(enum phase p, const struct key *k)
{
	struct group_table *t = &phases[p].groups[k->group];
	uint32_t at = hash(k) % INDEX;

	for (; t->index[at]; at = (at + 1) % INDEX)
		if (same(&t->rows[t->index[at] - 1].key, k))
			return &t->rows[t->index[at] - 1];
	if (t->n == PER_GROUP) {
		t->other.key.group = k->group;
		snprintf(t->other.key.call, sizeof(t->other.key.call), OTHER_NAME);
		return &t->other;
	}
	t->index[at] = (uint16_t)++t->n;
	t->rows[t->n - 1].key = *k;
	return &t->rows[t->n - 1];
}

/* ---- JSON ---- */

static json_t *errors_json(const struct errors *e)
{
	json_t *o = json_object();
	char number[16];

	for (size_t i = 0; i < sizeof(e->each) / sizeof(e->each[0]) && e->each[i].times; i++) {
		const char *name = strerrorname_np(e->each[i].number);

		/* The kernel's own, of a call that begins again after a signal. */
		snprintf(number, sizeof(number), e->each[i].number >= 512 ? "ERESTART" : "%d",
			 e->each[i].number);
		name = name ? name : number;
		json_object_set_new(o, name,
				    json_integer(json_integer_value(json_object_get(o, name)) +
						 e->each[i].times));
	}
	if (e->other)
		json_object_set_new(o, OTHER_NAME, json_integer((json_int_t)e->other));
	return o;
}

static void add_counts(json_t *o, uint64_t count, const struct errors *e)
{
	json_object_set_new(o, "count", json_integer((json_int_t)count));
	if (e->each[0].times)
		json_object_set_new(o, "errors", errors_json(e));
}

static json_t *call_json(const char *name, const struct call *c)
{
	json_t *o = json_pack("{ss}", "call", name);

	add_counts(o, c->count, &c->errors);
	return o;
}

/* A request's number as its parts: most drivers' follow the convention of _IOC. */
static void add_request(json_t *o, const struct key *k)
{
	static const char *const dirs[] = {"none", "write", "read", "read and write"};
	uint32_t r = (uint32_t)strtoul(k->a, NULL, 16);

	json_object_set_new(o, "dir", json_string(dirs[r >> 30]));
	json_object_set_new(o, "type", json_sprintf("0x%02x", r >> 8 & 0xff));
	json_object_set_new(o, "nr", json_integer(r & 0xff));
	json_object_set_new(o, "size", json_integer(r >> 16 & 0x3fff));
	if (!strncmp(k->name, "/dev/nvidia", 11) && (r >> 8 & 0xff) == 'F')
		json_object_set_new(o, "escape", json_sprintf("0x%02x", r & 0xff));
}

static void add_text(json_t *o, const char *key, const char *value)
{
	if (value[0])
		json_object_set_new(o, key, json_string(value));
}

static json_t *row_json(const struct row *r)
{
	static const char *const keys[GROUPS][3] = {
		[FILES] = {"path", "flags", "mode"},
		[IOCTLS] = {"file", "request", "what"},
		[MAPS] = {"file", "prot", "flags"},
		[DETAILS] = {"name", "what", "more"},
	};
	const char *const *key = keys[r->key.group];
	json_t *o = json_pack("{ss}", "call", r->key.call);

	add_text(o, key[0], r->key.name);
	add_text(o, key[1], r->key.a);
	add_text(o, key[2], r->key.b);
	if (r->key.group == IOCTLS && r->key.a[0])
		add_request(o, &r->key);
	add_counts(o, r->count, &r->errors);
	if (r->bytes)
		json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	return o;
}

static json_t *group_json(const struct group_table *t)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < t->n; i++)
		json_array_append_new(list, row_json(&t->rows[i]));
	if (t->other.count)
		json_array_append_new(list, row_json(&t->other));
	return list;
}

json_t *table_json(enum phase p)
{
	json_t *o = json_object(), *calls = json_array();

	for (uint64_t nr = 0; nr < CALLS; nr++)
		if (phases[p].calls[nr].count)
			json_array_append_new(calls,
					      call_json(call_name(nr), &phases[p].calls[nr]));
	if (phases[p].other.count)
		json_array_append_new(calls, call_json(OTHER_NAME, &phases[p].other));
	json_object_set_new(o, "calls", calls);
	json_object_set_new(o, "files", group_json(&phases[p].groups[FILES]));
	json_object_set_new(o, "ioctls", group_json(&phases[p].groups[IOCTLS]));
	json_object_set_new(o, "maps", group_json(&phases[p].groups[MAPS]));
	json_object_set_new(o, "details", group_json(&phases[p].groups[DETAILS]));
	return o;
}
