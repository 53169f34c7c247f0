/* SPDX-License-Identifier: MIT */
/* Changes settings of pools and groups while pvgpud runs. Settings that the text leaves out return
 * to those of pvgpud.conf. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"

/* Copies the configuration's pools and groups. */
static int copy(const struct daemon *d, struct config *c)
{
	size_t pools = d->cfg.pool_n * sizeof(*c->pools);
	size_t groups = d->cfg.group_n * sizeof(*c->groups);

	*c = (struct config){.pool_n = d->cfg.pool_n, .group_n = d->cfg.group_n};
	c->pools = malloc(pools + 1);
	c->groups = malloc(groups + 1);
	if (!c->pools || !c->groups) {
		config_free(c);
		return -1;
	}
	memcpy(c->pools, d->cfg.pools, pools);
	if (groups)
		memcpy(c->groups, d->cfg.groups, groups);
	return 0;
}

static int read_all(const struct daemon *d, struct config *c, const char *kind, const char *text,
		    char error[CONFIG_ERROR])
{
	if (copy(d, c) < 0) {
		snprintf(error, CONFIG_ERROR, "out of memory");
		return -1;
	}
	if (config_live(c, kind, text, error) == 0)
		return 0;
	config_free(c);
	return -1;
}

/* For pool_reload. */
static void keep(char **kept, const char *text)
{
	char *copied = strdup(text);

	if (!copied)
		return;
	free(*kept);
	*kept = copied;
}

int pool_live(struct daemon *d, const char *text, char error[CONFIG_ERROR])
{
	struct config c;

	if (read_all(d, &c, "pool", text, error) < 0)
		return -1;
	for (unsigned int i = 0; i < d->pool_n; i++) {
		struct pool *p = d->pools[i];

		if (!memcmp(&p->cfg, &c.pools[i], sizeof(p->cfg)))
			continue;
		p->cfg = c.pools[i];
		log_info("pool %s: settings have changed", p->cfg.name);
		share_pool_changed(p);
		goals_changed(p);
		facts_changed(p);
		pool_changed(p);
		lease_serve(p);
	}
	config_free(&c);
	if (text != d->live_pools)
		keep(&d->live_pools, text);
	return 0;
}

static const struct config_group *find(const struct config *c, const char *name)
{
	for (unsigned int i = 0; i < c->group_n; i++)
		if (!strcmp(c->groups[i].name, name))
			return &c->groups[i];
	return NULL;
}

static void set_group(struct daemon *d, struct pool_group *g, const struct config_group *to)
{
	if (!memcmp(&g->cfg, to, sizeof(*to)))
		return;
	g->cfg = *to;
	log_info("group %s: weight %u, %u to %u ppm, %u commands and %" PRIu64
		 " bytes a second (0: no limit)",
		 to->name, to->weight, to->min_ppm, to->max_ppm ? to->max_ppm : SCHED_PPM,
		 to->commands_per_s, to->bytes_per_s);
	share_group_changed(d, g);
	for (unsigned int i = 0; i < d->pool_n; i++)
		goals_changed(d->pools[i]);
}

int group_live(struct daemon *d, const char *text, char error[CONFIG_ERROR])
{
	struct pool_group *g, *next;
	struct config c;

	if (read_all(d, &c, "group", text, error) < 0)
		return -1;
	for (unsigned int i = 0; i < c.group_n; i++) {
		g = group_get(d, c.groups[i].name);
		if (!g)
			continue;
		/* A group with settings from here is kept even without vGPUs. */
		if (g->live)
			group_put(d, g);
		g->live = true;
	}
	for (g = TAILQ_FIRST(&d->groups); g; g = next) {
		const struct config_group *to = find(&c, g->cfg.name);

		next = TAILQ_NEXT(g, link);
		set_group(d, g, to ? to : &g->told);
		if (to || !g->live)
			continue;
		g->live = false;
		group_put(d, g);
	}
	config_free(&c);
	if (text != d->live_groups)
		keep(&d->live_groups, text);
	return 0;
}

int pool_reload(struct daemon *d, char error[CONFIG_ERROR])
{
	if (pool_live(d, d->live_pools ? d->live_pools : "", error) < 0)
		return -1;
	return group_live(d, d->live_groups ? d->live_groups : "", error);
}

void group_told(struct daemon *d, struct pool_group *g, const struct pvgpu_backend_group_policy *p)
{
	g->told.weight = p->weight;
	g->told.min_ppm = p->min_share;
	g->told.max_ppm = p->max_share == SCHED_PPM ? 0 : p->max_share;
	g->told.commands_per_s = (unsigned int)p->rate_commands;
	g->told.bytes_per_s = p->rate_bytes;
	for (unsigned int i = 0; i < d->cfg.group_n; i++)
		if (!strcmp(d->cfg.groups[i].name, g->cfg.name))
			return;
	if (!g->live)
		set_group(d, g, &g->told);
}
