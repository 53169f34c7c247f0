/* SPDX-License-Identifier: MIT */
/* The ring on one thread: positions, bounds, records, flags, and a hostile peer. */
#include <check.h>
#include <stdlib.h>

#include "ring/poll.h"
#include "ring/ring.h"

enum { SIZE = 65536, RECORD_MAX = 40 << 10 };

static struct pvgpu_ring_page *page;
static struct pvgpu_ring prod, cons;
static unsigned char *in, *out;

/* Both ends, with all indices at `at`. */
static void start(enum pvgpu_ring_stream which, uint32_t at)
{
	const uint32_t cmd = which == PVGPU_RING_CMD ? SIZE : 2 * SIZE;
	const uint32_t rep = which == PVGPU_RING_REP ? SIZE : 2 * SIZE;

	memset(page, 0, PVGPU_RING_PAGE_SIZE);
	pvgpu_ring_format(page, cmd, rep);
	pvgpu_ring_init_producer(&prod, page, which, cmd, rep);
	pvgpu_ring_init_consumer(&cons, page, which, cmd, rep);
	*prod.own_word = *cons.own_word = at;
	prod.own = prod.published = prod.peer = cons.own = cons.published = cons.peer = at;
}

static void setup(void)
{
	page = aligned_alloc(4096, pvgpu_ring_bytes(2 * SIZE, 2 * SIZE));
	in = malloc(SIZE);
	out = aligned_alloc(8, SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		in[i] = (unsigned char)(i * 7 + (i >> 8));
}

static void teardown(void)
{
	free(page);
	free(in);
	free(out);
}

static void put_record(uint32_t len)
{
	memcpy(in, &len, sizeof(len));
	ck_assert_int_eq(pvgpu_ring_has_space(&prod, len), 1);
	pvgpu_ring_put(&prod, 0, in, len);
	pvgpu_ring_publish(&prod, len);
}

static void get_record(uint32_t len)
{
	memset(out, 0xee, SIZE);
	ck_assert_int_eq(pvgpu_ring_fetch(&cons, out, RECORD_MAX), (int)len);
	ck_assert_mem_eq(out, in, len);
	ck_assert_uint_eq(out[len], 0xee);
	pvgpu_ring_consume(&cons, len);
}

START_TEST(layout)
{
	ck_assert_uint_eq(offsetof(struct pvgpu_ring_page, cmd_prod), 64);
	ck_assert_uint_eq(offsetof(struct pvgpu_ring_page, rep_waiting), 512);
	ck_assert_uint_eq(offsetof(struct pvgpu_ring_page, cb_done), 576);
	ck_assert_uint_eq(sizeof(struct pvgpu_ring_word), 64);
	ck_assert(pvgpu_ring_size_ok(PVGPU_RING_CMD_DEFAULT));
	ck_assert(pvgpu_ring_size_ok(PVGPU_RING_MIN) && pvgpu_ring_size_ok(PVGPU_RING_MAX));
	ck_assert(!pvgpu_ring_size_ok(0) && !pvgpu_ring_size_ok(PVGPU_RING_MIN / 2));
	ck_assert(!pvgpu_ring_size_ok(PVGPU_RING_MAX * 2) && !pvgpu_ring_size_ok(100000));
}
END_TEST

/* Streams do not overlap: writing all bytes of one does not change the other. */
START_TEST(streams_are_apart)
{
	struct pvgpu_ring other;

	start(PVGPU_RING_CMD, 0);
	pvgpu_ring_init_producer(&other, page, PVGPU_RING_REP, SIZE, 2 * SIZE);
	memset(other.data, 0x55, 2 * SIZE);
	pvgpu_ring_put(&prod, 0, in, SIZE);
	pvgpu_ring_get(&cons, 0, out, SIZE);
	ck_assert_mem_eq(out, in, SIZE);
	for (unsigned int i = 0; i < 2 * SIZE; i++)
		ck_assert_uint_eq(other.data[i], 0x55);
}
END_TEST

static const uint32_t starts[] = {0, SIZE - 8, SIZE - 1000, 0u - 8, 0u - 4096, 0x80000000u - 16};

START_TEST(every_record_size)
{
	start(_i % 2 ? PVGPU_RING_CMD : PVGPU_RING_REP, starts[_i]);
	for (uint32_t len = 16; len <= RECORD_MAX; len += len < 2048 ? 8 : 200) {
		put_record(len);
		get_record(len);
		ck_assert_int_eq(pvgpu_ring_fetch(&cons, out, RECORD_MAX), 0);
	}
}
END_TEST

START_TEST(pieces_join_over_the_end)
{
	for (uint32_t at = SIZE - 64; at < SIZE + 8; at += 8) {
		uint32_t len = 64;

		start(PVGPU_RING_CMD, at);
		memcpy(in, &len, sizeof(len));
		for (uint32_t off = 0; off < 64; off += 16)
			pvgpu_ring_put(&prod, off, in + off, 16);
		pvgpu_ring_publish(&prod, 64);
		get_record(64);
	}
}
END_TEST

START_TEST(full_and_empty)
{
	start(PVGPU_RING_CMD, 0u - 1024);
	ck_assert_int_eq(pvgpu_ring_space(&prod), SIZE);
	ck_assert_int_eq(pvgpu_ring_avail(&cons), 0);
	for (int i = 0; i < SIZE / 1024; i++)
		put_record(1024);
	ck_assert_int_eq(pvgpu_ring_space(&prod), 0);
	ck_assert_int_eq(pvgpu_ring_has_space(&prod, 8), 0);
	ck_assert_int_eq(pvgpu_ring_avail(&cons), SIZE);
	get_record(1024);
	/* Freed space is published in batches, or by a flush. */
	ck_assert_int_eq(pvgpu_ring_space(&prod), 0);
	pvgpu_ring_flush(&cons);
	ck_assert_int_eq(pvgpu_ring_space(&prod), 1024);
	for (int i = 0; i < 8; i++)
		get_record(1024);
	ck_assert_int_eq(pvgpu_ring_space(&prod), 9 * 1024);
}
END_TEST

START_TEST(doorbells_only_when_asked_for)
{
	start(PVGPU_RING_CMD, 0);
	ck_assert(!pvgpu_ring_publish(&prod, 16));
	ck_assert_int_eq(pvgpu_ring_avail(&cons), 16);
	pvgpu_ring_consume(&cons, 16);
	ck_assert(!pvgpu_ring_flush(&cons));
	ck_assert(!pvgpu_ring_flush(&cons));

	ck_assert(pvgpu_ring_sleep_begin(&cons));
	ck_assert(pvgpu_ring_publish(&prod, 16));
	ck_assert(!pvgpu_ring_publish(&prod, 16)); /* once */
	ck_assert(!pvgpu_ring_sleep_begin(&cons)); /* there is something */
	pvgpu_ring_sleep_end(&cons);
	ck_assert(!pvgpu_ring_publish(&prod, 16));

	ck_assert(!pvgpu_ring_wait_begin(&prod, 16)); /* there is space */
	ck_assert(pvgpu_ring_wait_begin(&prod, SIZE));
	ck_assert_int_gt(pvgpu_ring_avail(&cons), 0);
	pvgpu_ring_consume(&cons, 48);
	ck_assert(pvgpu_ring_flush(&cons));
	ck_assert(!pvgpu_ring_flush(&cons));
	pvgpu_ring_wait_end(&prod);
	/* Consuming a whole batch publishes the index without a flush. */
	ck_assert_int_eq(pvgpu_ring_has_space(&prod, SIZE), 1);
	ck_assert(!pvgpu_ring_publish(&prod, SIZE));
	ck_assert(pvgpu_ring_wait_begin(&prod, 8));
	ck_assert_int_eq(pvgpu_ring_avail(&cons), SIZE);
	ck_assert(!pvgpu_ring_consume(&cons, 8));
	ck_assert(pvgpu_ring_consume(&cons, SIZE / 8));
}
END_TEST

/* ---- a hostile peer ---- */

START_TEST(hostile_consumer)
{
	static const uint32_t cons_lies[] = {1, 8, SIZE, 0x80000000u, 0u - SIZE - 8, 0u - SIZE * 2};

	for (unsigned int i = 0; i < sizeof(cons_lies) / sizeof(cons_lies[0]); i++) {
		start(PVGPU_RING_CMD, 0);
		*prod.peer_word = cons_lies[i];
		ck_assert_int_eq(pvgpu_ring_space(&prod), -EPROTO);
		prod.peer = 0u - SIZE; /* seems full, so that the shared index is read */
		ck_assert_int_eq(pvgpu_ring_has_space(&prod, 16), -EPROTO);
		ck_assert(!pvgpu_ring_wait_begin(&prod, 16)); /* no sleep on a lie */
	}
}
END_TEST

START_TEST(hostile_producer)
{
	static const uint32_t prod_lies[] = {SIZE + 1, SIZE + 8, 0x80000000u, 0u - 8, 0u - 1};

	for (unsigned int i = 0; i < sizeof(prod_lies) / sizeof(prod_lies[0]); i++) {
		start(PVGPU_RING_REP, 0);
		*cons.peer_word = prod_lies[i];
		ck_assert_int_eq(pvgpu_ring_avail(&cons), -EPROTO);
		ck_assert_int_eq(pvgpu_ring_fetch(&cons, out, RECORD_MAX), -EPROTO);
		ck_assert(!pvgpu_ring_sleep_begin(&cons));
	}
	start(PVGPU_RING_REP, 0);
	pvgpu_ring_publish(&prod, 64);
	ck_assert_int_eq(pvgpu_ring_avail(&cons), 64);
	*cons.peer_word = 32; /* the index steps back */
	ck_assert_int_eq(pvgpu_ring_avail(&cons), -EPROTO);
}
END_TEST

START_TEST(hostile_lengths)
{
	static const uint32_t lens[] = {
		0, 1, 8, 15, 17, 20, 63, 72, RECORD_MAX + 8, 0x80000010u, 0xffffffffu, 0xfffffff8u};

	for (unsigned int i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		start(PVGPU_RING_CMD, SIZE - 8);
		pvgpu_ring_put(&prod, 0, &lens[i], sizeof(lens[i]));
		pvgpu_ring_publish(&prod, 64);
		ck_assert_int_eq(pvgpu_ring_fetch(&cons, out, RECORD_MAX), -EPROTO);
	}
	for (uint32_t fill = 1; fill < 16; fill++) { /* less than a header */
		start(PVGPU_RING_CMD, 0);
		pvgpu_ring_publish(&prod, fill);
		ck_assert_int_eq(pvgpu_ring_fetch(&cons, out, RECORD_MAX), -EPROTO);
	}
}
END_TEST

/* ---- polling ---- */

static unsigned int asked, ready_at;
static bool ready(void *arg)
{
	return ++asked >= ready_at;
}

static bool polled(struct pvgpu_poll *p, unsigned int at)
{
	asked = 0;
	ready_at = at;
	return pvgpu_poll(p, ready, NULL);
}

START_TEST(polling_adapts)
{
	struct pvgpu_poll p;

	setenv("PVGPU_POLL_ITERATIONS", "1000", 1);
	pvgpu_poll_init(&p, PVGPU_POLL_NS);
	ck_assert_uint_eq(p.max, 1000);
	for (int i = 0; i < 50; i++)
		ck_assert(polled(&p, 100));
	ck_assert(!polled(&p, 100000));
	ck_assert_uint_gt(asked, 900); /* polling that succeeds becomes long */
	for (int i = 0; i < 50; i++) {
		if (!polled(&p, 100000))
			pvgpu_poll_slept(&p, 10 * PVGPU_POLL_NS);
	}
	ck_assert(!polled(&p, 100000));
	ck_assert_uint_eq(asked, 1); /* polling that fails is given up */
	for (int i = 0; i < 50; i++)
		pvgpu_poll_slept(&p, PVGPU_POLL_NS / 2); /* polling would suffice again */
	ck_assert(polled(&p, 100));

	setenv("PVGPU_POLL_ITERATIONS", "0", 1);
	pvgpu_poll_init(&p, PVGPU_POLL_NS);
	ck_assert(!polled(&p, 2));
	ck_assert(polled(&p, 1));
	unsetenv("PVGPU_POLL_ITERATIONS");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ring");
	TCase *t = tcase_create("ring");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, layout);
	tcase_add_test(t, streams_are_apart);
	tcase_add_loop_test(t, every_record_size, 0, sizeof(starts) / sizeof(starts[0]));
	tcase_add_test(t, pieces_join_over_the_end);
	tcase_add_test(t, full_and_empty);
	tcase_add_test(t, doorbells_only_when_asked_for);
	tcase_add_test(t, hostile_consumer);
	tcase_add_test(t, hostile_producer);
	tcase_add_test(t, hostile_lengths);
	tcase_add_test(t, polling_adapts);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
