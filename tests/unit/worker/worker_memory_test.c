/* SPDX-License-Identifier: MIT */
/* The worker's device memory: size classes, slabs, spans, the window's pages, the allocation map.
 */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

START_TEST(classes_cover_sizes)
{
	unsigned int last = 0;

	for (uint64_t n = 1; n < SLAB_LARGE; n += n < 8192 ? 1 : 61) {
		const unsigned int c = slab_class(n);

		ck_assert_uint_lt(c, SLAB_CLASSES);
		ck_assert_uint_ge(slab_block(c), n);
		ck_assert_uint_eq(slab_block(c) % SLAB_UNIT, 0);
		ck_assert_uint_ge(c, last);
		if (c)
			ck_assert_uint_lt(slab_block(c - 1), n);
		last = c;
	}
}
END_TEST

START_TEST(slab_gives_every_block_once)
{
	for (unsigned int c = 0; c <= slab_class(SLAB_LARGE - 1); c++) {
		struct slab *s = slab_new(2u << 20, c);
		unsigned char *seen = calloc(s->count, 1);

		ck_assert_uint_ge(s->count, 2);
		for (uint32_t i = 0; i < s->count; i++) {
			const int64_t b = slab_take(s, 7);

			ck_assert_int_ge(b, 0);
			ck_assert_int_lt(b, s->count);
			ck_assert_uint_eq(seen[b]++, 0);
			ck_assert_uint_eq(s->len[b], 7);
		}
		ck_assert_int_eq(slab_take(s, 7), -1);
		slab_put(s, s->count / 2);
		ck_assert_int_eq(slab_take(s, 9), s->count / 2);
		free(seen);
		slab_free(s);
	}
}
END_TEST

START_TEST(spans)
{
	static const struct {
		uint64_t pitch, rows, width, height, depth;
		int64_t span;
	} row[] = {
		{0, 0, 1, 1, 1, 1},
		{16, 0, 16, 4, 1, 64},
		{16, 0, 10, 4, 1, 58},
		{16, 8, 10, 4, 3, (2 * 8 + 3) * 16 + 10},
		{9, 0, 10, 2, 1, -1},  /* the pitch is less than a row */
		{16, 3, 10, 4, 2, -1}, /* a slice has fewer rows than are copied */
		{9, 9, 10, 1, 2, -1},
		{0, 0, 0, 1, 1, -1},
		{0, 0, 1, 0, 1, -1},
		{0, 0, 1, 1, 0, -1},
		{UINT64_MAX, 0, 1, 3, 1, -1},
		{1ull << 32, 1ull << 32, 1, 2, 2, -1},
		{1ull << 62, 0, 1ull << 62, 2, 1, -1},
		{1ull << 62, 0, 1ull << 62, 4, 1, -1},
		{1, UINT64_MAX, 1, 1, UINT64_MAX, -1},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, -1},
		{0, 0, INT64_MAX, 1, 1, INT64_MAX},
		{0, 0, 1ull << 63, 1, 1, -1},
		{1ull << 31, 1, 1, 1, 1ull << 31, ((1ll << 31) - 1) * (1ll << 31) + 1},
	};

	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++)
		ck_assert_msg(span_3d(row[i].pitch, row[i].rows, row[i].width, row[i].height,
				      row[i].depth) == row[i].span,
			      "row %zu", i);
}
END_TEST

START_TEST(window_keeps_guard_pages)
{
	struct worker *w = fake_open(false);
	struct window v = w->gpu->mem.win;
	uint64_t a, b, c;

	a = window_take(&v, 3);
	b = window_take(&v, 1);
	c = window_take(&v, 2);
	ck_assert(a && b && c);
	ck_assert_uint_ge(a, v.base + v.page);
	ck_assert_uint_ge(b, a + 4 * v.page);
	ck_assert_uint_ge(c, b + 2 * v.page);
	ck_assert_uint_eq(window_take(&v, v.pages), 0);
	ck_assert_uint_eq(window_take(&v, 0), 0);
	window_put(&v, b, 1);
	v.next = 0;
	/* One page fits between its neighbours again, two do not. */
	ck_assert_uint_ge(window_take(&v, 2), c + 3 * v.page);
	v.next = 0;
	ck_assert_uint_eq(window_take(&v, 1), b);
	fake_close(w);
}
END_TEST

START_TEST(window_fills_up)
{
	struct worker *w = fake_open(false);
	struct window *v = &w->gpu->mem.win;
	uint64_t n = 0, first = 0, a;

	while ((a = window_take(v, 1))) {
		first = first ? first : a;
		n++;
	}
	ck_assert_uint_ge(n, v->pages / 2 - 1);
	window_put(v, first, 1);
	ck_assert_uint_eq(window_take(v, 1), first);
	fake_close(w);
}
END_TEST

START_TEST(map_knows_allocations)
{
	struct worker *w = fake_open(true);
	struct gpu *g = w->gpu;
	const uint64_t small = fake_alloc(w, 10, FAKE_CTX, 1000);
	const uint64_t other = fake_alloc(w, 11, FAKE_CTX, 1000);
	const uint64_t large = fake_alloc(w, 12, FAKE_CTX, 5u << 20);

	ck_assert(small && other && large);
	ck_assert_uint_eq(small % 512, 0);
	ck_assert_int_eq(mem_where(g, small, 1000), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, small + 999, 1), AT_DEVICE);
	/* Each is mapped to a multiple of 512 bytes, or of pages. */
	ck_assert_int_eq(mem_where(g, small, 1024), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, small + 999, 25), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, small + 999, 26), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, small, 1025), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, large, 5u << 20), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, large + 1, 5u << 20), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, large, 6u << 20), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, large + 1, 6u << 20), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, large - 1, 1), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, large + 1, UINT64_MAX), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, large + (6u << 20), 1), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, (uintptr_t)&w, 8), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, UINT64_MAX, 1), AT_NOWHERE);
	/* Whole pages are leased: one for small ones, three for the large. */
	ck_assert_uint_eq(w->leased, 4 * (2u << 20));
	fake_close(w);
}
END_TEST

static bool all_back(struct worker *w, void *arg)
{
	return w->leased <= *(uint64_t *)arg;
}

START_TEST(free_gives_quota_back)
{
	struct worker *w = fake_open(true);
	const uint64_t a = fake_alloc(w, 10, FAKE_CTX, 8u << 20);
	const uint64_t b = fake_alloc(w, 11, FAKE_CTX, 100);
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX, .address = a};
	uint64_t want = 2u << 20;

	FAKE_SUBMIT(w, MEM_FREE, 12, f);
	ck_assert_int_eq(mem_where(w->gpu, a, 1), AT_NOWHERE);
	ck_assert(fake_until(w, all_back, &want));
	/* Twice, and inside of an allocation: kept for the next synchronising call. */
	FAKE_SUBMIT(w, MEM_FREE, 13, f);
	ck_assert_int_eq(
		atomic_load(&((struct ctx *)obj_lookup(&w->gpu->tables, PVGPU_H_CTX, FAKE_CTX))
				     ->deferred),
		CUDA_ERROR_INVALID_VALUE);
	f.address = b + 1;
	FAKE_SUBMIT(w, MEM_FREE, 14, f);
	ck_assert_int_eq(mem_where(w->gpu, b, 100), AT_DEVICE);
	fake_close(w);
}
END_TEST

static bool all_freed(struct worker *w, void *arg)
{
	return !atomic_load(&w->gpu->mem.pending);
}

static void free_now(struct worker *w, uint32_t seq, uint64_t address)
{
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX, .address = address};

	FAKE_SUBMIT(w, MEM_FREE, seq, f);
	ck_assert(fake_until(w, all_freed, NULL));
}

/* Programs that free and at once allocate as much: neither pvgpud nor the far end is asked again.
 */
START_TEST(freed_memory_lingers)
{
	static const uint64_t sizes[] = {3u << 20, 8u << 20, 40u << 20};
	struct worker *w = fake_open(true);
	const unsigned int before = w->leases;

	w->gpu->mem.linger_ns = UINT64_MAX / 2;
	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t k = 0; k < 20; k++)
			free_now(w, 500 + 20 * i + k,
				 fake_alloc(w, 100 + 20 * i + k, FAKE_CTX, sizes[i]));
	ck_assert_uint_eq(w->leases - before, 3);
	ck_assert_uint_eq(w->leased, (4 + 8 + 40) << 20);
	/* It has a bound. */
	free_now(w, 600, fake_alloc(w, 601, FAKE_CTX, 20u << 20));
	ck_assert_uint_eq(w->leased, (4 + 8 + 40) << 20);
	fake_close(w);
}
END_TEST

static struct gpu *asked;
static uint64_t seen_free;
static CUresult (*real_unmap)(CUdeviceptr, size_t);

static CUresult ask_and_unmap(CUdeviceptr p, size_t n)
{
	seen_free = mem_free_bytes(asked);
	return real_unmap(p, n);
}

/* Memory that goes back counts as free while it does. */
START_TEST(lingering_memory_is_free)
{
	struct worker *w = fake_open(true);

	asked = w->gpu;
	real_unmap = fake_far.far.cuMemUnmap;
	w->gpu->mem.linger_ns = UINT64_MAX / 2;
	free_now(w, 500, fake_alloc(w, 100, FAKE_CTX, 4u << 20));
	ck_assert_uint_eq(mem_free_bytes(w->gpu), 4u << 20);
	fake_far.far.cuMemUnmap = ask_and_unmap;
	if (_i) {
		mem_trim(w->gpu);
	} else {
		w->gpu->mem.spare->until = 1;
		mem_linger(w->gpu);
	}
	fake_far.far.cuMemUnmap = real_unmap;
	ck_assert_uint_eq(seen_free, 4u << 20);
	ck_assert_uint_eq(mem_free_bytes(w->gpu), 0);
	fake_close(w);
}
END_TEST

/* Returns memory as another thread could at this moment, which it cannot while mem.lock is held. */
static void meanwhile(struct worker *w)
{
	uint64_t total;

	if (pthread_mutex_trylock(&w->gpu->mem.lock))
		return;
	pthread_mutex_unlock(&w->gpu->mem.lock);
	w->on_lease = NULL;
	mem_trim(w->gpu);
	mem_info(w->gpu, &seen_free, &total);
}

/* Memory counts once as it goes back: not twice when it is returned before the books say so, and
 * not at all if a question comes in two parts. */
START_TEST(memory_that_goes_back_counts_once)
{
	struct worker *w = fake_open(true);
	uint64_t left, total;

	w->gpu->mem.linger_ns = UINT64_MAX / 2;
	fake_alloc(w, 101, FAKE_CTX, 16u << 20);
	free_now(w, 500, fake_alloc(w, 100, FAKE_CTX, 4u << 20));
	seen_free = w->quota - (16u << 20);
	w->on_lease = meanwhile;
	if (_i) {
		mem_trim(w->gpu);
		left = seen_free;
	} else {
		mem_info(w->gpu, &left, &total);
		ck_assert_uint_eq(total, w->quota);
	}
	w->on_lease = NULL;
	ck_assert_uint_eq(left, w->quota - (16u << 20));
	fake_close(w);
}
END_TEST

/* The memory of a vGPU that is nearly full goes back at once. */
/* Memory that a token was for has gone with its context: the token opens no other one there. */
START_TEST(kept_memory_is_another_ones)
{
	const uint64_t second = PVGPU_HANDLE(PVGPU_H_CTX, 0, 1, 2), size = 2u << 20;
	struct pvgpu_wire_ctx_create c = {.ctx = second};
	struct pvgpu_wire_ctx_destroy d = {.ctx = second};
	struct worker *w = fake_open(true);
	uint64_t at, serial, again;

	FAKE_SUBMIT(w, CTX_CREATE, 10, c);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 10), 0);
	at = fake_alloc(w, 11, second, size);
	ck_assert_ptr_nonnull(mem_shareable(w->gpu, at, size, &serial));
	ck_assert_ptr_nonnull(mem_shared(&w->gpu->mem, at, serial));
	FAKE_SUBMIT(w, CTX_DESTROY, 12, d);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	ck_assert_uint_eq(fake_alloc(w, 13, FAKE_CTX, size), at);
	ck_assert_ptr_null(mem_shared(&w->gpu->mem, at, serial));
	ck_assert_ptr_nonnull(mem_shareable(w->gpu, at, size, &again));
	ck_assert_uint_ne(again, serial);
	fake_close(w);
}
END_TEST

START_TEST(freed_memory_that_others_may_want)
{
	struct worker *w = fake_open(true);
	const uint64_t most = fake_alloc(w, 10, FAKE_CTX, w->quota - (32u << 20));

	w->gpu->mem.linger_ns = UINT64_MAX / 2;
	free_now(w, 11, fake_alloc(w, 12, FAKE_CTX, 16u << 20));
	ck_assert_uint_eq(w->leased, w->quota - (32u << 20));
	/* And for the session's own next allocation. */
	free_now(w, 13, most);
	ck_assert_uint_eq(w->leased, 0);
	free_now(w, 14, fake_alloc(w, 15, FAKE_CTX, 48u << 20));
	ck_assert_uint_eq(w->leased, 48u << 20);
	ck_assert(fake_alloc(w, 16, FAKE_CTX, w->quota));
	fake_close(w);
}
END_TEST

START_TEST(alloc_waits_for_frees)
{
	struct worker *w = fake_open(true);
	const uint64_t a = fake_alloc(w, 10, FAKE_CTX, w->quota);
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX, .address = a};
	struct pvgpu_wire_mem_alloc m = {.ctx = FAKE_CTX, .size = w->quota};
	struct pvgpu_wire_memset set = {
		.ctx = FAKE_CTX,
		.dst = a,
		.element = 1,
		.width = 16,
		.height = 1,
	};

	ck_assert(a);
	/* No free is under way: at once. */
	FAKE_SUBMIT(w, MEM_ALLOC, 11, m);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 11), CUDA_ERROR_OUT_OF_MEMORY);
	/* A free is under way, but work still uses the memory. */
	fake_far.manual = true;
	FAKE_SUBMIT(w, MEMSET, 12, set);
	FAKE_SUBMIT(w, MEM_FREE, 13, f);
	FAKE_SUBMIT(w, MEM_ALLOC, 14, m);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 14));
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 14), 0);
	fake_close(w);
}
END_TEST

START_TEST(globals_are_known)
{
	struct worker *w = fake_open(true);
	struct gpu *g = w->gpu;
	int a, b;

	for (uint64_t i = 0; i < 100; i++)
		ck_assert_int_eq(
			global_add(g, 0x9000 + (i * 37 % 100) * 64, 32, i % 2 ? &a : &b, NULL), 0);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(mem_where(g, 0x9000 + i * 64, 32), AT_DEVICE);
		ck_assert_int_eq(mem_where(g, 0x9000 + i * 64, 33), AT_NOWHERE);
	}
	globals_remove(g, &a);
	ck_assert_uint_eq(g->mem.globals, 50);
	globals_remove(g, &b);
	ck_assert_int_eq(mem_where(g, 0x9000, 1), AT_NOWHERE);
	fake_close(w);
}
END_TEST

START_TEST(arena_ranges)
{
	struct worker *w = fake_open(true);
	struct gpu *g = w->gpu;
	const uint64_t at = w->arena_base;

	fake_chunk(w, 8192, 4096);
	fake_chunk(w, 0, 4096);
	fake_chunk(w, 4096, 4096);
	ck_assert_int_eq(mem_where(g, at, 3 * 4096), AT_ARENA);
	ck_assert_int_eq(mem_where(g, at + 1, 3 * 4096), AT_NOWHERE);
	ck_assert_int_eq(gpu_arena_remove(w, at + 4096, 8192), -ENOENT);
	ck_assert(chunks_pin(&g->arena.chunks, at + 4000, 200));
	ck_assert_int_eq(gpu_arena_remove(w, at + 4096, 4096), -EBUSY);
	chunks_unpin(&g->arena.chunks, at + 4000, 200);
	ck_assert_int_eq(gpu_arena_remove(w, at + 4096, 4096), 0);
	ck_assert_int_eq(mem_where(g, at + 4095, 2), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, at + 8192, 4096), AT_ARENA);
	fake_close(w);
}
END_TEST

static const char *failing;

static CUresult fail_one(const char *call)
{
	return failing && !strcmp(call, failing) ? CUDA_ERROR_OUT_OF_MEMORY : CUDA_SUCCESS;
}

START_TEST(far_end_fails)
{
	static const char *const calls[] = {"create", "map", "access"};
	struct worker *w = fake_open(true);

	fake_far.fail = fail_one;
	for (size_t i = 0; i < 3; i++) {
		failing = calls[i];
		ck_assert_uint_eq(fake_alloc(w, 10 + (uint32_t)i, FAKE_CTX, 4u << 20), 0);
		ck_assert_uint_eq(fake_alloc(w, 20 + (uint32_t)i, FAKE_CTX, 4), 0);
		ck_assert_uint_eq(w->leased, 0);
		ck_assert_int_eq(fake_far.physical, 0);
	}
	failing = NULL;
	ck_assert(fake_alloc(w, 30, FAKE_CTX, 4u << 20));
	fake_close(w);
}
END_TEST

/* Spare pages outlive the context that they were mapped for: their window must, too. */
START_TEST(windows_stay)
{
	struct worker *w = fake_open(true);
	struct pvgpu_wire_mem_free give_back = {.ctx = FAKE_CTX};
	struct pvgpu_wire_ctx_destroy destroy = {.ctx = FAKE_CTX};
	struct pvgpu_wire_session_windows again = {.attempt = 1};

	give_back.address = fake_alloc(w, 10, FAKE_CTX, 4);
	ck_assert(give_back.address);
	FAKE_SUBMIT(w, MEM_FREE, 11, give_back);
	FAKE_SUBMIT(w, CTX_DESTROY, 12, destroy);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 12), 0);
	FAKE_SUBMIT(w, SESSION_WINDOWS, 13, again);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 13), CUDA_ERROR_NOT_PERMITTED);
	fake_close(w);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker memory");
	TCase *t = tcase_create("memory");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, classes_cover_sizes);
	tcase_add_test(t, slab_gives_every_block_once);
	tcase_add_test(t, spans);
	tcase_add_test(t, window_keeps_guard_pages);
	tcase_add_test(t, window_fills_up);
	tcase_add_test(t, map_knows_allocations);
	tcase_add_test(t, free_gives_quota_back);
	tcase_add_test(t, freed_memory_lingers);
	tcase_add_loop_test(t, lingering_memory_is_free, 0, 2);
	tcase_add_loop_test(t, memory_that_goes_back_counts_once, 0, 2);
	tcase_add_test(t, kept_memory_is_another_ones);
	tcase_add_test(t, freed_memory_that_others_may_want);
	tcase_add_test(t, alloc_waits_for_frees);
	tcase_add_test(t, globals_are_known);
	tcase_add_test(t, arena_ranges);
	tcase_add_test(t, far_end_fails);
	tcase_add_test(t, windows_stay);
	tcase_set_timeout(t, 60);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
