/* SPDX-License-Identifier: MIT */
/* A session of a confidential pool: pvgpud hears that its work has ended when nothing of it is in
 * the GPU's cache. */
#include <check.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/unit/worker/gate_case.h"
#include "tests/unit/worker/worker_fake_far.h"
#include "xen-pvgpu-back/worker/gpu/evict.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/worker.h"

static atomic_uint clears;

static CUresult count(const char *call)
{
	clears += !strcmp(call, "memset");
	return CUDA_SUCCESS;
}

static void open_confidential(void)
{
	open_session();
	w->gpu->evict.on = true;
	ck_assert_int_eq(evict_make(w->gpu), 0);
	clears = 0;
	fake_far.fail = count;
	gate_side_set(&side.gate->contended, 1);
	set_open(true);
}

static void close_confidential(void)
{
	fake_far.fail = NULL;
	close_session();
}

static bool clears_are(struct worker *v, void *n)
{
	return clears == *(const unsigned int *)n;
}

static bool is_drained(struct worker *v, void *arg)
{
	return gate_side_word(&side.report->drained);
}

static void cleared(unsigned int n)
{
	ck_assert(fake_until(w, clears_are, &n));
	state_is(gate_side_word(&side.report->wants), 0, gate_side_word(&side.report->sleeps));
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_drained, NULL));
	ck_assert_uint_eq(clears, n);
}

/* Once for all work since the last time, and again when there is new work only. */
START_TEST(drained_after_the_clear)
{
	open_confidential();
	for (unsigned int i = 1; i <= 3; i++) {
		for (unsigned int k = 0; k < i; k++)
			gate_launch(w, GATE_STREAM(k + 1), 1);
		ck_assert_uint_eq(clears, i - 1);
		fake_complete(-1, UINT64_MAX);
		cleared(i);
		gate_side_ring(w);
		ck_assert_uint_eq(clears, i);
	}
	close_confidential();
}
END_TEST

/* Its work has ended unnoticed when the gate closes, and the next command finds it closed. */
START_TEST(a_command_finds_it_closed)
{
	open_confidential();
	/* Nobody else wants the GPU: its work ends unseen, behind a fence. */
	gate_side_set(&side.gate->contended, 0);
	gate_launch(w, GATE_STREAM(1), 1);
	gpu_gate_look(w, false);
	fake_kicked(w);
	fake_complete(-1, UINT64_MAX);
	gate_side_set(&side.gate->open, 0);
	gate_launch(w, GATE_STREAM(1), 1);
	state_is(1, 0, 1);
	cleared(1);
	close_confidential();
}
END_TEST

static bool runs(struct worker *v, void *arg)
{
	return atomic_load(&v->gpu->cb.runs);
}

/* Work that waits for a host function begins after the clear of the turn in which it was issued. */
START_TEST(again_after_a_host_function)
{
	struct pvgpu_wire_host_func h = {.ctx = FAKE_CTX, .stream = GATE_STREAM(1), .id = 1};
	unsigned int one = 1;

	open_confidential();
	FAKE_SUBMIT(w, HOST_FUNC, 0, h);
	ck_assert(fake_until(w, runs, NULL));
	gate_launch(w, GATE_STREAM(1), 1);
	fake_kicked(w);
	ck_assert(fake_until(w, clears_are, &one));
	fake_complete(fake_number(w, FAKE_CTX, 0), UINT64_MAX);
	ck_assert(fake_until(w, is_drained, NULL));
	set_open(false);
	callback_done(w, 1);
	set_open(true);
	ck_assert_uint_eq(w->gpu->cb.done, 1);
	ck_assert_uint_eq(clears, 1);
	fake_complete(-1, UINT64_MAX);
	cleared(2);
	close_confidential();
}
END_TEST

/* A context that a fault has spoilt clears nothing: nobody waits for it for ever. */
START_TEST(nothing_runs_any_more)
{
	open_confidential();
	gate_launch(w, GATE_STREAM(1), 1);
	fake_far.stuck = CUDA_ERROR_ILLEGAL_ADDRESS;
	fake_complete(-1, UINT64_MAX);
	ck_assert(fake_until(w, is_drained, NULL));
	fake_far.stuck = CUDA_SUCCESS;
	close_confidential();
}
END_TEST

static int set_limit(uint32_t seq, uint32_t limit, uint64_t value)
{
	struct pvgpu_wire_ctx_set_limit l = {.ctx = FAKE_CTX, .limit = limit, .value = value};

	FAKE_SUBMIT(w, CTX_SET_LIMIT, seq, l);
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static unsigned int resets;

static CUresult count_resets(const char *call)
{
	resets += !strcmp(call, "reset_l2");
	return CUDA_SUCCESS;
}

/* Limits that are in no list do not reach the far end. Of the L2 a vGPU sets aside its part, and
 * gives it back; in a confidential pool none. */
START_TEST(limits_of_a_context)
{
	const uint32_t persisting = CU_LIMIT_PERSISTING_L2_CACHE_SIZE;
	struct pvgpu_wire_ctx_destroy d = {.ctx = FAKE_CTX};

	if (_i)
		open_confidential();
	else
		open_session();
	memset(fake_far.limit, 0, sizeof(fake_far.limit));
	fake_far.far.total_mem = 4 * w->quota;
	for (uint32_t l = 0; l <= CU_LIMIT_MAX; l++) {
		const bool good = l <= CU_LIMIT_MALLOC_HEAP_SIZE ||
				  l == CU_LIMIT_MAX_L2_FETCH_GRANULARITY ||
				  (l == persisting && !_i);
		const int r = set_limit(100 + l, l, 64);

		if (good)
			ck_assert_int_eq(r, 0);
		else
			ck_assert_int_eq(r, l < CU_LIMIT_MAX ? CUDA_ERROR_UNSUPPORTED_LIMIT
							     : CUDA_ERROR_INVALID_VALUE);
		if (l < CU_LIMIT_MAX)
			ck_assert_uint_eq(fake_far.limit[l], good ? 64 : 0);
	}
	set_limit(200, persisting, 1u << 30);
	ck_assert_uint_eq(fake_far.limit[persisting], _i ? 0 : 8u << 20);
	if (!_i) {
		resets = 0;
		fake_far.fail = count_resets;
		gate_side_set(&side.gate->open, 1);
		FAKE_SUBMIT(w, CTX_DESTROY, 300, d);
		ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 300), 0);
		ck_assert_uint_eq(resets, 1);
		fake_far.fail = NULL;
	}
	fake_far.far.total_mem = 0;
	if (_i)
		close_confidential();
	else
		close_session();
}
END_TEST

/* Data of a confidential pool does not stay in the L2 by a window either. */
START_TEST(windows_of_launches)
{
	struct {
		struct pvgpu_launch_attr attr;
		char params[20];
	} bytes = {.attr.id = CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW};
	struct pvgpu_wire_launch_ex l = {.ctx = FAKE_CTX,
					 .function = GATE_FUNCTION,
					 .stream = GATE_STREAM(1),
					 .grid_x = 1,
					 .grid_y = 1,
					 .grid_z = 1,
					 .block_x = 1,
					 .block_y = 1,
					 .block_z = 1,
					 .attrs_len = sizeof(bytes.attr),
					 .params_len = sizeof(bytes.params)};
	CUaccessPolicyWindow win = {.num_bytes = 4096,
				    .hitRatio = 1,
				    .hitProp = CU_ACCESS_PROPERTY_PERSISTING,
				    .missProp = CU_ACCESS_PROPERTY_STREAMING};

	open_confidential();
	w->gpu->evict.on = _i;
	win.base_ptr = (void *)(uintptr_t)fake_alloc(w, 100, FAKE_CTX, 4096);
	memcpy(bytes.attr.value, &win, sizeof(win));
	fake_far.attrs = 7;
	ck_assert_int_eq(fake_submit(w, &l, sizeof(l), PVGPU_OP_LAUNCH_EX, 0, &bytes,
				     sizeof(bytes.attr) + sizeof(bytes.params)),
			 0);
	ck_assert_uint_eq(fake_far.attrs, !_i);
	w->gpu->evict.on = true;
	fake_complete(-1, UINT64_MAX);
	close_confidential();
}
END_TEST

START_TEST(times_are_coarse)
{
	static const struct {
		float is, seen;
	} times[] = {{0, 0},        {0.001f, 0.1f},  {0.1f, 0.1f},
		     {1.25f, 1.3f}, {-0.55f, -0.5f}, {1e6f, 1e6f}};
	struct gpu g = {.evict.on = true};

	ck_assert_float_eq_tol(evict_coarse(&g, times[_i].is), times[_i].seen, 1e-6f);
	g.evict.on = false;
	ck_assert_float_eq(evict_coarse(&g, times[_i].is), times[_i].is);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker evict");
	TCase *t = tcase_create("evict");
	SRunner *r;
	int failed;

	suite_add_tcase(s, t);
	tcase_add_test(t, drained_after_the_clear);
	tcase_add_test(t, a_command_finds_it_closed);
	tcase_add_test(t, again_after_a_host_function);
	tcase_add_test(t, nothing_runs_any_more);
	tcase_add_loop_test(t, limits_of_a_context, 0, 2);
	tcase_add_loop_test(t, windows_of_launches, 0, 2);
	tcase_add_loop_test(t, times_are_coarse, 0, 6);
	tcase_set_timeout(t, 120);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
