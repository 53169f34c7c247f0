/* SPDX-License-Identifier: MIT */
/* A changed pvgpud.conf while pvgpud runs: some settings change, the others wait for its next
 * start. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

/* Keys of [daemon] that are looked at when they are used, and promise no vGPU anything. */
static const char *const live_keys[] = {
	"spare_workers",     "max_opening",         "open_timeout_ms",   "worker_start_timeout_ms",
	"adopt_timeout_ms",  "shutdown_grace_ms",   "worker_grace_ms",   "watchdog_grace_ms",
	"quarantine_faults", "quarantine_window_s", "quarantine_time_s", "quarantine_kernel_faults",
	"canary_limit_ms",   "canary_pause_ms",     "canary_tries",      "canary_every_s",
	"gpu_reset",         "gpu_reset_timeout_s", "health_period_ms",  "health_timeout_ms",
	"log_level"};

struct reload {
	config_change *each;
	void *arg;
};

static bool is_live(const char *name)
{
	for (size_t i = 0; i < COUNT(live_keys); i++)
		if (!strcmp(live_keys[i], name))
			return true;
	return false;
}

/* Bytes of a field that is no text; 0: it is one. */
static size_t size_of(const struct key *k)
{
	switch (k->kind) {
	case SIZE:
		return sizeof(uint64_t);
	case UIDS:
		return 2 * sizeof(uint32_t);
	case PATH:
	case CGROUP:
	case TEXT:
	case GPU:
	case POOL:
	case ENV:
		return 0;
	default:
		return sizeof(unsigned int);
	}
}

static const void *at(const void *base, const struct key *k)
{
	return (const char *)base + k->offset;
}

static bool same(const struct key *k, const void *a, const void *b)
{
	const size_t n = size_of(k);

	if (n)
		return !memcmp(at(a, k), at(b, k), n);
	/* A vGPU's group is in the array behind its pool. */
	return !strcmp(at(a, k), at(b, k)) &&
	       (k->kind != POOL || !strcmp((const char *)at(a, k) + CONFIG_POOL,
					   (const char *)at(b, k) + CONFIG_POOL));
}

static bool same_env(const struct config *a, const struct config *b)
{
	if (a->env_n != b->env_n)
		return false;
	for (unsigned int i = 0; i < a->env_n; i++)
		if (strcmp(a->env[i], b->env[i]) != 0)
			return false;
	return true;
}

/* As it is written in the file, where that is a number or a text; else "". */
static void show(const struct key *k, const void *base, char out[CONFIG_LIST])
{
	const char *text = at(base, k), *group = text + CONFIG_POOL;

	out[0] = '\0';
	if (k->kind == SIZE)
		snprintf(out, CONFIG_LIST, "%" PRIu64, *(const uint64_t *)at(base, k));
	else if (k->kind == NUMBER)
		snprintf(out, CONFIG_LIST, "%u", *(const unsigned int *)at(base, k));
	else if (k->kind == POOL)
		snprintf(out, CONFIG_LIST, "%s%s%s", text, group[0] ? "/" : "", group);
	else if (!size_of(k) && k->kind != ENV)
		snprintf(out, CONFIG_LIST, "%s", text);
}

/* Is it to be taken over? */
static bool tell(const struct reload *r, const char *section, const struct key *k, const void *to,
		 bool live)
{
	char text[CONFIG_LIST] = "";

	if (k->kind != ENV)
		show(k, to, text);
	return r->each(r->arg, section, k->name, text, live) && live;
}

static void copy(const struct key *k, void *to, const void *from)
{
	const size_t n = size_of(k);

	memcpy((char *)to + k->offset, at(from, k), n ? n : k->max);
}

static void daemon_section(const struct reload *r, struct config *now, const struct config *new)
{
	size_t n;
	const struct key *keys = config_keys("daemon", &n);

	for (size_t i = 0; i < n; i++) {
		const bool live = is_live(keys[i].name);

		if (keys[i].kind == ENV ? same_env(now, new) : same(&keys[i], now, new))
			continue;
		if (tell(r, "daemon", &keys[i], new, live))
			copy(&keys[i], now, new);
	}
}

/* Sessions that began in another mode leave traces. */
static bool is_live_of_pool(const struct key *k, const struct config_pool *a,
			    const struct config_pool *b)
{
	if (k->kind == SHARING)
		return a->mode != POOL_CONFIDENTIAL && b->mode != POOL_CONFIDENTIAL;
	return k->kind != GPU;
}

static bool is_live_of_vgpu(const struct key *k)
{
	return !strcmp(k->name, "memory") || k->kind == POOL;
}

/* The element of that name, of an array whose elements begin with theirs. */
static void *named(void *all, unsigned int n, size_t size, const char *name)
{
	for (unsigned int i = 0; i < n; i++)
		if (!strcmp((char *)all + i * size, name))
			return (char *)all + i * size;
	return NULL;
}

/* Sections of one kind, and their arrays. */
struct sections {
	const char *kind;
	void *now, *new;
	unsigned int now_n, new_n;
	size_t size;
};

static void policy(const struct reload *r, const char *section, struct config_vgpu *now,
		   const struct config_vgpu *new)
{
	char text[PVGPU_KEY_TEXT];

	for (uint32_t i = 0; i < policy_key->nfields; i++) {
		const struct pvgpu_field *f = &policy_key->fields[i];
		const uint64_t v = pvgpu_field_get(f, &new->policy);

		if (pvgpu_field_get(f, &now->policy) == v)
			continue;
		pvgpu_field_format(policy_key, f, v, text, sizeof(text), NULL);
		if (r->each(r->arg, section, f->name, text, !f->live) && !f->live)
			pvgpu_field_put(f, &now->policy, v);
	}
}

static void section(const struct reload *r, const struct sections *s, void *now, const void *new)
{
	char name[CONFIG_GROUP + 16];
	size_t n;
	const struct key *keys = config_keys(s->kind, &n);

	snprintf(name, sizeof(name), "%s %.39s", s->kind, (const char *)now);
	for (size_t i = 0; i < n; i++) {
		const struct key *k = &keys[i];
		const bool live = !strcmp(s->kind, "pool")   ? is_live_of_pool(k, now, new)
				  : !strcmp(s->kind, "vgpu") ? is_live_of_vgpu(k)
							     : true;

		if (same(k, now, new) || !tell(r, name, k, new, live))
			continue;
		copy(k, now, new);
		if (k->kind == POOL)
			memcpy(((struct config_vgpu *)now)->group,
			       ((const struct config_vgpu *)new)->group, CONFIG_GROUP);
	}
	if (!strcmp(s->kind, "vgpu"))
		policy(r, name, now, new);
}

static void sections(const struct reload *r, const struct sections *s)
{
	char name[CONFIG_GROUP + 16];

	for (unsigned int i = 0; i < s->now_n; i++) {
		char *now = (char *)s->now + i * s->size;
		const void *new = named(s->new, s->new_n, s->size, now);

		if (new) {
			section(r, s, now, new);
			continue;
		}
		snprintf(name, sizeof(name), "%s %.39s", s->kind, now);
		r->each(r->arg, name, "", "", false);
	}
	for (unsigned int i = 0; i < s->new_n; i++) {
		const char *new = (char *)s->new + i * s->size;

		if (named(s->now, s->now_n, s->size, new))
			continue;
		snprintf(name, sizeof(name), "%s %.39s", s->kind, new);
		r->each(r->arg, name, "", "", false);
	}
}

static void pools_and_groups(const struct reload *r, struct config *now, const struct config *new)
{
	sections(r, &(struct sections){"pool", now->pools, new->pools, now->pool_n, new->pool_n,
				       sizeof(*now->pools)});
	sections(r, &(struct sections){"group", now->groups, new->groups, now->group_n,
				       new->group_n, sizeof(*now->groups)});
}

static bool say_nothing(void *arg, const char *section, const char *key, const char *to, bool live)
{
	return true;
}

/* Does what becomes of the pools and groups go together? */
static int check(const struct config *now, const struct config *new, char *error)
{
	const struct reload quiet = {.each = say_nothing};
	struct config c = {.pool_n = now->pool_n, .group_n = now->group_n};
	int err = -1;

	c.pools = malloc(now->pool_n * sizeof(*c.pools) + 1);
	c.groups = malloc(now->group_n * sizeof(*c.groups) + 1);
	if (!c.pools || !c.groups) {
		snprintf(error, CONFIG_ERROR, "out of memory");
	} else {
		memcpy(c.pools, now->pools, now->pool_n * sizeof(*c.pools));
		if (now->group_n)
			memcpy(c.groups, now->groups, now->group_n * sizeof(*c.groups));
		pools_and_groups(&quiet, &c, new);
		err = config_check_pools(&c, error);
		if (!err)
			err = config_check_groups(&c, error);
	}
	free(c.pools);
	free(c.groups);
	return err;
}

int config_reload(struct config *now, const struct config *new, config_change *each, void *arg,
		  char error[CONFIG_ERROR])
{
	const struct reload r = {each, arg};

	if (check(now, new, error) < 0)
		return -1;
	daemon_section(&r, now, new);
	pools_and_groups(&r, now, new);
	return 0;
}

void config_reload_vgpus(struct config *now, const struct config *new, config_change *each,
			 void *arg)
{
	const struct reload r = {each, arg};

	sections(&r, &(struct sections){"vgpu", now->vgpus, new->vgpus, now->vgpu_n, new->vgpu_n,
					sizeof(*now->vgpus)});
}
