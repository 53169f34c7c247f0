/* SPDX-License-Identifier: MIT */
/*
 * Growth of the arena over a link that can share little memory: grant references are few, and other
 * processes and devices use them, too.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "link/runtime.h"

#define KIB    1024ull
#define MIB    (1024ull * KIB)
#define WINDOW (4096 * MIB)

enum { LIVE = 512 };

static struct {
	struct pvgpu_link link;
	struct pvgpu_ring_page page;
	uint64_t budget, used;               /* bytes that can be shared */
	uint64_t largest;                    /* of the chunks asked for */
	unsigned int grown, shrunk, refused; /* calls */
	int error;                           /* of a refusal */
	unsigned int idle;                   /* number of chunks that are not busy */
} fake;

static struct pvgpu_session *s;

static int grow(struct pvgpu_link *l, void *address, uint64_t size)
{
	ck_assert_uint_gt(size, 0);
	ck_assert_uint_eq(size % 4096, 0);
	if (size > fake.largest)
		fake.largest = size;
	if (size > fake.budget - fake.used) {
		fake.refused++;
		return fake.error;
	}
	ck_assert_ptr_eq(mmap(address, size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0),
			 address);
	fake.used += size;
	fake.grown++;
	return 0;
}

static int shrink(struct pvgpu_link *l, void *address, uint64_t size)
{
	if (fake.shrunk >= fake.idle)
		return -EBUSY;
	mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
	     0);
	fake.used -= size;
	fake.shrunk++;
	return 0;
}

static void hangup(struct pvgpu_link *l)
{
}

static const struct pvgpu_link_ops link_ops = {.grow = grow, .shrink = shrink, .hangup = hangup};

static void setup(void)
{
	static const struct pvgpu_session_ops ops;
	void *window =
		mmap(NULL, WINDOW, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	ck_assert_ptr_ne(window, MAP_FAILED);
	memset(&fake, 0, sizeof(fake));
	fake.budget = 96 * MIB; /* of 128 in all: disks and network cards use the others */
	fake.error = -ENOSPC;
	fake.idle = UINT32_MAX;
	fake.link = (struct pvgpu_link){.ops = &link_ops,
					.page = &fake.page,
					.cmd_size = PVGPU_RING_MIN,
					.rep_size = PVGPU_RING_MIN,
					.arena_limit = 1024 * MIB,
					.chunk_max = 256 * MIB};
	s = pvgpu_session_new(&ops, &fake.link);
	ck_assert_ptr_ne(s, NULL);
	s->info.arena_base = (uintptr_t)window;
	s->info.arena_size = WINDOW;
}

static void teardown(void)
{
	munmap((void *)(uintptr_t)s->info.arena_base, WINDOW);
	pvgpu_session_free(s);
}

/* Allocate pieces of a size until it fails; returns the bytes allocated. */
static uint64_t exhaust(uint64_t size, bool staging, void **at, unsigned int *n)
{
	for (*n = 0; *n < LIVE; ++*n) {
		at[*n] = pvgpu_arena_alloc(s, size, staging);
		if (!at[*n])
			break;
	}
	return *n * size;
}

static const uint64_t sizes[] = {64 * KIB, MIB, 2 * MIB, 5 * MIB, 10 * MIB, 30 * MIB};

/* When doubling a region exceeds the memory left, smaller regions use the rest. */
START_TEST(all_of_it_can_be_used)
{
	const uint64_t size = sizes[_i];
	uint64_t got;
	void *at[LIVE];
	unsigned int n;

	fake.budget = _i ? 96 * MIB : 24 * MIB;
	got = exhaust(size, false, at, &n);
	ck_assert_uint_gt(got + size, fake.budget);
	ck_assert_uint_le(got, fake.budget);
	ck_assert_int_eq(pvgpu_session_status(s), 0);
	while (n)
		pvgpu_arena_free(s, at[--n]);
	ck_assert_uint_eq(fake.used, 0);
	/* All of it can be allocated a second time. */
	ck_assert_uint_eq(exhaust(size, false, at, &n), got);
	while (n)
		pvgpu_arena_free(s, at[--n]);
}
END_TEST

/* A large pinned allocation leaves room for staging: one piece is enough. */
START_TEST(staging_takes_what_is_left)
{
	void *big = pvgpu_arena_alloc(s, 88 * MIB, false), *piece, *second;

	ck_assert_ptr_ne(big, NULL);
	piece = pvgpu_arena_alloc(s, 2 * MIB, true);
	ck_assert_ptr_ne(piece, NULL);
	second = pvgpu_arena_alloc(s, 3 * MIB, false);
	ck_assert_ptr_ne(second, NULL);
	ck_assert_ptr_eq(pvgpu_arena_alloc(s, 5 * MIB, false), NULL);
	/* Idle staging memory is given to the application. */
	pvgpu_arena_free(s, piece);
	pvgpu_arena_free(s, second);
	ck_assert_ptr_ne(pvgpu_arena_alloc(s, 8 * MIB, false), NULL);
	ck_assert_uint_le(fake.used, fake.budget);
}
END_TEST

/* After a shortage the next region has the size that succeeded; larger ones are not tried. */
START_TEST(a_shortage_is_remembered)
{
	void *at[LIVE];
	unsigned int n, refused;

	fake.budget = 21 * MIB;
	exhaust(2 * MIB, false, at, &n);
	ck_assert_uint_eq(n, 10);
	pvgpu_arena_free(s, at[--n]);
	pvgpu_arena_free(s, at[--n]);
	refused = fake.refused;
	for (unsigned int i = 0; i < 2; i++, n++) {
		at[n] = pvgpu_arena_alloc(s, 2 * MIB, false);
		ck_assert_ptr_ne(at[n], NULL);
	}
	ck_assert_uint_le(fake.refused - refused, 2);
}
END_TEST

/* No chunk is larger than the link takes. */
START_TEST(chunks_fit_the_link)
{
	unsigned char *p;

	fake.link.chunk_max = 8 * MIB + 100;
	p = pvgpu_arena_alloc(s, 50 * MIB, false);
	ck_assert_ptr_ne(p, NULL);
	ck_assert_uint_eq(fake.largest, 8 * MIB);
	ck_assert_uint_eq(fake.grown, 7);
	for (uint64_t i = 0; i < 50 * MIB; i += 4096)
		p[i] = 1;
	pvgpu_arena_free(s, p);
	ck_assert_uint_eq(fake.used, 0);
	ck_assert_uint_eq(fake.shrunk, 7);
	/* A region whose chunks fail in the middle leaves no memory behind. */
	ck_assert_ptr_eq(pvgpu_arena_alloc(s, 100 * MIB, false), NULL);
	ck_assert_uint_eq(fake.used, 0);
}
END_TEST

/* Work of other threads may use any chunk: a busy one stays, is used again, and is removed later.
 */
START_TEST(busy_memory_stays)
{
	void *p, *again;

	fake.idle = 0;
	p = pvgpu_arena_alloc(s, 10 * MIB, false);
	pvgpu_arena_free(s, p);
	ck_assert_int_eq(pvgpu_session_status(s), 0);
	ck_assert_uint_eq(fake.used, 10 * MIB);
	again = pvgpu_arena_alloc(s, 10 * MIB, false);
	ck_assert_ptr_eq(again, p);
	ck_assert_uint_eq(fake.grown, 1);
	fake.idle = UINT32_MAX;
	pvgpu_arena_free(s, again);
	ck_assert_uint_eq(fake.used, 0);
}
END_TEST

START_TEST(busy_parts_stay)
{
	void *p, *rest;

	fake.link.chunk_max = 8 * MIB;
	p = pvgpu_arena_alloc(s, 50 * MIB, false);
	fake.idle = 3;
	pvgpu_arena_free(s, p);
	ck_assert_int_eq(pvgpu_session_status(s), 0);
	ck_assert_uint_eq(fake.used, 26 * MIB);
	ck_assert_uint_eq(s->arena.used, 26 * MIB);
	rest = pvgpu_arena_alloc(s, 26 * MIB, false);
	ck_assert_ptr_eq(rest, (char *)p + 24 * MIB);
	ck_assert_uint_eq(fake.grown, 7);
	/* The freed memory lies before it. */
	ck_assert_ptr_eq(pvgpu_arena_alloc(s, 24 * MIB, false), p);
	fake.idle = UINT32_MAX;
	pvgpu_arena_free(s, rest);
	pvgpu_arena_free(s, p);
	ck_assert_uint_eq(fake.used, 0);
}
END_TEST

/* A program that allocates and frees in turn gets regions of one size. */
START_TEST(turns_do_not_grow)
{
	for (int i = 0; i < 50; i++) {
		void *p = pvgpu_arena_alloc(s, 4096, false);

		ck_assert_ptr_ne(p, NULL);
		ck_assert_uint_le(fake.used, MIB);
		pvgpu_arena_free(s, p);
		ck_assert_uint_eq(fake.used, 0);
	}
}
END_TEST

/* With a small limit no region takes a large part of it in advance. */
START_TEST(small_limits_make_small_regions)
{
	void *at[LIVE];
	unsigned int n;

	fake.budget = fake.link.arena_limit = 64 * MIB;
	ck_assert_uint_eq(exhaust(MIB, false, at, &n), 64 * MIB);
	ck_assert_uint_le(fake.largest, 8 * MIB);
	ck_assert_uint_eq(fake.refused, 0);
}
END_TEST

/* A smaller region is not tried with a worker that is gone or misbehaves, and the session is over:
 * the caller must not take it for a shortage. */
START_TEST(only_shortages_are_tried_again)
{
	fake.budget = 0;
	fake.error = _i ? -EPIPE : -EPROTO;
	ck_assert_ptr_eq(pvgpu_arena_alloc(s, MIB, false), NULL);
	ck_assert_uint_eq(fake.refused, 1);
	ck_assert_int_eq(pvgpu_session_status(s), PVGPU_DEAD_RESULT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("region");
	TCase *t = tcase_create("region");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_loop_test(t, all_of_it_can_be_used, 0, (int)(sizeof(sizes) / sizeof(sizes[0])));
	tcase_add_test(t, staging_takes_what_is_left);
	tcase_add_test(t, a_shortage_is_remembered);
	tcase_add_test(t, chunks_fit_the_link);
	tcase_add_test(t, busy_memory_stays);
	tcase_add_test(t, busy_parts_stay);
	tcase_add_test(t, turns_do_not_grow);
	tcase_add_test(t, small_limits_make_small_regions);
	tcase_add_loop_test(t, only_shortages_are_tried_again, 0, 2);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
