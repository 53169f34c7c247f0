/* SPDX-License-Identifier: MIT */
/*
 * The session's own thread: runs host functions in the order in which the worker calls them, and
 * notices the worker's end. While calls are expected and no other thread waits for the worker, this
 * thread does.
 */
#include "link/runtime.h"

#include <signal.h>
#include <stdlib.h>
#include <time.h>

bool pvgpu_callback_expect(struct pvgpu_session *s)
{
	struct pvgpu_callbacks *cb = &s->cb;
	bool ok = true;

	pvgpu_lock(&cb->lock);
	if (cb->tail - cb->head + cb->expected == cb->cap) {
		const uint32_t cap = cb->cap ? cb->cap * 2 : 16;
		struct pvgpu_callback *queue = calloc(cap, sizeof(*queue));

		ok = queue && cap < 1u << 24;
		if (ok) {
			for (uint32_t i = cb->head; i != cb->tail; i++)
				queue[i & (cap - 1)] = cb->queue[i & (cb->cap - 1)];
			free(cb->queue);
			cb->queue = queue;
			cb->cap = cap;
		} else {
			free(queue);
		}
	}
	if (ok)
		pvgpu_store_release(&cb->expected, cb->expected + 1);
	pvgpu_unlock(&cb->lock);
	return ok;
}

bool pvgpu_expect_hosts(struct pvgpu_session *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (!pvgpu_callback_expect(s))
			return false;
	}
	return true;
}

void pvgpu_expected_hosts(struct pvgpu_session *s)
{
	pvgpu_callback_posted(s);
}

/* `expected` was raised before `leading` is read: a leader that leaves later sees it and kicks. */
void pvgpu_callback_posted(struct pvgpu_session *s)
{
	bool led;

	pvgpu_lock(&s->lead_lock);
	led = s->leading;
	pvgpu_unlock(&s->lead_lock);
	if (!led)
		s->link->ops->kick(s->link);
}

bool pvgpu_callback_called(struct pvgpu_session *s, uint64_t id, uint32_t status, bool kick)
{
	struct pvgpu_callbacks *cb = &s->cb;
	bool ok;

	pvgpu_lock(&cb->lock);
	ok = cb->expected > 0;
	if (ok) {
		cb->queue[cb->tail++ & (cb->cap - 1)] = (struct pvgpu_callback){id, status};
		pvgpu_store_release(&cb->expected, cb->expected - 1);
	}
	pvgpu_unlock(&cb->lock);
	if (ok && kick)
		s->link->ops->kick(s->link);
	return ok;
}

bool pvgpu_callback_waits(struct pvgpu_session *s)
{
	bool waits;

	pvgpu_lock(&s->cb.lock);
	waits = s->cb.head != s->cb.tail;
	pvgpu_unlock(&s->cb.lock);
	return waits;
}

static bool next_callback(struct pvgpu_session *s, struct pvgpu_callback *out)
{
	struct pvgpu_callbacks *cb = &s->cb;
	bool some;

	pvgpu_lock(&cb->lock);
	some = cb->head != cb->tail;
	if (some)
		*out = cb->queue[cb->head++ & (cb->cap - 1)];
	pvgpu_unlock(&cb->lock);
	return some;
}

static void run_callback(struct pvgpu_session *s, const struct pvgpu_callback *cb)
{
	struct pvgpu_ring_page *page = s->link->page;

	if (s->ops.callback)
		s->ops.callback(s->ops.arg, cb->id, cb->status);
	/* The worker raises its flag, then looks at this count, then sleeps. */
	pvgpu_store_release(&page->cb_done.v, ++s->cb.done);
	pvgpu_full_barrier();
	if (pvgpu_ring_claim(&page->cmd_sleeping.v))
		s->link->ops->doorbell(s->link);
}

static void *session_thread(void *arg)
{
	struct pvgpu_session *s = arg;

	while (!pvgpu_load_acquire(&s->closing) && !pvgpu_is_dead(s)) {
		struct pvgpu_callback cb;
		bool led;

		if (next_callback(s, &cb)) {
			run_callback(s, &cb);
			continue;
		}
		pvgpu_lock(&s->lead_lock);
		led = s->leading;
		pvgpu_unlock(&s->lead_lock);
		if (!led && pvgpu_load_acquire(&s->cb.expected)) {
			struct pvgpu_waiter w = {.kind = PVGPU_WAIT_CALLBACK};

			pvgpu_wait(s, &w);
			continue;
		}
		if (s->link->ops->wait(s->link, PVGPU_LINK_KICKED) & PVGPU_LINK_HANGUP)
			pvgpu_session_lost(s);
	}
	return NULL;
}

int pvgpu_thread_start(struct pvgpu_session *s)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&s->thread, NULL, session_thread, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		return -err;
	pthread_setname_np(s->thread, "pvgpu");
	s->threaded = true;
	return 0;
}

bool pvgpu_thread_stop(struct pvgpu_session *s)
{
	struct timespec until;

	if (!s->threaded)
		return true;
	pvgpu_store_release(&s->closing, true);
	s->link->ops->kick(s->link);
	pvgpu_wake_followers(s);
	if (pthread_equal(pthread_self(), s->thread))
		return false; /* a host function ends the process */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	if (pthread_timedjoin_np(s->thread, NULL, &until)) {
		pthread_detach(s->thread);
		return false;
	}
	s->threaded = false;
	return true;
}
