/* SPDX-License-Identifier: MIT */
/* The worker's side of the gate: parking, opening, reports and rings, allowances. */
#include <check.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "tests/unit/worker/gate_case.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

/* The report's word is 1. */
static bool word_is_set(struct worker *v, void *word)
{
	return gate_side_word(word);
}

static void sync_stream(uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
}

static int query(uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_query q = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_QUERY, seq, q);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

START_TEST(closed_parks_and_opens_in_order)
{
	open_session();
	state_is(0, 1, 0);
	for (int i = 0; i < 5; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(100, GATE_STREAM(1));
	ck_assert_uint_eq(gate_launched(), 0);
	ck_assert_uint_eq(w->gpu->park.count, 6);
	state_is(1, 1, 1);
	ck_assert(gate_side_rung(&side));
	ck_assert(!gate_side_rung(&side));
	/* Queries, memory calls and others that do not occupy the GPU are not parked. */
	ck_assert_int_eq(query(101, GATE_STREAM(1)), CUDA_ERROR_NOT_READY);
	ck_assert_uint_ne(fake_alloc(w, 102, FAKE_CTX, 4096), 0);
	set_open(true);
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_uint_eq(gate_launched(), 5);
	state_is(1, 0, 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 100));
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), 5);
	ck_assert_uint_eq(gate_side_number(&side.report->launches), 5);
	close_session();
}
END_TEST

static uint64_t told; /* the commands reported when the far end got the first one */
static CUresult answer;

static CUresult far_looks(const char *call)
{
	if (strcmp(call, "launch"))
		return CUDA_SUCCESS;
	told = gate_side_number(&side.report->commands);
	state_is(1, 0, 0);
	ck_assert_uint_ne(gate_side_number(&side.report->oldest_ns), 0);
	/* Too late for this command: pvgpud has counted it. */
	gate_side_set(&side.gate->open, 0);
	return answer;
}

/* This thread may be preempted at any point, so use is reported before it begins. */
START_TEST(said_before_it_is_done)
{
	open_session();
	set_open(true);
	answer = CUDA_SUCCESS;
	fake_far.fail = far_looks;
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(1), 1);
	fake_far.fail = NULL;
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), 1);
	ck_assert_uint_eq(gate_launched(), 1);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	close_session();
}
END_TEST

/* Work in flight ends while the next command is being issued: the new one still counts as in
 * flight. */
START_TEST(begins_as_the_last_one_ends)
{
	const uint64_t size = 3u << 20;
	uint64_t device;

	w = gate_session(128);
	w->info.zero_copy = false;
	gate_side_make(&side);
	ck_assert_int_eq(gate_side_give(&side, w), 0);
	device = fake_alloc(w, 102, FAKE_CTX, size);
	gate_side_set(&side.gate->contended, 1);
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_side_ring(w);
	fake_complete(-1, UINT64_MAX);
	/* Another thread has seen it. */
	while (!atomic_load(&w->kicked))
		sched_yield();
	gate_copy_to(w, device, size);
	set_open(false);
	state_is(1, 0, 0);
	ck_assert_uint_eq(w->gpu->gate.flying.work, 1);
	ck_assert_uint_ne(gate_side_number(&side.report->oldest_ns), 0);
	fake_hosts_end();
	close_session();
}
END_TEST

/* A command that the far end refuses does not count as unfinished. */
START_TEST(refused_at_the_far_end)
{
	open_session();
	set_open(true);
	answer = CUDA_ERROR_INVALID_VALUE;
	fake_far.fail = far_looks;
	gate_launch(w, GATE_STREAM(1), 1);
	fake_far.fail = NULL;
	ck_assert_uint_eq(told, 1);
	ck_assert_uint_eq(gate_launched(), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	gate_side_ring(w);
	state_is(0, 1, 0);
	close_session();
}
END_TEST

/* A command that does not occupy the GPU waits for parked commands before it in its stream, not for
 * the gate. */
START_TEST(synchronising_needs_no_gate)
{
	open_session();
	sync_stream(100, GATE_STREAM(1));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), 0);
	gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(101, GATE_STREAM(1));
	sync_stream(102, GATE_STREAM(2));
	ck_assert_uint_eq(w->gpu->park.count, 2);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 102), 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 101));
	close_session();
}
END_TEST

/* No other vGPU wants the GPU: the worker reports nothing and waits for no completions. */
START_TEST(alone_costs_nothing)
{
	int events;

	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_side_rung(&side);
	events = fake_far.events;
	for (int i = 0; i < 10; i++) {
		gate_launch(w, GATE_STREAM(1), 1);
		fake_complete(-1, UINT64_MAX);
		fake_kicked(w);
	}
	ck_assert(!gate_side_rung(&side));
	ck_assert_int_eq(fake_far.events, events);
	ck_assert_uint_eq(atomic_load(&w->gpu->complete.waits), 0);
	close_session();
}
END_TEST

START_TEST(contended_tells_of_the_end)
{
	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(2), 1);
	ck_assert(!gate_side_rung(&side));
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	state_is(1, 0, 0);
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(1)), UINT64_MAX);
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(2)), UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	ck_assert(gate_side_rung(&side));
	/* The end is reported, too, without a ring from pvgpud. */
	gate_launch(w, GATE_STREAM(1), 1);
	state_is(1, 0, 0);
	ck_assert(!gate_side_rung(&side));
	ck_assert_uint_ne(gate_side_number(&side.report->oldest_ns), 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	ck_assert(gate_side_rung(&side));
	close_session();
}
END_TEST

/* Once after each opening, where others wait: what was parked is on the GPU. */
START_TEST(tells_that_all_is_issued)
{
	open_session();
	gate_side_set(&side.gate->tell, _i != 1);
	gate_side_set(&side.gate->contended, _i != 2);
	for (unsigned int turn = 0; turn < 2; turn++) {
		gate_launch(w, GATE_STREAM(1), 1);
		ck_assert(gate_side_rung(&side));
		state_is(1, turn == 0, 1);
		ck_assert_uint_eq(gate_side_word(&side.report->issued), 0);
		set_open(true);
		state_is(1, 0, 0);
		ck_assert_uint_eq(gate_side_word(&side.report->issued), _i == 0);
		ck_assert(gate_side_rung(&side) == (_i == 0));
		gate_launch(w, GATE_STREAM(1), 1);
		ck_assert(!gate_side_rung(&side));
		gate_side_set(&side.gate->open, 0);
	}
	fake_complete(-1, UINT64_MAX);
	close_session();
}
END_TEST

/* An idle worker answers when it is asked: pvgpud may not know that it is idle. */
START_TEST(idle_answers_when_contended)
{
	open_session();
	set_open(true);
	gate_side_rung(&side);
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	state_is(0, 1, 0);
	ck_assert(gate_side_rung(&side));
	close_session();
}
END_TEST

START_TEST(closing_drains)
{
	open_session();
	set_open(true);
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_side_rung(&side);
	gate_side_set(&side.gate->open, 0);
	if (_i) {
		/* The worker sees it with its next command. */
		gate_launch(w, GATE_STREAM(1), 1);
		state_is(1, 0, 1);
		ck_assert(gate_side_rung(&side));
	}
	ck_assert_uint_eq(gate_launched(), 1);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(_i, 1, _i);
	ck_assert(gate_side_rung(&side));
	ck_assert_uint_eq(gate_launched(), 1);
	close_session();
}
END_TEST

/* A long host function does not occupy the GPU. */
START_TEST(host_functions_are_no_gpu_work)
{
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .id = 1};

	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	gate_side_rung(&side);
	/* The kernel ends, and the host function behind it does not. */
	fake_issue((CUstream)(uintptr_t)fake_number(w, FAKE_CTX, GATE_STREAM(1)));
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(1)), 1);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	callback_done(w, 1);
	close_session();
}
END_TEST

static bool has_asked(struct worker *v, void *n)
{
	return atomic_load(&v->gpu->cb.runs) == *(unsigned int *)n;
}

/* A host function runs, and behind it in its stream there is work. */
static void hold(uint64_t stream, unsigned int n)
{
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = stream, .id = n};

	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	fake_issue((CUstream)(uintptr_t)fake_number(w, FAKE_CTX, stream));
	ck_assert(fake_until(w, has_asked, &n));
	gate_launch(w, stream, 1);
}

/* While a host function runs, work behind it is not on the GPU: the turn may end. When it has
 * returned, that work waits for the next turn, and is announced. */
START_TEST(work_behind_a_host_function)
{
	uint64_t commands;

	open_session();
	set_open(true);
	gate_side_set(&side.gate->contended, 1);
	hold(GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(2), 1);
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(2)), UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	set_open(false);
	gate_side_rung(&side);
	commands = gate_side_number(&side.report->commands);

	callback_done(w, 1);
	state_is(1, 1, 1);
	ck_assert(gate_side_rung(&side));
	gate_side_ring(w);
	state_is(1, 1, 1);
	ck_assert_uint_eq(w->gpu->cb.done, 0);

	set_open(true);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	state_is(1, 0, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), commands + 1);
	ck_assert_uint_ne(gate_side_number(&side.report->oldest_ns), 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	close_session();
}
END_TEST

/* Without work behind it the stream goes on at once, however the gate is. */
START_TEST(nothing_behind_a_host_function)
{
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .id = 1};
	unsigned int one = 1;

	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(1)), UINT64_MAX);
	ck_assert(fake_until(w, has_asked, &one));
	set_open(false);
	callback_done(w, 1);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	close_session();
}
END_TEST

START_TEST(two_host_functions)
{
	open_session();
	set_open(true);
	gate_side_set(&side.gate->contended, 1);
	hold(GATE_STREAM(1), 1);
	hold(GATE_STREAM(2), 2);
	gate_side_ring(w); /* its kick may have come before the work */
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	set_open(false);
	/* The guest's functions run one after the other. */
	callback_done(w, 1);
	callback_done(w, 2);
	ck_assert_uint_eq(w->gpu->cb.done, 0);
	set_open(true);
	ck_assert_uint_eq(w->gpu->cb.done, 2);
	ck_assert_uint_eq(atomic_load(&w->gpu->cb.runs), 0);
	state_is(1, 0, 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	close_session();
}
END_TEST

/* ---- allowances ---- */

START_TEST(commands_run_out)
{
	open_session();
	gate_side_put(&side.gate->commands, 3);
	set_open(true);
	for (int i = 0; i < 5; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	ck_assert_uint_eq(gate_launched(), 3);
	ck_assert_uint_eq(gate_side_word(&side.report->sleeps), 1);
	ck_assert(gate_side_rung(&side));
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(1, 1, 1);
	gate_side_put(&side.gate->commands, 4);
	gate_side_ring(w);
	ck_assert_uint_eq(gate_launched(), 4);
	ck_assert_uint_eq(gate_side_word(&side.report->sleeps), 1);
	gate_side_put(&side.gate->commands, PVGPU_GATE_NO_LIMIT);
	gate_side_ring(w);
	ck_assert_uint_eq(gate_launched(), 5);
	state_is(1, 0, 0);
	close_session();
}
END_TEST

/* The last copy may go over the limit; a copy does not count against anything but copies. */
START_TEST(bytes_run_out)
{
	uint64_t device;

	open_session();
	device = fake_alloc(w, 50, FAKE_CTX, 1u << 20);
	gate_side_put(&side.gate->bytes, 1000);
	set_open(true);
	gate_copy_to(w, device, 800);
	gate_copy_to(w, device, 4096);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_bytes), 4896);
	gate_launch(w, GATE_STREAM(2), 1);
	ck_assert_uint_eq(gate_launched(), 1);
	ck_assert_uint_eq(gate_side_word(&side.report->sleeps), 0);
	gate_copy_to(w, device, 8);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	ck_assert_uint_eq(gate_side_word(&side.report->sleeps), 1);
	gate_side_put(&side.gate->bytes, 4896);
	gate_side_ring(w);
	ck_assert_uint_eq(w->gpu->park.count, 1);
	gate_side_put(&side.gate->bytes, 4897);
	gate_side_ring(w);
	ck_assert(!w->gpu->park.count);
	ck_assert_uint_eq(gate_side_number(&side.report->copy_bytes), 4904);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), 4);
	ck_assert_uint_eq(gate_side_number(&side.report->launches), 1);
	close_session();
}
END_TEST

static bool has_launched(struct worker *v, void *n)
{
	return gate_launched() == *(unsigned int *)n;
}

/* As the loop does periodically. */
static bool looked_and_launched(struct worker *v, void *n)
{
	gpu_kicked(v);
	return has_launched(v, n);
}

START_TEST(depth_is_bounded)
{
	unsigned int six = 6, ten = 10;

	open_session();
	gate_side_set(&side.gate->depth, 4);
	set_open(true);
	for (int i = 0; i < 10; i++)
		ck_assert_int_eq(gate_launch(w, GATE_STREAM(1), 1), 0);
	ck_assert_uint_eq(gate_launched(), 4);
	ck_assert_uint_eq(w->gpu->park.count, 6);
	/* Queries are answered, also about parked work; memory can be allocated. */
	ck_assert_int_eq(query(101, GATE_STREAM(1)), CUDA_ERROR_NOT_READY);
	ck_assert_int_eq(query(102, GATE_STREAM(3)), 0);
	ck_assert_uint_ne(fake_alloc(w, 103, FAKE_CTX, 4096), 0);
	fake_complete(-1, 2); /* a fence stands behind every second one */
	ck_assert(fake_until(w, has_launched, &six));
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, has_launched, &ten));
	close_session();
}
END_TEST

/* Work that waits for a flag in memory does not count for ever: the program's next command may be
 * what sets it. */
START_TEST(depth_of_what_stalls)
{
	unsigned int three = 3;

	open_session();
	gate_side_set(&side.gate->depth, 2);
	set_open(true);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(gate_launch(w, GATE_STREAM(1 + i / 2), 1), 0);
	ck_assert_uint_eq(gate_launched(), 2);
	ck_assert(fake_until(w, looked_and_launched, &three));
	close_session();
}
END_TEST

/* A wait that covers all in flight tells that it has ended, though nothing looks after it. */
START_TEST(a_wait_tells_of_the_end)
{
	open_session();
	set_open(true);
	for (int i = 0; i < 3; i++)
		gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(100, GATE_STREAM(1));
	ck_assert_uint_eq(gate_side_number(&side.report->awaited), 0);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->commands), 3);
	ck_assert_uint_eq(gate_side_number(&side.report->awaited), 3);
	/* Not so beside work of another stream. */
	gate_launch(w, GATE_STREAM(2), 1);
	gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(101, GATE_STREAM(1));
	fake_complete(fake_number(w, FAKE_CTX, GATE_STREAM(1)), UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 101), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->awaited), 3);
	close_session();
}
END_TEST

/* Work of a context that is destroyed is on the GPU until it has ended. */
START_TEST(work_of_a_dying_context)
{
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, 0, 1);
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	FAKE_SUBMIT(w, CTX_DESTROY, 60, d);
	state_is(1, 0, 0);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 60));
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 60), 0);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
	close_session();
}
END_TEST

/* A device fault ends all work in flight; the program may live on with its lost context. */
START_TEST(a_fault_drains)
{
	open_session();
	set_open(true);
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(2), 1);
	/* Completion threads wait for both. */
	gate_side_set(&side.gate->contended, 1);
	gate_side_ring(w);
	gate_side_rung(&side);
	fake_far.stuck = CUDA_ERROR_ILLEGAL_ADDRESS;
	fake_complete(-1, 0);
	ck_assert(fake_until(w, word_is_set, &side.report->drained));
	state_is(0, 1, 0);
	ck_assert_uint_eq(gate_side_number(&side.report->inflight_ns), 0);
	ck_assert_uint_eq(gate_side_number(&side.report->oldest_ns), 0);
	ck_assert(gate_side_rung(&side));
	fake_far.stuck = CUDA_SUCCESS;
	close_session();
}
END_TEST

/* ---- no wake-up is lost ---- */

#define STRESS_LAUNCHES 20000

struct stress {
	atomic_bool stop;
	atomic_uint opened;
};

/* As pvgpud does: one slice after the other, a ring when the worker sleeps. */
static void *grants(void *arg)
{
	struct stress *x = arg;

	while (!atomic_load(&x->stop)) {
		gate_side_set(&side.gate->open, 1);
		if (gate_side_word(&side.report->sleeps)) {
			pthread_mutex_lock(&w->lock);
			atomic_store(&w->kicked, true);
			pthread_cond_broadcast(&w->sent_more);
			pthread_mutex_unlock(&w->lock);
		}
		atomic_fetch_add(&x->opened, 1);
		for (int i = 0; i < 50; i++)
			sched_yield();
		gate_side_set(&side.gate->open, 0);
		gate_side_rung(&side);
		sched_yield();
	}
	return NULL;
}

START_TEST(no_wake_up_is_lost)
{
	struct stress x = {.stop = false};
	pthread_t t;

	open_session();
	fake_far.manual = false;
	ck_assert_int_eq(pthread_create(&t, NULL, grants, &x), 0);
	for (int i = 0; i < STRESS_LAUNCHES; i++) {
		if (gate_launch(w, GATE_STREAM(1), 1) || w->gpu->park.count > 16)
			ck_assert(fake_until(w, not_parked, NULL));
	}
	ck_assert(fake_until(w, not_parked, NULL));
	ck_assert_uint_eq(gate_launched(), STRESS_LAUNCHES);
	atomic_store(&x.stop, true);
	pthread_join(t, NULL);
	ck_assert_uint_gt(atomic_load(&x.opened), 0);
	close_session();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker gate");
	TCase *t = tcase_create("gate");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, closed_parks_and_opens_in_order);
	tcase_add_test(t, said_before_it_is_done);
	tcase_add_test(t, begins_as_the_last_one_ends);
	tcase_add_test(t, refused_at_the_far_end);
	tcase_add_test(t, synchronising_needs_no_gate);
	tcase_add_test(t, alone_costs_nothing);
	tcase_add_test(t, contended_tells_of_the_end);
	tcase_add_loop_test(t, tells_that_all_is_issued, 0, 3);
	tcase_add_test(t, idle_answers_when_contended);
	tcase_add_loop_test(t, closing_drains, 0, 2);
	tcase_add_test(t, host_functions_are_no_gpu_work);
	tcase_add_test(t, work_behind_a_host_function);
	tcase_add_test(t, nothing_behind_a_host_function);
	tcase_add_test(t, two_host_functions);
	tcase_add_test(t, commands_run_out);
	tcase_add_test(t, bytes_run_out);
	tcase_add_test(t, depth_is_bounded);
	tcase_add_test(t, depth_of_what_stalls);
	tcase_add_test(t, a_wait_tells_of_the_end);
	tcase_add_test(t, work_of_a_dying_context);
	tcase_add_test(t, a_fault_drains);
	tcase_add_test(t, no_wake_up_is_lost);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
