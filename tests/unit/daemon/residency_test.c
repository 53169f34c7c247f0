/* SPDX-License-Identifier: MIT */
/* A pool whose GPU is full: who leaves it for whom, who waits, and who is refused. */
#include "ring/poll.h"
#include "tests/unit/daemon/residency_case.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"

static struct fake_worker *a, *b;

/* a has 12 MiB of 16, and b asks for 8. */
static struct pvgpu_sup full(void)
{
	struct pvgpu_sup q;

	make_pool();
	a = with_memory(SESSION, 12 * MIB);
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 8 * MIB, 0);
	q = heard(a, PVGPU_SUP_PARK);
	ck_assert_uint_eq(q.b & PVGPU_SUP_PARK_BUSY, PVGPU_SUP_PARK_BUSY);
	ck_assert_uint_eq(q.a, 12 * MIB);
	ck_assert(hears_nothing(b, PVGPU_SUP_LEASED));
	return q;
}

START_TEST(one_leaves_for_another)
{
	const struct pvgpu_sup q = full();
	struct pvgpu_sup m;

	say(a, PVGPU_SUP_PARKED, q.id, 12 * MIB, 0);
	m = heard(b, PVGPU_SUP_LEASED);
	ck_assert_uint_eq(m.id, 7);
	ck_assert_uint_eq(m.a, 8 * MIB);
	ck_assert_uint_eq(fake.v->parking.parks, 1);
	ck_assert_uint_eq(fake.v->parking.refused, 0);
	/* It wants its memory again: now the other one leaves. */
	say(a, PVGPU_SUP_RESUME, 9, 12 * MIB, 0);
	b->w->parking.came_ns = 1;
	m = heard(b, PVGPU_SUP_PARK);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	say(b, PVGPU_SUP_PARKED, m.id, 8 * MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 12 * MIB);
	say(a, PVGPU_SUP_RESUMED, 0, 12 * MIB, 0);
	ck_assert_uint_eq(a->w->leased, 12 * MIB);
	ck_assert_uint_eq(b->w->parking.bytes, 8 * MIB);
	ck_assert(!a->w->killed && !b->w->killed);
}
END_TEST

/* It was brought in a moment ago, and would spend its time on copies. */
START_TEST(who_has_come_stays_for_a_time)
{
	const uint64_t now = pvgpu_poll_now();

	make_pool();
	fake.v->pool->copy_ns = fake.v->parking.copy_ns = 4000;
	a = with_memory(SESSION, 12 * MIB);
	a->w->parking.came_ns = a->w->parking.active_ns = now;
	fake.d.cfg.park_idle_ms = 3600000;
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 8 * MIB, 0);
	/* 2 * 12288 KiB at 4 us each, nine times: 0.9 s. */
	for (unsigned int i = 0; i < 5; i++)
		ev_run(fake.d.loop, EVRUN_ONCE);
	ck_assert(hears_nothing(a, PVGPU_SUP_PARK));
	heard(a, PVGPU_SUP_PARK);
	ck_assert_uint_ge(pvgpu_poll_now() - now, 800000000);
}
END_TEST

/* No wait would help, so the one that asks is told at once. */
START_TEST(refused_when_nobody_can_leave)
{
	make_pool();
	a = with_memory(SESSION, 12 * MIB);
	a->w->parking.knows_busy = false;
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 8 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
	ck_assert_uint_eq(fake.v->parking.refused, 1);
	say(b, PVGPU_SUP_LEASE, 8, 4 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 4 * MIB);
	ck_assert(!a->w->killed && !b->w->killed);
}
END_TEST

START_TEST(refused_when_it_turns_out_that_nobody_can)
{
	const struct pvgpu_sup q = full();

	say(a, PVGPU_SUP_PARKED, q.id, 0, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
	ck_assert_uint_eq(fake.v->parking.refused, 1);
	ck_assert_uint_eq(a->w->leased, 12 * MIB);
}
END_TEST

/* Memory that it did not park cannot be moved, and no other session waits for it. */
START_TEST(refused_when_it_parks_less_than_it_was_asked)
{
	const struct pvgpu_sup q = full();

	say(a, PVGPU_SUP_PARKED, q.id, 4096, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
	ck_assert_uint_eq(fake.v->parking.refused, 1);
	say(a, PVGPU_SUP_RESUME, 9, 4096, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 4096);
	say(a, PVGPU_SUP_RESUMED, 0, 4096, 0);
	a->w->parking.came_ns = 1;
	a->w->parking.not_before = 0;
	say(b, PVGPU_SUP_LEASE, 8, 8 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
	ck_assert(hears_nothing(a, PVGPU_SUP_PARK));
}
END_TEST

/* It is left alone for longer each time. */
START_TEST(stays_for_longer)
{
	struct pvgpu_sup q = full();

	for (unsigned int i = 0; i < 6; i++) {
		struct parking *k = &a->w->parking;

		say(a, PVGPU_SUP_PARKED, q.id, 0, 0);
		ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
		ck_assert_uint_eq((k->stays_until - pvgpu_poll_now() + 999999999) / 1000000000,
				  60u << (i < 3 ? i : 3));
		k->stays_until = k->not_before = 0;
		say(b, PVGPU_SUP_LEASE, 8, 8 * MIB, 0);
		q = heard(a, PVGPU_SUP_PARK);
	}
}
END_TEST

/* Work that does not end: it is asked once more, and then others do without it. */
START_TEST(refused_when_work_does_not_end)
{
	struct pvgpu_sup q = full();

	say(a, PVGPU_SUP_PARKED, q.id, 0, 1);
	/* Not at once. */
	ck_assert_uint_ne(a->w->parking.not_before, 0);
	a->w->parking.not_before += 3600000000000;
	for (unsigned int i = 0; i < 3; i++)
		ev_run(fake.d.loop, EVRUN_ONCE);
	ck_assert(hears_nothing(a, PVGPU_SUP_PARK));
	a->w->parking.not_before = 0;
	q = heard(a, PVGPU_SUP_PARK);
	ck_assert(hears_nothing(b, PVGPU_SUP_LEASED));
	say(a, PVGPU_SUP_PARKED, q.id, 0, 1);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
}
END_TEST

/* Each waits for the other: the last one is refused, and the first gets what it waits for. */
START_TEST(two_that_wait_for_each_other)
{
	struct pvgpu_sup q;

	make_pool();
	a = with_memory(SESSION, 8 * MIB);
	b = with_memory(SESSION + 1, 8 * MIB);
	say(a, PVGPU_SUP_LEASE, 7, 6 * MIB, 0);
	q = heard(b, PVGPU_SUP_PARK);
	say(b, PVGPU_SUP_LEASE, 8, 6 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 0);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	say(b, PVGPU_SUP_PARKED, q.id, 8 * MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 6 * MIB);
}
END_TEST

/* Memory that was parked for a claim is not taken by a session that asks for less meanwhile. */
START_TEST(others_do_not_take_it)
{
	struct fake_worker *c;
	struct pvgpu_sup q;

	make_pool();
	a = with_memory(SESSION, 8 * MIB);
	b = with_memory(SESSION + 1, 8 * MIB);
	c = session(SESSION + 2);
	say(c, PVGPU_SUP_LEASE, 7, 12 * MIB, 0);
	q = heard(a, PVGPU_SUP_PARK);
	say(a, PVGPU_SUP_PARKED, q.id, 8 * MIB, 0);
	q = heard(b, PVGPU_SUP_PARK);
	say(a, PVGPU_SUP_LEASE, 8, 4 * MIB, 0);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	ck_assert(hears_nothing(c, PVGPU_SUP_LEASED));
	say(b, PVGPU_SUP_PARKED, q.id, 8 * MIB, 0);
	ck_assert_uint_eq(heard(c, PVGPU_SUP_LEASED).a, 12 * MIB);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 4 * MIB);
}
END_TEST

START_TEST(asks_twice_for_what_is_parked)
{
	const struct pvgpu_sup q = full();

	say(a, PVGPU_SUP_PARKED, q.id, 12 * MIB, 0);
	say(a, PVGPU_SUP_RESUME, 9, 12 * MIB, 0);
	say(a, PVGPU_SUP_RESUME, 10, 12 * MIB, 0);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason, "asks for its parked bytes twice"));
}
END_TEST

/* More than there is host memory for. */
START_TEST(parks_more_than_was_asked)
{
	struct pvgpu_sup q;

	make_pool();
	fake.v->pool->cfg.park_memory = 5 * MIB;
	a = with_memory(SESSION, 12 * MIB);
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 8 * MIB, 0);
	q = heard(a, PVGPU_SUP_PARK);
	ck_assert_uint_eq(q.a, 5 * MIB);
	say(a, PVGPU_SUP_PARKED, q.id, 6 * MIB, 0);
	ck_assert_ptr_nonnull(
		strstr(fake.v->last_reason, "parks 6291456 bytes, and was asked for 5242880"));
}
END_TEST

/* It dies while others wait for it, or while it waits. */
START_TEST(one_of_them_dies)
{
	full();
	if (_i) {
		fake_die(b);
		fake_settle();
		ck_assert(TAILQ_EMPTY(&fake.v->pool->claims));
		ck_assert_ptr_null(fake.v->pool->first);
		return;
	}
	fake_die(a);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 8 * MIB);
}
END_TEST

/* ---- no more than is missing ---- */

/* a has 12 GiB of 16, of which 4 are reserved for the vGPU, and b asks for some. */
static struct pvgpu_sup lacks(uint64_t bytes)
{
	make_pool();
	set_gpu(16 * GIB);
	fake.v->pool->cfg.park_memory = 4096 * GIB;
	fake.v->cfg.memory = 64 * GIB;
	fake.v->cfg.policy.memory_reserve = 4 * GIB;
	lease_quota_known(fake.v);
	a = with_memory(SESSION, 12 * GIB);
	b = session(SESSION + 1);
	a->w->parking.knows_more = b->w->parking.knows_more = true;
	say(b, PVGPU_SUP_LEASE, 7, bytes, 0);
	return heard(a, PVGPU_SUP_PARK);
}

START_TEST(what_is_missing_leaves)
{
	const struct pvgpu_sup q = lacks(7 * GIB);

	ck_assert_uint_eq(q.a, 12 * GIB);
	ck_assert_uint_eq(q.c >> 32, 3072);
	/* It has an allocation of 5. */
	say(a, PVGPU_SUP_PARKED, q.id, 5 * GIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 7 * GIB);
	ck_assert_uint_eq(a->w->leased, 7 * GIB);
}
END_TEST

/* A question for each small piece would take longer than to move it. */
START_TEST(little_is_not_worth_a_question)
{
	ck_assert_uint_eq(lacks(4 * GIB + MIB).c >> 32, 256);
}
END_TEST

/* Others wait, too: all leaves that they need. */
START_TEST(what_all_lack_leaves)
{
	struct pvgpu_sup q = lacks(5 * GIB);
	struct fake_worker *c = session(SESSION + 2);

	ck_assert_uint_eq(q.c >> 32, 1024);
	say(c, PVGPU_SUP_LEASE, 7, 3 * GIB, 0);
	say(a, PVGPU_SUP_PARKED, q.id, 0, 1);
	a->w->parking.not_before = 0;
	q = heard(a, PVGPU_SUP_PARK);
	ck_assert_uint_eq(q.c >> 32, 1024 + 3072);
}
END_TEST

/* An older worker cannot be asked for the rest later. */
START_TEST(of_older_workers_all_leaves)
{
	make_pool();
	set_gpu(16 * GIB);
	fake.v->cfg.memory = 64 * GIB;
	fake.v->cfg.policy.memory_reserve = 4 * GIB;
	fake.v->pool->cfg.park_memory = 4096 * GIB;
	lease_quota_known(fake.v);
	a = with_memory(SESSION, 12 * GIB);
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 5 * GIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_PARK).c >> 32, 13 * 1024);
}
END_TEST

/* a has parked 5 GiB for b and wants them back; c asks, and nothing but what a has left can leave.
 * Returns a's second question. */
static struct pvgpu_sup more(struct fake_worker **c)
{
	const struct pvgpu_sup q = lacks(7 * GIB);

	say(a, PVGPU_SUP_PARKED, q.id, 5 * GIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 7 * GIB);
	b->w->parking.knows_busy = false;
	say(a, PVGPU_SUP_RESUME, 9, 5 * GIB, 0);
	*c = session(SESSION + 2);
	say(*c, PVGPU_SUP_LEASE, 7, 4 * GIB, 0);
	a->w->parking.not_before = 0;
	return heard(a, PVGPU_SUP_PARK);
}

/* Its wish is withdrawn, as it needs more. */
START_TEST(the_rest_leaves_later)
{
	struct fake_worker *c;
	const struct pvgpu_sup q = more(&c);

	ck_assert_uint_eq(q.b & PVGPU_SUP_PARK_BUSY, PVGPU_SUP_PARK_BUSY);
	ck_assert_uint_eq(q.a, 7 * GIB);
	say(a, PVGPU_SUP_PARKED, q.id, 7 * GIB, 0);
	ck_assert_uint_eq(heard(c, PVGPU_SUP_LEASED).a, 4 * GIB);
	ck_assert_uint_eq(a->w->parking.bytes, 12 * GIB);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	say(a, PVGPU_SUP_RESUME, 10, 12 * GIB, 0);
	say(b, PVGPU_SUP_RETURN, 0, 7 * GIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).id, 10);
	ck_assert_uint_eq(a->w->leased, 12 * GIB);
	say(a, PVGPU_SUP_RESUMED, 0, 12 * GIB, 0);
	ck_assert(!a->w->killed);
}
END_TEST

/* ... and it gets nothing before it has answered, however much is free. */
START_TEST(comes_back_after_its_answer)
{
	struct fake_worker *c;
	const struct pvgpu_sup q = more(&c);

	say(b, PVGPU_SUP_RETURN, 0, 7 * GIB, 0);
	ck_assert_uint_eq(heard(c, PVGPU_SUP_LEASED).a, 4 * GIB);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	say(a, PVGPU_SUP_PARKED, q.id, 0, _i);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	say(a, PVGPU_SUP_RESUME, 10, 5 * GIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 5 * GIB);
	ck_assert(!a->w->killed);
}
END_TEST

/* After a restart of pvgpud: nothing is granted before it knows what the GPU has. */
START_TEST(waits_until_the_gpu_is_known)
{
	const struct pvgpu_sup q = full();

	say(a, PVGPU_SUP_PARKED, q.id, 12 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 8 * MIB);
	b->w->parking.knows_busy = false;
	fake.v->pool->device_memory = 0;
	say(a, PVGPU_SUP_RESUME, 9, 12 * MIB, 0);
	say(b, PVGPU_SUP_LEASE, 8, MIB, 0);
	ck_assert(hears_nothing(a, PVGPU_SUP_LEASED));
	ck_assert(hears_nothing(b, PVGPU_SUP_LEASED));
	fake.v->pool->device_memory = 24 * MIB;
	lease_quota_known(fake.v);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 12 * MIB);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, MIB);
}
END_TEST

/* It asks for other bytes than it has parked since, or says that it parks more than it has left. */
START_TEST(lies_about_the_rest)
{
	struct fake_worker *c;
	const struct pvgpu_sup q = more(&c);

	say(a, PVGPU_SUP_PARKED, q.id, (_i ? 8 : 3) * GIB, 0);
	if (!_i)
		say(a, PVGPU_SUP_RESUME, 10, 5 * GIB, 0);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason,
				     _i ? "parks 8589934592 bytes, and was asked for 7516192768"
					: "asks for 5368709120 parked bytes, of which there are "
					  "8589934592"));
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, one_leaves_for_another);
	tcase_add_test(t, who_has_come_stays_for_a_time);
	tcase_add_test(t, refused_when_nobody_can_leave);
	tcase_add_test(t, refused_when_it_turns_out_that_nobody_can);
	tcase_add_test(t, refused_when_it_parks_less_than_it_was_asked);
	tcase_add_test(t, stays_for_longer);
	tcase_add_test(t, refused_when_work_does_not_end);
	tcase_add_test(t, two_that_wait_for_each_other);
	tcase_add_test(t, others_do_not_take_it);
	tcase_add_test(t, asks_twice_for_what_is_parked);
	tcase_add_test(t, parks_more_than_was_asked);
	LOOP(one_of_them_dies, 2);
	tcase_add_test(t, what_is_missing_leaves);
	tcase_add_test(t, little_is_not_worth_a_question);
	tcase_add_test(t, what_all_lack_leaves);
	tcase_add_test(t, of_older_workers_all_leaves);
	tcase_add_test(t, the_rest_leaves_later);
	LOOP(comes_back_after_its_answer, 2);
	LOOP(lies_about_the_rest, 2);
	tcase_add_test(t, waits_until_the_gpu_is_known);
}

int main(void)
{
	return run_xenctl_tests("residency", add);
}
