/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/attachd/xapi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/log.h"

static const char synced[] = "synced";

int xapi_conf(const struct reconciler *k, const struct domain *d, struct vm_conf *c)
{
	char err[VMS_ERROR];
	int r = k->xapi_dir ? vm_conf_of_xapi(c, k->xapi_dir, d->uuid, err) : -ENOENT;

	if (r == -ENOENT)
		return 0;
	if (r)
		log_error("%s; what xapi says of this VM is not followed", err);
	return r ? r : 1;
}

static uint32_t hash(uint32_t h, const char *text)
{
	do
		h = (h ^ (uint8_t)*text) * 16777619u;
	while (*text++);
	return h;
}

uint32_t xapi_revision(const struct vgpu_spec *w)
{
	return hash(hash(2166136261u, w->profile.s), w->tenant);
}

void xapi_uuid(const struct domain *d, uint32_t id, struct pvgpu_uuid *uuid)
{
	char key[PVGPU_UUID_TEXT + 24];

	snprintf(key, sizeof(key), "xapi/%s/%u", d->uuid, id);
	uuid_derived(uuid, key);
}

/* Was it made because xapi said so? */
static bool ours(struct round *r, const struct domain *d, const struct vgpu *v)
{
	struct pvgpu_uuid has = {{0}}, ours;
	size_t len;
	char *text = store_key(r->k->store, PVGPU_KEY_BACKEND_UUID, &v->ids, &len);

	pvgpu_backend_uuid_parse(text, len, &has, NULL);
	free(text);
	xapi_uuid(d, v->ids.id, &ours);
	return memcmp(&has, &ours, sizeof(has)) == 0;
}

static bool is_synced(const struct reconciler *k)
{
	char path[VMS_PATH];

	snprintf(path, sizeof(path), "%.300s/%s", k->xapi_dir, synced);
	return access(path, F_OK) == 0;
}

static bool unwanted(struct round *r, const struct domain *d, const struct vgpu *v,
		     const struct vm_conf *said, const struct vm_conf *c)
{
	if (said && !said->n)
		return true;
	for (size_t i = 0; c && i < c->n; i++)
		if (c->vgpus[i].id == v->ids.id)
			return false;
	return (said || is_synced(r->k)) && ours(r, d, v);
}

/* As pvgpuctl detach: the guest's programs may end first, where someone serves it. */
static void withdraw(struct round *r, const struct domain *d, const struct vgpu *v)
{
	struct store *s = r->k->store;
	bool served = attach_served(s, v);
	char name[DOMAIN_NAME];
	int err = 0;

	round_one_begins(r->k);
	if (!served)
		err = attach_remove(s, &v->ids, v->uuid);
	else if (v->online)
		err = attach_offline(s, &v->ids, v->uuid);
	if (err)
		log_warning("vGPU %u of %s (domain %u): detaching: %s", v->ids.id,
			    domain_label(&r->k->domains, d->domid, name), d->domid, strerror(-err));
	else if (v->online)
		log_info("detaching vGPU %u of %s (domain %u): xapi does not have it any more",
			 v->ids.id, domain_label(&r->k->domains, d->domid, name), d->domid);
	if (!served && !err)
		return;
	r->k->leaving++;
	round_next(r, d->domid);
}

void xapi_withdraw(struct round *r, const struct domain *d, const struct vm_conf *said,
		   const struct vm_conf *c)
{
	if (!r->k->xapi_dir || !d->uuid[0])
		return;
	for (size_t i = 0; i < r->vgpus.n; i++) {
		const struct vgpu *v = &r->vgpus.v[i];

		if (v->ids.fe == d->domid && v->backend_there && unwanted(r, d, v, said, c))
			withdraw(r, d, v);
	}
}
