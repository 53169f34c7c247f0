/* SPDX-License-Identifier: MIT */
/* How many vGPUs pvgpud looks at for an event in xenstore: with many vGPUs, each costs no more. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xenstore.h>

#include "tests/unit/keys/fake_xenstore.h"
#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/guard/faults.h"
#include "xen-pvgpu-back/daemon/xen/xenbus_store.h"

#define MANY   150u
#define GUESTS 3u
#define DIR    "/local/domain/0/backend/pvgpu"

static struct daemon d;
static unsigned int looks, found, keys_read;
static unsigned int breaches, asks;
static uint64_t clock_ms, clock_step;
static bool moves; /* a look writes the state */
static char fatal[96];
static uint32_t looked_at;

/* ---- the rest of pvgpud ---- */

uint64_t now_ms(void)
{
	return clock_ms += clock_step;
}

void log_line(enum log_level level, const char *fmt, ...)
{
}

void xenbus_found(struct xenbus *b, uint32_t domid, uint32_t devid)
{
	struct xen_vgpu *x;
	char state[96];

	TAILQ_FOREACH(x, &b->vgpus, link)
	{
		if (x->domid == domid && x->devid == devid)
			return;
	}
	snprintf(state, sizeof(state), DIR "/%u/%u/state", domid, devid);
	if (!fake_get(state))
		return;
	x = calloc(1, sizeof(*x));
	x->bus = b;
	x->d = b->d;
	x->domid = domid;
	x->devid = devid;
	snprintf(x->path, sizeof(x->path), DIR "/%u/%u", domid, devid);
	snprintf(x->front, sizeof(x->front), "/local/domain/%u/device/pvgpu/%u", domid, devid);
	xenbus_watch_front(x, true);
	TAILQ_INSERT_TAIL(&b->vgpus, x, link);
	found++;
	x->dirty = x->keyed = true;
}

void xenbus_look(struct xen_vgpu *x)
{
	looks++;
	looked_at = x->devid;
	keys_read += x->keyed;
	x->dirty = x->keyed = false;
	x->counted = true;
	if (moves && !x->broken) {
		struct xenbus_write w = {"state", looks % 2 ? "4" : "5"};

		ck_assert_int_eq(xenbus_put(x->bus, x->path, "state", &w, 1), 0);
	}
}

void faults_breach(struct vgpu *v, const char *why)
{
	breaches++;
	snprintf(fatal, sizeof(fatal), "%s", why);
}

unsigned int xenbus_count(struct xen_vgpu *x)
{
	struct xenbus_write w = {"statistics", "sessions=0"};
	int err = xenbus_put(x->bus, x->path, "state", &w, 1);

	x->counted = false;
	ck_assert(!err || err == -ENOENT);
	return 0;
}

bool xenbus_domain_gone(struct xen_vgpu *x)
{
	char path[32];

	snprintf(path, sizeof(path), "/local/domain/%u", x->domid);
	return !fake_get(path);
}

void xenbus_close(struct xen_vgpu *x)
{
}

void xenbus_free(struct xen_vgpu *x)
{
	xenbus_watch_front(x, false);
	TAILQ_REMOVE(&x->bus->vgpus, x, link);
	free(x);
}

int xenbus_host_fits(void)
{
	return 0;
}

void xenbus_host_find(struct xenbus *b)
{
}

void xenbus_host_write(struct xenbus *b)
{
	b->hosted = false;
}

void xenbus_host_remove(struct xenbus *b)
{
}

void xenbus_host_level(struct xenbus *b)
{
	b->leveled = false;
}

void xenbus_ask(struct xenbus *b)
{
	b->asked = false;
	asks++;
}

void xenbus_ask_start(struct xenbus *b)
{
}

void xenbus_ask_stop(struct xenbus *b, bool leave)
{
}

void xenctl_leave(struct xen_vgpu *x)
{
}

void xenctl_maps_stop(struct daemon *all)
{
}

/* ---- the toolstack and guests ---- */

static void put(struct xs_handle *h, xs_transaction_t t, const char *dir, const char *key,
		const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, key);
	ck_assert(xs_write(h, t, path, value, (unsigned int)strlen(value)));
}

static void attach(uint32_t domid, uint32_t devid)
{
	struct xs_handle *h = xs_open(0);
	xs_transaction_t t = xs_transaction_start(h);
	char dir[96];

	snprintf(dir, sizeof(dir), DIR "/%u/%u", domid, devid);
	put(h, t, dir, "frontend-id", "1");
	put(h, t, dir, "online", "1");
	put(h, t, dir, "memory", "0");
	put(h, t, dir, "state", "1");
	ck_assert(xs_transaction_end(h, t, false));
	snprintf(dir, sizeof(dir), "/local/domain/%u/device/pvgpu/%u", domid, devid);
	put(h, 0, dir, "state", "1");
}

/* Until nothing more is to be done. */
static void settle(void)
{
	unsigned int before;

	do {
		before = looks;
		for (unsigned int i = 0; i < 4; i++)
			ev_run(d.loop, EVRUN_NOWAIT);
	} while (looks != before);
}

static unsigned int looks_for(void (*event)(void))
{
	unsigned int before = looks;

	event();
	settle();
	return looks - before;
}

static void setup(void)
{
	fake_reset();
	fake_set("/local/domain/0/domid", "0");
	for (unsigned int g = 1; g <= GUESTS; g++)
		fake_domain(g, "guest", "6a6c8ab2-9c1b-4d3e-8f10-0123456789ab");
	looks = found = keys_read = breaches = asks = 0;
	clock_ms = 3600000;
	clock_step = 1000; /* nothing is too soon */
	moves = false;
	d = (struct daemon){.cfg = {.xen = CONFIG_XEN_ON}};
	d.loop = ev_loop_new(EVFLAG_AUTO);
	ck_assert_int_eq(xenbus_start(&d), 0);
	ck_assert_ptr_nonnull(d.xen);
	xenbus_run(&d);
	settle();
}

static void teardown(void)
{
	clock_step = 1000;
	settle();
	ck_assert(!ev_is_active(&d.xen->work)); /* nothing is to be done again and again */
	xenbus_stop(&d, true);
	ev_loop_destroy(d.loop);
	fake_reset();
}

static void attach_many(void)
{
	for (unsigned int i = 0; i < MANY; i++) {
		attach(1 + i % GUESTS, i / GUESTS);
		settle();
	}
}

static void frontend_moves(void)
{
	fake_set("/local/domain/2/device/pvgpu/7/state", "3");
}

static void state_changes(void)
{
	fake_set(DIR "/3/5/state", "2");
}

static void policy_changes(void)
{
	fake_set(DIR "/3/11/policy", "weight=200");
}

static void directory_goes(void)
{
	fake_remove(DIR "/1");
}

static void stranger_comes(void)
{
	fake_set(DIR "/9/0/frontend-id", "9");
}

START_TEST(one_more_costs_no_look_at_those_that_are_there)
{
	unsigned int n = looks_for(attach_many);

	ck_assert_uint_eq(found, MANY);
	/* One look when the vGPU is found, one for the frontend's first event, one for its own
	 * changes. */
	ck_assert_msg(n <= 3 * MANY, "%u looks at %u vGPUs", n, MANY);
	ck_assert_msg(keys_read == MANY, "the keys of %u vGPUs were read %u times", MANY,
		      keys_read);
	n = looks_for(stranger_comes);
	ck_assert_msg(n <= 2, "%u looks for a directory of another domain", n);
}
END_TEST

START_TEST(an_event_leads_to_one_look_at_what_it_is_of)
{
	attach_many();
	keys_read = 0;
	ck_assert_uint_eq(looks_for(frontend_moves), 1);
	ck_assert_uint_eq(looked_at, 7);
	ck_assert_uint_eq(looks_for(state_changes), 1);
	ck_assert_uint_eq(looked_at, 5);
	ck_assert_uint_eq(keys_read, 0);
	ck_assert_uint_eq(looks_for(policy_changes), 1);
	ck_assert_uint_eq(looked_at, 11);
	ck_assert_uint_eq(keys_read, 1);
}
END_TEST

/* pvgpud's own answer is no request. */
START_TEST(a_request_of_dom0_is_seen_once)
{
	settle();
	fake_set("/local/domain/0/data/pvgpu/request", "1 0/0 {}");
	settle();
	ck_assert_uint_eq(asks, 1);
	fake_set("/local/domain/0/data/pvgpu/answer", "1 0/1 {}");
	settle();
	ck_assert_uint_eq(asks, 1);
	ck_assert_uint_eq(looks, 0);
}
END_TEST

START_TEST(what_goes_from_above_is_seen_by_all_below)
{
	attach_many();
	ck_assert_uint_eq(looks_for(directory_goes), MANY / GUESTS);
}
END_TEST

START_TEST(a_lost_xenstore_ends_pvgpud_as_failed)
{
	attach_many();
	fake_hang_up();
	ev_run(d.loop, 0);
	ck_assert_msg(d.failed, "pvgpud would exit with 0");
}
END_TEST

/* In a driver domain `data` is dom0's: who has removed it cannot make it again. */
START_TEST(what_others_made_stays)
{
	fake_set("/local/domain/0/data/pvgpu/version", "1");
	fake_set("/local/domain/3/data/pvgpu/version", "1");
	xenbus_remove(d.xen, "/local/domain/0/data/pvgpu");
	ck_assert_ptr_null(fake_get("/local/domain/0/data"));
	d.xen->domid = 3;
	xenbus_remove(d.xen, "/local/domain/3/data/pvgpu");
	ck_assert_ptr_null(fake_get("/local/domain/3/data/pvgpu"));
	ck_assert_ptr_nonnull(fake_get("/local/domain/3/data"));
}
END_TEST

/* Its workers must end first: xenstore is not needed for that. */
START_TEST(a_pvgpud_that_drains_goes_on_without_xenstore)
{
	d.stopping = true;
	fake_hang_up();
	while (ev_is_active(&d.xen->io))
		ev_run(d.loop, EVRUN_ONCE);
	ck_assert(!d.failed);
}
END_TEST

static unsigned int most_requests; /* of a turn of the loop */

/* A guest writes its state as often as it can, for ms; each turn of the loop takes one. */
static unsigned int storm(uint64_t ms)
{
	const unsigned int before = looks;

	clock_step = 0;
	/* Twice the looks that LOOK_MS allows are enough to see that it does not bind. */
	for (const uint64_t end = clock_ms + ms; clock_ms < end && looks - before <= ms / 10;
	     clock_ms++) {
		frontend_moves();
		ev_timer_stop(d.loop, &d.xen->later); /* its time is the clock's above */
		xenbus_schedule(d.xen);
		fake_requests();
		ev_run(d.loop, EVRUN_NOWAIT);
		const unsigned int n = fake_requests();

		most_requests = n > most_requests ? n : most_requests;
	}
	return looks - before;
}

/* Looks at it are as many as it may cause, and what pvgpud writes then leads to one more each. */
START_TEST(a_storm_has_its_limit)
{
	const uint64_t ms = 10000;
	unsigned int n;

	attach_many();
	moves = _i;
	n = storm(ms);
	ck_assert_msg(n >= 128, "%u", n);
	ck_assert_msg(n <= (_i ? 2 : 1) * (128 + 16 * ms / 1000 + 1), "%u looks", n);
	ck_assert_msg(n <= ms / 20 + 1, "%u looks, LOOK_MS does not bind", n);
	ck_assert_uint_eq(breaches, 0);
	/* The toolstack is heard at once, whatever the guest does. */
	policy_changes();
	n = looks;
	ev_run(d.loop, EVRUN_NOWAIT);
	ev_run(d.loop, EVRUN_NOWAIT);
	ck_assert_uint_ge(looks, n + 1);
}
END_TEST

/* While its budget lasts: what it writes, and what pvgpud writes after each look, lead to one look
 * in LOOK_MS. */
START_TEST(looks_are_apart)
{
	const uint64_t ms = 400;
	unsigned int n;

	attach_many();
	moves = _i;
	n = storm(ms);
	ck_assert_msg(n >= ms / 20 - 1 && n <= ms / 20 + 1, "%u looks", n);
	moves = false;
}
END_TEST

/* It never stops: its vGPU is disconnected, and it is a fault. */
START_TEST(a_storm_without_end)
{
	struct xen_vgpu *x;
	struct vgpu v;

	attach(2, 7);
	settle();
	x = TAILQ_FIRST(&d.xen->vgpus);
	x->v = &v;
	moves = true;
	storm(60000);
	x->v = NULL;
	ck_assert(x->broken);
	ck_assert_str_eq(x->fault, "frontend: its keys change without end");
	ck_assert_str_eq(fatal, x->fault);
	ck_assert_uint_ge(breaches, 1);
	ck_assert_uint_le(breaches, 2);
}
END_TEST

/* A turn's requests to xenstored do not grow with the number of vGPUs that have changed. */
START_TEST(turns_are_short)
{
	unsigned int few, before;

	attach(2, 7);
	settle();
	most_requests = 0;
	frontend_moves();
	storm(1000);
	few = most_requests;
	attach_many();
	clock_step = 0;
	most_requests = 0;
	before = looks;
	for (unsigned int i = 0; i < 3 * MANY; i++) {
		if (!i)
			fake_fire("@releaseDomain");
		clock_ms += 50;
		for (unsigned int g = 1; g <= GUESTS; g++)
			fake_set(g == 1   ? "/local/domain/1/device/pvgpu/3/state"
				 : g == 2 ? "/local/domain/2/device/pvgpu/4/state"
					  : "/local/domain/3/device/pvgpu/5/state",
				 "4");
		fake_requests();
		ev_run(d.loop, EVRUN_NOWAIT);
		const unsigned int n = fake_requests();

		most_requests = n > most_requests ? n : most_requests;
	}
	ck_assert_uint_ge(looks, before + MANY);
	ck_assert_msg(most_requests <= few + 6, "%u and %u requests", most_requests, few);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xenbus_events");
	TCase *t = tcase_create("xenbus_events");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, one_more_costs_no_look_at_those_that_are_there);
	tcase_add_test(t, an_event_leads_to_one_look_at_what_it_is_of);
	tcase_add_test(t, a_request_of_dom0_is_seen_once);
	tcase_add_test(t, what_goes_from_above_is_seen_by_all_below);
	tcase_add_test(t, a_lost_xenstore_ends_pvgpud_as_failed);
	tcase_add_test(t, a_pvgpud_that_drains_goes_on_without_xenstore);
	tcase_add_test(t, what_others_made_stays);
	tcase_add_loop_test(t, looks_are_apart, 0, 2);
	tcase_add_loop_test(t, a_storm_has_its_limit, 0, 2);
	tcase_add_test(t, a_storm_without_end);
	tcase_add_test(t, turns_are_short);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
