/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/guard/canary.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "ring/poll.h"
#include "xen-pvgpu-back/daemon/core/above.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/account.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/guard/watchdog.h"

#define DRAINED    "drained by an operator"
#define EXIT_MS    2000u  /* from a worker's answer to its exit */
#define XID_MS     60000u /* an Xid explains the errors of sessions that end within this time */
#define MS         UINT64_C(1000000)
#define STEP_MAX   0.25     /* seconds between polls of its time */
#define WATCHED_MS 3600000u /* an Xid of the GPU makes it degraded for so long */
#define ROUNDS     3u       /* one may have begun before the event, and one before its report */

static void changed(struct pool *p)
{
	faults_save(p->d);
	pool_evacuate(p);
	xenbus_host_changed(p->d);
	/* vGPUs that were refused because of it are retried. */
	xenbus_memory_changed(p->d);
}

static void set_timer(struct canary *c, double s)
{
	ev_timer_stop(c->p->d->loop, &c->timer);
	ev_timer_set(&c->timer, s, 0.);
	ev_timer_start(c->p->d->loop, &c->timer);
}

static void want(struct canary *c)
{
	struct daemon *d = c->p->d;

	if (d->stopping)
		return;
	c->wanted = true;
	set_timer(c, d->cfg.start_ms / 1e3);
	open_serve(d);
}

/* The end of a run: for who asked for it, and for reset.c. */
static void tell(struct canary *c, const char *why, uint64_t us)
{
	if (why)
		snprintf(c->result, sizeof(c->result), "wrong: %s", why);
	else
		snprintf(c->result, sizeof(c->result), "right: %" PRIu64 " us", us);
	/* One that had begun before is followed by another. */
	if (c->asked_runs || !c->again)
		c->asked = c->asked_runs = false;
	if (c->answered)
		c->answered(c->p, why);
}

static void set_unsound(struct canary *c, const char *reason)
{
	struct pool *p = c->p;
	const bool news = !c->unhealthy;

	/* An operator's reason, or an Xid's, stays. */
	if (!c->locked)
		snprintf(c->reason, sizeof(c->reason), "canary kernel: %s", reason);
	c->unhealthy = true;
	if (p->d->cfg.canary_every_s && !c->locked)
		set_timer(c, p->d->cfg.canary_every_s);
	else
		ev_timer_stop(p->d->loop, &c->timer);
	if (!news)
		return;
	log_error("pool %s: GPU unhealthy: %s; no new sessions there until a canary "
		  "succeeds or pvgpuctl gpu admit %s",
		  p->cfg.name, c->reason, p->cfg.name);
	open_refuse_pool(p, ENODEV, canary_refuses(p));
	changed(p);
}

static void fail(struct canary *c, const char *reason)
{
	struct pool *p = c->p;
	struct daemon *d = p->d;

	c->wanted = false;
	c->runs++;
	c->failures++;
	faults_blame_settled(p, true);
	log_line(c->unhealthy ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING,
		 "pool %s: canary kernel failed (%u of %u): %s; it was run %s", p->cfg.name,
		 c->failures, d->cfg.canary_tries, reason, c->after);
	if (c->unhealthy || c->failures >= d->cfg.canary_tries)
		set_unsound(c, reason);
	else /* A GPU may need a moment after a process on it was killed. */
		set_timer(c, d->cfg.canary_pause_ms / 1e3);
	tell(c, reason, 0);
}

/* Runs it again if that was requested during the run, which may not cover the later event. */
static void run_again(struct canary *c)
{
	bool again = c->again;

	c->again = false;
	if (again)
		set_timer(c, 0.);
}

/* The failure counts now, not at the worker's death: a process may not die on a GPU that hangs. */
static void give_up(struct canary *c, unsigned int others)
{
	struct worker *w = c->w;

	worker_kill(w, "did not end within %u ms of GPU time, beside %u workers with long work",
		    c->p->d->cfg.canary_limit_ms, others);
	c->w = NULL;
	fail(c, w->reason);
	run_again(c);
}

static void look(struct canary *c)
{
	const struct config *cfg = &c->p->d->cfg;
	const double step = cfg->canary_limit_ms / 20e3;
	const unsigned int others = watchdog_long(c->p);
	uint64_t now = pvgpu_poll_now();

	c->ran_ns += (now - c->looked) / (others + 1);
	c->looked = now;
	if (c->ran_ns >= cfg->canary_limit_ms * MS)
		give_up(c, others);
	else
		set_timer(c, step < STEP_MAX ? step : STEP_MAX);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
	struct canary *c = t->data;

	if (c->w)
		look(c);
	else if (c->wanted)
		fail(c, "no worker became ready to run it");
	else
		want(c);
}

/* It works, and no Xid was seen. A later run gives a verdict of its own. */
static void on_verdict(struct ev_loop *loop, ev_timer *t, int events)
{
	struct canary *c = t->data;

	if (!c->w && !c->wanted && !c->again)
		faults_blame_settled(c->p, false);
}

static void on_spaced(struct ev_loop *loop, ev_timer *t, int events);

void canary_init(struct pool *p)
{
	struct canary *c = &p->canary;

	memset(c, 0, sizeof(*c));
	c->p = p;
	ev_timer_init(&c->timer, on_timer, 0., 0.);
	ev_timer_init(&c->verdict, on_verdict, 0., 0.);
	ev_timer_init(&c->spaced, on_spaced, 0., 0.);
	c->timer.data = c->verdict.data = c->spaced.data = c;
}

void canary_stop(struct pool *p)
{
	ev_timer_stop(p->d->loop, &p->canary.timer);
	ev_timer_stop(p->d->loop, &p->canary.verdict);
	ev_timer_stop(p->d->loop, &p->canary.spaced);
	p->canary.spaced_again = false;
	p->canary.wanted = false;
}

/* c->after says why. */
static void ask(struct pool *p)
{
	struct canary *c = &p->canary;

	if (c->w)
		c->again = true;
	else if (!c->wanted && !p->d->stopping)
		set_timer(c, 0.); /* not at once: the caller may be changing the lists of workers */
}

void canary_want(struct pool *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->canary.after, sizeof(p->canary.after), fmt, ap);
	va_end(ap);
	ask(p);
}

static void ask_spaced(struct canary *c)
{
	ev_timer_set(&c->spaced, CANARY_SPACE_MS / 1e3, 0.);
	ev_timer_start(c->p->d->loop, &c->spaced);
	ask(c->p);
}

void canary_want_spaced(struct pool *p, const char *fmt, ...)
{
	struct canary *c = &p->canary;
	va_list ap;

	if (ev_is_active(&c->spaced)) {
		c->spaced_again = true;
		return;
	}
	va_start(ap, fmt);
	vsnprintf(c->after, sizeof(c->after), fmt, ap);
	va_end(ap);
	ask_spaced(c);
}

static void on_spaced(struct ev_loop *loop, ev_timer *t, int events)
{
	struct canary *c = t->data;

	if (!c->spaced_again)
		return;
	c->spaced_again = false;
	snprintf(c->after, sizeof(c->after), "after more Xids within %u s", CANARY_SPACE_MS / 1000);
	ask_spaced(c);
}

void canary_ask(struct pool *p)
{
	p->canary.asked = true;
	canary_want(p, "for an operator");
}

void canary_result(const struct pool *p, char *out, size_t cap)
{
	snprintf(out, cap, "%s", p->canary.asked ? "running" : p->canary.result);
}

void canary_hold(struct pool *p)
{
	struct canary *c = &p->canary;

	canary_stop(p);
	c->again = c->asked = c->asked_runs = false;
	c->failures = 0;
	c->w = NULL;
}

bool canary_waits(const struct pool *p)
{
	return p->canary.wanted;
}

void canary_serve(struct pool *p)
{
	struct canary *c = &p->canary;
	const struct config *cfg = &p->d->cfg;
	struct worker *w = c->wanted ? spares_take(p) : NULL;

	if (!w)
		return;
	c->wanted = c->again = false;
	c->asked_runs = c->asked;
	c->w = w;
	c->looked = pvgpu_poll_now();
	c->ran_ns = 0;
	w->canary = true;
	w->state = CHECK_CANARY;
	worker_deadline(w, 0, NULL);
	set_timer(c, 0.);
	/* If the message cannot be sent the worker is killed, and canary_gone is called. The time
	 * limits the run when pvgpud is gone: the most that sharing with all sessions can take. */
	supervise_say(w, PVGPU_SUP_CANARY, 0,
		      (uint64_t)cfg->canary_limit_ms * (cfg->max_sessions + 1));
}

/* Blame of the GPU was wrong if no Xid comes in the next rounds of pvgpu-health. Without that
 * process, or when it does not answer, a time must do. */
static void wait_for_xids(struct canary *c)
{
	struct daemon *d = c->p->d;
	const bool heard = !strcmp(health_state(d), "on");

	c->rounds = heard ? ROUNDS : 0;
	ev_timer_stop(d->loop, &c->verdict);
	ev_timer_set(&c->verdict, (heard ? d->cfg.health_silent_ms : 0) / 1e3, 0.);
	ev_timer_start(d->loop, &c->verdict);
}

void canary_readmit(struct pool *p)
{
	struct canary *c = &p->canary;

	c->unhealthy = c->locked = false;
	c->readmitted++;
	c->failures = 0;
	c->reason[0] = '\0';
	log_warning("pool %s: GPU healthy again: takes sessions", p->cfg.name);
	changed(p);
}

static void succeed(struct canary *c, uint64_t us)
{
	struct pool *p = c->p;
	bool healed = c->unhealthy && !c->locked;

	c->runs++;
	c->failures = 0;
	log_info("pool %s: canary kernel succeeded in %" PRIu64 " us; it was run %s", p->cfg.name,
		 us, c->after);
	wait_for_xids(c);
	if (healed)
		canary_readmit(p);
	tell(c, NULL, us);
}

/* Tenants may hold all of the memory. The GPU is not at fault then, and has answered. */
static void no_memory(struct canary *c)
{
	struct daemon *d = c->p->d;

	log_info("pool %s: no memory for the canary kernel: tried again in %u s; it is to be run "
		 "%s",
		 c->p->cfg.name, d->cfg.canary_every_s, c->after);
	if (d->cfg.canary_every_s && !c->locked)
		set_timer(c, d->cfg.canary_every_s);
	tell(c, "no memory for it", 0);
}

void canary_answered(struct worker *w, const struct pvgpu_sup *m)
{
	struct canary *c = &w->pool->canary;
	char reason[CANARY_WHY];

	w->state = CHECK_ENDED;
	w->end = PVGPU_END_GUEST_GONE;
	snprintf(w->reason, sizeof(w->reason), "canary done");
	worker_deadline(w, EXIT_MS, "did not exit after its canary");
	if (c->w != w)
		return;
	c->w = NULL;
	ev_timer_stop(w->d->loop, &c->timer);
	snprintf(reason, sizeof(reason), "%s", m->reason[0] ? m->reason : "no reason given");
	if (m->a == PVGPU_SUP_NO_MEMORY)
		no_memory(c);
	else if (m->a)
		fail(c, reason);
	else
		succeed(c, m->b);
	run_again(c);
}

void canary_gone(struct worker *w)
{
	struct canary *c = &w->pool->canary;

	if (c->w != w)
		return;
	c->w = NULL;
	ev_timer_stop(w->d->loop, &c->timer);
	if (w->d->stopping)
		return;
	fail(c, w->reason);
	run_again(c);
}

void canary_no_worker(struct pool *p, const char *reason)
{
	if (p->canary.wanted)
		fail(&p->canary, reason);
}

void canary_lock(struct pool *p, const char *fmt, ...)
{
	struct canary *c = &p->canary;
	/* A run that has begun goes on, and its answer is told then. */
	const bool dropped = !c->w && (c->wanted || ev_is_active(&c->timer));
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->reason, sizeof(c->reason), fmt, ap);
	va_end(ap);
	c->unhealthy = c->locked = true;
	c->wanted = false;
	if (!c->w)
		ev_timer_stop(p->d->loop, &c->timer);
	log_error("pool %s: GPU unhealthy: %s; no new sessions there; after the repair: "
		  "pvgpuctl gpu admit %s",
		  p->cfg.name, c->reason, p->cfg.name);
	open_refuse_pool(p, ENODEV, canary_refuses(p));
	changed(p);
	if (dropped && (c->asked || c->answered))
		tell(c, c->reason, 0);
}

void canary_round(struct pool *p)
{
	struct canary *c = &p->canary;

	if (!c->rounds || --c->rounds)
		return;
	ev_timer_stop(p->d->loop, &c->verdict);
	on_verdict(p->d->loop, &c->verdict, 0);
}

void canary_xid(struct pool *p)
{
	p->canary.xid_ms = now_ms();
	faults_blame_settled(p, true);
}

bool canary_suspects(const struct pool *p)
{
	const struct canary *c = &p->canary;

	return c->unhealthy || (c->xid_ms && now_ms() - c->xid_ms < XID_MS);
}

void canary_clear(struct pool *p)
{
	struct canary *c = &p->canary;

	if (!c->unhealthy)
		return;
	c->unhealthy = c->locked = false;
	c->readmitted++;
	c->failures = 0;
	c->reason[0] = '\0';
	log_warning("pool %s: an operator has declared the GPU healthy", p->cfg.name);
	changed(p);
	canary_want(p, "after an operator declared the GPU healthy");
}

void canary_drain(struct pool *p)
{
	canary_lock(p, DRAINED);
}

/* By the reason, which the file of faults keeps for the next pvgpud. */
bool canary_drained(const struct pool *p)
{
	return p->canary.unhealthy && !strncmp(p->canary.reason, DRAINED, strlen(DRAINED));
}

void canary_keep_drained(struct pool *p, const char *why)
{
	if (canary_drained(p) || !p->canary.locked)
		canary_lock(p, DRAINED "; its reset failed: %s", why);
	else
		log_error("pool %s: its reset failed: %s", p->cfg.name, why);
}

const char *canary_refuses(const struct pool *p)
{
	static char why[CANARY_WHY + 32];

	if (!p->canary.unhealthy)
		return NULL;
	snprintf(why, sizeof(why), "the GPU is unhealthy: %s", p->canary.reason);
	return why;
}

enum canary_state canary_state(const struct pool *p)
{
	const struct canary *c = &p->canary;

	if (canary_drained(p))
		return CANARY_DRAINED;
	if (c->unhealthy)
		return c->locked ? CANARY_FAILED : CANARY_UNHEALTHY;
	if (pool_starts_fail(p))
		return CANARY_NO_WORKERS;
	return c->xid_ms && now_ms() - c->xid_ms < WATCHED_MS ? CANARY_DEGRADED : CANARY_OK;
}

bool canary_in_use(const struct pool *p)
{
	return canary_state(p) <= CANARY_DEGRADED;
}

void canary_health(const struct pool *p, char *out, size_t cap)
{
	if (p->canary.unhealthy)
		snprintf(out, cap, "unhealthy: %s", p->canary.reason);
	else if (pool_starts_fail(p))
		snprintf(out, cap, "no worker starts: %s", p->failure);
	else
		snprintf(out, cap, "ok");
}
