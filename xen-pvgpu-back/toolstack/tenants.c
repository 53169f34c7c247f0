/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/tenants.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xenstore-schema/nearest.h"

static const struct pvgpu_key *const group_key = &pvgpu_keys[PVGPU_KEY_BACKEND_GROUP_POLICY];
static const struct pvgpu_key *const memory_key = &pvgpu_keys[PVGPU_KEY_BACKEND_MEMORY];

struct reading {
	struct tenants *all;
	struct tenant_limits *t; /* of the section; NULL: none */
	site_fault *fault;
	void *arg;
};

const char *pool_group(const struct pvgpu_text *pool)
{
	const char *slash = strchr(pool->s, '/');

	return slash ? slash + 1 : "";
}

static struct tenant_limits *find(const struct tenants *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (!strcmp(t->v[i].name, name))
			return &t->v[i];
	return NULL;
}

const struct tenant_limits *tenants_find(const struct tenants *t, const char *name)
{
	const struct tenant_limits *own = find(t, name);

	return own ? own : find(t, "*");
}

static int on_section(void *arg, const char *section, char why[INI_WHY])
{
	struct reading *r = arg;
	const char *name;
	struct tenant_limits *more;

	r->t = NULL;
	if (strncmp(section, "tenant", 6) != 0 || !section[6] || !strchr(" \t", section[6])) {
		snprintf(why, INI_WHY,
			 "[%.60s]: there are sections [tenant NAME] and [tenant *], nothing else",
			 section);
		return -1;
	}
	name = section + 6 + strspn(section + 6, " \t");
	if (strcmp(name, "*") != 0 && !tenant_name_ok(name)) {
		snprintf(why, INI_WHY,
			 "tenant %.60s: a name is 1 to %d letters, digits, '-' or '_', and does "
			 "not begin with '-'; or it is *, for all that have no section",
			 name, TENANT_NAME - 1);
		return -1;
	}
	if (find(r->all, name)) {
		snprintf(why, INI_WHY,
			 "tenant %s is there already: put its limits into one section", name);
		return -1;
	}
	more = reallocarray(r->all->v, r->all->n + 1, sizeof(*more));
	if (!more) {
		snprintf(why, INI_WHY, "out of memory");
		return -1;
	}
	r->all->v = more;
	r->t = memset(&more[r->all->n++], 0, sizeof(*more));
	strcpy(r->t->name, name);
	return 0;
}

static int set_vgpus(struct tenant_limits *t, const char *value, char why[INI_WHY])
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] >= '0' && value[0] <= '9' && !*end && n <= 65536) {
		t->vgpus = (uint32_t)n;
		return 0;
	}
	snprintf(why, INI_WHY, "vgpus '%.40s': must be a number from 0 (no limit) to 65536", value);
	return -1;
}

static int set_memory(struct tenant_limits *t, const char *value, char why[INI_WHY])
{
	char text[PVGPU_KEY_ERROR];

	if (pvgpu_number_parse(memory_key, value, strlen(value), &t->memory, text) == 0)
		return 0;
	snprintf(why, INI_WHY, "memory %s", strchr(text, '\''));
	return -1;
}

static void unknown(const char *name, char why[INI_WHY])
{
	struct pvgpu_nearest n = {.word = name};

	pvgpu_nearest_try(&n, "vgpus");
	pvgpu_nearest_try(&n, "memory");
	for (uint32_t i = 0; i < group_key->nfields; i++)
		pvgpu_nearest_try(&n, group_key->fields[i].name);
	if (n.name)
		snprintf(why, INI_WHY, "%.40s: no such setting; did you mean %s?", name, n.name);
	else
		snprintf(why, INI_WHY,
			 "%.40s: no such setting; a tenant has vgpus, memory, weight, min-share, "
			 "max-share, rate-commands and rate-bytes",
			 name);
}

static int on_value(void *arg, const char *name, const char *value, char why[INI_WHY])
{
	struct tenant_limits *t = ((struct reading *)arg)->t;
	char text[VGPU_SPEC_ERROR];

	if (!strcmp(name, "vgpus"))
		return set_vgpus(t, value, why);
	if (!strcmp(name, "memory"))
		return set_memory(t, value, why);
	if (record_set(group_key, t->policy, name, value, text) == 0)
		return 0;
	if (pvgpu_field_find(group_key, name))
		snprintf(why, INI_WHY, "%s", text);
	else
		unknown(name, why);
	return -1;
}

static void on_fault(void *arg, const char *text)
{
	struct reading *r = arg;

	if (r->t && !r->t->fault[0])
		snprintf(r->t->fault, sizeof(r->t->fault), "%s", text);
	r->fault(r->arg, text);
}

/* Returns the number of new faults. */
static int agree(struct tenant_limits *t, const struct reading *r)
{
	char err[VGPU_SPEC_ERROR];

	if (t->fault[0] || record_agrees(group_key, t->policy, err) == 0)
		return 0;
	snprintf(t->fault, sizeof(t->fault), "%.400s: tenant %s: %.500s", r->all->path, t->name,
		 err);
	r->fault(r->arg, t->fault);
	return 1;
}

int tenants_read(struct tenants *t, const char *dir, site_fault *fault, void *arg)
{
	struct reading r = {.all = t, .fault = fault, .arg = arg};
	const struct ini_reader reader = {&r, on_section, on_value, on_fault};
	int n;

	*t = (struct tenants){0};
	snprintf(t->path, sizeof(t->path), "%.480s/" TENANTS_FILE, dir);
	n = ini_file_read(t->path, &reader);
	for (size_t i = 0; i < t->n; i++)
		n += agree(&t->v[i], &r);
	return n == -ENOENT ? 0 : n;
}

void tenants_free(struct tenants *t)
{
	free(t->v);
	*t = (struct tenants){0};
}
