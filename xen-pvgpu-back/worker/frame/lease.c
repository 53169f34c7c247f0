/* SPDX-License-Identifier: MIT */
/*
 * Device memory leased from pvgpud, to the byte: nothing is held in advance, so that all of a
 * vGPU's sessions can have all of its quota. While pvgpud is away leases stand, and callers wait
 * for its successor, as long as the session lives. What is given back meanwhile is missing from the
 * STATE that the successor hears. It says what is on record in its first MEMINFO, and the
 * difference is returned then.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/contract/msg.h"

struct lease_wait {
	struct lease_wait *next;
	uint64_t bytes, granted;
	uint32_t id;
	bool sent, done;
};

void lease_init(struct worker *w, uint64_t quota)
{
	struct lease *l = &w->lease;

	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->answered, NULL);
	l->up = true;
	l->total = l->heard_free = quota;
}

bool lease_is_up(struct worker *w)
{
	bool up;

	pthread_mutex_lock(&w->lease.lock);
	up = w->lease.up;
	pthread_mutex_unlock(&w->lease.lock);
	return up;
}

/* The rest with l->lock held, but for what worker.h and frame.h declare. */

static int say(struct worker *w, uint32_t kind, uint32_t id, uint64_t a)
{
	struct pvgpu_sup m = {.kind = kind, .id = id, .a = a, .session = w->info.session};

	return msg_send(PVGPU_SUP_CONTROL_FD, &m, sizeof(m), NULL, 0);
}

/* In order: what is given back first, so that it can be had again. */
static void tell(struct worker *w)
{
	struct lease *l = &w->lease;

	if (!l->up)
		return;
	if (l->owed) {
		if (say(w, PVGPU_SUP_RETURN, 0, l->owed) < 0)
			return;
		l->owed = 0;
	}
	share_tell(w);
	for (struct lease_wait *x = l->waits; x; x = x->next) {
		if (x->sent || x->done)
			continue;
		if (say(w, PVGPU_SUP_LEASE, x->id, x->bytes) < 0)
			return;
		x->sent = true;
	}
}

void lease_tell(struct worker *w)
{
	pthread_mutex_lock(&w->lease.lock);
	tell(w);
	pthread_mutex_unlock(&w->lease.lock);
}

bool lease_behind(struct worker *w)
{
	struct lease *l = &w->lease;
	bool behind;

	pthread_mutex_lock(&l->lock);
	behind = (l->up && l->owed) || share_behind(w);
	for (struct lease_wait *x = l->waits; x; x = x->next)
		behind |= l->up && !x->sent && !x->done;
	pthread_mutex_unlock(&l->lock);
	return behind;
}

bool lease_try(struct worker *w, uint64_t bytes)
{
	(void)w;
	return bytes == 0;
}

uint64_t lease_of_context(struct worker *w)
{
	return w->opt.context_charge > w->info.context ? w->opt.context_charge : w->info.context;
}

bool lease_get(struct worker *w, uint64_t bytes)
{
	struct lease *l = &w->lease;
	struct lease_wait me = {.bytes = bytes};
	struct lease_wait **p;

	if (!bytes)
		return true;
	/* The answer is not read any more. Answers to all queued requests would fill the socket,
	 * and pvgpud ends a worker that does not read. */
	if (has_ended(w))
		return false;
	atomic_fetch_add(&l->waiting, 1);
	pthread_mutex_lock(&l->lock);
	me.id = ++l->next_id;
	me.next = l->waits;
	l->waits = &me;
	tell(w);
	if (!me.sent)
		worker_kick(w); /* the decoding thread tries again, even if it slept */
	while (!me.done && !has_ended(w))
		pthread_cond_wait(&l->answered, &l->lock);
	for (p = &l->waits; *p != &me; p = &(*p)->next)
		;
	*p = me.next;
	if (me.granted && me.granted != bytes) {
		/* Not what was asked for: of no use. */
		l->leased -= me.granted;
		l->owed += me.granted;
		me.granted = 0;
		tell(w);
	}
	pthread_mutex_unlock(&l->lock);
	atomic_fetch_sub(&l->waiting, 1);
	return me.granted != 0;
}

void lease_put(struct worker *w, uint64_t bytes)
{
	struct lease *l = &w->lease;

	if (!bytes)
		return;
	pthread_mutex_lock(&l->lock);
	if (bytes > l->leased)
		bytes = l->leased;
	l->leased -= bytes;
	if (l->up)
		l->owed += bytes;
	tell(w);
	pthread_mutex_unlock(&l->lock);
}

void lease_info(struct worker *w, uint64_t *free_bytes, uint64_t *total)
{
	struct lease *l = &w->lease;
	uint64_t have;

	pthread_mutex_lock(&l->lock);
	/* Leases that changed since pvgpud's last message are known better here. */
	have = l->heard_free + l->heard_leased;
	*free_bytes = have > l->leased ? have - l->leased : 0;
	if (*free_bytes > l->total)
		*free_bytes = l->total;
	*total = l->total;
	pthread_mutex_unlock(&l->lock);
}

void lease_ended(struct worker *w)
{
	pthread_mutex_lock(&w->lease.lock);
	pthread_cond_broadcast(&w->lease.answered);
	pthread_mutex_unlock(&w->lease.lock);
}

static void granted(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;
	struct lease_wait *x = l->waits;

	l->leased += m->a;
	while (x && x->id != m->id)
		x = x->next;
	if (x && !x->done) {
		x->done = true;
		x->granted = m->a;
		pthread_cond_broadcast(&l->answered);
		return;
	}
	/* The thread that asked no longer waits: return the lease. */
	l->leased -= m->a;
	l->owed += m->a;
	tell(w);
}

/* A successor's first answer to STATE: returns what is on record there and was not stated. */
static void settle(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;

	if (!l->unsettled || m->kind != PVGPU_SUP_MEMINFO)
		return;
	l->unsettled = false;
	if (m->c <= l->stated)
		return;
	l->owed += m->c - l->stated;
	tell(w);
}

void lease_heard(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;

	pthread_mutex_lock(&l->lock);
	if (m->kind == PVGPU_SUP_LEASED)
		granted(w, m);
	else if (m->a)
		l->total = m->a;
	/* Without a quota it does not know the GPU's memory yet: what was heard before stands. */
	if (m->a || m->kind == PVGPU_SUP_LEASED) {
		l->heard_free = m->b;
		l->heard_leased = m->c;
	}
	if (m->kind == PVGPU_SUP_MEMINFO && m->knows & PVGPU_SUP_KNOWS_SHARE) {
		share_up(w);
		tell(w);
	}
	settle(w, m);
	pthread_mutex_unlock(&l->lock);
}

void lease_down(struct worker *w)
{
	struct lease *l = &w->lease;
	uint64_t leased;

	pthread_mutex_lock(&l->lock);
	l->up = false;
	leased = l->leased;
	share_down(w);
	/* The successor hears of all this in STATE, or is asked again. */
	l->owed = 0;
	l->unsettled = false;
	for (struct lease_wait *x = l->waits; x; x = x->next)
		x->sent = false;
	pthread_mutex_unlock(&l->lock);
	worker_log(w, "pvgpud is gone; the session goes on with %" PRIu64 " bytes leased", leased);
}

int lease_up(struct worker *w)
{
	struct lease *l = &w->lease;
	struct pvgpu_sup m = {.kind = PVGPU_SUP_STATE,
			      .session = w->info.session,
			      .id = w->link->serves == CHECK_XEN_SESSION
					    ? (uint32_t)(w->arena.used / PVGPU_RING_PAGE_SIZE)
					    : 0,
			      .b = w->info.guest_pid,
			      .c = w->started_ms,
			      .knows = PVGPU_SUP_KNOWS_TAKEN | PVGPU_SUP_KNOWS_SHARE};
	int err;

	memcpy(m.vgpu, w->info.vgpu, sizeof(m.vgpu));
	pthread_mutex_lock(&l->lock);
	m.a = l->stated = l->leased;
	err = msg_send(PVGPU_SUP_CONTROL_FD, &m, sizeof(m), NULL, 0);
	if (!err) {
		l->up = l->unsettled = true;
		tell(w);
	}
	pthread_mutex_unlock(&l->lock);
	return err;
}
