/* SPDX-License-Identifier: MIT */
/* The scheduler's answers to a driver, one by one, as sched.h promises them. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/sched/sched_drive.h"

static const struct load busy = {.burst = 3600 * SEC};

START_TEST(slices)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct drive d;

	drive_init(&d, &p, 0, 1);
	for (int i = 0; i < 8; i++)
		drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 2 * MS);
	drive_add(&d, -1, &FULL, &busy);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, MS);
	d.params.handover_ns = 70 * US; /* 1 % of 7 ms */
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 7 * MS);
	d.params.handover_ns = 200 * US; /* a round of nine is longer than 128 ms then */
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 128 * MS / 9);
	d.params.handover_ns = 400 * US; /* but 2 % at most */
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 20 * MS);
	d.params.handover_ns = 5 * MS;
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 30 * MS);
	d.params.slice_ns = 5 * MS; /* what is set is not lengthened */
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, 5 * MS);
	d.params.slice_ns = 1;
	sched_set(d.s, &d.params, d.now);
	drive_run(&d, 20 * MS);
	ck_assert_uint_eq(d.d.slice_ns, MS);
	drive_end(&d);
}
END_TEST

struct two {
	struct sched *s;
	struct sched_vgpu *a, *b;
	struct sched_decision d;
};

static struct two two(const struct sched_share *of_a)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct two t = {.s = sched_new(&p, 0)};

	t.a = sched_add(t.s, NULL, of_a, NULL, 0);
	t.b = sched_add(t.s, NULL, &FULL, NULL, 0);
	sched_wants(t.a, true, 0);
	sched_decide(t.s, 0, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	sched_granted(t.s, t.a, 0);
	sched_decide(t.s, 0, &t.d);
	return t;
}

START_TEST(the_chosen_one_stays_chosen)
{
	struct sched_vgpu *c;
	struct two t = two(&FULL);

	sched_wants(t.b, true, 5 * MS);
	sched_decide(t.s, 5 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	ck_assert_uint_eq(t.d.again, SCHED_NEVER);
	ck_assert(t.d.contended);
	c = sched_add(t.s, NULL, &FULL, NULL, 5 * MS);
	sched_charge(c, MS, 5 * MS);
	sched_wants(c, true, 5 * MS);
	sched_decide(t.s, 5 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	/* The vGPU runs out of work before it gets the grant. */
	sched_wants(t.b, false, 6 * MS);
	sched_decide(t.s, 6 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	ck_assert(t.d.contended);
	sched_remove(c, 6 * MS);
	sched_decide(t.s, 6 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	ck_assert(!t.d.contended);
	sched_free(t.s);
}
END_TEST

/* a drains, b was chosen, and c begins to have work: who is next? */
static bool overtakes(const struct sched_share *of_c, uint64_t c_used)
{
	struct two t = two(&FULL);
	struct sched_vgpu *c = sched_add(t.s, NULL, of_c, NULL, 0);
	bool first;

	sched_charge(c, c_used, 0);
	sched_charge(t.a, 60 * MS, 60 * MS);
	sched_charge(t.b, 50 * MS, 60 * MS);
	sched_wants(t.b, true, 60 * MS);
	sched_decide(t.s, 60 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_wants(c, true, 61 * MS);
	sched_decide(t.s, 61 * MS, &t.d);
	first = t.d.holder == c;
	ck_assert(first || t.d.holder == t.b);
	sched_granted(t.s, t.d.holder, 62 * MS);
	sched_decide(t.s, 62 * MS, &t.d);
	ck_assert(first == (t.d.holder == c));
	sched_free(t.s);
	return first;
}

START_TEST(who_comes_during_a_drain_has_its_turn)
{
	struct sched_share high = FULL, low = FULL;

	high.class = SCHED_HIGH;
	low.class = SCHED_LOW;
	ck_assert(overtakes(&FULL, 0));
	ck_assert(!overtakes(&FULL, 100 * MS));
	ck_assert(overtakes(&high, 100 * MS));
	ck_assert(!overtakes(&low, 0));
}
END_TEST

/* At once, but not in a slice that is relief. */
START_TEST(a_higher_class_does_not_wait_for_the_slice)
{
	struct sched_share high = FULL;
	struct sched_vgpu *c;
	struct two t = two(&FULL);

	high.class = SCHED_HIGH;
	c = sched_add(t.s, NULL, &high, NULL, 0);
	sched_wants(t.b, true, 100 * US);
	sched_wants(c, true, 200 * US);
	sched_charge(t.a, 200 * US, 200 * US);
	sched_decide(t.s, 200 * US, &t.d);
	ck_assert_ptr_eq(t.d.holder, c);
	sched_granted(t.s, c, 200 * US);
	/* The high vGPU always has work, until a and b have waited for a second. */
	for (uint64_t now = 2 * MS; now < SEC; now += 2 * MS) {
		sched_charge(c, 2 * MS, now);
		sched_decide(t.s, now, &t.d);
		ck_assert_ptr_eq(t.d.holder, c);
	}
	sched_charge(c, 2 * MS, SEC + MS);
	sched_decide(t.s, SEC + MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_granted(t.s, t.b, SEC + MS);
	sched_decide(t.s, SEC + 2 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	ck_assert_uint_eq(t.d.again, SEC + 3 * MS);
	/* Not twice in a row, though a is due, too. */
	sched_charge(t.b, 2 * MS, SEC + 3 * MS);
	sched_decide(t.s, SEC + 3 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, c);
	sched_granted(t.s, c, SEC + 3 * MS);
	sched_charge(c, 2 * MS, SEC + 5 * MS);
	sched_decide(t.s, SEC + 5 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	sched_free(t.s);
}
END_TEST

/* The result does not depend on how often the scheduler was asked. */
START_TEST(who_was_long_alone_gives_way_at_once)
{
	struct two t = two(&FULL);

	for (uint64_t now = MS; now <= 20 * MS; now += MS) {
		sched_charge(t.a, MS, now);
		sched_decide(t.s, now, &t.d);
		ck_assert_ptr_eq(t.d.holder, t.a);
		ck_assert_uint_eq(t.d.again, SCHED_NEVER);
	}
	sched_wants(t.b, true, 20 * MS + 1);
	sched_decide(t.s, 20 * MS + 1, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_free(t.s);
}
END_TEST

/* The result does not depend on how often the setting is set. */
START_TEST(a_new_maximum_has_saved_nothing)
{
	struct sched_share capped = FULL;
	struct two t = two(&FULL);

	capped.max_ppm = 500000;
	sched_charge(t.a, 10 * MS, 10 * MS);
	sched_set_share(t.a, &capped, 10 * MS);
	sched_set_share(t.a, &FULL, 10 * MS);
	sched_set_share(t.a, &capped, 10 * MS);
	sched_decide(t.s, 10 * MS, &t.d);
	ck_assert_ptr_null(t.d.holder);
	ck_assert_uint_eq(t.d.again, 14 * MS);
	/* A shorter slice is saved up sooner. */
	sched_set(t.s, &(struct sched_params){.policy = SCHED_FAIR, .slice_ns = MS}, 11 * MS);
	sched_decide(t.s, 11 * MS, &t.d);
	ck_assert_uint_eq(t.d.again, 12 * MS);
	sched_free(t.s);
}
END_TEST

/* Use that the far end finds later counts against the maximum of a vGPU that already waits. */
START_TEST(charging_one_that_waits_holds_it_back)
{
	struct sched_share capped = FULL;
	struct sched_stats st;
	struct two t = two(&FULL);

	capped.max_ppm = 500000;
	sched_set_share(t.b, &capped, 0);
	sched_wants(t.b, true, 10 * MS);
	sched_charge(t.b, 20 * MS, 10 * MS);
	sched_charge(t.a, 10 * MS, 10 * MS);
	sched_decide(t.s, 10 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	ck_assert(!t.d.contended && t.d.alone);
	ck_assert_uint_eq(t.d.again, 44 * MS);
	sched_stats(t.b, 20 * MS, &st);
	ck_assert_uint_eq(st.capped_ns, 10 * MS);
	ck_assert_uint_eq(st.used_ns, 20 * MS);
	sched_free(t.s);
}
END_TEST

START_TEST(the_holder_is_removed)
{
	struct two t = two(&FULL);

	sched_wants(t.b, true, MS);
	sched_decide(t.s, MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	ck_assert_uint_eq(t.d.again, 2 * MS);
	sched_remove(t.a, MS);
	sched_decide(t.s, MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_granted(t.s, t.b, MS);
	sched_remove(t.b, 2 * MS);
	sched_decide(t.s, 2 * MS, &t.d);
	ck_assert_ptr_null(t.d.holder);
	ck_assert_uint_eq(t.d.again, SCHED_NEVER);
	sched_free(t.s);
}
END_TEST

START_TEST(the_idle_holder_keeps_the_grant)
{
	struct sched_share capped = FULL;
	struct two t = two(&FULL);

	sched_wants(t.a, false, MS);
	sched_decide(t.s, MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	ck_assert_uint_eq(t.d.again, SCHED_NEVER);
	sched_wants(t.b, true, 2 * MS);
	sched_decide(t.s, 2 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_free(t.s);

	/* But not where the scheduler must know the use. */
	capped.max_ppm = 500000;
	t = two(&capped);
	ck_assert(t.d.contended);
	ck_assert_uint_ne(t.d.again, SCHED_NEVER);
	sched_wants(t.a, false, MS);
	sched_decide(t.s, MS, &t.d);
	ck_assert_ptr_null(t.d.holder);
	sched_free(t.s);
}
END_TEST

START_TEST(a_maximum_takes_the_grant_and_gives_it_back)
{
	struct sched_share capped = FULL;
	struct sched_stats st;
	struct two t;

	capped.max_ppm = 500000;
	t = two(&capped);
	/* Two ms are saved up and half is earned meanwhile. */
	ck_assert_uint_eq(t.d.again, 4 * MS);
	sched_charge(t.a, 4 * MS, 4 * MS);
	sched_decide(t.s, 4 * MS, &t.d);
	ck_assert_ptr_null(t.d.holder);
	ck_assert_uint_eq(t.d.again, 8 * MS);
	sched_granted(t.s, NULL, 4 * MS);
	sched_charge(t.a, MS, 5 * MS); /* was in flight */
	sched_decide(t.s, 5 * MS, &t.d);
	ck_assert_ptr_null(t.d.holder);
	sched_decide(t.s, t.d.again, &t.d);
	ck_assert_ptr_null(t.d.holder);
	ck_assert_uint_eq(t.d.again, 10 * MS);
	sched_decide(t.s, 10 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	sched_granted(t.s, t.a, 10 * MS);
	sched_stats(t.a, 11 * MS, &st);
	ck_assert_uint_eq(st.used_ns, 5 * MS);
	ck_assert_uint_eq(st.wanted_ns, 11 * MS);
	ck_assert_uint_eq(st.waited_ns, 6 * MS);
	ck_assert_uint_eq(st.capped_ns, 6 * MS);
	ck_assert_uint_eq(st.longest_wait_ns, 6 * MS);
	ck_assert_uint_eq(st.slices, 2);
	sched_free(t.s);
}
END_TEST

/* Does a keep the grant at the end of its slice of 2 ms, when its work ends `left` later? */
static bool finishes(const struct sched_params *p, uint64_t left)
{
	struct two t = two(&FULL);
	bool keeps;

	sched_set(t.s, p, 0);
	sched_wants(t.b, true, MS);
	sched_ends(t.s, left + MS, MS);
	sched_decide(t.s, MS, &t.d);
	ck_assert_uint_eq(t.d.again, 2 * MS);
	sched_charge(t.a, 2 * MS, 2 * MS);
	sched_ends(t.s, left, 2 * MS);
	sched_decide(t.s, 2 * MS, &t.d);
	keeps = t.d.holder == t.a;
	if (keeps) {
		ck_assert_uint_eq(t.d.again, 2 * MS + left);
		/* More has come meanwhile. */
		sched_ends(t.s, 4 * MS, 3 * MS);
		sched_decide(t.s, 3 * MS, &t.d);
		ck_assert_ptr_eq(t.d.holder, t.b);
	}
	sched_free(t.s);
	return keeps;
}

START_TEST(who_ends_soon_finishes)
{
	struct sched_params p = {.policy = SCHED_FAIR, .credit_ns = 1};

	ck_assert(finishes(&p, 4 * MS));
	ck_assert(!finishes(&p, 5 * MS));
	ck_assert(!finishes(&p, 0));
	/* A slice that is set is a limit. */
	p.slice_ns = 2 * MS;
	ck_assert(!finishes(&p, MS));
	p.slice_ns = 0;
	p.exclusive = true;
	ck_assert(!finishes(&p, MS));
}
END_TEST

START_TEST(time_that_goes_back_is_ignored)
{
	struct two t = two(&FULL);
	struct sched_stats st;

	sched_wants(t.b, true, 10 * MS);
	sched_decide(t.s, 3 * MS, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.b);
	sched_granted(t.s, t.b, 9 * MS);
	sched_stats(t.a, MS, &st);
	ck_assert_uint_eq(st.wanted_ns, 10 * MS);
	sched_free(t.s);
}
END_TEST

/* Does b have the grant when it comes back, `used` after a has begun to use it, alone before? */
static bool interrupts(struct two *t, uint64_t *now, uint64_t used)
{
	*now += used;
	sched_charge(t->a, used, *now);
	sched_wants(t->b, true, *now);
	sched_decide(t->s, *now, &t->d);
	if (t->d.holder != t->b) {
		sched_wants(t->b, false, *now);
		return false;
	}
	sched_granted(t->s, t->b, *now);
	*now += MS;
	sched_charge(t->b, MS, *now);
	sched_wants(t->b, false, *now);
	sched_decide(t->s, *now, &t->d);
	ck_assert_ptr_eq(t->d.holder, t->a);
	sched_granted(t->s, t->a, *now);
	return true;
}

/* A third vGPU has work all the time, so that a's slice of 10 ms would run. */
START_TEST(interruptions_are_paid_from_a_budget)
{
	struct sched_params p = {
		.policy = SCHED_FAIR, .slice_ns = 10 * MS, .handover_ns = 100 * US};
	struct sched_share light = {.class = SCHED_MEDIUM, .weight = 1};
	struct two t = two(&FULL);
	uint64_t now = 100 * MS;
	struct sched_vgpu *c;
	unsigned int n = 0;

	c = sched_add(t.s, NULL, &light, NULL, 0);
	sched_wants(c, true, 0);
	sched_charge(c, 100 * MS, 0);
	sched_set(t.s, &p, now);
	sched_decide(t.s, now, &t.d);
	ck_assert_ptr_eq(t.d.holder, t.a);
	/* Less behind than a hand-over is worth. */
	ck_assert(!interrupts(&t, &now, MS));
	/* The saved time, and a twentieth of the time since. */
	while (n < 100 && interrupts(&t, &now, 2 * MS))
		n++;
	ck_assert_uint_ge(n, 5);
	ck_assert_uint_le(n, 30);
	sched_free(t.s);
}
END_TEST

START_TEST(bounds_are_told)
{
	struct sched_params p = {.policy = SCHED_FAIR};
	struct sched *s = sched_new(&p, 0);
	struct sched_share group = FULL;
	struct sched_vgpu *a = sched_add(s, NULL, &FULL, NULL, 0), *b;
	struct sched_group *g;

	/* Alone in its class: the turn and the hand-over that are under way. */
	ck_assert_uint_eq(sched_wait_bound(a), 12 * MS);
	/* And three turns of another with the same weight, its credit, and what it has in flight
	 * beside. */
	b = sched_add(s, NULL, &FULL, NULL, 0);
	ck_assert_uint_eq(sched_wait_bound(a), 64 * MS);
	p.credit_ns = 1;
	sched_set(s, &p, 0);
	ck_assert_uint_eq(sched_wait_bound(a), 40 * MS);
	p.exclusive = true;
	sched_set(s, &p, 0);
	ck_assert_uint_eq(sched_wait_bound(a), 10 * MS);
	p.exclusive = false;
	sched_set(s, &p, 0);
	group.max_ppm = 500000;
	g = sched_group_add(s, &group, NULL, 0);
	sched_move(b, g, 0);
	ck_assert_uint_eq(sched_wait_bound(a), 40 * MS);
	ck_assert_uint_eq(sched_wait_bound(b), SCHED_NEVER);
	p.policy = SCHED_BEST_EFFORT;
	sched_set(s, &p, 0);
	ck_assert_uint_eq(sched_wait_bound(a), 18 * MS);
	sched_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sched_api");
	TCase *t = tcase_create("sched_api");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, slices);
	tcase_add_test(t, the_chosen_one_stays_chosen);
	tcase_add_test(t, who_comes_during_a_drain_has_its_turn);
	tcase_add_test(t, a_higher_class_does_not_wait_for_the_slice);
	tcase_add_test(t, who_was_long_alone_gives_way_at_once);
	tcase_add_test(t, a_new_maximum_has_saved_nothing);
	tcase_add_test(t, charging_one_that_waits_holds_it_back);
	tcase_add_test(t, the_holder_is_removed);
	tcase_add_test(t, the_idle_holder_keeps_the_grant);
	tcase_add_test(t, a_maximum_takes_the_grant_and_gives_it_back);
	tcase_add_test(t, who_ends_soon_finishes);
	tcase_add_test(t, time_that_goes_back_is_ignored);
	tcase_add_test(t, interruptions_are_paid_from_a_budget);
	tcase_add_test(t, bounds_are_told);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
