/* SPDX-License-Identifier: MIT */
/* Numbers of generated calls, as a guest may send them: in the record or in the arena, of wrong
 * lengths, not the arena's, out of bounds. The library sees none of those. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_cublas.h"
#include "tests/unit/worker/worker_fake.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

#define HANDLE PVGPU_HANDLE(PVGPU_H_CUBLAS, 0, 0, 1)
#define MANY   1000u

static struct worker *w;
static uint64_t table;
static int calls, groups, last;

static cublasStatus_t make(cublasHandle_t *h)
{
	*h = (cublasHandle_t)&calls;
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t unmake(cublasHandle_t h)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t stream(cublasHandle_t h, CUstream s)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t mode(cublasHandle_t h, cublasPointerMode_t m)
{
	return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t grouped(cublasHandle_t h, const cublasOperation_t *ta,
			      const cublasOperation_t *tb, const int *m, const int *n, const int *k,
			      const float *alpha, const uint64_t *a, const int *lda,
			      const uint64_t *b, const int *ldb, const float *beta,
			      const uint64_t *c, const int *ldc, int count, const int *size)
{
	calls++;
	groups = count;
	last = count ? size[count - 1] : 0;
	return CUBLAS_STATUS_SUCCESS;
}

static void setup(void)
{
	struct pvgpu_wire_cublas_create create = {.ctx = FAKE_CTX, .handle = HANDLE};

	w = fake_open(true);
	fake_far.far.lib.cublas.cublasCreate_v2 = make;
	fake_far.far.lib.cublas.cublasDestroy_v2 = unmake;
	fake_far.far.lib.cublas.cublasSetStream_v2 = stream;
	fake_far.far.lib.cublas.cublasSetPointerMode_v2 = mode;
	fake_far.far.lib.cublas.cublasSgemmGroupedBatched = grouped;
	fake_chunk(w, 0, 1u << 20);
	FAKE_SUBMIT(w, CUBLAS_CREATE, 5, create);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_REPLY, 5), 0);
	table = fake_alloc(w, 6, FAKE_CTX, 8 * MANY);
	calls = 0;
}

static bool no_jobs(struct worker *at, void *arg)
{
	return !atomic_load(&at->gpu->side.jobs);
}

static void teardown(void)
{
	struct pvgpu_wire_cublas_destroy destroy = {.handle = HANDLE};
	struct pvgpu_wire_mem_free gone = {.ctx = FAKE_CTX, .address = table};

	FAKE_SUBMIT(w, CUBLAS_DESTROY, 90, destroy);
	FAKE_SUBMIT(w, MEM_FREE, 0, gone);
	ck_assert(fake_until(w, no_jobs, NULL));
	fake_close(w);
}

/* The eleven arrays of so many groups, each at a multiple of 8 bytes; their length. */
static uint32_t fill(char *to, uint32_t count)
{
	static const int value[] = {0, 0, 2, 2, 2, 0, 2, 2, 0, 2, 1};
	const uint32_t each = (4 * count + 7) / 8 * 8;

	memset(to, 0, (size_t)11 * each);
	for (uint32_t i = 0; i < 11; i++)
		for (uint32_t j = 0; j < count; j++)
			memcpy(to + i * each + 4 * j, &value[i], 4);
	return 11 * each;
}

static struct pvgpu_wire_cublas_sgemm_grouped_batched call(int32_t count)
{
	return (struct pvgpu_wire_cublas_sgemm_grouped_batched){.ctx = FAKE_CTX,
								.handle = HANDLE,
								.Aarray = table,
								.Barray = table,
								.Carray = table,
								.group_count = count};
}

/* The mark's result. */
static int in_record(uint32_t seq, int32_t count, const char *bytes, uint32_t len)
{
	struct pvgpu_wire_cublas_sgemm_grouped_batched c = call(count);

	c.hdr.flags = PVGPU_CMD_MARK;
	c.packed_len = len;
	ck_assert_int_eq(fake_submit(w, &c, sizeof(c), PVGPU_OP_CUBLAS_SGEMM_GROUPED_BATCHED, seq,
				     bytes, len),
			 0);
	return fake_result(w, PVGPU_REP_MARK, seq);
}

static int in_arena(uint32_t seq, int32_t count, uint64_t at, uint64_t len)
{
	struct pvgpu_wire_cublas_sgemm_grouped_batched c = call(count);

	c.hdr.flags = PVGPU_CMD_MARK;
	c.large = at;
	c.large_len = len;
	FAKE_SUBMIT(w, CUBLAS_SGEMM_GROUPED_BATCHED, seq, c);
	return fake_result(w, PVGPU_REP_MARK, seq);
}

START_TEST(in_a_record)
{
	char bytes[PVGPU_INLINE_MAX];
	const uint32_t len = fill(bytes, 3);
	int size = 5000;

	ck_assert_int_eq(in_record(11, 3, bytes, len), 0);
	ck_assert_int_eq(calls, 1);
	ck_assert_int_eq(groups, 3);
	ck_assert_int_eq(last, 1);
	ck_assert_int_eq(in_record(12, 0, NULL, 0), 0);
	ck_assert_int_eq(calls, 2);
	/* More addresses than the table has. */
	memcpy(bytes + 10 * 16, &size, 4);
	ck_assert_int_eq(in_record(13, 3, bytes, len), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(calls, 2);
}
END_TEST

START_TEST(wrong_lengths)
{
	char bytes[PVGPU_INLINE_MAX];
	const uint32_t len = fill(bytes, 3);
	const int32_t count[] = {0, 1, 2, 5, 16385, INT32_MAX};

	for (uint32_t i = 0; i < sizeof(count) / sizeof(count[0]); i++)
		ck_assert_int_eq(in_record(20 + i, count[i], bytes, len), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(in_record(30, 3, bytes, len - 8), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(in_record(31, 3, NULL, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(calls, 0);
}
END_TEST

/* Each of the numbers out of its bounds, in the last group. */
START_TEST(wrong_numbers)
{
	static const int bad[] = {3, -1, -1, -1, -1, 0, 1, 1, 0, 1, -1};
	char bytes[PVGPU_INLINE_MAX];

	for (uint32_t i = 0; i < 11; i++) {
		const uint32_t len = fill(bytes, 4);

		memcpy(bytes + i * 16 + 12, &bad[i], 4);
		ck_assert_int_eq(in_record(20 + i, 4, bytes, len),
				 bad[i] ? CUDA_ERROR_INVALID_VALUE : 0);
	}
	ck_assert_int_eq(calls, 2); /* the two whose numbers may be anything */
}
END_TEST

START_TEST(in_the_arena)
{
	char *at = (char *)(uintptr_t)w->arena_base;
	const uint32_t len = fill(at, MANY);

	ck_assert_uint_gt(len, PVGPU_INLINE_MAX);
	ck_assert_int_eq(in_arena(11, MANY, w->arena_base, len), 0);
	ck_assert_int_eq(calls, 1);
	ck_assert_int_eq(groups, MANY);
	ck_assert_int_eq(last, 1);
	ck_assert_int_eq(in_arena(12, MANY, w->arena_base, len - 8), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(in_arena(13, MANY, w->arena_base, len + 8), CUDA_ERROR_INVALID_VALUE);
	/* Beyond the only chunk: partly, and wholly. */
	ck_assert_int_eq(in_arena(14, MANY, w->arena_base + (1u << 20) - 64, len),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(in_arena(15, MANY, w->arena_base + (2u << 20), len),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(calls, 1);
	/* The last number is looked at, too. */
	at[len - 1] = -1;
	ck_assert_int_eq(in_arena(16, MANY, w->arena_base, len), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(calls, 1);
}
END_TEST

START_TEST(in_both)
{
	struct pvgpu_wire_cublas_sgemm_grouped_batched c = call(3);
	char bytes[PVGPU_INLINE_MAX];
	const uint32_t len = fill(bytes, 3);

	fill((char *)(uintptr_t)w->arena_base, 3);
	c.hdr.flags = PVGPU_CMD_MARK;
	c.packed_len = len - 8;
	c.large = w->arena_base;
	c.large_len = 8;
	ck_assert_int_eq(fake_submit(w, &c, sizeof(c), PVGPU_OP_CUBLAS_SGEMM_GROUPED_BATCHED, 11,
				     bytes, len - 8),
			 0);
	ck_assert_int_eq(fake_result(w, PVGPU_REP_MARK, 11), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(calls, 0);
}
END_TEST

/* An address that is not the arena's at all never reaches a handler. */
START_TEST(elsewhere)
{
	struct pvgpu_wire_cublas_sgemm_grouped_batched c = call(MANY);

	c.large = table;
	c.large_len = 11 * 4 * MANY;
	FAKE_SUBMIT(w, CUBLAS_SGEMM_GROUPED_BATCHED, 11, c);
	ck_assert_int_eq(w->ended, 1);
	ck_assert_int_eq(calls, 0);
	w->ended = 0;
}
END_TEST

int main(void)
{
	Suite *s = suite_create("worker_numbers");
	TCase *t = tcase_create("numbers");
	int failed;

	SRunner *r = srunner_create(s);

	suite_add_tcase(s, t);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 300);
	tcase_add_test(t, in_a_record);
	tcase_add_test(t, wrong_lengths);
	tcase_add_test(t, wrong_numbers);
	tcase_add_test(t, in_the_arena);
	tcase_add_test(t, in_both);
	tcase_add_test(t, elsewhere);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? 1 : 0;
}
