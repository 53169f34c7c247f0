/* SPDX-License-Identifier: MIT */
/* pvgpud judges a worker's words about parked memory. */
#include "ring/poll.h"
#include "tests/unit/daemon/xenctl_case.h"
#include "xen-pvgpu-back/daemon/workers/parking.h"
#include "xen-pvgpu-back/daemon/workers/residency.h"
#include "xen-pvgpu-back/daemon/workers/workers.h"

#define MIB (1ull << 20)

static struct fake_worker *k;

static void say(uint32_t kind, uint32_t id, uint64_t a)
{
	const struct pvgpu_sup m = {.kind = kind, .id = id, .a = a};

	ck_assert_int_eq(msg_send(k->control, &m, sizeof(m), NULL, 0), 0);
	fake_settle();
}

static struct pvgpu_sup heard(uint32_t kind)
{
	struct pvgpu_sup_assign m;
	unsigned int fds;

	ck_assert(fake_hear(k, kind, &m, &fds));
	return m.head;
}

/* A session with 8 MiB. */
static void open_with_memory(void)
{
	lease_quota_known(fake.v);
	k = opened(SESSION);
	k->w->sealed = true;
	k->w->parking.knows = true;
	say(PVGPU_SUP_LEASE, 1, 8 * MIB);
	ck_assert_uint_eq(heard(PVGPU_SUP_LEASED).a, 8 * MIB);
}

/* pvgpud's question, which an operator has it ask. */
static struct pvgpu_sup asked(void)
{
	struct pvgpu_sup_assign m;
	char why[160];
	unsigned int fds;

	ck_assert(parking_want(fake.v, true, why, sizeof(why)));
	while (!fake_hear(k, PVGPU_SUP_PARK, &m, &fds))
		ev_run(fake.d.loop, EVRUN_ONCE);
	return m.head;
}

static void ends(const char *why)
{
	ck_assert_uint_eq(fake.v->sessions, 0);
	ck_assert_uint_eq(fake.v->kills, 1);
	ck_assert_ptr_nonnull(strstr(fake.v->last_reason, why));
	ck_assert_uint_eq(fake.v->ledger.parked, 0);
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}

START_TEST(parks_and_resumes)
{
	struct pvgpu_sup q;

	open_with_memory();
	q = asked();
	ck_assert_uint_ge(q.a, 8 * MIB);
	say(PVGPU_SUP_PARKED, q.id, 6 * MIB);
	ck_assert_uint_eq(k->w->leased, 2 * MIB);
	ck_assert_uint_eq(fake.v->ledger.parked, 6 * MIB);
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 8 * MIB);
	say(PVGPU_SUP_RESUME, 2, 6 * MIB);
	ck_assert_uint_eq(heard(PVGPU_SUP_LEASED).a, 6 * MIB);
	ck_assert_uint_eq(k->w->leased, 8 * MIB);
	ck_assert_uint_eq(fake.v->ledger.parked, 0);
	say(PVGPU_SUP_RESUMED, 0, 6 * MIB);
	ck_assert_uint_eq(pvgpu_latency_count(&fake.v->parking.resumes), 1);
	ck_assert(!k->w->killed);
}
END_TEST

static bool may_copy(void)
{
	return pvgpu_poll_now() < k->w->parking.copies_until;
}

/* A worker that an operator has bring its memory back asks for the lease, and then answers the
 * question: its copies have begun. */
START_TEST(answers_while_it_comes)
{
	struct pvgpu_sup q;
	char why[160];

	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, 6 * MIB);
	ck_assert(!may_copy());
	ck_assert(parking_want(fake.v, false, why, sizeof(why)));
	q = heard(PVGPU_SUP_PARK);
	ck_assert_uint_eq(q.a, 0);
	say(PVGPU_SUP_RESUME, 2, 6 * MIB);
	ck_assert_uint_eq(heard(PVGPU_SUP_LEASED).a, 6 * MIB);
	say(PVGPU_SUP_PARKED, q.id, 0);
	ck_assert(may_copy());
	say(PVGPU_SUP_RESUMED, 0, 6 * MIB);
	ck_assert(!may_copy());
	ck_assert(!k->w->killed);
}
END_TEST

/* The books hold nothing of it afterwards. */
START_TEST(dies_while_parked)
{
	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, 8 * MIB);
	fake_die(k);
	fake_settle();
	ck_assert_uint_eq(fake.v->ledger.parked, 0);
	ck_assert_uint_eq(ledger_used(&fake.v->ledger), 0);
}
END_TEST

START_TEST(answers_what_was_not_asked)
{
	open_with_memory();
	say(PVGPU_SUP_PARKED, 1, MIB);
	ends("which was not asked");
}
END_TEST

/* Only the worker of a former pvgpud speaks of its own accord. */
START_TEST(speaks_unasked)
{
	open_with_memory();
	k->w->adopted = false;
	say(PVGPU_SUP_PARKED, 0, MIB);
	ends("which was not asked");
}
END_TEST

START_TEST(answers_twice)
{
	struct pvgpu_sup q;

	open_with_memory();
	q = asked();
	say(PVGPU_SUP_PARKED, q.id, MIB);
	ck_assert(!k->w->killed);
	say(PVGPU_SUP_PARKED, q.id, MIB);
	ends("which was not asked");
}
END_TEST

START_TEST(parks_more_than_it_has)
{
	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, 8 * MIB + 1);
	ends("parks 8388609 bytes of a lease of 8388608");
}
END_TEST

START_TEST(resumes_more_than_it_parked)
{
	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, MIB);
	say(PVGPU_SUP_RESUME, 2, 2 * MIB);
	ends("asks for 2097152 parked bytes, of which there are 1048576");
}
END_TEST

START_TEST(resumes_what_is_not_parked)
{
	open_with_memory();
	say(PVGPU_SUP_RESUME, 2, MIB);
	ends("parked bytes, of which there are 0");
}
END_TEST

START_TEST(says_that_it_came_back)
{
	open_with_memory();
	k->w->adopted = false;
	say(PVGPU_SUP_RESUMED, 0, MIB);
	ends("which was not away");
}
END_TEST

START_TEST(says_that_other_bytes_came_back)
{
	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, 6 * MIB);
	say(PVGPU_SUP_RESUME, 2, 6 * MIB);
	heard(PVGPU_SUP_LEASED);
	say(PVGPU_SUP_RESUMED, 0, 5 * MIB);
	ends("which was not away");
}
END_TEST

/* A former pvgpud let it come back. */
START_TEST(comes_back_after_a_restart)
{
	open_with_memory();
	k->w->adopted = true;
	parking_adopted(k->w);
	ck_assert(may_copy());
	say(PVGPU_SUP_RESUMED, 0, MIB);
	ck_assert(!may_copy());
	ck_assert(!k->w->killed);
	ck_assert_uint_eq(pvgpu_latency_count(&fake.v->parking.resumes), 0);
}
END_TEST

/* It says what a former pvgpud has had it park, and once more what it was about to park. */
START_TEST(says_again_what_is_parked)
{
	open_with_memory();
	k->w->adopted = true;
	parking_adopted(k->w);
	say(PVGPU_SUP_PARKED, 0, MIB);
	ck_assert(may_copy());
	say(PVGPU_SUP_PARKED, 0, MIB);
	ck_assert(!k->w->killed);
	ck_assert_uint_eq(k->w->parking.bytes, 2 * MIB);
	say(PVGPU_SUP_PARKED, 0, MIB);
	ends("says again what it has parked, without a question");
}
END_TEST

/* An operator has it parked, and another vGPU has a part of the pool's host memory. */
START_TEST(takes_no_part_of_anothers)
{
	struct vgpu other = {.d = &fake.d,
			     .pool = fake.v->pool,
			     .cfg = {.memory = 64 * MIB, .policy = {.memory_reserve = 8 * MIB}}};

	open_with_memory();
	fake.vgpus[1] = &other;
	fake.d.vgpu_n = 2;
	fake.v->pool->cfg.park_memory = 60 * MIB;
	ck_assert_uint_eq(asked().a, 4 * MIB);
	ck_assert_uint_eq(residency_host_room(&other), 60 * MIB);
	fake.v->ledger.parked = 59 * MIB;
	ck_assert_uint_eq(residency_host_room(&other), 56 * MIB);
	ck_assert_uint_eq(residency_host_room(fake.v), 0);
	fake.v->ledger.parked = 0;
	fake.d.vgpu_n = 1;
}
END_TEST

/* The lease without it is what its memory at the driver is compared with. */
START_TEST(keeps_what_it_says_to_have_parked)
{
	struct judge *j;
	uint64_t now;
	char why[128];
	bool guilty = false;

	open_with_memory();
	say(PVGPU_SUP_PARKED, asked().id, 8 * MIB);
	j = &k->w->account.judge;
	now = pvgpu_poll_now() + 10 * JUDGE_EPOCH_NS;
	for (unsigned int i = 0; i < 40 && !guilty; i++, now += JUDGE_EPOCH_NS) {
		judge_lease(j, k->w->leased, now);
		guilty = judge_memory(j, now, 8 * MIB, k->w->leased, 0, now, why, sizeof(why));
	}
	ck_assert(guilty);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, parks_and_resumes);
	tcase_add_test(t, answers_while_it_comes);
	tcase_add_test(t, dies_while_parked);
	tcase_add_test(t, answers_what_was_not_asked);
	tcase_add_test(t, speaks_unasked);
	tcase_add_test(t, answers_twice);
	tcase_add_test(t, parks_more_than_it_has);
	tcase_add_test(t, resumes_more_than_it_parked);
	tcase_add_test(t, resumes_what_is_not_parked);
	tcase_add_test(t, says_that_it_came_back);
	tcase_add_test(t, says_that_other_bytes_came_back);
	tcase_add_test(t, comes_back_after_a_restart);
	tcase_add_test(t, says_again_what_is_parked);
	tcase_add_test(t, takes_no_part_of_anothers);
	tcase_add_test(t, keeps_what_it_says_to_have_parked);
}

int main(void)
{
	return run_xenctl_tests("parking", add);
}
