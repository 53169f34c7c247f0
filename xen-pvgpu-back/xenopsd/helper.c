/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/xenopsd/helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/toolstack/site.h"

#define RETRY_S 1.0 /* between looks while a vGPU is not attached; events come sooner */

static const char token[] = "vgpu";

/* For one vGPU's transactions from now on. */
static void limit_conflicts(struct helper *h)
{
	h->store->until = store_now() + 2 * RETRY_S;
}

/* ---- xenopsd's keys ---- */

static void key_path(const struct helper *h, const char *name, char path[STORE_PATH])
{
	snprintf(path, STORE_PATH, "/local/domain/%u/%s", h->ask->domid, name);
}

static int write_key(struct helper *h, const char *name, const char *value)
{
	char path[STORE_PATH];

	key_path(h, name, path);
	return store_write(h->store, path, value);
}

static void remove_key(struct helper *h, const char *name)
{
	char path[STORE_PATH];

	key_path(h, name, path);
	store_remove(h->store, path);
}

/* xenopsd reads the reason as soon as it sees the state. */
static void fail(struct helper *h, const char *why)
{
	log_error("domain %u: %s", h->ask->domid, why);
	h->is = HELPER_FAILED;
	if (write_key(h, "vgpu/error-code", why) || write_key(h, "vgpu/state", "error"))
		log_error("domain %u: xenstore does not take the error", h->ask->domid);
}

bool helper_is_served(struct store *s, uint32_t domid)
{
	char path[STORE_PATH], pid[32], *end;
	unsigned long n;

	snprintf(path, sizeof(path), "/local/domain/%u/vgpu-pid", domid);
	if (!store_text(s, path, pid, sizeof(pid)))
		return false;
	n = strtoul(pid, &end, 10);
	return n > 1 && n <= INT32_MAX && !*end && n != (unsigned long)getpid() &&
	       request_is_served_by((uint32_t)n, NULL, domid);
}

/* In a transaction: of two that are started at the same time one serves the domain. */
static int begin(struct store *s, void *arg)
{
	char path[STORE_PATH], pid[32];
	struct helper *h = arg;
	int err;

	if (!domain_exists(s, h->ask->domid))
		return -ENOENT;
	if (helper_is_served(s, h->ask->domid))
		return -EALREADY;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	key_path(h, "vgpu", path);
	/* Only dom0's programs have to know. */
	err = store_directory(s, path, "n0");
	if (!err)
		err = write_key(h, "vgpu-pid", pid);
	return err ? err : write_key(h, "vgpu/state", "initialising");
}

int helper_begin(struct helper *h, double now)
{
	int err;

	h->begun = now;
	h->is = HELPER_STARTS;
	limit_conflicts(h);
	err = store_atomically(h->store, begin, h);
	if (!err)
		err = store_watch(h->store, "@releaseDomain", token);
	if (!err)
		err = store_watch(h->store, "@introduceDomain", token);
	return err;
}

/* ---- attaching ---- */

static void backend_paths(const struct helper *h, uint32_t be, char paths[2][STORE_PATH])
{
	const struct pvgpu_ids ids = {.be = be};

	vgpu_path(PVGPU_TREE_HOST, &ids, NULL, paths[0]);
	snprintf(paths[1], STORE_PATH, "/local/domain/%u/backend/pvgpu/%u", be, h->ask->domid);
}

static bool is_watched(const struct helper *h, uint32_t be)
{
	for (size_t i = 0; i < h->ask->n; i++)
		if (h->v[i].watched && h->v[i].watched_be == be)
			return true;
	return false;
}

/* Events of the backend's pvgpud, and of the vGPU when it is there. A new watch fires at once, so
 * one that is there already stays. */
static void watch(struct helper *h, struct attached *a, uint32_t be)
{
	char paths[2][STORE_PATH];

	if (a->watched && a->watched_be == be)
		return;
	if (a->watched) {
		a->watched = false;
		backend_paths(h, a->watched_be, paths);
		for (int i = 0; i < 2 && !is_watched(h, a->watched_be); i++)
			store_unwatch(h->store, paths[i], token);
	}
	backend_paths(h, be, paths);
	for (int i = 0; i < 2 && !is_watched(h, be); i++)
		store_watch(h->store, paths[i], token);
	a->watched = true;
	a->watched_be = be;
}

static int find_backend(struct helper *h, const struct vgpu_spec *w, uint32_t *be,
			char err[ATTACH_ERROR])
{
	struct domains all = {0};
	const struct domain *d;
	int r;

	*be = 0;
	if (!w->backend[0])
		return 0;
	r = domains_read(h->store, &all);
	if (r)
		snprintf(err, ATTACH_ERROR, "reading the domains: %s", strerror(-r));
	else
		r = domains_resolve(&all, "backend", w->backend, &d, err);
	if (!r)
		*be = d->domid;
	domains_free(&all);
	return r;
}

/* The VGPU object's, as a vGPU has it; an operator may have given its number to another. */
static const char *own_uuid(const struct helper *h, const struct attached *a,
			    char text[PVGPU_UUID_TEXT])
{
	text[0] = '\0';
	pvgpu_backend_uuid_format(&h->ask->v[a - h->v].uuid, text, PVGPU_UUID_TEXT, NULL);
	return text;
}

/* Can waiting not help? */
static bool is_final(const struct helper *h, int err, double now)
{
	switch (err) {
	case -ENOENT:
	case -ENODEV:
	case -EAGAIN:
	case -ETIMEDOUT:
	case -EEXIST:
		return false;
	case -ENOSPC:
		return now - h->begun >= h->full_s;
	default:
		return true;
	}
}

static int attach_with(struct helper *h, const struct site *site, size_t i, bool *final, double now)
{
	struct attached *a = &h->v[i];
	struct vgpu_spec w = {.any_id = true, .has_uuid = true, .uuid = h->ask->v[i].uuid};
	char uuid[PVGPU_UUID_TEXT];
	int r;

	w.profile.len = strlen(h->ask->v[i].profile);
	memcpy(w.profile.s, h->ask->v[i].profile, w.profile.len + 1);
	r = site_resolve(site, &w, a->why);
	*final = r != 0;
	if (r)
		return r;
	/* A vGPU keeps its number when its backend domain comes back. */
	if (a->made) {
		w.any_id = false;
		w.id = a->ids.id;
		attach_remove(h->store, &a->ids, own_uuid(h, a, uuid));
	}
	a->ids.fe = h->ask->domid;
	r = find_backend(h, &w, &a->ids.be, a->why);
	if (!r) {
		watch(h, a, a->ids.be);
		r = attach_make(h->store, &w, &a->ids, false, a->why);
	}
	*final = r && is_final(h, r, now);
	return r;
}

/* The site's files are read each time: what they say now is what counts. */
static void attach(struct helper *h, size_t i, double now)
{
	struct attached *a = &h->v[i];
	char before[ATTACH_ERROR];
	struct site site = {0};
	bool final;
	int r;

	memcpy(before, a->why, sizeof(before));
	limit_conflicts(h);
	site_read(&site, h->site_dir, ini_fault_ignore, NULL);
	r = attach_with(h, &site, i, &final, now);
	site_free(&site);
	if (!r) {
		a->made = true;
		a->why[0] = '\0';
		log_info("attached vGPU %u of domain %u (%s), served by domain %u", a->ids.id,
			 a->ids.fe, h->ask->v[i].profile, a->ids.be);
	} else if (final && h->is == HELPER_STARTS) {
		fail(h, a->why);
	} else if (strcmp(before, a->why) != 0) {
		log_warning("domain %u: a vGPU of profile %s waits: %s", h->ask->domid,
			    h->ask->v[i].profile, a->why);
	}
}

/* Is the vGPU there, or is it not to be? Otherwise its backend domain has ended. */
static bool is_settled(struct helper *h, struct attached *a)
{
	struct vgpu now;

	if (a->leaves)
		return true;
	if (!a->made || a->why[0])
		return false;
	vgpu_read_states(h->store, &a->ids, &now);
	if (now.backend_there && now.online)
		return true;
	if (!domain_exists(h->store, a->ids.be))
		return false;
	a->leaves = true;
	log_info("vGPU %u of domain %u was detached", a->ids.id, a->ids.fe);
	return true;
}

static const char *missing(const struct helper *h)
{
	for (size_t i = 0; i < h->ask->n; i++)
		if (h->v[i].why[0])
			return h->v[i].why;
	return "xenstore does not answer";
}

void helper_look(struct helper *h, double now)
{
	size_t settled = 0;

	if (!domain_exists(h->store, h->ask->domid)) {
		h->is = HELPER_GONE;
		return;
	}
	for (size_t i = 0; i < h->ask->n && h->is <= HELPER_RUNS; i++) {
		if (!is_settled(h, &h->v[i]))
			attach(h, i, now);
		settled += h->v[i].leaves || !h->v[i].why[0];
	}
	if (h->is != HELPER_STARTS)
		return;
	if (settled == h->ask->n) {
		if (!write_key(h, "vgpu/state", "running"))
			h->is = HELPER_RUNS;
	} else if (now - h->begun >= h->limit_s) {
		fail(h, missing(h));
	}
}

double helper_wait(const struct helper *h, double now)
{
	double left = h->begun + h->limit_s - now;

	if (h->is == HELPER_STARTS)
		return left < 0 ? 0 : left < RETRY_S ? left : RETRY_S;
	for (size_t i = 0; i < h->ask->n; i++)
		if (h->v[i].why[0] && !h->v[i].leaves)
			return RETRY_S;
	return -1;
}

/* ---- the end ---- */

/* -ENOENT: another tool has removed it. */
static void note_end(const struct attached *a, const char *what, int err)
{
	if (err && err != -ENOENT)
		log_warning("vGPU %u of domain %u: %s: %s", a->ids.id, a->ids.fe, what,
			    strerror(-err));
}

void helper_leave(struct helper *h)
{
	for (size_t i = 0; i < h->ask->n; i++) {
		const struct attached *a = &h->v[i];
		char uuid[PVGPU_UUID_TEXT];

		if (!a->made || a->leaves)
			continue;
		limit_conflicts(h);
		note_end(a, "asking for its end",
			 attach_offline(h->store, &a->ids, own_uuid(h, a, uuid)));
	}
}

bool helper_has_left(struct helper *h)
{
	for (size_t i = 0; i < h->ask->n; i++) {
		struct vgpu now;

		if (!h->v[i].made)
			continue;
		vgpu_read_states(h->store, &h->v[i].ids, &now);
		if (now.backend_there && now.state != PVGPU_STATE_CLOSED &&
		    attach_served(h->store, &now))
			return false;
	}
	return true;
}

void helper_end(struct helper *h)
{
	for (size_t i = 0; i < h->ask->n; i++) {
		const struct attached *a = &h->v[i];
		char uuid[PVGPU_UUID_TEXT];

		if (!a->made)
			continue;
		limit_conflicts(h);
		note_end(a, "removing its keys",
			 attach_remove(h->store, &a->ids, own_uuid(h, a, uuid)));
	}
	remove_key(h, "vgpu-pid");
	/* xenopsd may read the error until it removes the domain. */
	if (h->is != HELPER_FAILED)
		remove_key(h, "vgpu");
}
