/* SPDX-License-Identifier: MIT */
/* Completion threads: who waits for what, and the commands that one takes after an answer. */
#include <check.h>
#include <sched.h>

#include "tests/unit/worker/gate_case.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/worker.h"

#define EVENT PVGPU_HANDLE(PVGPU_H_EVENT, 0, 1, 1)

static void open_contended(void)
{
	open_session();
	gate_side_set(&side.gate->contended, 1);
	set_open(true);
	w->posting = true;
}

static void close_contended(void)
{
	w->posting = false;
	gpu_pause(w);
	close_session();
}

static void sync_stream(uint32_t seq, uint64_t stream)
{
	struct pvgpu_wire_stream_synchronize s = {.ctx = FAKE_CTX, .stream = stream};

	FAKE_SUBMIT(w, STREAM_SYNCHRONIZE, seq, s);
}

static bool is_drained(struct worker *v, void *arg)
{
	return gate_side_word(&side.report->drained);
}

/* The work on the GPU does: the call is answered, and pvgpud told. */
static void all_ends(uint32_t seq)
{
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, seq), 0);
	ck_assert(fake_until(w, is_drained, NULL));
}

/* Threads that are asked to wait for fences of stream 1, and fences that nobody waits for yet. */
static void fences_are(bool queued, bool left)
{
	struct complete *k = &w->gpu->complete;
	struct stream *s = obj_lookup(&w->gpu->tables, PVGPU_H_STREAM, GATE_STREAM(1));

	pthread_mutex_lock(&k->lock);
	ck_assert_int_eq(s->fenceq.queued, queued);
	ck_assert_int_eq(s->fenceq.late, left);
	ck_assert(s->fenceq.head);
	pthread_mutex_unlock(&k->lock);
}

/* pvgpud is to hear of the end, and the guest: one thread sees both. */
START_TEST(an_answer_is_its_fences_end)
{
	open_contended();
	gate_launch(w, GATE_STREAM(1), 1);
	fences_are(false, true);
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	fences_are(false, false);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 100));
	state_is(1, 0, 0);
	all_ends(100);
	close_contended();
}
END_TEST

START_TEST(a_fence_without_answer)
{
	open_contended();
	gate_launch(w, GATE_STREAM(1), 1);
	gpu_pause(w);
	fences_are(true, false);
	/* It comes too late to be asked instead. */
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_drained, NULL));
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), 0);
	close_contended();
}
END_TEST

/* The fence ends before the answer does: pvgpud learns how far the stream has come. */
START_TEST(an_answer_for_more_work)
{
	open_contended();
	gate_launch(w, GATE_STREAM(1), 1);
	gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	fences_are(true, false);
	all_ends(100);
	close_contended();
}
END_TEST

/* An operation between the two may wait for commands that only the end of the fence lets go on. */
START_TEST(an_answer_behind_another_operation)
{
	struct pvgpu_wire_stream_create c = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(9), .flags = CU_STREAM_NON_BLOCKING};
	struct pvgpu_wire_event_create e = {.ctx = FAKE_CTX, .event = EVENT};
	struct pvgpu_wire_event_record r = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(9), .event = EVENT};
	struct pvgpu_wire_stream_wait_event v = {
		.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .event = EVENT};

	open_contended();
	FAKE_SUBMIT(w, STREAM_CREATE, 50, c);
	FAKE_SUBMIT(w, EVENT_CREATE, 51, e);
	FAKE_SUBMIT(w, EVENT_RECORD, 52, r);
	gate_launch(w, GATE_STREAM(1), 1);
	FAKE_SUBMIT(w, STREAM_WAIT_EVENT, 53, v);
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	fences_are(true, false);
	all_ends(100);
	close_contended();
}
END_TEST

/* A call that was answered does not stand for later fences. */
START_TEST(an_answer_that_was_given)
{
	open_contended();
	for (uint32_t i = 0; i < 3; i++) {
		gate_launch(w, GATE_STREAM(1), 1);
		sync_stream(100 + i, GATE_STREAM(1));
		gpu_pause(w);
		fences_are(false, false);
		all_ends(100 + i);
	}
	gate_launch(w, GATE_STREAM(1), 1);
	gpu_pause(w);
	fences_are(true, false);
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_drained, NULL));
	close_contended();
}
END_TEST

/* The session ends before any pause: the fence's wait goes with it. */
START_TEST(no_pause_before_the_end)
{
	open_contended();
	gate_launch(w, GATE_STREAM(1), 1);
	fences_are(false, true);
	w->posting = false;
	close_session();
}
END_TEST

static atomic_uint decoded;

/* Without a hand in what another thread decodes, as fake_result() would have. */
static void sent(uint32_t seq)
{
	while (!fake_was_sent(w, PVGPU_REP_REPLY, seq))
		sched_yield();
}

/* The guest's next call. */
static void decode_one(struct worker *v)
{
	fake_kicked(v);
	if (atomic_fetch_add(&decoded, 1))
		return;
	gate_launch(v, GATE_STREAM(1), 1);
	sync_stream(101, GATE_STREAM(1));
	gpu_pause(v);
	ck_assert(gpu_wants_thread(v));
	ck_assert(gpu_is_awaited(v));
}

/* A thread that answers takes over before the guest can hear it, decodes, and then waits for what
 * it has decoded itself. */
START_TEST(an_answer_and_what_follows)
{
	open_contended();
	atomic_store(&decoded, 0);
	gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	atomic_store(&w->decode, decode_one);
	fake_complete(-1, UINT64_MAX);
	sent(100);
	ck_assert_uint_eq(w->sent_before, fake_order(w, PVGPU_REP_REPLY, 100));
	while (!atomic_load(&decoded))
		sched_yield();
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 101));
	while (!gpu_is_awaited(w))
		sched_yield();
	fake_complete(-1, UINT64_MAX);
	sent(101);
	while (atomic_load(&decoded) < 2)
		sched_yield();
	atomic_store(&w->decode, NULL);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 101), 0);
	close_contended();
}
END_TEST

/* An error is answered by the decoding thread's rules: nothing is taken over. */
START_TEST(a_fault_is_not_followed)
{
	open_contended();
	atomic_store(&decoded, 0);
	gate_launch(w, GATE_STREAM(1), 1);
	sync_stream(100, GATE_STREAM(1));
	gpu_pause(w);
	atomic_store(&w->decode, decode_one);
	atomic_store(&fake_far.stuck, CUDA_ERROR_ILLEGAL_ADDRESS);
	fake_complete(-1, UINT64_MAX);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 100), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_uint_eq(atomic_load(&decoded), 0);
	atomic_store(&w->decode, NULL);
	atomic_store(&fake_far.stuck, CUDA_SUCCESS);
	close_contended();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_complete");
	TCase *t = tcase_create("complete");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, an_answer_is_its_fences_end);
	tcase_add_test(t, a_fence_without_answer);
	tcase_add_test(t, an_answer_for_more_work);
	tcase_add_test(t, an_answer_behind_another_operation);
	tcase_add_test(t, an_answer_that_was_given);
	tcase_add_test(t, no_pause_before_the_end);
	tcase_add_test(t, an_answer_and_what_follows);
	tcase_add_test(t, a_fault_is_not_followed);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
