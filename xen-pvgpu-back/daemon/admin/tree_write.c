/* SPDX-License-Identifier: MIT */
/* Writes to pvgpud's keys. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/admin/tree.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/canary.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/reset.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

static const struct pvgpu_key *const policy_key = &pvgpu_keys[PVGPU_KEY_BACKEND_POLICY];

/* A number, or "+N" to add to the current value. 0 or EINVAL. */
static int number(const char *value, uint64_t now, uint64_t max, uint64_t *out)
{
	bool more = *value == '+';
	char *end;

	value += more;
	errno = 0;
	*out = strtoull(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || *out > max)
		return EINVAL;
	if (more && (*out > max - now || now > max))
		return EINVAL;
	*out += more ? now : 0;
	return 0;
}

/* Settings of a guest's vGPU are in xenstore. */
static int of_guest(const struct vgpu *v, char why[TREE_WHY])
{
	snprintf(why, TREE_WHY, "%s is a VM's vGPU: set it with pvgpuctl set in dom0", v->cfg.name);
	return EACCES;
}

/* Its pool, memory and reserve become those of cfg. */
static int change(struct vgpu *v, const struct config_vgpu *cfg, const char *value,
		  char why[TREE_WHY])
{
	if (vgpu_change(v, cfg, why) == 0)
		return 0;
	if (!why[0])
		snprintf(why, TREE_WHY,
			 "%.100s: how long its commands would wait there is being "
			 "predicted: ask again in a second",
			 value);
	return EBUSY;
}

static int take_policy(struct vgpu *v, const struct config_vgpu *cfg, const char *value,
		       char why[TREE_WHY])
{
	int err;

	if (config_vgpu_agrees(cfg, why) < 0)
		return EINVAL;
	err = change(v, cfg, value, why);
	if (err)
		return err;
	v->cfg = *cfg;
	share_policy(v);
	goals_changed(v->pool);
	return 0;
}

static int write_field(struct vgpu *v, const char *key, const char *value, char why[TREE_WHY])
{
	const struct pvgpu_field *f = pvgpu_field_find(policy_key, key);
	struct config_vgpu cfg = v->cfg;
	int err;

	if (!f || f->live)
		return EACCES;
	if (v->xen)
		return of_guest(v, why);
	if (config_vgpu_key(&v->d->cfg, &cfg, key, value, why) < 0)
		return EINVAL;
	err = take_policy(v, &cfg, value, why);
	if (!err)
		log_info("vgpu %s: %s is %s now", v->cfg.name, key, value);
	return err;
}

/* "KEY=VALUE ...", as xenstore's `policy`: all fields change, or none. */
static int write_policy(struct vgpu *v, const char *text, char why[TREE_WHY])
{
	char copy[PVGPU_KEY_TEXT], *rest, *word;
	struct config_vgpu cfg = v->cfg;
	int err;

	if (v->xen)
		return of_guest(v, why);
	if (strlen(text) >= sizeof(copy))
		return EINVAL;
	strcpy(copy, text);
	for (word = strtok_r(copy, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');
		const struct pvgpu_field *f;

		if (value)
			*value++ = '\0';
		f = value ? pvgpu_field_find(policy_key, word) : NULL;
		if (!f || f->live) {
			snprintf(why, TREE_WHY, "%.60s: must be KEY=VALUE of a vGPU's policy",
				 word);
			return EINVAL;
		}
		if (config_vgpu_key(&v->d->cfg, &cfg, word, value, why) < 0)
			return EINVAL;
	}
	err = take_policy(v, &cfg, text, why);
	if (!err)
		log_info("vgpu %s: %s now", v->cfg.name, text);
	return err;
}

/* Pool and memory of a vGPU of the local link. */
static int write_place(struct vgpu *v, const char *key, const char *value, char why[TREE_WHY])
{
	struct config_vgpu cfg = v->cfg;

	if (v->xen)
		return of_guest(v, why);
	if (config_vgpu_key(&v->d->cfg, &cfg, key, value, why) < 0)
		return EINVAL;
	return change(v, &cfg, value, why);
}

/* SESSION/kill: ends the session. */
static int write_session(struct vgpu *v, const char *path, const char *value)
{
	char id[TREE_PART], key[TREE_PART];
	struct worker *w;

	path = tree_next_part(path, id);
	path = path ? tree_next_part(path, key) : NULL;
	if (!path || *path || strcmp(key, "kill") != 0)
		return EACCES;
	if (strcmp(value, "1") != 0)
		return EINVAL;
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		char own[16];

		snprintf(own, sizeof(own), "%u", w->id);
		if (w->vgpu != v || strcmp(own, id) != 0)
			continue;
		worker_kill(w, "ended by an operator");
		return 0;
	}
	return ENOENT;
}

/* 0, or EIO: what was changed will be forgotten. */
static int saved(const struct daemon *d, char why[TREE_WHY])
{
	if (!d->unsaved[0])
		return 0;
	snprintf(why, TREE_WHY,
		 "%s: it is done, and forgotten when pvgpud is started again: make room there and "
		 "ask again",
		 d->unsaved);
	return EIO;
}

static int write_drain(struct vgpu *v, const char *value, char why[TREE_WHY])
{
	for (int to = PVGPU_DRAIN_0; to <= PVGPU_DRAIN_NOW; to++) {
		if (strcmp(value, pvgpu_name_of(&pvgpu_drain_names, (uint64_t)to)) != 0)
			continue;
		vgpu_drain(v, (enum pvgpu_drain)to);
		faults_save(v->d);
		return saved(v->d, why);
	}
	snprintf(why, TREE_WHY, "drain '%.40s': must be 0, 1 or now", value);
	return EINVAL;
}

static int write_vgpu(struct vgpu *v, const char *key, const char *value, char why[TREE_WHY])
{
	uint64_t n;

	if (!strcmp(key, "drain"))
		return write_drain(v, value, why);
	if (!strcmp(key, "park"))
		return parking_write(v, value, why, TREE_WHY);
	if (!strcmp(key, "pardon")) {
		if (number(value, v->quarantine.pardon, INT64_MAX, &n)) {
			snprintf(why, TREE_WHY,
				 "pardon '%.40s': must be a number, or +N to add N to it", value);
			return EINVAL;
		}
		faults_pardon(v, n);
		return saved(v->d, why);
	}
	if (!strcmp(key, "memory") || !strcmp(key, "pool"))
		return write_place(v, key, value, why);
	if (!strcmp(key, "policy"))
		return write_policy(v, value, why);
	return write_field(v, key, value, why);
}

static int write_pool(struct pool *p, const char *key, const char *value, char why[TREE_WHY])
{
	if (!strcmp(key, "reset")) {
		if (strcmp(value, "1") != 0)
			return EINVAL;
		return reset_start(p, why, TREE_WHY) < 0 ? EBUSY : 0;
	}
	if (strcmp(key, "health") != 0 && strcmp(key, "test") != 0)
		return EACCES;
	if (reset_runs(p) || p->no_workers) {
		snprintf(why, TREE_WHY, "pool %s: its GPU is being reset: pvgpuctl pools shows it",
			 p->cfg.name);
		return EBUSY;
	}
	if (!strcmp(key, "test")) {
		if (strcmp(value, "1") != 0)
			return EINVAL;
		canary_ask(p);
		return 0;
	}
	if (!strcmp(value, "drain"))
		canary_drain(p);
	else if (!strcmp(value, "ok"))
		canary_clear(p);
	else
		return EINVAL;
	return saved(p->d, why);
}

int tree_write(struct daemon *d, const char *path, const char *value, char why[TREE_WHY])
{
	char top[TREE_PART], name[TREE_PART], key[TREE_PART];
	const char *rest = tree_next_part(path, top);
	int level;

	rest = rest ? tree_next_part(rest, name) : NULL;
	if (rest && !*rest && !strcmp(top, "daemon") && !strcmp(name, "log-level")) {
		level = log_parse_level(value);
		if (level < 0)
			return EINVAL;
		log_set_level((enum log_level)level);
		return 0;
	}
	/* Settings of all pools or groups, in the format of the keys of that name in xenstore. */
	if (rest && !*rest && !strcmp(top, "daemon") && !strcmp(name, "pools"))
		return pool_live(d, value, why) < 0 ? EINVAL : 0;
	if (rest && !*rest && !strcmp(top, "daemon") && !strcmp(name, "groups"))
		return group_live(d, value, why) < 0 ? EINVAL : 0;
	rest = rest ? tree_next_part(rest, key) : NULL;
	if (rest && *rest && !strcmp(top, "vgpu") && !strcmp(key, "session"))
		return daemon_vgpu(d, name) ? write_session(daemon_vgpu(d, name), rest, value)
					    : ENOENT;
	if (!rest || *rest)
		return EACCES;
	if (!strcmp(top, "pool"))
		return pool_find(d, name) ? write_pool(pool_find(d, name), key, value, why)
					  : ENOENT;
	if (strcmp(top, "vgpu") != 0)
		return EACCES;
	return daemon_vgpu(d, name) ? write_vgpu(daemon_vgpu(d, name), key, value, why) : ENOENT;
}
