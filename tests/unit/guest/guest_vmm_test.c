/* SPDX-License-Identifier: MIT */
/* Virtual memory management in the guest: kinds of handles, what the worker is told and when, calls
 * that it refuses. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdlib.h>
#include <string.h>

#include "guest_fake.h"

#define OK(call) ck_assert_int_eq(call, CUDA_SUCCESS)

enum { PAGE = PVGPU_ALLOC_PAGE };

static const CUmemAllocationProp plain = {.type = CU_MEM_ALLOCATION_TYPE_PINNED,
					  .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
static const CUmemAccessDesc writable = {{CU_MEM_LOCATION_TYPE_DEVICE, 0},
					 CU_MEM_ACCESS_FLAGS_PROT_READWRITE};

static CUdeviceptr at;
static CUmemGenericAllocationHandle memory;

static void setup(void)
{
	CUcontext ctx;

	OK(cuInit(0));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
	OK(cuMemAddressReserve(&at, 4 * PAGE, 0, 0, 0));
	OK(cuMemCreate(&memory, 2 * PAGE, &plain, 0));
}

/* File descriptors may be asked for; what programs fall back from is refused at once. */
START_TEST(handles_to_be_exported)
{
	static const struct {
		int types;
		CUresult result;
	} row[] = {
		{CU_MEM_HANDLE_TYPE_NONE, CUDA_SUCCESS},
		{CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR, CUDA_SUCCESS},
		{CU_MEM_HANDLE_TYPE_FABRIC, CUDA_ERROR_NOT_SUPPORTED},
		{CU_MEM_HANDLE_TYPE_WIN32, CUDA_ERROR_NOT_SUPPORTED},
		{CU_MEM_HANDLE_TYPE_FABRIC | CU_MEM_HANDLE_TYPE_POSIX_FILE_DESCRIPTOR,
		 CUDA_ERROR_NOT_SUPPORTED},
	};
	CUmemAllocationProp p = plain, q;
	CUmemGenericAllocationHandle h;

	p.requestedHandleTypes = (CUmemAllocationHandleType)row[_i].types;
	ck_assert_int_eq(cuMemCreate(&h, PAGE, &p, 0), row[_i].result);
	if (row[_i].result)
		return;
	OK(cuMemGetAllocationPropertiesFromHandle(&q, h));
	ck_assert_int_eq(q.requestedHandleTypes, p.requestedHandleTypes);
}
END_TEST

/* The worker hears of a release when the last use of the handle and the last mapping are gone. */
START_TEST(memory_goes_with_its_last_use)
{
	const unsigned int *released = &fake.count[PVGPU_OP_MEM_RELEASE];
	CUmemGenericAllocationHandle again;

	OK(cuMemMap(at, PAGE, 0, memory, 0));
	OK(cuMemMap(at + PAGE, 2 * PAGE, 0, memory, 0));
	OK(cuMemRelease(memory));
	ck_assert_int_eq(cuMemRelease(memory), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuMemMap(at + 3 * PAGE, PAGE, 0, memory, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemUnmap(at, PAGE));
	ck_assert_uint_eq(*released, 0);
	OK(cuMemRetainAllocationHandle(&again, (void *)(uintptr_t)(at + 2 * PAGE)));
	ck_assert_uint_eq(again, memory);
	OK(cuMemUnmap(at + PAGE, 2 * PAGE));
	ck_assert_uint_eq(*released, 0);
	OK(cuMemMap(at, 2 * PAGE, 0, again, 0));
	OK(cuMemUnmap(at, 2 * PAGE));
	OK(cuMemRelease(again));
	ck_assert_uint_eq(*released, 1);
}
END_TEST

/* A call that the worker refuses leaves nothing here. */
START_TEST(the_worker_refuses)
{
	CUdeviceptr other;
	unsigned long long flags;

	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	fake.fail_op = PVGPU_OP_MEM_MAP;
	ck_assert_int_eq(cuMemMap(at, PAGE, 0, memory, 0), CUDA_ERROR_OUT_OF_MEMORY);
	fake.fail_op = PVGPU_OP_MEM_RESERVE;
	ck_assert_int_eq(cuMemAddressReserve(&other, PAGE, 0, 0, 0), CUDA_ERROR_OUT_OF_MEMORY);
	fake.fail_op = 0;
	OK(cuMemUnmap(at, PAGE)); /* nothing is there */
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_UNMAP], 0);
	OK(cuMemMap(at, 2 * PAGE, 0, memory, 0));
	fake.fail_op = PVGPU_OP_MEM_ACCESS;
	ck_assert_int_eq(cuMemSetAccess(at, 2 * PAGE, &writable, 1), CUDA_ERROR_OUT_OF_MEMORY);
	OK(cuMemGetAccess(&flags, &writable.location, at));
	ck_assert_uint_eq(flags, CU_MEM_ACCESS_FLAGS_PROT_NONE);
	fake.fail_op = PVGPU_OP_MEM_UNMAP;
	ck_assert_int_eq(cuMemUnmap(at, 2 * PAGE), CUDA_ERROR_OUT_OF_MEMORY);
	fake.fail_op = 0;
	ck_assert_int_eq(cuMemAddressFree(at, 4 * PAGE), CUDA_ERROR_INVALID_VALUE);
	OK(cuMemUnmap(at, 2 * PAGE));
	OK(cuMemAddressFree(at, 4 * PAGE));
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_UNRESERVE], 1);
}
END_TEST

/* Pools give back memory that they keep unused before memory is refused. */
START_TEST(pools_give_way)
{
	CUmemGenericAllocationHandle h;
	cuuint64_t keep = UINT64_MAX;
	CUmemoryPool pool;
	CUdeviceptr p;

	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
	OK(cuMemAllocAsync(&p, PAGE, NULL));
	OK(cuMemFreeAsync(p, NULL));
	OK(cuCtxSynchronize());
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 0);
	fake.fail_op = PVGPU_OP_MEM_CREATE;
	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	ck_assert_int_eq(cuMemCreate(&h, PAGE, &plain, 0), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_CREATE], 3); /* setup's, and two */
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_vmm");
	TCase *t = tcase_create("vmm");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, handles_to_be_exported, 0, 5);
	tcase_add_test(t, memory_goes_with_its_last_use);
	tcase_add_test(t, the_worker_refuses);
	tcase_add_test(t, pools_give_way);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
