/* SPDX-License-Identifier: MIT */
/*
 * Directories of grants, and how many grants and event channels a vGPU may have. Its part is
 * guaranteed (rules/portion.h), since Xen has tables of a fixed size for this domain, of which
 * disks and networks need some, too.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "xen-pvgpu-back/daemon/rules/portion.h"
#include "xen-pvgpu-back/daemon/xen/xenctl.h"

#define TELL_MS 60000u /* between two of these warnings */
/* Of the grants that no vGPU is promised, chunks leave this part to rings. */
#define RINGS_PART 16u

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

int xenctl_refs_begin(struct xen_refs *r, uint32_t n)
{
	uint32_t size = 16;

	while (size < 2 * n)
		size *= 2;
	r->mask = size - 1;
	r->slots = calloc(size, sizeof(uint32_t));
	if (!r->slots)
		return -ENOMEM;
	if (getrandom(&r->key, sizeof(r->key), 0) != sizeof(r->key))
		r->key = (uint64_t)(uintptr_t)r->slots * now_ms();
	r->key |= 1;
	return 0;
}

int xenctl_refs_add(struct xen_refs *r, const uint32_t *refs, uint32_t n, char reason[CHECK_REASON])
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (uint32_t)(refs[i] * r->key >> 32) & r->mask;

		while (r->slots[at] && r->slots[at] != refs[i])
			at = (at + 1) & r->mask;
		if (r->slots[at]) {
			snprintf(reason, CHECK_REASON, "grant %u is listed twice", refs[i]);
			return EPROTO;
		}
		r->slots[at] = refs[i];
	}
	return 0;
}

void xenctl_refs_end(struct xen_refs *r)
{
	free(r->slots);
	r->slots = NULL;
}

/* Limited in time, so that a guest cannot fill the log. */
static void tell_room(const struct xenctl *c, const char *what, const char *key)
{
	static uint64_t told;
	const uint64_t now = now_ms();

	if (told && now - told < TELL_MS)
		return;
	told = now;
	log_warning("vgpu %s: %s refused: its own maximum is reached, or the rest of %s is used by "
		    "other vGPUs or promised to them; pvgpud.conf(5) says what to raise with it",
		    c->v->cfg.name, what, key);
}

int xenctl_room(const struct xenctl *c, uint32_t pages, bool ring, char reason[CHECK_REASON])
{
	const struct config *cfg = &c->d->cfg;
	const struct portion_rule r = {.total = cfg->xen_max_grants,
				       .each = cfg->xen_vgpu_grants,
				       .most = cfg->xen_vgpu_max_grants};
	struct portion_sum others = {0};
	uint64_t room;

	for (unsigned int i = 0; i < c->d->vgpu_n; i++) {
		const struct vgpu *v = c->d->vgpus[i];

		if (v->xen && v != c->v)
			portion_other(&others, &r, v->xen_grants);
	}
	room = portion_room(&others, &r, c->v->xen_grants, ring ? 0 : r.total / RINGS_PART);
	if (pages <= room)
		return 0;
	snprintf(reason, CHECK_REASON,
		 "%u grants: the vGPU has %" PRIu32 " and may have %" PRIu64 " more", pages,
		 c->v->xen_grants, room);
	tell_room(c, "grants", "xen_max_grants");
	return -ENOMEM;
}

/* A connection has one event channel, and each session another. */
int xenctl_room_channel(const struct xenctl *c, char reason[CHECK_REASON])
{
	const struct portion_rule r = {.total = c->d->cfg.xen_max_channels,
				       .each = XEN_VGPU_CHANNELS};
	struct portion_sum others = {0};

	if (!r.total)
		return 0;
	for (unsigned int i = 0; i < c->d->vgpu_n; i++) {
		const struct vgpu *v = c->d->vgpus[i];

		if (v->xen && v != c->v)
			portion_other(&others, &r, 1 + v->sessions);
	}
	if (portion_room(&others, &r, 1 + c->v->sessions, 0))
		return 0;
	snprintf(reason, CHECK_REASON, "pvgpud's xen_max_channels = %u is reached",
		 c->d->cfg.xen_max_channels);
	tell_room(c, "an event channel", "xen_max_channels");
	return -EUSERS;
}

void xenctl_count(struct worker *w, uint32_t pages)
{
	w->grants += pages;
	w->vgpu->xen_grants += pages;
	w->d->xen_grants += pages;
}

void xenctl_uncount(struct worker *w, uint32_t pages)
{
	w->grants -= pages;
	w->vgpu->xen_grants -= pages;
	w->d->xen_grants -= pages;
}
