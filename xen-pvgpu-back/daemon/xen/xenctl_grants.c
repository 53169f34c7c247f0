/* SPDX-License-Identifier: MIT */
/* Directories of grants, and the limit of grants that all guests' workers may have mapped. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define TELL_MS 60000u /* between two of these warnings */

int xenctl_directory(struct xenctl *c, uint32_t dir, uint32_t n, uint32_t at,
		     struct pvgpu_dir_page *out, char reason[CHECK_REASON])
{
	int err;

	if (!dir) {
		snprintf(reason, CHECK_REASON, "directory ends after %u of %u grants", at, at + n);
		return EPROTO;
	}
	err = c->ops->page_copy(c->x->domid, dir, out);
	if (err) {
		snprintf(reason, CHECK_REASON, "grant %u: directory unreadable: %s", dir,
			 strerror(-err));
		return EPROTO;
	}
	for (uint32_t i = 0; i < n; i++) {
		if (!out->ref[i]) {
			snprintf(reason, CHECK_REASON, "grant 0 for page %u", at + i);
			return EPROTO;
		}
	}
	return 0;
}

/* Limited in time, so that a guest cannot fill the log. */
static void tell_room(const struct xenctl *c, uint32_t pages)
{
	static uint64_t told;
	const struct daemon *d = c->d;
	const uint64_t now = now_ms();

	if (told && now - told < TELL_MS)
		return;
	told = now;
	log_warning("vgpu %s: %u grants refused: workers have %" PRIu64
		    " mapped and xen_max_grants is %u; raise it, and with it what Xen lets this "
		    "domain map (max_maptrack_frames)",
		    c->v->cfg.name, pages, d->xen_grants, d->cfg.xen_max_grants);
}

int xenctl_room(const struct xenctl *c, uint32_t pages, char reason[CHECK_REASON])
{
	const struct daemon *d = c->d;

	if (d->xen_grants <= d->cfg.xen_max_grants &&
	    pages <= d->cfg.xen_max_grants - d->xen_grants)
		return 0;
	snprintf(reason, CHECK_REASON, "pvgpud's xen_max_grants = %u is reached",
		 d->cfg.xen_max_grants);
	tell_room(c, pages);
	return -ENOMEM;
}

void xenctl_count(struct worker *w, uint32_t pages)
{
	w->grants += pages;
	w->d->xen_grants += pages;
}

void xenctl_uncount(struct worker *w, uint32_t pages)
{
	w->grants -= pages;
	w->d->xen_grants -= pages;
}
