/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/vgpu_spec.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "xenstore-schema/nearest.h"

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

static int refuse(char err[VGPU_SPEC_ERROR], const char *name, const char *why)
{
	snprintf(err, VGPU_SPEC_ERROR, "%s: %s", name, why);
	return -EINVAL;
}

/* The error of the key's parser with this name in place of the key's. */
static int refuse_value(char err[VGPU_SPEC_ERROR], const char *name, const char *why)
{
	const char *value = strchr(why, '\'');

	snprintf(err, VGPU_SPEC_ERROR, "%s %s", name, value ? value : why);
	return -EINVAL;
}

bool policy_has(const char *name)
{
	return pvgpu_field_find(policy_key, name);
}

bool policy_is_live(const char *name)
{
	const struct pvgpu_field *f = pvgpu_field_find(policy_key, name);

	return f && f->live;
}

/* Resolves "+N" of `pardon`, a number that only counts up. Other values are returned unchanged. */
static const char *raised(const char policy[PVGPU_KEY_TEXT], const struct pvgpu_field *f,
			  const char *value, char sum[24])
{
	uint64_t v[PVGPU_FIELDS_MAX], n;
	char *end;

	if (strcmp(f->name, "pardon") != 0 || value[0] != '+' || value[1] < '0' || value[1] > '9' ||
	    pvgpu_record_parse(policy_key, policy, strlen(policy), v, NULL) < 0)
		return value;
	errno = 0;
	n = strtoull(value + 1, &end, 10);
	if (*end || errno || n > UINT64_MAX - v[f - policy_key->fields])
		return value;
	snprintf(sum, 24, "%" PRIu64, v[f - policy_key->fields] + n);
	return sum;
}

int record_set(const struct pvgpu_key *k, char text[PVGPU_KEY_TEXT], const char *name,
	       const char *value, char err[VGPU_SPEC_ERROR])
{
	const struct pvgpu_field *f = pvgpu_field_find(k, name);
	char why[PVGPU_KEY_ERROR], one[PVGPU_KEY_TEXT], next[2 * PVGPU_KEY_TEXT], *rest, *word;
	char old[PVGPU_KEY_TEXT];
	uint64_t v[PVGPU_FIELDS_MAX];
	size_t n, at = 0;

	if (!f)
		return refuse(err, name, "no such setting");
	name = f->name;
	n = strlen(name);
	/* Parsed as a value from xenstore, then written in its normal form. */
	if (strchr(value, ' ') ||
	    (size_t)snprintf(one, sizeof(one), "%s=%s", name, value) >= sizeof(one))
		return refuse(err, name, "must be one value");
	if (pvgpu_record_parse(k, one, strlen(one), v, why) < 0)
		return refuse_value(err, name, why);
	snprintf(old, sizeof(old), "%s", text);
	for (word = strtok_r(old, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
		if (strncmp(word, name, n) != 0 || word[n] != '=')
			at += (size_t)snprintf(next + at, sizeof(next) - at, "%s ", word);
	pvgpu_field_format(k, f, v[f - k->fields], one, sizeof(one), NULL);
	snprintf(next + at, sizeof(next) - at, "%s=%s", name, one);
	if (strlen(next) >= PVGPU_KEY_TEXT || pvgpu_key_check(k, next, strlen(next), why) < 0)
		return refuse(err, name, "the policy would get too long");
	strcpy(text, next);
	return 0;
}

int record_agrees(const struct pvgpu_key *k, const char *text, char err[VGPU_SPEC_ERROR])
{
	char why[PVGPU_KEY_ERROR];
	uint64_t v[PVGPU_FIELDS_MAX];

	if (pvgpu_record_parse(k, text, strlen(text), v, why) == 0 &&
	    pvgpu_record_agrees(k, v, why) == 0)
		return 0;
	snprintf(err, VGPU_SPEC_ERROR, "%s", why);
	return -EINVAL;
}

int policy_set(char policy[PVGPU_KEY_TEXT], const char *name, const char *value,
	       char err[VGPU_SPEC_ERROR])
{
	const struct pvgpu_field *f = pvgpu_field_find(policy_key, name);
	char sum[24];

	if (!f)
		return vgpu_spec_unknown(name, NULL, err);
	return record_set(policy_key, policy, name, raised(policy, f, value, sum), err);
}

bool tenant_name_ok(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";

	return name[0] && name[0] != '-' && strlen(name) < TENANT_NAME && !name[strspn(name, good)];
}

static int set_tenant(struct vgpu_spec *w, const char *value, char err[VGPU_SPEC_ERROR])
{
	if (!tenant_name_ok(value))
		return refuse(
			err, "tenant",
			"must be 1 to 39 letters, digits, '-' or '_', and not begin with '-'");
	strcpy(w->tenant, value);
	return 0;
}

static const char *const keys[] = {"backend", "uuid",    "model", "memory",
				   "pool",    "profile", "tenant"};
#define KEYS (sizeof(keys) / sizeof(keys[0]))

bool vgpu_spec_knows(const char *name)
{
	for (size_t i = 0; i < KEYS; i++)
		if (!strcmp(name, keys[i]))
			return true;
	return policy_has(name);
}

/* Calls `each` with every name. */
static void each_name(const char *const more[], void (*each)(void *arg, const char *name),
		      void *arg)
{
	for (size_t i = 0; i < KEYS; i++)
		each(arg, keys[i]);
	for (uint32_t i = 0; i < policy_key->nfields; i++)
		each(arg, policy_key->fields[i].name);
	for (size_t i = 0; more && more[i]; i++)
		each(arg, more[i]);
}

static void look(void *arg, const char *name)
{
	pvgpu_nearest_try(arg, name);
}

static void append(void *arg, const char *name)
{
	char *err = arg;
	const size_t at = strlen(err);

	snprintf(err + at, VGPU_SPEC_ERROR - at, "%s%s", at && err[at - 1] == ' ' ? "" : ", ",
		 name);
}

int vgpu_spec_unknown(const char *name, const char *const more[], char err[VGPU_SPEC_ERROR])
{
	struct pvgpu_nearest n = {.word = name};

	each_name(more, look, &n);
	if (n.name) {
		snprintf(err, VGPU_SPEC_ERROR, "%.40s: no such setting; did you mean %s?", name,
			 n.name);
		return -EINVAL;
	}
	snprintf(err, VGPU_SPEC_ERROR, "%.40s: no such setting; there are ", name);
	each_name(more, append, err);
	return -EINVAL;
}

int vgpu_spec_set(struct vgpu_spec *w, const char *name, const char *value,
		  char err[VGPU_SPEC_ERROR])
{
	char why[PVGPU_KEY_ERROR];
	size_t n = strlen(value);
	int r;

	if (!strcmp(name, "backend")) {
		if (!n || n >= sizeof(w->backend))
			return refuse(err, name, "must be the name, uuid or number of a domain");
		strcpy(w->backend, value);
		return 0;
	}
	if (!strcmp(name, "memory")) {
		r = pvgpu_backend_memory_parse(value, n, &w->memory, why);
		w->has_memory = w->has_memory || r == 0;
	} else if (!strcmp(name, "model")) {
		r = pvgpu_backend_model_parse(value, n, &w->model, why);
	} else if (!strcmp(name, "pool")) {
		r = pvgpu_backend_pool_parse(value, n, &w->pool, why);
	} else if (!strcmp(name, "profile")) {
		r = pvgpu_backend_profile_parse(value, n, &w->profile, why);
	} else if (!strcmp(name, "made-from")) {
		r = pvgpu_backend_profile_parse(value, n, &w->profile, why);
		w->made = w->made || r == 0;
	} else if (!strcmp(name, "tenant")) {
		return set_tenant(w, value, err);
	} else if (!strcmp(name, "uuid")) {
		r = pvgpu_backend_uuid_parse(value, n, &w->uuid, why);
		w->has_uuid = w->has_uuid || r == 0;
	} else if (policy_has(name)) {
		return policy_set(w->policy, name, value, err);
	} else {
		return vgpu_spec_unknown(name, NULL, err);
	}
	return r ? refuse_value(err, name, why) : 0;
}

/* Version and variant of RFC 4122 (and 9562, for version 8). */
static void mark(struct pvgpu_uuid *u, uint8_t version)
{
	u->b[6] = (uint8_t)((u->b[6] & 0x0f) | version << 4);
	u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

int uuid_random(struct pvgpu_uuid *u)
{
	ssize_t n;

	do
		n = getrandom(u->b, sizeof(u->b), 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof(u->b))
		return n < 0 ? -errno : -EIO;
	mark(u, 4);
	return 0;
}

void uuid_derived(struct pvgpu_uuid *u, const char *text)
{
	/* FNV-1a, twice, from different start values. */
	uint64_t h[2] = {0xcbf29ce484222325ull, 0x84222325cbf29ce4ull};

	for (unsigned int i = 0; i < 2; i++) {
		for (const char *p = text; *p; p++)
			h[i] = (h[i] ^ (uint8_t)*p) * 0x100000001b3ull;
		for (unsigned int b = 0; b < 8; b++)
			u->b[8 * i + b] = (uint8_t)(h[i] >> 8 * b);
	}
	mark(u, 8);
}
