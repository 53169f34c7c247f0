/* SPDX-License-Identifier: MIT */
/* Mipmapped arrays in the guest: what the worker is told and when, and handles of levels, which go
 * with what they are of. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#include "guest_fake.h"

#define OK(call) ck_assert_int_eq(call, CUDA_SUCCESS)

static const CUDA_ARRAY3D_DESCRIPTOR desc = {
	.Width = 40, .Height = 24, .Format = CU_AD_FORMAT_FLOAT, .NumChannels = 2};
static CUcontext ctx;

static void setup(void)
{
	OK(cuInit(0));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
}

static uint32_t levels_told(void)
{
	struct pvgpu_wire_mipmap_create c;

	memcpy(&c, fake.last, sizeof(c));
	ck_assert_uint_eq(c.hdr.op, PVGPU_OP_MIPMAP_CREATE);
	ck_assert_uint_eq(c.width, 40);
	ck_assert_uint_eq(c.height, 24);
	return c.levels;
}

/* As the driver does it, to those that there are. */
START_TEST(numbers_of_levels_are_clamped)
{
	static const unsigned int asked[][2] = {{0, 1}, {1, 1}, {5, 5}, {6, 6}, {7, 6}, {~0u, 6}};
	CUmipmappedArray m;
	CUarray level;

	OK(cuMipmappedArrayCreate(&m, &desc, asked[_i][0]));
	ck_assert_uint_eq(levels_told(), asked[_i][1]);
	OK(cuMipmappedArrayGetLevel(&level, m, asked[_i][1] - 1));
	ck_assert_int_eq(cuMipmappedArrayGetLevel(&level, m, asked[_i][1]),
			 CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(a_level_is_named_once)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUarray level, again, other;
	CUmipmappedArray m;

	OK(cuMipmappedArrayCreate(&m, &desc, 6));
	ck_assert_uint_eq(fake.count[PVGPU_OP_MIPMAP_LEVEL], 0);
	OK(cuMipmappedArrayGetLevel(&level, m, 2));
	OK(cuMipmappedArrayGetLevel(&again, m, 2));
	OK(cuMipmappedArrayGetLevel(&other, m, 5));
	ck_assert_ptr_eq(level, again);
	ck_assert_ptr_ne(level, other);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MIPMAP_LEVEL], 2);
	OK(cuArray3DGetDescriptor_v2(&d, level));
	ck_assert_uint_eq(d.Width, 10);
	ck_assert_uint_eq(d.Height, 6);
	ck_assert_uint_eq(d.Depth, 0);
	OK(cuArray3DGetDescriptor_v2(&d, other));
	ck_assert_uint_eq(d.Width, 1);
	ck_assert_uint_eq(d.Height, 1);
}
END_TEST

START_TEST(levels_go_with_what_they_are_of)
{
	CUDA_ARRAY3D_DESCRIPTOR d;
	CUmipmappedArray m, next;
	CUarray level, other;

	OK(cuMipmappedArrayCreate(&m, &desc, 6));
	OK(cuMipmappedArrayGetLevel(&level, m, 0));
	ck_assert_int_eq(cuArrayDestroy(level), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_ARRAY_DESTROY], 0);
	OK(cuMipmappedArrayDestroy(m));
	ck_assert_uint_eq(fake.count[PVGPU_OP_MIPMAP_DESTROY], 1);
	ck_assert_int_eq(cuArray3DGetDescriptor_v2(&d, level), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuMipmappedArrayDestroy(m), CUDA_ERROR_INVALID_HANDLE);
	OK(cuMipmappedArrayCreate(&next, &desc, 6));
	ck_assert_int_eq(cuMipmappedArrayGetLevel(&other, m, 0), CUDA_ERROR_INVALID_HANDLE);
	OK(cuMipmappedArrayGetLevel(&other, next, 0));
	ck_assert_ptr_ne(level, other);
	OK(cuCtxDestroy_v2(ctx));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
	ck_assert_int_eq(cuArray3DGetDescriptor_v2(&d, other), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuMipmappedArrayDestroy(next), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MIPMAP_DESTROY], 1); /* it went with the context */
}
END_TEST

START_TEST(what_is_refused_here)
{
	CUDA_ARRAY_MEMORY_REQUIREMENTS needs;
	CUDA_ARRAY_SPARSE_PROPERTIES sparse;
	CUDA_ARRAY3D_DESCRIPTOR d = desc;
	CUmipmappedArray m;

	d.Width = 32769;
	ck_assert_int_eq(cuMipmappedArrayCreate(&m, &d, 2), CUDA_ERROR_INVALID_VALUE);
	d = desc;
	d.Flags = CUDA_ARRAY3D_CUBEMAP;
	ck_assert_int_eq(cuMipmappedArrayCreate(&m, &d, 2), CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_int_eq(cuMipmappedArrayCreate(&m, NULL, 2), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MIPMAP_CREATE], 0);
	fake.fail_op = PVGPU_OP_MIPMAP_CREATE;
	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	ck_assert_int_eq(cuMipmappedArrayCreate(&m, &desc, 2), CUDA_ERROR_OUT_OF_MEMORY);
	fake.fail_op = 0;
	OK(cuMipmappedArrayCreate(&m, &desc, 2));
	ck_assert_int_eq(cuMipmappedArrayGetSparseProperties(&sparse, m), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMipmappedArrayGetMemoryRequirements(&needs, m, 0),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMipmappedArrayGetMemoryRequirements(&needs, m, 9),
			 CUDA_ERROR_INVALID_DEVICE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_array");
	TCase *t = tcase_create("mipmaps");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, numbers_of_levels_are_clamped, 0, 6);
	tcase_add_test(t, a_level_is_named_once);
	tcase_add_test(t, levels_go_with_what_they_are_of);
	tcase_add_test(t, what_is_refused_here);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
