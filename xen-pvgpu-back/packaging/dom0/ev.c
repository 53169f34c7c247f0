/* SPDX-License-Identifier: MIT */
#include "include/ev.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LONGEST 3600. /* seconds of one wait; an hour later the loop looks again */

struct ev_loop {
	struct ev_watcher *all; /* active ones */
	struct pollfd *polled;
	size_t room;
	ev_tstamp now;
	int ending;       /* EVBREAK_* */
	sigset_t caught;  /* blocked but while the loop waits */
	sigset_t outside; /* blocked before */
};

static volatile sig_atomic_t came[NSIG];

static void on_signal(int number)
{
	came[number] = 1;
}

static ev_tstamp clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

struct ev_loop *ev_loop_new(unsigned int flags)
{
	struct ev_loop *loop = calloc(1, sizeof(*loop));

	if (!loop)
		return NULL;
	sigemptyset(&loop->caught);
	sigprocmask(SIG_BLOCK, NULL, &loop->outside);
	loop->now = clock_now();
	return loop;
}

void ev_loop_destroy(struct ev_loop *loop)
{
	free(loop->polled);
	free(loop);
}

ev_tstamp ev_now(struct ev_loop *loop)
{
	return loop->now;
}

void ev_break(struct ev_loop *loop, int how)
{
	loop->ending = how;
}

static void start(struct ev_loop *loop, void *watcher, int kind)
{
	struct ev_watcher *w = watcher;

	w->active = 1;
	w->pending = 0;
	w->kind = kind;
	w->next = loop->all;
	loop->all = w;
}

static void stop(struct ev_loop *loop, void *watcher)
{
	struct ev_watcher **at = &loop->all, *w = watcher;

	while (*at && *at != w)
		at = &(*at)->next;
	if (*at)
		*at = w->next;
	w->active = w->pending = 0;
}

void ev_io_init(ev_io *w, void (*cb)(struct ev_loop *, ev_io *, int), int fd, int events)
{
	memset(w, 0, sizeof(*w));
	w->cb = cb;
	ev_io_set(w, fd, events);
}

void ev_io_set(ev_io *w, int fd, int events)
{
	w->fd = fd;
	w->events = events;
}

void ev_io_start(struct ev_loop *loop, ev_io *w)
{
	if (!w->active)
		start(loop, w, EV_READ | EV_WRITE);
}

void ev_io_stop(struct ev_loop *loop, ev_io *w)
{
	if (w->active)
		stop(loop, w);
}

void ev_timer_init(ev_timer *w, void (*cb)(struct ev_loop *, ev_timer *, int), ev_tstamp after,
		   ev_tstamp repeat)
{
	memset(w, 0, sizeof(*w));
	w->cb = cb;
	ev_timer_set(w, after, repeat);
}

void ev_timer_set(ev_timer *w, ev_tstamp after, ev_tstamp repeat)
{
	w->at = after;
	w->repeat = repeat;
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
	if (w->active)
		return;
	w->at += clock_now();
	start(loop, w, EV_TIMER);
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
	if (!w->active)
		return;
	stop(loop, w);
	w->at -= clock_now();
}

void ev_signal_init(ev_signal *w, void (*cb)(struct ev_loop *, ev_signal *, int), int signum)
{
	memset(w, 0, sizeof(*w));
	w->cb = cb;
	w->signum = signum;
}

void ev_signal_start(struct ev_loop *loop, ev_signal *w)
{
	struct sigaction act;

	if (w->active)
		return;
	memset(&act, 0, sizeof(act));
	act.sa_handler = on_signal;
	sigfillset(&act.sa_mask);
	sigaddset(&loop->caught, w->signum);
	sigprocmask(SIG_BLOCK, &loop->caught, NULL);
	sigaction(w->signum, &act, NULL);
	start(loop, w, EV_SIGNAL);
}

void ev_signal_stop(struct ev_loop *loop, ev_signal *w)
{
	sigset_t one;

	if (!w->active)
		return;
	stop(loop, w);
	signal(w->signum, SIG_DFL);
	came[w->signum] = 0;
	sigdelset(&loop->caught, w->signum);
	sigemptyset(&one);
	sigaddset(&one, w->signum);
	if (!sigismember(&loop->outside, w->signum))
		sigprocmask(SIG_UNBLOCK, &one, NULL);
}

/* Files in the order of the list; -1: no memory. */
static int gather(struct ev_loop *loop, ev_tstamp *until)
{
	struct ev_watcher *w;
	size_t n = 0;

	*until = loop->now + LONGEST;
	for (w = loop->all; w; w = w->next) {
		if (w->kind == EV_TIMER)
			*until = fmin(*until, ((ev_timer *)(void *)w)->at);
		n += w->kind == (EV_READ | EV_WRITE);
	}
	if (n > loop->room) {
		struct pollfd *more = realloc(loop->polled, n * sizeof(*more));

		if (!more)
			return -1;
		loop->polled = more;
		loop->room = n;
	}
	n = 0;
	for (w = loop->all; w; w = w->next) {
		const ev_io *io = (const ev_io *)(const void *)w;

		if (w->kind != (EV_READ | EV_WRITE))
			continue;
		loop->polled[n].fd = io->fd;
		loop->polled[n].events = (short)((io->events & EV_READ ? POLLIN : 0) |
						 (io->events & EV_WRITE ? POLLOUT : 0));
		loop->polled[n++].revents = 0;
	}
	return (int)n;
}

static void wait_for(struct ev_loop *loop, int n, ev_tstamp until)
{
	const ev_tstamp left = fmax(until - clock_now(), 0.);
	sigset_t open = loop->outside;
	struct timespec t;
	int s;

	for (s = 1; s < NSIG; s++)
		if (sigismember(&loop->caught, s) == 1)
			sigdelset(&open, s);
	t.tv_sec = (time_t)left;
	t.tv_nsec = (long)((left - (double)t.tv_sec) * 1e9);
	if (ppoll(loop->polled, (nfds_t)n, &t, &open) >= 0)
		return;
	for (s = 0; s < n; s++)
		loop->polled[s].revents = 0;
}

static int file_events(const ev_io *io, const struct pollfd *p)
{
	/* An error is what a read or write will say. */
	const bool bad = p->revents & (POLLERR | POLLHUP | POLLNVAL);

	return ((p->revents & POLLIN) || bad ? io->events & EV_READ : 0) |
	       ((p->revents & POLLOUT) || bad ? io->events & EV_WRITE : 0);
}

static void expire(struct ev_loop *loop, ev_timer *t)
{
	t->pending = EV_TIMER;
	if (t->repeat > 0)
		t->at = fmax(t->at + t->repeat, loop->now);
}

/* What is to be called; a timer that does not repeat is stopped when it is. */
static void mark(struct ev_loop *loop)
{
	const struct pollfd *p = loop->polled;
	struct ev_watcher *w;

	loop->now = clock_now();
	for (w = loop->all; w; w = w->next) {
		if (w->kind == EV_TIMER) {
			if (((ev_timer *)(void *)w)->at <= loop->now)
				expire(loop, (ev_timer *)(void *)w);
		} else if (w->kind == EV_SIGNAL) {
			w->pending = came[((ev_signal *)(void *)w)->signum] ? EV_SIGNAL : 0;
		} else {
			w->pending = file_events((const ev_io *)(const void *)w, p++);
		}
	}
	for (w = loop->all; w; w = w->next)
		if (w->kind == EV_SIGNAL)
			came[((ev_signal *)(void *)w)->signum] = 0;
}

static void call_all(struct ev_loop *loop)
{
	struct ev_watcher *w = loop->all;

	/* From the start after each call: it may have changed the list. */
	while (w) {
		const int events = w->pending;

		if (!events) {
			w = w->next;
			continue;
		}
		w->pending = 0;
		if (w->kind == EV_TIMER && ((ev_timer *)(void *)w)->repeat <= 0)
			ev_timer_stop(loop, (ev_timer *)(void *)w);
		w->cb(loop, w, events);
		w = loop->all;
	}
}

int ev_run(struct ev_loop *loop, int flags)
{
	loop->ending = EVBREAK_CANCEL;
	while (loop->all && loop->ending == EVBREAK_CANCEL) {
		ev_tstamp until;
		int n;

		loop->now = clock_now();
		n = gather(loop, &until);
		if (n < 0)
			return -1;
		wait_for(loop, n, flags & EVRUN_NOWAIT ? loop->now : until);
		mark(loop);
		call_all(loop);
		if (flags & (EVRUN_NOWAIT | EVRUN_ONCE))
			break;
	}
	return loop->all != NULL;
}
