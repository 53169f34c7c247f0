/* SPDX-License-Identifier: MIT */
/* Memory that the guest maps itself: what the vGPU pays, which addresses are valid, ranges beyond a
 * reservation, work under way, what a guest leaves behind. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/vmm.h"

#define MIB         (1ull << 20)
#define PAGE        (2 * MIB)
#define PHYSICAL(i) PVGPU_HANDLE(PVGPU_H_PHYSICAL, 0, 0, i)
#define ADDRESSES   PVGPU_HANDLE(PVGPU_H_RESERVATION, 0, 0, 0)

static struct worker *w;
static uint32_t seq;

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void setup(void)
{
	w = fake_open(true);
	seq = 100;
}

static void teardown(void)
{
	fake_close(w);
}

static int reserve(uint32_t i, uint64_t size, uint64_t align, uint64_t wanted, uint64_t *addr)
{
	struct pvgpu_wire_mem_reserve c = {
		.size = size, .alignment = align, .wanted = wanted, .reservation = ADDRESSES + i};
	int r;

	FAKE_SUBMIT(w, MEM_RESERVE, ++seq, c);
	r = fake_result(w, PVGPU_REP_REPLY, seq);
	memcpy(addr, fake_body(w, PVGPU_REP_REPLY, seq), sizeof(*addr));
	return r;
}

static uint64_t reserved(uint64_t size)
{
	uint64_t addr;

	ck_assert_int_eq(reserve(0, size, 0, 0, &addr), 0);
	return addr;
}

static void unreserve(uint32_t i)
{
	struct pvgpu_wire_mem_unreserve c = {.reservation = ADDRESSES + i};

	FAKE_SUBMIT(w, MEM_UNRESERVE, ++seq, c);
}

static int create(uint32_t i, uint64_t size)
{
	struct pvgpu_wire_mem_create c = {.size = size, .physical = PHYSICAL(i)};

	FAKE_SUBMIT(w, MEM_CREATE, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int release(uint32_t i)
{
	struct pvgpu_wire_mem_release c = {.physical = PHYSICAL(i)};

	FAKE_SUBMIT(w, MEM_RELEASE, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int map(uint32_t i, uint64_t offset, uint64_t size)
{
	struct pvgpu_wire_mem_map c = {
		.reservation = ADDRESSES, .physical = PHYSICAL(i), .offset = offset, .size = size};

	FAKE_SUBMIT(w, MEM_MAP, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int unmap(uint64_t offset, uint64_t size)
{
	struct pvgpu_wire_mem_unmap c = {.reservation = ADDRESSES, .offset = offset, .size = size};

	FAKE_SUBMIT(w, MEM_UNMAP, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int set_access(uint64_t offset, uint64_t size, uint32_t flags)
{
	struct pvgpu_wire_mem_access c = {
		.reservation = ADDRESSES, .offset = offset, .size = size, .flags = flags};

	FAKE_SUBMIT(w, MEM_ACCESS, ++seq, c);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static int deferred(void)
{
	struct ctx *c = obj_lookup(&w->gpu->tables, PVGPU_H_CTX, FAKE_CTX);

	return atomic_load(&c->deferred) ? atomic_load(&c->deferred)
					 : atomic_load(&w->gpu->deferred);
}

static CUresult no_create(const char *call)
{
	return strcmp(call, "create") ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

START_TEST(physical_memory_is_paid_for)
{
	w->quota = 8 * MIB;
	ck_assert_int_eq(create(0, 3 * PAGE), 0);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	ck_assert_int_eq(create(1, 2 * PAGE), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(create(2, PAGE + 4096), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(create(3, 0 - PAGE), CUDA_ERROR_OUT_OF_MEMORY);
	fake_far.fail = no_create;
	ck_assert_int_eq(create(4, PAGE), CUDA_ERROR_OUT_OF_MEMORY);
	fake_far.fail = NULL;
	ck_assert_int_eq(fake_far.physical, 1);
	ck_assert_uint_eq(w->leased, 3 * PAGE);
	ck_assert_int_eq(release(1), CUDA_ERROR_OUT_OF_MEMORY); /* it was not made */
	ck_assert_int_eq(release(0), 0);
	ck_assert_int_eq(release(0), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(fake_far.physical, 0);
}
END_TEST

START_TEST(a_mapping_holds_its_memory)
{
	reserved(8 * PAGE);
	ck_assert_int_eq(create(0, PAGE), 0);
	ck_assert_int_eq(map(0, 0, PAGE), 0);
	ck_assert_int_eq(map(0, 4 * PAGE, PAGE), 0);
	ck_assert_int_eq(release(0), 0);
	ck_assert_int_eq(map(0, 5 * PAGE, PAGE), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_uint_eq(w->leased, PAGE);
	ck_assert_int_eq(unmap(0, PAGE), 0);
	ck_assert_uint_eq(w->leased, PAGE);
	ck_assert_int_eq(unmap(4 * PAGE, PAGE), 0);
	ck_assert_uint_eq(w->leased, 0);
	ck_assert_int_eq(fake_far.mapped, 0);
}
END_TEST

/* Its handle is gone when the job comes to map it. */
START_TEST(released_before_it_is_mapped)
{
	struct pvgpu_wire_mem_map c = {
		.reservation = ADDRESSES, .physical = PHYSICAL(0), .size = PAGE};
	struct pvgpu_wire_mem_release gone = {.physical = PHYSICAL(0)};

	reserved(PAGE);
	ck_assert_int_eq(create(0, PAGE), 0);
	FAKE_SUBMIT(w, MEM_MAP, 201, c);
	FAKE_SUBMIT(w, MEM_RELEASE, 202, gone);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 201), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 202), 0);
	ck_assert_uint_eq(w->leased, PAGE);
	ck_assert_int_eq(unmap(0, PAGE), 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

START_TEST(ranges_beyond_a_reservation)
{
	static const uint64_t bad[][2] = {
		{3 * PAGE, 2 * PAGE},
		{4 * PAGE, PAGE},
		{4096, PAGE},
		{0, 4096},
		{0, 5 * PAGE},
		{~0ull - PAGE + 1, PAGE},
		{PAGE, ~0ull - PAGE + 1},
		{~0ull - 4095, 4096},
	};

	reserved(4 * PAGE);
	ck_assert_int_eq(create(0, 16 * PAGE), 0);
	ck_assert_int_eq(map(0, 0, 4 * PAGE), 0);
	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(map(0, bad[i][0], bad[i][1]), CUDA_ERROR_INVALID_VALUE);
		ck_assert_int_eq(unmap(bad[i][0], bad[i][1]), CUDA_ERROR_INVALID_VALUE);
		ck_assert_int_eq(set_access(bad[i][0], bad[i][1], 3), CUDA_ERROR_INVALID_VALUE);
	}
	ck_assert_int_eq(map(0, PAGE, PAGE), CUDA_ERROR_INVALID_VALUE); /* taken */
	ck_assert_int_eq(set_access(0, 4 * PAGE, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(set_access(0, PAGE, 3), CUDA_ERROR_INVALID_VALUE); /* a part */
	ck_assert_int_eq(unmap(PAGE, 3 * PAGE), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(unmap(0, 4 * PAGE), 0);
	ck_assert_int_eq(unmap(0, 4 * PAGE), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(create(1, PAGE), 0);
	ck_assert_int_eq(map(1, 0, 2 * PAGE), CUDA_ERROR_INVALID_VALUE); /* more than there is */
	ck_assert_int_eq(release(0), 0);
	ck_assert_int_eq(release(1), 0);
	ck_assert_int_eq(fake_far.mapped, 0);
}
END_TEST

START_TEST(addresses_are_valid_while_access_is)
{
	const uint64_t at = reserved(8 * PAGE);
	struct gpu *g = w->gpu;
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX, .address = at};

	ck_assert_int_eq(create(0, 2 * PAGE), 0);
	ck_assert_int_eq(create(1, PAGE), 0);
	ck_assert_int_eq(map(0, 0, 2 * PAGE), 0);
	ck_assert_int_eq(map(1, 2 * PAGE, PAGE), 0);
	ck_assert_int_eq(map(1, 4 * PAGE, PAGE), 0);
	ck_assert_int_eq(mem_where(g, at, 1), AT_NOWHERE);
	ck_assert_int_eq(set_access(0, 3 * PAGE, 3), 0);
	ck_assert_int_eq(set_access(4 * PAGE, PAGE, 3), 0);
	ck_assert_int_eq(mem_where(g, at, 3 * PAGE), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, at + 2 * PAGE - 1, 2), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, at, 3 * PAGE + 1), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, at, 5 * PAGE), AT_NOWHERE); /* over the gap */
	ck_assert_int_eq(mem_where(g, at + 3 * PAGE, 1), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, at, ~0ull), AT_NOWHERE);
	ck_assert_int_eq(mem_where(g, at + 5 * PAGE - 1, 2), AT_NOWHERE);
	ck_assert_int_eq(set_access(2 * PAGE, PAGE, 0), 0);
	ck_assert_int_eq(mem_where(g, at, 2 * PAGE), AT_DEVICE);
	ck_assert_int_eq(mem_where(g, at, 2 * PAGE + 1), AT_NOWHERE);
	/* It is no allocation of cuMemAlloc()'s. */
	FAKE_SUBMIT(w, MEM_FREE, ++seq, f);
	ck_assert_int_eq(deferred(), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(mem_where(g, at, 2 * PAGE), AT_DEVICE);
	ck_assert_int_eq(unmap(0, 3 * PAGE), 0);
	ck_assert_int_eq(mem_where(g, at, 1), AT_NOWHERE);
	ck_assert_int_eq(unmap(4 * PAGE, PAGE), 0);
	ck_assert_int_eq(release(0), 0);
	ck_assert_int_eq(release(1), 0);
	ck_assert_uint_eq(w->leased, 0);
}
END_TEST

/* Work that may use a mapping ends before it goes, and a request for memory waits for that. */
START_TEST(unmapping_waits_for_work)
{
	const uint64_t at = reserved(PAGE);
	struct pvgpu_wire_memset set = {
		.ctx = FAKE_CTX, .dst = at, .element = 1, .width = 64, .height = 1};
	struct pvgpu_wire_mem_unmap c = {.reservation = ADDRESSES, .size = PAGE};
	struct pvgpu_wire_mem_create more = {.size = PAGE, .physical = PHYSICAL(1)};

	w->quota = PAGE;
	ck_assert_int_eq(create(0, PAGE), 0);
	ck_assert_int_eq(map(0, 0, PAGE), 0);
	ck_assert_int_eq(set_access(0, PAGE, 3), 0);
	ck_assert_int_eq(release(0), 0);
	fake_far.manual = true;
	FAKE_SUBMIT(w, MEMSET, 201, set);
	FAKE_SUBMIT(w, MEM_UNMAP, 202, c);
	FAKE_SUBMIT(w, MEM_CREATE, 203, more);
	ck_assert_int_eq(mem_where(w->gpu, at, 64), AT_DEVICE);
	ck_assert_int_eq(fake_far.mapped, 1);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 202));
	fake_far.manual = false;
	fake_complete(-1, 100);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 202), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 203), 0);
	ck_assert_int_eq(deferred(), 0);
	ck_assert_int_eq(release(1), 0);
}
END_TEST

/* A change that waits for work holds the addresses that it is for: they are given to nobody else
 * before it has been made, nor if nothing is mapped there. */
START_TEST(a_change_that_waits_holds_its_addresses)
{
	struct pvgpu_wire_memset set = {.ctx = FAKE_CTX, .element = 1, .width = 64, .height = 1};
	struct pvgpu_wire_mem_unmap gone = {.reservation = ADDRESSES, .size = PAGE};
	struct pvgpu_wire_mem_access none = {.reservation = ADDRESSES, .size = PAGE};
	struct reservation *r;
	uint64_t at, other;

	set.dst = fake_alloc(w, 200, FAKE_CTX, PAGE);
	at = reserved(PAGE);
	fake_far.manual = true;
	FAKE_SUBMIT(w, MEMSET, 201, set);
	if (_i)
		FAKE_SUBMIT(w, MEM_ACCESS, 202, none);
	else
		FAKE_SUBMIT(w, MEM_UNMAP, 202, gone);
	unreserve(0);
	ck_assert_int_eq(deferred(), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(reserve(1, PAGE, 0, at, &other), 0);
	ck_assert_uint_ne(other, at);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 202));
	fake_far.manual = false;
	fake_complete(-1, 100);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 202), CUDA_ERROR_INVALID_VALUE);
	r = obj_lookup(&w->gpu->tables, PVGPU_H_RESERVATION, ADDRESSES);
	ck_assert_uint_eq(r->areas, 0);
	unreserve(0);
	ck_assert_ptr_null(obj_lookup(&w->gpu->tables, PVGPU_H_RESERVATION, ADDRESSES));
	ck_assert_int_eq(reserve(2, PAGE, 0, at, &other), 0);
	ck_assert_uint_eq(other, at);
}
END_TEST

START_TEST(reservations)
{
	struct window *v = &w->gpu->mem.win;
	uint64_t a, b, c;

	ck_assert_int_eq(reserve(0, 4 * PAGE, 64 * PAGE, 0, &a), 0);
	ck_assert_uint_eq(a % (64 * PAGE), 0);
	ck_assert_int_eq(reserve(1, 4 * PAGE, 0, a, &b), 0); /* taken: elsewhere */
	ck_assert(b >= a + 5 * PAGE || b + 5 * PAGE <= a);
	ck_assert_int_eq(reserve(2, PAGE, 0, a + 4 * PAGE, &c), 0); /* beside it: elsewhere */
	ck_assert_uint_ne(c, a + 4 * PAGE);
	ck_assert_int_eq(reserve(3, PAGE, 3, 0, &c), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(reserve(4, PAGE + 1, 0, 0, &c), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(reserve(5, v->size, 0, 0, &c), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(reserve(6, PAGE, 1ull << 63, 0, &c), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_int_eq(reserve(7, PAGE, v->size / 2, 0, &c), 0);
	ck_assert_int_eq(reserve(0, PAGE, 0, 0, &c), CUDA_ERROR_INVALID_HANDLE);
	unreserve(0);
	ck_assert_int_eq(deferred(), 0);
	ck_assert_int_eq(reserve(8, 4 * PAGE, 0, a, &c), 0);
	ck_assert_uint_eq(c, a);
	/* No address, the window's edges. */
	ck_assert_int_eq(reserve(9, PAGE, 0, v->base, &c), 0);
	ck_assert_uint_ne(c, v->base);
	ck_assert_int_eq(reserve(10, PAGE, 0, v->base + v->size - PAGE, &c), 0);
	ck_assert_uint_ne(c, v->base + v->size - PAGE);
	ck_assert_int_eq(reserve(11, PAGE, 0, ~0ull - PAGE + 1, &c), 0);
	ck_assert_int_eq(reserve(12, PAGE, 0, v->base + v->size - 2 * PAGE, &c), 0);
	ck_assert_uint_eq(c, v->base + v->size - 2 * PAGE);
}
END_TEST

START_TEST(a_reservation_in_use_stays)
{
	const uint64_t at = reserved(2 * PAGE);
	uint64_t other;

	ck_assert_int_eq(create(0, PAGE), 0);
	ck_assert_int_eq(map(0, PAGE, PAGE), 0);
	unreserve(0);
	ck_assert_int_eq(deferred(), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(reserve(1, PAGE, 0, at, &other), 0);
	ck_assert_uint_ne(other, at);
	ck_assert_int_eq(unmap(PAGE, PAGE), 0);
	unreserve(0);
	ck_assert_int_eq(reserve(2, PAGE, 0, at, &other), 0);
	ck_assert_uint_eq(other, at);
	ck_assert_int_eq(release(0), 0);
}
END_TEST

/* Handles and mappings that nobody undoes: fake_close() wants all of it gone. */
START_TEST(left_behind)
{
	reserved(8 * PAGE);
	ck_assert_int_eq(create(0, PAGE), 0);
	ck_assert_int_eq(create(1, 3 * PAGE), 0);
	ck_assert_int_eq(create(2, PAGE), 0);
	ck_assert_int_eq(map(0, PAGE, PAGE), 0);
	ck_assert_int_eq(map(1, 4 * PAGE, 3 * PAGE), 0);
	ck_assert_int_eq(set_access(4 * PAGE, 3 * PAGE, 3), 0);
	ck_assert_int_eq(release(1), 0);
	ck_assert(fake_until(w, no_jobs, NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_vmm");
	TCase *t = tcase_create("all");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, physical_memory_is_paid_for);
	tcase_add_test(t, a_mapping_holds_its_memory);
	tcase_add_test(t, released_before_it_is_mapped);
	tcase_add_test(t, ranges_beyond_a_reservation);
	tcase_add_test(t, addresses_are_valid_while_access_is);
	tcase_add_test(t, unmapping_waits_for_work);
	tcase_add_loop_test(t, a_change_that_waits_holds_its_addresses, 0, 2);
	tcase_add_test(t, reservations);
	tcase_add_test(t, a_reservation_in_use_stays);
	tcase_add_test(t, left_behind);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
