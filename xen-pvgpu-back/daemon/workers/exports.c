/* SPDX-License-Identifier: MIT */
/*
 * Memory and events that the sessions of one vGPU share. A worker that wants what a token stands
 * for asks pvgpud, which asks the worker of the session that the token names, if that is of the
 * same vGPU; only that worker knows its tokens. It answers with a file descriptor, which is passed
 * on. pvgpud neither looks at tokens nor keeps files, so a new pvgpud has nothing to recover but
 * who has what, which the workers tell it (HELD).
 *
 * Memory is charged once: it is part of the lease of one of the sessions that have it, first of its
 * owner's. When that one drops it or ends, the charge goes to another one that still has it, and
 * back to the quota when there is none. The sum of leases does not change by that, so it always
 * fits the quota.
 */
#include "xen-pvgpu-back/daemon/workers/workers.h"

#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"

#define REFUSED       1u /* CUDA_ERROR_INVALID_VALUE */
#define TOO_MANY      2u /* CUDA_ERROR_OUT_OF_MEMORY */
#define WISHES_MOST   64u
#define HOLDINGS_MOST 16384u /* of one session */
#define ANSWER_S      10.    /* for the owner's answer */
/* Answers that an owner still has to give, to importers that were refused meanwhile, too: as many
 * as 64 sessions wish for at once, and twice that where some were asked for by a former pvgpud. */
#define OWES_FORMER (64u * WISHES_MOST)
#define OWES_MOST   (2u * OWES_FORMER)

/* An import that the owner is asked for. */
struct wish {
	LIST_ENTRY(wish) link;
	uint32_t id, from_id; /* pvgpud's number; the importer's */
	struct worker *from, *owner;
	ev_timer limit;
};

/* Memory or an event that sessions share. */
struct export
{
	LIST_ENTRY(export) link; /* of the vGPU */
	struct vgpu *vgpu;
	uint64_t number;
	uint64_t bytes;         /* 0: an event */
	struct worker *charged; /* that has it in its lease; NULL: no one */
	LIST_HEAD(, holding) holders;
};

/* A session that has it. */
struct holding {
	LIST_ENTRY(holding) of_worker, of_export;
	struct export *e;
	struct worker *w;
	uint32_t n; /* times that it was imported */
};

static int compare(const void *a, const void *b)
{
	const struct export *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

/* In a tree: there may be a million, with numbers of the workers' choice. */
static struct export *find(const struct vgpu *v, uint64_t number)
{
	const struct export key = {.number = number};
	struct export **at = tfind(&key, &v->export_tree, compare);

	return at ? *at : NULL;
}

static struct holding *holding_of(const struct export *e, const struct worker *w)
{
	struct holding *h;

	LIST_FOREACH(h, &e->holders, of_export)
	{
		if (h->w == w)
			return h;
	}
	return NULL;
}

static struct export *export_new(struct vgpu *v, uint64_t number, uint64_t bytes)
{
	struct export *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->number = number;
	e->bytes = bytes;
	if (!tsearch(e, &v->export_tree, compare)) {
		free(e);
		return NULL;
	}
	e->vgpu = v;
	LIST_INSERT_HEAD(&v->exports, e, link);
	return e;
}

static void export_unused(struct export *e)
{
	if (!LIST_EMPTY(&e->holders))
		return;
	LIST_REMOVE(e, link);
	tdelete(e, &e->vgpu->export_tree, compare);
	free(e);
}

/* NULL: out of memory, or it has too many. */
static struct holding *hold(struct export *e, struct worker *w)
{
	struct holding *h = holding_of(e, w);

	if (h) {
		h->n++;
		return h;
	}
	h = w->holdings_n < HOLDINGS_MOST ? calloc(1, sizeof(*h)) : NULL;
	if (!h)
		return NULL;
	h->e = e;
	h->w = w;
	h->n = 1;
	LIST_INSERT_HEAD(&w->holdings, h, of_worker);
	LIST_INSERT_HEAD(&e->holders, h, of_export);
	w->holdings_n++;
	if (e->charged == w)
		w->exported += e->bytes;
	else
		w->imported += e->bytes;
	return h;
}

/* A worker's lease grows or shrinks by shared memory; the vGPU's sum stays. The record has the
 * lease with the parked bytes. */
static void lease_moved(struct worker *w, uint64_t leased)
{
	judge_lease(&w->account.judge, w->leased, pvgpu_poll_now());
	w->leased = leased;
	held_set_leased(w->held, leased + w->parking.bytes);
}

/* It has the memory in its lease from now on, which is as much as it has now and those bytes. */
static void charge(struct export *e, struct holding *h)
{
	struct pvgpu_sup m = {
		.kind = PVGPU_SUP_CHARGED, .session = h->w->id, .b = e->number, .c = e->bytes};

	e->charged = h->w;
	h->w->imported -= e->bytes;
	h->w->exported += e->bytes;
	lease_moved(h->w, h->w->leased + e->bytes);
	log_debug("%s: is charged for %" PRIu64 " bytes that it shares", worker_name(h->w),
		  e->bytes);
	supervise_tell(h->w, &m, -1);
}

/* The worker has it no longer. */
static void let_go(struct holding *h)
{
	struct export *e = h->e;
	struct worker *w = h->w;
	struct holding *next;

	LIST_REMOVE(h, of_worker);
	LIST_REMOVE(h, of_export);
	w->holdings_n--;
	free(h);
	next = LIST_FIRST(&e->holders);
	if (e->charged != w) {
		w->imported -= e->bytes;
	} else {
		e->charged = NULL;
		w->exported -= e->bytes;
		if (next) {
			lease_moved(w, w->leased - e->bytes);
			charge(e, next);
		} else {
			lease_given(w, e->bytes);
		}
	}
	export_unused(e);
}

static void answer(struct worker *from, uint32_t id, uint32_t result, uint64_t number,
		   uint64_t bytes, int fd)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_GIVEN,
				    .session = from->id,
				    .id = id,
				    .a = result,
				    .b = number,
				    .c = bytes};

	supervise_tell(from, &m, fd);
}

static void wish_end(struct wish *x)
{
	ev_timer_stop(x->from->d->loop, &x->limit);
	x->from->wishes--;
	LIST_REMOVE(x, link);
	free(x);
}

static void wish_refuse(struct wish *x, uint32_t result)
{
	answer(x->from, x->from_id, result, 0, 0, -1);
	wish_end(x);
}

static void on_limit(struct ev_loop *loop, ev_timer *t, int events)
{
	struct wish *x = t->data;

	log_warning("%s: session %u did not answer what it shares: refused", worker_name(x->from),
		    x->owner->id);
	wish_refuse(x, REFUSED);
}

/* The session that the token names, if the worker may ask it. */
static struct worker *owner_of(const struct worker *from, uint64_t session)
{
	struct worker *w;

	TAILQ_FOREACH(w, &from->d->workers, link)
	{
		if (w->id == session && w != from && w->vgpu == from->vgpu && w->shares &&
		    w->state == CHECK_SERVING && w->control >= 0)
			return w;
	}
	return NULL;
}

void exports_found(struct worker *w)
{
	w->owes = OWES_FORMER;
}

void exports_wanted(struct worker *w, const struct pvgpu_sup *m)
{
	struct pvgpu_sup ask = {.kind = PVGPU_SUP_WANTED, .a = m->a, .b = m->b};
	struct worker *owner = owner_of(w, m->b);
	struct wish *x = NULL;

	if (owner && w->wishes < WISHES_MOST && owner->owes < OWES_MOST)
		x = calloc(1, sizeof(*x));
	if (!x) {
		answer(w, m->id, owner ? TOO_MANY : REFUSED, 0, 0, -1);
		return;
	}
	/* A worker may still answer a former pvgpud, which has counted from another moment. */
	if (!w->d->next_wish)
		w->d->next_wish = (uint32_t)pvgpu_poll_now();
	x->id = ++w->d->next_wish;
	x->from_id = m->id;
	x->from = w;
	x->owner = owner;
	LIST_INSERT_HEAD(&w->d->wishes, x, link);
	w->wishes++;
	owner->owes++;
	ev_timer_init(&x->limit, on_limit, ANSWER_S, 0.);
	x->limit.data = x;
	ev_now_update(w->d->loop);
	ev_timer_start(w->d->loop, &x->limit);
	ask.id = x->id;
	ask.session = owner->id;
	memcpy(ask.token, m->token, sizeof(ask.token));
	supervise_tell(owner, &ask, -1);
}

/* An owner shares only memory of its own lease. */
static struct export *shared_of(struct worker *owner, const struct pvgpu_sup *m)
{
	struct export *e = find(owner->vgpu, m->b);

	if (m->b >> 32 != owner->id || (e && e->bytes != m->c) ||
	    (!e && (m->c > owner->leased || owner->exported > owner->leased - m->c))) {
		faults_kill(owner, FAULT_PROTOCOL,
			    "shares %" PRIu64 " bytes as number %#" PRIx64 ", with %" PRIu64
			    " of its lease of %" PRIu64 " shared",
			    m->c, m->b, owner->exported, owner->leased);
		return NULL;
	}
	if (e && holding_of(e, owner))
		return e;
	if (!e)
		e = export_new(owner->vgpu, m->b, m->c);
	if (!e)
		return NULL;
	if (!e->charged)
		e->charged = owner;
	if (hold(e, owner))
		return e;
	export_unused(e);
	return NULL;
}

/*
 * A worker may pass on what stands for memory or events, but nothing that pvgpud counts as its own:
 * grants and event channels count until their session's worker is dead, so no other worker may have
 * them then. A socket could have their files in its queue. Events are a sealed file in memory;
 * in which kind of file the driver exports memory is its own matter.
 */
static bool may_pass(const struct worker *w, const struct pvgpu_sup *m, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || S_ISSOCK(st.st_mode) || xenctl_is_device(w->d, fd))
		return false;
	return m->c || fcntl(fd, F_GET_SEALS) >= 0;
}

void exports_shared(struct worker *w, const struct pvgpu_sup *m, int fd)
{
	struct export *e;
	struct wish *x;

	if (!w->owes) {
		faults_kill(w, FAULT_PROTOCOL,
			    "answers about number %#" PRIx64
			    ", for which no other worker has asked",
			    m->b);
		return;
	}
	w->owes--;
	LIST_FOREACH(x, &w->d->wishes, link)
	{
		if (x->id == m->id && x->owner == w)
			break;
	}
	/* It was refused, or its importer has ended; the owner counts the memory as shared. */
	if (m->a) {
		if (x)
			wish_refuse(x, (uint32_t)m->a);
		return;
	}
	if (!may_pass(w, m, fd)) {
		faults_kill(w, FAULT_PROTOCOL, "shares a file of another kind as number %#" PRIx64,
			    m->b);
		return;
	}
	e = shared_of(w, m);
	if (!x)
		return;
	if (!e || !hold(e, x->from)) {
		wish_refuse(x, e ? TOO_MANY : REFUSED);
		return;
	}
	answer(x->from, x->from_id, 0, e->number, e->bytes, fd);
	wish_end(x);
}

void exports_dropped(struct worker *w, const struct pvgpu_sup *m)
{
	struct export *e = find(w->vgpu, m->b);
	struct holding *h = e ? holding_of(e, w) : NULL;

	if (!h) {
		faults_kill(w, FAULT_PROTOCOL, "drops number %#" PRIx64 ", which it does not have",
			    m->b);
		return;
	}
	if (!--h->n)
		let_go(h);
}

/* Of one whose owner has ended while there was no pvgpud. */
static void find_charged(struct export *e)
{
	struct holding *h = LIST_FIRST(&e->holders);
	struct worker *w;

	if (e->charged || !h)
		return;
	TAILQ_FOREACH(w, &h->w->d->workers, link)
	{
		if (w->id == e->number >> 32 && w->vgpu == h->w->vgpu)
			return; /* it will say so, or is found dead */
	}
	/* The owner's lease fitted the quota, so these bytes do, unless they are made up. */
	w = h->w;
	if (w->vgpu->ledger.quota && e->bytes > lease_free(w->vgpu)) {
		faults_kill(w, FAULT_PROTOCOL,
			    "claims to have %" PRIu64 " shared bytes where %" PRIu64 " are free",
			    e->bytes, lease_free(w->vgpu));
		return;
	}
	ledger_adopt(&w->vgpu->ledger, &(uint64_t){0}, e->bytes);
	charge(e, h);
}

/* Of one whose owner has ended before it could tell of it: its lease is not taken back yet, and has
 * these bytes. */
static void inherit(struct export *e, struct worker *owner)
{
	struct holding *h = LIST_FIRST(&e->holders);

	if (!h || e->charged || e->number >> 32 != owner->id || e->bytes > owner->leased)
		return;
	lease_moved(owner, owner->leased - e->bytes);
	charge(e, h);
}

void exports_held(struct worker *w, const struct pvgpu_sup *m)
{
	struct export *e;
	bool mine;

	if (!w->adopted) {
		faults_kill(w, FAULT_PROTOCOL,
			    "claims to have shared memory though no new pvgpud asks");
		return;
	}
	e = find(w->vgpu, m->b);
	if (!e)
		e = export_new(w->vgpu, m->b, m->c);
	mine = e && m->a && !e->charged;
	if (!e || e->bytes != m->c || (mine && m->c > w->leased - w->exported)) {
		faults_kill(w, FAULT_PROTOCOL,
			    "claims to share %" PRIu64 " bytes as number %#" PRIx64
			    ", of a lease of %" PRIu64,
			    m->c, m->b, w->leased);
		if (e)
			export_unused(e);
		return;
	}
	if (mine)
		e->charged = w;
	if (!hold(e, w)) {
		if (mine)
			e->charged = NULL;
		export_unused(e);
		return;
	}
	find_charged(e);
}

/* Those that have an event hear that it will not be recorded by this one. */
static void tell_left(const struct export *e, const struct worker *gone)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_LEFT, .a = gone->id, .b = e->number};
	struct holding *h;

	LIST_FOREACH(h, &e->holders, of_export)
	{
		if (h->w != gone)
			supervise_tell(h->w, &m, -1);
	}
}

void exports_worker_gone(struct worker *w)
{
	struct holding *h;
	struct export *e;
	struct wish *x, *next;

	for (x = LIST_FIRST(&w->d->wishes); x; x = next) {
		next = LIST_NEXT(x, link);
		if (x->from == w)
			wish_end(x);
		else if (x->owner == w)
			wish_refuse(x, REFUSED);
	}
	while ((h = LIST_FIRST(&w->holdings))) {
		if (!h->e->bytes)
			tell_left(h->e, w);
		let_go(h);
	}
	LIST_FOREACH(e, &w->vgpu->exports, link)
	{
		inherit(e, w);
		find_charged(e);
	}
}
