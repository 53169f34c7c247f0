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
	const struct config *new;
	unsigned int live, waiting;
	unsigned int refused; /* vGPUs' settings, by this pass over them */
	bool again;           /* a pass went before: what waits for a restart is known */
	bool last;            /* what this pass does not take is refused */
};

/* A vGPU of the local link, which may have got other settings from an operator: only what the file
 * changes is set. 0, or -1 with a reason; "": its latencies are being predicted. */
static int set_vgpu(struct daemon *d, const char *section, const char *key, const char *to,
		    char why[CONFIG_ERROR])
{
	struct vgpu *v = daemon_vgpu(d, strchr(section, ' ') + 1);
	struct config_vgpu cfg;
	int err;

	if (!v || v->xen)
		return 0;
	cfg = v->cfg;
	err = !strcmp(key, "pool") ? config_vgpu_pool(&cfg, to, why)
				   : config_vgpu_key(&d->cfg, &cfg, key, to, why);
	if (err)
		return err;
	if (!strcmp(key, "memory") || !strcmp(key, "memory-reserve") || !strcmp(key, "pool"))
		return vgpu_change(v, &cfg, why);
	v->cfg = cfg;
	share_policy(v);
	goals_changed(v->pool);
	return 0;
}

static void wait_for_start(struct daemon *d, const char *section, const char *key)
{
	const size_t n = strlen(d->waits);

	snprintf(d->waits + n, sizeof(d->waits) - n, "%s[%s]%s%s", n ? ", " : "", section,
		 key[0] ? " " : "", key);
}

static void waits(struct changes *c, const char *section, const char *key)
{
	c->waiting++;
	wait_for_start(c->d, section, key);
	log_warning("reload: [%s]%s%s %s: it waits for a restart of pvgpud, in which sessions %s",
		    section, key[0] ? " " : "", key, key[0] ? "has changed" : "is new or gone",
		    strcmp(key, "device") != 0 ? "go on" : "on another GPU end");
}

static bool on_change(void *arg, const char *section, const char *key, const char *to, bool live)
{
	struct changes *c = arg;

	if (!live) {
		waits(c, section, key);
		return true;
	}
	c->live++;
	log_info("reload: [%s] %s%s%s", section, key, to[0] ? " = " : " has changed", to);
	return true;
}

static bool on_vgpu(void *arg, const char *section, const char *key, const char *to, bool live)
{
	struct changes *c = arg;
	char why[CONFIG_ERROR] = "";

	if (!live) {
		if (!c->again)
			waits(c, section, key);
		return true;
	}
	if (set_vgpu(c->d, section, key, to, why) == 0)
		return on_change(c, section, key, to, true);
	c->refused++;
	if (c->last)
		log_warning("reload: [%s] %s = %s is not taken: %s", section, key, to,
			    why[0] ? why : "its latencies are being predicted: reload again");
	return false;
}

/* One may need the room that another gives, whose section is behind its own. So what is refused is
 * tried again for as long as others are taken. */
static void vgpus(struct changes *c)
{
	unsigned int had;

	do {
		had = c->live;
		c->refused = 0;
		config_reload_vgpus(&c->d->cfg, c->new, on_vgpu, c);
		c->again = true;
	} while (c->refused && c->live != had);
}

/* Does the file take room from a pool that its vGPUs may have now? */
static bool is_tighter(const struct daemon *d)
{
	for (unsigned int i = 0; i < d->pool_n; i++) {
		const struct config_pool *to = &d->cfg.pools[i], *had = &d->pools[i]->cfg;

		if (to->overcommit < had->overcommit || to->park_memory < had->park_memory)
			return true;
	}
	return false;
}

/* vGPUs give up what their pools are to lose, and take what their pools have got. */
static int pools_and_vgpus(struct changes *c, char error[CONFIG_ERROR])
{
	if (is_tighter(c->d))
		vgpus(c);
	if (pool_reload(c->d, error) < 0)
		return -1;
	vgpus(c);
	if (!c->refused)
		return 0;
	c->last = true;
	vgpus(c);
	return 0;
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
	struct changes c = {.d = d, .new = new};
	char error[CONFIG_ERROR];

	d->waits[0] = '\0';
	log_set_level((enum log_level) new->log_level);
	if (config_reload(&d->cfg, new, on_change, &c, error) < 0 ||
	    pools_and_vgpus(&c, error) < 0) {
		log_error("reload: %s", error);
		return;
	}
	if (d->cfg.health_period_ms != period || d->cfg.health_silent_ms != silent)
		health_restart(d);
	spares_keep(d);
	log_info("reload: %u setting%s changed, %u wait for a restart; log_level is %s", c.live,
		 c.live == 1 ? " has" : "s have", c.waiting, log_level_name(log_get_level()));
}
