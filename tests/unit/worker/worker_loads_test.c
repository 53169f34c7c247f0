/* SPDX-License-Identifier: MIT */
/* The lane for loads: what does not wait while code is loaded, and what comes after it all the
 * same. The far end holds one of its calls until the test lets it go. */
#include <check.h>
#include <string.h>

#include "pvgpu_cublas.h"
#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define PAGE      (2ull << 20)
#define SECOND    PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 1)
#define MODULE(i) PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, i)
#define FUNCTION  PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 0, 0)
#define LIBRARY   PVGPU_HANDLE(PVGPU_H_LIBRARY, 0, 0, 0)
#define CUBLAS    PVGPU_HANDLE(PVGPU_H_CUBLAS, 0, 0, 0)
#define LINK      PVGPU_HANDLE(PVGPU_H_LINK, 0, 0, 0)
#define TEXT      ".version 7.0\n.target sm_70\n.address_size 64\n"

static struct worker *w;
static struct {
	pthread_mutex_t lock;
	pthread_cond_t moved;
	const char *call;
	bool held, let;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

static CUresult hold(const char *call)
{
	pthread_mutex_lock(&gate.lock);
	if (!strcmp(call, gate.call) && !gate.let) {
		gate.held = true;
		pthread_cond_broadcast(&gate.moved);
		while (!gate.let)
			pthread_cond_wait(&gate.moved, &gate.lock);
	}
	pthread_mutex_unlock(&gate.lock);
	return CUDA_SUCCESS;
}

/* The next such call does not return before let_go(). */
static void hold_next(const char *call)
{
	gate.call = call;
	gate.held = gate.let = false;
	fake_far.fail = hold;
}

static void wait_held(void)
{
	pthread_mutex_lock(&gate.lock);
	while (!gate.held)
		pthread_cond_wait(&gate.moved, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
}

static void let_go(void)
{
	pthread_mutex_lock(&gate.lock);
	gate.let = true;
	pthread_cond_broadcast(&gate.moved);
	pthread_mutex_unlock(&gate.lock);
}

static void setup(void)
{
	w = fake_open(true);
	fake_chunk(w, 0, 1u << 20);
	memcpy((void *)(uintptr_t)w->arena_base, TEXT, sizeof(TEXT));
}

static void teardown(void)
{
	fake_close(w);
}

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static int result(uint32_t seq)
{
	return fake_result(w, PVGPU_REP_REPLY, seq);
}

static bool answered(uint32_t seq)
{
	return fake_was_sent(w, PVGPU_REP_REPLY, seq);
}

static bool in_order(uint32_t first, uint32_t second)
{
	return fake_order(w, PVGPU_REP_REPLY, first) < fake_order(w, PVGPU_REP_REPLY, second);
}

static void post_load(uint32_t seq, uint64_t ctx, uint32_t i)
{
	struct pvgpu_wire_module_load m = {
		.ctx = ctx, .image = w->arena_base, .image_len = sizeof(TEXT), .module = MODULE(i)};

	FAKE_SUBMIT(w, MODULE_LOAD, seq, m);
}

static void post_find(uint32_t seq, uint32_t i)
{
	struct pvgpu_wire_module_get_function f = {
		.module = MODULE(i), .function = FUNCTION, .name_len = 6};

	fake_submit(w, &f, sizeof(f), PVGPU_OP_MODULE_GET_FUNCTION, seq, "kernel\0", 7);
}

static void unload(uint32_t i)
{
	struct pvgpu_wire_module_unload u = {.module = MODULE(i)};

	FAKE_SUBMIT(w, MODULE_UNLOAD, 0, u);
}

static void post_alloc(uint32_t seq, uint64_t ctx, uint64_t size)
{
	struct pvgpu_wire_mem_alloc a = {.ctx = ctx, .size = size};

	FAKE_SUBMIT(w, MEM_ALLOC, seq, a);
}

static void give_back(uint64_t address)
{
	struct pvgpu_wire_mem_free f = {.ctx = FAKE_CTX, .address = address};

	FAKE_SUBMIT(w, MEM_FREE, 0, f);
}

/* All of the quota is had, then given back and asked for again: that is made in the side lane. */
static void allocate_there(uint32_t seq)
{
	const uint64_t all = fake_alloc(w, seq, FAKE_CTX, 4 * PAGE);

	ck_assert(all != 0);
	w->quota = w->leased;
	give_back(all);
	post_alloc(seq + 1, FAKE_CTX, 4 * PAGE);
	ck_assert_int_eq(result(seq + 1), 0);
	w->quota = 1ull << 30;
}

/* While the call of this request is held, memory is had and given back. */
static void has_memory_before(uint32_t seq)
{
	wait_held();
	allocate_there(20);
	ck_assert(!answered(seq));
	let_go();
	ck_assert_int_eq(result(seq), 0);
}

START_TEST(memory_does_not_wait_for_a_load)
{
	hold_next("module_load");
	post_load(11, FAKE_CTX, 0);
	has_memory_before(11);
}
END_TEST

START_TEST(memory_does_not_wait_for_code_of_a_function)
{
	post_load(11, FAKE_CTX, 0);
	ck_assert_int_eq(result(11), 0);
	hold_next("get_function");
	post_find(12, 0);
	has_memory_before(12);
}
END_TEST

START_TEST(memory_does_not_wait_for_a_library)
{
	struct pvgpu_wire_library_load l = {
		.image = w->arena_base, .image_len = sizeof(TEXT), .library = LIBRARY};

	hold_next("library_load");
	FAKE_SUBMIT(w, LIBRARY_LOAD, 11, l);
	has_memory_before(11);
}
END_TEST

START_TEST(memory_does_not_wait_for_a_link)
{
	struct pvgpu_wire_link_create c = {.ctx = FAKE_CTX, .link = LINK};
	struct pvgpu_wire_link_complete e = {.link = LINK};

	FAKE_SUBMIT(w, LINK_CREATE, 11, c);
	ck_assert_int_eq(result(11), 0);
	hold_next("link_complete");
	FAKE_SUBMIT(w, LINK_COMPLETE, 12, e);
	has_memory_before(12);
}
END_TEST

static cublasStatus_t cublas_make(cublasHandle_t *h)
{
	*h = (cublasHandle_t)&gate;
	return hold("cublas") ? CUBLAS_STATUS_INTERNAL_ERROR : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t cublas_unmake(cublasHandle_t h)
{
	return CUBLAS_STATUS_SUCCESS;
}

/* Libraries of NVIDIA's load their own code when they are first used. */
START_TEST(memory_does_not_wait_for_cublas)
{
	struct pvgpu_wire_cublas_create c = {.ctx = FAKE_CTX, .handle = CUBLAS};

	fake_far.far.lib.cublas.cublasCreate_v2 = cublas_make;
	fake_far.far.lib.cublas.cublasDestroy_v2 = cublas_unmake;
	hold_next("cublas");
	FAKE_SUBMIT(w, CUBLAS_CREATE, 11, c);
	has_memory_before(11);
}
END_TEST

/* A module goes when its functions have been found; what else frees memory goes first. */
START_TEST(an_unload_waits_for_what_uses_the_module)
{
	post_load(11, FAKE_CTX, 0);
	ck_assert_int_eq(result(11), 0);
	hold_next("get_function");
	post_find(12, 0);
	wait_held();
	unload(0);
	allocate_there(20);
	ck_assert_int_eq(fake_far.modules, 1);
	let_go();
	ck_assert_int_eq(result(12), 0);
	ck_assert(fake_until(w, no_jobs, NULL));
	ck_assert_int_eq(fake_far.modules, 0);
}
END_TEST

/* An unload is a free under way, wherever it is made. */
START_TEST(an_allocation_waits_for_an_unload)
{
	uint64_t len;
	struct pvgpu_wire_module_load m = {
		.ctx = FAKE_CTX, .image = w->arena_base, .module = MODULE(0)};

	strcpy((char *)(uintptr_t)w->arena_base, TEXT ".global .b8 x[4<<20];");
	len = strlen((char *)(uintptr_t)w->arena_base) + 1;
	m.image_len = len;
	FAKE_SUBMIT(w, MODULE_LOAD, 11, m);
	ck_assert_int_eq(result(11), 0);
	w->quota = w->leased;
	hold_next("get_function");
	post_find(12, 0);
	wait_held();
	unload(0);
	post_alloc(13, FAKE_CTX, 2 * PAGE);
	let_go();
	ck_assert_int_eq(result(13), 0);
	post_alloc(14, FAKE_CTX, 4 * PAGE);
	ck_assert_int_eq(result(14), CUDA_ERROR_OUT_OF_MEMORY);
}
END_TEST

/* A context goes when the loads into it are done, and holds up no other context's memory. */
START_TEST(a_context_waits_for_its_loads)
{
	struct pvgpu_wire_ctx_create c = {.ctx = SECOND};
	struct pvgpu_wire_ctx_destroy d = {.ctx = SECOND};

	FAKE_SUBMIT(w, CTX_CREATE, 11, c);
	ck_assert_int_eq(result(11), 0);
	hold_next("module_load");
	post_load(12, SECOND, 0);
	wait_held();
	post_load(13, FAKE_CTX, 1);
	FAKE_SUBMIT(w, CTX_DESTROY, 14, d);
	post_load(15, FAKE_CTX, 2);
	allocate_there(20);
	ck_assert_int_eq(fake_far.ctxs, 2);
	ck_assert(!answered(14));
	let_go();
	ck_assert_int_eq(result(14), 0);
	ck_assert_int_eq(result(15), 0);
	ck_assert(in_order(12, 13) && in_order(12, 14) && in_order(13, 14));
	ck_assert_int_eq(fake_far.ctxs, 1);
	ck_assert_int_eq(fake_far.modules, 2);
}
END_TEST

/* A variable that is asked for before its library, or the context, goes is not found any more: its
 * address would stay valid behind their end. */
START_TEST(variables_go_with_what_they_are_of)
{
	struct pvgpu_wire_library_load l = {
		.image = w->arena_base, .image_len = sizeof(TEXT), .library = LIBRARY};
	struct pvgpu_wire_library_get_global v = {.library = LIBRARY, .ctx = SECOND, .name_len = 1};
	struct pvgpu_wire_library_unload u = {.library = LIBRARY};
	struct pvgpu_wire_ctx_create c = {.ctx = SECOND};
	struct pvgpu_wire_ctx_destroy d = {.ctx = SECOND};

	FAKE_SUBMIT(w, CTX_CREATE, 11, c);
	ck_assert_int_eq(result(11), 0);
	FAKE_SUBMIT(w, LIBRARY_LOAD, 12, l);
	ck_assert_int_eq(result(12), 0);
	post_load(13, FAKE_CTX, 0);
	ck_assert_int_eq(result(13), 0);
	hold_next("get_function");
	post_find(14, 0);
	wait_held();
	fake_submit(w, &v, sizeof(v), PVGPU_OP_LIBRARY_GET_GLOBAL, 15, "v", 2);
	if (_i)
		FAKE_SUBMIT(w, CTX_DESTROY, 16, d);
	else
		FAKE_SUBMIT(w, LIBRARY_UNLOAD, 16, u);
	let_go();
	ck_assert_int_eq(result(15), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(result(16), 0);
	ck_assert_uint_eq(w->gpu->mem.globals, 0);
}
END_TEST

/* A reset is answered when the contexts that it takes are gone. */
START_TEST(a_reset_waits_for_loads)
{
	struct pvgpu_wire_ctx_primary_reset reset = {.device = 0};

	hold_next("module_load");
	post_load(11, FAKE_CTX, 0);
	wait_held();
	FAKE_SUBMIT(w, CTX_PRIMARY_RESET, 12, reset);
	ck_assert(!answered(12));
	let_go();
	ck_assert_int_eq(result(12), 0);
	ck_assert(in_order(11, 12));
	ck_assert_int_eq(fake_far.ctxs, 0);
	ck_assert_int_eq(fake_far.modules, 0);
}
END_TEST

/* Everything at once, in an order that leaves nothing behind. */
START_TEST(a_session_may_end_meanwhile)
{
	hold_next("module_load");
	post_load(11, FAKE_CTX, 0);
	wait_held();
	post_load(12, FAKE_CTX, 1);
	post_alloc(13, FAKE_CTX, PAGE);
	ck_assert_int_eq(result(13), 0);
	let_go();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker loads");
	TCase *t = tcase_create("loads");
	SRunner *r = srunner_create(s);
	int failed;

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, memory_does_not_wait_for_a_load);
	tcase_add_test(t, memory_does_not_wait_for_code_of_a_function);
	tcase_add_test(t, memory_does_not_wait_for_a_library);
	tcase_add_test(t, memory_does_not_wait_for_a_link);
	tcase_add_test(t, memory_does_not_wait_for_cublas);
	tcase_add_test(t, an_unload_waits_for_what_uses_the_module);
	tcase_add_test(t, an_allocation_waits_for_an_unload);
	tcase_add_test(t, a_context_waits_for_its_loads);
	tcase_add_loop_test(t, variables_go_with_what_they_are_of, 0, 2);
	tcase_add_test(t, a_reset_waits_for_loads);
	tcase_add_test(t, a_session_may_end_meanwhile);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
