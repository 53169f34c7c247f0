/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/attachd/reconcile.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/attachd/round.h"
#include "xen-pvgpu-back/attachd/xapi.h"
#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

static const char token[] = "attachd";
static const char vm_tree[] = "/vm";

#define ONE_S 2.0
/* The same where a guest that makes it conflict needs it no more. */
#define TOUCHES 3

void round_one_begins(struct reconciler *k)
{
	k->store->until = store_now() + ONE_S;
}

void round_next(struct round *r, uint32_t domid)
{
	r->k->dirty[domid] = true;
}

/* ---- backends ---- */

/* An operator may attach a vGPU to any domain at any time: one watch tells of the first. */
static void other_path(uint32_t domid, char path[STORE_PATH])
{
	snprintf(path, STORE_PATH, "/local/domain/%u/backend/pvgpu", domid);
}

static void watch_other(struct reconciler *k, uint32_t domid)
{
	char path[STORE_PATH];

	if (k->backends[domid] || k->others[domid])
		return;
	other_path(domid, path);
	k->others[domid] = store_watch(k->store, path, token) == 0;
}

static void unwatch_other(struct reconciler *k, uint32_t domid)
{
	char path[STORE_PATH];

	if (!k->others[domid])
		return;
	other_path(domid, path);
	store_unwatch(k->store, path, token);
	k->others[domid] = false;
}

void round_backend(struct reconciler *k, uint32_t be)
{
	k->backends[be] = true;
	unwatch_other(k, be);
}

/* ---- what has changed ---- */

int reconcile_watch(struct reconciler *k)
{
	int err = store_watch(k->store, "@introduceDomain", token);

	if (!err)
		err = store_watch(k->store, "@releaseDomain", token);
	/* A VM that is restored or received by migration should have its keys before it runs. The
	 * toolstack writes below /vm long before it introduces the domain. */
	return err ? err : store_watch(k->store, vm_tree, token);
}

static void look_at_vm(struct reconciler *k, const char *uuid, size_t n)
{
	for (size_t i = 0; i < k->domains.n; i++) {
		const struct domain *d = &k->domains.v[i];

		if (d->uuid[0] && strlen(d->uuid) == n && !strncmp(d->uuid, uuid, n))
			k->dirty[d->domid] = true;
	}
}

void reconcile_event(struct reconciler *k, const char *path)
{
	const size_t skip = sizeof(vm_tree); /* with a slash */

	uint32_t be, fe;

	/* The event that follows the watch itself has no guest in its path. */
	if (sscanf(path, "/local/domain/%" SCNu32 "/backend/pvgpu/%" SCNu32, &be, &fe) == 2) {
		if (be <= PVGPU_DOMID_MAX && fe <= PVGPU_DOMID_MAX) {
			round_backend(k, be);
			k->dirty[fe] = true;
		}
		return;
	}
	/* The other watches are those of backends, and who waits for one is looked at anyway. */
	if (path[0] && path[0] != '@' && strncmp(path, vm_tree, skip - 1) != 0)
		return;
	k->listing = true;
	if (!strncmp(path, vm_tree, skip - 1) && path[skip - 1])
		look_at_vm(k, path + skip, strcspn(path + skip, "/"));
}

void reconcile_file(struct reconciler *k, const char *name)
{
	const char *suffix = name ? strstr(name, ".conf") : NULL;

	if (suffix)
		look_at_vm(k, name, (size_t)(suffix - name));
	else
		k->known = false;
}

void reconcile_free(struct reconciler *k)
{
	free(k->attachments);
	k->attachments = NULL;
	k->n = 0;
	domains_free(&k->domains);
	k->known = false;
}

void reconcile_again(struct reconciler *k)
{
	for (size_t i = 0; i < k->n; i++)
		k->attachments[i].done = false;
	k->complaint[0] = '\0';
	k->known = false;
}

/* ---- vGPUs that files describe ---- */

static void complain(void *arg, const char *err)
{
	char *all = arg;
	size_t n = strlen(all);

	snprintf(all + n, VMS_ERROR - n, "%s%s", n ? "; " : "", err);
}

/* Read in each round: an operator's change counts from the next start of a VM. */
static int read_files(struct round *r)
{
	char all[VMS_ERROR] = "";
	int err = vms_read(&r->vms, r->k->dir, complain, all);

	if (err < 0)
		snprintf(all, sizeof(all), "%s: %s", r->k->dir, strerror(-err));
	/* Behind the others: a VM of both has what its own file says. */
	if (err != -ENOMEM && r->k->xl_dir &&
	    xl_configs_add(&r->vms, r->k->xl_dir, complain, all) == -ENOMEM)
		err = -ENOMEM;
	if (all[0] && strcmp(all, r->k->complaint) != 0)
		log_error("%s", all);
	memcpy(r->k->complaint, all, sizeof(all));
	return err == -ENOMEM ? err : 0;
}

static struct attachment *remember(struct reconciler *k, const struct domain *d, uint32_t id,
				   uint32_t revision)
{
	struct attachment *more;

	for (size_t i = 0; i < k->n; i++)
		if (k->attachments[i].domid == d->domid && k->attachments[i].id == id &&
		    !strcmp(k->attachments[i].vm, d->uuid))
			return &k->attachments[i];
	more = reallocarray(k->attachments, k->n + 1, sizeof(*more));
	if (!more)
		return NULL;
	k->attachments = more;
	more += k->n++;
	*more = (struct attachment){.domid = d->domid, .id = id, .revision = revision};
	strcpy(more->vm, d->uuid);
	return more;
}

/* Those that no file has any more, or whose domain is gone. */
static void forget_unseen(struct round *r)
{
	struct reconciler *k = r->k;
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++) {
		const struct attachment *a = &k->attachments[i];

		if (domains_find(&k->domains, a->domid) && (a->seen || !r->visit[a->domid]))
			k->attachments[n++] = *a;
	}
	k->n = n;
}

static const struct vgpu *find_vgpu(const struct vgpus *all, uint32_t fe, uint32_t id)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->v[i].ids.fe == fe && all->v[i].ids.id == id)
			return &all->v[i];
	return NULL;
}

/* Two domains of one uuid: the VM is migrated within this host, and the old domain is about to free
 * its vGPU. */
static bool moving(const struct round *r, const struct domain *d)
{
	for (size_t i = 0; i < r->k->domains.n; i++)
		if (d->uuid[0] && r->k->domains.v[i].domid != d->domid &&
		    !strcmp(r->k->domains.v[i].uuid, d->uuid))
			return true;
	return false;
}

/* A change of the backend's keys may make the attach possible. */
static void watch_backend(struct reconciler *k, uint32_t be)
{
	char path[STORE_PATH];

	if (k->watched[be])
		return;
	vgpu_path(PVGPU_TREE_HOST, &(struct pvgpu_ids){.be = be}, NULL, path);
	k->watched[be] = store_watch(k->store, path, token) == 0;
}

static int find_backend(struct round *r, const struct vgpu_spec *w, uint32_t *be,
			char err[ATTACH_ERROR])
{
	const struct domain *d;
	int ret;

	*be = 0;
	if (w->backend[0]) {
		ret = domains_resolve(&r->k->domains, "backend", w->backend, &d, err);
		if (ret)
			return ret;
		*be = d->domid;
	}
	watch_backend(r->k, *be);
	round_backend(r->k, *be);
	return 0;
}

static int attach_resolved(struct round *r, const struct domain *d, const struct vgpu_spec *w,
			   const struct vgpu *orphan, char err[ATTACH_ERROR])
{
	struct store *s = r->k->store;
	struct pvgpu_ids ids = {.fe = d->domid, .id = w->id};
	bool force = moving(r, d);
	char name[DOMAIN_NAME];
	int ret = find_backend(r, w, &ids.be, err);

	round_one_begins(r->k);
	if (!ret && orphan)
		ret = attach_possible(s, w, &ids, force, err);
	/* A frontend does not follow a change of its backend: its keys are written anew once a
	 * backend is there. */
	if (!ret && orphan) {
		ret = attach_remove(s, &orphan->ids, "");
		if (ret)
			snprintf(err, ATTACH_ERROR, "removing its old keys: %s", strerror(-ret));
	}
	if (!ret)
		ret = attach_make(s, w, &ids, force, err);
	if (!ret) {
		leftovers_let_hear(r->k, ids.be);
		log_info("attached vGPU %u of %s (domain %u), served by domain %u", w->id,
			 domain_label(&r->k->domains, d->domid, name), d->domid, ids.be);
	}
	return ret;
}

/* 0 when the vGPU is attached; otherwise err says why it cannot be attached yet. The site's files
 * are read each time: what they say now is what counts. */
static int try_attach(struct round *r, const struct domain *d, const struct vgpu_spec *from_file,
		      const struct vgpu *orphan, char err[ATTACH_ERROR])
{
	struct vgpu_spec w = *from_file;
	struct site site = {0};
	int ret = 0;

	if (w.profile.len || w.tenant[0] || pool_group(&w.pool)[0]) {
		site_read(&site, r->k->site_dir, ini_fault_ignore, NULL);
		ret = site_resolve(&site, &w, err);
	}
	if (!ret)
		ret = attach_resolved(r, d, &w, orphan, err);
	site_free(&site);
	return ret;
}

/*
 * A guest that is restored with a vGPU that it did not have when it was saved notices it only by a
 * write to the vGPU's keys while it runs. No event tells when it runs, so the state is written
 * again from time to time.
 */
static int touch(struct store *s, void *arg)
{
	const struct pvgpu_ids *ids = arg;
	enum pvgpu_state state = PVGPU_STATE_UNKNOWN;
	char path[STORE_PATH], *text;
	size_t len;
	int err;

	text = store_key(s, PVGPU_KEY_FRONTEND_STATE, ids, &len);
	if (text)
		pvgpu_frontend_state_parse(text, len, &state, NULL);
	vgpu_path(PVGPU_TREE_FRONTEND, ids, pvgpu_keys[PVGPU_KEY_FRONTEND_STATE].name, path);
	err = state == PVGPU_STATE_INITIALISING ? store_write(s, path, text) : 0;
	free(text);
	return err;
}

static void touch_unseen(struct round *r, const struct vgpu *v)
{
	struct pvgpu_ids ids = v->ids;

	if (v->guest_state != PVGPU_STATE_INITIALISING ||
	    (v->state != PVGPU_STATE_INITWAIT && v->state != PVGPU_STATE_INITIALISING))
		return;
	r->k->unseen++;
	round_next(r, ids.fe);
	if (v->state == PVGPU_STATE_INITWAIT)
		store_try(r->k->store, touch, &ids, TOUCHES);
}

static void identify(struct vgpu_spec *w, const struct domain *d, const struct vm_conf *c,
		     bool by_xapi)
{
	char key[DOMAIN_NAME + 16];

	if (w->has_uuid)
		return;
	snprintf(key, sizeof(key), "%s/%u", c->uuid[0] ? c->uuid : c->name, w->id);
	if (by_xapi)
		xapi_uuid(d, w->id, &w->uuid);
	else
		uuid_derived(&w->uuid, key);
	w->has_uuid = true;
}

static void wait_for(struct round *r, struct attachment *a, const struct domain *d,
		     const char err[ATTACH_ERROR])
{
	char name[DOMAIN_NAME];

	r->waiting++;
	round_next(r, d->domid);
	if (strcmp(err, a->why_not) != 0)
		log_warning("vGPU %u of %s (domain %u) cannot be attached yet: %s", a->id,
			    domain_label(&r->k->domains, d->domid, name), d->domid, err);
	snprintf(a->why_not, sizeof(a->why_not), "%s", err);
}

/* A vGPU that is there. True: nothing is to be done for it. */
static bool is_there(struct round *r, struct attachment *a, const struct vgpu *v, bool by_xapi)
{
	if (!v || !v->backend_there)
		return false;
	a->be = v->ids.be;
	round_backend(r->k, v->ids.be);
	/* Taken away a moment ago, and xapi has it again. */
	if (by_xapi && !v->online && !a->done)
		return false;
	a->done = true;
	touch_unseen(r, v);
	return true;
}

/* Each change of xapi's value counts as a start does, but for a vGPU that is there. */
static void take_revision(struct round *r, struct attachment *a, const struct vgpu *v,
			  uint32_t revision)
{
	char name[DOMAIN_NAME];

	a->revision = revision;
	if (v && v->backend_there)
		log_info("xapi has another profile or tenant for vGPU %u of %s (domain %u): it "
			 "counts "
			 "from the VM's next start; pvgpuctl set changes it now",
			 a->id, domain_label(&r->k->domains, a->domid, name), a->domid);
	else
		a->done = false;
}

/* c is the VM's file, by_xapi: one of xapi's. */
static void reconcile_one(struct round *r, const struct domain *d, const struct vm_conf *c,
			  const struct vgpu_spec *from_file, bool by_xapi)
{
	const struct vgpu *v = find_vgpu(&r->vgpus, d->domid, from_file->id);
	const uint32_t revision = by_xapi ? xapi_revision(from_file) : 0;
	struct attachment *a = remember(r->k, d, from_file->id, revision);
	struct vgpu_spec w = *from_file;
	char err[ATTACH_ERROR] = "the one before is being taken away";

	if (!a)
		return;
	a->seen = true;
	if (a->revision != revision)
		take_revision(r, a, v, revision);
	if (is_there(r, a, v, by_xapi))
		return;
	/* An operator has detached it, unless its backend domain has ended. */
	if (a->done && !v)
		return;
	identify(&w, d, c, by_xapi);
	if ((v && v->backend_there) || try_attach(r, d, &w, v, err) != 0) {
		wait_for(r, a, d, err);
		return;
	}
	a->done = true;
	a->why_not[0] = '\0';
	r->k->unseen++;
	round_next(r, d->domid);
}

static void keep(struct reconciler *k, uint32_t domid)
{
	for (size_t i = 0; i < k->n; i++)
		if (k->attachments[i].domid == domid)
			k->attachments[i].seen = true;
}

static void reconcile_domain(struct round *r, const struct domain *d)
{
	struct vm_conf said = {0};
	const struct vm_conf *c = vms_find(&r->vms, d);
	int by_xapi = xapi_conf(r->k, d, &said);
	bool left[VMS_VGPUS] = {false};

	if (by_xapi < 0) {
		keep(r->k, d->domid);
		return;
	}
	if (by_xapi)
		c = &said;
	xapi_withdraw(r, d, by_xapi ? &said : NULL, c);
	if (c && !by_xapi)
		libxl_leave(r, d, c, left);
	for (size_t i = 0; c && i < c->n; i++)
		if (!left[i])
			reconcile_one(r, d, c, &c->vgpus[i], by_xapi);
	vm_conf_free(&said);
}

static void reconcile_all(struct round *r)
{
	for (size_t i = 0; i < r->k->n; i++)
		r->k->attachments[i].seen = false;
	for (size_t i = 0; i < r->k->domains.n; i++) {
		const struct domain *d = &r->k->domains.v[i];

		if (d->domid && r->visit[d->domid])
			reconcile_domain(r, d);
	}
	forget_unseen(r);
}

/* A domain's number is reused. */
static void unwatch(struct reconciler *k, uint32_t be)
{
	char path[STORE_PATH];

	if (!k->watched[be])
		return;
	vgpu_path(PVGPU_TREE_HOST, &(struct pvgpu_ids){.be = be}, NULL, path);
	store_unwatch(k->store, path, token);
	k->watched[be] = false;
}

/* ---- rounds ---- */

static void went(void *arg, uint32_t domid)
{
	struct reconciler *k = arg;

	leftovers_of(k, domid);
	for (size_t i = 0; i < k->n; i++)
		if (k->attachments[i].be == domid)
			k->dirty[k->attachments[i].domid] = true;
	unwatch(k, domid);
	unwatch_other(k, domid);
	k->backends[domid] = false;
	k->dirty[domid] = false;
}

static int read_vgpus(struct round *r)
{
	struct reconciler *k = r->k;
	struct domains backends = {.v = calloc(k->domains.n + 1, sizeof(*backends.v))};
	int err = backends.v ? 0 : -ENOMEM;

	for (size_t i = 0; i < k->domains.n && !err; i++)
		if (k->backends[k->domains.v[i].domid])
			backends.v[backends.n++] = k->domains.v[i];
	for (size_t i = 0; i < k->domains.n && !err; i++) {
		const uint32_t domid = k->domains.v[i].domid;

		if (r->visit[domid] && domid)
			err = vgpus_add_guest(k->store, &backends, domid, vgpu_read_states,
					      &r->vgpus);
	}
	free(backends.v);
	return err;
}

static int make_round(struct round *r)
{
	struct reconciler *k = r->k;
	int err = read_files(r);

	if (err)
		return err;
	for (size_t i = 0; i < r->vgpus.n; i++)
		if (r->vgpus.v[i].backend_there)
			round_backend(k, r->vgpus.v[i].ids.be);
	for (size_t i = 0; i < k->domains.n; i++)
		if (r->visit[k->domains.v[i].domid])
			watch_other(k, k->domains.v[i].domid);
	leftovers_remove(r);
	leftovers_forget_hearing(k);
	reconcile_all(r);
	names_update(r);
	leftovers_let_backends_hear(r);
	return 0;
}

static void finish(struct round *r, unsigned int *waiting)
{
	*waiting = r->waiting;
	vms_free(&r->vms);
	vgpus_free(&r->vgpus);
}

/* Are there domains to visit? */
static bool begin(struct reconciler *k, struct round *r)
{
	memcpy(r->visit, k->dirty, sizeof(r->visit));
	memset(k->dirty, 0, sizeof(k->dirty));
	k->unseen = k->leaving = 0;
	return memchr(r->visit, true, sizeof(r->visit));
}

int reconcile_round(struct reconciler *k, unsigned int *waiting)
{
	struct round r = {.k = k};
	struct domains old = k->domains;
	int err;

	k->listing = false;
	k->backends[0] = true;
	for (size_t i = 0; i < old.n; i++)
		k->dirty[old.v[i].domid] = true;
	err = domains_update(k->store, &k->domains, k->dirty, went, k);
	begin(k, &r);
	for (size_t i = 0; i < k->domains.n; i++)
		r.visit[k->domains.v[i].domid] = true;
	if (!err)
		err = vgpus_read(k->store, &k->domains, vgpu_read_states, &r.vgpus);
	if (!err)
		err = make_round(&r);
	k->known = !err;
	finish(&r, waiting);
	return err;
}

int reconcile_changes(struct reconciler *k, unsigned int *waiting)
{
	struct round r = {.k = k};
	int err = 0;

	if (!k->known)
		return reconcile_round(k, waiting);
	if (k->listing)
		err = domains_update(k->store, &k->domains, k->dirty, went, k);
	k->listing = false;
	if (begin(k, &r) && !err) {
		err = read_vgpus(&r);
		if (!err)
			err = make_round(&r);
	} else {
		leftovers_forget_hearing(k);
		forget_unseen(&r);
	}
	finish(&r, waiting);
	return err;
}
