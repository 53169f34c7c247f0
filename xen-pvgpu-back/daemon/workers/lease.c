/* SPDX-License-Identifier: MIT */
/*
 * Leases of memory. Memory of a guest process that has exited must be available to the next one, as
 * on a GPU of its own, although its worker takes a moment to end. So a request waits while an
 * ending session holds the memory. It also waits while the GPU is full and other sessions can leave
 * it (residency.h). These claims are served in the order in which they came, but one that no
 * session can leave for does not hold up those behind it.
 */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/pool.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"

#define CLAIMS_MAX 8u    /* claims of one worker, which waits for each */
#define SERVE_S    0.001 /* from a RETURN to the claims that wait for it */

/* The guest is gone or the worker has reported its end: its memory returns soon, at the latest when
 * the worker is killed. */
static bool is_ending(const struct worker *w)
{
	struct pollfd p = {.fd = w->guest_pidfd, .events = POLLIN};

	return w->state == CHECK_ENDED || w->control < 0 || (p.fd >= 0 && poll(&p, 1, 0) > 0);
}

static uint64_t ending_bytes(const struct vgpu *v)
{
	const struct worker *w;
	uint64_t n = 0;

	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && is_ending(w))
			n += w->leased + w->account.beyond;
	}
	return n;
}

/* The same as it was when it was first asked for in this turn: a system call for each session is
 * too much for each claim. */
static uint64_t ending_this_turn(struct vgpu *v)
{
	if (v->ending_turn != v->d->lease_turn) {
		v->ending_turn = v->d->lease_turn;
		v->ending = ending_bytes(v);
	}
	return v->ending;
}

/* Bytes that may be leased now. A vGPU without a promise may lease memory that is not promised to
 * others. */
static uint64_t available(const struct vgpu *v)
{
	uint64_t n = ledger_free(&v->ledger), spare;

	if (v->cfg.memory)
		return n;
	spare = residency_is_on(v->pool) ? residency_room(v) : pool_spare_memory(v->pool);
	return spare < n ? spare : n;
}

/* Memory that was parked for the first claim is not for others, unless it is reserved for them. */
static bool has_room(const struct claim *c)
{
	const struct vgpu *v = c->w->vgpu;
	const struct pool *p = v->pool;
	uint64_t n = residency_room_for(c);

	/* Adopted sessions wait until a worker has told what the GPU has. */
	if (n < c->bytes || (residency_is_on(p) && !p->device_memory))
		return false;
	return !p->first || c == p->first || n - c->bytes >= p->freed ||
	       residency_is_reserved(v, c->bytes);
}

/* Recorded before the worker hears of it. */
static bool take(const struct claim *c)
{
	struct worker *w = c->w;
	struct vgpu *v = w->vgpu;

	if (c->bytes > available(v) || !residency_fits(c) || !has_room(c) ||
	    !ledger_take(&v->ledger, &w->leased, c->bytes))
		return false;
	if (held_set_leased(w->held, w->leased + w->parking.bytes) < 0) {
		ledger_give(&v->ledger, &w->leased, c->bytes);
		return false;
	}
	if (!w->parking.came_ns)
		w->parking.came_ns = pvgpu_poll_now();
	return true;
}

uint64_t lease_free(const struct vgpu *v)
{
	uint64_t n = available(v) + ending_bytes(v);

	return n < v->ledger.quota ? n : v->ledger.quota;
}

static void answer(struct worker *w, uint32_t id, uint64_t bytes, bool granted)
{
	log_debug("%s: lease of %" PRIu64 " bytes %s", worker_name(w), bytes,
		  granted ? "granted" : "refused");
	supervise_say(w, PVGPU_SUP_LEASED, id, granted ? bytes : 0);
}

static void unlist(struct claim *c)
{
	struct pool *p = c->w->vgpu->pool;

	TAILQ_REMOVE(&p->claims, c, link);
	if (p->first == c) {
		p->first = NULL;
		p->freed = 0;
	}
	c->w->claims--;
}

static void drop(struct claim *c)
{
	unlist(c);
	if (!c->parked)
		free(c);
}

/* Is it what it may have that it waits for, or the GPU's room? */
static bool waits_for_room(const struct claim *c)
{
	const struct vgpu *v = c->w->vgpu;

	return v->ledger.quota && (c->parked || c->bytes <= available(v));
}

static bool grant(struct claim *c)
{
	if (!c->parked)
		return take(c);
	return !parking_grows(c->w) && has_room(c);
}

static void answer_claim(struct claim *c, bool granted)
{
	struct claim was = *c;

	drop(c);
	if (!was.parked)
		answer(was.w, was.id, was.bytes, granted);
	else
		parking_resumes(was.w, was.id);
	vgpu_changed(was.w->vgpu);
}

static void refuse_full(const struct claim *c)
{
	struct vgpu *v = c->w->vgpu;
	const uint64_t has = c->w->leased + c->w->parking.bytes;

	v->parking.refused++;
	if (!log_room(&v->noise, now_ms(), v->cfg.name))
		return;
	if (residency_fits(c))
		log_warning("%s: %" PRIu64 " MiB are refused: the GPU has %" PRIu64
			    " MiB left for it, and no session can leave; its vGPU may have %" PRIu64
			    " MiB of which %" PRIu64 " are reserved",
			    worker_name(c->w), c->bytes >> 20, residency_room(v) >> 20,
			    v->ledger.quota >> 20, config_reserve(&v->cfg) >> 20);
	else
		log_warning("%s: %" PRIu64 " MiB are refused: with its %" PRIu64
			    " MiB they are more than the %" PRIu64
			    " MiB that the GPU has beside what is reserved for others",
			    worker_name(c->w), c->bytes >> 20, has >> 20, residency_most(v) >> 20);
}

/* Grants claims that fit now, and refuses those that ask for more than their vGPU will have. */
static void serve_fitting(struct pool *p)
{
	struct claim *c, *next;

	p->d->lease_turn++;
	for (c = TAILQ_FIRST(&p->claims); c; c = next) {
		struct vgpu *v = c->w->vgpu;
		bool granted;

		next = TAILQ_NEXT(c, link);
		if (!v->ledger.quota)
			continue;
		granted = grant(c);
		if (granted)
			answer_claim(c, true);
		else if (!waits_for_room(c) && c->bytes > available(v) + ending_this_turn(v))
			answer_claim(c, false);
	}
}

/* The first claim that others can leave the GPU for. Where there is none, the last allocation is
 * refused: those before it may have to wait for its session. */
static bool choose_first(struct pool *p)
{
	struct claim *c, *last = NULL;

	if (p->first && residency_can(p->first))
		return true;
	p->first = NULL;
	p->freed = 0;
	TAILQ_FOREACH(c, &p->claims, link)
	{
		if (!waits_for_room(c))
			continue;
		if (residency_can(c)) {
			p->first = c;
			return true;
		}
		last = c->parked ? last : c;
	}
	if (!last)
		return true;
	refuse_full(last);
	answer_claim(last, false);
	return false;
}

void lease_serve(struct pool *p)
{
	do
		serve_fitting(p);
	while (residency_is_on(p) && !choose_first(p));
	residency_look(p);
}

static void add_claim(struct claim *c)
{
	TAILQ_INSERT_TAIL(&c->w->vgpu->pool->claims, c, link);
	c->w->claims++;
}

void lease_parked(struct worker *w, uint32_t id, uint64_t bytes)
{
	struct claim *c = &w->parking.claim;

	*c = (struct claim){.w = w, .id = id, .bytes = bytes, .parked = true};
	w->parking.wants = true;
	add_claim(c);
	lease_serve(w->vgpu->pool);
}

void lease_unparked(struct worker *w)
{
	w->parking.wants = false;
	unlist(&w->parking.claim);
}

void lease_quota_known(struct vgpu *v)
{
	struct worker *w;
	uint64_t free;

	v->ledger.quota = vgpu_quota(v);
	lease_serve(v->pool);
	free = lease_free(v);
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && w->state == CHECK_SERVING)
			supervise_meminfo(w, free);
	}
}

/* Will there be memory for it? Without a quota, no worker has reported the GPU's memory yet: an
 * adopted session must wait. */
static bool is_coming(const struct claim *c)
{
	const struct vgpu *v = c->w->vgpu;

	if (c->bytes > lease_free(v) && v->ledger.quota)
		return false;
	if (c->bytes > available(v) || residency_can(c))
		return true;
	refuse_full(c);
	return false;
}

void lease_asked(struct worker *w, const struct pvgpu_sup *m)
{
	const struct claim want = {.w = w, .id = m->id, .bytes = m->a};
	struct pool *p = w->vgpu->pool;
	const bool granted = take(&want);
	struct claim *c = NULL;

	if (!granted && w->claims < CLAIMS_MAX && is_coming(&want))
		c = calloc(1, sizeof(*c));
	if (!c) {
		answer(w, m->id, m->a, granted);
		if (granted)
			vgpu_changed(w->vgpu);
		return;
	}
	*c = want;
	log_debug("%s: lease of %" PRIu64 " bytes waits", worker_name(w), m->a);
	add_claim(c);
	if (residency_is_on(p))
		lease_serve(p);
}

/* Records the larger lease before it shrinks: a reading of the worker's memory may be older. */
static void note(struct worker *w)
{
	judge_lease(&w->account.judge, w->leased, pvgpu_poll_now());
}

/* Such messages are many, and claims may be, too: a timer serves them, which runs anyway where
 * residency is on. lease_serve() stops it. */
static void serve_soon(struct pool *p)
{
	if (residency_is_on(p) || TAILQ_EMPTY(&p->claims) || ev_is_active(&p->residency))
		return;
	ev_timer_set(&p->residency, SERVE_S, 0.);
	ev_timer_start(p->d->loop, &p->residency);
}

void lease_given(struct worker *w, uint64_t bytes)
{
	note(w);
	if (ledger_give(&w->vgpu->ledger, &w->leased, bytes) < 0) {
		faults_kill(w, FAULT_PROTOCOL, "returns %" PRIu64 " bytes of a lease of %" PRIu64,
			    bytes, w->leased);
		return;
	}
	held_set_leased(w->held, w->leased + w->parking.bytes);
	serve_soon(w->vgpu->pool);
	vgpu_changed(w->vgpu);
}

void lease_returned(struct worker *w, const struct pvgpu_sup *m)
{
	/* Shared memory is given back by DROP alone (exports.c). */
	if (m->a > w->leased - w->exported)
		faults_kill(w, FAULT_PROTOCOL,
			    "returns %" PRIu64 " bytes of a lease of %" PRIu64
			    ", of which it shares %" PRIu64,
			    m->a, w->leased, w->exported);
	else
		lease_given(w, m->a);
}

void lease_measured(struct worker *w, uint64_t beyond)
{
	struct vgpu *v = w->vgpu;

	if (beyond == w->account.beyond)
		return;
	ledger_measured(&v->ledger, &w->account.beyond, beyond);
	log_debug("%s: %" PRIu64 " MiB beside its lease count", worker_name(w), beyond >> 20);
	lease_serve(v->pool);
	vgpu_changed(v);
	/* The worker itself does not know. */
	vgpu_tell(v);
}

uint64_t lease_most(const struct vgpu *v)
{
	const uint64_t most = v->cfg.memory ? v->ledger.quota : pool_room(v);

	/* Before the GPU's memory is known nothing is too much. */
	if (!v->ledger.quota && !v->former)
		return UINT64_MAX;
	return most > v->ledger.used ? most : v->ledger.used;
}

void lease_died(struct worker *w)
{
	struct vgpu *v = w->vgpu;
	struct claim *c, *next;

	for (c = TAILQ_FIRST(&v->pool->claims); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->w == w)
			drop(c);
	}
	parking_died(w);
	ledger_end(&v->ledger, &w->leased);
	ledger_measured(&v->ledger, &w->account.beyond, 0);
	lease_serve(v->pool);
	vgpu_changed(v);
}
