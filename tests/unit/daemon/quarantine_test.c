/* SPDX-License-Identifier: MIT */
/* Faults in a sliding window, and the action for each Xid. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/daemon/guard/xid.h"
#include "xen-pvgpu-back/daemon/rules/quarantine.h"

#define S 1000ull

static const struct quarantine_rule three = {.faults = 3, .window_ms = 600 * S, .time_ms = 300 * S};

static bool fault(struct quarantine *q, uint64_t s)
{
	return quarantine_fault(q, &three, s * S, QUARANTINE_NOBODY, "a reason");
}

START_TEST(three_faults_are_too_many)
{
	struct quarantine q = {0};

	ck_assert(!fault(&q, 10));
	ck_assert(!fault(&q, 20));
	ck_assert(!quarantine_holds(&q, &three, 20 * S));
	ck_assert(fault(&q, 30));
	ck_assert(quarantine_holds(&q, &three, 30 * S));
	ck_assert(quarantine_holds(&q, &three, 330 * S - 1));
	ck_assert(!quarantine_holds(&q, &three, 330 * S));
	ck_assert_uint_eq(q.faults, 3);
	/* The faults are still in the window: one more is too many again. */
	ck_assert(fault(&q, 400));
	ck_assert(quarantine_holds(&q, &three, 400 * S));
}
END_TEST

START_TEST(old_faults_are_forgotten)
{
	struct quarantine q = {0};

	for (uint64_t s = 0; s < 100 * 301; s += 301)
		ck_assert_msg(!fault(&q, 1 + s), "at %llu", (unsigned long long)s);
	ck_assert_uint_eq(q.faults, 100);
	ck_assert_uint_eq(quarantine_count(&q, &three, (1 + 99 * 301) * S), 2);
	ck_assert(quarantine_matters(&q, &three, (1 + 99 * 301) * S));
	ck_assert(!quarantine_matters(&q, &three, (601 + 99 * 301) * S));
	ck_assert(!fault(&q, 60000));
	ck_assert(!fault(&q, 60001));
	ck_assert(fault(&q, 60002));
}
END_TEST

START_TEST(a_fault_in_quarantine_makes_it_longer)
{
	struct quarantine q = {0};

	fault(&q, 1);
	fault(&q, 1);
	fault(&q, 1);
	ck_assert(fault(&q, 200));
	ck_assert(quarantine_holds(&q, &three, 499 * S));
	ck_assert(!quarantine_holds(&q, &three, 500 * S));
}
END_TEST

START_TEST(more_than_can_be_remembered)
{
	struct quarantine_rule many = {
		.faults = QUARANTINE_FAULTS_MAX, .window_ms = 600 * S, .time_ms = S};
	struct quarantine q = {0};

	for (unsigned int i = 0; i < QUARANTINE_FAULTS_MAX - 1; i++)
		ck_assert(!quarantine_fault(&q, &many, i, 0, "x"));
	for (unsigned int i = 0; i < 1000; i++)
		ck_assert(quarantine_fault(&q, &many, 100 + i, 0, "x"));
	ck_assert_uint_eq(q.n, QUARANTINE_FAULTS_MAX);
	ck_assert_uint_eq(q.at[0], 1100 - QUARANTINE_FAULTS_MAX);
}
END_TEST

START_TEST(nothing_is_too_many_when_it_is_off)
{
	const struct quarantine_rule off = {.faults = 0, .window_ms = 600 * S, .time_ms = 300 * S};
	struct quarantine q = {0};

	for (int i = 0; i < 200; i++)
		ck_assert(!quarantine_fault(&q, &off, 1, 0, "x"));
	ck_assert(!quarantine_holds(&q, &off, 1));
	ck_assert(!quarantine_matters(&q, &off, 1));
	ck_assert_uint_eq(q.faults, 200);
	/* A quarantine of a former configuration ends, too. */
	q.until_ms = 1000;
	ck_assert(!quarantine_holds(&q, &off, 1));
}
END_TEST

static bool fault_of(struct quarantine *q, uint32_t user, uint64_t s)
{
	return quarantine_fault(q, &three, s * S, user, "a reason");
}

/* However many faults a user has, one more of another user's is needed. */
START_TEST(one_user_is_not_all)
{
	struct quarantine q = {0};

	for (uint64_t s = 1; s < 400; s++)
		ck_assert(!fault_of(&q, 7, s));
	ck_assert_uint_eq(quarantine_count(&q, &three, 400 * S), 2);
	ck_assert_uint_eq(quarantine_user_ms(&q, &three, 400 * S, 7), 299 * S);
	ck_assert_uint_eq(quarantine_user_ms(&q, &three, 400 * S, 8), 0);
	ck_assert_uint_eq(quarantine_user_ms(&q, &three, 400 * S, QUARANTINE_NOBODY), 0);
	ck_assert_uint_eq(quarantine_user_ms(&q, &three, 699 * S, 7), 0);
	ck_assert(_i ? fault_of(&q, 8, 401) : fault(&q, 401));
	ck_assert(quarantine_holds(&q, &three, 402 * S));
	/* That one is what the first does not prolong. */
	ck_assert(!fault_of(&q, 7, 500));
	ck_assert(!quarantine_holds(&q, &three, 701 * S));
	ck_assert(quarantine_user_ms(&q, &three, 701 * S, 7));
	ck_assert(quarantine_matters(&q, &three, 701 * S));
}
END_TEST

/* A kernel that has a new user for each session is quarantined as one that tells of none. */
START_TEST(many_users_are_all)
{
	struct quarantine q = {0};

	ck_assert(!fault_of(&q, 1, 1));
	ck_assert(!fault_of(&q, 2, 2));
	ck_assert(fault_of(&q, 3, 3));
}
END_TEST

/* A user's many faults push out none of others'. */
START_TEST(faults_of_others_stay)
{
	struct quarantine q = {0};

	fault(&q, 1);
	for (unsigned int i = 0; i < 2 * QUARANTINE_FAULTS_MAX; i++)
		fault_of(&q, 7, 2);
	ck_assert_uint_eq(q.n, 3);
	ck_assert_uint_eq(q.user[0], QUARANTINE_NOBODY);
}
END_TEST

/* Where one fault is enough, it is for all. */
START_TEST(one_fault_is_enough)
{
	const struct quarantine_rule one = {.faults = 1, .window_ms = 600 * S, .time_ms = S};
	struct quarantine q = {0};

	ck_assert(quarantine_fault(&q, &one, 5, 7, "x"));
	ck_assert(quarantine_fault(&q, &one, 6, 7, "x"));
}
END_TEST

START_TEST(a_pardon_forgets)
{
	struct quarantine q = {.pardon = 4};

	fault(&q, 1);
	fault(&q, 2);
	fault(&q, 3);
	ck_assert(!quarantine_pardon(&q, 4));
	ck_assert(
		!quarantine_pardon(&q, 2)); /* lower than before: remembered, and pardons nothing */
	ck_assert(quarantine_holds(&q, &three, 4 * S));
	ck_assert(quarantine_pardon(&q, 3));
	ck_assert(!quarantine_holds(&q, &three, 4 * S));
	ck_assert(!quarantine_pardon(&q, 9)); /* nothing to forgive */
	ck_assert(!fault(&q, 5));
	ck_assert(!fault(&q, 6));
	ck_assert(fault(&q, 7));
	ck_assert_uint_eq(q.faults, 6);
}
END_TEST

START_TEST(it_says_why_until_when_and_what_to_do)
{
	struct quarantine q = {0};
	char text[104], *end;

	fault(&q, 1);
	fault(&q, 2);
	fault(&q, 3);
	quarantine_say(&q, &three, 4 * S, "vgpu0", text, sizeof(text));
	ck_assert_str_eq(text, "quarantined for 299 s more, 3 faults; pvgpuctl pardon vgpu0; last: "
			       "a reason");
	/* The text is cut to a Xen guest's answer, and still has the time and the way out. */
	text[47] = '\0';
	end = strstr(text, "pvgpuctl");
	ck_assert_ptr_nonnull(end);
	ck_assert_ptr_nonnull(strstr(text, "299 s"));
}
END_TEST

START_TEST(who_is_remembered)
{
	char a[40], b[40];

	quarantine_identity("xen-3-0-9c1b7a52", a);
	quarantine_identity("xen-17-1-9c1b7a52", b);
	ck_assert_str_eq(a, b);
	quarantine_identity("xen-3-0-9c1b7a53", b);
	ck_assert_str_ne(a, b);
	quarantine_identity("tenant-a-3", a);
	ck_assert_str_eq(a, "tenant-a-3");
	quarantine_identity("a23456789012345678901234567890123456789", a);
	ck_assert_uint_eq(strlen(a), 39);
}
END_TEST

static const struct {
	uint32_t xid;
	enum xid_action action;
} xids[] = {
	{13, XID_APP},    {31, XID_APP},    {43, XID_IGNORE}, {45, XID_FOLLOW},
	{46, XID_RESET},  {48, XID_CHECK},  {62, XID_RESET},  {63, XID_IGNORE},
	{64, XID_RESET},  {74, XID_CHECK},  {79, XID_REBOOT}, {92, XID_WATCH},
	{94, XID_APP},    {95, XID_RESET},  {109, XID_KILL},  {119, XID_RESET},
	{120, XID_RESET}, {140, XID_RESET}, {143, XID_RESET}, {154, XID_CHECK},
	{158, XID_RESET}, {0, XID_CHECK},   {999, XID_CHECK}, {UINT32_MAX, XID_CHECK},
};

START_TEST(what_xids_ask_for)
{
	const struct xid *x = xid_find(xids[_i].xid);

	ck_assert_int_eq(x->action, xids[_i].action);
	ck_assert(x->number == xids[_i].xid || !x->number);
	ck_assert_ptr_nonnull(x->what);
	ck_assert_ptr_nonnull(xid_advice(x->action));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("quarantine");
	TCase *t = tcase_create("quarantine");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, three_faults_are_too_many);
	tcase_add_test(t, old_faults_are_forgotten);
	tcase_add_test(t, a_fault_in_quarantine_makes_it_longer);
	tcase_add_test(t, more_than_can_be_remembered);
	tcase_add_test(t, nothing_is_too_many_when_it_is_off);
	tcase_add_loop_test(t, one_user_is_not_all, 0, 2);
	tcase_add_test(t, many_users_are_all);
	tcase_add_test(t, faults_of_others_stay);
	tcase_add_test(t, one_fault_is_enough);
	tcase_add_test(t, a_pardon_forgets);
	tcase_add_test(t, it_says_why_until_when_and_what_to_do);
	tcase_add_test(t, who_is_remembered);
	tcase_add_loop_test(t, what_xids_ask_for, 0, (int)(sizeof(xids) / sizeof(xids[0])));
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
