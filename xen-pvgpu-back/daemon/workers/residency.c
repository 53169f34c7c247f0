/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/workers/residency.h"

#include <inttypes.h>
#include <stdio.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

bool residency_is_on(const struct pool *p)
{
	return p->cfg.park_memory && p->cfg.mode == POOL_SHARED;
}

static uint64_t on_gpu(const struct vgpu *v)
{
	return ledger_used(&v->ledger) - v->ledger.parked;
}

/* A vGPU without a memory of its own has a promise of what it uses. */
static uint64_t reserved(const struct vgpu *v)
{
	return v->cfg.memory ? config_reserve(&v->cfg) : on_gpu(v);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Its part of park_memory, or what it has parked if that is more. */
static uint64_t parks(const struct vgpu *v)
{
	const uint64_t part = v->cfg.memory - config_reserve(&v->cfg);

	return part > v->ledger.parked ? part : v->ledger.parked;
}

void residency_promised(const struct pool *p, uint64_t *reserved_bytes, uint64_t *parked)
{
	const struct daemon *d = p->d;

	*reserved_bytes = *parked = 0;
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		const struct vgpu *v = d->vgpus[i];

		if (v->pool != p || v->unfit[0])
			continue;
		*reserved_bytes += reserved(v);
		*parked += parks(v);
	}
}

/* last-reason has 127 characters. */
bool residency_admits(const struct pool *p, const struct config_vgpu *cfg, const struct vgpu *v,
		      char reason[POOL_REASON])
{
	const uint64_t reserve = cfg ? config_reserve(cfg) : 0;
	const uint64_t part = cfg ? cfg->memory - reserve : 0;
	uint64_t reserves, parked;

	if (!residency_is_on(p)) {
		if (part)
			snprintf(reason, POOL_REASON,
				 "pool %s: memory-reserve is %" PRIu64 " of %" PRIu64
				 " MiB, and the pool has no park_memory: set that, or reserve all",
				 p->cfg.name, reserve >> 20, cfg->memory >> 20);
		return !part;
	}
	residency_promised(p, &reserves, &parked);
	if (v && v->pool == p && !v->unfit[0]) {
		reserves -= reserved(v);
		parked -= parks(v);
	}
	if (p->device_memory && reserve + reserves > p->device_memory) {
		snprintf(reason, POOL_REASON,
			 "pool %s: %" PRIu64 " MiB would be reserved of %" PRIu64
			 ": lower memory-reserve, or detach a vGPU",
			 p->cfg.name, (reserve + reserves) >> 20, p->device_memory >> 20);
		return false;
	}
	if (part + parked <= p->cfg.park_memory)
		return true;
	snprintf(reason, POOL_REASON,
		 "pool %s: %" PRIu64 " MiB might be parked, park_memory is %" PRIu64
		 ": raise it or memory-reserve",
		 p->cfg.name, (part + parked) >> 20, p->cfg.park_memory >> 20);
	return false;
}

/* The vGPU's part of the GPU's memory: its reserve, or all that it has there if that is more. */
static uint64_t kept(const struct vgpu *v)
{
	return reserved(v) > on_gpu(v) ? reserved(v) : on_gpu(v);
}

/* The GPU's memory less `own` and what `of` says of all others. */
static uint64_t left_by_others(const struct vgpu *v, uint64_t (*of)(const struct vgpu *v),
			       uint64_t own)
{
	const struct pool *p = v->pool;
	const struct daemon *d = p->d;
	uint64_t n = own;

	/* Before the GPU's memory is known nothing is too much. */
	if (!residency_is_on(p) || !p->device_memory)
		return UINT64_MAX;
	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		const struct vgpu *u = d->vgpus[i];

		if (u != v && u->pool == p)
			n += of(u);
	}
	return minus(p->device_memory, n);
}

uint64_t residency_room(const struct vgpu *v)
{
	return left_by_others(v, kept, on_gpu(v));
}

uint64_t residency_most(const struct vgpu *v)
{
	return left_by_others(v, reserved, 0);
}

bool residency_fits(const struct claim *c)
{
	const struct worker *w = c->w;
	const uint64_t parked = w->parking.bytes, more = c->parked ? 0 : c->bytes;

	return w->leased + parked + more <= residency_most(w->vgpu);
}

uint64_t residency_room_for(const struct claim *c)
{
	const struct vgpu *v = c->w->vgpu;

	return residency_fits(c) ? residency_room(v) : left_by_others(v, on_gpu, on_gpu(v));
}

uint64_t residency_host_room(const struct vgpu *v)
{
	const uint64_t part = v->cfg.memory - config_reserve(&v->cfg);
	const struct pool *p = v->pool;
	uint64_t reserves, promised, rest;

	residency_promised(p, &reserves, &promised);
	rest = minus(p->cfg.park_memory, promised - (v->unfit[0] ? 0 : parks(v)));
	return minus(less(rest > part ? rest : part, p->cfg.park_memory), v->ledger.parked);
}

bool residency_is_reserved(const struct vgpu *v, uint64_t bytes)
{
	return on_gpu(v) + bytes <= reserved(v);
}

/* ---- who leaves ---- */

#define LOOK_S    0.5  /* at the sessions' work */
#define HURRY_S   0.01 /* while a claim waits */
#define DRAIN_MS  10000u
#define AGAIN_NS  1000000000ull  /* after it had work that did not end */
#define STUCK_NS  60000000000ull /* it cannot leave: it is asked again then */
#define STUCK_MAX 3u             /* doublings of that time, while it still cannot */
#define STEP      (256ull << 20) /* bytes: a question takes as long as to move them */
#define BUSY_MOST 2u             /* answers that it has work, and then it is stuck */
#define NS_FIRST  100u           /* a KiB, which is 10 GB/s: until a copy was timed */
#define NS_LEAST  10u
#define NS_MOST   1000u

/* Bytes of it that could be parked, if nothing else counted; some may be parked already. Its own
 * allocations wait in the lane that would move its memory. */
static uint64_t can_leave(const struct worker *w, uint64_t now)
{
	const struct parking *k = &w->parking;

	const uint64_t rest = now < k->stays_until ? k->stays : 0;

	if (w->state != CHECK_SERVING || !w->sealed || w->killed || !k->knows_busy ||
	    (k->bytes && !k->knows_more) || w->claims > k->wants)
		return 0;
	return minus(w->leased, rest > w->exported ? rest : w->exported);
}

/* Bytes on the GPU beyond its reserve, with `more` on top. */
static uint64_t beyond(const struct vgpu *v, uint64_t more)
{
	return minus(on_gpu(v) + more, reserved(v));
}

bool residency_can(const struct claim *c)
{
	const struct vgpu *v = c->w->vgpu;
	const uint64_t now = pvgpu_poll_now();
	struct daemon *d = v->d;
	uint64_t n = residency_room_for(c);
	struct worker *w;

	if (!c->parked && !residency_fits(c))
		return false;
	for (unsigned int i = 0; i < d->vgpu_n; i++)
		d->vgpus[i]->parking.may = beyond(d->vgpus[i], d->vgpus[i] == v ? c->bytes : 0);
	TAILQ_FOREACH(w, &d->workers, link)
	{
		uint64_t part;

		if (!w->vgpu || w->vgpu->pool != v->pool || w == c->w)
			continue;
		part = less(can_leave(w, now), w->vgpu->parking.may);
		w->vgpu->parking.may -= part;
		n = n > UINT64_MAX - part ? UINT64_MAX : n + part;
	}
	return c->bytes <= n;
}

/* Has it work, also such as waits for its turn, or had it some since the last look? */
static void look_at(struct worker *w, uint64_t now)
{
	struct pvgpu_gate_report r;
	uint64_t seen;

	if (!share_gate_read(w, &r))
		return;
	seen = r.commands + r.copy_bytes;
	if (r.wants || !r.drained || seen != w->parking.seen || !w->parking.active_ns)
		w->parking.active_ns = now;
	w->parking.seen = seen;
}

/* Moving it out and in again then takes no more than the pool's `park_share` of the time. */
static uint64_t stay_ns(const struct worker *w)
{
	const struct pool *p = w->vgpu->pool;
	const uint64_t own = w->vgpu->parking.copy_ns;
	/* A worker that reports its copies late does not stay for ever. */
	const uint64_t each = own ? less(own, 2 * p->copy_ns) : NS_FIRST;
	const uint64_t copies = 2 * (w->leased >> 10) * each;
	const uint64_t ppm = p->cfg.park_ppm ? p->cfg.park_ppm : CONFIG_PARK_PPM;

	return copies / ppm * (1000000 - ppm);
}

static bool is_idle(const struct worker *w, uint64_t now)
{
	return now - w->parking.active_ns >= w->d->cfg.park_idle_ms * 1000000ull;
}

/* Can it be asked for memory, now or when it has been there long enough? */
static bool can_go(const struct worker *w, const struct claim *c, uint64_t now)
{
	const struct parking *k = &w->parking;

	return w->vgpu && w->vgpu->pool == c->w->vgpu->pool && w != c->w && !k->waits &&
	       !k->began_ns && now >= k->not_before && can_leave(w, now) &&
	       beyond(w->vgpu, w->vgpu == c->w->vgpu ? c->bytes : 0);
}

static bool may_go(const struct worker *w, uint64_t now)
{
	return w->parking.bytes || is_idle(w, now) || now - w->parking.came_ns >= stay_ns(w);
}

/* Those that have been idle for the longest time, and then in the order in which they came. */
static bool goes_first(const struct worker *a, const struct worker *b, uint64_t now)
{
	const bool idle = is_idle(a, now);

	if (idle != is_idle(b, now))
		return idle;
	return idle ? a->parking.active_ns < b->parking.active_ns
		    : a->parking.came_ns < b->parking.came_ns;
}

/* Of those that have left in part and wait to come back: the last, whose turn is farthest away. */
static struct worker *last_that_waits(const struct claim *c, uint64_t now)
{
	struct claim *x;

	TAILQ_FOREACH_REVERSE(x, &c->w->vgpu->pool->claims, claims, link)
	{
		if (x->parked && can_go(x->w, c, now))
			return x->w;
	}
	return NULL;
}

/* Memory that a waiting session still has there need not be copied back: it goes last. */
static struct worker *next_to_go(const struct claim *c, uint64_t now)
{
	struct worker *w, *first = NULL;
	bool others = false;

	TAILQ_FOREACH(w, &c->w->d->workers, link)
	{
		if (w->parking.wants || !can_go(w, c, now))
			continue;
		others = true;
		if (may_go(w, now) && (!first || goes_first(w, first, now)))
			first = w;
	}
	return others ? first : last_that_waits(c, now);
}

static void stays(struct worker *w, uint64_t until)
{
	w->parking.stays = w->leased;
	w->parking.stays_until = until;
}

static void stuck(struct worker *w, uint64_t now)
{
	struct parking *k = &w->parking;
	const uint64_t ns = STUCK_NS << k->stuck;

	k->busy = 0;
	k->stuck += k->stuck < STUCK_MAX;
	stays(w, now + ns);
	log_info("%s: %" PRIu64 " MiB of its memory stay on the GPU for the next %" PRIu64 " s",
		 worker_name(w), w->leased >> 20, ns / 1000000000u);
}

static unsigned int drain_ms(const struct worker *w)
{
	const unsigned int limit = w->vgpu->cfg.policy.kernel_limit;

	return limit && limit < DRAIN_MS ? limit : DRAIN_MS;
}

static uint64_t expected(const struct pool *p)
{
	struct worker *w;
	uint64_t n = 0;

	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->vgpu && w->vgpu->pool == p && w->parking.waits)
			n += w->parking.leaves;
	}
	return n;
}

/* Bytes that are missing for the claim, and for all that wait with it. */
static uint64_t missing(const struct claim *c)
{
	uint64_t n = minus(c->bytes, residency_room_for(c));
	const struct claim *x;

	TAILQ_FOREACH(x, &c->w->vgpu->pool->claims, link)
	{
		if (x != c)
			n += less(x->bytes, UINT64_MAX - n);
	}
	return n;
}

/* Bytes that the session is asked for: no more than are missing, in steps that are worth a
 * question. */
static uint64_t enough(const struct worker *w, const struct claim *c, uint64_t most)
{
	const uint64_t n = minus(missing(c), expected(w->vgpu->pool));

	return w->parking.knows_more ? less(n > STEP ? n : STEP, most) : most;
}

static void make_room(struct pool *p, const struct claim *c)
{
	const uint64_t now = pvgpu_poll_now();
	const uint64_t lacks = minus(c->bytes, residency_room_for(c));
	struct worker *w;

	while (expected(p) < lacks && (w = next_to_go(c, now))) {
		const struct vgpu *v = w->vgpu;
		/* Its part of park_memory. */
		const uint64_t part =
			minus(v->cfg.memory - config_reserve(&v->cfg), v->ledger.parked);
		const uint64_t n = enough(w, c, beyond(v, v == c->w->vgpu ? c->bytes : 0));

		log_debug("%s: is to leave: %s needs %" PRIu64 " MiB", worker_name(w),
			  c->w->vgpu->cfg.name, c->bytes >> 20);
		if (!parking_leave(w, less(can_leave(w, now), part), n, drain_ms(w)))
			stuck(w, now);
	}
}

static void on_look(struct ev_loop *loop, ev_timer *t, int events)
{
	struct pool *p = t->data;

	lease_serve(p);
}

static void look_again(struct pool *p)
{
	const double wait = TAILQ_EMPTY(&p->claims) ? LOOK_S : HURRY_S;

	ev_timer_stop(p->d->loop, &p->residency);
	ev_timer_set(&p->residency, wait, 0.);
	ev_timer_start(p->d->loop, &p->residency);
}

void residency_init(struct pool *p)
{
	TAILQ_INIT(&p->claims);
	p->copy_ns = NS_FIRST;
	ev_timer_init(&p->residency, on_look, 0., 0.);
	p->residency.data = p;
	if (residency_is_on(p))
		look_again(p);
}

void residency_stop(struct pool *p)
{
	ev_timer_stop(p->d->loop, &p->residency);
}

void residency_look(struct pool *p)
{
	const uint64_t now = pvgpu_poll_now();
	struct worker *w;

	if (!residency_is_on(p)) {
		residency_stop(p);
		return;
	}
	TAILQ_FOREACH(w, &p->d->workers, link)
	{
		if (w->vgpu && w->vgpu->pool == p && w->state == CHECK_SERVING)
			look_at(w, now);
	}
	if (p->first)
		make_room(p, p->first);
	look_again(p);
}

void residency_parked(struct worker *w, uint64_t bytes, bool again)
{
	const uint64_t now = pvgpu_poll_now();
	struct parking *k = &w->parking;
	const uint64_t leaves = k->leaves;

	if (!leaves)
		return;
	k->leaves = 0;
	k->not_before = now + AGAIN_NS;
	k->busy = bytes ? 0 : k->busy + 1;
	w->vgpu->pool->freed += bytes;
	if (!bytes && (!again || k->busy >= BUSY_MOST))
		stuck(w, now);
	else if (bytes >= leaves)
		k->stuck = 0;
	else if (bytes)
		stays(w, now + STUCK_NS); /* the rest cannot be moved */
}

/* The upper one of two in the middle: fewer than half of the vGPUs can neither shorten others'
 * stays nor lengthen their own by what they say. */
static uint64_t median_ns(const struct pool *p)
{
	const struct daemon *d = p->d;
	uint64_t least = NS_MOST;

	for (unsigned int i = 0; i < d->vgpu_n; i++) {
		const uint64_t ns = d->vgpus[i]->parking.copy_ns;
		unsigned int known = 0, below = 0;

		for (unsigned int j = 0; j < d->vgpu_n; j++) {
			const struct vgpu *v = d->vgpus[j];

			if (v->pool != p || !v->parking.copy_ns)
				continue;
			known++;
			below += v->parking.copy_ns <= ns;
		}
		if (d->vgpus[i]->pool == p && ns && below > known / 2)
			least = less(least, ns);
	}
	return least;
}

void residency_came(struct worker *w, uint64_t bytes, uint64_t ns)
{
	const uint64_t kib = bytes >> 10;
	uint64_t *own = &w->vgpu->parking.copy_ns, each;

	w->parking.came_ns = pvgpu_poll_now();
	if (!ns || !kib)
		return;
	each = less((ns + kib - 1) / kib, NS_MOST);
	*own = *own ? (7 * *own + each) / 8 : each;
	*own = *own < NS_LEAST ? NS_LEAST : *own;
	w->vgpu->pool->copy_ns = median_ns(w->vgpu->pool);
}
