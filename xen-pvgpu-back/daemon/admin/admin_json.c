/* SPDX-License-Identifier: MIT */
/*
 * {"op":"tree"}, {"op":"list","path":P}, {"op":"read","path":P}, {"op":"write","path":P,"value":V}
 * -> {"ok":true,"tree":…}, {"ok":true,"list":[…]}, {"ok":true,"value":V}, {"ok":true},
 * {"op":"events","from":N} -> {"ok":true,"log":{"next":N,"lost":N,"events":[…]}}
 * {"op":"statistics"} -> {"ok":true,"statistics":{…}}
 *    {"ok":false,"error":"ENOENT","reason":"for people"}
 * A request of dom0 has "uid" and "pid" of pvgpuctl there.
 */
#include "xen-pvgpu-back/daemon/admin/admin_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/admin/events.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/admin/tree.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/statistics/statistics.h"

static json_t *refuse(const char *error, const char *fmt, const char *what)
{
	json_t *reason = json_sprintf(fmt, what);

	if (!reason) /* not UTF-8 */
		reason = json_string(error);
	return json_pack("{s:b, s:s, s:o}", "ok", 0, "error", error, "reason", reason);
}

static json_t *no_such(json_t *tree, const char *path)
{
	char why[TREE_WHY];

	tree_missing(tree, path, why);
	return refuse("ENOENT", "%s", why);
}

static json_t *op_tree(struct daemon *d, json_t *tree, const char *path, const char *value)
{
	json_t *at = tree_find(tree, path);

	if (!at)
		return no_such(tree, path);
	return json_pack("{s:b, s:O}", "ok", 1, "tree", at);
}

static json_t *op_list(struct daemon *d, json_t *tree, const char *path, const char *value)
{
	json_t *at = tree_find(tree, path), *list, *child;
	const char *key;

	if (!at)
		return no_such(tree, path);
	list = json_array();
	json_object_foreach(at, key, child) json_array_append_new(list, json_string(key));
	return json_pack("{s:b, s:o}", "ok", 1, "list", list);
}

static json_t *op_read(struct daemon *d, json_t *tree, const char *path, const char *value)
{
	json_t *at = tree_find(tree, path);

	if (!at)
		return no_such(tree, path);
	if (!json_is_string(at))
		return refuse("EISDIR", "%.200s: holds keys, not a value", path);
	return json_pack("{s:b, s:O}", "ok", 1, "value", at);
}

/* One line for each change that an administrator makes: who, what, from, to. */
static void audit(const struct daemon *d, const char *path, const char *from, const char *to)
{
	log_info("audit: %suid %u pid %d: %.200s: '%.200s' -> '%.200s'",
		 d->asks.dom0 ? "dom0 " : "", d->asks.uid, (int)d->asks.pid, path, from ? from : "",
		 to);
}

static json_t *op_write(struct daemon *d, json_t *tree, const char *path, const char *value)
{
	char why[TREE_WHY] = "";
	int err;

	if (!value)
		return refuse("EINVAL", "%.200s: write needs a value", path);
	err = tree_write(d, path, value, why);
	if (!err || err == EIO)
		audit(d, path, json_string_value(tree_find(tree, path)), value);
	switch (err) {
	case 0:
		return json_pack("{s:b}", "ok", 1);
	case EIO:
		return refuse("EIO", "%s", why);
	case EBUSY:
		return refuse("EBUSY", "%s", why);
	case EINVAL:
		if (why[0])
			return refuse("EINVAL", "%s", why);
		return refuse("EINVAL", "%.200s: not a value for this key", value);
	case EACCES:
		if (why[0])
			return refuse("EACCES", "%s", why);
		if (!tree_find(tree, path))
			return no_such(tree, path);
		return refuse("EACCES", "%.200s: read-only", path);
	default:
		return no_such(tree, path);
	}
}

/* In the words of `pvgpuctl stats --json`. */
static json_t *op_statistics(struct daemon *d)
{
	char why[STATISTICS_WHY];
	struct statistics s;
	struct text t = {0};
	size_t size;
	void *bytes = snapshot_copy(d, &size);
	json_t *all = NULL;

	if (bytes && statistics_take(&s, bytes, size, why) == 0) {
		statistics_json(&t, &s, NULL);
		all = t.failed ? NULL : json_loadb(t.bytes, t.n, 0, NULL);
		text_free(&t);
		statistics_free(&s);
	}
	if (!all)
		return refuse("ENOMEM", "%s", "out of memory");
	return json_pack("{s:b, s:o}", "ok", 1, "statistics", all);
}

static const struct {
	const char *name;
	json_t *(*run)(struct daemon *d, json_t *tree, const char *path, const char *value);
} ops[] = {{"tree", op_tree}, {"list", op_list}, {"read", op_read}, {"write", op_write}};

static json_t *run(struct daemon *d, json_t *req)
{
	const char *op = json_string_value(json_object_get(req, "op"));
	const char *path = json_string_value(json_object_get(req, "path"));
	const char *value = json_string_value(json_object_get(req, "value"));
	json_t *tree, *answer;

	if (!op)
		return refuse("EINVAL", "%s", "a request is an object with an op");
	if (d->asks.dom0) {
		d->asks.uid = (uid_t)json_integer_value(json_object_get(req, "uid"));
		d->asks.pid = (pid_t)json_integer_value(json_object_get(req, "pid"));
	}
	if (!strcmp(op, "events")) {
		const json_int_t from = json_integer_value(json_object_get(req, "from"));

		return json_pack("{s:b, s:o}", "ok", 1, "log",
				 events_json(from > 0 ? (uint64_t)from : 0));
	}
	if (!strcmp(op, "statistics"))
		return op_statistics(d);
	if (!path)
		path = "/";
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		if (strcmp(op, ops[i].name) != 0)
			continue;
		tree = tree_make(d, path);
		answer = ops[i].run(d, tree, path, value);
		json_decref(tree);
		return answer;
	}
	return refuse("ENOSYS", "%.60s: this pvgpud does not know that: update it", op);
}

char *admin_answer(struct daemon *d, const char *line, size_t len)
{
	json_error_t error;
	json_t *req = json_loadb(line, len, JSON_REJECT_DUPLICATES, &error);
	json_t *answer = req ? run(d, req) : refuse("EINVAL", "not JSON: %.120s", error.text);
	char *text, *out = NULL;

	json_decref(req);
	text = answer ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	json_decref(answer);
	if (text) {
		size_t n = strlen(text);

		out = realloc(text, n + 2);
		if (!out)
			free(text);
		else
			memcpy(out + n, "\n", 2);
	}
	return out;
}
