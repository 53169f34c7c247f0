/* SPDX-License-Identifier: MIT */
/*
 * The decoding thread: one record after the other, copied, checked, handed to the GPU side; it
 * never waits for anything but new work. It sleeps in one epoll, which wakes it for the guest's
 * doorbell, the session socket and the guest's pidfd (of a local session), whose end is the
 * session's, pvgpud's socket, and the kick of other threads.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define BATCH   64u        /* records between looks at anything else */
#define STEPS   4u         /* batches between looks at the clock */
#define LOOK_NS 2000000ull /* look at the sockets this often while busy */
#define QUEUED_HOLD                                                                                \
	(256u << 10) /* fetch nothing while so many bytes of replies wait for the guest */

static void wake(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0) {
		/* The count is at its maximum: it is readable, which is what matters. */
	}
}

void worker_kick(struct worker *w)
{
	if (!atomic_exchange(&w->kicked, true) && atomic_load(&w->sleeping))
		wake(w->kick);
}

void worker_deferred(struct worker *w, void *ctx, int result)
{
	gpu_deferred(w, ctx, result);
}

static void end_malformed(struct worker *w, const struct pvgpu_cmd_hdr *h, const char *what)
{
	worker_end(w, PVGPU_END_PROTOCOL, "%s: op %u, %u bytes, flags %#x, seq %u", what, h->op,
		   h->len, h->flags, h->seq);
}

/* One record in buf. False: the session has ended. */
static bool take_record(struct worker *w, const void *buf, uint32_t len)
{
	const struct pvgpu_cmd_hdr *h = buf;
	const struct pvgpu_cmd_desc *d = pvgpu_cmd_find(h->op);
	int r;

	if (!d) {
		end_malformed(w, h, "unknown command");
		return false;
	}
	if (len < d->min_len || len > d->max_len || h->zero) {
		end_malformed(w, h, d->name);
		return false;
	}
	/* The meaning of all other commands depends on the version that it settles. */
	if ((h->op == PVGPU_OP_SESSION_HELLO) == w->greeted) {
		end_malformed(w, h,
			      w->greeted ? "a second session_hello" : "not a session_hello first");
		return false;
	}
	w->greeted = true;
	r = gpu_submit(w, d, buf, len);
	if (r == PVGPU_FATAL) {
		/* The first reason stands: this one is for a part that gave none. */
		end_malformed(w, h, d->name);
		return false;
	}
	w->full = r == 1;
	return true;
}

/* Up to BATCH records; how many. */
static unsigned int take_batch(struct worker *w)
{
	_Alignas(8) static unsigned char buf[PVGPU_CMD_MAX];
	unsigned int n = 0;

	while (n < BATCH && !w->full &&
	       atomic_load_explicit(&w->send.queued, memory_order_relaxed) < QUEUED_HOLD) {
		int len = pvgpu_ring_fetch(&w->cmd, buf, sizeof(buf));

		if (len == 0)
			break;
		if (len < 0) {
			worker_end(w, PVGPU_END_PROTOCOL,
				   "the command stream holds no record where one must be");
			break;
		}
		if (pvgpu_ring_consume(&w->cmd, (uint32_t)len))
			link_ring_guest(w);
		n++;
		if (!take_record(w, buf, (uint32_t)len))
			break;
		if (has_ended(w) || atomic_load_explicit(&w->kicked, memory_order_relaxed))
			break;
	}
	return n;
}

uint32_t worker_callbacks_done(const struct worker *w)
{
	return pvgpu_load_acquire(&w->page->cb_done.v);
}

static void look_at_callbacks(struct worker *w)
{
	const uint32_t done = worker_callbacks_done(w);

	if (done == w->cb_done)
		return;
	w->cb_done = done;
	callback_done(w, done);
}

static void handle_event(struct worker *w, const struct epoll_event *e)
{
	uint64_t count;

	switch ((enum source)e->data.u32) {
	case FROM_GUEST:
		w->link->rung(w);
		break;
	case FROM_SESSION:
		if (e->events & EPOLLIN)
			arena_message(w);
		else
			worker_end(w, PVGPU_END_GUEST_GONE, "the guest closed the session");
		break;
	case FROM_PIDFD:
		worker_end(w, PVGPU_END_GUEST_GONE, "the guest process ended");
		break;
	case FROM_CONTROL:
		control_read(w);
		break;
	case FROM_ADOPT:
		adopt_accept(w);
		break;
	case FROM_GATE:
		control_rung(w);
		gpu_gate_look(w, true);
		break;
	case FROM_KICK:
		if (read(w->kick, &count, sizeof(count)) < 0) {
			/* Taken already. */
		}
		break;
	}
}

static void handle_events(struct worker *w, const struct epoll_event *ev, int n)
{
	for (int i = 0; i < n && !has_ended(w); i++)
		handle_event(w, &ev[i]);
}

static void look_at_files(struct worker *w)
{
	struct epoll_event ev[8];

	handle_events(w, ev, epoll_wait(w->epoll, ev, 8, 0));
}

static void look_at_drain(struct worker *w)
{
	if (w->drain_ns && pvgpu_poll_now() >= w->drain_ns)
		worker_end(w, PVGPU_END_DRAINED,
			   "drained: the time for the guest to finish is over");
}

/* Work may have completed without an event: poll. */
static void look_at_gate(struct worker *w, uint64_t now)
{
	const int ms = gpu_gate_look_ms(w);

	if (ms < 0 || now - w->gate_ns < (uint64_t)ms * 1000000u)
		return;
	w->gate_ns = now;
	gpu_gate_look(w, false);
}

/* While busy: the sockets every few milliseconds; pvgpud's at once when a thread waits for memory.
 */
static void look_around(struct worker *w)
{
	uint64_t now;

	if (atomic_load_explicit(&w->lease.waiting, memory_order_relaxed))
		control_read(w);
	if (++w->steps < STEPS)
		return;
	w->steps = 0;
	now = pvgpu_poll_now();
	if (now - w->looked_ns < LOOK_NS)
		return;
	w->looked_ns = now;
	look_at_files(w);
	look_at_gate(w, now);
	lease_tell(w);
	look_at_drain(w);
}

/* There is something to do: for pvgpu_poll(). */
static bool ready(void *arg)
{
	struct worker *w = arg;

	return atomic_load_explicit(&w->kicked, memory_order_relaxed) || has_ended(w) ||
	       atomic_load_explicit(&w->woken, memory_order_relaxed) ||
	       pvgpu_load(&w->page->cb_done.v) != w->cb_done || pvgpu_ring_avail(&w->cmd) != 0;
}

static void run_kicked(struct worker *w)
{
	int r;

	if (!atomic_load_explicit(&w->kicked, memory_order_relaxed))
		return;
	atomic_exchange(&w->kicked, false);
	r = gpu_kicked(w);
	if (r == PVGPU_FATAL)
		worker_end(w, PVGPU_END_FAILED, "a parked command could not be carried out");
	w->full = r == 1;
}

/* All that can be done at once; how many records. */
static unsigned int step(struct worker *w)
{
	run_kicked(w);
	send_queued(w);
	look_at_callbacks(w);
	return has_ended(w) ? 0 : take_batch(w);
}

/* ---- sleeping ---- */

static int sleep_limit_ms(struct worker *w)
{
	const int look = gpu_gate_look_ms(w);
	uint64_t now, ms;

	/* A message that found pvgpud's socket full is tried again; room in the socket is no
	 * event of this epoll. */
	if (lease_behind(w))
		return 5;
	if (!w->drain_ns)
		return look;
	now = pvgpu_poll_now();
	ms = now >= w->drain_ns ? 0 : (w->drain_ns - now) / 1000000u + 1;
	return look >= 0 && (uint64_t)look < ms ? look : (int)ms;
}

/* May fetch when woken: then new records must wake us. */
static bool wants_records(struct worker *w)
{
	return !w->full && atomic_load(&w->send.queued) < QUEUED_HOLD;
}

/* Nothing is decoded from here on until there is a doorbell or a kick. False: there is something to
 * do already. */
static bool sleep_begin(struct worker *w, struct pvgpu_poll *polled)
{
	const bool records = wants_records(w);
	bool sleep = true, empty;

	gpu_pause(w);
	if (pvgpu_ring_flush(&w->cmd))
		link_ring_guest(w);
	w->polled = polled;
	w->slept_ns = pvgpu_poll_now();
	/* The flag also asks the guest to ring for cb_done, so it is raised even when no record is
	 * wanted. */
	empty = pvgpu_ring_sleep_begin(&w->cmd);
	if (records)
		sleep = empty;
	if (!send_wait_begin(w))
		sleep = false;
	atomic_store(&w->sleeping, true);
	return sleep && !atomic_load(&w->kicked) && !has_ended(w) &&
	       pvgpu_load(&w->page->cb_done.v) == w->cb_done;
}

static void sleep_end(struct worker *w)
{
	if (!atomic_load(&w->sleeping))
		return;
	atomic_store(&w->sleeping, false);
	pvgpu_ring_sleep_end(&w->cmd);
	send_wait_end(w);
}

/* Would polling have been enough? */
static void learn(struct worker *w, uint64_t now)
{
	if (w->polled)
		pvgpu_poll_slept(w->polled, now - w->slept_ns);
	w->polled = NULL;
}

/* The decoding thread's sleep, in which other threads may decode. */
static void sleep_until_woken(struct worker *w)
{
	struct epoll_event ev[8];
	const int ms = sleep_limit_ms(w);
	int n;

	w->wake_ns = ms < 0 ? UINT64_MAX : pvgpu_poll_now() + (uint64_t)ms * 1000000u;
	pthread_mutex_unlock(&w->decode);
	n = epoll_wait(w->epoll, ev, 8, ms);
	/* Another thread that polls with the lock taken sees it. */
	atomic_store(&w->woken, true);
	pthread_mutex_lock(&w->decode);
	atomic_store(&w->woken, false);
	sleep_end(w);
	handle_events(w, ev, n);
	w->looked_ns = pvgpu_poll_now();
	learn(w, w->looked_ns);
	look_at_gate(w, w->looked_ns);
}

static void sleep_for_work(struct worker *w)
{
	struct pvgpu_poll *p = &w->poll[gpu_is_awaited(w)];

	if (pvgpu_ring_flush(&w->cmd))
		link_ring_guest(w);
	if (wants_records(w) && pvgpu_poll(p, ready, w))
		return;
	if (sleep_begin(w, p))
		sleep_until_woken(w);
	sleep_end(w);
	lease_tell(w);
	look_at_drain(w);
}

/* ---- a moment's decoding by a completion thread ---- */

/* The decoding thread sleeps on: is it to be woken, or to sleep less long? */
static bool must_wake(struct worker *w)
{
	const int ms = sleep_limit_ms(w);

	return ms >= 0 && pvgpu_poll_now() + (uint64_t)ms * 1000000u < w->wake_ns;
}

bool worker_decode_begin(struct worker *w)
{
	if (pthread_mutex_trylock(&w->decode))
		return false;
	if (!atomic_load(&w->sleeping) || has_ended(w)) {
		pthread_mutex_unlock(&w->decode);
		return false;
	}
	if (w->polled == &w->poll[1])
		pvgpu_poll_learn(w->polled, false);
	w->polled = NULL;
	/* Now: a guest that is quick would ring. */
	sleep_end(w);
	return true;
}

void worker_decode(struct worker *w, bool rung)
{
	struct pvgpu_poll *p = NULL;
	unsigned int all = 0, n;

	do {
		n = step(w);
		all += n;
		p = rung ? &w->poll[gpu_is_awaited(w)] : NULL;
	} while (all < BATCH && wants_records(w) && !has_ended(w) && !atomic_load(&w->woken) &&
		 !gpu_wants_thread(w) && (n || (p && pvgpu_poll(p, ready, w))));
	lease_tell(w);
	if (!sleep_begin(w, n ? NULL : p) || must_wake(w))
		wake(w->kick);
	pthread_mutex_unlock(&w->decode);
}

void worker_rouse(struct worker *w)
{
	wake(w->rouse);
}

/*
 * The doorbell rang. The event may be old, of a ring that another thread has answered. A guest that
 * has cleared the flag does not ring again, whatever it rang for: then the flag must go up. One
 * that keeps to no rule has its records looked at as well.
 */
static bool was_rung_for(struct worker *w)
{
	return !pvgpu_load(&w->page->cmd_sleeping.v) || atomic_load(&w->send.queued) || ready(w);
}

static bool decode_begin_rung(struct worker *w)
{
	if (pthread_mutex_trylock(&w->decode)) {
		/* The holder may have looked at the ring for the last time, and only this
		 * thread has heard the doorbell. */
		wake(w->kick);
		return false;
	}
	if (atomic_load(&w->sleeping) && !has_ended(w) && was_rung_for(w)) {
		learn(w, pvgpu_poll_now());
		sleep_end(w);
		return true;
	}
	pthread_mutex_unlock(&w->decode);
	return false;
}

int worker_stand_by(struct worker *w)
{
	struct epoll_event ev[2];
	bool rung = false;
	uint64_t count;
	int n;

	n = epoll_wait(w->standby, ev, 2, -1);
	for (int i = 0; i < n; i++) {
		if (ev[i].data.u32 == FROM_GUEST)
			rung = true;
		else if (read(w->rouse, &count, sizeof(count)) < 0) {
			/* Taken already. */
		}
	}
	if (has_ended(w))
		return -1;
	if (!rung)
		return 0;
	w->link->rung(w);
	return decode_begin_rung(w);
}

void loop_run(struct worker *w)
{
	pvgpu_poll_init(&w->poll[0], PVGPU_POLL_NS);
	w->poll[1] = w->poll[0];
	w->looked_ns = pvgpu_poll_now();
	/* Held to the end: then there is nothing more to decode. */
	pthread_mutex_lock(&w->decode);
	/* pvgpud sends the gate with the session: no work before it. */
	control_read(w);
	while (!has_ended(w)) {
		unsigned int n = step(w);

		if (has_ended(w))
			break;
		if (n == BATCH)
			gpu_pause(w);
		look_around(w);
		if (!n && !has_ended(w) && !atomic_load(&w->kicked))
			sleep_for_work(w);
	}
}
