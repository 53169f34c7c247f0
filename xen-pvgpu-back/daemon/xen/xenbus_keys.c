/* SPDX-License-Identifier: MIT */
/*
 * Makes the struct vgpu from the keys of a guest's vGPU. Only the backend's directory defines its
 * properties. A vGPU whose memory cannot be promised has no struct vgpu, and is retried when memory
 * becomes free.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/rules/portion.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_vgpu.h"

/* The toolstack's keys of a vGPU. */
struct keys {
	struct pvgpu_ids frontend;
	uint32_t domid;
	bool online;
	struct pvgpu_uuid uuid;
	uint64_t memory;
	struct pvgpu_text pool, vm_name, vm_uuid;
	struct pvgpu_backend_policy policy;
	bool grouped; /* group is there */
	struct pvgpu_backend_group_policy group;
};

static bool has_key(struct xen_vgpu *x, const char *key)
{
	char *text;
	size_t len;
	bool there = xenbus_read(x->bus, x->path, key, &text, &len) == 0;

	free(text);
	return there;
}

static void read_keys(struct xen_vgpu *x, struct keys *k, char fault[PVGPU_KEY_ERROR])
{
	fault[0] = '\0';
	*k = (struct keys){.online = x->online};
	TAKE(x, x->path, "frontend", pvgpu_backend_frontend_parse, &k->frontend, fault);
	TAKE(x, x->path, "frontend-id", pvgpu_backend_frontend_id_parse, &k->domid, fault);
	TAKE(x, x->path, "online", pvgpu_backend_online_parse, &k->online, fault);
	TAKE(x, x->path, "uuid", pvgpu_backend_uuid_parse, &k->uuid, fault);
	TAKE(x, x->path, "memory", pvgpu_backend_memory_parse, &k->memory, fault);
	TAKE(x, x->path, "pool", pvgpu_backend_pool_parse, &k->pool, fault);
	TAKE(x, x->path, "policy", pvgpu_backend_policy_parse, &k->policy, fault);
	TAKE(x, x->path, "vm-name", pvgpu_backend_vm_name_parse, &k->vm_name, fault);
	TAKE(x, x->path, "vm-uuid", pvgpu_backend_vm_uuid_parse, &k->vm_uuid, fault);
	k->grouped = strchr(k->pool.s, '/') && has_key(x, "group-policy");
	if (k->grouped)
		TAKE(x, x->path, "group-policy", pvgpu_backend_group_policy_parse, &k->group,
		     fault);
	if (!fault[0] &&
	    (k->frontend.fe != x->domid || k->frontend.id != x->devid || k->domid != x->domid))
		snprintf(fault, PVGPU_KEY_ERROR,
			 "frontend or frontend-id names another vGPU than %s; attach it anew",
			 x->front);
}

/* Restores the counters of a former pvgpud from xenstore, unless <run_dir>/usage has them. */
static void read_statistics(struct xen_vgpu *x)
{
	struct pvgpu_backend_statistics n;
	char fault[PVGPU_KEY_ERROR] = "";

	TAKE(x, x->path, "statistics", pvgpu_backend_statistics_parse, &n, fault);
	if (!fault[0])
		xenbus_restore(x->v, &n);
}

/* Sets memory and pool; false: the error is in x->refusal and last-reason. */
static bool configure_place(struct xen_vgpu *x, struct config_vgpu *cfg, const struct keys *k)
{
	char error[CONFIG_ERROR];

	cfg->memory = k->memory;
	if (config_vgpu_pool(cfg, k->pool.s, error) == 0)
		return true;
	snprintf(x->refusal, sizeof(x->refusal), "%.*s", (int)sizeof(x->refusal) - 1, error);
	xenbus_vgpu_tell(x, x->refusal);
	return false;
}

static void take_group(struct xen_vgpu *x, const struct keys *k)
{
	if (x->v->group && k->grouped)
		group_told(x->d, x->v->group, &k->group);
}

/* Admits a vGPU to a pool; NULL: refused, or not decided yet. A vGPU with running sessions of a
 * former pvgpud is always admitted. */
static struct pool *admit(struct xen_vgpu *x, const struct config_vgpu *cfg)
{
	char reason[POOL_REASON];
	struct pool *pool;

	if (!x->adopt && pool_waits(x->d, cfg)) {
		const struct pool *p = cfg->pool[0] ? pool_find(x->d, cfg->pool) : x->d->pools[0];

		x->waits = true;
		if (p->failures)
			xenbus_vgpu_tell(x, p->failure);
		return NULL;
	}
	pool = pool_place(x->d, cfg, NULL, reason);
	if (pool)
		return pool;
	if (x->adopt)
		return x->d->pools[0];
	x->waits = !reason[0];
	if (x->waits)
		return NULL;
	/* At least 1, since 0 means no refusal: an unhealthy GPU refuses a vGPU without a promise,
	 * too. */
	x->lacks = cfg->memory ? cfg->memory : 1;
	snprintf(x->refusal, sizeof(x->refusal), "%s", reason);
	return NULL;
}

/* Xen guests' vGPUs that are there. */
static unsigned int guests(const struct daemon *d)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		n += d->vgpus[i]->xen != NULL;
	return n;
}

/* Each vGPU is promised grants, event channels and a session: false when there are not enough for
 * one more. Running sessions of a former pvgpud need no promise. */
static bool promise(struct xen_vgpu *x, const struct config_vgpu *cfg)
{
	const struct config *c = &x->d->cfg;
	const struct portion_rule grants = {.total = c->xen_max_grants, .each = c->xen_vgpu_grants};
	const struct portion_rule channels = {.total = c->xen_max_channels,
					      .each = XEN_VGPU_CHANNELS};
	const unsigned int n = guests(x->d);

	if (x->adopt)
		return true;
	/* last-reason has 127 characters. */
	if (!portion_fits(&grants, n + 1))
		snprintf(x->refusal, sizeof(x->refusal),
			 "%u vGPUs are promised %u of %u grants each: detach one, lower "
			 "xen_vgpu_grants or raise xen_max_grants",
			 n, c->xen_vgpu_grants, c->xen_max_grants);
	else if (channels.total && !portion_fits(&channels, n + 1))
		snprintf(x->refusal, sizeof(x->refusal),
			 "%u vGPUs are promised %u of %u event channels each: detach one or raise "
			 "xen_max_channels",
			 n, XEN_VGPU_CHANNELS, c->xen_max_channels);
	else if (x->d->vgpu_n >= c->max_sessions)
		snprintf(x->refusal, sizeof(x->refusal),
			 "%u vGPUs are promised a session each, and max_sessions is %u: detach one "
			 "or raise it",
			 x->d->vgpu_n, c->max_sessions);
	else
		return true;
	/* It is tried again when a vGPU goes. */
	x->lacks = cfg->memory ? cfg->memory : 1;
	return false;
}

/* Told once of each change; what the pool refuses is told the operator. */
static void take_park(struct xen_vgpu *x, const struct keys *k)
{
	char why[POOL_REASON];

	if (x->park == k->policy.park)
		return;
	x->park = k->policy.park;
	if (parking_want(x->v, x->park, why, sizeof(why)))
		return;
	log_warning("vgpu %s: not parked: %s", x->v->cfg.name, why);
	xenbus_vgpu_tell(x, why);
}

static void make_vgpu(struct xen_vgpu *x, const struct keys *k)
{
	struct config_vgpu cfg = {.policy = k->policy};
	struct pool *pool;

	xenbus_name(x->domid, x->devid, &k->uuid, cfg.name);
	if (!configure_place(x, &cfg, k) || !promise(x, &cfg))
		return;
	pool = admit(x, &cfg);
	if (!pool)
		return;
	x->v = daemon_add_vgpu(x->d, &cfg, pool);
	if (!x->v) {
		snprintf(x->refusal, sizeof(x->refusal), "the backend is out of memory");
		return;
	}
	x->uuid = k->uuid;
	x->drain = x->v->drain = k->policy.drain;
	take_park(x, k);
	read_statistics(x);
	x->v->xen = x;
	snprintf(x->v->ctl_name, sizeof(x->v->ctl_name), "%" PRIu32 " --id %" PRIu32, x->domid,
		 x->devid);
	x->counted = true;
	take_group(x, k);
	log_info("vgpu %s: of domain %" PRIu32 ", memory %" PRIu64 " MiB%s", cfg.name, x->domid,
		 cfg.memory >> 20, cfg.memory ? "" : " (all of the GPU's)");
}

static void change_vgpu(struct xen_vgpu *x, const struct keys *k)
{
	struct vgpu *v = x->v;
	struct config_vgpu place;
	char reason[POOL_REASON];
	const uint64_t reserve = v->cfg.policy.memory_reserve;
	int err = 0;

	v->cfg.policy = k->policy;
	place = v->cfg;
	v->cfg.policy.memory_reserve = reserve; /* until another is admitted */
	share_policy(v);
	faults_pardon(v, k->policy.pardon);
	if (configure_place(x, &place, k))
		err = vgpu_change(v, &place, reason);
	x->waits = err < 0 && !reason[0];
	if (err < 0 && !x->waits) {
		/* It goes on with its former settings. */
		x->lacks = place.memory ? place.memory : 1;
		log_warning("vgpu %s: not changed: %s", v->cfg.name, reason);
		xenbus_vgpu_tell(x, reason);
	}
	take_group(x, k);
	if (x->drain != k->policy.drain) {
		x->drain = k->policy.drain;
		vgpu_drain(v, x->drain);
	}
	take_park(x, k);
}

void xenbus_take_keys(struct xen_vgpu *x)
{
	char fault[PVGPU_KEY_ERROR];
	struct keys k;

	x->waits = false;
	x->lacks = 0;
	read_keys(x, &k, fault);
	x->online = k.online;
	if (fault[0] && strcmp(fault, x->refusal) != 0)
		log_warning("vgpu %s: %s", xenbus_vgpu_name(x), fault);
	memcpy(x->refusal, fault, sizeof(fault));
	if (fault[0]) {
		xenbus_vgpu_tell(x, fault);
		return;
	}
	snprintf(x->vm, sizeof(x->vm), "%s", k.vm_name.s);
	snprintf(x->vm_uuid, sizeof(x->vm_uuid), "%.36s", k.vm_uuid.s);
	if (!x->v) {
		make_vgpu(x, &k);
	} else if (memcmp(&x->uuid, &k.uuid, sizeof(k.uuid)) != 0) {
		log_info("vgpu %s: its uuid has changed: it is replaced", x->v->cfg.name);
		x->gone = x->bus->rescan = true;
	} else {
		change_vgpu(x, &k);
	}
}

static bool may_fit(const struct xen_vgpu *x)
{
	const struct daemon *d = x->d;
	uint64_t own = x->v ? x->v->cfg.memory : 0;

	for (unsigned int i = 0; i < d->pool_n; i++)
		if (pool_free(d->pools[i]) + own >= x->lacks)
			return true;
	return false;
}

void xenbus_predicted(struct daemon *d)
{
	struct xen_vgpu *x;

	if (!d->xen)
		return;
	TAILQ_FOREACH(x, &d->xen->vgpus, link)
	x->dirty |= x->waits;
	xenbus_schedule(d->xen);
}

void xenbus_memory_changed(struct daemon *d)
{
	struct xen_vgpu *x;

	if (!d->xen)
		return;
	TAILQ_FOREACH(x, &d->xen->vgpus, link)
	{
		if (!x->waits && !(x->lacks && may_fit(x)))
			continue;
		x->dirty = true;
		xenbus_schedule(d->xen);
	}
}
