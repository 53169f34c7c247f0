/* SPDX-License-Identifier: MIT */
/* The file of faults: JSON, replaced at each change. Its times are of CLOCK_BOOTTIME, so it is
 * valid for one boot of the machine only. */
#include "xen-pvgpu-back/daemon/guard/faults.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"

static void path_of(const struct daemon *d, const char *suffix, char out[CONFIG_PATH + 16])
{
	snprintf(out, CONFIG_PATH + 16, "%s/faults%s", d->cfg.run_dir, suffix);
}

static void boot_id(char out[40])
{
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!f || !fgets(out, 40, f))
		strcpy(out, "?");
	if (f)
		fclose(f);
	out[strcspn(out, "\n")] = '\0';
}

static struct quarantine_rule rule(const struct daemon *d)
{
	return (struct quarantine_rule){.faults = d->cfg.quarantine_faults,
					.window_ms = d->cfg.quarantine_window_s * 1000ull,
					.time_ms = d->cfg.quarantine_time_s * 1000ull};
}

/* ---- writing ---- */

static void add(json_t *vgpus, const struct daemon *d, const char *identity,
		const struct quarantine *q, enum pvgpu_drain drain)
{
	const struct quarantine_rule r = rule(d);
	json_t *at, *users;

	if (!quarantine_matters(q, &r, now_ms()) && drain == PVGPU_DRAIN_0)
		return;
	at = json_array();
	users = json_array();
	for (unsigned int i = 0; i < q->n; i++) {
		json_array_append_new(at, json_integer((json_int_t)q->at[i]));
		json_array_append_new(users, json_integer(q->user[i]));
	}
	json_object_set_new(vgpus, identity,
			    json_pack("{s:I, s:I, s:I, s:s, s:o, s:o, s:i}", "faults",
				      (json_int_t)q->faults, "until", (json_int_t)q->until_ms,
				      "pardon", (json_int_t)q->pardon, "why", q->why, "at", at,
				      "users", users, "drain", (int)drain));
}

/* A Xen guest's is in xenstore, and one without a section drains for that. */
static enum pvgpu_drain own_drain(const struct vgpu *v)
{
	return v->xen || !v->cfg.socket[0] ? PVGPU_DRAIN_0 : v->drain;
}

static json_t *make_vgpus(const struct daemon *d)
{
	json_t *vgpus = json_object();
	const struct fault_record *f;
	char identity[40];

	SLIST_FOREACH(f, &d->fault_records, link)
	add(vgpus, d, f->identity, &f->q, PVGPU_DRAIN_0);
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		quarantine_identity(d->vgpus[i]->cfg.name, identity);
		add(vgpus, d, identity, &d->vgpus[i]->quarantine, own_drain(d->vgpus[i]));
	}
	return vgpus;
}

static json_t *make_pools(const struct daemon *d)
{
	json_t *pools = json_object();

	for (unsigned int i = 0; i < d->pool_n; i++) {
		const struct canary *c = &d->pools[i]->canary;
		uint64_t started;
		const pid_t reset = reset_process(d->pools[i], &started);

		if (c->unhealthy)
			json_object_set_new(pools, d->pools[i]->cfg.name,
					    json_pack("{s:s, s:b, s:i, s:I}", "reason", c->reason,
						      "locked", (int)c->locked, "reset", (int)reset,
						      "started", (json_int_t)started));
	}
	return pools;
}

void faults_save(struct daemon *d)
{
	char path[CONFIG_PATH + 16], temp[CONFIG_PATH + 16], boot[40];
	json_t *vgpus = make_vgpus(d), *pools = make_pools(d), *all;
	bool empty = !json_object_size(vgpus) && !json_object_size(pools);

	path_of(d, "", path);
	path_of(d, ".new", temp);
	boot_id(boot);
	all = json_pack("{s:s, s:o, s:o}", "boot", boot, "vgpus", vgpus, "pools", pools);
	d->unsaved[0] = '\0';
	if (!empty ? !all || json_dump_file(all, temp, JSON_INDENT(1)) < 0 || rename(temp, path) < 0
		   : unlink(path) < 0 && errno != ENOENT) {
		snprintf(d->unsaved, sizeof(d->unsaved), "%.100s: %.50s", path, strerror(errno));
		log_warning("%s; faults and what is drained will be forgotten when pvgpud is "
			    "started again",
			    d->unsaved);
		unlink(temp);
	}
	json_decref(all);
}

/* ---- reading ---- */

static uint64_t number_of(json_t *o, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(o, key));

	return n > 0 ? (uint64_t)n : 0;
}

static void read_vgpu(struct daemon *d, const char *identity, json_t *o)
{
	struct fault_record *f = calloc(1, sizeof(*f));
	json_t *at = json_object_get(o, "at"), *users = json_object_get(o, "users");
	const char *why = json_string_value(json_object_get(o, "why"));

	if (!f)
		return;
	snprintf(f->identity, sizeof(f->identity), "%s", identity);
	f->q.faults = number_of(o, "faults");
	f->q.until_ms = number_of(o, "until");
	f->q.pardon = number_of(o, "pardon");
	if (number_of(o, "drain") <= PVGPU_DRAIN_NOW)
		f->drain = (enum pvgpu_drain)number_of(o, "drain");
	snprintf(f->q.why, sizeof(f->q.why), "%s", why ? why : "");
	for (size_t i = 0; i < json_array_size(at) && f->q.n < QUARANTINE_FAULTS_MAX; i++) {
		f->q.user[f->q.n] = (uint32_t)json_integer_value(json_array_get(users, i));
		f->q.at[f->q.n++] = (uint64_t)json_integer_value(json_array_get(at, i));
	}
	SLIST_INSERT_HEAD(&d->fault_records, f, link);
}

static void read_pool(struct daemon *d, const char *name, json_t *o)
{
	struct pool *p = pool_find(d, name);
	const char *reason = json_string_value(json_object_get(o, "reason"));

	if (!p || !reason)
		return;
	/* First: what follows writes the file anew. */
	reset_resume(p, (pid_t)number_of(o, "reset"), number_of(o, "started"));
	if (json_is_true(json_object_get(o, "locked")))
		canary_lock(p, "%s", reason);
	else
		canary_want(p, "because a former pvgpud found the GPU unhealthy: %s", reason);
}

/* The file's contents if it was written in this boot; else NULL. */
static json_t *load(const struct daemon *d)
{
	char path[CONFIG_PATH + 16], boot[40];
	json_error_t err;
	const char *of;
	json_t *all;

	path_of(d, "", path);
	if (access(path, F_OK) < 0)
		return NULL;
	all = json_load_file(path, 0, &err);
	boot_id(boot);
	of = json_string_value(json_object_get(all, "boot"));
	if (!all)
		log_warning("%s: %s: former faults are forgotten", path, err.text);
	if (of && !strcmp(of, boot))
		return all;
	json_decref(all);
	return NULL;
}

void faults_load(struct daemon *d)
{
	json_t *all = load(d), *o;
	const char *name;

	SLIST_INIT(&d->fault_records);
	json_object_foreach(json_object_get(all, "vgpus"), name, o)
	{
		read_vgpu(d, name, o);
	}
	json_decref(all);
}

void faults_load_pools(struct daemon *d)
{
	json_t *all = load(d), *o;
	const char *name;

	json_object_foreach(json_object_get(all, "pools"), name, o)
	{
		read_pool(d, name, o);
	}
	json_decref(all);
}

/* ---- vGPUs come and go ---- */

void faults_known(struct vgpu *v)
{
	struct fault_record *f;
	char identity[40];

	quarantine_identity(v->cfg.name, identity);
	SLIST_FOREACH(f, &v->d->fault_records, link)
	{
		if (strcmp(f->identity, identity) != 0)
			continue;
		v->quarantine = f->q;
		v->drain = f->drain;
		/* `pardon` may have been raised while the vGPU was detached. */
		quarantine_pardon(&v->quarantine, v->cfg.policy.pardon);
		SLIST_REMOVE(&v->d->fault_records, f, fault_record, link);
		free(f);
		return;
	}
	v->quarantine.pardon = v->cfg.policy.pardon;
}

/* Drops expired records, which bounds the list. */
static void forget_old(struct daemon *d)
{
	const struct quarantine_rule r = rule(d);
	struct fault_record *f, *next;

	for (f = SLIST_FIRST(&d->fault_records); f; f = next) {
		next = SLIST_NEXT(f, link);
		if (quarantine_matters(&f->q, &r, now_ms()))
			continue;
		SLIST_REMOVE(&d->fault_records, f, fault_record, link);
		free(f);
	}
}

void faults_gone(struct vgpu *v)
{
	struct fault_record *f;

	forget_old(v->d);
	if (!v->quarantine.n)
		return;
	f = calloc(1, sizeof(*f));
	if (!f)
		return;
	quarantine_identity(v->cfg.name, f->identity);
	f->q = v->quarantine;
	SLIST_INSERT_HEAD(&v->d->fault_records, f, link);
}

void faults_free(struct daemon *d)
{
	struct fault_record *f;

	while ((f = SLIST_FIRST(&d->fault_records))) {
		SLIST_REMOVE_HEAD(&d->fault_records, link);
		free(f);
	}
}
