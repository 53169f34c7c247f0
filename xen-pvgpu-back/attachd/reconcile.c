/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/attachd/reconcile.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/contract/log.h"
#include "xen-pvgpu-back/toolstack/site.h"
#include "xen-pvgpu-back/toolstack/xl_config.h"

static const char token[] = "attachd";
static const char released[] = "@releaseDomain";

/* For the transactions about one vGPU: a guest can make those conflict that touch its own
 * directory, and the other guests wait meanwhile. */
#define ONE_S 2.0
/* The same where a guest that makes it conflict needs it no more. */
#define TOUCHES 3

static void one_begins(struct reconciler *k)
{
	k->store->until = store_now() + ONE_S;
}

/* The state of the host as one round sees it. */
struct round {
	struct reconciler *k;
	struct domains domains;
	struct vgpus vgpus;
	struct vms vms;
	unsigned int waiting;
};

int reconcile_watch(struct reconciler *k)
{
	int err = store_watch(k->store, "@introduceDomain", token);

	if (!err)
		err = store_watch(k->store, released, token);
	/* A VM that is restored or received by migration should have its keys before it runs. The
	 * toolstack writes below /vm long before it introduces the domain. */
	return err ? err : store_watch(k->store, "/vm", token);
}

void reconcile_free(struct reconciler *k)
{
	free(k->attachments);
	k->attachments = NULL;
	k->n = 0;
}

void reconcile_again(struct reconciler *k)
{
	for (size_t i = 0; i < k->n; i++)
		k->attachments[i].done = false;
	k->complaint[0] = '\0';
}

static bool domain_gone(void *arg, uint32_t domid)
{
	struct store *s = arg;
	char path[STORE_PATH];

	snprintf(path, sizeof(path), "/local/domain/%u", domid);
	return !store_exists(s, path);
}

/* ---- keys of ended VMs ---- */

static bool ended(const struct vgpu *v)
{
	return v->backend_there &&
	       (!v->guest_there ||
		(!v->online && v->state == PVGPU_STATE_CLOSED && !vgpu_guest_closes(v)));
}

/*
 * Keys are left over when their domain is gone, when the guest has removed its own keys, or when a
 * detach gave up waiting. xenstore is read again, because the domain may have appeared after the
 * list was made.
 */
static bool left_over(struct round *r, const struct vgpu *v)
{
	struct vgpu now;

	if (!v->backend_there)
		return false;
	if (!domains_find(&r->domains, v->ids.fe) && domain_gone(r->k->store, v->ids.fe))
		return true;
	if (!ended(v))
		return false;
	vgpu_read_states(r->k->store, &v->ids, &now);
	return ended(&now);
}

static void remove_leftovers(struct round *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->vgpus.n; i++) {
		struct vgpu *v = &r->vgpus.v[i];
		char name[DOMAIN_NAME];
		int err;

		if (!left_over(r, v)) {
			r->vgpus.v[n++] = *v;
			continue;
		}
		one_begins(r->k);
		err = attach_remove(r->k->store, &v->ids);
		if (err)
			log_warning("removing what is left of vGPU %u of domain %u: %s", v->ids.id,
				    v->ids.fe, strerror(-err));
		else
			log_info("removed what was left of vGPU %u of domain %u in %s", v->ids.id,
				 v->ids.fe, domain_label(&r->domains, v->ids.be, name));
	}
	r->vgpus.n = n;
}

static bool hears(const struct reconciler *k, uint32_t be)
{
	for (size_t i = 0; i < k->n_hearing; i++)
		if (k->hearing[i] == be)
			return true;
	return false;
}

/* xenstored tells a driver domain of the end of domains only if dom0 permits it. */
static void let_hear(struct reconciler *k, uint32_t be)
{
	int err;

	if (!be || hears(k, be) || k->n_hearing == RECONCILE_HEARING)
		return;
	k->hearing[k->n_hearing++] = be;
	err = store_let_hear(k->store, released, k->hearing, k->n_hearing, domain_gone, k->store);
	if (err)
		log_info("xenstored does not report ends of domains to domain %u (%s); its pvgpud "
			 "notices them by its backend directory",
			 be, strerror(-err));
	else
		log_info("xenstored reports ends of domains to domain %u", be);
}

/* A domain's number is reused: the permission must not pass to the next domain. */
static void forget_hearing(struct round *r)
{
	struct reconciler *k = r->k;
	size_t n = 0;

	for (size_t i = 0; i < k->n_hearing; i++)
		if (domains_find(&r->domains, k->hearing[i]))
			k->hearing[n++] = k->hearing[i];
	if (n == k->n_hearing)
		return;
	k->n_hearing = n;
	store_let_hear(k->store, released, k->hearing, n, domain_gone, k->store);
}

static void let_backends_hear(struct round *r)
{
	for (size_t i = 0; i < r->vgpus.n; i++)
		if (r->vgpus.v[i].backend_there)
			let_hear(r->k, r->vgpus.v[i].ids.be);
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

static struct attachment *remember(struct reconciler *k, const struct domain *d, uint32_t id)
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
	*more = (struct attachment){.domid = d->domid, .id = id};
	strcpy(more->vm, d->uuid);
	return more;
}

static void forget_unseen(struct reconciler *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n; i++)
		if (k->attachments[i].seen)
			k->attachments[n++] = k->attachments[i];
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
	for (size_t i = 0; i < r->domains.n; i++)
		if (d->uuid[0] && r->domains.v[i].domid != d->domid &&
		    !strcmp(r->domains.v[i].uuid, d->uuid))
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
		ret = domains_resolve(&r->domains, "backend", w->backend, &d, err);
		if (ret)
			return ret;
		*be = d->domid;
	}
	watch_backend(r->k, *be);
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

	one_begins(r->k);
	if (!ret && orphan)
		ret = attach_possible(s, w, &ids, force, err);
	/* A frontend does not follow a change of its backend: its keys are written anew once a
	 * backend is there. */
	if (!ret && orphan) {
		ret = attach_remove(s, &orphan->ids);
		if (ret)
			snprintf(err, ATTACH_ERROR, "removing its old keys: %s", strerror(-ret));
	}
	if (!ret)
		ret = attach_make(s, w, &ids, force, err);
	if (!ret) {
		let_hear(r->k, ids.be);
		log_info("attached vGPU %u of %s (domain %u), served by domain %u", w->id,
			 domain_label(&r->domains, d->domid, name), d->domid, ids.be);
	}
	return ret;
}

static void ignore(void *arg, const char *text)
{
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
		site_read(&site, r->k->site_dir, ignore, NULL);
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
	if (v->state == PVGPU_STATE_INITWAIT)
		store_try(r->k->store, touch, &ids, TOUCHES);
}

static void reconcile_one(struct round *r, const struct domain *d, const struct vm_conf *c,
			  const struct vgpu_spec *from_file)
{
	const struct vgpu *v = find_vgpu(&r->vgpus, d->domid, from_file->id);
	struct attachment *attachment = remember(r->k, d, from_file->id);
	struct vgpu_spec w = *from_file;
	char err[ATTACH_ERROR], name[DOMAIN_NAME], key[DOMAIN_NAME + 16];

	if (!attachment)
		return;
	attachment->seen = true;
	if (v && v->backend_there) {
		attachment->done = true;
		touch_unseen(r, v);
	}
	/* An operator has detached it, unless its backend domain has ended. */
	if (attachment->done && (!v || v->backend_there))
		return;
	if (!w.has_uuid) {
		snprintf(key, sizeof(key), "%s/%u", c->uuid[0] ? c->uuid : c->name, w.id);
		uuid_derived(&w.uuid, key);
		w.has_uuid = true;
	}
	if (try_attach(r, d, &w, v, err) == 0) {
		attachment->done = true;
		attachment->why_not[0] = '\0';
		r->k->unseen++;
		return;
	}
	r->waiting++;
	if (strcmp(err, attachment->why_not) != 0)
		log_warning("vGPU %u of %s (domain %u) cannot be attached yet: %s", w.id,
			    domain_label(&r->domains, d->domid, name), d->domid, err);
	memcpy(attachment->why_not, err, sizeof(err));
}

static void reconcile_all(struct round *r)
{
	for (size_t i = 0; i < r->k->n; i++)
		r->k->attachments[i].seen = false;
	for (size_t i = 0; i < r->domains.n; i++) {
		const struct domain *d = &r->domains.v[i];
		const struct vm_conf *c = d->domid ? vms_find(&r->vms, d) : NULL;

		for (size_t j = 0; c && j < c->n; j++)
			reconcile_one(r, d, c, &c->vgpus[j]);
	}
	forget_unseen(r->k);
}

/* A domain's number is reused. */
static void unwatch_gone(struct round *r)
{
	for (uint32_t be = 1; be <= PVGPU_DOMID_MAX; be++) {
		char path[STORE_PATH];

		if (!r->k->watched[be] || domains_find(&r->domains, be))
			continue;
		vgpu_path(PVGPU_TREE_HOST, &(struct pvgpu_ids){.be = be}, NULL, path);
		store_unwatch(r->k->store, path, token);
		r->k->watched[be] = false;
	}
}

int reconcile_round(struct reconciler *k, unsigned int *waiting)
{
	struct round r = {.k = k};
	int err = domains_read(k->store, &r.domains);

	*waiting = k->unseen = 0;
	if (!err)
		err = vgpus_read(k->store, &r.domains, vgpu_read_states, &r.vgpus);
	if (!err)
		err = read_files(&r);
	if (!err) {
		remove_leftovers(&r);
		forget_hearing(&r);
		reconcile_all(&r);
		let_backends_hear(&r);
		unwatch_gone(&r);
		*waiting = r.waiting;
	}
	vms_free(&r.vms);
	vgpus_free(&r.vgpus);
	domains_free(&r.domains);
	return err;
}
