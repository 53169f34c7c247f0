/* SPDX-License-Identifier: MIT */
/* Turns that end before their holder runs dry (sched/turn/dry.c), under a clock that the test sets.
 */
#include <check.h>
#include <stdlib.h>

#include "xen-pvgpu-back/sched/turn/internal.h"
#include "tests/unit/daemon/schedule_clock.h"

#define SLICE_NS (20 * MS)

static struct tenant *t[2];
static struct fake f[2];

static void at(uint64_t ns)
{
	clock_ns = ns;
	schedule_think(s);
}

/* Two of equal weight, of which the first has the grant and 3 ms on the GPU. */
static uint64_t setup(bool exclusive, bool issued, uint64_t parked)
{
	const struct sched_params p = {
		.policy = SCHED_FAIR, .exclusive = exclusive, .slice_ns = SLICE_NS};

	start_clock();
	start(SCHED_FAIR, exclusive);
	schedule_set(s, &p);
	for (unsigned int i = 0; i < 2; i++) {
		t[i] = tenant(100);
		dry_turn(&t[i]->vgpu, true);
		f[i] = join(t[i], false);
		want(&f[i]);
		bells();
	}
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	ck_assert_uint_eq(f[0].word->contended, 1);
	/* Its idle time before counts as its first turn's begin. */
	clock_ns += MS;
	f[0].says->sleeps = f[0].says->drained = 0;
	f[0].says->inflight_ns = 3 * MS;
	f[0].says->oldest_ns = clock_ns;
	f[0].says->issued = issued;
	f[0].says->parked = parked;
	ring(&f[0]);
	bells();
	return clock_ns + 3 * MS;
}

static void teardown(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		leave(&f[i]);
		tenant_free(t[i]);
	}
	finish();
}

static void ends(struct fake *w)
{
	w->says->inflight_ns = w->says->oldest_ns = w->says->wants = 0;
	w->says->drained = 1;
	ring(w);
	bells();
}

START_TEST(given_on_before_it_runs_dry)
{
	const uint64_t dry = setup(false, true, 0),
		       lead = window_early_dry(s->turns.cost_ns, dry - s->turns.given_at);

	ck_assert_uint_eq(s->turns.dry_at, dry - lead);
	at(dry - lead - MS / 1000);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	at(dry - lead);
	ck_assert(!is_open(&f[0]) && is_open(&f[1]));
	ck_assert(t[0]->vgpu.dry && state_leaves(&t[0]->vgpu) && !t[0]->vgpu.wants);
	/* Its last work is no reason for a turn. */
	at(dry);
	ck_assert(!t[0]->vgpu.wants && t[1]->vgpu.wants);
	ends(&f[0]);
	ck_assert(!t[0]->vgpu.dry && !state_leaves(&t[0]->vgpu) && !t[0]->vgpu.wants);
	want(&f[0]);
	bells();
	ck_assert(t[0]->vgpu.wants && is_open(&f[1]));
	teardown();
}
END_TEST

/* The holder's work is known to last until then. */
static void known(uint64_t inflight_ns, uint64_t parked)
{
	f[0].says->inflight_ns = inflight_ns;
	f[0].says->parked = parked;
	f[0].says->busy_ns = 4 * MS - inflight_ns;
	f[0].says->commands = 8;
	f[0].says->oldest_ns = clock_ns;
	schedule_think(s);
}

/* A slice that is not set ends later for a holder that finishes by then; but for work that should
 * have ended nothing is waited for. */
START_TEST(finishes_what_it_has)
{
	const struct sched_params p = {.policy = SCHED_FAIR};
	uint64_t end;

	setup(false, false, 1);
	schedule_set(s, &p);
	at(s->turns.given_at + s->turns.slice_ns - MS / 10);
	known(MS / 2, 1);
	end = clock_ns + MS;
	at(s->turns.given_at + s->turns.slice_ns + MS / 10);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	ck_assert_uint_le(s->turns.again, end + MS / 2);
	ck_assert_uint_gt(s->turns.again, clock_ns + MS / 10);
	/* Estimated to have ended, and it has not. */
	at(end);
	ck_assert(!is_open(&f[0]));
	teardown();
}
END_TEST

/* Commands that are launched meanwhile go to the GPU in the same turn. */
START_TEST(goes_on_with_new_work)
{
	const uint64_t dry = setup(false, true, 0);

	f[0].says->inflight_ns = 8 * MS;
	at(dry);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	ck_assert_uint_eq(s->turns.dry_at, dry + 5 * MS - s->turns.cost_ns);
	f[0].says->parked = 1;
	at(dry + 5 * MS);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	ck_assert_uint_eq(s->turns.dry_at, SCHED_NEVER);
	teardown();
}
END_TEST

/* Parked meanwhile, it waits for a turn before the last one's work has ended. */
START_TEST(wants_again_before_it_has_drained)
{
	const uint64_t dry = setup(false, true, 0);

	at(dry);
	ck_assert(t[0]->vgpu.dry && !t[0]->vgpu.wants);
	f[0].says->parked = 1;
	f[0].says->sleeps = 1;
	ring(&f[0]);
	bells();
	ck_assert(state_leaves(&t[0]->vgpu) && t[0]->vgpu.wants);
	ck_assert_uint_eq(t[0]->vgpu.dry_turns & 1, 0);
	teardown();
}
END_TEST

/* Its turns have ended with their slices, but for the fifth last: its worker need not tell. */
START_TEST(only_where_it_is_expected)
{
	const uint64_t dry = setup(false, true, 0);

	ck_assert_uint_eq(f[0].word->tell, 1);
	for (unsigned int i = 0; i < 4; i++) {
		ck_assert(dry_expected(&t[0]->vgpu));
		dry_turn(&t[0]->vgpu, false);
	}
	ck_assert(!dry_expected(&t[0]->vgpu));
	at(dry - MS / 100);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	ck_assert_uint_eq(f[0].word->tell, 0);
	teardown();
}
END_TEST

/* Its last work does not end: it takes turns with the others, whose time is not all that counts. */
START_TEST(last_work_that_does_not_end)
{
	const uint64_t dry = setup(false, true, 0);

	at(dry);
	ck_assert(t[0]->vgpu.dry && !t[0]->vgpu.wants);
	at(dry + 11 * MS);
	ck_assert(!t[0]->vgpu.dry && state_leaves(&t[0]->vgpu) && t[0]->vgpu.wants);
	ck_assert_uint_eq(f[1].word->contended, 1);
	teardown();
}
END_TEST

/* The timer is late: the hand-over begins earlier by that. */
START_TEST(a_late_timer)
{
	const uint64_t dry = setup(false, true, 0);
	uint64_t early;

	s->turns.late_ns = MS / 16;
	ring(&f[0]);
	bells();
	early = window_early_dry(s->turns.cost_ns, dry - s->turns.given_at) + MS / 16;
	ck_assert_uint_eq(s->turns.dry_at, dry - early);
	at(dry - early);
	ck_assert(!is_open(&f[0]) && is_open(&f[1]));
	teardown();
}
END_TEST

static uint64_t charged(unsigned int i)
{
	struct tenant_stats n;

	tenant_stats(t[i], &n);
	return n.gpu_ns;
}

/* The last work of the former holder is seen to be done so long after the hand-over. Done soon, it
 * was before the new holder's. Else the GPU had taken it off at the end of a slice of 2 ms. */
START_TEST(whose_time_it_is)
{
	static const struct {
		uint64_t at, former, holder;
	} row[] = {{MS / 2, MS / 2, 0},          {3 * MS / 2, 3 * MS / 2, 0},
		   {5 * MS / 2, MS / 2, 2 * MS}, {4 * MS, 2 * MS, 2 * MS},
		   {6 * MS, 4 * MS, 2 * MS},     {8 * MS, 5 * MS, 3 * MS}};
	const uint64_t dry = setup(false, true, 0);
	uint64_t before[2];

	at(dry - MS / 100);
	ck_assert(!is_open(&f[0]) && is_open(&f[1]));
	f[0].says->parked = 1;
	ring(&f[0]);
	bells();
	before[0] = charged(0);
	before[1] = charged(1);
	f[1].says->drained = 0;
	/* Looks in between change nothing. */
	for (uint64_t ns = dry; ns < dry - MS / 100 + row[_i].at; ns += MS * 3 / 10)
		at(ns);
	clock_ns = dry - MS / 100 + row[_i].at;
	f[0].says->inflight_ns = f[0].says->oldest_ns = 0;
	f[0].says->drained = 1;
	ring(&f[0]);
	bells();
	ck_assert_uint_eq(charged(0) - before[0], row[_i].former);
	ck_assert_uint_eq(charged(1) - before[1], row[_i].holder);
	teardown();
}
END_TEST

/* The new holder leaves before it is known: the time was the former one's. */
START_TEST(nobody_is_left_to_share_with)
{
	const uint64_t dry = setup(false, true, 0);
	uint64_t before;

	at(dry - MS / 100);
	f[0].says->parked = 1;
	ring(&f[0]);
	bells();
	before = charged(0);
	at(dry + MS);
	ck_assert_uint_eq(charged(0), before);
	leave(&f[1]);
	tenant_free(t[1]);
	ck_assert_uint_eq(charged(0) - before, MS + MS / 100);
	leave(&f[0]);
	tenant_free(t[0]);
	finish();
}
END_TEST

/* Commands are parked, the worker is an older one, or the pool is exclusive: its turn goes on. */
START_TEST(whole_turns)
{
	const uint64_t dry = setup(_i == 2, _i != 1, _i == 0);

	at(dry - MS / 100);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]) && !t[0]->vgpu.dry);
	ck_assert_uint_eq(s->turns.dry_at, SCHED_NEVER);
	teardown();
}
END_TEST

/* It has just got the grant: its program may launch more. */
START_TEST(not_at_once)
{
	uint64_t dry = setup(false, true, 0);

	s->turns.given_at = dry - s->turns.cost_ns;
	at(dry);
	ck_assert(is_open(&f[0]) && !is_open(&f[1]));
	teardown();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("schedule_dry");
	TCase *c = tcase_create("schedule_dry");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(c, 120);
	tcase_add_test(c, given_on_before_it_runs_dry);
	tcase_add_test(c, finishes_what_it_has);
	tcase_add_test(c, goes_on_with_new_work);
	tcase_add_test(c, wants_again_before_it_has_drained);
	tcase_add_loop_test(c, whole_turns, 0, 3);
	tcase_add_test(c, only_where_it_is_expected);
	tcase_add_test(c, last_work_that_does_not_end);
	tcase_add_test(c, not_at_once);
	tcase_add_test(c, a_late_timer);
	tcase_add_loop_test(c, whose_time_it_is, 0, 6);
	tcase_add_test(c, nobody_is_left_to_share_with);
	suite_add_tcase(suite, c);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
