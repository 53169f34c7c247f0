/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/vgpus.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/toolstack/tenants.h"

void vgpu_path(enum pvgpu_tree_id tree, const struct pvgpu_ids *ids, const char *name,
	       char path[STORE_PATH])
{
	/* Three numbers and a key's name always fit. */
	if (pvgpu_tree_path(&pvgpu_trees[tree], ids, name, path, STORE_PATH))
		path[0] = '\0';
}

const char *state_name(enum pvgpu_state s)
{
	const char *name = pvgpu_name_of(&pvgpu_state_names, s);

	return name ? name : "Unknown";
}

/* Parses a key's value into *out, which keeps its value if the key's is malformed. */
#define READ(s, ids, KEY, parse, out)                                                              \
	do {                                                                                       \
		size_t len_;                                                                       \
		char *text_ = store_key(s, KEY, ids, &len_);                                       \
                                                                                                   \
		parse(text_, len_, out, NULL);                                                     \
		free(text_);                                                                       \
	} while (0)

void vgpu_read_states(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v)
{
	char path[STORE_PATH];

	*v = (struct vgpu){.ids = *ids};
	vgpu_path(PVGPU_TREE_FRONTEND, ids, NULL, path);
	v->guest_there = store_exists(s, path);
	if (v->guest_there)
		READ(s, ids, PVGPU_KEY_FRONTEND_STATE, pvgpu_frontend_state_parse, &v->guest_state);
	vgpu_path(PVGPU_TREE_BACKEND, ids, NULL, path);
	v->backend_there = store_exists(s, path);
	if (!v->backend_there)
		return;
	READ(s, ids, PVGPU_KEY_BACKEND_STATE, pvgpu_backend_state_parse, &v->state);
	READ(s, ids, PVGPU_KEY_BACKEND_ONLINE, pvgpu_backend_online_parse, &v->online);
}

void vgpu_read_uuid(struct store *s, const struct pvgpu_ids *ids, char text[PVGPU_UUID_TEXT])
{
	struct pvgpu_uuid uuid = {{0}}, none = {{0}};

	READ(s, ids, PVGPU_KEY_BACKEND_UUID, pvgpu_backend_uuid_parse, &uuid);
	text[0] = '\0';
	if (memcmp(&uuid, &none, sizeof(uuid)) != 0)
		pvgpu_backend_uuid_format(&uuid, text, PVGPU_UUID_TEXT, NULL);
}

bool vgpu_is_there(struct store *s, const struct pvgpu_ids *ids, const char *uuid)
{
	char path[STORE_PATH], now[PVGPU_UUID_TEXT];

	if (uuid[0]) {
		vgpu_read_uuid(s, ids, now);
		if (now[0])
			return !strcmp(now, uuid);
	}
	vgpu_path(PVGPU_TREE_BACKEND, ids, NULL, path);
	return store_exists(s, path);
}

void vgpu_read(struct store *s, const struct pvgpu_ids *ids, struct vgpu *v)
{
	vgpu_read_states(s, ids, v);
	if (!v->backend_there)
		return;
	vgpu_read_uuid(s, ids, v->uuid);
	READ(s, ids, PVGPU_KEY_BACKEND_MODEL, pvgpu_backend_model_parse, &v->model);
	READ(s, ids, PVGPU_KEY_BACKEND_POOL, pvgpu_backend_pool_parse, &v->pool);
	READ(s, ids, PVGPU_KEY_BACKEND_PROFILE, pvgpu_backend_profile_parse, &v->profile);
	READ(s, ids, PVGPU_KEY_BACKEND_LAST_REASON, pvgpu_backend_last_reason_parse, &v->reason);
	READ(s, ids, PVGPU_KEY_BACKEND_MEMORY, pvgpu_backend_memory_parse, &v->memory);
	READ(s, ids, PVGPU_KEY_BACKEND_POLICY, pvgpu_backend_policy_parse, &v->policy);
	READ(s, ids, PVGPU_KEY_BACKEND_STATISTICS, pvgpu_backend_statistics_parse, &v->statistics);
}

/* Which vGPUs are read, and how. */
struct reading {
	struct store *s;
	vgpu_reader *read;
	const uint32_t *id; /* NULL: all */
	struct vgpus *out;
};

static int add(const struct reading *r, const struct pvgpu_ids *ids)
{
	struct vgpus *out = r->out;
	struct vgpu *more = reallocarray(out->v, out->n + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	out->v = more;
	r->read(r->s, ids, &out->v[out->n++]);
	return 0;
}

static int backends_for(const struct reading *r, uint32_t be, uint32_t fe)
{
	char path[STORE_PATH];
	uint32_t *ids;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu/%u", be, fe);
	err = store_numbers(r->s, path, PVGPU_DEVID_MAX, &ids, &n);
	for (size_t i = 0; i < n && !err; i++)
		if (!r->id || *r->id == ids[i])
			err = add(r, &(struct pvgpu_ids){.fe = fe, .be = be, .id = ids[i]});
	free(ids);
	return err;
}

static int backends_of(const struct reading *r, uint32_t be)
{
	char path[STORE_PATH];
	uint32_t *guests;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu", be);
	err = store_numbers(r->s, path, PVGPU_DOMID_MAX, &guests, &n);
	for (size_t i = 0; i < n && !err; i++)
		err = backends_for(r, be, guests[i]);
	free(guests);
	return err;
}

static bool has(const struct vgpus *all, size_t n, uint32_t fe, uint32_t id)
{
	for (size_t i = 0; i < n; i++)
		if (all->v[i].ids.fe == fe && all->v[i].ids.id == id)
			return true;
	return false;
}

/* Guests' directories without a backend's. */
static int orphans_of(const struct reading *r, uint32_t fe, size_t n_backends)
{
	char path[STORE_PATH];
	uint32_t *ids;
	size_t n;
	int err;

	snprintf(path, sizeof(path), "/local/domain/%u/device/pvgpu", fe);
	err = store_numbers(r->s, path, PVGPU_DEVID_MAX, &ids, &n);
	for (size_t i = 0; i < n && !err; i++) {
		struct pvgpu_ids at = {.fe = fe, .id = ids[i]};

		if ((r->id && *r->id != ids[i]) || has(r->out, n_backends, fe, ids[i]))
			continue;
		READ(r->s, &at, PVGPU_KEY_FRONTEND_BACKEND_ID, pvgpu_frontend_backend_id_parse,
		     &at.be);
		err = add(r, &at);
	}
	free(ids);
	return err;
}

static int by_guest(const void *a, const void *b)
{
	const struct pvgpu_ids *x = &((const struct vgpu *)a)->ids,
			       *y = &((const struct vgpu *)b)->ids;

	if (x->fe != y->fe)
		return x->fe < y->fe ? -1 : 1;
	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->be < y->be ? -1 : x->be > y->be;
}

static int finish(struct vgpus *out, int err)
{
	if (err)
		vgpus_free(out);
	else if (out->n)
		qsort(out->v, out->n, sizeof(*out->v), by_guest);
	return err;
}

int vgpus_read(struct store *s, const struct domains *d, vgpu_reader *read, struct vgpus *out)
{
	const struct reading r = {.s = s, .read = read, .out = out};
	size_t n_backends;
	int err = 0;

	*out = (struct vgpus){0};
	for (size_t i = 0; i < d->n && !err; i++)
		err = backends_of(&r, d->v[i].domid);
	n_backends = out->n;
	for (size_t i = 0; i < d->n && !err; i++)
		err = orphans_of(&r, d->v[i].domid, n_backends);
	return finish(out, err);
}

int vgpus_read_guest(struct store *s, const struct domains *d, uint32_t fe, const uint32_t *id,
		     struct vgpus *out)
{
	const struct reading r = {.s = s, .read = vgpu_read, .id = id, .out = out};
	int err = 0;

	*out = (struct vgpus){0};
	for (size_t i = 0; i < d->n && !err; i++)
		err = backends_for(&r, d->v[i].domid, fe);
	if (!err && domains_find(d, fe))
		err = orphans_of(&r, fe, out->n);
	return finish(out, err);
}

int vgpus_add_guest(struct store *s, const struct domains *backends, uint32_t fe, vgpu_reader *read,
		    struct vgpus *out)
{
	const struct reading r = {.s = s, .read = read, .out = out};
	int err = 0;

	for (size_t i = 0; i < backends->n && !err; i++)
		err = backends_for(&r, backends->v[i].domid, fe);
	return err ? err : orphans_of(&r, fe, out->n);
}

bool vgpu_guest_closes(const struct vgpu *v)
{
	return v->guest_there && v->guest_state != PVGPU_STATE_CLOSED &&
	       v->guest_state != PVGPU_STATE_INITIALISING && v->guest_state != PVGPU_STATE_UNKNOWN;
}

void vgpus_free(struct vgpus *v)
{
	free(v->v);
	*v = (struct vgpus){0};
}

void vgpu_state_text(const struct vgpu *v, char *buf, size_t cap)
{
	if (!v->backend_there)
		snprintf(buf, cap, "no backend");
	else if (v->state == v->guest_state)
		snprintf(buf, cap, "%s", state_name(v->state));
	else
		snprintf(buf, cap, "%s/%s", state_name(v->state), state_name(v->guest_state));
}

const char *vgpu_state_word(const struct vgpu *v)
{
	if (v->policy.drain)
		return v->policy.drain == PVGPU_DRAIN_NOW ? "ending" : "draining";
	return v->statistics.quarantined ? "quarantined" : state_name(v->state);
}

static json_t *end_json(const struct domains *d, uint32_t domid, enum pvgpu_state state)
{
	const struct domain *dom = domains_find(d, domid);

	return json_pack("{s:i, s:s, s:s, s:s}", "domid", (int)domid, "name", dom ? dom->name : "",
			 "uuid", dom ? dom->uuid : "", "state", state_name(state));
}

/* A field as JSON: shares and words become strings. */
static json_t *field_json(const struct pvgpu_key *k, const struct pvgpu_field *f, uint64_t v)
{
	char text[40];

	if (f->type == PVGPU_TYPE_BOOL)
		return json_boolean(v);
	if (f->type != PVGPU_TYPE_SHARE && f->type != PVGPU_TYPE_ENUM)
		return json_integer((json_int_t)v);
	return pvgpu_field_format(k, f, v, text, sizeof(text), NULL) ? NULL : json_string(text);
}

json_t *vgpu_record_json(enum pvgpu_key_id id, const char *text)
{
	const struct pvgpu_key *k = &pvgpu_keys[id];
	uint64_t v[PVGPU_FIELDS_MAX];
	json_t *o = json_object();

	if (pvgpu_record_parse(k, text, strlen(text), v, NULL))
		return o;
	for (uint32_t i = 0; i < k->nfields; i++)
		json_object_set_new(o, k->fields[i].name, field_json(k, &k->fields[i], v[i]));
	return o;
}

json_t *vgpu_json(const struct vgpu *v, const struct domains *d)
{
	char policy[PVGPU_KEY_TEXT] = "", statistics[PVGPU_KEY_TEXT] = "";
	char label[DOMAIN_NAME], name[DOMAIN_NAME + 16];

	/* A policy that could not be read is all zero, which is invalid: show the defaults. */
	if (pvgpu_backend_policy_format(&v->policy, policy, sizeof(policy), NULL))
		policy[0] = '\0';
	if (pvgpu_backend_statistics_format(&v->statistics, statistics, sizeof(statistics), NULL))
		statistics[0] = '\0';
	snprintf(name, sizeof(name), "%s:%u", domain_label(d, v->ids.fe, label), v->ids.id);
	return json_pack(
		"{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:I, s:o, s:o, s:s, "
		"s:s}",
		"name", name, "id", (int)v->ids.id, "uuid", v->uuid, "model", v->model.s, "pool",
		v->pool.s, "profile", v->profile.s, "tenant", pool_group(&v->pool), "state",
		vgpu_state_word(v), "online", (int)v->online, "connected",
		v->state == PVGPU_STATE_CONNECTED && v->guest_state == PVGPU_STATE_CONNECTED, "vm",
		end_json(d, v->ids.fe, v->guest_state), "backend", end_json(d, v->ids.be, v->state),
		"memory", (json_int_t)v->memory, "policy",
		vgpu_record_json(PVGPU_KEY_BACKEND_POLICY, policy), "statistics",
		vgpu_record_json(PVGPU_KEY_BACKEND_STATISTICS, statistics), "last-reason",
		v->reason.s, "reason", "");
}
