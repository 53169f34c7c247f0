/* SPDX-License-Identifier: MIT */
/* Makes a session of a waiting guest and a spare worker, on either link. */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ring/ring.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/process.h"
#include "xen-pvgpu-back/daemon/core/overrides.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"

#define MIB ((uint64_t)1 << 20)
#define GIB (1ull << 30)

/* By default addresses for many times the quota: frameworks reserve more than the device's memory
 * for each of their pools, and a fragmented window still has gaps. */
#define WINDOW_QUOTAS 16

static uint64_t window_size(const struct vgpu *v)
{
	uint64_t want = v->cfg.policy.device_window ? v->cfg.policy.device_window
						    : WINDOW_QUOTAS * vgpu_quota(v);

	return (want + GIB - 1) / GIB * GIB;
}

/* Puts the vGPU, and the guest's number of the session, into the socket's name. */
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

/* 0, or -errno with a reason. On the Xen link the ring is all that has grants so far. */
static int record(struct worker *w, const struct opening *o, const struct pvgpu_sup_assign *m,
		  char reason[CHECK_REASON])
{
	const uint64_t ring = pvgpu_ring_bytes(o->cmd_size, o->rep_size);
	struct held_session s = {
		.id = w->id,
		.ring_pages =
			m->link == PVGPU_SUP_LINK_XEN ? (uint32_t)(ring / PVGPU_RING_PAGE_SIZE) : 0,
		.guest = m->guest_pid,
		.started_ms = now_ms(),
		.user = o->user,
		.pid = (uint32_t)w->pid,
		.start = process_started(w->pid),
	};

	memcpy(s.device, w->pool->cfg.device, sizeof(s.device));
	w->held = held_begin(w->d->held, &s);
	if (w->held)
		return 0;
	snprintf(reason, CHECK_REASON, "the backend cannot record the session");
	return -ENOSPC;
}

/* The price of a context: as configured, or as measured. */
static uint64_t context_bytes(const struct vgpu *v)
{
	return v->d->cfg.context_charge ? v->d->cfg.context_charge : v->context_bytes;
}

int session_start(struct opening *o, struct worker *w, char reason[CHECK_REASON])
{
	struct vgpu *v = o->vgpu;
	struct pvgpu_sup_assign m = {
		.head = {.kind = PVGPU_SUP_ASSIGN, .session = w->id, .a = PVGPU_SUP_KNOWS_ALL},
		.cmd_size = o->cmd_size,
		.rep_size = o->rep_size,
		.quota = vgpu_quota(v),
		.arena_limit = v->cfg.policy.arena_limit,
		.window_size = window_size(v),
		.context_mib = (uint32_t)((context_bytes(v) + MIB - 1) / MIB),
	};
	int fds[MSG_FDS_MAX], n = o->ops->make(o, &m, fds, reason);

	if (n < 0)
		return n;
	if (v->pool->cfg.mode == POOL_CONFIDENTIAL)
		m.flags |= PVGPU_SUP_CONFIDENTIAL;
	n = record(w, o, &m, reason) < 0 ? -ENOSPC : n;
	if (n < 0) {
		o->ops->unmake(o);
		return n;
	}
	memcpy(m.head.vgpu, v->cfg.name, sizeof(m.head.vgpu));
	if (rename_socket(w, o) < 0 ||
	    msg_send(w->control, &m, sizeof(m), fds, (unsigned int)n) < 0) {
		o->ops->unmake(o);
		return -EOWNERDEAD;
	}
	o->w = w;
	w->context_bytes = context_bytes(v);
	w->opening = o;
	w->number = o->number;
	w->user = o->user;
	supervise_assigned(w, v);
	o->ops->assigned(o);
	overrides_say_session(w);
	share_worker(w, false);
	supervise_meminfo(w, lease_free(v));
	return 0;
}
