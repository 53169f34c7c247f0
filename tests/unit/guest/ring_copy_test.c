/* SPDX-License-Identifier: MIT */
/*
 * Data copied out of shared memory is not read there again: each copy ends with pvgpu_copied(),
 * which here is the other side, overwriting everything at that moment.
 */
#include <check.h>
#include <stdlib.h>

static void overwrite(void);
#define pvgpu_copied() overwrite()

#include "ring/control.h"

static void *shared;
static size_t shared_size;
static unsigned int copies;

static void overwrite(void)
{
	copies++;
	memset(shared, 0xff, shared_size);
}

START_TEST(a_record)
{
	const size_t bytes = pvgpu_ring_bytes(PVGPU_RING_MIN, PVGPU_RING_MIN);
	struct pvgpu_ring_page *page = aligned_alloc(4096, bytes);
	struct pvgpu_ring in, out;
	uint64_t rec[2] = {sizeof(rec), 42}, buf[8] = {0};

	memset(page, 0, bytes);
	pvgpu_ring_init_producer(&out, page, PVGPU_RING_CMD, PVGPU_RING_MIN, PVGPU_RING_MIN);
	pvgpu_ring_init_consumer(&in, page, PVGPU_RING_CMD, PVGPU_RING_MIN, PVGPU_RING_MIN);
	pvgpu_ring_put(&out, 0, rec, sizeof(rec));
	pvgpu_ring_publish(&out, sizeof(rec));
	shared = (unsigned char *)page + PVGPU_RING_PAGE_SIZE;
	shared_size = 8; /* the header: the body follows with a copy of its own */
	ck_assert_int_eq(pvgpu_ring_fetch(&in, buf, sizeof(buf)), (int)sizeof(rec));
	ck_assert_uint_eq(copies, 2);
	ck_assert_uint_eq(buf[0], rec[0]);
	ck_assert_uint_eq(buf[1], rec[1]);
	free(page);
}
END_TEST

START_TEST(a_record_in_two_pieces)
{
	const size_t bytes = pvgpu_ring_bytes(PVGPU_RING_MIN, PVGPU_RING_MIN);
	struct pvgpu_ring_page *page = aligned_alloc(4096, bytes);
	unsigned char buf[64];
	struct pvgpu_ring in;

	memset(page, 0, bytes);
	pvgpu_ring_init_consumer(&in, page, PVGPU_RING_CMD, PVGPU_RING_MIN, PVGPU_RING_MIN);
	shared = (unsigned char *)page + PVGPU_RING_PAGE_SIZE;
	shared_size = PVGPU_RING_MIN;
	copies = 0;
	pvgpu_ring_get(&in, PVGPU_RING_MIN - 8, buf, sizeof(buf));
	ck_assert_uint_eq(copies, 1);
	for (size_t i = 0; i < sizeof(buf); i++)
		ck_assert_uint_eq(buf[i], 0);
	free(page);
}
END_TEST

START_TEST(a_control_message)
{
	struct pvgpu_ctl_page *page = aligned_alloc(4096, sizeof(*page));
	struct pvgpu_ctl_msg m = {.op = PVGPU_CTL_SESSION_CLOSE, .id = 3, .session = 7}, got;
	struct pvgpu_ctl front, back;

	memset(page, 0, sizeof(*page));
	pvgpu_ctl_init_front(&front, page);
	pvgpu_ctl_init_back(&back, page);
	ck_assert_int_eq(pvgpu_ctl_put(&front, &m), 0);
	shared = page;
	shared_size = sizeof(*page);
	copies = 0;
	ck_assert_int_eq(pvgpu_ctl_peek(&back, 0, &got), 1);
	ck_assert_uint_eq(copies, 1);
	ck_assert_mem_eq(&got, &m, sizeof(m));
	free(page);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring_copy");
	TCase *t = tcase_create("ring_copy");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_test(t, a_record);
	tcase_add_test(t, a_record_in_two_pieces);
	tcase_add_test(t, a_control_message);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
