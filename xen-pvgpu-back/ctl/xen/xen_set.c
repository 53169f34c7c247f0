/* SPDX-License-Identifier: MIT */
/* pvgpuctl set, pardon and refresh: vGPUs that exist are changed. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/ctl/core/answer.h"
#include "xen-pvgpu-back/ctl/core/ctl.h"
#include "xen-pvgpu-back/ctl/xen/xen.h"
#include "xen-pvgpu-back/toolstack/room.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/vms.h"

#define CHANGE_ERROR 1024

static const char gone[] = "it has been detached meanwhile";

/* The keys that are changed, as text. */
enum { MEMORY, POLICY, POOL, GROUP_POLICY, PROFILE, CHANGED };
static const enum pvgpu_key_id changed_keys[CHANGED] = {
	PVGPU_KEY_BACKEND_MEMORY, PVGPU_KEY_BACKEND_POLICY, PVGPU_KEY_BACKEND_POOL,
	PVGPU_KEY_BACKEND_GROUP_POLICY, PVGPU_KEY_BACKEND_PROFILE};

struct texts {
	char of[CHANGED][PVGPU_KEY_TEXT];
};

struct setting {
	const struct site *site;
	const struct gpus *gpus; /* of the vGPU's backend */
	const struct pvgpu_ids *ids;
	const char *uuid;    /* of the vGPU */
	const char *profile; /* take this one; NULL: leave what it has */
	const char *tenant;  /* likewise */
	char **pairs;
	int n;
	bool dry; /* write nothing */
	struct texts old, now;
	char err[CHANGE_ERROR];
};

static int fail(struct setting *x, int code, const char *text)
{
	snprintf(x->err, sizeof(x->err), "%s", text);
	return code;
}

static void read_texts(struct store *s, const struct pvgpu_ids *ids, struct texts *t)
{
	memset(t, 0, sizeof(*t));
	for (int i = 0; i < CHANGED; i++) {
		size_t len;
		char *text = store_key(s, changed_keys[i], ids, &len);

		if (text && pvgpu_key_check(&pvgpu_keys[changed_keys[i]], text, len, NULL) == 0)
			snprintf(t->of[i], sizeof(t->of[i]), "%s", text);
		free(text);
	}
}

static void spec_of(const struct texts *t, struct vgpu_spec *w)
{
	*w = (struct vgpu_spec){.has_memory = true};
	pvgpu_backend_memory_parse(t->of[MEMORY], strlen(t->of[MEMORY]), &w->memory, NULL);
	pvgpu_text_set(&w->pool, t->of[POOL], strlen(t->of[POOL]));
	pvgpu_text_set(&w->profile, t->of[PROFILE], strlen(t->of[PROFILE]));
	strcpy(w->policy, t->of[POLICY]);
	w->made = true;
}

static int set_pair(struct vgpu_spec *w, struct setting *x, const char *pair)
{
	static const char *const whole_life[] = {"uuid", "backend", "model"};
	char name[64], why[VGPU_SPEC_ERROR];
	const char *value = strchr(pair, '=');

	if (!value || value - pair >= (long)sizeof(name)) {
		snprintf(x->err, sizeof(x->err), "'%s' must be KEY=VALUE", pair);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(value - pair), pair);
	for (size_t i = 0; i < sizeof(whole_life) / sizeof(whole_life[0]); i++) {
		if (strcmp(name, whole_life[i]) != 0)
			continue;
		snprintf(x->err, sizeof(x->err),
			 "%s is for the vGPU's whole life: detach it and attach it anew", name);
		return -EINVAL;
	}
	if (!strcmp(name, "profile") || !strcmp(name, "tenant") || !strcmp(name, "made-from")) {
		snprintf(x->err, sizeof(x->err), "give it as --profile NAME or --tenant NAME");
		return -EINVAL;
	}
	return vgpu_spec_set(w, name, value + 1, why) < 0 ? fail(x, -EINVAL, why) : 0;
}

static int apply(struct vgpu_spec *w, struct setting *x)
{
	int err = 0;

	for (int i = 0; i < x->n && !err; i++)
		err = set_pair(w, x, x->pairs[i]);
	return err;
}

/* Orders to the vGPU, and fields of a later version, outlive a change of the profile. */
static int keep_orders(struct vgpu_spec *w, const char *old)
{
	char text[PVGPU_KEY_TEXT], why[VGPU_SPEC_ERROR], *rest, *word;

	snprintf(text, sizeof(text), "%s", old);
	for (word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		if (!value)
			continue;
		*value = '\0';
		if (policy_is_live(word)) {
			if (policy_set(w->policy, word, value + 1, why) < 0)
				return -EINVAL;
		} else if (!policy_has(word)) {
			size_t n = strlen(w->policy);

			snprintf(w->policy + n, sizeof(w->policy) - n, "%s%s=%s", n ? " " : "",
				 word, value + 1);
		}
	}
	return 0;
}

/* The vGPU's own pool stays where the profile names none. */
static void keep_place(struct vgpu_spec *w, const struct vgpu_spec *had, const struct site *site,
		       const char *profile)
{
	const struct profile *p = profiles_find(&site->profiles, profile);

	if (!p || !p->spec.pool.len) {
		w->pool = had->pool;
	} else if (!pool_group(&p->spec.pool)[0]) {
		snprintf(w->tenant, sizeof(w->tenant), "%s", pool_group(&had->pool));
	}
}

/* Makes *w, the settings that the vGPU is to have. */
static int wish(struct setting *x, struct vgpu_spec *w)
{
	char why[VGPU_SPEC_ERROR];
	struct vgpu_spec had;
	int err;

	spec_of(&x->old, &had);
	*w = had;
	if (x->profile) {
		*w = (struct vgpu_spec){0};
		pvgpu_text_set(&w->profile, x->profile, strlen(x->profile));
		keep_place(w, &had, x->site, x->profile);
	}
	if (apply(w, x) < 0)
		return -EINVAL;
	if (x->tenant) {
		w->pool.s[strcspn(w->pool.s, "/")] = '\0';
		w->pool.len = (uint32_t)strlen(w->pool.s);
		snprintf(w->tenant, sizeof(w->tenant), "%s", x->tenant);
	}
	err = site_resolve(x->site, w, why);
	if (err)
		return fail(x, err, why);
	if (x->profile && keep_orders(w, x->old.of[POLICY]) < 0)
		return fail(x, -EINVAL, "its policy would get too long");
	return 0;
}

static int check_limits(struct store *s, struct setting *x, struct vgpu_spec *w)
{
	struct vgpu_spec had;
	const struct room_ask ask = {.w = w, .be = x->ids->be, .except = x->ids, .had = &had};
	struct holdings all;
	const struct gpu *on;
	int err;

	spec_of(&x->old, &had);
	if (!room_matters(&ask))
		return 0;
	err = holdings_read(s, &all);
	if (err)
		return fail(x, err, strerror(-err));
	err = room_check(&ask, x->gpus, &all, &on, x->err, sizeof(x->err));
	if (!err && on && !strcspn(w->pool.s, "/"))
		room_pool(&w->pool, on);
	holdings_free(&all);
	return err;
}

static int write_texts(struct store *s, const struct setting *x)
{
	int err = 0;

	for (int i = 0; i < CHANGED && !err; i++) {
		char path[STORE_PATH];

		if (!strcmp(x->now.of[i], x->old.of[i]))
			continue;
		if (i == GROUP_POLICY && !x->now.of[i][0]) {
			vgpu_path(PVGPU_TREE_BACKEND, x->ids, pvgpu_keys[changed_keys[i]].name,
				  path);
			err = store_remove(s, path);
		} else {
			err = store_put(s, changed_keys[i], x->ids, x->now.of[i]);
		}
	}
	return err;
}

/* Runs in a transaction: pvgpud sees all changed keys or none. */
static int change(struct store *s, void *arg)
{
	struct setting *x = arg;
	struct vgpu_spec w;
	int err;

	x->err[0] = '\0';
	if (!vgpu_is_there(s, x->ids, x->uuid))
		return fail(x, -ENOENT, gone);
	read_texts(s, x->ids, &x->old);
	err = wish(x, &w);
	if (!err)
		err = check_limits(s, x, &w);
	if (err)
		return err;
	x->now = x->old;
	pvgpu_backend_memory_format(w.memory, x->now.of[MEMORY], PVGPU_KEY_TEXT, NULL);
	strcpy(x->now.of[POLICY], w.policy);
	strcpy(x->now.of[POOL], w.pool.s);
	strcpy(x->now.of[GROUP_POLICY], w.group_policy ? w.group_policy : "");
	strcpy(x->now.of[PROFILE], w.profile.s);
	return x->dry ? 0 : write_texts(s, x);
}

static int status_of(int err)
{
	return ctl_status(err);
}

static int run(struct host *h, struct setting *x, const struct vgpu *v)
{
	char label[VGPU_LABEL];
	int err;

	vgpu_label(h, v, label);
	if (!v->backend_there)
		return ctl_fail(EXIT_NOT_THERE, "%s: its backend domain is gone", label);
	err = store_atomically(&h->store, change, x);
	if (err)
		return ctl_fail(status_of(err), "%s: %s", label,
				x->err[0] ? x->err : strerror(-err));
	return EXIT_DONE;
}

/* For the VM's next starts, as it is now. */
static int keep(struct host *h, const struct vgpu *v)
{
	char label[VGPU_LABEL];
	struct vgpu now;

	vgpu_read(&h->store, &v->ids, &now);
	if (!now.backend_there || strcmp(now.uuid, v->uuid) != 0)
		return ctl_fail(EXIT_NOT_THERE, "%s: %s", vgpu_label(h, v, label), gone);
	return host_keep(h, &now);
}

static int set_one(struct host *h, const struct site *site, const struct vgpu *v, char **pairs,
		   int n)
{
	struct gpus gpus;
	struct setting x = {.site = site,
			    .gpus = &gpus,
			    .ids = &v->ids,
			    .uuid = v->uuid,
			    .profile = ctl.spec.profile.len ? ctl.spec.profile.s : NULL,
			    .tenant = ctl.spec.tenant[0] ? ctl.spec.tenant : NULL,
			    .pairs = pairs,
			    .n = n};
	int status;

	if (gpus_read(&h->store, v->ids.be, &gpus) < 0)
		return ctl_fail(EXIT_REFUSED, "out of memory");
	status = run(h, &x, v);
	gpus_free(&gpus);
	if (status || !ctl.persistent)
		return status;
	return keep(h, v);
}

int xen_set(int argc, char **argv)
{
	struct vgpus all = {0};
	struct site site = {0};
	struct domain vm;
	struct host h;
	int status;

	if (argc < 2 && !ctl.spec.profile.len && !ctl.spec.tenant[0])
		return ctl_fail(EXIT_USAGE, "say what to set: KEY=VALUE, --profile or --tenant");
	status = host_open(&h);
	if (status)
		return status;
	site_read(&site, ctl.site_dir, ini_fault_ignore, NULL);
	status = host_vm(&h, argv[0], &vm);
	if (!status)
		status = host_vgpus(&h, &vm, ctl.all, &all);
	for (size_t i = 0; i < all.n && !status; i++)
		status = set_one(&h, &site, &all.v[i], argv + 1, argc - 1);
	vgpus_free(&all);
	site_free(&site);
	host_close(&h);
	return status;
}

int xen_park(int argc, char **argv)
{
	char park[] = "park=1";

	return xen_set(2, (char *[]){argv[0], park, NULL});
}

int xen_resume(int argc, char **argv)
{
	char park[] = "park=0";

	return xen_set(2, (char *[]){argv[0], park, NULL});
}

int xen_pardon(int argc, char **argv)
{
	char raise[] = "pardon=+1";

	return xen_set(2, (char *[]){argv[0], raise, NULL});
}

/* ---- refresh ---- */

static json_t *difference(const struct setting *x)
{
	json_t *o = json_object();

	for (int i = 0; i < CHANGED; i++)
		if (strcmp(x->old.of[i], x->now.of[i]) != 0)
			json_object_set_new(
				o, pvgpu_keys[changed_keys[i]].name,
				json_pack("{s:s, s:s}", "from", x->old.of[i], "to", x->now.of[i]));
	return o;
}

static void print_difference(const char *label, const struct setting *x)
{
	bool any = false;

	for (int i = 0; i < CHANGED; i++) {
		if (!strcmp(x->old.of[i], x->now.of[i]))
			continue;
		printf("%s %s: '%s' -> '%s'", any ? "," : label, pvgpu_keys[changed_keys[i]].name,
		       x->old.of[i], x->now.of[i]);
		any = true;
	}
	if (any)
		puts(ctl.dry_run ? " (not done)" : "");
}

/* The vGPU gets what its profile and its tenant say now. */
static int refresh_one(struct host *h, const struct site *site, const struct vgpu *v, json_t *out)
{
	struct gpus gpus;
	struct setting x = {.site = site,
			    .gpus = &gpus,
			    .ids = &v->ids,
			    .uuid = v->uuid,
			    .profile = v->profile.len ? v->profile.s : NULL,
			    .dry = ctl.dry_run};
	char label[VGPU_LABEL + 1];
	int status;

	if (gpus_read(&h->store, v->ids.be, &gpus) < 0)
		return ctl_fail(EXIT_REFUSED, "out of memory");
	status = run(h, &x, v);
	gpus_free(&gpus);
	if (status)
		return status;
	vgpu_label(h, v, label);
	strcat(label, ":");
	if (out)
		json_array_append_new(out,
				      json_pack("{s:i, s:i, s:o}", "domid", (int)v->ids.fe, "id",
						(int)v->ids.id, "changes", difference(&x)));
	else
		print_difference(label, &x);
	return ctl.dry_run || !host_keeps(h, v) ? EXIT_DONE : keep(h, v);
}

static bool wanted(const struct vgpu *v, const char *profile)
{
	if (!v->backend_there)
		return false;
	if (profile)
		return !strcmp(v->profile.s, profile);
	return v->profile.len || pool_group(&v->pool)[0];
}

int xen_refresh(int argc, char **argv)
{
	const char *profile = argc ? argv[0] : NULL;
	struct vgpus all = {0};
	struct site site = {0};
	json_t *out = ctl.json ? json_array() : NULL;
	struct host h;
	int status = host_open(&h);

	if (status)
		return status;
	site_read(&site, ctl.site_dir, ini_fault_ignore, NULL);
	if (profile && !profiles_find(&site.profiles, profile))
		status = ctl_fail(EXIT_NOT_THERE,
				  "%s has no profile '%s'; pvgpuctl profiles shows them",
				  site.profiles.path, profile);
	else if (vgpus_read(&h.store, &h.domains, vgpu_read, &all) < 0)
		status = ctl_fail(EXIT_REFUSED, "reading the vGPUs from xenstore failed");
	/* One that cannot be changed does not keep others from it. */
	for (size_t i = 0; i < all.n; i++) {
		int one = wanted(&all.v[i], profile) ? refresh_one(&h, &site, &all.v[i], out) : 0;

		status = status ? status : one;
	}
	if (out) {
		answer_print_list("changes", out, false);
	}
	vgpus_free(&all);
	site_free(&site);
	host_close(&h);
	return status;
}
