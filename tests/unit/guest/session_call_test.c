/* SPDX-License-Identifier: MIT */
/* The guest's session runtime against a fake worker: calls, posted commands, marks, callbacks. */
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>

#include "pvgpu_stubs.h"
#include "tests/unit/guest/session_case.h"

/* ---- calls ---- */

START_TEST(calls_in_turn)
{
	fake->polls = _i;
	open_session();
	for (uint64_t i = 0; i < 2000; i++)
		echo(i);
	close_session();
}
END_TEST

START_TEST(results_are_checked)
{
	static const struct {
		uint64_t sent;
		int got;
	} t[] = {{0, 0},       {1, 1},   {700, 700},        {999, 999},
		 {12345, 999}, {9, 999}, {0xffffffff, 999}, {0x80000000, 999}};

	open_session();
	for (unsigned int i = 0; i < COUNT(t); i++)
		ck_assert_int_eq(call(FAKE_RESULT, t[i].sent, NULL), t[i].got);
	close_session();
}
END_TEST

/* The ranges in results.c and the driver API's header name the same numbers. */
START_TEST(results_are_those_of_the_header)
{
	FILE *f = fopen("libpvgpu/cuda/include/pvgpu_cuda_result.h", "r");
	bool known[1000] = {0};
	char line[256];
	int value;

	if (!f)
		ck_abort_msg("run this in the top folder");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " CUDA_%*[A-Z0-9_] = %d,", &value) == 1 && value < 1000)
			known[value] = true;
	fclose(f);
	ck_assert(known[0] && known[999]);
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(pvgpu_result_check(i), known[i] ? i : 999);
	ck_assert_int_eq(pvgpu_result_check(-1), 999);
	ck_assert_int_eq(pvgpu_result_check(1000), 999);
	/* A library's status comes with its own commands alone. */
	ck_assert_int_eq(pvgpu_result_of(1, PVGPU_STATUS(1, 8)), PVGPU_STATUS(1, 8));
	ck_assert_int_eq(pvgpu_result_of(1, PVGPU_STATUS(2, 8)), 999);
	ck_assert_int_eq(pvgpu_result_of(1, 1 << 16), 999);
	ck_assert_int_eq(pvgpu_result_of(1, 400), 400);
	ck_assert_int_eq(pvgpu_result_of(0, PVGPU_STATUS(1, 8)), 999);
}
END_TEST

START_TEST(too_long_a_record_is_refused)
{
	static char big[PVGPU_CMD_MAX + 8];
	struct fake_rec *rec = (struct fake_rec *)big;
	struct pvgpu_piece p = {big, sizeof(big)};

	open_session();
	*rec = rec_of(FAKE_NOP, 0);
	rec->len = sizeof(big);
	ck_assert_int_eq(pvgpu_post(session, &p, 1), 1);
	p.len = 20;
	rec->len = 20;
	ck_assert_int_eq(pvgpu_post(session, &p, 1), 1);
	/* The largest record is accepted, repeatedly, across the end of the stream. */
	p.len = rec->len = PVGPU_CMD_MAX;
	for (int i = 0; i < 200; i++)
		ck_assert_int_eq(pvgpu_post(session, &p, 1), 0);
	echo(1);
	close_session();
}
END_TEST

static void *call_many(void *arg)
{
	const uint64_t base = (uintptr_t)arg << 32;

	for (uint64_t i = 0; i < 1500; i++) {
		echo(base + i);
		if (i % 7 == 0)
			ck_assert_int_eq(post(FAKE_NOP, 0), 0);
	}
	return NULL;
}

START_TEST(eight_threads)
{
	pthread_t t[8];

	fake->polls = _i;
	open_session();
	threads_start(t, 8, call_many, call_many);
	threads_join(t, 8);
	close_session();
}
END_TEST

static void *call_held(void *arg)
{
	uint64_t value;
	uint64_t n = (uintptr_t)arg;

	ck_assert_int_eq(call(FAKE_HOLD, n, &value), 0);
	ck_assert_uint_eq(value, n);
	return NULL;
}

START_TEST(replies_out_of_order)
{
	pthread_t t[8];

	open_session();
	for (int round = 0; round < 50; round++) {
		wanted_commands = atomic_load(&fake->commands) + 8;
		threads_start(t, 8, call_held, call_held);
		ck_assert(comes(commands_come));
		echo(9); /* overtakes all of them */
		ck_assert_int_eq(post(FAKE_RELEASE, 0), 0);
		threads_join(t, 8);
	}
	close_session();
}
END_TEST

static void on_alarm(int sig)
{
}

START_TEST(signals_interrupt_nothing)
{
	const struct sigaction sa = {.sa_handler = on_alarm}; /* no SA_RESTART */
	const struct itimerval often = {{0, 200}, {0, 200}}, never = {0};

	open_session();
	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	for (uint64_t i = 0; i < 3000; i++)
		echo(i);
	setitimer(ITIMER_REAL, &never, NULL);
	close_session();
}
END_TEST

/* ---- marks ---- */

START_TEST(marks_complete)
{
	struct pvgpu_mark m[16] = {0};

	open_session();
	atomic_store(&fn_calls, 0);
	for (int i = 0; i < 16; i++) {
		m[i].fn = i % 2 ? on_mark : NULL;
		ck_assert_int_eq(post_mark(&m[i], FAKE_HOLD_MARK, i == 3 ? 700 : 0), 0);
	}
	echo(1);
	ck_assert(!pvgpu_mark_poll(session, &m[0]));
	ck_assert_int_eq(post(FAKE_RELEASE, 0), 0);
	ck_assert_int_eq(pvgpu_mark_wait(session, &m[0]), 0); /* the last to come */
	for (int i = 0; i < 16; i++) {
		ck_assert(pvgpu_mark_poll(session, &m[i]));
		ck_assert_int_eq(pvgpu_mark_wait(session, &m[i]), i == 3 ? 700 : 0);
	}
	ck_assert_uint_eq(atomic_load(&fn_calls), 8);
	close_session();
}
END_TEST

static bool mark_is_there(void)
{
	struct pvgpu_ring_page *p = session->link->page;

	return pvgpu_load(&p->rep_prod.v) != pvgpu_load(&p->rep_cons.v);
}

/* An end that the ring page tells of is known when the marks before it are done, and while no
 * context has had a fault. */
START_TEST(ends_in_the_ring_page)
{
	struct pvgpu_ring_page *p;
	struct pvgpu_mark m = {0};
	uint64_t number;

	open_session();
	p = session->link->page;
	echo(1);
	pvgpu_store(&p->ended[40], (uint64_t)10);
	ck_assert(!pvgpu_ended(session, 40, 10)); /* this worker does not tell */
	session->info.features = PVGPU_FEATURE_ENDED;
	ck_assert(pvgpu_ended(session, 40, 10));
	ck_assert(!pvgpu_ended(session, 40, 11));
	ck_assert(!pvgpu_ended(session, 41, 1));
	ck_assert(!pvgpu_ended(session, PVGPU_ENDED_SLOTS, 1));
	ck_assert(!pvgpu_ended(session, UINT32_MAX, 1));
	/* A mark that nobody has taken yet. */
	ck_assert_int_eq(post_mark(&m, FAKE_NOP, 0), 0);
	number = pvgpu_posted();
	ck_assert_uint_eq(pvgpu_worked(session), number);
	ck_assert(comes(mark_is_there));
	pvgpu_store(&p->ended[40], number);
	ck_assert(pvgpu_ended(session, 40, number));
	ck_assert(m.done);
	echo(2);
	ck_assert_uint_eq(pvgpu_worked(session), number);
	ck_assert_uint_eq(pvgpu_posted(), number + 1);
	pvgpu_store(&p->faults.v, 1u);
	ck_assert(!pvgpu_ended(session, 40, number));
	ck_assert(!pvgpu_sound(session));
	pvgpu_store(&p->faults.v, 0u);
	ck_assert(pvgpu_sound(session));
	close_session();
}
END_TEST

START_TEST(slots_of_streams)
{
	ck_assert_uint_eq(pvgpu_slot(PVGPU_HANDLE(PVGPU_H_CTX, 0, 7, 3)), 3);
	ck_assert_uint_eq(pvgpu_slot(PVGPU_HANDLE(PVGPU_H_STREAM, 0, 7, 3)), 35);
	ck_assert_uint_eq(pvgpu_slot(PVGPU_HANDLE(PVGPU_H_STREAM, 0, 7, 351)), 383);
	ck_assert_uint_ge(pvgpu_slot(PVGPU_HANDLE(PVGPU_H_STREAM, 0, 7, 352)), PVGPU_ENDED_SLOTS);
	ck_assert_uint_ge(pvgpu_slot(PVGPU_HANDLE(PVGPU_H_CTX, 0, 7, 32)), PVGPU_ENDED_SLOTS);
}
END_TEST

START_TEST(thousands_of_marks_and_nobody_waits)
{
	struct pvgpu_mark *m = calloc(20000, sizeof(*m));

	open_session();
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(post_mark(&m[i], FAKE_NOP, 0), 0);
	for (int i = 0; i < 20000; i++)
		ck_assert_int_eq(pvgpu_mark_wait(session, &m[i]), 0);
	close_session();
	free(m);
}
END_TEST

static void *mark_waiter(void *arg)
{
	for (int i = 0; i < 1000; i++) {
		struct pvgpu_mark m = {.fn = i % 3 ? NULL : on_mark};

		ck_assert_int_eq(post_mark(&m, FAKE_NOP, 0), 0);
		ck_assert_int_eq(pvgpu_mark_wait(session, &m), 0);
	}
	return NULL;
}

START_TEST(threads_wait_for_marks)
{
	pthread_t t[4];

	open_session();
	threads_start(t, 4, mark_waiter, call_many);
	threads_join(t, 4);
	close_session();
}
END_TEST

/* ---- a full ring ---- */

static void fill_with_large(void)
{
	static char big[32768];
	struct fake_rec *rec = (struct fake_rec *)big;
	const struct pvgpu_piece p = {big, sizeof(big)};

	for (int i = 0; i < 300; i++) {
		*rec = rec_of(FAKE_NOP, 0);
		rec->len = sizeof(big);
		ck_assert_int_eq(pvgpu_post(session, &p, 1), 0);
	}
}

static void fill_with_small(void)
{
	for (int i = 0; i < 40000; i++) {
		struct pvgpu_mark m = {0};

		ck_assert_int_eq(post(FAKE_NOP, 0), 0);
		if (i % 1000 == 0) {
			ck_assert_int_eq(post_mark(&m, FAKE_NOP, 0), 0);
			ck_assert_int_eq(pvgpu_mark_wait(session, &m), 0);
		}
	}
}

static void *fill(void *number)
{
	if ((uintptr_t)number == 3)
		fill_with_large();
	else
		fill_with_small();
	return NULL;
}

START_TEST(full_ring)
{
	pthread_t t[4];

	open_session();
	ck_assert_int_eq(post(FAKE_PAUSE, 50), 0);
	threads_start(t, 4, fill, fill);
	threads_join(t, 4);
	echo(1);
	close_session();
}
END_TEST

/* ---- callbacks ---- */

static int post_callback(uint64_t id)
{
	const struct pvgpu_wire_host_func rec = {
		.hdr = {.len = sizeof(rec), .op = PVGPU_OP_HOST_FUNC}, .id = id};
	const struct pvgpu_piece p = {&rec, sizeof(rec)};

	return pvgpu_post(session, &p, 1);
}

static unsigned int wanted_callbacks;
static bool callbacks_come(void)
{
	return atomic_load(&callbacks_run) >= wanted_callbacks &&
	       pvgpu_load(&session->link->page->cb_done.v) == wanted_callbacks;
}

START_TEST(callbacks_without_a_call)
{
	open_session();
	for (uint64_t i = 0; i < 40; i++) {
		wanted_callbacks = (unsigned int)i + 1;
		ck_assert_int_eq(post_callback(100 + i), 0);
		if (i < 20)
			ck_assert(comes(callbacks_come));
	}
	ck_assert(comes(callbacks_come));
	for (uint64_t i = 0; i < 40; i++)
		ck_assert_uint_eq(callback_ids[i], 100 + i);
	close_session();
	ck_assert_uint_eq(atomic_load(&fake->cb_done), 40);
}
END_TEST

START_TEST(callbacks_between_calls)
{
	pthread_t t[4];

	open_session();
	threads_start(t, 4, call_many, call_many);
	for (uint64_t i = 0; i < 500; i++) {
		ck_assert_int_eq(post_callback(i), 0);
		if (i % 5 == 0)
			echo(i);
	}
	threads_join(t, 4);
	wanted_callbacks = 500;
	ck_assert(comes(callbacks_come));
	close_session();
}
END_TEST

START_TEST(calls_go_on_while_a_callback_blocks)
{
	open_session();
	atomic_store(&hold_callback, true);
	for (uint64_t i = 0; i < 100; i++) {
		ck_assert_int_eq(post_callback(i), 0);
		echo(i);
	}
	ck_assert_uint_eq(atomic_load(&callbacks_run), 0);
	atomic_store(&hold_callback, false);
	wanted_callbacks = 100;
	ck_assert(comes(callbacks_come));
	close_session();
}
END_TEST

static void add(TCase *t)
{
	LOOP(calls_in_turn, 2);
	tcase_add_test(t, results_are_checked);
	tcase_add_test(t, results_are_those_of_the_header);
	tcase_add_test(t, too_long_a_record_is_refused);
	LOOP(eight_threads, 2);
	tcase_add_test(t, replies_out_of_order);
	tcase_add_test(t, signals_interrupt_nothing);
	tcase_add_test(t, marks_complete);
	tcase_add_test(t, ends_in_the_ring_page);
	tcase_add_test(t, slots_of_streams);
	tcase_add_test(t, thousands_of_marks_and_nobody_waits);
	tcase_add_test(t, threads_wait_for_marks);
	tcase_add_test(t, full_ring);
	tcase_add_test(t, callbacks_without_a_call);
	tcase_add_test(t, callbacks_between_calls);
	tcase_add_test(t, calls_go_on_while_a_callback_blocks);
}

int main(void)
{
	return run_session_tests("session_call", add);
}
