/* SPDX-License-Identifier: MIT */
/* pvgpud's decisions about a Xen guest's vGPU: every view of one, and whole lives. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/xen/xenbus_rules.h"

#define BOOLS 8u

static struct xenbus_view view_of(enum pvgpu_state self, enum pvgpu_state front, unsigned int bits)
{
	struct xenbus_view v = {.self = self, .front = front};
	bool *const flags[BOOLS] = {&v.online, &v.usable, &v.live, &v.ending,
				    &v.gone,   &v.broken, &v.lost, &v.offer};

	for (unsigned int i = 0; i < BOOLS; i++)
		*flags[i] = bits >> i & 1u;
	/* A vGPU that could not be adopted is not adopted again. */
	v.adopt = bits >> BOOLS & 1u && !v.lost;
	return v;
}

static bool is_backend_state(enum pvgpu_state s)
{
	return s == PVGPU_STATE_INITIALISING || s == PVGPU_STATE_INITWAIT ||
	       s == PVGPU_STATE_CONNECTED || s == PVGPU_STATE_CLOSING || s == PVGPU_STATE_CLOSED;
}

static void check_step(const struct xenbus_view *v, struct xenbus_step s)
{
	switch (s.what) {
	case XENBUS_MOVE:
		ck_assert_msg(pvgpu_backend_may_move(v->self, s.to, v->front, false),
			      "%d to %d while the frontend is %d", v->self, s.to, v->front);
		/* In the states that promise it, pvgpud holds nothing of the guest. */
		if (v->live)
			ck_assert(v->self == PVGPU_STATE_CONNECTED && s.to == PVGPU_STATE_CLOSING);
		break;
	case XENBUS_CONNECT:
		ck_assert(v->self == PVGPU_STATE_INITWAIT && !v->live && v->online && v->usable &&
			  v->front == PVGPU_STATE_INITIALISED);
		break;
	case XENBUS_ADOPT:
		ck_assert(v->self == PVGPU_STATE_CONNECTED && v->adopt && v->online && v->usable);
		break;
	case XENBUS_DISCONNECT:
		ck_assert(v->live && !v->ending);
		break;
	case XENBUS_FORGET:
		ck_assert(v->gone && !v->live && !v->ending);
		break;
	case XENBUS_WAIT:
		break;
	}
}

START_TEST(every_view_is_answered_by_a_step_that_is_allowed)
{
	for (unsigned int self = 0; self <= 8; self++)
		for (unsigned int front = 0; front <= 8; front++)
			for (unsigned int bits = 0; bits < 1u << (BOOLS + 1); bits++) {
				struct xenbus_view v = view_of(self, front, bits);

				check_step(&v, xenbus_decide(&v));
			}
}
END_TEST

/* Carry out the step as if all went well; sessions that are being ended end at once. */
static void perform(struct xenbus_view *v, struct xenbus_step s)
{
	switch (s.what) {
	case XENBUS_MOVE:
		v->self = s.to;
		if (s.to == PVGPU_STATE_INITWAIT)
			v->offer = false;
		if (s.to == PVGPU_STATE_INITWAIT || s.to == PVGPU_STATE_CLOSED)
			v->broken = v->lost = v->adopt = false;
		break;
	case XENBUS_CONNECT:
		v->live = true;
		v->self = PVGPU_STATE_CONNECTED;
		break;
	case XENBUS_ADOPT:
		v->live = true;
		v->adopt = false;
		break;
	case XENBUS_DISCONNECT:
		v->live = false;
		break;
	case XENBUS_WAIT:
	case XENBUS_FORGET:
		break;
	}
}

/* Run until nothing changes; returns the last step. */
static enum xenbus_do settle(struct xenbus_view *v)
{
	struct xenbus_step s = {XENBUS_WAIT, PVGPU_STATE_UNKNOWN};

	for (unsigned int i = 0; i < 8; i++) {
		s = xenbus_decide(v);
		check_step(v, s);
		if (s.what == XENBUS_WAIT || s.what == XENBUS_FORGET)
			return s.what;
		perform(v, s);
	}
	ck_abort_msg("no end of it: %d, frontend %d", v->self, v->front);
	return s.what;
}

START_TEST(every_view_settles)
{
	for (unsigned int self = 0; self <= 8; self++)
		for (unsigned int front = 0; front <= 8; front++)
			for (unsigned int bits = 0; bits < 1u << (BOOLS + 1); bits++) {
				struct xenbus_view v = view_of(self, front, bits);
				bool gone = v.gone;

				v.ending = false;
				ck_assert_int_eq(settle(&v), gone ? XENBUS_FORGET : XENBUS_WAIT);
				if (gone || !is_backend_state(self))
					continue;
				/* A vGPU waits only in a state that allows it. */
				ck_assert(!v.live || v.self == PVGPU_STATE_CONNECTED);
				ck_assert_int_ne(v.self, PVGPU_STATE_CLOSING);
				ck_assert(v.self != PVGPU_STATE_CONNECTED || v.live);
				if (!v.online)
					ck_assert_int_eq(v.self, PVGPU_STATE_CLOSED);
			}
}
END_TEST

static void settles(struct xenbus_view *v, enum pvgpu_state front, enum pvgpu_state want, bool live)
{
	v->front = front;
	ck_assert_int_eq(settle(v), XENBUS_WAIT);
	ck_assert_msg(v->self == want && v->live == live, "frontend %d: in %d, live %d", front,
		      v->self, v->live);
}

START_TEST(a_life)
{
	struct xenbus_view v = {.self = PVGPU_STATE_INITIALISING, .online = true, .usable = true};

	settles(&v, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITWAIT, false);
	settles(&v, PVGPU_STATE_INITIALISED, PVGPU_STATE_CONNECTED, true);
	settles(&v, PVGPU_STATE_CONNECTED, PVGPU_STATE_CONNECTED, true);
	/* The module is unloaded and loaded again. */
	settles(&v, PVGPU_STATE_CLOSING, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_CLOSED, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITWAIT, false);
	settles(&v, PVGPU_STATE_INITIALISED, PVGPU_STATE_CONNECTED, true);
	/* Restored: the frontend begins anew without closing first. */
	settles(&v, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITWAIT, false);
	settles(&v, PVGPU_STATE_INITIALISED, PVGPU_STATE_CONNECTED, true);
	/* Detached, however the frontend behaves. */
	v.online = false;
	settles(&v, PVGPU_STATE_CONNECTED, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_INITIALISING, PVGPU_STATE_CLOSED, false);
	v.gone = true;
	ck_assert_int_eq(settle(&v), XENBUS_FORGET);
}
END_TEST

START_TEST(a_restart)
{
	struct xenbus_view v = {.self = PVGPU_STATE_CONNECTED,
				.front = PVGPU_STATE_CONNECTED,
				.online = true,
				.usable = true,
				.live = true,
				.adopt = true};
	struct xenbus_view lost = v, moved = v, closed = v;

	ck_assert_int_eq(xenbus_decide(&v).what, XENBUS_ADOPT);
	settles(&v, PVGPU_STATE_CONNECTED, PVGPU_STATE_CONNECTED, true);
	/* It cannot be connected: the sessions end, the frontend is asked anew. */
	lost.adopt = false;
	lost.lost = true;
	settles(&lost, PVGPU_STATE_CONNECTED, PVGPU_STATE_INITWAIT, false);
	ck_assert(!lost.lost);
	/* The guest was restored meanwhile. */
	settles(&moved, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITWAIT, false);
	/* The former pvgpud was stopped: the frontend has closed. */
	closed.self = PVGPU_STATE_CLOSED;
	closed.live = closed.adopt = false;
	settles(&closed, PVGPU_STATE_CLOSED, PVGPU_STATE_CLOSED, false);
	closed.offer = true;
	settles(&closed, PVGPU_STATE_CLOSED, PVGPU_STATE_INITWAIT, false);
	ck_assert(!closed.offer);
}
END_TEST

START_TEST(a_hostile_frontend)
{
	struct xenbus_view v = {.self = PVGPU_STATE_CONNECTED,
				.front = PVGPU_STATE_CONNECTED,
				.online = true,
				.usable = true,
				.live = true,
				.broken = true};

	/* Closed, and it stays so until it begins anew. */
	settles(&v, PVGPU_STATE_CONNECTED, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_INITIALISED, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_RECONFIGURED, PVGPU_STATE_CLOSED, false);
	settles(&v, PVGPU_STATE_INITIALISING, PVGPU_STATE_INITWAIT, false);
	/* No state at all is nothing to connect to. */
	settles(&v, PVGPU_STATE_UNKNOWN, PVGPU_STATE_INITWAIT, false);
}
END_TEST

START_TEST(the_toolstack_has_the_last_word)
{
	const enum pvgpu_state unknown = PVGPU_STATE_UNKNOWN;

	ck_assert_int_eq(xenbus_own_state(PVGPU_STATE_CONNECTED, PVGPU_STATE_CLOSING),
			 PVGPU_STATE_CLOSING);
	ck_assert_int_eq(xenbus_own_state(PVGPU_STATE_CLOSED, PVGPU_STATE_INITIALISING),
			 PVGPU_STATE_INITIALISING);
	/* Only pvgpud sets Connected. */
	ck_assert_int_eq(xenbus_own_state(PVGPU_STATE_INITWAIT, PVGPU_STATE_CONNECTED),
			 PVGPU_STATE_INITIALISING);
	ck_assert_int_eq(xenbus_own_state(unknown, PVGPU_STATE_CONNECTED), PVGPU_STATE_CONNECTED);
	ck_assert_int_eq(xenbus_own_state(unknown, PVGPU_STATE_RECONFIGURED),
			 PVGPU_STATE_INITIALISING);
	ck_assert_int_eq(xenbus_own_state(unknown, unknown), unknown);
	for (unsigned int known = 0; known <= 8; known++)
		for (unsigned int found = 0; found <= 8; found++) {
			enum pvgpu_state s = xenbus_own_state(known, found);

			ck_assert(s == known || is_backend_state(s));
		}
}
END_TEST

START_TEST(paths)
{
	const char *dir = "/local/domain/0/backend/pvgpu/3/0";

	ck_assert_str_eq(xenbus_below(dir, "/local/domain/0/backend/pvgpu/3/0/state"), "state");
	ck_assert_str_eq(xenbus_below(dir, "/local/domain/0/backend/pvgpu/3/0/a/b"), "a/b");
	ck_assert_str_eq(xenbus_below(dir, dir), "");
	ck_assert_str_eq(xenbus_below(dir, "/local/domain/0/backend/pvgpu/3"), "");
	ck_assert_str_eq(xenbus_below(dir, "/local"), "");
	ck_assert_ptr_null(xenbus_below(dir, "/local/domain/0/backend/pvgpu/3/01"));
	ck_assert_ptr_null(xenbus_below(dir, "/local/domain/0/backend/pvgpu/3/1/state"));
	ck_assert_ptr_null(xenbus_below(dir, "/local/domain/0/backend/pvgpu/31"));
	ck_assert_ptr_null(xenbus_below(dir, "@releaseDomain"));
}
END_TEST

START_TEST(names)
{
	const struct pvgpu_uuid u = {{0x9c, 0x1b, 0x7a, 0x02, 0xff}};
	char name[40];

	xenbus_name(3, 0, &u, name);
	ck_assert_str_eq(name, "xen-3-0-9c1b7a02");
	xenbus_name(PVGPU_DOMID_MAX, PVGPU_DEVID_MAX, &u, name);
	ck_assert_str_eq(name, "xen-32751-65535-9c1b7a02");
}
END_TEST

static void expect_features(const char *type, const char *release, uint64_t want, const char *text)
{
	char why[160] = "";

	ck_assert_uint_eq(xenbus_features(type, release, why, sizeof(why)), want);
	ck_assert_msg(strstr(why, text) != NULL, "%s", why);
}

START_TEST(features)
{
	const uint64_t grow = PVGPU_FEATURES_ARENA_GROW, both = grow | PVGPU_FEATURES_ZERO_COPY;

	expect_features("PVH", "6.1.0-52-amd64", both, "PVH");
	expect_features("HVM", "5.10", both, "HVM");
	expect_features("PV", "6.1.0", grow, "PV");
	expect_features(NULL, "6.1.0", grow, "not known");
	expect_features("", "10.0", grow, "not known");
	expect_features("PVH", "5.9.16", 0, "5.9.16");
	expect_features("PVH", "4.19.0+1", 0, "5.10");
	expect_features("PVH", "nonsense", 0, "nonsense");
}
END_TEST

START_TEST(no_service_in_an_old_pv_domain)
{
	static const char *const old[] = {"4.19.0+1", "5.9.16", "nonsense"};
	char why[256] = "";

	for (size_t i = 0; i < sizeof(old) / sizeof(old[0]); i++) {
		ck_assert(!xenbus_can_serve("PV", old[i], why, sizeof(why)));
		ck_assert_msg(strstr(why, old[i]) && strstr(why, "driver domain"), "%s", why);
		ck_assert(!xenbus_can_serve(NULL, old[i], why, sizeof(why)));
		ck_assert(xenbus_can_serve("PVH", old[i], why, sizeof(why)));
	}
	ck_assert(xenbus_can_serve("PV", "5.10.0-34-amd64", why, sizeof(why)));
	ck_assert(xenbus_can_serve(NULL, "6.1.0", why, sizeof(why)));
}
END_TEST

START_TEST(limits)
{
	struct xenbus_limits l = {0}, set = {1000, 10, 20, 30}, small = {0};

	xenbus_limits(&l, 0, true, true);
	ck_assert_uint_eq(l.grants, 114688);
	ck_assert_uint_eq(l.each, 597);
	ck_assert_uint_eq(l.most, 57344);
	ck_assert_uint_eq(l.channels, 3584);
	l = (struct xenbus_limits){0};
	xenbus_limits(&l, 1024, false, false);
	ck_assert_uint_eq(l.grants, 229376);
	ck_assert_uint_eq(l.channels, 896);
	xenbus_limits(&set, 1024, false, false);
	ck_assert_uint_eq(set.grants, 1000);
	ck_assert_uint_eq(set.each, 10);
	ck_assert_uint_eq(set.most, 20);
	ck_assert_uint_eq(set.channels, 30);
	/* Nonsense gives no sum that wraps. */
	xenbus_limits(&small, UINT32_MAX, false, false);
	ck_assert_uint_eq(small.grants, UINT32_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xenbus");
	TCase *t = tcase_create("xenbus");
	SRunner *r;
	int failed;

	tcase_add_test(t, every_view_is_answered_by_a_step_that_is_allowed);
	tcase_add_test(t, every_view_settles);
	tcase_add_test(t, a_life);
	tcase_add_test(t, a_restart);
	tcase_add_test(t, a_hostile_frontend);
	tcase_add_test(t, the_toolstack_has_the_last_word);
	tcase_add_test(t, paths);
	tcase_add_test(t, names);
	tcase_add_test(t, features);
	tcase_add_test(t, no_service_in_an_old_pv_domain);
	tcase_add_test(t, limits);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
