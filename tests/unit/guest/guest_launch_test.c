/* SPDX-License-Identifier: MIT */
/* Launches of the guest's libcuda: packing, checks, and the cost of a launch. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest_fake.h"

static CUcontext ctx;
static CUmodule module;
static CUfunction fn;

static _Atomic unsigned long allocations;
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	allocations++;
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	allocations++;
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	allocations++;
	return __real_realloc(p, size);
}

static void setup(void)
{
	static const char ptx[] = ".version 7.0\n.target sm_70\n";

	for (int i = 0; i < 16; i++)
		fake.info.attr[i] = -1;
	fake.info.attr[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 512;
	fake.info.attr[CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES] = 49152;
	fake.info.params_known = 1;
	fake.info.param_count = 4;
	fake.info.param_bytes = 28;
	fake.params[0] = (struct pvgpu_param_info){0, 8};
	fake.params[1] = (struct pvgpu_param_info){8, 4};
	fake.params[2] = (struct pvgpu_param_info){12, 1};
	fake.params[3] = (struct pvgpu_param_info){16, 12};
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
	ck_assert_int_eq(cuModuleLoadData(&module, ptx), CUDA_SUCCESS);
	ck_assert_int_eq(cuModuleGetFunction(&fn, module, "kernel"), CUDA_SUCCESS);
}

static uint64_t p0 = 0x1122334455667788;
static uint32_t p1 = 0xa1b2c3d4;
static char p2 = 'x', p3[12] = "twelve byte";
static void *params[4] = {&p0, &p1, &p2, p3};

static const char *sent(uint32_t *len)
{
	const struct pvgpu_wire_launch *l = (const void *)fake.last;

	ck_assert_int_eq(l->hdr.op, PVGPU_OP_LAUNCH);
	*len = l->params_len;
	return (const char *)(l + 1);
}

static void check_sent(void)
{
	char want[28] = {0};
	uint32_t len;
	const char *got = sent(&len);

	memcpy(want, &p0, 8);
	memcpy(want + 8, &p1, 4);
	want[12] = p2;
	memcpy(want + 16, p3, 12);
	ck_assert_uint_eq(len, 28);
	ck_assert_mem_eq(got, want, 28);
}

START_TEST(packs_by_layout)
{
	const struct pvgpu_wire_launch *l = (const void *)fake.last;

	ck_assert_int_eq(cuLaunchKernel(fn, 2, 3, 4, 32, 2, 1, 100, NULL, params, NULL), 0);
	check_sent();
	ck_assert_uint_eq(l->grid_x, 2);
	ck_assert_uint_eq(l->grid_y, 3);
	ck_assert_uint_eq(l->grid_z, 4);
	ck_assert_uint_eq(l->block_x, 32);
	ck_assert_uint_eq(l->block_y, 2);
	ck_assert_uint_eq(l->shared, 100);
	ck_assert_uint_eq(l->stream, 0);
	ck_assert_uint_eq(l->flags, 0);
}
END_TEST

START_TEST(takes_a_packed_buffer)
{
	char buffer[40] = {0};
	size_t size = 28;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, buffer, CU_LAUNCH_PARAM_BUFFER_SIZE, &size,
			 CU_LAUNCH_PARAM_END};

	memcpy(buffer, &p0, 8);
	memcpy(buffer + 8, &p1, 4);
	buffer[12] = p2;
	memcpy(buffer + 16, p3, 12);
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra), 0);
	check_sent();
	size = 40;
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra),
			 CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	size = 27;
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, extra),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, params, extra),
			 CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(large_parameters)
{
	static char large[PVGPU_PARAMS_MAX];
	void *one[1] = {large};
	CUfunction big;
	uint32_t len;
	const char *got;

	for (size_t i = 0; i < sizeof(large); i++)
		large[i] = (char)i;
	fake.info.param_count = 1;
	fake.info.param_bytes = fake.params[0].size = sizeof(large);
	ck_assert_int_eq(cuModuleGetFunction(&big, module, "big"), 0);
	ck_assert_int_eq(cuLaunchKernel(big, 1, 1, 1, 1, 1, 1, 0, NULL, one, NULL), 0);
	got = sent(&len);
	ck_assert_uint_eq(len, sizeof(large));
	ck_assert_mem_eq(got, large, sizeof(large));
}
END_TEST

static const struct {
	unsigned int grid[3], block[3], shared;
	int result;
} shapes[] = {
	{{0, 1, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 0, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 0}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {0, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{0x80000000, 1, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 65536, 1}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 65536}, {1, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {1025, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {1, 1, 65}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {1024, 2, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {513, 1, 1}, 0, CUDA_ERROR_INVALID_VALUE},
	{{1, 1, 1}, {1, 1, 1}, 49153, CUDA_ERROR_INVALID_VALUE},
	{{0x7fffffff, 65535, 65535}, {512, 1, 1}, 49152, CUDA_SUCCESS},
};

START_TEST(shape_is_checked_at_once)
{
	const unsigned int *g = shapes[_i].grid, *b = shapes[_i].block;
	const unsigned int before = fake_commands();

	ck_assert_int_eq(cuLaunchKernel(fn, g[0], g[1], g[2], b[0], b[1], b[2], shapes[_i].shared,
					NULL, params, NULL),
			 shapes[_i].result);
	ck_assert_uint_eq(fake_commands() - before, shapes[_i].result ? 0 : 1);
}
END_TEST

/* A block larger than the text declares is another mistake than one that registers do not allow. */
START_TEST(registers_bound_blocks)
{
	CUfunction large;

	fake.info.attr[CU_FUNC_ATTRIBUTE_NUM_REGS] = 128;
	ck_assert_int_eq(cuModuleGetFunction(&large, module, "large"), CUDA_SUCCESS);
	ck_assert_int_eq(cuLaunchKernel(large, 1, 1, 1, 512, 1, 1, 0, NULL, params, NULL), 0);
	ck_assert_int_eq(cuLaunchKernel(large, 1, 1, 1, 513, 1, 1, 0, NULL, params, NULL),
			 CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
}
END_TEST

START_TEST(arguments_are_checked_at_once)
{
	void *hole[4] = {&p0, NULL, &p2, p3};
	CUfunction gone;

	ck_assert_int_eq(cuLaunchKernel(NULL, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
			 CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(
		cuLaunchKernel((CUfunction)0x1234, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
		CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(
		cuLaunchKernel((CUfunction)module, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
		CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, (CUstream)fn, params, NULL),
			 CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, NULL, NULL),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, NULL, hole, NULL),
			 CUDA_ERROR_INVALID_VALUE);
	gone = fn;
	ck_assert_int_eq(cuModuleUnload(module), 0);
	ck_assert_int_eq(cuLaunchKernel(gone, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL),
			 CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuModuleUnload(module), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

START_TEST(same_function_same_handle)
{
	CUfunction again, other;
	CUmodule of;
	const char *name;

	ck_assert_int_eq(cuModuleGetFunction(&again, module, "kernel"), 0);
	ck_assert_ptr_eq(again, fn);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MODULE_GET_FUNCTION], 1);
	ck_assert_int_eq(cuModuleGetFunction(&other, module, "other"), 0);
	ck_assert_ptr_ne(other, fn);
	ck_assert_int_eq(cuFuncGetName(&name, other), 0);
	ck_assert_str_eq(name, "other");
	ck_assert_int_eq(cuFuncGetModule(&of, other), 0);
	ck_assert_ptr_eq(of, module);
}
END_TEST

START_TEST(param_info)
{
	size_t offset, size;

	ck_assert_int_eq(cuFuncGetParamInfo(fn, 3, &offset, &size), 0);
	ck_assert_uint_eq(offset, 16);
	ck_assert_uint_eq(size, 12);
	ck_assert_int_eq(cuFuncGetParamInfo(fn, 4, &offset, &size), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(cooperative_must_fit)
{
	const struct pvgpu_wire_launch *l = (const void *)fake.last;

	/* The fake fits 1024 / block blocks on each of 8 multiprocessors. */
	ck_assert_int_eq(cuLaunchCooperativeKernel(fn, 32, 1, 1, 256, 1, 1, 0, NULL, params), 0);
	ck_assert_uint_eq(l->flags, 1);
	ck_assert_int_eq(cuLaunchCooperativeKernel(fn, 33, 1, 1, 256, 1, 1, 0, NULL, params),
			 CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_FUNC_OCCUPANCY], 1);
}
END_TEST

/* Two sizes of one function, each launched as large as fits. */
struct sized {
	unsigned int grid, block;
	int bad;
};

static void *launch_often(void *arg)
{
	struct sized *s = arg;

	s->bad |= cuCtxSetCurrent(ctx);
	for (int i = 0; i < 100000 && !s->bad; i++)
		s->bad |= cuLaunchCooperativeKernel(fn, s->grid, 1, 1, s->block, 1, 1, 0, NULL,
						    params);
	return NULL;
}

START_TEST(cooperative_sizes_of_two_threads_stay_apart)
{
	struct sized launches[2] = {{.grid = 8 * 32, .block = 32}, {.grid = 8 * 2, .block = 512}};
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, launch_often, &launches[i]), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_eq(launches[0].bad, 0);
	ck_assert_int_eq(launches[1].bad, 0);
}
END_TEST

START_TEST(extended_launch)
{
	CUlaunchAttribute attrs[2] = {{.id = CU_LAUNCH_ATTRIBUTE_PRIORITY},
				      {.id = CU_LAUNCH_ATTRIBUTE_IGNORE}};
	CUlaunchConfig c = {1, 1, 1, 64, 1, 1, 0, NULL, attrs, 2};
	const struct pvgpu_wire_launch_ex *l = (const void *)fake.last;

	attrs[0].value.priority = -3;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), 0);
	ck_assert_int_eq(l->hdr.op, PVGPU_OP_LAUNCH_EX);
	ck_assert_uint_eq(l->attrs_len, sizeof(struct pvgpu_launch_attr));
	c.numAttrs = 0;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), 0);
	check_sent();
	c.numAttrs = 1;
	attrs[0].id = CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_NOT_SUPPORTED);
	attrs[0].value.programmaticEvent.event = NULL;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_INVALID_HANDLE);
	attrs[0].id = CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_NOT_SUPPORTED);
	attrs[0].id = CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION;
	attrs[0].value.preferredClusterDim.x = 2;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_INVALID_CLUSTER_SIZE);
	attrs[0].id = CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE;
	attrs[0].value.clusterSchedulingPolicyPreference = (CUclusterSchedulingPolicy)3;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_INVALID_VALUE);
	attrs[0].id = CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP; /* the device has no such */
	attrs[0].value.memSyncDomainMap.remote = 200;
	ck_assert_int_eq(cuLaunchKernelEx(&c, fn, params, NULL), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuLaunchKernelEx(NULL, fn, params, NULL), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(per_thread_form_has_a_stream_of_its_own)
{
	const struct pvgpu_wire_launch *l = (const void *)fake.last;
	uint64_t own;

	ck_assert_int_eq(cuLaunchKernel_ptsz(fn, 1, 1, 1, 1, 1, 1, 0, NULL, params, NULL), 0);
	own = l->stream;
	ck_assert_uint_eq(own >> 56, PVGPU_H_STREAM);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_CREATE], 1);
	ck_assert_int_eq(
		cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, CU_STREAM_PER_THREAD, params, NULL), 0);
	ck_assert_uint_eq(l->stream, own);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_CREATE], 1);
	ck_assert_int_eq(
		cuLaunchKernel_ptsz(fn, 1, 1, 1, 1, 1, 1, 0, CU_STREAM_LEGACY, params, NULL), 0);
	ck_assert_uint_eq(l->stream, 0);
}
END_TEST

START_TEST(posting_allocates_nothing)
{
	CUdeviceptr mem;
	CUstream stream;
	CUevent event;
	void *pinned;
	unsigned long before;
	int bad = 0;

	ck_assert_int_eq(cuStreamCreate(&stream, 0), 0);
	ck_assert_int_eq(cuEventCreate(&event, 0), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&mem, 65536), 0);
	ck_assert_int_eq(cuMemAllocHost_v2(&pinned, 65536), 0);
	before = allocations;
	for (int i = 0; i < 100; i++) { /* checking here would allocate */
		bad |= cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, stream, params, NULL);
		bad |= cuMemcpyHtoDAsync_v2(mem, pinned, 65536, stream);
		bad |= cuMemcpyDtoHAsync_v2(pinned, mem, 65536, stream);
		bad |= cuMemsetD32Async(mem, 1, 100, stream);
		bad |= cuEventRecord(event, stream);
		bad |= cuStreamWaitEvent(stream, event, 0);
	}
	before = allocations - before;
	ck_assert_uint_eq(before, 0);
	ck_assert_int_eq(bad, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_launch");
	TCase *t = tcase_create("launch");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, packs_by_layout);
	tcase_add_test(t, takes_a_packed_buffer);
	tcase_add_test(t, large_parameters);
	tcase_add_loop_test(t, shape_is_checked_at_once, 0, sizeof(shapes) / sizeof(shapes[0]));
	tcase_add_test(t, registers_bound_blocks);
	tcase_add_test(t, arguments_are_checked_at_once);
	tcase_add_test(t, same_function_same_handle);
	tcase_add_test(t, param_info);
	tcase_add_test(t, cooperative_must_fit);
	tcase_add_test(t, cooperative_sizes_of_two_threads_stay_apart);
	tcase_add_test(t, extended_launch);
	tcase_add_test(t, per_thread_form_has_a_stream_of_its_own);
	tcase_add_test(t, posting_allocates_nothing);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
