/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/toolstack/site.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int checked(int n, const char *path, site_fault *fault, void *arg)
{
	char text[INI_FAULT];

	if (n >= 0)
		return n;
	snprintf(text, sizeof(text), "%s: %s", path, strerror(-n));
	fault(arg, text);
	return n;
}

int site_read(struct site *s, const char *dir, site_fault *fault, void *arg)
{
	int p = profiles_read(&s->profiles, dir, fault, arg), t;

	p = checked(p, s->profiles.path, fault, arg);
	t = checked(tenants_read(&s->tenants, dir, fault, arg), s->tenants.path, fault, arg);
	return p < 0 ? p : t < 0 ? t : p + t;
}

void site_free(struct site *s)
{
	profiles_free(&s->profiles);
	tenants_free(&s->tenants);
}

/* The tenant becomes the group of the vGPU's pool. */
static int place_tenant(struct vgpu_spec *w, char err[VGPU_SPEC_ERROR])
{
	const char *group = pool_group(&w->pool);
	char pool[128];

	if (!w->tenant[0])
		return 0;
	if (group[0] && strcmp(group, w->tenant) != 0) {
		snprintf(err, VGPU_SPEC_ERROR,
			 "pool '%s' names group %s, and the tenant is %s: name one of them",
			 w->pool.s, group, w->tenant);
		return -EINVAL;
	}
	snprintf(pool, sizeof(pool), "%.*s/%s", (int)strcspn(w->pool.s, "/"), w->pool.s, w->tenant);
	pvgpu_text_set(&w->pool, pool, strlen(pool));
	return 0;
}

int site_resolve(const struct site *s, struct vgpu_spec *w, char err[VGPU_SPEC_ERROR])
{
	int r = profiles_apply(&s->profiles, w, &w->from, err);
	const char *group;

	w->owner = NULL;
	w->group_policy = NULL;
	if (!r)
		r = record_agrees(&pvgpu_keys[PVGPU_KEY_BACKEND_POLICY], w->policy, err);
	if (!r)
		r = place_tenant(w, err);
	group = pool_group(&w->pool);
	if (r || !group[0])
		return r;
	w->owner = tenants_find(&s->tenants, group);
	if (!w->owner)
		return 0;
	if (w->owner->fault[0]) {
		snprintf(err, VGPU_SPEC_ERROR, "the limits of tenant %s cannot be read: %.400s",
			 group, w->owner->fault);
		w->owner = NULL;
		return -EBADMSG;
	}
	w->group_policy = w->owner->policy[0] ? w->owner->policy : NULL;
	return 0;
}
