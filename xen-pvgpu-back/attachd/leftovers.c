/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/attachd/round.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/contract/log.h"

static const char released[] = "@releaseDomain";

static bool domain_gone(void *arg, uint32_t domid)
{
	return !domain_exists(arg, domid);
}

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
static bool left_over(struct round *r, struct vgpu *v)
{
	struct vgpu now;

	if (!v->backend_there)
		return false;
	if (!domains_find(&r->k->domains, v->ids.fe) && domain_gone(r->k->store, v->ids.fe))
		return true;
	if (!ended(v))
		return false;
	/* First: whichever vGPU the states are of, no later one is removed. */
	vgpu_read_uuid(r->k->store, &v->ids, v->uuid);
	vgpu_read_states(r->k->store, &v->ids, &now);
	return ended(&now);
}

static void remove_keys(struct reconciler *k, const struct vgpu *v)
{
	const struct pvgpu_ids *ids = &v->ids;
	char name[DOMAIN_NAME];
	int err;

	round_one_begins(k);
	err = attach_remove(k->store, ids, v->uuid);
	if (err)
		log_warning("removing what is left of vGPU %u of domain %u: %s", ids->id, ids->fe,
			    strerror(-err));
	else
		log_info("removed what was left of vGPU %u of domain %u in %s", ids->id, ids->fe,
			 domain_label(&k->domains, ids->be, name));
}

void leftovers_remove(struct round *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->vgpus.n; i++) {
		struct vgpu *v = &r->vgpus.v[i];

		if (left_over(r, v))
			remove_keys(r->k, v);
		else
			r->vgpus.v[n++] = *v;
	}
	r->vgpus.n = n;
}

void leftovers_of(struct reconciler *k, uint32_t fe)
{
	for (size_t i = 0; i < k->domains.n; i++) {
		struct vgpu v = {.ids = {.fe = fe, .be = k->domains.v[i].domid}};
		char path[STORE_PATH];
		uint32_t *found;
		size_t n;

		if (!k->backends[v.ids.be])
			continue;
		snprintf(path, sizeof(path), "/local/domain/%u/backend/pvgpu/%u", v.ids.be, fe);
		if (store_numbers(k->store, path, PVGPU_DEVID_MAX, &found, &n) < 0)
			continue;
		for (size_t j = 0; j < n; j++) {
			v.ids.id = found[j];
			remove_keys(k, &v);
		}
		free(found);
	}
}

static bool hears(const struct reconciler *k, uint32_t be)
{
	for (size_t i = 0; i < k->n_hearing; i++)
		if (k->hearing[i] == be)
			return true;
	return false;
}

void leftovers_let_hear(struct reconciler *k, uint32_t be)
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

void leftovers_forget_hearing(struct reconciler *k)
{
	size_t n = 0;

	for (size_t i = 0; i < k->n_hearing; i++)
		if (domains_find(&k->domains, k->hearing[i]))
			k->hearing[n++] = k->hearing[i];
	if (n == k->n_hearing)
		return;
	k->n_hearing = n;
	store_let_hear(k->store, released, k->hearing, n, domain_gone, k->store);
}

void leftovers_let_backends_hear(struct round *r)
{
	for (size_t i = 0; i < r->vgpus.n; i++)
		if (r->vgpus.v[i].backend_there)
			leftovers_let_hear(r->k, r->vgpus.v[i].ids.be);
}
