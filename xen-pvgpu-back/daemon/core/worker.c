/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/pidfd.h>

#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"

const char *worker_name(const struct worker *w)
{
	static char name[80];

	if (w->vgpu)
		snprintf(name, sizeof(name), "session %u %s", w->id, w->vgpu->cfg.name);
	else
		snprintf(name, sizeof(name), "worker %u", w->id);
	return name;
}

void worker_kill(struct worker *w, const char *fmt, ...)
{
	va_list ap;

	if (w->killed)
		return;
	w->killed = true;
	if (w->end < 0) {
		va_start(ap, fmt);
		vsnprintf(w->reason, sizeof(w->reason), fmt, ap);
		va_end(ap);
		log_line(w->vgpu ? LOG_LEVEL_WARNING : LOG_LEVEL_DEBUG, "%s: killed: %s",
			 worker_name(w), w->reason);
	}
	w->state = CHECK_ENDED;
	if (w->pidfd >= 0)
		pidfd_send_signal(w->pidfd, SIGKILL, NULL, 0);
	cgroup_kill(w);
}

void worker_deadline(struct worker *w, unsigned int ms, const char *why)
{
	ev_timer_stop(w->d->loop, &w->deadline);
	w->why = why;
	w->late = 0;
	if (!why)
		return;
	ev_now_update(w->d->loop); /* the loop may not have turned for long */
	ev_timer_set(&w->deadline, ms / 1e3, 0.);
	ev_timer_start(w->d->loop, &w->deadline);
}
