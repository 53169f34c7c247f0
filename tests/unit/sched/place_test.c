/* SPDX-License-Identifier: MIT */
/* Placement of vGPUs on GPUs: the three policies, memory, pools, and books that balance. */
#include <check.h>
#include <string.h>

#include "tests/unit/stress.h"
#include "xen-pvgpu-back/sched/place.h"

#define GIB (1ull << 30)

static void gpus_init(struct place_gpu *g, size_t n, uint64_t memory)
{
	memset(g, 0, n * sizeof(*g));
	for (size_t i = 0; i < n; i++)
		g[i].memory = memory;
}

static size_t put(enum place_policy p, struct place_gpu *g, size_t n, const struct place_want *w)
{
	size_t at = place_pick(p, g, n, w);

	if (at != PLACE_NONE)
		place_take(&g[at], w);
	return at;
}

START_TEST(breadth_spreads)
{
	struct place_gpu g[4];
	struct place_want w = {.memory = GIB};

	gpus_init(g, 4, 8 * GIB);
	for (size_t i = 0; i < 32; i++)
		ck_assert_uint_eq(put(PLACE_BREADTH, g, 4, &w), i % 4);
	ck_assert_uint_eq(put(PLACE_BREADTH, g, 4, &w), PLACE_NONE);
	place_give(&g[2], &w);
	ck_assert_uint_eq(put(PLACE_BREADTH, g, 4, &w), 2);
}
END_TEST

START_TEST(depth_fills)
{
	struct place_gpu g[4];
	struct place_want w = {.memory = GIB}, big = {.memory = 8 * GIB};

	gpus_init(g, 4, 8 * GIB);
	for (size_t i = 0; i < 20; i++)
		ck_assert_uint_eq(put(PLACE_DEPTH, g, 4, &w), i / 8);
	/* A whole GPU is still free for one that needs it. */
	ck_assert_uint_eq(put(PLACE_DEPTH, g, 4, &big), 3);
	ck_assert_uint_eq(put(PLACE_DEPTH, g, 4, &big), PLACE_NONE);
	ck_assert_uint_eq(put(PLACE_DEPTH, g, 4, &w), 2);
	/* Breadth-first leaves none free. */
	gpus_init(g, 4, 8 * GIB);
	for (size_t i = 0; i < 4; i++)
		put(PLACE_BREADTH, g, 4, &w);
	ck_assert_uint_eq(put(PLACE_BREADTH, g, 4, &big), PLACE_NONE);
}
END_TEST

START_TEST(depth_fits_tightest)
{
	struct place_gpu g[3];
	struct place_want w = {.memory = 4 * GIB};

	gpus_init(g, 3, 16 * GIB);
	g[1].memory = 5 * GIB;
	g[2].memory = 3 * GIB;
	ck_assert_uint_eq(put(PLACE_DEPTH, g, 3, &w), 1);
	ck_assert_uint_eq(put(PLACE_DEPTH, g, 3, &w), 0);
}
END_TEST

START_TEST(load_goes_where_time_is)
{
	struct place_gpu g[3];
	struct place_want w[3] = {{.load_ppm = 500000}, {.load_ppm = 200000}, {.load_ppm = 300000}};
	struct place_want next = {.load_ppm = 100000}, unknown = {0};

	gpus_init(g, 3, 0);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(put(PLACE_LOAD, g, 3, &w[i]), i);
	ck_assert_uint_eq(put(PLACE_LOAD, g, 3, &next), 1);
	/* 0.5, 0.3, 0.3: equal loads, then the one with fewer vGPUs. */
	ck_assert_uint_eq(put(PLACE_LOAD, g, 3, &unknown), 2);
	/* The first vGPU's expected load was wrong: it is idle. */
	place_load(&g[0], &w[0], 0);
	ck_assert_uint_eq(g[0].load_ppm, 0);
	ck_assert_uint_eq(put(PLACE_LOAD, g, 3, &next), 0);
	place_give(&g[0], &w[0]);
	ck_assert_uint_eq(g[0].load_ppm, 100000);
	ck_assert_uint_eq(g[0].vgpus, 1);
}
END_TEST

START_TEST(pools_and_closed)
{
	struct place_gpu g[3];
	struct place_want a = {.pool = 1, .memory = GIB}, any = {.pool = PLACE_ANY_POOL};
	struct place_refusal why;

	gpus_init(g, 3, 2 * GIB);
	g[1].pool = g[2].pool = 1;
	g[1].closed = true;
	for (unsigned int p = 0; p < PLACE_POLICIES; p++)
		ck_assert_uint_eq(place_pick((enum place_policy)p, g, 3, &a), 2);
	ck_assert_uint_eq(place_pick(PLACE_BREADTH, g, 3, &any), 0);
	a.memory = 3 * GIB;
	ck_assert_uint_eq(place_pick(PLACE_DEPTH, g, 3, &a), PLACE_NONE);
	place_explain(g, 3, &a, &why);
	ck_assert_uint_eq(why.in_pool, 2);
	ck_assert_uint_eq(why.closed, 1);
	ck_assert_uint_eq(why.short_of_memory, 1);
	ck_assert_uint_eq(why.full, 0);
	ck_assert_uint_eq(why.most_free, 2 * GIB);
	a.pool = 7;
	place_explain(g, 3, &a, &why);
	ck_assert_uint_eq(why.in_pool, 0);
}
END_TEST

START_TEST(limits)
{
	struct place_gpu g = {.memory = 10 * GIB, .overcommit_ppm = 1500000, .max_vgpus = 4};
	struct place_want w = {.memory = 4 * GIB};
	struct place_refusal why;

	ck_assert_uint_eq(place_free(&g), 15 * GIB);
	for (size_t i = 0; i < 3; i++)
		ck_assert_uint_eq(put(PLACE_DEPTH, &g, 1, &w), 0);
	ck_assert_uint_eq(place_free(&g), 3 * GIB);
	ck_assert_uint_eq(put(PLACE_DEPTH, &g, 1, &w), PLACE_NONE);
	w.memory = 0;
	ck_assert_uint_eq(put(PLACE_DEPTH, &g, 1, &w), 0);
	ck_assert_uint_eq(put(PLACE_DEPTH, &g, 1, &w), PLACE_NONE);
	ck_assert_uint_eq(place_free(&g), 0);
	place_explain(&g, 1, &w, &why);
	ck_assert_uint_eq(why.full, 1);
	/* Nothing wraps, whatever the figures. */
	g = (struct place_gpu){.memory = UINT64_MAX, .overcommit_ppm = UINT32_MAX};
	ck_assert_uint_eq(place_free(&g), UINT64_MAX);
	g.promised = UINT64_MAX;
	ck_assert_uint_eq(place_free(&g), 0);
	/* A ratio below what is already promised: nothing is free, and no vGPU is removed. */
	g = (struct place_gpu){
		.memory = 10 * GIB, .promised = 9 * GIB, .overcommit_ppm = 500000, .vgpus = 3};
	ck_assert_uint_eq(place_free(&g), 0);
	ck_assert_uint_eq(g.vgpus, 3);
}
END_TEST

static uint64_t seed;

static uint64_t draw(uint64_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % n;
}

/* Any order of attaching and detaching: never more promised than there is, and books that end at 0.
 */
START_TEST(books)
{
	enum { GPUS = 16, VGPUS = 400 };
	struct place_gpu g[GPUS];
	struct place_want w[VGPUS];
	const size_t steps = stress(20000);
	size_t at[VGPUS];

	seed = (uint64_t)_i + 1;
	gpus_init(g, GPUS, 0);
	for (size_t i = 0; i < GPUS; i++) {
		g[i].memory = (1 + draw(80)) * GIB;
		g[i].pool = (uint32_t)draw(3);
		g[i].overcommit_ppm = 500000 + (uint32_t)draw(1500000);
	}
	for (size_t i = 0; i < VGPUS; i++)
		at[i] = PLACE_NONE;
	for (size_t step = 0; step < steps; step++) {
		size_t i = draw(VGPUS);

		if (at[i] == PLACE_NONE) {
			struct place_refusal why;

			w[i] = (struct place_want){.pool = (uint32_t)draw(3),
						   .memory = draw(20 * GIB),
						   .load_ppm = (uint32_t)draw(PLACE_PPM)};
			place_explain(g, GPUS, &w[i], &why);
			at[i] = put((enum place_policy)(step % PLACE_POLICIES), g, GPUS, &w[i]);
			ck_assert_int_eq(at[i] != PLACE_NONE,
					 why.most_free >= w[i].memory && why.in_pool);
			if (at[i] != PLACE_NONE)
				ck_assert_uint_eq(g[at[i]].pool, w[i].pool);
		} else if (draw(2)) {
			place_load(&g[at[i]], &w[i], (uint32_t)draw(PLACE_PPM));
		} else {
			place_give(&g[at[i]], &w[i]);
			at[i] = PLACE_NONE;
		}
		for (size_t k = 0; k < GPUS; k++)
			ck_assert_uint_le(
				g[k].promised,
				(uint64_t)((double)g[k].memory * g[k].overcommit_ppm / PLACE_PPM) +
					1);
	}
	for (size_t i = 0; i < VGPUS; i++)
		if (at[i] != PLACE_NONE)
			place_give(&g[at[i]], &w[i]);
	for (size_t k = 0; k < GPUS; k++) {
		ck_assert_uint_eq(g[k].promised, 0);
		ck_assert_uint_eq(g[k].load_ppm, 0);
		ck_assert_uint_eq(g[k].vgpus, 0);
	}
}
END_TEST

START_TEST(names)
{
	for (unsigned int p = 0; p < PLACE_POLICIES; p++)
		ck_assert_uint_eq(place_by_name(place_name((enum place_policy)p)), p);
	ck_assert_uint_eq(place_by_name("random"), PLACE_POLICIES);
	ck_assert_str_eq(place_name(PLACE_POLICIES), "unknown");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("place");
	TCase *t = tcase_create("place");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_test(t, breadth_spreads);
	tcase_add_test(t, depth_fills);
	tcase_add_test(t, depth_fits_tightest);
	tcase_add_test(t, load_goes_where_time_is);
	tcase_add_test(t, pools_and_closed);
	tcase_add_test(t, limits);
	tcase_add_loop_test(t, books, 0, 8);
	tcase_add_test(t, names);
	suite_add_tcase(suite, t);
	r = srunner_create(suite);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
