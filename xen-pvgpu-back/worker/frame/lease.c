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
#include <stdio.h>
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

/* False: the socket is full. */
static bool tell_parked(struct lease *l)
{
	for (unsigned int i = 0; i < 2 && !l->unsettled; i++) {
		struct pvgpu_sup *m = &l->to_say[i];

		if (m->kind && msg_send(PVGPU_SUP_CONTROL_FD, m, sizeof(*m), NULL, 0) < 0)
			return false;
		m->kind = 0;
	}
	return true;
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
	if (!tell_parked(l))
		return;
	for (struct lease_wait *x = l->waits; x; x = x->next) {
		if (x->sent || x->done)
			continue;
		if (say(w, PVGPU_SUP_LEASE, x->id, x->bytes) < 0)
			return;
		x->sent = true;
	}
	if (l->resumes && !l->resume_sent && !l->unsettled)
		l->resume_sent = say(w, PVGPU_SUP_RESUME, l->resume_id, l->parked) == 0;
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
	behind = (l->up &&
		  (l->owed || (!l->unsettled && (l->to_say[0].kind || l->to_say[1].kind)))) ||
		 share_behind(w);
	for (struct lease_wait *x = l->waits; x; x = x->next)
		behind |= l->up && !x->sent && !x->done;
	behind |= l->up && l->resumes && !l->resume_sent && !l->unsettled;
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

static void done(struct lease *l, struct lease_wait *x, uint64_t bytes)
{
	l->leased += bytes;
	x->done = true;
	x->granted = bytes;
	pthread_cond_broadcast(&l->answered);
}

/* Ask, and wait for the answer: bytes that were granted. */
static uint64_t ask(struct worker *w, uint64_t bytes)
{
	struct lease *l = &w->lease;
	struct lease_wait me = {.bytes = bytes};
	struct lease_wait **p;

	/* The answer is not read any more. Answers to all queued requests would fill the socket,
	 * and pvgpud ends a worker that does not read. */
	if (has_ended(w))
		return 0;
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
	return me.granted;
}

bool lease_get(struct worker *w, uint64_t bytes)
{
	return !bytes || ask(w, bytes);
}

/* All that is parked is leased again. */
static uint64_t resume(struct lease *l)
{
	const uint64_t bytes = l->parked;

	l->leased += bytes;
	l->parked = 0;
	l->resumes = false;
	atomic_fetch_sub(&l->waiting, 1);
	return bytes;
}

uint64_t lease_resume(struct worker *w)
{
	struct lease *l = &w->lease;
	uint64_t bytes = 0;

	pthread_mutex_lock(&l->lock);
	atomic_fetch_add(&l->waiting, 1);
	l->resumes = true;
	l->resume_sent = false;
	l->resume_id = ++l->next_id;
	if (l->up && l->deaf)
		bytes = resume(l);
	tell(w);
	pthread_mutex_unlock(&l->lock);
	return bytes;
}

void lease_unask(struct worker *w)
{
	struct lease *l = &w->lease;

	pthread_mutex_lock(&l->lock);
	if (l->resumes)
		atomic_fetch_sub(&l->waiting, 1);
	l->resumes = false;
	pthread_mutex_unlock(&l->lock);
}

static void say_parked(struct worker *w, unsigned int place, const struct pvgpu_sup *m)
{
	w->lease.to_say[place] = *m;
	w->lease.to_say[place].session = w->info.session;
	tell(w);
}

void lease_parked(struct worker *w, uint32_t question, uint64_t bytes, uint64_t us, bool busy,
		  const char *reason)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_PARKED, .a = bytes, .b = us, .c = busy};
	struct lease *l = &w->lease;

	snprintf(m.reason, sizeof(m.reason), "%s", reason);
	pthread_mutex_lock(&l->lock);
	l->leased -= bytes;
	l->parked += bytes;
	if (question == l->question) {
		m.id = l->question_id;
		l->question = 0;
	}
	if ((m.id || bytes) && l->up && !l->unsettled && !l->deaf)
		say_parked(w, 0, &m);
	pthread_mutex_unlock(&l->lock);
}

uint32_t lease_park_asked(struct worker *w, uint32_t id)
{
	struct lease *l = &w->lease;
	uint32_t question;

	pthread_mutex_lock(&l->lock);
	question = l->question = ++l->questions;
	l->question_id = id;
	pthread_mutex_unlock(&l->lock);
	return question;
}

void lease_resumed(struct worker *w, uint64_t bytes, uint64_t us)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_RESUMED, .a = bytes, .b = us};
	struct lease *l = &w->lease;

	pthread_mutex_lock(&l->lock);
	if (l->up && !l->unsettled && !l->deaf)
		say_parked(w, 1, &m);
	pthread_mutex_unlock(&l->lock);
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
	*free_bytes = have > l->leased + l->parked ? have - l->leased - l->parked : 0;
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

static uint64_t granted(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;
	struct lease_wait *x = l->waits;

	if (l->resumes && m->id == l->resume_id && m->a == l->parked)
		return resume(l);
	while (x && x->id != m->id)
		x = x->next;
	if (x && !x->done) {
		done(l, x, m->a);
		return 0;
	}
	/* The thread that asked no longer waits: return the lease. */
	l->owed += m->a;
	tell(w);
	return 0;
}

/* To one that knows nothing of parked memory all of it counts as leased, as STATE said. */
static uint64_t resume_unasked(struct lease *l)
{
	l->deaf = true;
	return l->resumes ? resume(l) : 0;
}

/* A successor's first answer to STATE: returns what is on record there and was not stated, and says
 * what of it is parked. */
static uint64_t settle(struct worker *w, const struct pvgpu_sup *m)
{
	const struct pvgpu_sup parked = {.kind = PVGPU_SUP_PARKED, .a = w->lease.parked};
	struct lease *l = &w->lease;
	uint64_t resumed = 0;

	if (!l->unsettled || m->kind != PVGPU_SUP_MEMINFO)
		return 0;
	l->unsettled = false;
	if (m->c > l->stated)
		l->owed += m->c - l->stated;
	if (!(m->knows & PVGPU_SUP_KNOWS_PARK))
		resumed = resume_unasked(l);
	else if (l->parked)
		say_parked(w, 0, &parked);
	tell(w);
	return resumed;
}

uint64_t lease_heard(struct worker *w, const struct pvgpu_sup *m)
{
	struct lease *l = &w->lease;
	uint64_t resumed = 0;

	pthread_mutex_lock(&l->lock);
	if (m->kind == PVGPU_SUP_LEASED)
		resumed = granted(w, m);
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
	resumed += settle(w, m);
	pthread_mutex_unlock(&l->lock);
	return resumed;
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
	l->to_say[0].kind = l->to_say[1].kind = 0;
	l->unsettled = l->resume_sent = false;
	l->question = 0;
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
			      .knows = PVGPU_SUP_KNOWS_ALL};
	int err;

	memcpy(m.vgpu, w->info.vgpu, sizeof(m.vgpu));
	pthread_mutex_lock(&l->lock);
	m.a = l->stated = l->leased + l->parked;
	err = msg_send(PVGPU_SUP_CONTROL_FD, &m, sizeof(m), NULL, 0);
	if (!err) {
		l->up = l->unsettled = true;
		l->deaf = false;
		tell(w);
	}
	pthread_mutex_unlock(&l->lock);
	return err;
}
