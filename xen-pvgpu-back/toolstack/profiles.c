/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/profiles.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reading {
	struct profiles *all;
	struct profile *p; /* of the section; NULL: none */
	site_fault *fault;
	void *arg;
};

static bool good_name(const char *name)
{
	static const char good[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";

	return name[0] && name[0] != '-' && strlen(name) < PROFILE_NAME &&
	       !name[strspn(name, good)];
}

static int on_section(void *arg, const char *section, char why[INI_WHY])
{
	struct reading *r = arg;
	const char *name;
	struct profile *more;

	r->p = NULL;
	if (!strcmp(section, "default")) {
		r->p = &r->all->common;
		return 0;
	}
	if (strncmp(section, "profile", 7) != 0 || !strchr(" \t", section[7]) || !section[7]) {
		snprintf(why, INI_WHY,
			 "[%.60s]: there are sections [profile NAME] and [default], nothing else",
			 section);
		return -1;
	}
	name = section + 7 + strspn(section + 7, " \t");
	if (!good_name(name)) {
		snprintf(why, INI_WHY,
			 "profile %.60s: a name is 1 to %d letters, digits, '-', '_' or '.', and "
			 "does not begin with '-'",
			 name, PROFILE_NAME - 1);
		return -1;
	}
	if (profiles_find(r->all, name)) {
		snprintf(why, INI_WHY, "profile %s is there already: give this one another name",
			 name);
		return -1;
	}
	more = reallocarray(r->all->v, r->all->n + 1, sizeof(*more));
	if (!more) {
		snprintf(why, INI_WHY, "out of memory");
		return -1;
	}
	r->all->v = more;
	r->p = memset(&more[r->all->n++], 0, sizeof(*more));
	strcpy(r->p->name, name);
	return 0;
}

static int set_text(const char *name, const char *value, char *to, size_t cap, char why[INI_WHY])
{
	if (strlen(value) < cap) {
		strcpy(to, value);
		return 0;
	}
	snprintf(why, INI_WHY, "%s: must be at most %zu characters", name, cap - 1);
	return -1;
}

static int set_per_gpu(struct profile *p, const char *value, char why[INI_WHY])
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (value[0] >= '0' && value[0] <= '9' && !*end && n <= 65536) {
		p->per_gpu = (uint32_t)n;
		return 0;
	}
	snprintf(why, INI_WHY,
		 "per-gpu '%.40s': must be a number from 0 (no limit) to 65536, of this profile's "
		 "vGPUs on one GPU",
		 value);
	return -1;
}

static int on_value(void *arg, const char *name, const char *value, char why[INI_WHY])
{
	static const char *const own[] = {"per-gpu", "gpus", "description", NULL};
	struct reading *r = arg;
	struct profile *p = r->p;
	char text[VGPU_SPEC_ERROR];

	if (!strcmp(name, "per-gpu"))
		return set_per_gpu(p, value, why);
	if (!strcmp(name, "gpus"))
		return set_text(name, value, p->gpus, sizeof(p->gpus), why);
	if (!strcmp(name, "description"))
		return set_text(name, value, p->what, sizeof(p->what), why);
	if (!strcmp(name, "uuid") || !strcmp(name, "profile") || !strcmp(name, "tenant") ||
	    !strcmp(name, "made-from")) {
		snprintf(why, INI_WHY,
			 "%s: belongs to one vGPU, not to a profile; give it with pvgpuctl attach",
			 name);
		return -1;
	}
	if (policy_is_live(name)) {
		snprintf(why, INI_WHY,
			 "%s: is an order to a vGPU that exists; give it with pvgpuctl set", name);
		return -1;
	}
	if (!vgpu_spec_knows(name))
		vgpu_spec_unknown(name, own, text);
	else if (vgpu_spec_set(&p->spec, name, value, text) == 0)
		return 0;
	snprintf(why, INI_WHY, "%s", text);
	return -1;
}

static void on_fault(void *arg, const char *text)
{
	struct reading *r = arg;

	if (r->p && !r->p->fault[0])
		snprintf(r->p->fault, sizeof(r->p->fault), "%s", text);
	r->fault(r->arg, text);
}

/* Its own fields of policy over those that are there. */
static int merge_policy(struct vgpu_spec *w, const struct vgpu_spec *own, char err[VGPU_SPEC_ERROR])
{
	char text[PVGPU_KEY_TEXT], *rest, *word;

	strcpy(text, own->policy);
	for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value = '\0';
		if (policy_set(w->policy, word, value + 1, err) < 0)
			return -EINVAL;
	}
	return 0;
}

/* Settings that w lacks come from `from`. */
static int inherit(struct vgpu_spec *w, const struct vgpu_spec *from, char err[VGPU_SPEC_ERROR])
{
	const struct vgpu_spec own = *w;

	strcpy(w->policy, from->policy);
	if (merge_policy(w, &own, err) < 0)
		return -EINVAL;
	if (!own.has_memory) {
		w->has_memory = from->has_memory;
		w->memory = from->memory;
	}
	if (!own.model.len)
		w->model = from->model;
	if (!own.pool.len)
		w->pool = from->pool;
	if (!own.backend[0])
		strcpy(w->backend, from->backend);
	return 0;
}

/* With [default], wherever in the file that is. Returns the number of new faults. */
static int complete(struct profile *p, const struct reading *r)
{
	const struct profile *common = &r->all->common;
	char err[VGPU_SPEC_ERROR];
	int n = 0;

	if ((inherit(&p->spec, &common->spec, err) < 0 ||
	     record_agrees(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], p->spec.policy, err) < 0) &&
	    !p->fault[0] && !common->fault[0]) {
		snprintf(p->fault, sizeof(p->fault), "%.400s: profile %s: %.500s", r->all->path,
			 p->name, err);
		r->fault(r->arg, p->fault);
		n = 1;
	}
	if (!p->per_gpu)
		p->per_gpu = common->per_gpu;
	if (!p->gpus[0])
		strcpy(p->gpus, common->gpus);
	if (!p->fault[0])
		strcpy(p->fault, common->fault);
	return n;
}

int profiles_read(struct profiles *p, const char *dir, site_fault *fault, void *arg)
{
	struct reading r = {.all = p, .fault = fault, .arg = arg};
	const struct ini_reader reader = {&r, on_section, on_value, on_fault};
	int n;

	*p = (struct profiles){0};
	snprintf(p->path, sizeof(p->path), "%.480s/" PROFILES_FILE, dir);
	n = ini_file_read(p->path, &reader);
	for (size_t i = 0; i < p->n; i++)
		n += complete(&p->v[i], &r);
	return n == -ENOENT ? 0 : n;
}

void profiles_free(struct profiles *p)
{
	free(p->v);
	*p = (struct profiles){0};
}

const struct profile *profiles_find(const struct profiles *p, const char *name)
{
	for (size_t i = 0; i < p->n; i++)
		if (!strcmp(p->v[i].name, name))
			return &p->v[i];
	return NULL;
}

static int not_found(const struct profiles *p, const char *name, char err[VGPU_SPEC_ERROR])
{
	size_t at = (size_t)snprintf(err, VGPU_SPEC_ERROR, "profile '%.40s': %.200s has %s", name,
				     p->path, p->n ? "only" : "none; define it there");

	for (size_t i = 0; i < p->n && at < VGPU_SPEC_ERROR; i++)
		at += (size_t)snprintf(err + at, VGPU_SPEC_ERROR - at, "%s %s", i ? "," : "",
				       p->v[i].name);
	return -ENOENT;
}

int profiles_apply(const struct profiles *p, struct vgpu_spec *w, const struct profile **out,
		   char err[VGPU_SPEC_ERROR])
{
	const struct profile *from;

	*out = NULL;
	if (!w->profile.len)
		return 0;
	from = profiles_find(p, w->profile.s);
	if (w->made) {
		*out = from && !from->fault[0] ? from : NULL;
		return 0;
	}
	if (!from)
		return not_found(p, w->profile.s, err);
	if (from->fault[0]) {
		snprintf(err, VGPU_SPEC_ERROR, "profile '%s' cannot be used: %.400s", from->name,
			 from->fault);
		return -EBADMSG;
	}
	if (inherit(w, &from->spec, err) < 0)
		return -EINVAL;
	*out = from;
	return 0;
}

bool profile_allows(const struct profile *p, const char *model)
{
	char list[PROFILE_GPUS], *rest, *word;

	strcpy(list, p->gpus);
	if (!list[0])
		return true;
	for (word = strtok_r(list, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		size_t n;

		word += strspn(word, " \t");
		for (n = strlen(word); n && strchr(" \t", word[n - 1]); n--)
			;
		word[n] = '\0';
		if (fnmatch(word, model, FNM_CASEFOLD) == 0)
			return true;
	}
	return false;
}
