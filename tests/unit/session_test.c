/* SPDX-License-Identifier: MIT */
/* The guest's session runtime against a fake worker. */
#include <check.h>
#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "link/runtime.h"
#include "pvgpu_stubs.h"
#include "tests/unit/fake_worker.h"

static struct fake *fake;
static struct pvgpu_session *session;
static atomic_uint callbacks_run;
static uint64_t callback_ids[64];
static atomic_bool hold_callback;

static void on_callback(void *arg, uint64_t id, uint32_t status)
{
	while (atomic_load(&hold_callback))
		usleep(1000);
	callback_ids[atomic_load(&callbacks_run) % 64] = id;
	atomic_fetch_add(&callbacks_run, 1);
}

static const struct pvgpu_session_ops ops = {.callback = on_callback};

static void open_session(void)
{
	fake_start(fake);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 0);
}

static void close_session(void)
{
	pvgpu_session_close(session);
	fake_stop(fake);
}

static void setup(void)
{
	fake = calloc(1, sizeof(*fake));
	session = NULL;
	atomic_store(&callbacks_run, 0);
	atomic_store(&hold_callback, false);
}

static void teardown(void)
{
	free(fake);
}

static struct fake_rec rec_of(uint16_t op, uint64_t arg)
{
	return (struct fake_rec){.len = sizeof(struct fake_rec), .op = op, .arg = arg};
}

static int post(uint16_t op, uint64_t arg)
{
	const struct fake_rec rec = rec_of(op, arg);
	const struct pvgpu_piece p = {&rec, sizeof(rec)};

	return pvgpu_post(session, &p, 1);
}

static int post_mark(struct pvgpu_mark *m, uint16_t op, uint64_t arg)
{
	const struct fake_rec rec = rec_of(op, arg);
	const struct pvgpu_piece p = {&rec, sizeof(rec)};

	return pvgpu_post_mark(session, m, &p, 1);
}

static int call(uint16_t op, uint64_t arg, uint64_t *value)
{
	const struct fake_rec rec = rec_of(op, arg);
	const struct pvgpu_piece p[2] = {{&rec, 16}, {&rec.arg, 8}};
	struct {
		struct pvgpu_rep_hdr hdr;
		uint64_t value;
	} rep;
	uint32_t len;
	int r = pvgpu_call(session, p, 2, &rep, sizeof(rep), &len);

	if (value)
		*value = len == sizeof(rep) ? rep.value : ~0ull;
	return r;
}

static void echo(uint64_t n)
{
	uint64_t value;

	ck_assert_int_eq(call(FAKE_ECHO, n, &value), 0);
	ck_assert_uint_eq(value, n);
}

/* Waits with a generous limit for what no call waits for. */
static bool comes(bool (*cond)(void))
{
	for (int i = 0; i < 20000; i++) {
		if (cond())
			return true;
		usleep(1000);
	}
	return false;
}

static bool is_dead(void)
{
	return pvgpu_session_status(session) != 0;
}

static void assert_dead(void)
{
	struct pvgpu_mark m = {0};

	ck_assert_int_eq(pvgpu_session_status(session), PVGPU_DEAD_RESULT);
	ck_assert_int_eq(post(FAKE_NOP, 0), PVGPU_DEAD_RESULT);
	ck_assert_int_eq(post_mark(&m, FAKE_NOP, 0), PVGPU_DEAD_RESULT);
	ck_assert_int_eq(pvgpu_mark_wait(session, &m), PVGPU_DEAD_RESULT);
	ck_assert_int_eq(call(FAKE_ECHO, 1, NULL), PVGPU_DEAD_RESULT);
	ck_assert_ptr_null(pvgpu_arena_alloc(session, 4096, false));
}

/* ---- opening ---- */

START_TEST(opens_and_negotiates)
{
	const struct pvgpu_session_info *i;

	open_session();
	i = pvgpu_session_info(session);
	ck_assert_uint_eq(i->version, 1);
	ck_assert_uint_eq(i->device_count, 1);
	ck_assert_int_eq(i->driver_version, 13000);
	ck_assert_uint_gt(i->device_size, 0);
	/* The windows are reserved: nobody gets these addresses by chance. */
	ck_assert_ptr_ne(mmap((void *)(uintptr_t)i->arena_base, 4096, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 (void *)(uintptr_t)i->arena_base);
	close_session();
}
END_TEST

START_TEST(no_backend_is_no_device)
{
	setenv("PVGPU_SOCKET", "/nonexistent/socket", 1);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 100);
	setenv("PVGPU_SOCKET",
	       "/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	       "xxxxx"
	       "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
	       1);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 100);
	fake->refuse = true;
	fake_start(fake);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 100);
	fake_stop(fake);
}
END_TEST

/* As large as the arena window, so that a window there ends at an address that exists. */
static void *taken_range(void)
{
	return fake_addresses(64ull << 30);
}

START_TEST(taken_addresses_ask_again)
{
	fake->taken = taken_range();
	fake->conflicts = 3;
	open_session();
	ck_assert_uint_eq(atomic_load(&fake->attempts), 4);
	close_session();
}
END_TEST

START_TEST(conflict_for_ever_gives_up)
{
	fake->taken = taken_range();
	fake->conflicts = 1000;
	fake_start(fake);
	ck_assert_int_ne(pvgpu_session_open(&ops, &session), 0);
	fake_stop(fake);
	ck_assert_uint_eq(atomic_load(&fake->attempts), 65);
}
END_TEST

static const uint64_t insane[] = {4096, 0x100000000ull + 1, 1ull << 47, ~0ull - 4095,
				  0xffff800000000000ull};

START_TEST(insane_windows_refused)
{
	fake->device_base = insane[_i];
	fake_start(fake);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 100);
	fake_stop(fake);
}
END_TEST

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
	for (unsigned int i = 0; i < sizeof(t) / sizeof(t[0]); i++)
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
	/* The largest goes, over and over the end of the stream. */
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
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&t[i], NULL, call_many, (void *)i);
	for (int i = 0; i < 8; i++)
		pthread_join(t[i], NULL);
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

static unsigned int wanted_commands;
static bool commands_come(void)
{
	return atomic_load(&fake->commands) >= wanted_commands;
}

START_TEST(replies_out_of_order)
{
	pthread_t t[8];

	open_session();
	for (int round = 0; round < 50; round++) {
		wanted_commands = atomic_load(&fake->commands) + 8;
		for (uintptr_t i = 0; i < 8; i++)
			pthread_create(&t[i], NULL, call_held, (void *)i);
		ck_assert(comes(commands_come));
		echo(9); /* overtakes all of them */
		ck_assert_int_eq(post(FAKE_RELEASE, 0), 0);
		for (int i = 0; i < 8; i++)
			pthread_join(t[i], NULL);
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

static atomic_uint fn_calls;
static void on_mark(struct pvgpu_mark *m)
{
	atomic_fetch_add(&fn_calls, 1);
}

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
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, i % 2 ? call_many : mark_waiter, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	close_session();
}
END_TEST

/* ---- a full ring ---- */

static void *fill(void *arg)
{
	static char big[32768];
	struct fake_rec *rec = (struct fake_rec *)big;
	const struct pvgpu_piece p = {big, sizeof(big)};

	if (arg) {
		for (int i = 0; i < 300; i++) {
			*rec = rec_of(FAKE_NOP, 0);
			rec->len = sizeof(big);
			ck_assert_int_eq(pvgpu_post(session, &p, 1), 0);
		}
		return NULL;
	}
	for (int i = 0; i < 40000; i++) {
		struct pvgpu_mark m = {0};

		ck_assert_int_eq(post(FAKE_NOP, 0), 0);
		if (i % 1000 == 0) {
			ck_assert_int_eq(post_mark(&m, FAKE_NOP, 0), 0);
			ck_assert_int_eq(pvgpu_mark_wait(session, &m), 0);
		}
	}
	return NULL;
}

START_TEST(full_ring)
{
	pthread_t t[4];

	open_session();
	ck_assert_int_eq(post(FAKE_PAUSE, 50), 0);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, fill, i == 3 ? fake : NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
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
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, call_many, (void *)i);
	for (uint64_t i = 0; i < 500; i++) {
		ck_assert_int_eq(post_callback(i), 0);
		if (i % 5 == 0)
			echo(i);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
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

/* ---- death and lies ---- */

static void *call_till_dead(void *arg)
{
	while (call(FAKE_HOLD, 0, NULL) != PVGPU_DEAD_RESULT)
		;
	return NULL;
}

START_TEST(death_wakes_everybody)
{
	struct pvgpu_mark m = {.fn = on_mark};
	pthread_t t[4];

	open_session();
	atomic_store(&fn_calls, 0);
	ck_assert_int_eq(post_mark(&m, FAKE_HOLD_MARK, 0), 0);
	wanted_commands = atomic_load(&fake->commands) + 4;
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, call_till_dead, NULL);
	ck_assert(comes(commands_come));
	ck_assert_int_eq(call(FAKE_DIE, _i, NULL), PVGPU_DEAD_RESULT);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	ck_assert_int_eq(pvgpu_mark_wait(session, &m), PVGPU_DEAD_RESULT);
	ck_assert_uint_eq(atomic_load(&fn_calls), 1);
	assert_dead();
	close_session();
}
END_TEST

static void *post_till_dead(void *arg)
{
	while (post(FAKE_NOP, 0) != PVGPU_DEAD_RESULT)
		;
	return NULL;
}

START_TEST(death_under_load)
{
	pthread_t t[6];

	open_session();
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, i % 2 ? call_till_dead : post_till_dead, NULL);
	usleep((useconds_t)_i * 1000);
	ck_assert_int_eq(post(FAKE_DIE, _i & 1), 0);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	assert_dead();
	close_session();
}
END_TEST

START_TEST(death_noticed_when_idle)
{
	open_session();
	ck_assert_int_eq(post(FAKE_DIE, 0), 0);
	ck_assert(comes(is_dead));
	assert_dead();
	close_session();
}
END_TEST

START_TEST(lies_end_the_session)
{
	open_session();
	echo(1);
	if (_i == BAD_TWICE) /* the first of the two is good, the second is found later */
		(void)call(FAKE_BAD, _i, NULL);
	else if (_i != BAD_CMD_CONS)
		ck_assert_int_eq(call(FAKE_BAD, _i, NULL), PVGPU_DEAD_RESULT);
	else
		(void)call(FAKE_BAD, _i, NULL);
	for (int i = 0; i < 3000 && !is_dead(); i++)
		if (_i == BAD_CMD_CONS)
			(void)post(FAKE_NOP, 0);
		else
			(void)call(FAKE_ECHO, 1, NULL);
	assert_dead();
	/* The worker is none the worse for it. */
	pvgpu_session_close(session);
	fake_stop(fake);
}
END_TEST

/* ---- arena ---- */

START_TEST(arena_grows_and_shrinks)
{
	unsigned char *a, *b, *p;

	open_session();
	ck_assert_uint_eq(atomic_load(&fake->chunks), 0);
	a = pvgpu_arena_alloc(session, 100, true);
	ck_assert_ptr_nonnull(a);
	ck_assert_uint_eq((uintptr_t)a % 64, 0);
	memset(a, 1, 100);
	b = pvgpu_arena_alloc(session, 5000, true);
	ck_assert_uint_eq((uintptr_t)b % 4096, 0);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 1);
	ck_assert(pvgpu_arena_contains(session, b, 5000));
	ck_assert(pvgpu_arena_contains(session, b + 4999, 1));
	ck_assert(!pvgpu_arena_contains(session, b, 5001));
	ck_assert(!pvgpu_arena_contains(session, b - 1, 2));
	ck_assert(!pvgpu_arena_contains(session, &a, 1));

	p = pvgpu_arena_alloc(session, 64 << 20, false);
	ck_assert_ptr_nonnull(p);
	memset(p, 2, 64 << 20);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 2);
	pvgpu_arena_free(session, p);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 1); /* pinned: gone */
	ck_assert(!pvgpu_arena_contains(session, p, 1));
	pvgpu_arena_free(session, a);
	pvgpu_arena_free(session, b);
	pvgpu_arena_free(session, b); /* twice, or what was never given: nothing happens */
	pvgpu_arena_free(session, &a);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 1); /* staging: kept */
	ck_assert_ptr_eq(pvgpu_arena_alloc(session, 100, true), a);
	close_session();
}
END_TEST

START_TEST(arena_limit_holds)
{
	void *p[64];
	unsigned int n = 0;

	fake->arena_limit = 32 << 20;
	open_session();
	ck_assert_ptr_null(pvgpu_arena_alloc(session, 33 << 20, false));
	while (n < 64 && (p[n] = pvgpu_arena_alloc(session, 1 << 20, n % 2)))
		n++;
	ck_assert_uint_ge(n, 20);
	ck_assert_uint_le(n, 32);
	while (n)
		pvgpu_arena_free(session, p[--n]);
	/* Idle staging memory makes way. */
	p[0] = pvgpu_arena_alloc(session, 32 << 20, false);
	ck_assert_ptr_nonnull(p[0]);
	close_session();
}
END_TEST

START_TEST(arena_refusal_and_lie)
{
	fake->chunk_error = _i ? 0 : ENOMEM;
	fake->bad_chunk = _i;
	open_session();
	ck_assert_ptr_null(pvgpu_arena_alloc(session, 4096, true));
	if (_i)
		assert_dead();
	else
		echo(1);
	close_session();
}
END_TEST

static void *arena_churn(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	unsigned char *p[16] = {0};
	uint32_t len[16];

	for (int i = 0; i < 1500; i++) {
		const unsigned int k = (unsigned int)rand_r(&seed) % 16;

		if (p[k]) {
			ck_assert_uint_eq(p[k][0], (unsigned char)k);
			ck_assert_uint_eq(p[k][len[k] - 1], (unsigned char)k);
			pvgpu_arena_free(session, p[k]);
			p[k] = NULL;
			continue;
		}
		len[k] = (uint32_t)rand_r(&seed) % (i % 50 ? 20000 : 3000000) + 1;
		p[k] = pvgpu_arena_alloc(session, len[k], k % 2);
		ck_assert_ptr_nonnull(p[k]);
		p[k][0] = p[k][len[k] - 1] = (unsigned char)k;
	}
	for (int k = 0; k < 16; k++)
		pvgpu_arena_free(session, p[k]);
	return NULL;
}

START_TEST(arena_threads)
{
	pthread_t t[4];

	open_session();
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, arena_churn, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	close_session();
}
END_TEST

/* All of it with a request to end pending, which may only be honoured afterwards: a thread that
 * ended inside would leave locks held. */
static void *work_while_cancelled(void *steps)
{
	struct pvgpu_mark m = {0};
	void *p[2];

	pthread_cancel(pthread_self());
	p[0] = pvgpu_arena_alloc(session, 5000, true);
	++*(int *)steps;
	p[1] = pvgpu_arena_alloc(session, 64 << 20, false);
	++*(int *)steps;
	pvgpu_arena_free(session, p[1]);
	pvgpu_arena_free(session, p[0]);
	++*(int *)steps;
	call(FAKE_ECHO, 1, NULL);
	post_mark(&m, FAKE_NOP, 0);
	pvgpu_mark_wait(session, &m);
	++*(int *)steps;
	call(FAKE_DIE, 0, NULL);
	++*(int *)steps;
	return NULL;
}

START_TEST(threads_are_cancelled_outside)
{
	int steps = 0;
	pthread_t t;

	setenv("PVGPU_DEBUG", "1", 1); /* the reason of the end is printed, too */
	open_session();
	pthread_create(&t, NULL, work_while_cancelled, &steps);
	pthread_join(t, NULL);
	ck_assert_int_eq(steps, 5);
	assert_dead();
	close_session();
}
END_TEST

/* ---- handles, fork, files ---- */

START_TEST(handles_change_generation)
{
	uint64_t a, b, c;

	open_session();
	a = pvgpu_handle_new(session, PVGPU_H_STREAM, 2);
	b = pvgpu_handle_new(session, PVGPU_H_STREAM, 2);
	ck_assert_uint_eq(PVGPU_HANDLE_TYPE(a), PVGPU_H_STREAM);
	ck_assert_uint_eq(PVGPU_HANDLE_VGPU(a), 2);
	ck_assert_uint_ne(PVGPU_HANDLE_INDEX(a), PVGPU_HANDLE_INDEX(b));
	pvgpu_handle_free(session, a);
	pvgpu_handle_free(session, a);
	c = pvgpu_handle_new(session, PVGPU_H_STREAM, 2);
	ck_assert_uint_eq(PVGPU_HANDLE_INDEX(c), PVGPU_HANDLE_INDEX(a));
	ck_assert_uint_eq(PVGPU_HANDLE_GEN(c), PVGPU_HANDLE_GEN(a) + 1);
	ck_assert_uint_ne(pvgpu_handle_new(session, PVGPU_H_STREAM, 2), c);
	for (uint32_t i = 0; i < PVGPU_HANDLES_MAX; i++)
		ck_assert_uint_ne(pvgpu_handle_new(session, PVGPU_H_EVENT, 0), 0);
	ck_assert_uint_eq(pvgpu_handle_new(session, PVGPU_H_EVENT, 0), 0);
	ck_assert_uint_eq(pvgpu_handle_new(session, 0, 0), 0);
	close_session();
}
END_TEST

START_TEST(fork_leaves_the_parent_alone)
{
	int status;
	pid_t child;

	open_session();
	ck_assert_ptr_nonnull(pvgpu_arena_alloc(session, 100, true));
	child = fork();
	if (!child) {
		pvgpu_session_abandon(session);
		_exit(post(FAKE_NOP, 0) == PVGPU_DEAD_RESULT ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_int_eq(status, 0);
	echo(1);
	close_session();
}
END_TEST

static unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

START_TEST(nothing_is_left_behind)
{
	unsigned int before = open_files();

	for (int i = 0; i < 5; i++) {
		teardown();
		setup();
		open_session();
		ck_assert_ptr_nonnull(pvgpu_arena_alloc(session, 100, false));
		close_session();
	}
	ck_assert_uint_eq(open_files(), before);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *t = tcase_create("session");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, opens_and_negotiates);
	tcase_add_test(t, no_backend_is_no_device);
	tcase_add_test(t, taken_addresses_ask_again);
	tcase_add_test(t, conflict_for_ever_gives_up);
	tcase_add_loop_test(t, insane_windows_refused, 0, sizeof(insane) / sizeof(insane[0]));
	tcase_add_loop_test(t, calls_in_turn, 0, 2);
	tcase_add_test(t, results_are_checked);
	tcase_add_test(t, results_are_those_of_the_header);
	tcase_add_test(t, too_long_a_record_is_refused);
	tcase_add_loop_test(t, eight_threads, 0, 2);
	tcase_add_test(t, replies_out_of_order);
	tcase_add_test(t, signals_interrupt_nothing);
	tcase_add_test(t, marks_complete);
	tcase_add_test(t, thousands_of_marks_and_nobody_waits);
	tcase_add_test(t, threads_wait_for_marks);
	tcase_add_test(t, full_ring);
	tcase_add_test(t, callbacks_without_a_call);
	tcase_add_test(t, callbacks_between_calls);
	tcase_add_test(t, calls_go_on_while_a_callback_blocks);
	tcase_add_loop_test(t, death_wakes_everybody, 0, 2);
	tcase_add_loop_test(t, death_under_load, 0, 12);
	tcase_add_test(t, death_noticed_when_idle);
	tcase_add_loop_test(t, lies_end_the_session, 0, BADS);
	tcase_add_test(t, arena_grows_and_shrinks);
	tcase_add_test(t, arena_limit_holds);
	tcase_add_loop_test(t, arena_refusal_and_lie, 0, 2);
	tcase_add_test(t, arena_threads);
	tcase_add_test(t, threads_are_cancelled_outside);
	tcase_add_test(t, handles_change_generation);
	tcase_add_test(t, fork_leaves_the_parent_alone);
	tcase_add_test(t, nothing_is_left_behind);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
