/* SPDX-License-Identifier: MIT */
/* A waiting guest and a spare worker become a session: what is the same on both links. */
#include "xen-pvgpu-back/daemon/daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/share.h"

#define GIB (1ull << 30)

/* The device window: room for twice the quota, so that a sub-allocator finds gaps for all sizes. */
static uint64_t window_size(const struct vgpu *v)
{
	uint64_t want = v->cfg.window ? v->cfg.window : 2 * vgpu_quota(v);

	return (want + GIB - 1) / GIB * GIB;
}

/* From now on the name says whose session it is. */
static int rename_socket(struct worker *w, const struct opening *o)
{
	char name[sizeof(w->sock)];
	int dir = w->d->workers_dir;

	if (o->number)
		snprintf(name, sizeof(name), "%u@%s.%s.%u.sock", w->id, w->pool->cfg.name,
			 o->vgpu->cfg.name, o->number);
	else
		snprintf(name, sizeof(name), "%u@%s.%s.sock", w->id, w->pool->cfg.name,
			 o->vgpu->cfg.name);
	if (renameat(dir, w->sock, dir, name) < 0)
		return -errno;
	strcpy(w->sock, name);
	return 0;
}

int session_start(struct opening *o, struct worker *w, char reason[CHECK_REASON])
{
	struct vgpu *v = o->vgpu;
	struct pvgpu_sup_assign m = {
		.head = {.kind = PVGPU_SUP_ASSIGN, .session = w->id},
		.cmd_size = o->cmd_size,
		.rep_size = o->rep_size,
		.quota = vgpu_quota(v),
		.arena_limit = v->cfg.arena_limit,
		.window_size = window_size(v),
	};
	int fds[MSG_FDS_MAX], n = o->ops->make(o, &m, fds, reason);

	if (n < 0)
		return n;
	memcpy(m.head.vgpu, v->cfg.name, sizeof(m.head.vgpu));
	if (rename_socket(w, o) < 0 ||
	    msg_send(w->control, &m, sizeof(m), fds, (unsigned int)n) < 0) {
		o->ops->unmake(o);
		return -EOWNERDEAD;
	}
	o->w = w;
	w->opening = o;
	w->number = o->number;
	sup_assigned(w, v);
	o->ops->assigned(o);
	share_worker(w, false);
	sup_meminfo(w);
	return 0;
}
