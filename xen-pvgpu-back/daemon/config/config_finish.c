/* SPDX-License-Identifier: MIT */
/* Defaults that depend on other settings, and checks of settings against each other. */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#include "xen-pvgpu-back/daemon/config/config_value.h"

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

static bool in_env(const struct config *c, const char *name)
{
	size_t n = strlen(name);

	for (unsigned int i = 0; i < c->env_n; i++)
		if (!strncmp(c->env[i], name, n) && c->env[i][n] == '=')
			return true;
	return false;
}

/* Without a [pool NAME] section there is one pool, on `device`. */
static int finish_pools(struct config *c, char *error)
{
	if (in_env(c, "CUDA_VISIBLE_DEVICES")) {
		snprintf(error, CONFIG_ERROR,
			 "env = CUDA_VISIBLE_DEVICES is pvgpud's own: name the GPU by device in "
			 "[daemon] or in a [pool NAME]");
		return -1;
	}
	if (!c->pool_n) {
		struct config_pool *p = config_pool(c, "default", "", error);

		if (!p)
			return -1;
		snprintf(p->device, sizeof(p->device), "%u", c->device);
	}
	for (unsigned int i = 0; i < c->pool_n; i++) {
		const struct config_pool *p = &c->pools[i];

		if (!p->device[0]) {
			snprintf(error, CONFIG_ERROR,
				 "pool %s: no device: say which GPU, such as device = 0", p->name);
			return -1;
		}
		for (unsigned int j = 0; j < i; j++) {
			if (strcasecmp(p->device, c->pools[j].device) != 0)
				continue;
			snprintf(error, CONFIG_ERROR,
				 "pool %s: device = %s is pool %s's already: a GPU is in one pool; "
				 "give it another, or join the two pools",
				 p->name, p->device, c->pools[j].name);
			return -1;
		}
	}
	return 0;
}

static const char *names_nothing(const struct config *c, const struct config_vgpu *v)
{
	bool pool = !v->pool[0], group = !v->group[0];

	for (unsigned int i = 0; i < c->pool_n; i++)
		pool |= !strcmp(c->pools[i].name, v->pool);
	for (unsigned int i = 0; i < c->group_n; i++)
		group |= !strcmp(c->groups[i].name, v->group);
	return !pool ? v->pool : !group ? v->group : NULL;
}

/* Memory that is free, or not, would tell what others use. */
int config_check_pools(const struct config *c, char *error)
{
	for (unsigned int i = 0; i < c->pool_n; i++) {
		const struct config_pool *p = &c->pools[i];

		if (p->mode != POOL_SHARED && p->park_memory) {
			snprintf(error, CONFIG_ERROR,
				 "pool %s: park_memory is set, and mode is %s: copies would run "
				 "while another vGPU has the GPU; take park_memory out, or set "
				 "mode = shared",
				 p->name, config_mode_name(p->mode));
			return -1;
		}
		if (p->mode != POOL_CONFIDENTIAL || p->overcommit <= 1000)
			continue;
		snprintf(error, CONFIG_ERROR,
			 "pool %s: overcommit is above 1.0, and mode is confidential: one vGPU "
			 "would see what others use; lower overcommit",
			 p->name);
		return -1;
	}
	return 0;
}

int config_check_groups(const struct config *c, char *error)
{
	for (unsigned int i = 0; i < c->group_n; i++) {
		const struct config_group *g = &c->groups[i];

		if (!g->max_ppm || g->min_ppm <= g->max_ppm)
			continue;
		snprintf(error, CONFIG_ERROR, "group %s: min_share is above max_share", g->name);
		return -1;
	}
	return 0;
}

int config_vgpu_agrees(const struct config_vgpu *v, char error[CONFIG_ERROR])
{
	uint64_t values[PVGPU_FIELDS_MAX];
	char why[PVGPU_KEY_ERROR];

	for (uint32_t i = 0; i < policy_key->nfields; i++)
		values[i] = pvgpu_field_get(&policy_key->fields[i], &v->policy);
	if (pvgpu_record_agrees(policy_key, values, why) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR, "vgpu %s: %s", v->name, why);
	return -1;
}

static int check_vgpus(const struct config *c, char *error)
{
	for (unsigned int i = 0; i < c->vgpu_n; i++)
		if (config_vgpu_agrees(&c->vgpus[i], error) < 0)
			return -1;
	return 0;
}

static int check_names(const struct config *c, char *error)
{
	for (unsigned int i = 0; i < c->vgpu_n; i++) {
		const struct config_vgpu *v = &c->vgpus[i];
		const char *name = names_nothing(c, v);

		if (!name)
			continue;
		snprintf(error, CONFIG_ERROR,
			 "vgpu %s: pool = %s%s%s: there is no %s %s; add a [%s %s] section",
			 v->name, v->pool, v->group[0] ? "/" : "", v->group,
			 name == v->pool ? "pool" : "group", name,
			 name == v->pool ? "pool" : "group", name);
		return -1;
	}
	return 0;
}

static int check_sessions(const struct config *c, char *error)
{
	if (c->vgpu_n <= c->max_sessions)
		return 0;
	snprintf(error, CONFIG_ERROR,
		 "max_sessions = %u: there are %u vGPUs, and each is sure of one session: raise "
		 "max_sessions",
		 c->max_sessions, c->vgpu_n);
	return -1;
}

int config_finish(struct config *c, char error[CONFIG_ERROR])
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (!c->vgpu_n && c->xen == CONFIG_XEN_OFF) {
		snprintf(error, CONFIG_ERROR,
			 "no vGPU and xen = off: add a [vgpu NAME] section or --vgpu NAME");
		return -1;
	}
	if (finish_pools(c, error) < 0 || config_check_pools(c, error) < 0 ||
	    config_check_groups(c, error) < 0 || check_vgpus(c, error) < 0 ||
	    check_names(c, error) < 0 || check_sessions(c, error) < 0)
		return -1;
	if (strlen(c->run_dir) + sizeof("/admin.sock") > room) {
		snprintf(error, CONFIG_ERROR,
			 "run_dir = %s: too long for the names of sockets in it", c->run_dir);
		return -1;
	}
	for (unsigned int i = 0; i < c->vgpu_n; i++) {
		struct config_vgpu *v = &c->vgpus[i];

		if (!v->socket[0])
			snprintf(v->socket, sizeof(v->socket), "%.180s/%s.sock", c->run_dir,
				 v->name);
		if (strlen(v->socket) >= room) {
			snprintf(error, CONFIG_ERROR,
				 "vgpu %s: socket = %s: longer than %zu characters", v->name,
				 v->socket, room - 1);
			return -1;
		}
		for (unsigned int j = 0; j < i; j++)
			if (!strcmp(v->socket, c->vgpus[j].socket)) {
				snprintf(error, CONFIG_ERROR,
					 "vgpu %s: socket = %s is also vgpu %s's", v->name,
					 v->socket, c->vgpus[j].name);
				return -1;
			}
	}
	return 0;
}
