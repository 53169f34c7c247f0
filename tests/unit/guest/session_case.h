/* SPDX-License-Identifier: MIT */
/* A guest's session with the fake worker, and common steps of its tests. */
#ifndef PVGPU_TEST_SESSION_CASE_H
#define PVGPU_TEST_SESSION_CASE_H

#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "link/runtime.h"
#include "tests/unit/guest/fake_worker.h"

#define COUNT(table)  (sizeof(table) / sizeof((table)[0]))
#define LOOP(test, n) tcase_add_loop_test(t, test, 0, (int)(n))

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

/* Waits, with a generous limit, for a condition that no call waits for. */
static bool comes(bool (*cond)(void))
{
	for (int i = 0; i < 20000; i++) {
		if (cond())
			return true;
		usleep(1000);
	}
	return false;
}

/* Number of marks whose fn was called. */
static atomic_uint fn_calls;
static inline void on_mark(struct pvgpu_mark *m)
{
	atomic_fetch_add(&fn_calls, 1);
}

static unsigned int wanted_commands;
static inline bool commands_come(void)
{
	return atomic_load(&fake->commands) >= wanted_commands;
}

/* n threads that run the one function or, those with odd numbers, the other; arg is the number. */
static inline void threads_start(pthread_t *t, unsigned int n, void *(*even)(void *),
				 void *(*odd)(void *))
{
	for (uintptr_t i = 0; i < n; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, i % 2 ? odd : even, (void *)i), 0);
}

static inline void threads_join(const pthread_t *t, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		pthread_join(t[i], NULL);
}

/* The main program: `add` adds the tests. */
static int run_session_tests(const char *name, void (*add)(TCase *t))
{
	Suite *suite = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_checked_fixture(t, setup, teardown);
	add(t);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}

#endif
