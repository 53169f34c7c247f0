/* SPDX-License-Identifier: MIT */
/* A hostile backend: the contents of its replies are checked before they are used. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guest_fake.h"

static CUcontext ctx;
static CUmodule module;

static void setup(void)
{
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
	ck_assert_int_eq(cuModuleLoadData(&module, ".version 7.0\n"), 0);
}

static uint64_t lie;

static void lie_about_addresses(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	if (h->op == PVGPU_OP_MEM_ALLOC)
		((struct pvgpu_wire_mem_alloc_reply *)rep)->address = lie;
	if (h->op == PVGPU_OP_MEM_RESERVE)
		((struct pvgpu_wire_mem_reserve_reply *)rep)->address = lie;
	if (h->op == PVGPU_OP_MODULE_GET_GLOBAL)
		((struct pvgpu_wire_module_get_global_reply *)rep)->address = lie;
}

START_TEST(memory_lies_in_the_device_window)
{
	static char own[4096];
	CUdeviceptr in, p = 0;

	ck_assert_int_eq(cuMemAlloc_v2(&in, 4096), 0);
	const uint64_t lies[] = {(uintptr_t)own, in + FAKE_WINDOW, UINT64_MAX - 4095, in - 1};

	fake.expect_broken = true;
	fake.twist = lie_about_addresses;
	lie = lies[_i];
	ck_assert_int_eq(cuMemAlloc_v2(&p, 8192), CUDA_ERROR_DEVICE_UNAVAILABLE);
	ck_assert_uint_eq(fake.broken, 1);
	ck_assert_uint_eq(p, 0);
}
END_TEST

static void lie_about_groups(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	struct pvgpu_wire_sm_split_reply *r = rep;

	if (h->op != PVGPU_OP_SM_SPLIT)
		return;
	r->count = 16;
	r->made = (uint32_t)lie;
	r->each = 4;
}

/* No more groups of multiprocessors than the program has room for. */
START_TEST(groups_are_those_asked_for)
{
	CUdevResource all, part[3] = {{0}};
	unsigned int n = 2;

	fake.twist = lie_about_groups;
	ck_assert_int_eq(cuDeviceGetDevResource(0, &all, CU_DEV_RESOURCE_TYPE_SM), 0);
	lie = 2;
	ck_assert_int_eq(cuDevSmResourceSplitByCount(part, &n, &all, NULL, 0, 1), 0);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(part[1].type, CU_DEV_RESOURCE_TYPE_SM);
	for (lie = 3; lie <= UINT32_MAX; lie += UINT32_MAX - 3) {
		ck_assert_int_eq(cuDevSmResourceSplitByCount(part, &n, &all, NULL, 0, 1),
				 CUDA_ERROR_UNKNOWN);
		ck_assert_int_eq(part[2].type, CU_DEV_RESOURCE_TYPE_INVALID);
	}
}
END_TEST

/* Addresses outside of the window, and those of another reservation. */
START_TEST(reservations_lie_in_the_device_window)
{
	static char own[4096];
	CUdeviceptr in, p = 0;

	ck_assert_int_eq(cuMemAddressReserve(&in, 2 * PVGPU_ALLOC_PAGE, 0, 0, 0), 0);
	const uint64_t lies[] = {(uintptr_t)own, in + FAKE_WINDOW, UINT64_MAX - 4095, in - 1,
				 in + PVGPU_ALLOC_PAGE};

	fake.expect_broken = true;
	fake.twist = lie_about_addresses;
	lie = lies[_i];
	ck_assert_int_eq(cuMemAddressReserve(&p, PVGPU_ALLOC_PAGE, 0, 0, 0),
			 CUDA_ERROR_DEVICE_UNAVAILABLE);
	ck_assert_uint_eq(fake.broken, 1);
	ck_assert_uint_eq(p, 0);
}
END_TEST

START_TEST(variables_do_not_lie_in_the_arena)
{
	CUdeviceptr p = 0;
	void *pinned;

	ck_assert_int_eq(cuMemAllocHost_v2(&pinned, 4096), 0);
	const uint64_t lies[] = {(uintptr_t)pinned + 1, (uintptr_t)pinned + 4096, UINT64_MAX - 1};

	fake.expect_broken = true;
	fake.twist = lie_about_addresses;
	lie = lies[_i];
	ck_assert_int_eq(cuModuleGetGlobal_v2(&p, NULL, module, "x"),
			 CUDA_ERROR_DEVICE_UNAVAILABLE);
	ck_assert_uint_eq(fake.broken, 1);
	ck_assert_uint_eq(p, 0);
}
END_TEST

static void fetch_less(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	if (h->op != PVGPU_OP_COPY_FETCH)
		return;
	((struct pvgpu_wire_copy_fetch_reply *)rep)->data_len -= 8;
	*len -= 8;
}

START_TEST(copies_bring_all_bytes)
{
	char back[64];
	CUdeviceptr p;

	ck_assert_int_eq(cuMemAlloc_v2(&p, 4096), 0);
	fake.expect_broken = true;
	fake.twist = fetch_less;
	ck_assert_int_ne(cuMemcpyDtoH_v2(back, p, sizeof(back)), 0);
}
END_TEST

START_TEST(output_before_there_is_a_session)
{
	fake.early_output = true;
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_uint_eq(fake.count[PVGPU_OP_OUTPUT_PULL], 0);
}
END_TEST

START_TEST(too_many_devices)
{
	fake.expect_broken = true;
	fake.devices = _i ? 0x80000001u : 257;
	ck_assert_int_ne(cuInit(0), CUDA_SUCCESS);
	ck_assert_uint_eq(fake.count[PVGPU_OP_DEVICE_SNAPSHOT], 0);
}
END_TEST

static void many_blocks(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	if (h->op == PVGPU_OP_FUNC_OCCUPANCY)
		((struct pvgpu_wire_func_occupancy_reply *)rep)->blocks = INT32_MAX - 3;
}

START_TEST(occupancy_has_a_bound)
{
	int grid = 0, block = 0;
	CUfunction fn;

	fake.info.attr[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 1024;
	ck_assert_int_eq(cuModuleGetFunction(&fn, module, "f"), 0);
	fake.expect_broken = true;
	fake.twist = many_blocks;
	ck_assert_int_ne(cuOccupancyMaxPotentialBlockSize(&grid, &block, fn, NULL, 0, 0), 0);
}
END_TEST

/* Each request makes a handle in the worker that lasts as long as the module. */
START_TEST(listing_again_asks_nothing)
{
	CUfunction fns[8], again[8], by_name;
	CUkernel kernels[8], kernels_again[8];
	CUlibrary library;

	ck_assert_int_eq(cuModuleGetFunction(&by_name, module, "f1"), 0);
	for (int i = 0; i < 3; i++) {
		memset(again, 0, sizeof(again));
		ck_assert_int_eq(cuModuleEnumerateFunctions(i ? again : fns, 8, module), 0);
	}
	ck_assert_mem_eq(fns, again, FAKE_FUNCTIONS * sizeof(fns[0]));
	ck_assert_ptr_eq(fns[1], by_name);
	ck_assert_ptr_eq(again[FAKE_FUNCTIONS], NULL);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MODULE_FUNCTION_AT], FAKE_FUNCTIONS);
	ck_assert_int_eq(cuModuleUnload(module), 0);

	ck_assert_int_eq(
		cuLibraryLoadData(&library, ".version 7.0\n", NULL, NULL, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(cuLibraryEnumerateKernels(i ? kernels_again : kernels, 8, library),
				 0);
	ck_assert_mem_eq(kernels, kernels_again, FAKE_FUNCTIONS * sizeof(kernels[0]));
	ck_assert_uint_eq(fake.count[PVGPU_OP_LIBRARY_KERNEL_AT], FAKE_FUNCTIONS);
	ck_assert_int_eq(cuLibraryUnload(library), 0);
}
END_TEST

static CUdeviceptr watched;
static unsigned int ended;

/* When the worker frees a range, it may reuse the address for other memory at once. */
static void is_forgotten(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	unsigned int type;

	if (h->op != PVGPU_OP_CTX_DESTROY && h->op != PVGPU_OP_CTX_PRIMARY_RESET &&
	    h->op != PVGPU_OP_LIBRARY_UNLOAD)
		return;
	ended++;
	ck_assert_int_eq(cuPointerGetAttribute(&type, CU_POINTER_ATTRIBUTE_MEMORY_TYPE, watched),
			 CUDA_ERROR_INVALID_VALUE);
}

START_TEST(addresses_are_forgotten_before_they_are_free)
{
	CUlibrary library;
	CUmodule m;
	CUcontext primary;

	fake.twist = is_forgotten;
	ck_assert_int_eq(
		cuLibraryLoadData(&library, ".version 7.0\n", NULL, NULL, 0, NULL, NULL, 0), 0);
	ck_assert_int_eq(cuLibraryGetModule(&m, library), 0);
	ck_assert_int_eq(cuModuleGetGlobal_v2(&watched, NULL, m, "x"), 0);
	ck_assert_int_eq(cuLibraryUnload(library), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&watched, 4096), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(ctx), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(cuDevicePrimaryCtxRetain(&primary, 0), 0);
		ck_assert_int_eq(cuCtxSetCurrent(primary), 0);
		ck_assert_int_eq(cuMemAlloc_v2(&watched, 4096), 0);
		if (!i)
			ck_assert_int_eq(cuDevicePrimaryCtxReset_v2(0), 0);
		ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	}
	ck_assert_uint_eq(ended, 4);
}
END_TEST

static void say(const struct pvgpu_cmd_hdr *h, void *rep, uint32_t *len)
{
	struct pvgpu_wire_output_pull_reply *r = rep;

	if (h->op != PVGPU_OP_OUTPUT_PULL)
		return;
	r->which = 1;
	r->text_len = 8;
	memcpy(r + 1, "(text)\n\n", 8);
	*len += 8;
}

static void *load_while_cancelled(void *steps)
{
	char path[] = "/tmp/guest-trust-XXXXXX";
	const int fd = mkstemp(path);
	CUmodule m;

	ck_assert_int_eq(write(fd, ".version 7.0\n", 13), 13);
	close(fd);
	ck_assert_int_eq(cuCtxSetCurrent(ctx), 0);
	pthread_cancel(pthread_self());
	cuModuleLoad(&m, path);
	++*(int *)steps;
	fake_output();
	++*(int *)steps;
	unlink(path);
	return NULL;
}

START_TEST(threads_are_cancelled_outside)
{
	int steps = 0;
	pthread_t t;

	fake.twist = say;
	pthread_create(&t, NULL, load_while_cancelled, &steps);
	pthread_join(t, NULL);
	ck_assert_int_eq(steps, 2);
	fake_output();
	ck_assert_uint_eq(fake.count[PVGPU_OP_OUTPUT_PULL], 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_trust");
	TCase *t = tcase_create("replies"), *opening = tcase_create("opening");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_loop_test(t, memory_lies_in_the_device_window, 0, 4);
	tcase_add_test(t, groups_are_those_asked_for);
	tcase_add_loop_test(t, reservations_lie_in_the_device_window, 0, 5);
	tcase_add_loop_test(t, variables_do_not_lie_in_the_arena, 0, 3);
	tcase_add_test(t, copies_bring_all_bytes);
	tcase_add_test(t, occupancy_has_a_bound);
	tcase_add_test(t, addresses_are_forgotten_before_they_are_free);
	tcase_add_test(t, threads_are_cancelled_outside);
	tcase_add_test(t, listing_again_asks_nothing);
	suite_add_tcase(s, t);
	tcase_add_test(opening, output_before_there_is_a_session);
	tcase_add_loop_test(opening, too_many_devices, 0, 2);
	suite_add_tcase(s, opening);
	r = srunner_create(s);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
