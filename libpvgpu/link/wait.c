/* SPDX-License-Identifier: MIT */
/* Waiting for the worker: leaders and followers (see runtime.h). */
#include "link/runtime.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A follower's word. */
enum {
	FOLLOWS = 0,
	SLEEPS = 1, /* in the futex: wake it */
	DONE = 2,   /* is served */
	LEADS = 3,  /* was handed the lead */
};

/* Raw calls: these must not be cancellation points, or a cancelled thread would keep the lead. */
static void futex(uint32_t *word, int op, uint32_t val)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, val, NULL, NULL, 0);
}

/* Under lead_lock. The waiter may have returned before the futex is woken: then no thread wakes. */
static void tell(struct pvgpu_waiter *w, uint32_t what)
{
	if (__atomic_exchange_n(&w->word, what, __ATOMIC_ACQ_REL) == SLEEPS)
		futex(&w->word, FUTEX_WAKE, 1);
}

static void follow(struct pvgpu_waiter *w)
{
	uint32_t is = FOLLOWS;

	if (__atomic_compare_exchange_n(&w->word, &is, SLEEPS, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		is = SLEEPS;
	while (is == SLEEPS) {
		futex(&w->word, FUTEX_WAIT, SLEEPS);
		is = pvgpu_load_acquire(&w->word);
	}
}

/* A call ends only when it is done, not when the session dies: the drain may still write to its
 * caller's stack. */
static bool satisfied(struct pvgpu_session *s, const struct pvgpu_waiter *w)
{
	bool yes;

	switch (w->kind) {
	case PVGPU_WAIT_CALL:
		return pvgpu_load_acquire(&w->call->done);
	case PVGPU_WAIT_MARK:
		return pvgpu_load_acquire(&w->mark->done) || pvgpu_is_dead(s);
	case PVGPU_WAIT_CALLBACK:
		return pvgpu_callback_waits(s) || pvgpu_load_acquire(&s->closing) ||
		       pvgpu_is_dead(s) || !pvgpu_load_acquire(&s->cb.expected);
	case PVGPU_WAIT_COUNT:
		return pvgpu_load_acquire(w->count) != w->seen || pvgpu_is_dead(s);
	case PVGPU_WAIT_SPACE:
		break;
	}
	if (pvgpu_is_dead(s))
		return true;
	pvgpu_lock(&s->post_lock);
	yes = pvgpu_ring_has_space(&s->cmd, w->len) != 0;
	pvgpu_unlock(&s->post_lock);
	return yes;
}

void pvgpu_wake_followers(struct pvgpu_session *s)
{
	pvgpu_lock(&s->lead_lock);
	for (struct pvgpu_waiter *w = s->followers; w; w = w->next) {
		const uint32_t is = pvgpu_load(&w->word);

		if ((is == FOLLOWS || is == SLEEPS) && satisfied(s, w))
			tell(w, DONE);
	}
	pvgpu_unlock(&s->lead_lock);
}

/* Polled by the leader: has either of the worker's indices moved, or the session died? */
struct watch {
	const uint32_t *prod, *cons;
	uint32_t prod_seen, cons_seen;
	const int *dead;
};

static bool moved(void *arg)
{
	const struct watch *w = arg;

	return pvgpu_load(w->prod) != w->prod_seen ||
	       (w->cons && pvgpu_load(w->cons) != w->cons_seen) || pvgpu_load(w->dead);
}

/*
 * Ready to sleep? Raises the flags that make the worker ring. A thread that waits for space has
 * raised its flag already, but the worker may have lowered it since and freed too little.
 */
static bool may_sleep(struct pvgpu_session *s)
{
	bool yes = pvgpu_ring_sleep_begin(&s->rep);

	if (yes && pvgpu_load(&s->space_want)) {
		pvgpu_lock(&s->post_lock);
		if (s->space_want)
			yes = pvgpu_ring_wait_begin(&s->cmd, s->space_want);
		pvgpu_unlock(&s->post_lock);
	}
	return yes && !pvgpu_is_dead(s);
}

/* A spinning wait that lasted so long may as well sleep: waking up costs little beside it. */
#define SPIN_NS 10000000u

static _Thread_local enum pvgpu_patience patience __attribute__((tls_model("initial-exec")));

enum pvgpu_patience pvgpu_wait_so(enum pvgpu_patience how)
{
	const enum pvgpu_patience before = patience;

	patience = how;
	return before;
}

static bool spin(struct watch *watch)
{
	const uint64_t end = pvgpu_poll_now() + SPIN_NS;

	do {
		for (unsigned int i = 0; i < 64; i++) {
			if (moved(watch))
				return true;
			pvgpu_relax();
		}
	} while (pvgpu_poll_now() < end);
	return false;
}

/* True: something has moved. With one processor, or where polling is switched off, nobody polls. */
static bool poll_for(struct pvgpu_session *s, struct watch *watch)
{
	if (patience == PVGPU_SPIN && s->poll.max)
		return spin(watch);
	if (patience == PVGPU_SLEEP)
		return moved(watch);
	return pvgpu_poll(&s->poll, moved, watch);
}

/* No record: poll for a while, then sleep. */
static void idle(struct pvgpu_session *s, const struct pvgpu_waiter *w)
{
	unsigned int what = PVGPU_LINK_RUNG, got = 0;
	uint64_t t;

	if (pvgpu_ring_flush(&s->rep))
		s->link->ops->doorbell(s->link);
	if (w->kind == PVGPU_WAIT_CALLBACK) {
		what |= PVGPU_LINK_KICKED; /* no hurry: do not poll */
	} else {
		struct watch watch = {s->rep.peer_word, NULL, s->rep.own, 0, &s->dead};

		if (w->kind == PVGPU_WAIT_SPACE) {
			watch.cons = s->cmd.peer_word;
			watch.cons_seen = pvgpu_load(watch.cons);
			if (satisfied(s, w))
				return;
		}
		if (poll_for(s, &watch))
			return;
	}
	t = pvgpu_poll_now();
	if (may_sleep(s))
		got = s->link->ops->wait(s->link, what);
	pvgpu_ring_sleep_end(&s->rep);
	if (w->kind != PVGPU_WAIT_CALLBACK && patience == PVGPU_ADAPT)
		pvgpu_poll_slept(&s->poll, pvgpu_poll_now() - t);
	if (got & PVGPU_LINK_HANGUP) {
		pvgpu_drain_last(s);
		pvgpu_session_fail(s, NULL);
	}
}

static void lead(struct pvgpu_session *s, const struct pvgpu_waiter *w)
{
	for (;;) {
		struct pvgpu_drained d;

		pvgpu_drain(s, w, &d);
		if (d.err)
			pvgpu_session_fail(s, d.why);
		if (pvgpu_is_dead(s)) {
			pvgpu_sweep(s);
			pvgpu_wake_followers(s);
			return;
		}
		if (satisfied(s, w))
			return; /* leave() wakes the other waiters that the drain has served */
		if (d.others || pvgpu_load(&s->space_want))
			pvgpu_wake_followers(s);
		idle(s, w);
	}
}

/*
 * Wake all waiters that the drain has served and hand the lead to one that still waits. Without
 * one, the session's thread must listen if callbacks are expected.
 */
static void leave(struct pvgpu_session *s, bool kick)
{
	bool heir = false;

	if (pvgpu_ring_flush(&s->rep))
		s->link->ops->doorbell(s->link);
	pvgpu_lock(&s->lead_lock);
	for (struct pvgpu_waiter *w = s->followers; w; w = w->next) {
		if (pvgpu_load(&w->word) == DONE)
			continue;
		if (satisfied(s, w)) {
			tell(w, DONE);
		} else if (!heir) {
			heir = true;
			tell(w, LEADS);
		}
	}
	s->leading = heir;
	pvgpu_unlock(&s->lead_lock);
	if (!heir && kick && pvgpu_load_acquire(&s->cb.expected))
		s->link->ops->kick(s->link);
}

static void link_follower(struct pvgpu_session *s, struct pvgpu_waiter *w)
{
	w->word = FOLLOWS;
	w->prev = NULL;
	w->next = s->followers;
	if (w->next)
		w->next->prev = w;
	s->followers = w;
}

static void unlink_follower(struct pvgpu_session *s, struct pvgpu_waiter *w)
{
	if (w->next)
		w->next->prev = w->prev;
	if (w->prev)
		w->prev->next = w->next;
	else
		s->followers = w->next;
}

void pvgpu_wait(struct pvgpu_session *s, struct pvgpu_waiter *w)
{
	uint32_t is = LEADS;

	pvgpu_lock(&s->lead_lock);
	if (s->leading) {
		/* Under the lock: a leader that served w before now did not see it in the list. */
		if (satisfied(s, w)) {
			pvgpu_unlock(&s->lead_lock);
			return;
		}
		link_follower(s, w);
		pvgpu_unlock(&s->lead_lock);
		follow(w);
		pvgpu_lock(&s->lead_lock);
		unlink_follower(s, w);
		is = pvgpu_load_acquire(&w->word);
	}
	if (is == LEADS)
		s->leading = true;
	pvgpu_unlock(&s->lead_lock);
	if (is == LEADS) {
		lead(s, w);
		leave(s, w->kind != PVGPU_WAIT_CALLBACK);
	}
}

bool pvgpu_try_drain(struct pvgpu_session *s, bool last)
{
	struct pvgpu_drained d;
	bool mine;

	pvgpu_lock(&s->lead_lock);
	mine = !s->leading;
	s->leading = true;
	pvgpu_unlock(&s->lead_lock);
	if (!mine)
		return false;
	if (last) {
		pvgpu_drain_last(s);
	} else {
		pvgpu_drain(s, NULL, &d);
		if (d.err)
			pvgpu_session_fail(s, d.why);
	}
	leave(s, true);
	return true;
}
