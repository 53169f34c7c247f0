/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/reload.h"

#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/admin/admin.h"
#include "xen-pvgpu-back/daemon/admin/snapshot.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/run_dir.h"
#include "xen-pvgpu-back/daemon/workers/goals.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

struct changes {
	struct daemon *d;
	unsigned int live, waiting;
	bool shared; /* settings of pools or groups are among them */
};

/* A vGPU of the local link, which may have got other settings from an operator: only what the file
 * changes is set. */
static void set_vgpu(struct daemon *d, const char *section, const char *key, const char *to)
{
	struct vgpu *v = daemon_vgpu(d, strchr(section, ' ') + 1);
	struct config_vgpu cfg;
	char why[CONFIG_ERROR] = "";
	int err;

	if (!v || v->xen)
		return;
	cfg = v->cfg;
	err = !strcmp(key, "pool") ? config_vgpu_pool(&cfg, to, why)
				   : config_vgpu_key(&d->cfg, &cfg, key, to, why);
	if (!err && (!strcmp(key, "memory") || !strcmp(key, "pool"))) {
		err = vgpu_change(v, &cfg, why);
	} else if (!err) {
		v->cfg = cfg;
		share_policy(v);
		goals_changed(v->pool);
	}
	if (err)
		log_warning("reload: [%s] %s = %s is not taken: %s", section, key, to,
			    why[0] ? why : "its latencies are being predicted: reload again");
}

static void wait_for_start(struct daemon *d, const char *section, const char *key)
{
	const size_t n = strlen(d->waits);

	snprintf(d->waits + n, sizeof(d->waits) - n, "%s[%s]%s%s", n ? ", " : "", section,
		 key[0] ? " " : "", key);
}

static void on_change(void *arg, const char *section, const char *key, const char *to, bool live)
{
	struct changes *c = arg;

	if (!live) {
		c->waiting++;
		wait_for_start(c->d, section, key);
		log_warning(
			"reload: [%s]%s%s %s: it waits for a restart of pvgpud, in which sessions "
			"go on",
			section, key[0] ? " " : "", key, key[0] ? "has changed" : "is new or gone");
		return;
	}
	c->live++;
	c->shared |= strncmp(section, "pool ", 5) == 0 || strncmp(section, "group ", 6) == 0;
	log_info("reload: [%s] %s%s%s", section, key, to[0] ? " = " : " has changed", to);
	if (!strncmp(section, "vgpu ", 5))
		set_vgpu(c->d, section, key, to);
}

void reload_files(struct daemon *d)
{
	run_dir_again(d);
	admin_listen_again(d);
	snapshot_listen_again(d);
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		vgpu_listen_again(d->vgpus[i]);
}

void reload(struct daemon *d, const struct config *new)
{
	const unsigned int period = d->cfg.health_period_ms, silent = d->cfg.health_silent_ms;
	struct changes c = {.d = d};
	char error[CONFIG_ERROR];

	d->waits[0] = '\0';
	log_set_level((enum log_level) new->log_level);
	if (config_reload(&d->cfg, new, on_change, &c, error) < 0 ||
	    (c.shared && pool_reload(d, error) < 0)) {
		log_error("reload: %s", error);
		return;
	}
	if (d->cfg.health_period_ms != period || d->cfg.health_silent_ms != silent)
		health_restart(d);
	spares_keep(d);
	log_info("reload: %u setting%s changed, %u wait for a restart; log_level is %s", c.live,
		 c.live == 1 ? " has" : "s have", c.waiting, log_level_name(log_get_level()));
}
