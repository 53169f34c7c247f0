/* SPDX-License-Identifier: MIT */
/* Reserves on the GPU: memory that is kept for a vGPU, and sessions that must fit beside it. */
#include "tests/unit/daemon/residency_case.h"

static struct vgpu other; /* it has no session */
static struct fake_worker *a, *b;

static void add_other(uint64_t memory, uint64_t reserve)
{
	other = (struct vgpu){.d = &fake.d,
			      .pool = fake.v->pool,
			      .cfg = {.memory = memory, .policy = {.memory_reserve = reserve}}};
	fake.vgpus[1] = &other;
	fake.d.vgpu_n = 2;
}

/* Memory that another vGPU has reserved is not lent. */
START_TEST(reserves_are_kept)
{
	struct pvgpu_sup q;

	make_pool();
	add_other(64 * MIB, 8 * MIB);
	ck_assert_uint_eq(residency_room(fake.v), 8 * MIB);
	ck_assert_uint_eq(residency_room(&other), 12 * MIB);
	a = with_memory(SESSION, 6 * MIB);
	ck_assert_uint_eq(residency_room(&other), 10 * MIB);
	other.ledger.used = 8 * MIB;
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 4 * MIB, 0);
	q = heard(a, PVGPU_SUP_PARK);
	ck_assert_uint_eq(q.a, 6 * MIB);
	fake.d.vgpu_n = 1;
}
END_TEST

/* ---- what can never be on the GPU at once ---- */

/* a has 8 MiB in host memory, b as many on the GPU, and 4 of 16 are reserved for another vGPU. */
static void parked_beside_a_reserve(void)
{
	struct pvgpu_sup q;

	make_pool();
	add_other(64 * MIB, 4 * MIB);
	a = with_memory(SESSION, 8 * MIB);
	b = session(SESSION + 1);
	say(b, PVGPU_SUP_LEASE, 7, 8 * MIB, 0);
	q = heard(a, PVGPU_SUP_PARK);
	say(a, PVGPU_SUP_PARKED, q.id, 8 * MIB, 0);
	ck_assert_uint_eq(heard(b, PVGPU_SUP_LEASED).a, 8 * MIB);
}

/* With what is parked of it the session would have more than it could ever get back. */
START_TEST(no_more_than_can_come_back)
{
	parked_beside_a_reserve();
	say(a, PVGPU_SUP_LEASE, 8, 4 * MIB + 4096, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 0);
	ck_assert_uint_eq(fake.v->parking.refused, 1);
	ck_assert(hears_nothing(b, PVGPU_SUP_PARK));
	say(a, PVGPU_SUP_LEASE, 9, 4 * MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 4 * MIB);
	say(b, PVGPU_SUP_RETURN, 0, 8 * MIB, 0);
	say(a, PVGPU_SUP_RESUME, 10, 8 * MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 8 * MIB);
	fake.d.vgpu_n = 1;
}
END_TEST

/* A reserve that came later leaves too little: the session has it while nobody uses it. */
START_TEST(a_reserve_that_came_later)
{
	parked_beside_a_reserve();
	other.cfg.policy.memory_reserve = 9 * MIB;
	other.ledger.used = 8 * MIB;
	say(b, PVGPU_SUP_RETURN, 0, 8 * MIB, 0);
	say(a, PVGPU_SUP_LEASE, 8, MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 0);
	say(a, PVGPU_SUP_RESUME, 9, 8 * MIB, 0);
	ck_assert_uint_eq(heard(a, PVGPU_SUP_LEASED).a, 8 * MIB);
	ck_assert_uint_eq(residency_room(&other), 0);
	say(a, PVGPU_SUP_RESUMED, 0, 8 * MIB, 0);
	ck_assert(!a->w->killed);
	fake.d.vgpu_n = 1;
}
END_TEST

static bool admits(uint64_t memory, uint64_t reserve, char why[POOL_REASON])
{
	const struct config_vgpu cfg = {.memory = memory, .policy = {.memory_reserve = reserve}};

	why[0] = '\0';
	return residency_admits(fake.v->pool, &cfg, NULL, why);
}

/* The sum of reserves fits the GPU, and that of the rest what is there for it. */
START_TEST(admission)
{
	char why[POOL_REASON];

	make_pool();
	fake.v->pool->cfg.park_memory = 1100 * MIB;
	ck_assert(admits(12 * MIB, 0, why));
	ck_assert(!admits(13 * MIB, 0, why));
	ck_assert_str_eq(why, "pool default: 17 MiB would be reserved of 16: lower memory-reserve, "
			      "or detach a vGPU");
	ck_assert(admits(84 * MIB, 4 * MIB, why));
	ck_assert(!admits(85 * MIB, 4 * MIB, why));
	ck_assert_str_eq(why, "pool default: 1101 MiB might be parked, park_memory is 1100: raise "
			      "it or memory-reserve");
	ck_assert(admits(12 * MIB, 64 * MIB, why));
	/* Instead of itself. */
	ck_assert(residency_admits(fake.v->pool, &fake.v->cfg, fake.v, why));
	fake.v->pool->cfg.park_memory = 0;
	ck_assert(admits(64 * MIB, 0, why));
	ck_assert(!admits(64 * MIB, 4 * MIB, why));
	ck_assert_str_eq(why, "pool default: memory-reserve is 4 of 64 MiB, and the pool has no "
			      "park_memory: set that, or reserve all");
	ck_assert_uint_eq(residency_room(fake.v), UINT64_MAX);
}
END_TEST

static void add(TCase *t)
{
	tcase_add_test(t, reserves_are_kept);
	tcase_add_test(t, no_more_than_can_come_back);
	tcase_add_test(t, a_reserve_that_came_later);
	tcase_add_test(t, admission);
}

int main(void)
{
	return run_xenctl_tests("reserve", add);
}
