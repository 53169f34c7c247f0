/* SPDX-License-Identifier: MIT */
/*
 * pvgpud and xenstore: the connection, watches, discovery, start and stop.
 *
 * An event only marks the vGPUs that it touches. So a guest that writes its keys in a storm costs
 * one look for many writes and no queue. Each request to xenstored is a round trip that the loop
 * waits for: a turn looks at one vGPU and writes one's statistics, of each the one that waits
 * longest. Looks that a guest causes have a budget; those at what we wrote ourselves wait for
 * LOOK_MS and cost it nothing. Keys that the toolstack writes are read at once.
 *
 * Watches: on our own backend/pvgpu and data/pvgpu, and on each frontend's state, which also fires
 * when the toolstack removes a dead guest's directory. A domain other than dom0 has 128 watches for
 * all its programs: beyond FRONTS one watch on /local/domain serves all further frontends, and
 * xenstored sends only events that we may read. That watch does not fire when a guest dies; then
 * the toolstack removes the vGPU or sets online to 0.
 */
#include "xen-pvgpu-back/daemon/xen/xenbus.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xenstore.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define ALL_DOMAINS "/local/domain"
#define DEATHS      "@releaseDomain"
#define EVENTS      256u /* events taken before a marked vGPU is read */
#define LOOK_MS     20u  /* between two looks that a frontend, or our own state, causes */
#define PACE_MS     20u  /* between two vGPUs' statistics: a write of them costs 0.3 ms */
#define FRONTS      64u  /* watches on frontends outside dom0 */
#define ALIVE_S     1.   /* between two looks whether the connection stands */

/* Looks that a frontend causes. A connection takes six, at most. */
static const struct budget_rule budget_looks = {
	.burst = 128, .a_second = 16, .pause_ns = 62500000, .over_ns = 30000000000ull};

void xenbus_schedule(struct xenbus *b)
{
	if (!ev_is_active(&b->work))
		ev_timer_start(b->d->loop, &b->work);
}

void xenbus_idle(struct xen_vgpu *x)
{
	x->ending = x->live = false;
	x->dirty = true;
	xenbus_schedule(x->bus);
}

void xenbus_fatal(struct xen_vgpu *x, const char *reason)
{
	snprintf(x->fault, sizeof(x->fault), "%s", reason);
	x->broken = x->dirty = true;
	xenbus_schedule(x->bus);
}

void xenbus_changed(struct xen_vgpu *x)
{
	x->counted = true;
	x->dirty |= x->gone; /* a vGPU that is gone is freed with its last session */
	xenbus_schedule(x->bus);
}

void xenbus_host_changed(struct daemon *d)
{
	if (!d->xen)
		return;
	d->xen->hosted = true;
	xenbus_schedule(d->xen);
}

/* Keys that we write ourselves: their events are ignored. */
static bool own_key(const char *name)
{
	static const char *const keys[] = {"statistics", "last-reason", "features",
					   "protocol-version"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (!strcmp(name, keys[i]))
			return true;
	return false;
}

/* A key of the host's directory that the toolstack writes. */
static bool is_setting(const char *key)
{
	return !strcmp(key, "log-level") || !strcmp(key, "pools") || !strcmp(key, "groups") ||
	       !strcmp(key, "health");
}

static void event(struct xenbus *b, const char *path)
{
	const char *below = xenbus_below(b->dir, path), *name = strrchr(path, '/');
	struct xen_vgpu *x;
	bool known = false, key;

	/* Most events tell of what we have just written. */
	if (below && name && own_key(name + 1))
		return;

	if (!strcmp(path, DEATHS)) {
		b->deaths = true;
		return;
	}
	if (xenbus_below(b->host, path)) {
		b->leveled |= is_setting(xenbus_below(b->host, path));
		b->asked |= !strcmp(xenbus_below(b->host, path), "request");
	}
	TAILQ_FOREACH(x, &b->vgpus, link)
	{
		const char *ours = xenbus_below(x->path, path);

		known |= ours && (below && *below);
		key = ours && !own_key(ours) && strcmp(ours, "state") != 0;
		if (key) {
			x->dirty = x->keyed = true;
			x->retry_ms = 0;
		}
		/* Mostly we wrote it. */
		x->echoed |= ours && !strcmp(ours, "state");
		x->stirred |= xenbus_below(x->front, path) != NULL;
	}
	b->rescan |= below && !known;
}

/* 0, or -errno when xenstore is lost. */
static int take_events(struct xenbus *b)
{
	for (unsigned int i = 0; i < EVENTS; i++) {
		char **e = xs_check_watch(b->xs);

		if (!e)
			return errno == EAGAIN ? 0 : -errno;
		event(b, e[XS_WATCH_PATH]);
		free(e);
	}
	xenbus_schedule(b);
	return 0;
}

static void rescan_guest(struct xenbus *b, uint32_t domid)
{
	char path[XENBUS_PATH + 16], **names;
	unsigned int n, id;
	int end;

	snprintf(path, sizeof(path), "%s/%" PRIu32, b->dir, domid);
	if (xenbus_list(b, path, &names, &n) < 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		end = 0;
		if (sscanf(names[i], "%5u%n", &id, &end) == 1 && !names[i][end] &&
		    id <= PVGPU_DEVID_MAX)
			xenbus_found(b, domid, id);
	}
	free(names);
}

/* Finds new vGPUs; known ones are marked by their own events. */
static void rescan(struct xenbus *b)
{
	unsigned int n, domid;
	char **names;
	int end;

	b->rescan = false;
	if (xenbus_list(b, b->dir, &names, &n) < 0)
		return;
	for (unsigned int i = 0; i < n; i++) {
		end = 0;
		if (sscanf(names[i], "%5u%n", &domid, &end) == 1 && !names[i][end] &&
		    domid <= PVGPU_DOMID_MAX)
			rescan_guest(b, domid);
	}
	free(names);
}

static void deaths(struct xenbus *b)
{
	struct xen_vgpu *x;

	b->deaths = false;
	/* A domain that may not query others notices the death by the frontend's keys, if at all.
	 */
	TAILQ_FOREACH(x, &b->vgpus, link)
	x->dirty = x->doubted = true;
}

/* The shorter of two waits; 0: no wait. */
static unsigned int shorter(unsigned int a, unsigned int b)
{
	return !a || (b && b < a) ? b : a;
}

/* Its frontend has gone on for half a minute. */
static void flooded(struct xen_vgpu *x)
{
	static const char why[] = "frontend: its keys change without end";

	x->looks.over = 0;
	xenbus_fatal(x, why);
	if (x->v)
		faults_breach(x->v, why);
}

/* A marked vGPU: 0 when it is to be looked at now, or ms until then. */
static unsigned int due(struct xen_vgpu *x, uint64_t now)
{
	const uint64_t age = now - x->looked_ms;

	if (x->dirty)
		return now < x->retry_ms ? (unsigned int)(x->retry_ms - now) : 0;
	if (age < LOOK_MS)
		return (unsigned int)(LOOK_MS - age);
	if (!x->stirred || budget_take(&x->looks, &budget_looks, 1, now * 1000000u))
		return 0;
	if (budget_flooded(&x->looks, &budget_looks, true, now * 1000000u))
		flooded(x);
	return budget_looks.pause_ns / 1000000u;
}

/* It may be freed. */
static void look(struct xen_vgpu *x, uint64_t now)
{
	x->looked_ms = now;
	x->dirty |= x->echoed;
	x->stirred = x->echoed = false;
	if (x->doubted && !x->dead && xenbus_domain_gone(x)) {
		x->dead = x->gone = true;
		log_info("domain %" PRIu32 " has ended: its vGPU %" PRIu32 " is removed", x->domid,
			 x->devid);
	}
	x->doubted = false;
	xenbus_look(x);
}

/* Those that were served go to the end of the list. True: there was one. */
static bool look_at_one(struct xenbus *b, unsigned int *wait)
{
	const uint64_t now = now_ms();
	struct xen_vgpu *x;
	unsigned int ms;

	TAILQ_FOREACH(x, &b->vgpus, link)
	{
		if (!x->dirty && !x->stirred && !x->echoed)
			continue;
		ms = due(x, now);
		*wait = shorter(*wait, ms);
		if (ms)
			continue;
		TAILQ_REMOVE(&b->vgpus, x, link);
		TAILQ_INSERT_TAIL(&b->vgpus, x, link);
		look(x, now);
		return true;
	}
	return false;
}

/* Writes the statistics that are the oldest. True: there may be more. */
static bool count_one(struct xenbus *b, unsigned int *wait)
{
	const uint64_t now = now_ms(), age = now - b->counted_ms;
	struct xen_vgpu *x, *oldest = NULL;
	unsigned int ms;

	TAILQ_FOREACH(x, &b->vgpus, link)
	if (x->counted && (!oldest || x->stats_ms < oldest->stats_ms))
		oldest = x;
	if (!oldest)
		return false;
	ms = age < PACE_MS ? (unsigned int)(PACE_MS - age) : xenbus_count(oldest);
	*wait = shorter(*wait, ms);
	if (!ms)
		b->counted_ms = now;
	return !ms;
}

static void work(struct xenbus *b)
{
	unsigned int wait = 0;
	bool more;

	if (b->leveled)
		xenbus_host_level(b);
	if (b->asked)
		xenbus_ask(b);
	if (b->deaths)
		deaths(b);
	more = look_at_one(b, &wait);
	more |= count_one(b, &wait);
	if (b->hosted)
		xenbus_host_write(b);
	if (b->rescan || more)
		xenbus_schedule(b);
	ev_timer_stop(b->d->loop, &b->later);
	if (wait) {
		ev_timer_set(&b->later, wait / 1e3, 0.);
		ev_timer_start(b->d->loop, &b->later);
	}
}

/* xenstored cannot be connected to anew with the old watches. The next pvgpud reads everything and
 * adopts the workers. One that drains only waits for its workers, and needs no xenstore for that.
 */
static void lost(struct xenbus *b, int err)
{
	struct daemon *d = b->d;

	log_error("xenstore is lost (%s): %s", strerror(-err),
		  d->stopping ? "vGPUs keep their states"
			      : "pvgpud ends, and sessions go on for the next one");
	ev_io_stop(d->loop, &b->io);
	ev_timer_stop(d->loop, &b->alive);
	b->stopping = true;
	if (d->stopping)
		return;
	d->failed = d->hand_over = true;
	ev_break(d->loop, EVBREAK_ALL);
}

/* Handles events and the work that they marked. */
static void run(struct xenbus *b)
{
	int err = take_events(b);

	/* The answers of xenstore during the rescan also bring the pending events of new vGPUs:
	 * taken now, they cost no second look. */
	if (!err && b->rescan && !b->stopping) {
		rescan(b);
		err = take_events(b);
	}
	if (err)
		lost(b, err);
	if (!b->stopping)
		work(b);
}

static void on_event(struct ev_loop *loop, ev_io *io, int events)
{
	run(io->data);
}

static void on_work(struct ev_loop *loop, ev_timer *t, int events)
{
	run(t->data);
}

/* Not now: events may have been handled in this turn of the loop already. */
static void on_alive(struct ev_loop *loop, ev_timer *t, int events)
{
	xenbus_schedule(t->data);
}

bool xenbus_present(void)
{
	return access("/dev/xen/xenbus", F_OK) == 0 || access("/proc/xen/xenbus", F_OK) == 0 ||
	       access("/proc/xen/capabilities", F_OK) == 0;
}

static uint32_t own_domid(struct xenbus *b)
{
	unsigned int len = 0;
	char *text = xs_read(b->xs, XBT_NULL, "domid", &len);
	uint32_t domid = 0;

	if (text && pvgpu_frontend_backend_id_parse(text, len, &domid, NULL))
		log_warning("xenstore: domid is '%s', not a number: 0 is assumed", text);
	free(text);
	return domid;
}

/* dom0 may permit it at any time. */
void xenbus_watch_deaths(struct xenbus *b)
{
	if (!b->told)
		b->told = xenbus_watch(b, DEATHS, true);
}

void xenbus_watch_front(struct xen_vgpu *x, bool on)
{
	struct xenbus *b = x->bus;
	char path[XENBUS_PATH + 8];

	snprintf(path, sizeof(path), "%s/state", x->front);
	if (!on) {
		if (x->watched)
			xenbus_watch(b, path, false);
		b->watches -= x->watched;
		x->watched = false;
		return;
	}
	x->watched = (!b->domid || b->watches < FRONTS) && xenbus_watch(b, path, true);
	b->watches += x->watched;
	if (x->watched || b->wide)
		return;
	b->wide = xenbus_watch(b, ALL_DOMAINS, true);
	if (!b->wide)
		log_error("xenstore: no watch on %s: %s; xenstored's quota of watches for this "
			  "domain is too small",
			  path, strerror(errno));
}

static int watch_all(struct xenbus *b)
{
	if (!xenbus_watch(b, b->dir, true) || !xenbus_watch(b, b->host, true))
		return -errno;
	xenbus_watch_deaths(b);
	if (!b->told)
		log_info("xen: no %s for this domain (%s): the end of a guest is noticed when the "
			 "toolstack removes its vGPU or sets online to 0",
			 DEATHS, strerror(errno));
	return 0;
}

static int open_store(struct xenbus *b)
{
	struct pvgpu_ids ids;
	int err;

	b->xs = xs_open(0);
	if (!b->xs)
		return errno ? -errno : -EIO;
	b->domid = own_domid(b);
	ids = (struct pvgpu_ids){.be = b->domid};
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_HOST], &ids, NULL, b->host, sizeof(b->host));
	snprintf(b->dir, sizeof(b->dir), "/local/domain/%" PRIu32 "/backend/pvgpu", b->domid);
	err = watch_all(b);
	if (err)
		xs_close(b->xs);
	else
		b->often = xs_open(0);
	return err;
}

int xenbus_start(struct daemon *d)
{
	bool need = d->cfg.xen == CONFIG_XEN_ON;
	struct xenbus *b;
	int err;

	if (d->cfg.xen == CONFIG_XEN_OFF || (!need && !xenbus_present()))
		return 0;
	err = xenbus_host_fits();
	if (err)
		return err;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	TAILQ_INIT(&b->vgpus);
	b->d = d;
	err = open_store(b);
	if (err) {
		log_line(need ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
			 "xen: cannot open xenstore: %s; xen = off in [daemon] disables Xen",
			 strerror(-err));
		free(b);
		return need ? err : 0;
	}
	d->xen = b;
	ev_io_init(&b->io, on_event, xs_fileno(b->xs), EV_READ);
	ev_timer_init(&b->work, on_work, 0., 0.);
	ev_timer_init(&b->later, on_work, 0., 0.);
	ev_timer_init(&b->alive, on_alive, ALIVE_S, ALIVE_S);
	b->io.data = b->work.data = b->later.data = b->alive.data = b;
	xenbus_host_find(b);
	b->starting = true;
	rescan(b);
	b->leveled = b->deaths = b->hosted = true;
	return 0;
}

void xenbus_run(struct daemon *d)
{
	struct xenbus *b = d->xen;
	struct xen_vgpu *x;

	if (!b)
		return;
	b->starting = false;
	/* A vGPU with adopted workers is live in any state. */
	TAILQ_FOREACH(x, &b->vgpus, link)
	x->live = x->v && x->v->sessions;
	xenbus_ask_start(b);
	ev_io_start(d->loop, &b->io);
	ev_timer_start(d->loop, &b->alive);
	xenbus_schedule(b);
}

void xenbus_stop(struct daemon *d, bool leave)
{
	struct xenbus *b = d->xen;
	struct xen_vgpu *x;

	if (!b)
		return;
	b->stopping = true;
	while ((x = TAILQ_FIRST(&b->vgpus))) {
		if (!leave)
			xenbus_close(x);
		xenctl_leave(x);
		xenbus_free(x);
	}
	xenctl_maps_stop(d);
	xenbus_ask_stop(b, leave);
	if (!leave)
		xenbus_host_remove(b);
	ev_io_stop(d->loop, &b->io);
	ev_timer_stop(d->loop, &b->work);
	ev_timer_stop(d->loop, &b->later);
	if (b->often)
		xs_close(b->often);
	xs_close(b->xs);
	d->xen = NULL;
	free(b->gpus);
	free(b);
}
