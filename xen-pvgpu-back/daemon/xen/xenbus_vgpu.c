/* SPDX-License-Identifier: MIT */
/*
 * Moves one vGPU of a guest through the backend's states. The frontend's directory tells when it
 * can be connected, and is as hostile as the guest. Its properties are in the backend's directory
 * (xenbus_keys.c).
 */
#include "xen-pvgpu-back/daemon/xen/xenbus_vgpu.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "pvgpu_wire.h"
#include "xen-pvgpu-back/daemon/dispatch/share.h"
#include "xen-pvgpu-back/daemon/guard/facts.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define STEPS      16u   /* steps of one look */
#define COUNT_MS   1000u /* between two writes of statistics */
#define AGAIN_MS   1000u /* until the next look after xenstore has refused a request */
#define STATE_TEXT 8

static const struct pvgpu_range versions = {1, PVGPU_PROTOCOL_VERSION};

const char *xenbus_vgpu_name(const struct xen_vgpu *x)
{
	static char name[48];

	snprintf(name, sizeof(name), "%" PRIu32 "/%" PRIu32, x->domid, x->devid);
	return x->v ? x->v->cfg.name : name;
}

static const char *state_name(enum pvgpu_state s)
{
	const char *name = pvgpu_name_of(&pvgpu_state_names, s);

	return name ? name : "?";
}

/* Converts a reason to last-reason's form; false: there is none, or it is already written. */
static bool new_reason(const struct xen_vgpu *x, const char *why, struct pvgpu_text *t)
{
	if (!why || !why[0])
		return false;
	pvgpu_text_set(t, why, strlen(why));
	return strcmp(t->s, x->reason) != 0;
}

static int was_put(struct xen_vgpu *x, const struct xenbus_write *w, unsigned int n, int err)
{
	if (err == -ENOENT)
		x->gone = x->dirty = true;
	else if (err)
		log_error("xenstore: %s: cannot write %s: %s", x->path, w[n - 1].key,
			  strerror(-err));
	return err;
}

static int put(struct xen_vgpu *x, const struct xenbus_write *w, unsigned int n)
{
	return was_put(x, w, n, xenbus_put(x->bus, x->path, "frontend-id", w, n));
}

static int put_counts(struct xen_vgpu *x, const struct xenbus_write *w, unsigned int n)
{
	return was_put(x, w, n, xenbus_put_often(x->bus, x->path, "frontend-id", w, n));
}

void xenbus_vgpu_tell(struct xen_vgpu *x, const char *why)
{
	struct xenbus_write w = {.key = "last-reason"};
	struct pvgpu_text reason;

	if (!new_reason(x, why, &reason))
		return;
	w.text = reason.s;
	if (put(x, &w, 1) == 0)
		memcpy(x->reason, reason.s, sizeof(x->reason));
}

/* 0, or -1 when xenstore failed, so that nothing can be decided. */
static int take_own_state(struct xen_vgpu *x)
{
	enum pvgpu_state found = PVGPU_STATE_UNKNOWN, self;
	char *text;
	size_t len;
	int err = xenbus_read(x->bus, x->path, "state", &text, &len);

	if (err == -ENOENT) {
		log_info("vgpu %s: detached", xenbus_vgpu_name(x));
		x->gone = true;
		return 0;
	}
	if (err) {
		log_warning("xenstore: %s/state: %s", x->path, strerror(-err));
		return -1;
	}
	pvgpu_backend_state_parse(text, len, &found, NULL);
	free(text);
	self = xenbus_own_state(x->state, found);
	if (x->bus->starting) {
		x->adopt = self == PVGPU_STATE_CONNECTED;
		x->offer = self == PVGPU_STATE_CLOSED || self == PVGPU_STATE_CLOSING;
	} else if (self != x->state && x->state != PVGPU_STATE_UNKNOWN) {
		log_info("vgpu %s: the toolstack has set its state to %s", xenbus_vgpu_name(x),
			 state_name(found));
	}
	x->state = self;
	return 0;
}

static void take_front_state(struct xen_vgpu *x)
{
	enum pvgpu_state found = PVGPU_STATE_UNKNOWN;
	char *text;
	size_t len;

	if (xenbus_read(x->bus, x->front, "state", &text, &len) == 0)
		pvgpu_frontend_state_parse(text, len, &found, NULL);
	free(text);
	if (found != x->front_state)
		log_debug("vgpu %s: the frontend is %s", xenbus_vgpu_name(x), state_name(found));
	x->front_state = found;
}

bool xenbus_domain_gone(struct xen_vgpu *x)
{
	char path[XENBUS_PATH];

	/* Also false where this domain may not ask. */
	if (xs_is_domain_introduced(x->bus->xs, x->domid)) {
		x->seen = true;
		return false;
	}
	/* A domain that is being built is not introduced yet, but has a directory. */
	snprintf(path, sizeof(path), "/local/domain/%" PRIu32, x->domid);
	return x->seen || !xenbus_exists(x->bus, path);
}

/* The toolstack's keys are many and change seldom. A refused vGPU is always read again. */
static bool keys_wanted(const struct xen_vgpu *x)
{
	return x->keyed || !x->v || x->refusal[0] || x->lacks || x->waits;
}

/* told: the backend's directory has changed. */
static int take_all(struct xen_vgpu *x, bool told)
{
	if (told && take_own_state(x) < 0)
		return -1;
	if (!x->gone && keys_wanted(x)) {
		x->keyed = false;
		xenbus_take_keys(x);
	}
	take_front_state(x);
	if ((!x->seen || x->front_state == PVGPU_STATE_UNKNOWN) && xenbus_domain_gone(x))
		x->dead = x->gone = true;
	return 0;
}

/* ---- acting ---- */

/* Behind the statistics comes the GPU as the guest may know it: a key of its own would be another
 * node of a driver domain's quota. Without room for it the guest knows none of it. */
static void add_card(const struct xen_vgpu *x, char text[PVGPU_KEY_TEXT])
{
	const size_t n = strlen(text);
	struct pvgpu_gpu_card card;

	facts_of(x->v, &card);
	if (n + 2 > PVGPU_KEY_TEXT)
		return;
	text[n] = ' ';
	if (pvgpu_gpu_card_format(&card, text + n + 1, PVGPU_KEY_TEXT - n - 1, NULL))
		text[n] = '\0';
}

/* Formats its statistics; false: unchanged since the last write. */
static bool new_counts(const struct xen_vgpu *x, char text[PVGPU_KEY_TEXT])
{
	struct pvgpu_backend_statistics s;

	if (!x->v)
		return false;
	xenbus_statistics(x->v, &s);
	pvgpu_backend_statistics_format(&s, text, PVGPU_KEY_TEXT, NULL);
	add_card(x, text);
	return strcmp(text, x->stats) != 0;
}

/* The statistics were written. Sessions that failed since must still be reported. */
static void keep_counts(struct xen_vgpu *x, const char text[PVGPU_KEY_TEXT])
{
	x->stats_ms = now_ms();
	x->counted = x->v->failed != x->failed;
	memcpy(x->stats, text, sizeof(x->stats));
}

static int move(struct xen_vgpu *x, enum pvgpu_state to)
{
	char state[STATE_TEXT], range[16], features[64], counts[PVGPU_KEY_TEXT];
	const char *why = x->broken                           ? x->fault
			  : x->state != PVGPU_STATE_CONNECTED ? x->refusal
							      : NULL;
	struct xenbus_write w[XENBUS_WRITES];
	struct pvgpu_text reason;
	unsigned int n = 0;
	bool counts_too = x->counted && new_counts(x, counts);
	bool why_too = (to == PVGPU_STATE_CLOSING || to == PVGPU_STATE_CLOSED) &&
		       new_reason(x, why, &reason);
	/* The key has it already when the guest did the same thing before. */
	bool why_told = why_too || (to == PVGPU_STATE_CLOSING && why && why[0]);

	if (to == PVGPU_STATE_INITWAIT) {
		pvgpu_backend_protocol_version_format(&versions, range, sizeof(range), NULL);
		pvgpu_backend_features_format(x->bus->features, features, sizeof(features), NULL);
		w[n++] = (struct xenbus_write){"protocol-version", range};
		w[n++] = (struct xenbus_write){"features", features};
	}
	if (why_too)
		w[n++] = (struct xenbus_write){"last-reason", reason.s};
	if (counts_too)
		w[n++] = (struct xenbus_write){"statistics", counts};
	pvgpu_backend_state_format(to, state, sizeof(state), NULL);
	w[n++] = (struct xenbus_write){"state", state};
	if (put(x, w, n) < 0)
		return -1;
	if (why_too)
		memcpy(x->reason, reason.s, sizeof(x->reason));
	if (counts_too)
		keep_counts(x, counts);
	if (!x->v || log_room(&x->v->noise, now_ms(), x->v->cfg.name))
		log_line(why_told ? LOG_LEVEL_WARNING : LOG_LEVEL_INFO, "vgpu %s: %s%s%s",
			 xenbus_vgpu_name(x), state_name(to), why_told ? ": " : "",
			 why_told ? reason.s : "");
	x->state = to;
	if (to == PVGPU_STATE_INITWAIT)
		x->offer = false;
	if (to == PVGPU_STATE_INITWAIT || to == PVGPU_STATE_CLOSED)
		x->broken = x->lost = x->adopt = false;
	return 0;
}

/* The frontend's keys for a connection. */
struct offer {
	uint32_t version, port;
	uint64_t features;
	struct pvgpu_refs ring;
};

static int read_offer(struct xen_vgpu *x, struct offer *o)
{
	char fault[PVGPU_KEY_ERROR] = "";

	*o = (struct offer){0};
	TAKE(x, x->front, "protocol-version", pvgpu_frontend_protocol_version_parse, &o->version,
	     fault);
	TAKE(x, x->front, "features", pvgpu_frontend_features_parse, &o->features, fault);
	TAKE(x, x->front, "ring-ref", pvgpu_frontend_ring_ref_parse, &o->ring, fault);
	TAKE(x, x->front, "event-channel", pvgpu_frontend_event_channel_parse, &o->port, fault);
	if (!fault[0] && (o->version < versions.low || o->version > versions.high))
		snprintf(fault, sizeof(fault),
			 "frontend/protocol-version is %" PRIu32
			 ", this backend speaks %u to %u: update the older of the two",
			 o->version, versions.low, versions.high);
	if (!fault[0] && o->ring.n != 1)
		snprintf(fault, sizeof(fault),
			 "frontend/ring-ref has %" PRIu32 " references, version 1 has one",
			 o->ring.n);
	snprintf(x->fault, sizeof(x->fault), "%.*s", CHECK_REASON - 1, fault);
	return fault[0] ? -1 : 0;
}

static int connect_ring(struct xen_vgpu *x, bool adopting)
{
	struct offer o;
	int err;

	if (read_offer(x, &o) < 0)
		return -1;
	x->version = o.version;
	x->features = o.features & x->bus->features;
	err = xenctl_connect(x, o.ring.ref[0], o.port, adopting, x->fault);
	if (err && log_room(&x->v->noise, now_ms(), x->v->cfg.name))
		log_warning("vgpu %s: cannot be %s: %s", xenbus_vgpu_name(x),
			    adopting ? "taken over" : "connected", x->fault);
	return err;
}

static void do_connect(struct xen_vgpu *x)
{
	if (connect_ring(x, false)) {
		x->broken = true;
		return;
	}
	x->live = true;
	if (move(x, PVGPU_STATE_CONNECTED) < 0 && !x->gone) {
		x->broken = true;
		snprintf(x->fault, sizeof(x->fault), "xenstored refused the state");
	}
}

static void do_adopt(struct xen_vgpu *x)
{
	x->adopt = false;
	x->lost = connect_ring(x, true) != 0;
	x->live |= !x->lost;
	if (!x->lost)
		log_info("vgpu %s: taken over, %u session%s", xenbus_vgpu_name(x), x->v->sessions,
			 x->v->sessions == 1 ? "" : "s");
}

static void disconnect(struct xen_vgpu *x)
{
	x->ending = true;
	xenctl_disconnect(x, x->dead);
}

void xenbus_free(struct xen_vgpu *x)
{
	xenbus_watch_front(x, false);
	TAILQ_REMOVE(&x->bus->vgpus, x, link);
	if (x->v) {
		x->v->xen = NULL;
		x->v->ctl_name[0] = 0;
		if (!x->v->sessions && !x->v->openings)
			daemon_remove_vgpu(x->v);
	}
	free(x);
}

/*
 * Has the toolstack made the vGPU anew while this one was ending? The event was taken for this
 * one's. The key is the one that put() requires: a remnant of a directory must not be found again
 * and again.
 */
static bool made_anew(const struct xen_vgpu *x)
{
	char path[XENBUS_PATH + 16];

	snprintf(path, sizeof(path), "%s/frontend-id", x->path);
	return xenbus_exists(x->bus, path);
}

static void forget(struct xen_vgpu *x)
{
	struct xenbus *b = x->bus;

	log_info("vgpu %s: removed", xenbus_vgpu_name(x));
	if (x->dead)
		xenbus_remove(b, x->path);
	else
		b->rescan |= made_anew(x);
	xenbus_free(x);
	xenbus_host_changed(b->d);
}

static struct xenbus_step decide(const struct xen_vgpu *x)
{
	const struct xenbus_view v = {
		.self = x->state,
		.front = x->front_state,
		.online = x->online,
		.usable = x->v && !x->refusal[0],
		.live = x->live,
		.ending = x->ending,
		.gone = x->gone,
		.broken = x->broken,
		.adopt = x->adopt,
		.lost = x->lost,
		.offer = x->offer,
	};

	return xenbus_decide(&v);
}

/* A pvgpud that stops lets running sessions finish and begins no connection. */
static bool starts(struct xenbus_step s)
{
	return s.what == XENBUS_CONNECT || s.what == XENBUS_ADOPT ||
	       (s.what == XENBUS_MOVE && s.to == PVGPU_STATE_INITWAIT);
}

static void retry(struct xen_vgpu *x)
{
	x->dirty = true;
	x->retry_ms = x->gone ? 0 : now_ms() + AGAIN_MS;
}

void xenbus_look(struct xen_vgpu *x)
{
	bool told = x->dirty;

	x->dirty = false;
	if (!x->gone && take_all(x, told) < 0) {
		retry(x);
		return;
	}
	if (x->bus->starting || (x->waits && !x->gone))
		return;
	for (unsigned int i = 0; i < STEPS; i++) {
		struct xenbus_step s = decide(x);

		if (x->d->stopping && starts(s))
			return;
		switch (s.what) {
		case XENBUS_WAIT:
			return;
		case XENBUS_MOVE:
			if (move(x, s.to) < 0) {
				retry(x);
				return;
			}
			break;
		case XENBUS_CONNECT:
			do_connect(x);
			break;
		case XENBUS_ADOPT:
			do_adopt(x);
			break;
		case XENBUS_DISCONNECT:
			disconnect(x);
			break;
		case XENBUS_FORGET:
			if (!x->v || (!x->v->sessions && !x->v->openings))
				forget(x);
			return;
		}
	}
}

void xenbus_found(struct xenbus *b, uint32_t domid, uint32_t devid)
{
	const struct pvgpu_ids ids = {.fe = domid, .be = b->domid, .id = devid};
	char path[XENBUS_PATH + 8];
	struct xen_vgpu *x;

	TAILQ_FOREACH(x, &b->vgpus, link)
	{
		if (x->domid == domid && x->devid == devid)
			return;
	}
	x = calloc(1, sizeof(*x));
	if (!x) {
		log_error("domain %" PRIu32 ": out of memory for its vGPU %" PRIu32, domid, devid);
		return;
	}
	x->bus = b;
	x->d = b->d;
	x->domid = domid;
	x->devid = devid;
	x->online = true;
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_BACKEND], &ids, NULL, x->path, sizeof(x->path));
	pvgpu_tree_path(&pvgpu_trees[PVGPU_TREE_FRONTEND], &ids, NULL, x->front, sizeof(x->front));
	snprintf(path, sizeof(path), "%s/state", x->path);
	/* The toolstack writes the state last: another event will follow. */
	if (!xenbus_exists(b, path)) {
		free(x);
		return;
	}
	xenbus_watch_front(x, true);
	TAILQ_INSERT_TAIL(&b->vgpus, x, link);
	xenbus_watch_deaths(b);
	x->dirty = x->keyed = true;
	/* At start all vGPUs must be known before any of them moves; later the loop looks at it. */
	if (b->starting)
		xenbus_look(x);
}

unsigned int xenbus_count(struct xen_vgpu *x)
{
	uint64_t age = now_ms() - x->stats_ms;
	struct xenbus_write w[2];
	struct pvgpu_text reason;
	char text[PVGPU_KEY_TEXT];
	unsigned int n = 0;
	bool failed;

	if (x->gone || !x->v) {
		x->counted = false;
		return 0;
	}
	if (x->stats_ms && age < COUNT_MS)
		return (unsigned int)(COUNT_MS - age);
	x->counted = false;
	failed = x->v->failed != x->failed && new_reason(x, x->v->last_reason, &reason);
	x->failed = x->v->failed;
	if (failed)
		w[n++] = (struct xenbus_write){"last-reason", reason.s};
	if (new_counts(x, text))
		w[n++] = (struct xenbus_write){"statistics", text};
	if (!n || put_counts(x, w, n) < 0)
		return 0;
	keep_counts(x, text);
	if (failed)
		memcpy(x->reason, reason.s, sizeof(x->reason));
	return 0;
}

void xenbus_close(struct xen_vgpu *x)
{
	if (x->gone)
		return;
	if (x->state == PVGPU_STATE_INITWAIT || x->state == PVGPU_STATE_CONNECTED)
		move(x, PVGPU_STATE_CLOSING);
	if (x->live && !x->ending)
		disconnect(x);
	if (x->state == PVGPU_STATE_CLOSING && !x->ending)
		move(x, PVGPU_STATE_CLOSED);
}
