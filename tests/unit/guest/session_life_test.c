/* SPDX-License-Identifier: MIT */
/* The guest's session runtime against a fake worker: a session's opening, memory, handles, end. */
#include <sys/mman.h>
#include <sys/wait.h>

#include "tests/unit/open_files.h"
#include "tests/unit/guest/session_case.h"

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
	/* The windows are reserved: mmap() does not return their addresses. */
	ck_assert_ptr_ne(mmap((void *)(uintptr_t)i->arena_base, 4096, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 (void *)(uintptr_t)i->arena_base);
	close_session();
}
END_TEST

/* cuInit's result must be the one of a machine without a device. */
static void not_opened(void)
{
	fake_start(fake);
	ck_assert_int_eq(pvgpu_session_open(&ops, &session), 100);
	fake_stop(fake);
}

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
	not_opened();
}
END_TEST

/* A range as large as the arena window, so that a window placed there has valid addresses. */
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
	not_opened();
}
END_TEST

/* ---- a worker that dies or misbehaves ---- */

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
	threads_start(t, 4, call_till_dead, call_till_dead);
	ck_assert(comes(commands_come));
	ck_assert_int_eq(call(FAKE_DIE, _i, NULL), PVGPU_DEAD_RESULT);
	threads_join(t, 4);
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
	threads_start(t, 6, post_till_dead, call_till_dead);
	usleep((useconds_t)_i * 1000);
	ck_assert_int_eq(post(FAKE_DIE, _i & 1), 0);
	threads_join(t, 6);
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
	int result;

	open_session();
	echo(1);
	result = call(FAKE_BAD, _i, NULL);
	/* These are detected later: the first of two replies is valid. */
	if (_i != BAD_TWICE && _i != BAD_CMD_CONS)
		ck_assert_int_eq(result, PVGPU_DEAD_RESULT);
	for (int i = 0; i < 3000 && !is_dead(); i++)
		if (_i == BAD_CMD_CONS)
			(void)post(FAKE_NOP, 0);
		else
			(void)call(FAKE_ECHO, 1, NULL);
	assert_dead();
	/* The worker is not affected. */
	close_session();
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

	p = pvgpu_arena_alloc(session, 64 << 20, false);
	ck_assert_ptr_nonnull(p);
	memset(p, 2, 64 << 20);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 2);
	pvgpu_arena_free(session, p);
	ck_assert_uint_eq(atomic_load(&fake->chunks), 1); /* pinned: gone */
	pvgpu_arena_free(session, a);
	pvgpu_arena_free(session, b);
	pvgpu_arena_free(session, b); /* a second free, or one of other memory, has no effect */
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
	/* Idle staging memory is given back first. */
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
	threads_start(t, 4, arena_churn, arena_churn);
	threads_join(t, 4);
	close_session();
}
END_TEST

/* All calls with a cancellation pending, which may take effect only afterwards: a thread that ended
 * inside would leave locks held. */
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

static void add(TCase *t)
{
	tcase_add_test(t, opens_and_negotiates);
	tcase_add_test(t, no_backend_is_no_device);
	tcase_add_test(t, taken_addresses_ask_again);
	tcase_add_test(t, conflict_for_ever_gives_up);
	LOOP(insane_windows_refused, COUNT(insane));
	LOOP(death_wakes_everybody, 2);
	LOOP(death_under_load, 12);
	tcase_add_test(t, death_noticed_when_idle);
	LOOP(lies_end_the_session, BADS);
	tcase_add_test(t, arena_grows_and_shrinks);
	tcase_add_test(t, arena_limit_holds);
	LOOP(arena_refusal_and_lie, 2);
	tcase_add_test(t, arena_threads);
	tcase_add_test(t, threads_are_cancelled_outside);
	tcase_add_test(t, handles_change_generation);
	tcase_add_test(t, fork_leaves_the_parent_alone);
	tcase_add_test(t, nothing_is_left_behind);
}

int main(void)
{
	return run_session_tests("session_life", add);
}
