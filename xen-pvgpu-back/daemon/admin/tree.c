/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/admin/tree.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"
#include "xen-pvgpu-back/daemon/guard/strangers.h"
#include "xen-pvgpu-back/daemon/cgroup/cgroup.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus.h"
#include "xenstore-schema/nearest.h"

static void put(json_t *o, const char *key, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void put(json_t *o, const char *key, const char *fmt, ...)
{
	char buf[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf, sizeof(buf), fmt, ap);
	va_end(ap);
	json_object_set_new_nocheck(o, key, json_string(buf));
}

/* A new object inside another. */
static json_t *inside(json_t *o, const char *key)
{
	json_t *in = json_object();

	json_object_set_new_nocheck(o, key, in);
	return in;
}

static const char *state_name(const struct worker *w)
{
	switch (w->state) {
	case CHECK_ADOPTING:
		return "adopting";
	case CHECK_ENDED:
		return "ending";
	default:
		return w->sealed ? "running" : "starting";
	}
}

static void put_session(json_t *o, const struct worker *w)
{
	put(o, "pid", "%d", (int)w->pid);
	if (w->number) {
		put(o, "guest-session", "%u", w->number);
		put(o, "grants", "%" PRIu32, w->grants);
	} else {
		put(o, "guest-pid", "%d", (int)w->guest_pid);
	}
	put(o, "leased", "%" PRIu64, w->leased);
	put(o, "age", "%" PRIu64, w->started_ms ? (now_ms() - w->started_ms) / 1000 : 0);
	put(o, "state", "%s", state_name(w));
}

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

/* The fields of xenstore's `policy`. The live fields are commands, not properties, and are left
 * out. */
static void put_policy(json_t *o, const struct pvgpu_backend_policy *p)
{
	char text[64];

	for (uint32_t i = 0; i < policy_key->nfields; i++) {
		const struct pvgpu_field *f = &policy_key->fields[i];

		if (!f->live && pvgpu_field_format(policy_key, f, pvgpu_field_get(f, p), text,
						   sizeof(text), NULL) == 0)
			put(o, f->name, "%s", text);
	}
}

/* In the units of xenstore's `statistics`: times in microseconds. */
static void put_share(json_t *o, const struct vgpu *v)
{
	struct tenant_stats n;

	share_stats(v, &n);
	put(o, "gpu-time", "%" PRIu64, n.gpu_ns / 1000);
	put(o, "wait-time", "%" PRIu64, n.wait_ns / 1000);
	put(o, "throttled-time", "%" PRIu64, n.throttled_ns / 1000);
	put(o, "copy-bytes", "%" PRIu64, n.copy_bytes);
	put(o, "launches", "%" PRIu64, n.launches);
	put(o, "slices", "%" PRIu64, n.slices);
	put(o, "inflight", "%" PRIu64, n.inflight_ns / 1000);
}

static void put_vgpu(json_t *o, const struct vgpu *v)
{
	const struct worker *w;
	json_t *sessions;

	if (v->xen) {
		put(o, "domain", "%" PRIu32, v->xen->domid);
		put(o, "device", "%" PRIu32, v->xen->devid);
		put(o, "state", "%s", pvgpu_name_of(&pvgpu_state_names, v->xen->state));
	} else {
		put(o, "socket", "%s", v->cfg.socket);
	}
	put(o, "memory", "%" PRIu64, vgpu_quota(v));
	put(o, "memory-used", "%" PRIu64, ledger_used(&v->ledger));
	put(o, "memory-parked", "%" PRIu64, v->ledger.parked);
	put(o, "sessions", "%u", v->sessions);
	put(o, "sessions-total", "%" PRIu64, v->total);
	put(o, "sessions-failed", "%" PRIu64, v->failed);
	put(o, "sessions-refused", "%" PRIu64, v->refused);
	put(o, "refusing", "%s", vgpu_refusing(v));
	put(o, "last-reason", "%s", v->last_reason);
	put(o, "pool", "%s%s%s", v->pool->cfg.name, v->group ? "/" : "",
	    v->group ? v->group->cfg.name : "");
	put(o, "drain", "%s", pvgpu_name_of(&pvgpu_drain_names, v->drain));
	put_policy(o, &v->cfg.policy);
	put_share(o, v);
	put(o, "faults", "%" PRIu64, v->quarantine.faults);
	put(o, "quarantined", "%" PRIu64, faults_left_s(v));
	put(o, "pardon", "%" PRIu64, v->quarantine.pardon);
	sessions = inside(o, "session");
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		char id[16];

		if (w->vgpu != v)
			continue;
		snprintf(id, sizeof(id), "%u", w->id);
		put_session(inside(sessions, id), w);
	}
}

/* p NULL: in all pools. */
static unsigned int spares(const struct daemon *d, const struct pool *p)
{
	const struct worker *w;
	unsigned int n = 0;

	TAILQ_FOREACH(w, &d->workers, link)
	n += w->state == CHECK_SPARE && (!p || w->pool == p);
	return n;
}

static uint64_t gpu_memory(const struct daemon *d)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->pool_n; i++)
		n += d->pools[i]->device_memory;
	return n;
}

/* For pvgpuctl doctor; no statistic has them. */
static void put_modes(json_t *o, const struct pool *p)
{
	const struct health_msg *m = &p->sensors;
	const bool there = m->kind == HEALTH_STATE;

	put(o, "persistence", "%s",
	    !there || m->state.persistence == UINT32_MAX ? "unknown"
	    : m->state.persistence                       ? "on"
							 : "off");
	put(o, "ecc", "%s",
	    !there                                   ? "unknown"
	    : m->state.uncorrected == HEALTH_UNKNOWN ? "off"
						     : "on");
}

static void put_near(json_t *o, const struct pool *p)
{
	if (!p->near.known)
		return;
	put(o, "numa-node", "%d", p->near.node);
	put(o, "cpus", "%s", p->near.cpus);
}

static void put_pool(json_t *o, const struct pool *p)
{
	const struct daemon *d = p->d;
	unsigned int vgpus = 0, sessions = 0;
	uint64_t waits, turns;
	char health[CANARY_WHY + 16], test[CANARY_WHY], reset[300];

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		if (d->vgpus[i]->pool != p)
			continue;
		vgpus++;
		sessions += d->vgpus[i]->sessions;
	}
	put(o, "device", "%s", p->cfg.device);
	put(o, "model", "%s", p->model);
	put(o, "policy", "%s", config_policy_name(p->cfg.policy));
	put(o, "handovers", "%" PRIu64, schedule_handovers(p->schedule));
	put(o, "handover-time", "%" PRIu64, schedule_handover_ns(p->schedule) / 1000);
	put(o, "wakeups", "%" PRIu64, schedule_wakeups(p->schedule));
	waits = schedule_waits(p->schedule, &turns);
	put(o, "grant-waits", "%" PRIu64, waits);
	put(o, "grant-wait-turns", "%" PRIu64, turns);
	put(o, "mode", "%s", config_mode_name(p->cfg.mode));
	put(o, "gpu-memory", "%" PRIu64, p->device_memory);
	put(o, "gpu-memory-free", "%" PRIu64, pool_free(p));
	put(o, "promised", "%" PRIu64, pool_promised(p));
	put(o, "park-memory", "%" PRIu64, p->cfg.park_memory);
	put(o, "host-memory", "%" PRIu64, parking_machine());
	put(o, "load", "%" PRIu32, p->load_ppm);
	put(o, "vgpus", "%u", vgpus);
	put(o, "sessions", "%u", sessions);
	put(o, "spare-workers", "%u", spares(d, p));
	put(o, "failure", "%s", pool_starts_fail(p) ? p->failure : "");
	canary_health(p, health, sizeof(health));
	put(o, "health", "%s", health);
	reset_text(p, reset, sizeof(reset));
	put(o, "reset", "%s", reset);
	canary_result(p, test, sizeof(test));
	put(o, "test", "%s", test);
	put(o, "canaries", "%" PRIu64, p->canary.runs);
	put(o, "unknown-processes", "%u", strangers_count(p));
	put_modes(o, p);
	put_near(o, p);
}

/* Shows parts per million as percent, without trailing zeros. */
static void put_percent(json_t *o, const char *key, uint32_t ppm)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%u.%04u", ppm / 10000, ppm % 10000);

	while (text[n - 1] == '0')
		n--;
	n -= text[n - 1] == '.';
	put(o, key, "%.*s%%", n, text);
}

static void put_group(json_t *o, const struct pool_group *g)
{
	put(o, "weight", "%u", g->cfg.weight);
	put_percent(o, "min-share", g->cfg.min_ppm);
	put_percent(o, "max-share", g->cfg.max_ppm ? g->cfg.max_ppm : SCHED_PPM);
	put(o, "rate-commands", "%u", g->cfg.commands_per_s);
	put(o, "rate-bytes", "%" PRIu64, g->cfg.bytes_per_s);
}

/* A thousand vGPUs take tens of milliseconds to describe. */
static bool is_asked_for(const struct vgpu *v, const char *path)
{
	static const char all[] = "/vgpu";
	const size_t n = strlen(v->cfg.name);

	if (!strcmp(path, "/") || !strcmp(path, all))
		return true;
	path += strncmp(path, all, strlen(all)) ? 0 : strlen(all) + 1;
	return !strncmp(path, v->cfg.name, n) && (!path[n] || path[n] == '/');
}

json_t *tree_make(struct daemon *d, const char *path)
{
	json_t *root = json_object();
	json_t *o = inside(root, "daemon");
	const struct pool_group *g;

	put(o, "version", "%s", PVGPU_VERSION);
	put(o, "pid", "%d", (int)getpid());
	put(o, "uptime", "%" PRIu64, (now_ms() - d->started_ms) / 1000);
	put(o, "log-level", "%s", log_level_name(log_get_level()));
	put(o, "stopping", "%d", d->stopping);
	put(o, "waits-for-restart", "%s", d->waits);
	put(o, "spare-workers", "%u", spares(d, NULL));
	put(o, "workers-started", "%" PRIu64, d->workers_started);
	put(o, "loop-turns", "%u", ev_iteration(d->loop));
	put(o, "gpu-memory", "%" PRIu64, gpu_memory(d));
	put(o, "accounting", "%s", health_state(d));
	put(o, "cgroups", "%s", cgroup_state(d));
	put(o, "test-overrides", "%s", config_overrides(&d->cfg));
	put(o, "sandbox", "%s", config_sandbox_name(d->cfg.sandbox));
	put(o, "exceptions", "%s", config_exceptions(&d->cfg));
	put(o, "driver-version", "%d", d->pool_n ? d->pools[0]->driver_version : 0);
	o = inside(root, "pool");
	for (unsigned int i = 0; i < d->pool_n; i++)
		put_pool(inside(o, d->pools[i]->cfg.name), d->pools[i]);
	o = inside(root, "group");
	TAILQ_FOREACH(g, &d->groups, link)
	put_group(inside(o, g->cfg.name), g);
	o = inside(root, "vgpu");
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (is_asked_for(d->vgpus[i], path))
			put_vgpu(inside(o, d->vgpus[i]->cfg.name), d->vgpus[i]);
	return root;
}

const char *tree_next_part(const char *path, char part[TREE_PART])
{
	size_t n;

	if (*path != '/')
		return NULL;
	path++;
	n = strcspn(path, "/");
	if (!n || n >= TREE_PART)
		return NULL;
	memcpy(part, path, n);
	part[n] = '\0';
	return path + n;
}

json_t *tree_find(json_t *tree, const char *path)
{
	char part[TREE_PART];

	if (!strcmp(path, "/"))
		return tree;
	while (tree && *path) {
		path = tree_next_part(path, part);
		tree = path && json_is_object(tree) ? json_object_get(tree, part) : NULL;
		if (!path)
			return NULL;
	}
	return tree;
}

void tree_missing(json_t *tree, const char *path, char why[TREE_WHY])
{
	char part[4][TREE_PART] = {{0}};
	struct pvgpu_nearest n = {0};
	json_t *at = tree, *next = tree;
	const char *rest = path, *key;
	unsigned int depth = 0;

	while (depth < 4 && json_is_object(next) && (rest = tree_next_part(rest, part[depth]))) {
		at = next;
		next = json_object_get(at, part[depth++]);
	}
	if (depth == 2 && !next && !strcmp(part[0], "vgpu")) {
		snprintf(why, TREE_WHY, "%s: no such vGPU; pvgpuctl list shows them", part[1]);
	} else if (depth == 2 && !next && !strcmp(part[0], "pool")) {
		snprintf(why, TREE_WHY, "%s: no such GPU; pvgpuctl pools shows them", part[1]);
	} else if (depth == 4 && !next && !strcmp(part[2], "session")) {
		snprintf(why, TREE_WHY, "vGPU %s has no session %s; pvgpuctl sessions shows them",
			 part[1], part[3]);
	} else {
		n.word = depth ? part[depth - 1] : "";
		json_object_foreach(at, key, next) pvgpu_nearest_try(&n, key);
		snprintf(why, TREE_WHY, "%.200s: no such key%s%s%s", path,
			 n.name ? "; did you mean " : "", n.name ? n.name : "", n.name ? "?" : "");
	}
}
