/* SPDX-License-Identifier: MIT */
/* Products of cuBLASLt in the worker: for every operand the library is called when its last byte is
 * the session's, and not when one more is needed; algorithms are those that were given out. */
#include <check.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/libs/lt.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define HANDLE PVGPU_HANDLE(PVGPU_H_CUBLASLT, 0, 0, 1)
#define ROOM   (2ull << 20)

enum { M = 24, N = 16, K = 160 };

static struct worker *w;
static uint64_t room;
static int calls;
static const cublasLtMatmulAlgo_t known = {{1, 2, 3, 4, 5, 6, 7, 8}};
static cublasLtMatmulAlgo_t used;

static cublasStatus_t make(cublasLtHandle_t *h)
{
	*h = (cublasLtHandle_t)&calls;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t unmake(cublasLtHandle_t h)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t init_op(cublasLtMatmulDesc_t x, size_t size, cublasComputeType_t compute,
			      cudaDataType_t scale)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t set_op(cublasLtMatmulDesc_t x, int number, const void *v, size_t bytes)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t init_layout(cublasLtMatrixLayout_t x, size_t size, cudaDataType_t type,
				  uint64_t rows, uint64_t cols, int64_t ld)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t set_layout(cublasLtMatrixLayout_t x, int number, const void *v, size_t bytes)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t set_setting(cublasLtMatmulAlgo_t *algo, int number, const void *v,
				  size_t bytes)
{
	uint32_t value = 0;

	memcpy(&value, v, bytes);
	algo->data[number] = value;
	return value > 1000 ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t get_setting(const cublasLtMatmulAlgo_t *algo, int number, void *v,
				  size_t bytes, size_t *written)
{
	memset(v, 0, bytes);
	return CUBLAS_STATUS_SUCCESS;
}

/* It refuses tile 9. */
static cublasStatus_t judge(cublasLtHandle_t h, cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a,
			    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
			    cublasLtMatrixLayout_t d, const cublasLtMatmulAlgo_t *algo,
			    cublasLtMatmulHeuristicResult_t *result)
{
	return algo->data[1] == 9 ? CUBLAS_STATUS_NOT_SUPPORTED : CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t matmul(cublasLtHandle_t h, cublasLtMatmulDesc_t op, const void *alpha,
			     const void *A, cublasLtMatrixLayout_t a, const void *B,
			     cublasLtMatrixLayout_t b, const void *beta, const void *C,
			     cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
			     const cublasLtMatmulAlgo_t *algo, void *workspace, size_t bytes,
			     CUstream stream)
{
	calls++;
	if (algo)
		used = *algo;
	return CUBLAS_STATUS_SUCCESS;
}

static atomic_bool inside, go_on, unmade_inside;

static cublasStatus_t slow_ids(cublasLtHandle_t h, cublasComputeType_t compute,
			       cudaDataType_t scale, cudaDataType_t a, cudaDataType_t b,
			       cudaDataType_t c, cudaDataType_t d, int asked, int *id, int *count)
{
	atomic_store(&inside, true);
	while (!atomic_load(&go_on))
		usleep(1000);
	*count = 0;
	atomic_store(&inside, false);
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t late_unmake(cublasLtHandle_t h)
{
	if (atomic_load(&inside))
		atomic_store(&unmade_inside, true);
	return CUBLAS_STATUS_SUCCESS;
}

/* Functions that only have to be there. */
static void others(void)
{
	__typeof__(fake_far.far.lib.cublaslt) *l = &fake_far.far.lib.cublaslt;
	void *some = &calls;

#define SOME(name) memcpy(&l->name, &some, sizeof(some))
	SOME(cublasLtMatrixTransform);
	SOME(cublasLtMatrixTransformDescInit_internal);
	SOME(cublasLtMatrixTransformDescSetAttribute);
	SOME(cublasLtMatmulPreferenceInit_internal);
	SOME(cublasLtMatmulPreferenceSetAttribute);
	SOME(cublasLtMatmulAlgoGetHeuristic);
	SOME(cublasLtMatmulAlgoGetIds);
	SOME(cublasLtMatmulAlgoInit);
	SOME(cublasLtMatmulAlgoCapGetAttribute);
}

static void setup(void)
{
	struct pvgpu_wire_cublas_lt_create create = {.ctx = FAKE_CTX, .lightHandle = HANDLE};
	__typeof__(fake_far.far.lib.cublaslt) *l = &fake_far.far.lib.cublaslt;

	w = fake_open(true);
	l->cublasLtCreate = make;
	l->cublasLtDestroy = unmake;
	l->cublasLtMatmul = matmul;
	l->cublasLtMatmulDescInit_internal = init_op;
	l->cublasLtMatmulDescSetAttribute = set_op;
	l->cublasLtMatrixLayoutInit_internal = init_layout;
	l->cublasLtMatrixLayoutSetAttribute = set_layout;
	l->cublasLtMatmulAlgoCheck = judge;
	l->cublasLtMatmulAlgoConfigSetAttribute = set_setting;
	l->cublasLtMatmulAlgoConfigGetAttribute = get_setting;
	others();
	FAKE_SUBMIT(w, CUBLAS_LT_CREATE, 5, create);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 5), 0);
	room = fake_alloc(w, 6, FAKE_CTX, ROOM);
	calls = 0;
}

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void teardown(void)
{
	struct pvgpu_wire_cublas_lt_destroy destroy = {.lightHandle = HANDLE};
	struct pvgpu_wire_mem_free gone = {.ctx = FAKE_CTX, .address = room};

	FAKE_SUBMIT(w, CUBLAS_LT_DESTROY, 90, destroy);
	FAKE_SUBMIT(w, MEM_FREE, 0, gone);
	ck_assert(fake_until(w, no_jobs, NULL));
	fake_close(w);
}

struct product {
	struct pvgpu_wire_cublas_lt_matmul c;
	struct {
		struct pvgpu_lt_operation op;
		struct pvgpu_lt_layout l[4];
		struct pvgpu_lt_emulation emulation;
		struct pvgpu_lt_algo algo;
	} p;
};

/* op(A) is of M rows and K columns, A being turned, B of K and N, everything of one byte. */
static struct product right(void)
{
	const int size[4][2] = {{K, M}, {K, N}, {M, N}, {M, N}};
	struct product k = {.c = {.ctx = FAKE_CTX,
				  .handle = HANDLE,
				  .at_a = room,
				  .at_b = room,
				  .at_c = room,
				  .at_d = room,
				  .alpha = room,
				  .beta = room,
				  .operation_len = sizeof(k.p.op),
				  .a_layout_len = sizeof(k.p.l[0]),
				  .b_layout_len = sizeof(k.p.l[0]),
				  .c_layout_len = sizeof(k.p.l[0]),
				  .d_layout_len = sizeof(k.p.l[0]),
				  .emulation_len = sizeof(k.p.emulation)}};

	lt_operation_begin(&k.p.op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	k.p.op.transa = CUBLAS_OP_T;
	k.p.op.pointer_mode = LT_DEVICE;
	for (int i = 0; i < 4; i++)
		lt_layout_begin(&k.p.l[i], LT_E4M3, (uint64_t)size[i][0], (uint64_t)size[i][1],
				size[i][0]);
	lt_emulation_begin(&k.p.emulation);
	return k;
}

/* Whether the library was asked for it. */
static bool asked(struct product *k)
{
	const int before = calls;
	const size_t len = sizeof(k->p) - (k->c.algo_len ? 0 : sizeof(k->p.algo));

	ck_assert_int_eq(fake_submit(w, &k->c, sizeof(k->c), PVGPU_OP_CUBLAS_LT_MATMUL, 7, &k->p,
				     (uint32_t)len),
			 0);
	return calls > before;
}

/* *at may be as far as `need` bytes before the end, and no further. */
static void bounded(struct product *k, uint64_t *at, uint64_t need, const char *what)
{
	*at = room + ROOM - need;
	ck_assert_msg(asked(k), "%s: its last byte is the session's", what);
	*at = room + ROOM - need + 1;
	ck_assert_msg(!asked(k), "%s: one byte is outside", what);
	*at = room - 1;
	ck_assert_msg(!asked(k), "%s: its first byte is outside", what);
	*at = room;
}
#define BOUNDED(k, at, need) bounded(&(k), &(k).at, need, #at)

START_TEST(matrices)
{
	struct product k = right();

	BOUNDED(k, c.at_a, K * M);
	BOUNDED(k, c.at_b, K * N);
	BOUNDED(k, c.at_c, M * N);
	BOUNDED(k, c.at_d, M * N);
	k.c.workspace = room;
	k.c.workspace_bytes = 4096;
	BOUNDED(k, c.workspace, 4096);
	k.p.l[3].ld = 100;
	BOUNDED(k, c.at_d, 100 * (N - 1) + M);
	k.p.l[3].order = LT_ROW;
	BOUNDED(k, c.at_d, 100 * (M - 1) + N);
	k.p.l[3].order = LT_COL32;
	k.p.l[3].ld = 32 * M;
	BOUNDED(k, c.at_d, 32 * M);
	k.p.l[3].order = LT_COL32_2R_4R4;
	k.p.l[3].ld = 32 * 32;
	BOUNDED(k, c.at_d, 32 * 32);
	k.p.l[3].ld = 32 * 32 - 1;
	ck_assert(!asked(&k));
}
END_TEST

START_TEST(batches)
{
	struct product k = right();

	for (int i = 0; i < 4; i++) {
		k.p.l[i].batch_count = 3;
		k.p.l[i].batch_stride = 5000;
	}
	BOUNDED(k, c.at_a, 10000 + K * M);
	BOUNDED(k, c.at_d, 10000 + M * N);
	for (int i = 0; i < 4; i++)
		k.p.l[i].batch_mode = LT_POINTERS;
	BOUNDED(k, c.at_a, 3 * 8);
	BOUNDED(k, c.at_d, 3 * 8);
	k.p.l[2].batch_count = 2;
	ck_assert(!asked(&k));
	k.p.l[2].batch_count = 3;
	for (int i = 0; i < 4; i++) {
		k.p.l[i].batch_mode = LT_GROUPED;
		k.p.l[i].rows_array = k.p.l[i].cols_array = k.p.l[i].ld_array = room;
	}
	BOUNDED(k, p.l[1].rows_array, 3 * 4);
	k.p.l[1].ld_width = 1;
	BOUNDED(k, p.l[1].ld_array, 3 * 8);
	k.p.op.bias = room;
	ck_assert(!asked(&k));
}
END_TEST

START_TEST(planes)
{
	struct product k = right();

	for (int i = 0; i < 4; i++)
		k.p.l[i].type = CUDA_C_32F;
	k.p.op.scale_type = CUDA_C_32F;
	BOUNDED(k, c.at_d, 8 * M * N);
	k.p.l[3].plane_offset = 70000;
	BOUNDED(k, c.at_d, 70000 + 4 * M * N);
	k.p.l[3].plane_offset = INT64_MAX;
	ck_assert(!asked(&k));
}
END_TEST

START_TEST(numbers)
{
	struct product k = right();

	BOUNDED(k, c.alpha, 4);
	BOUNDED(k, c.beta, 4);
	k.p.op.pointer_mode = LT_VECTORS;
	BOUNDED(k, c.alpha, 4 * M);
	BOUNDED(k, c.beta, 4 * M);
	k.p.op.pointer_mode = LT_VECTOR_HOST;
	BOUNDED(k, c.alpha, 4 * M);
	/* A number, whatever it looks like. */
	k.c.beta = 1;
	ck_assert(asked(&k));
	k.c.beta = 0;
	k.c.at_c = 0;
	ck_assert_msg(asked(&k), "C is not read where beta is 0");
	k.c.beta = 1;
	ck_assert(!asked(&k));
}
END_TEST

START_TEST(epilogue)
{
	struct product k = right();

	k.p.op.bias = k.p.op.aux = room;
	k.p.op.epilogue = LT_BIAS;
	BOUNDED(k, p.op.bias, 2 * M);
	k.p.op.bias_type = CUDA_R_32F;
	BOUNDED(k, p.op.bias, 4 * M);
	k.p.op.epilogue = LT_BGRADB;
	BOUNDED(k, p.op.bias, 4 * N);
	k.p.op.epilogue = LT_RELU | LT_AUX;
	k.p.op.aux_ld = 128;
	BOUNDED(k, p.op.aux, 128 * (N - 1) / 8 + M / 8);
	k.p.op.epilogue = LT_GELU | LT_AUX;
	k.p.op.aux_ld = 64;
	BOUNDED(k, p.op.aux, 64 * (N - 1) + M);
	k.p.op.aux_type = CUDA_R_16F;
	BOUNDED(k, p.op.aux, 2 * (64 * (N - 1) + M));
	k.p.op.aux_ld = INT64_MAX;
	ck_assert(!asked(&k));
}
END_TEST

START_TEST(scales)
{
	struct product k = right();

	BOUNDED(k, p.op.a_scale, 4);
	k.p.op.a_scale_mode = LT_SCALE_OUTER;
	BOUNDED(k, p.op.a_scale, 4 * M);
	k.p.op.b_scale_mode = LT_SCALE_OUTER;
	BOUNDED(k, p.op.b_scale, 4 * N);
	k.p.op.a_scale_mode = LT_SCALE_VEC16;
	BOUNDED(k, p.op.a_scale, 128 * 12);
	k.p.op.a_scale_mode = LT_SCALE_VEC32;
	BOUNDED(k, p.op.a_scale, 128 * 8);
	k.p.op.a_scale_mode = LT_SCALE_VEC128;
	BOUNDED(k, p.op.a_scale, 4 * M * 2);
	k.p.op.b_scale_mode = LT_SCALE_BLOCK128;
	BOUNDED(k, p.op.b_scale, 4 * 4);
	k.p.op.a_scale_mode = LT_SCALE_VEC32_K4;
	BOUNDED(k, p.op.a_scale, 4 * 24 * 2);
	k.p.op.a_scale_mode = 9;
	ck_assert(!asked(&k));
	k.p.op.a_scale_mode = LT_SCALE_ONE;
	BOUNDED(k, p.op.c_scale, 4);
	BOUNDED(k, p.op.d_scale, 4);
	BOUNDED(k, p.op.d_out_scale, 4);
	BOUNDED(k, p.op.amax, 4);
	BOUNDED(k, p.op.aux_amax, 4);
	BOUNDED(k, p.op.aux_scale, 4);
}
END_TEST

START_TEST(algorithms)
{
	struct product k = right();
	struct pvgpu_lt_algo given, again;

	ck_assert_int_eq(lt_algo_give(w->gpu, &known, &given), 0);
	ck_assert_int_eq(lt_algo_give(w->gpu, &known, &again), 0);
	ck_assert_msg(given.entry == again.entry, "one entry for one algorithm");
	k.c.algo_len = sizeof(k.p.algo);
	k.p.algo = given;
	ck_assert(asked(&k));
	ck_assert(!memcmp(&used, &known, sizeof(used)));
	k.p.algo.tile = 5;
	ck_assert(asked(&k));
	ck_assert_uint_eq(used.data[1], 5);
	k.p.algo.tile = 9;
	ck_assert_msg(!asked(&k), "the library refuses this setting for the problem");
	k.p.algo.tile = 5000;
	ck_assert_msg(!asked(&k), "it refuses to set this one");
	k.p.algo = given;
	k.p.algo.id++;
	ck_assert_msg(!asked(&k), "an algorithm's number is no setting");
	for (int bit = 0; bit < 64; bit++) {
		k.p.algo = given;
		k.p.algo.entry ^= 1ull << bit;
		ck_assert_msg(!asked(&k), "an entry that was not given out");
	}
}
END_TEST

/* So many as the table holds, and no more. */
START_TEST(many_algorithms)
{
	cublasLtMatmulAlgo_t algo = known;
	struct pvgpu_lt_algo given;

	for (int i = 0; i < LT_ALGOS_MAX; i++) {
		algo.data[3] = (uint64_t)i << 20;
		ck_assert_int_eq(lt_algo_give(w->gpu, &algo, &given), 0);
	}
	ck_assert_int_eq(lt_algo_give(w->gpu, &algo, &given), 0);
	algo.data[3] = 1;
	ck_assert_int_eq(lt_algo_give(w->gpu, &algo, &given), CUBLAS_STATUS_ALLOC_FAILED);
}
END_TEST

static bool is_inside(struct worker *at, void *arg)
{
	return atomic_load(&inside);
}

/* A handle that the guest destroys stays until a question that has it is answered. */
START_TEST(destroyed_during_a_question)
{
	struct pvgpu_wire_cublas_lt_destroy destroy = {.lightHandle = HANDLE};
	struct pvgpu_wire_mem_free gone = {.ctx = FAKE_CTX};
	struct {
		struct pvgpu_lt_operation op;
		struct pvgpu_lt_layout l[4];
		struct pvgpu_lt_preference preference;
		struct pvgpu_lt_emulation emulation;
		struct pvgpu_lt_algo algo;
	} p = {0};
	struct pvgpu_wire_cublas_lt_ask ask = {.ctx = FAKE_CTX,
					       .handle = HANDLE,
					       .kind = 2,
					       .count = 4,
					       .operation_len = sizeof(p.op),
					       .a_layout_len = sizeof(p.l[0]),
					       .b_layout_len = sizeof(p.l[0]),
					       .c_layout_len = sizeof(p.l[0]),
					       .d_layout_len = sizeof(p.l[0]),
					       .preference_len = sizeof(p.preference),
					       .emulation_len = sizeof(p.emulation),
					       .algo_len = sizeof(p.algo)};

	fake_far.far.lib.cublaslt.cublasLtMatmulAlgoGetIds = slow_ids;
	fake_far.far.lib.cublaslt.cublasLtDestroy = late_unmake;
	ck_assert_int_eq(
		fake_submit(w, &ask, sizeof(ask), PVGPU_OP_CUBLAS_LT_ASK, 20, &p, sizeof(p)), 0);
	ck_assert(fake_until(w, is_inside, NULL));
	FAKE_SUBMIT(w, CUBLAS_LT_DESTROY, 21, destroy);
	/* The side lane has been past it. */
	gone.address = fake_alloc(w, 22, FAKE_CTX, 4096);
	ck_assert(!fake_was_sent(w, PVGPU_REP_REPLY, 21));
	ck_assert(!atomic_load(&unmade_inside));
	atomic_store(&go_on, true);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 20), 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 21), 0);
	ck_assert(!atomic_load(&unmade_inside));
	FAKE_SUBMIT(w, MEM_FREE, 0, gone);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cublaslt");
	TCase *t = tcase_create("products");
	SRunner *runner = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, matrices);
	tcase_add_test(t, batches);
	tcase_add_test(t, planes);
	tcase_add_test(t, numbers);
	tcase_add_test(t, epilogue);
	tcase_add_test(t, scales);
	tcase_add_test(t, algorithms);
	tcase_add_test(t, many_algorithms);
	tcase_add_test(t, destroyed_during_a_question);
	suite_add_tcase(s, t);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
