/* SPDX-License-Identifier: MIT */
/*
 * The part of libev's interface that pvgpu-attachd uses, built in where libev is missing
 * (XCP-ng): files, timers and signals, on ppoll(2). One loop a process has signals. A callback may
 * start and stop any watcher. Times are in seconds; a timer counts from when it is started.
 */
#ifndef PVGPU_DOM0_EV_H
#define PVGPU_DOM0_EV_H

#include <stdbool.h>

enum { EV_READ = 1, EV_WRITE = 2, EV_TIMER = 0x100, EV_SIGNAL = 0x400 };
enum { EVFLAG_AUTO = 0 };
enum { EVRUN_NOWAIT = 1, EVRUN_ONCE = 2 };
enum { EVBREAK_CANCEL, EVBREAK_ONE, EVBREAK_ALL };

typedef double ev_tstamp;
struct ev_loop;

/* All watchers begin so. */
#define EV_WATCHER(type)                                                                           \
	void *data;                                                                                \
	void (*cb)(struct ev_loop *, struct type *, int);                                          \
	struct ev_watcher *next;                                                                   \
	int active, pending, kind;

typedef struct ev_watcher {
	EV_WATCHER(ev_watcher)
} ev_watcher;

typedef struct ev_io {
	EV_WATCHER(ev_io)
	int fd, events;
} ev_io;

typedef struct ev_timer {
	EV_WATCHER(ev_timer)
	ev_tstamp at, repeat; /* `at` is from now on until the timer is started */
} ev_timer;

typedef struct ev_signal {
	EV_WATCHER(ev_signal)
	int signum;
} ev_signal;

struct ev_loop *ev_loop_new(unsigned int flags);
void ev_loop_destroy(struct ev_loop *loop);
/* True: watchers are active. */
int ev_run(struct ev_loop *loop, int flags);
void ev_break(struct ev_loop *loop, int how);
ev_tstamp ev_now(struct ev_loop *loop);

void ev_io_init(ev_io *w, void (*cb)(struct ev_loop *, ev_io *, int), int fd, int events);
void ev_io_set(ev_io *w, int fd, int events);
void ev_io_start(struct ev_loop *loop, ev_io *w);
void ev_io_stop(struct ev_loop *loop, ev_io *w);

void ev_timer_init(ev_timer *w, void (*cb)(struct ev_loop *, ev_timer *, int), ev_tstamp after,
		   ev_tstamp repeat);
void ev_timer_set(ev_timer *w, ev_tstamp after, ev_tstamp repeat);
void ev_timer_start(struct ev_loop *loop, ev_timer *w);
void ev_timer_stop(struct ev_loop *loop, ev_timer *w);

void ev_signal_init(ev_signal *w, void (*cb)(struct ev_loop *, ev_signal *, int), int signum);
void ev_signal_start(struct ev_loop *loop, ev_signal *w);
void ev_signal_stop(struct ev_loop *loop, ev_signal *w);

#define ev_is_active(w) ((w)->active != 0)

#endif
