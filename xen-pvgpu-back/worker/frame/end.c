/* SPDX-License-Identifier: MIT */
/*
 * The end of a session, from whichever thread finds the reason; and the log.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES 240

void worker_log(struct worker *w, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = (int)sizeof(line) - 2;
	line[n] = '\n';
	/* One write, so that lines of several threads do not mix; a full or broken pipe loses the
	 * line. */
	if (write(PVGPU_SUP_LOG_FD, line, (size_t)n + 1) < 0) {
		/* No pvgpud reads the log. */
	}
}

void worker_end(struct worker *w, int end, const char *fmt, ...)
{
	va_list ap;

	pthread_mutex_lock(&w->end_lock);
	if (!has_ended(w)) {
		va_start(ap, fmt);
		vsnprintf(w->end_reason, sizeof(w->end_reason), fmt, ap);
		va_end(ap);
		w->end = end;
		atomic_store_explicit(&w->ended, true, memory_order_release);
	}
	pthread_mutex_unlock(&w->end_lock);
	worker_kick(w);
}

/* The far end may hang for ever; this process must not. */
static void *watchdog(void *arg)
{
	struct worker *w = arg;
	struct timespec t = {.tv_sec = w->opt.grace_ms / 1000,
			     .tv_nsec = (long)(w->opt.grace_ms % 1000) * 1000000};

	while (nanosleep(&t, &t) < 0)
		;
	worker_log(w, "the far end did not stop within %u ms", w->opt.grace_ms);
	_exit(0);
}

static void start_watchdog(struct worker *w)
{
	pthread_attr_t attr;
	pthread_t t;
	sigset_t all, old;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 128 << 10);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	if (pthread_create(&t, &attr, watchdog, w))
		alarm(w->opt.grace_ms / 1000 + 1); /* its default action ends the process */
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void end_tell(struct worker *w, int end, const char *reason)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_ENDED, .a = (uint64_t)end};
	bool hardware;

	m.b = (uint64_t)gpu_fault(w->gpu, &hardware);
	m.c = hardware;
	control_tell(w, &m, reason);
}

void end_process(struct worker *w)
{
	start_watchdog(w);
	link_say_ended(w, w->end, w->end_reason);
	end_tell(w, w->end, w->end_reason);
	lease_ended(w);
	worker_rouse(w);
	gpu_shutdown(w);
	/* No atexit handlers: libcuda's may hang, and nothing is left for them to do. */
	_exit(0);
}
