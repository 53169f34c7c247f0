/* SPDX-License-Identifier: MIT */
/*
 * Leases of memory. Memory of a guest process that has exited must be available to the next one, as
 * on a GPU of its own, although its worker takes a moment to end. So a request waits while an
 * ending session holds the memory.
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

#define CLAIMS_MAX 8u /* claims of one worker, which waits for each */

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

/* Bytes that may be leased now. A vGPU without a promise may lease memory that is not promised to
 * others. */
static uint64_t available(const struct vgpu *v)
{
	uint64_t n = ledger_free(&v->ledger), spare;

	if (v->cfg.memory)
		return n;
	spare = pool_spare_memory(v->pool);
	return spare < n ? spare : n;
}

/* Recorded before the worker hears of it. */
static bool take(struct worker *w, uint64_t bytes)
{
	struct vgpu *v = w->vgpu;

	if (bytes > available(v) || !ledger_take(&v->ledger, &w->leased, bytes))
		return false;
	if (held_set_leased(w->held, w->leased + w->parking.bytes) == 0)
		return true;
	ledger_give(&v->ledger, &w->leased, bytes);
	return false;
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

static void drop(struct vgpu *v, struct claim *c)
{
	TAILQ_REMOVE(&v->claims, c, link);
	c->w->claims--;
	free(c);
}

/* Answers waiting claims in order: grants those that fit now, refuses those that cannot fit any
 * more. */
static void serve_claims(struct vgpu *v)
{
	uint64_t coming = TAILQ_EMPTY(&v->claims) ? 0 : ending_bytes(v);
	struct claim *c, *next;

	for (c = TAILQ_FIRST(&v->claims); c; c = next) {
		bool granted = take(c->w, c->bytes);

		next = TAILQ_NEXT(c, link);
		if (!granted && c->bytes <= available(v) + coming)
			continue;
		answer(c->w, c->id, c->bytes, granted);
		drop(v, c);
	}
}

void lease_quota_known(struct vgpu *v)
{
	struct worker *w;

	v->ledger.quota = vgpu_quota(v);
	serve_claims(v);
	TAILQ_FOREACH(w, &v->d->workers, link)
	{
		if (w->vgpu == v && w->state == CHECK_SERVING)
			supervise_meminfo(w);
	}
}

void lease_asked(struct worker *w, const struct pvgpu_sup *m)
{
	struct vgpu *v = w->vgpu;
	bool granted = take(w, m->a);
	struct claim *c = NULL;

	/* Without a quota, no worker has reported the GPU's memory yet: an adopted session must
	 * wait. */
	if (!granted && (m->a <= lease_free(v) || !v->ledger.quota) && w->claims < CLAIMS_MAX)
		c = calloc(1, sizeof(*c));
	if (!c) {
		answer(w, m->id, m->a, granted);
		if (granted)
			vgpu_changed(v);
		return;
	}
	*c = (struct claim){.w = w, .id = m->id, .bytes = m->a};
	TAILQ_INSERT_TAIL(&v->claims, c, link);
	w->claims++;
}

/* Records the larger lease before it shrinks: a reading of the worker's memory may be older. */
static void note(struct worker *w)
{
	judge_lease(&w->account.judge, w->leased, pvgpu_poll_now());
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
	serve_claims(w->vgpu);
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
	serve_claims(v);
	vgpu_changed(v);
	/* The worker itself does not know. */
	vgpu_tell(v);
}

uint64_t lease_most(const struct vgpu *v)
{
	const uint64_t most = v->cfg.memory ? v->ledger.quota : pool_room(v);

	/* Before the GPU's memory is known nothing is too much. */
	if (!v->ledger.quota)
		return UINT64_MAX;
	return most > v->ledger.used ? most : v->ledger.used;
}

void lease_died(struct worker *w)
{
	struct vgpu *v = w->vgpu;
	struct claim *c, *next;

	for (c = TAILQ_FIRST(&v->claims); c; c = next) {
		next = TAILQ_NEXT(c, link);
		if (c->w == w)
			drop(v, c);
	}
	parking_died(w);
	ledger_end(&v->ledger, &w->leased);
	ledger_measured(&v->ledger, &w->account.beyond, 0);
	serve_claims(v);
	vgpu_changed(v);
}
