/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/workers/pool.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define USED_S  0.2
#define LOAD_S  2. /* between two samples of the load, which is averaged with weight 1/2 */
#define UNKNOWN (1ull << 50) /* memory of a GPU that no worker has reported yet */

static void on_retry(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;

	spares_keep(p->d);
}

static void on_load(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;
	uint64_t used = 0, age = now_ms() - p->load_ms;

	for (unsigned int i = 0; i < p->d->vgpu_n; i++) {
		struct vgpu *v = p->d->vgpus[i];
		struct tenant_stats n;

		if (v->pool != p)
			continue;
		share_stats(v, &n);
		used += n.gpu_ns > v->load_ns ? n.gpu_ns - v->load_ns : 0;
		v->load_ns = n.gpu_ns;
	}
	p->load_ms += age;
	if (age)
		p->load_ppm = (uint32_t)((p->load_ppm + used / age) / 2);
}

static void on_used(struct ev_loop *loop, ev_timer *t, int events)
{
	pool_changed(t->data);
}

static struct pool *pool_new(struct daemon *d, const struct config_pool *cfg)
{
	struct pool *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->d = d;
	p->cfg = *cfg;
	p->index = d->pool_n;
	ev_timer_init(&p->retry, on_retry, 0., 0.);
	p->retry.data = p;
	canary_init(p);
	goals_init(p);
	residency_init(p);
	ev_timer_init(&p->used_timer, on_used, 0., 0.);
	p->used_timer.data = p;
	ev_timer_init(&p->load_timer, on_load, LOAD_S, LOAD_S);
	p->load_timer.data = p;
	p->load_ms = now_ms();
	if (d->cfg.placement == PLACE_LOAD && d->cfg.pool_n > 1)
		ev_timer_start(d->loop, &p->load_timer);
	d->pools[d->pool_n++] = p;
	return p;
}

static struct pool_group *group_new(struct daemon *d, const struct config_group *cfg)
{
	struct pool_group *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->cfg = *cfg;
	g->told = (struct config_group){.weight = 100};
	memcpy(g->told.name, cfg->name, sizeof(g->told.name));
	g->users = 1;
	TAILQ_INSERT_TAIL(&d->groups, g, link);
	return g;
}

int pool_start(struct daemon *d)
{
	TAILQ_INIT(&d->groups);
	d->pools = calloc(d->cfg.pool_n, sizeof(struct pool *));
	if (!d->pools)
		return -ENOMEM;
	for (unsigned int i = 0; i < d->cfg.pool_n; i++)
		if (!pool_new(d, &d->cfg.pools[i]))
			return -ENOMEM;
	for (unsigned int i = 0; i < d->cfg.group_n; i++)
		if (!group_new(d, &d->cfg.groups[i]))
			return -ENOMEM;
	return 0;
}

void pool_stop(struct daemon *d)
{
	struct pool_group *g;

	for (unsigned int i = 0; i < d->pool_n; i++) {
		ev_timer_stop(d->loop, &d->pools[i]->retry);
		ev_timer_stop(d->loop, &d->pools[i]->surplus);
		ev_timer_stop(d->loop, &d->pools[i]->refill);
		canary_stop(d->pools[i]);
		goals_stop(d->pools[i]);
		residency_stop(d->pools[i]);
		ev_timer_stop(d->loop, &d->pools[i]->load_timer);
		ev_timer_stop(d->loop, &d->pools[i]->used_timer);
		free(d->pools[i]);
	}
	free(d->live_pools);
	free(d->live_groups);
	d->live_pools = d->live_groups = NULL;
	free(d->pools);
	d->pools = NULL;
	d->pool_n = 0;
	while ((g = TAILQ_FIRST(&d->groups))) {
		TAILQ_REMOVE(&d->groups, g, link);
		free(g);
	}
}

struct pool_group *group_get(struct daemon *d, const char *name)
{
	struct config_group cfg = {.weight = 100};
	struct pool_group *g;

	if (!name[0])
		return NULL;
	TAILQ_FOREACH(g, &d->groups, link)
	{
		if (strcmp(g->cfg.name, name) != 0)
			continue;
		g->users++;
		return g;
	}
	snprintf(cfg.name, sizeof(cfg.name), "%s", name);
	return group_new(d, &cfg);
}

void group_put(struct daemon *d, struct pool_group *g)
{
	if (!g || --g->users)
		return;
	TAILQ_REMOVE(&d->groups, g, link);
	free(g);
}

/* ---- memory ---- */

/* The memory that v takes from what can be promised. */
static uint64_t counts(const struct vgpu *v)
{
	const uint64_t used = ledger_used(&v->ledger);

	return v->cfg.memory > used ? v->cfg.memory : used;
}

static uint64_t sum(const struct pool *p, const struct vgpu *but)
{
	const struct daemon *d = p->d;
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i]->pool == p && d->vgpus[i] != but && !d->vgpus[i]->unfit[0])
			n += counts(d->vgpus[i]);
	return n;
}

uint64_t pool_promised(const struct pool *p)
{
	const struct daemon *d = p->d;
	uint64_t n = 0;

	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i]->pool == p && !d->vgpus[i]->unfit[0])
			n += d->vgpus[i]->cfg.memory;
	return n;
}

static uint64_t capacity(const struct pool *p)
{
	/* Exact, without overflow of the product. */
	return p->device_memory / 1000 * p->cfg.overcommit +
	       p->device_memory % 1000 * p->cfg.overcommit / 1000;
}

uint64_t pool_free(const struct pool *p)
{
	uint64_t n = sum(p, NULL), all = capacity(p);

	return n < all ? all - n : 0;
}

uint64_t pool_spare_memory(const struct pool *p)
{
	uint64_t n = sum(p, NULL);

	return n < p->device_memory ? p->device_memory - n : 0;
}

uint64_t pool_room(const struct vgpu *v)
{
	const uint64_t n = sum(v->pool, v);

	return n < v->pool->device_memory ? v->pool->device_memory - n : 0;
}

/* vGPUs that had no room, in the order of the configuration. */
static void fit_again(struct pool *p)
{
	for (unsigned int i = 0; p->device_memory && i < p->d->vgpu_n; i++) {
		struct vgpu *v = p->d->vgpus[i];
		char why[POOL_REASON];
		struct pool *to;

		if (v->pool != p || !v->unfit[0])
			continue;
		to = pool_place(p->d, &v->cfg, v, why);
		/* With sessions, which may be a former pvgpud's, it is moved when they have ended.
		 */
		if (!to || (to != p && (v->sessions || v->openings)))
			continue;
		v->unfit[0] = v->refusing[0] = '\0';
		if (to != p)
			vgpu_move(v, to);
		log_info("vgpu %s: has room now: it takes sessions", v->cfg.name);
	}
}

void pool_changed(struct pool *p)
{
	struct daemon *d = p->d;

	fit_again(p);
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i]->pool == p && !d->vgpus[i]->cfg.memory)
			vgpu_tell(d->vgpus[i]);
	xenbus_host_changed(d);
	xenbus_memory_changed(d);
}

void pool_used(struct pool *p)
{
	if (ev_is_active(&p->used_timer))
		return;
	ev_timer_set(&p->used_timer, USED_S, 0.);
	ev_timer_start(p->d->loop, &p->used_timer);
}

/* ---- placement ---- */

/* Is v in this pool, and can it not be moved? */
static bool is_bound(const struct pool *p, const struct vgpu *v)
{
	return v && v->pool == p && (v->cfg.pool[0] || v->sessions || v->openings);
}

/* Without a memory of its own it would see what the others use. */
static bool tells_of_others(const struct pool *p, const struct config_vgpu *cfg)
{
	return p->cfg.mode == POOL_CONFIDENTIAL && !cfg->memory;
}

static void describe(const struct pool *p, const struct vgpu *v, const struct config_vgpu *cfg,
		     struct place_gpu *g)
{
	const struct daemon *d = p->d;
	char why[POOL_REASON];

	*g = (struct place_gpu){
		.pool = p->index,
		.memory = p->device_memory ? p->device_memory : UNKNOWN,
		.overcommit_ppm = p->device_memory ? p->cfg.overcommit * 1000 : 0,
		.promised = sum(p, v),
		.load_ppm = p->load_ppm,
		.closed = (canary_refuses(p) && !is_bound(p, v)) ||
			  (!p->device_memory && p->failures) || tells_of_others(p, cfg) ||
			  !residency_admits(p, cfg, v, why),
	};
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		g->vgpus += d->vgpus[i]->pool == p && d->vgpus[i] != v;
}

/* No pool takes a vGPU: gives the reason of the first that has one. */
static void refuse_all(const struct daemon *d, char reason[POOL_REASON])
{
	snprintf(reason, POOL_REASON, "no pool takes a new vGPU now");
	for (unsigned int i = 0; i < d->pool_n; i++) {
		const char *why = canary_refuses(d->pools[i]);

		if (!why)
			continue;
		snprintf(reason, POOL_REASON, "no pool takes a new vGPU: %s: %s",
			 d->pools[i]->cfg.name, why);
		return;
	}
}

/* The guest can read the reason. */
static bool hides_figures(const struct daemon *d)
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if (d->pools[i]->cfg.mode == POOL_CONFIDENTIAL)
			return true;
	return false;
}

/* Its reserve, or the memory that it may park, is too much for the pool that it names, or for all.
 */
static bool reserves_too_much(const struct daemon *d, const struct config_vgpu *cfg,
			      const struct vgpu *v, const struct place_want *w,
			      char reason[POOL_REASON])
{
	for (unsigned int i = 0; i < d->pool_n; i++)
		if ((w->pool == PLACE_ANY_POOL || w->pool == i) &&
		    residency_admits(d->pools[i], cfg, v, reason))
			return false;
	if (hides_figures(d))
		snprintf(reason, POOL_REASON,
			 "so much memory is not free to reserve or to park: lower memory, or "
			 "detach a vGPU");
	return true;
}

static void refuse(struct daemon *d, const struct place_gpu *gpus, const struct config_vgpu *cfg,
		   const struct vgpu *v, const struct place_want *w, char reason[POOL_REASON])
{
	bool one = w->pool != PLACE_ANY_POOL;
	struct place_refusal r;

	if (reserves_too_much(d, cfg, v, w, reason))
		return;

	place_explain(gpus, d->pool_n, w, &r);
	if (one && !w->memory && d->pools[w->pool]->cfg.mode == POOL_CONFIDENTIAL)
		snprintf(reason, POOL_REASON,
			 "pool %s: confidential, and memory is 0: give the vGPU a memory",
			 d->pools[w->pool]->cfg.name);
	else if (r.short_of_memory && hides_figures(d))
		snprintf(reason, POOL_REASON,
			 "%s%s: not so much memory is free: lower it, or detach a vGPU",
			 one ? "pool " : "no pool has room",
			 one ? d->pools[w->pool]->cfg.name : "");
	else if (r.short_of_memory)
		snprintf(reason, POOL_REASON,
			 "%s%s: memory %" PRIu64 " MiB, but %" PRIu64
			 " MiB are free: lower it, detach a vGPU or raise overcommit",
			 one ? "pool " : "no pool has room", one ? d->pools[w->pool]->cfg.name : "",
			 w->memory >> 20, r.most_free >> 20);
	else if (one)
		snprintf(reason, POOL_REASON, "pool %s: %s", d->pools[w->pool]->cfg.name,
			 canary_refuses(d->pools[w->pool]) ? canary_refuses(d->pools[w->pool])
							   : "takes no new vGPU now");
	else
		refuse_all(d, reason);
}

struct pool *pool_place(struct daemon *d, const struct config_vgpu *cfg, const struct vgpu *v,
			char reason[POOL_REASON])
{
	struct place_want want = {.pool = PLACE_ANY_POOL, .memory = cfg->memory};
	struct pool *named = cfg->pool[0] ? pool_find(d, cfg->pool) : NULL;
	struct place_gpu *gpus;
	bool missed = false;
	size_t i;

	if (cfg->pool[0] && !named) {
		snprintf(reason, POOL_REASON,
			 "pool %s: no such pool; pvgpuctl tree /pool in the backend domain lists "
			 "them",
			 cfg->pool);
		return NULL;
	}
	gpus = calloc(d->pool_n, sizeof(*gpus));
	if (!gpus) {
		snprintf(reason, POOL_REASON, "the backend is out of memory");
		return NULL;
	}
	for (i = 0; i < d->pool_n; i++)
		describe(d->pools[i], v, cfg, &gpus[i]);
	if (named)
		want.pool = named->index;
	else if (v && place_free(&gpus[v->pool->index]) >= want.memory)
		want.pool = v->pool->index;
	while ((i = place_pick(d->cfg.placement, gpus, d->pool_n, &want)) != PLACE_NONE &&
	       !(v && v->pool == d->pools[i])) {
		const enum goals_verdict said = goals_ask(d->pools[i], cfg, v, reason);

		if (said == GOALS_NOT_YET) {
			reason[0] = '\0';
			free(gpus);
			return NULL;
		}
		if (said == GOALS_MET)
			break;
		gpus[i].closed = missed = true;
	}
	if (i == PLACE_NONE && !missed)
		refuse(d, gpus, cfg, v, &want, reason);
	free(gpus);
	return i == PLACE_NONE ? NULL : d->pools[i];
}

bool pool_waits(struct daemon *d, const struct config_vgpu *cfg)
{
	struct pool *named = cfg->pool[0] ? pool_find(d, cfg->pool) : NULL;
	bool known = false, coming = false;

	if (cfg->pool[0])
		return named && !named->device_memory;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		known |= d->pools[i]->device_memory != 0;
		coming |= !d->pools[i]->device_memory && !d->pools[i]->failures;
	}
	return coming || !known;
}

/* The vGPU to move first: the last one that names no pool and has no session; NULL: none. */
static struct vgpu *movable(const struct pool *p)
{
	const struct daemon *d = p->d;

	for (unsigned int i = d->vgpu_n; i-- > 0;) {
		struct vgpu *v = d->vgpus[i];

		if (v->pool == p && v->cfg.memory && !v->cfg.pool[0] && !v->sessions &&
		    !v->openings)
			return v;
	}
	return NULL;
}

/* The last vGPU of the configuration with a promise in this pool; running sessions keep theirs. */
static struct vgpu *last_local(const struct pool *p)
{
	const struct daemon *d = p->d;

	for (unsigned int i = d->vgpu_n; i-- > 0;) {
		struct vgpu *v = d->vgpus[i];

		if (v->pool == p && v->cfg.memory && !v->xen && !v->sessions && !v->unfit[0])
			return v;
	}
	return NULL;
}

static void leave_out(struct vgpu *v)
{
	char why[POOL_REASON];

	if (pool_place(v->d, &v->cfg, v, why))
		snprintf(why, sizeof(why),
			 "pool %s: its vGPUs are promised more memory than the GPU has",
			 v->pool->cfg.name);
	snprintf(v->unfit, sizeof(v->unfit), "%.*s", (int)sizeof(v->unfit) - 1, why);
	log_warning("vgpu %s: %s; until then it takes no session, and the others go on",
		    v->cfg.name, v->unfit);
}

static bool fits(const struct pool *p)
{
	char why[POOL_REASON];

	return sum(p, NULL) <= capacity(p) && residency_admits(p, NULL, NULL, why);
}

static void fit_known(struct pool *p)
{
	struct vgpu *v;
	char why[POOL_REASON];

	while (!fits(p) && (v = movable(p))) {
		struct pool *to = pool_place(p->d, &v->cfg, v, why);

		if (!to || to == p || vgpu_move(v, to) < 0)
			break;
	}
	while (!fits(p) && (v = last_local(p)))
		leave_out(v);
}

/* Guests wait for it, so it is predicted at once: this happens once for each GPU. */
void pool_known(struct pool *p)
{
	p->d->predict_now = true;
	fit_known(p);
	p->d->predict_now = false;
}

void pool_evacuate(struct pool *p)
{
	struct daemon *d = p->d;

	if (d->pool_n == 1 || (p->device_memory && !canary_refuses(p)))
		return;
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		if (d->vgpus[i]->pool == p && !d->vgpus[i]->cfg.pool[0])
			vgpu_settle(d->vgpus[i]);
}
