/* SPDX-License-Identifier: MIT */
/* Start, contexts and their errors, handles, fork. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest_fake.h"

static void start(void)
{
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
}

START_TEST(needs_init)
{
	CUdeviceptr p;
	int n, version;

	ck_assert_int_eq(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 1), CUDA_ERROR_NOT_INITIALIZED);
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_NOT_INITIALIZED);
	ck_assert_int_eq(cuInit(1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDriverGetVersion(&version), CUDA_SUCCESS);
	ck_assert_int_eq(version, 12080);
	ck_assert_int_eq(cuDeviceGetCount(&n), CUDA_ERROR_NOT_INITIALIZED);
	start();
	start();
	ck_assert_uint_eq(fake.opened, 1);
	ck_assert_int_eq(cuDeviceGetCount(&n), CUDA_SUCCESS);
	ck_assert_int_eq(n, 1);
}
END_TEST

START_TEST(no_backend)
{
	int version;

	fake.open_result = CUDA_ERROR_NO_DEVICE;
	ck_assert_int_eq(cuInit(0), CUDA_ERROR_NO_DEVICE);
	ck_assert_int_eq(cuDriverGetVersion(&version), CUDA_SUCCESS);
	ck_assert_int_eq(version, 13000);
	fake.open_result = 0;
	start();
}
END_TEST

static void *init_in_thread(void *arg)
{
	return (void *)(intptr_t)cuInit(0);
}

START_TEST(init_in_many_threads)
{
	pthread_t threads[8];
	void *r;

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, init_in_thread, NULL);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &r);
		ck_assert_ptr_null(r);
	}
	ck_assert_uint_eq(fake.opened, 1);
}
END_TEST

START_TEST(device_facts)
{
	char name[5], bus[32];
	CUdevice dev;
	size_t bytes;
	int v;

	start();
	ck_assert_int_eq(cuDeviceGet(&dev, 0), 0);
	ck_assert_int_eq(cuDeviceGet(&dev, 1), CUDA_ERROR_INVALID_DEVICE);
	ck_assert_int_eq(cuDeviceGetName(name, sizeof(name), 0), 0);
	ck_assert_str_eq(name, "fake");
	ck_assert_int_eq(cuDeviceTotalMem_v2(&bytes, 0), 0);
	ck_assert_uint_eq(bytes, FAKE_WINDOW);
	ck_assert_int_eq(cuDeviceGetAttribute(&v, CU_DEVICE_ATTRIBUTE_WARP_SIZE, 0), 0);
	ck_assert_int_eq(v, 32);
	ck_assert_int_eq(cuDeviceGetAttribute(&v, 200, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDeviceGetAttribute(&v, 100000, 0), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDeviceGetPCIBusId(bus, sizeof(bus), 0), 0);
	ck_assert_str_eq(bus, "0000:3b:00.0");
	ck_assert_int_eq(cuDeviceGetByPCIBusId(&dev, "3B:0"), 0);
	ck_assert_int_eq(cuDeviceGetByPCIBusId(&dev, "0000:3b:00.0"), 0);
	ck_assert_int_eq(cuDeviceGetByPCIBusId(&dev, "0001:3b:00.0"), CUDA_ERROR_INVALID_DEVICE);
	ck_assert_int_eq(cuDeviceGetByPCIBusId(&dev, "GPU"), CUDA_ERROR_INVALID_VALUE);
	ck_assert_uint_eq(fake.count[PVGPU_OP_DEVICE_SNAPSHOT], 1);
}
END_TEST

static const struct {
	const char *visible;
	int count, first;
} visibility[] = {
	{NULL, 3, 0},   {"2,0", 2, 2},      {"1,7,0", 1, 1},       {"1,1,0", 1, 1},
	{"", 0, 0},     {"-1", 0, 0},       {"GPU-3231", 1, 2},    {"gpu-31313233-3435,0", 2, 1},
	{"GPU-", 0, 0}, {"GPU-9999", 0, 0}, {"0x1", 0, 0},         {"0,1,2,0", 3, 0},
	{"1", 1, 1},    {"MIG-1", 0, 0},    {"2,GPU-30,-1", 2, 2}, {",1", 0, 0},
};

START_TEST(visible_devices_only)
{
	const struct pvgpu_wire_ctx_create *cmd = (const void *)fake.last;
	int count = 0;
	CUcontext c;
	CUuuid id;

	fake.devices = 3;
	unsetenv("CUDA_VISIBLE_DEVICES");
	if (visibility[_i].visible)
		setenv("CUDA_VISIBLE_DEVICES", visibility[_i].visible, 1);
	ck_assert_int_eq(cuInit(0), visibility[_i].count ? 0 : CUDA_ERROR_NO_DEVICE);
	if (!visibility[_i].count)
		return;
	ck_assert_int_eq(cuDeviceGetCount(&count), 0);
	ck_assert_int_eq(count, visibility[_i].count);
	ck_assert_int_eq(cuDeviceGetUuid(&id, 0), 0);
	ck_assert_int_eq(id.bytes[0], '0' + visibility[_i].first);
	ck_assert_int_eq(cuCtxCreate_v2(&c, 0, 0), 0);
	ck_assert_uint_eq(cmd->device, (unsigned int)visibility[_i].first);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&c, 0), 0);
	ck_assert_uint_eq(cmd->device, (unsigned int)visibility[_i].first);
	ck_assert_int_eq(cuCtxCreate_v2(&c, 0, count), CUDA_ERROR_INVALID_DEVICE);
}
END_TEST

START_TEST(stack)
{
	CUcontext a, b, c;

	start();
	ck_assert_int_eq(cuCtxGetCurrent(&c), 0);
	ck_assert_ptr_null(c);
	ck_assert_int_eq(cuCtxPopCurrent_v2(&c), CUDA_ERROR_INVALID_CONTEXT);
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuCtxCreate_v4(&b, NULL, 0, 0), 0);
	ck_assert_ptr_ne(a, b);
	ck_assert_int_eq(cuCtxPopCurrent_v2(&c), 0);
	ck_assert_ptr_eq(c, b);
	ck_assert_int_eq(cuCtxGetCurrent(&c), 0);
	ck_assert_ptr_eq(c, a);
	ck_assert_int_eq(cuCtxPushCurrent_v2(a), 0);
	ck_assert_int_eq(cuCtxPushCurrent_v2(b), 0);
	ck_assert_int_eq(cuCtxSetCurrent(a), 0);
	ck_assert_int_eq(cuCtxSetCurrent(NULL), 0);
	ck_assert_int_eq(cuCtxGetCurrent(&c), 0);
	ck_assert_ptr_eq(c, a);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(cuCtxPushCurrent_v2(b), 0);
	for (int i = 0; i < 102; i++)
		ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), 0);
	ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), CUDA_ERROR_INVALID_CONTEXT);
	ck_assert_int_eq(cuCtxPushCurrent_v2(NULL), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(destroyed_context)
{
	CUdevice device = 1;
	CUcontext a, b;
	CUdeviceptr p;
	CUstream s;
	CUevent e;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuCtxCreate_v2(&b, 0, 0), 0);
	ck_assert_int_eq(cuStreamCreate(&s, 0), 0);
	ck_assert_int_eq(cuEventCreate(&e, 0), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 100), 0);
	ck_assert_int_eq(cuCtxPushCurrent_v2(a), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(b), 0);
	ck_assert_int_eq(cuStreamQuery(s), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuCtxDestroy_v2(b), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	/* With the arguments of before CUDA 13 ctx is what a register held. */
	ck_assert_int_eq(cuCtxGetDevice_v2(&device, b), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuCtxSynchronize_v2(b), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuCtxGetDevice_v2(&device, (CUcontext)&device), 0);
	ck_assert_int_eq(device, 0);
	ck_assert_int_eq(cuCtxSynchronize_v2((CUcontext)&device), 0);
	ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), 0);
	/* b is still current below. */
	ck_assert_int_eq(cuMemAlloc_v2(&p, 100), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuCtxSetCurrent(a), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 100), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(a), 0);
	ck_assert_int_eq(cuCtxDestroy_v2(NULL), CUDA_ERROR_INVALID_VALUE);
}
END_TEST

START_TEST(primary_context)
{
	CUcontext a, b;
	unsigned int flags;
	CUdeviceptr p;
	int active;

	start();
	ck_assert_int_eq(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_SCHED_SPIN), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxSetFlags_v2(0, 3), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDevicePrimaryCtxGetState(0, &flags, &active), 0);
	ck_assert_uint_eq(flags, CU_CTX_SCHED_SPIN);
	ck_assert_int_eq(active, 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&a, 0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&b, 0), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_uint_eq(fake.count[PVGPU_OP_CTX_PRIMARY_RETAIN], 1);
	ck_assert_int_eq(cuCtxDestroy_v2(a), CUDA_ERROR_INVALID_CONTEXT);
	ck_assert_int_eq(cuCtxSetCurrent(a), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 10), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	ck_assert_int_eq(cuCtxSynchronize(), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_CTX_DESTROY], 1);
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&b, 0), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_int_eq(cuCtxSynchronize(), 0);
	ck_assert_int_eq(cuMemFree_v2(p), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&b, 0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxReset_v2(0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxGetState(0, &flags, &active), 0);
	ck_assert_int_eq(active, 0);
	ck_assert_uint_eq(flags, 0);
	/* The handle stays, can be made current, and is of no use until the next retain; both
	 * retains are to be released. */
	ck_assert_int_eq(cuCtxPushCurrent_v2(b), 0);
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuCtxPopCurrent_v2(NULL), 0);
	ck_assert_int_eq(cuCtxSetCurrent(b), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 10), CUDA_ERROR_CONTEXT_IS_DESTROYED);
	ck_assert_int_eq(cuDevicePrimaryCtxReset_v2(0), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_CTX_PRIMARY_RESET], 1);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_CTX_DESTROY], 1);
	ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), CUDA_ERROR_INVALID_CONTEXT);
	/* Reset while it is retained, and retained again: three uses. */
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(cuDevicePrimaryCtxRetain(&b, 0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxReset_v2(0), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&b, 0), 0);
	ck_assert_ptr_eq(a, b);
	ck_assert_int_eq(cuCtxPushCurrent_v2(b), 0);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(cuDevicePrimaryCtxGetState(0, &flags, &active), 0);
		ck_assert_int_eq(active, 1);
		ck_assert_int_eq(cuDevicePrimaryCtxRelease_v2(0), 0);
	}
	ck_assert_int_eq(cuDevicePrimaryCtxGetState(0, &flags, &active), 0);
	ck_assert_int_eq(active, 0);
}
END_TEST

/* The first revision changes no context that is active. */
START_TEST(primary_flags)
{
	__typeof__(&cuDevicePrimaryCtxSetFlags_v2) first = cuDevicePrimaryCtxSetFlags;
	unsigned int flags;
	CUcontext a;
	int active;

	start();
	ck_assert_int_eq(first(0, CU_CTX_SCHED_SPIN), 0);
	ck_assert_int_eq(first(0, CU_CTX_MAP_HOST), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_MAP_HOST),
			 CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(cuDevicePrimaryCtxRetain(&a, 0), 0);
	ck_assert_int_eq(cuCtxSetCurrent(a), 0);
	ck_assert_int_eq(first(0, CU_CTX_SCHED_YIELD), CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE);
	ck_assert_int_eq(cuCtxGetFlags(&flags), 0);
	ck_assert_uint_eq(flags, CU_CTX_SCHED_SPIN | CU_CTX_MAP_HOST);
	ck_assert_int_eq(cuDevicePrimaryCtxSetFlags_v2(0, CU_CTX_SCHED_YIELD), 0);
	ck_assert_int_eq(cuDevicePrimaryCtxGetState(0, &flags, &active), 0);
	ck_assert_uint_eq(flags, CU_CTX_SCHED_YIELD);
}
END_TEST

START_TEST(fault_sticks_to_its_context)
{
	CUcontext a, b;
	CUdeviceptr p;
	CUstream s;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuStreamCreate(&s, 0), 0);
	fake.fail_op = PVGPU_OP_CTX_SYNCHRONIZE;
	fake.fail_result = CUDA_ERROR_ILLEGAL_ADDRESS;
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	fake.fail_result = 0;
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 10), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_int_eq(cuStreamQuery(s), CUDA_ERROR_ILLEGAL_ADDRESS);
	ck_assert_int_eq(cuCtxCreate_v2(&b, 0, 0), 0);
	ck_assert_int_eq(cuMemAlloc_v2(&p, 10), 0);
	/* An error that is no fault is returned once. */
	fake.fail_result = CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	ck_assert_int_eq(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES);
	fake.fail_result = 0;
	ck_assert_int_eq(cuCtxSynchronize(), 0);
}
END_TEST

START_TEST(dead_session)
{
	CUcontext a;
	CUdeviceptr p;
	int n;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	fake.dead = CUDA_ERROR_DEVICE_UNAVAILABLE;
	ck_assert_int_eq(cuMemAlloc_v2(&p, 10), CUDA_ERROR_DEVICE_UNAVAILABLE);
	ck_assert_int_eq(cuDeviceGetCount(&n), CUDA_ERROR_DEVICE_UNAVAILABLE);
	ck_assert_int_eq(cuInit(0), CUDA_ERROR_DEVICE_UNAVAILABLE);
}
END_TEST

/* The session ends between the call's begin and the command of what it makes. */
START_TEST(dies_in_the_call)
{
	static const unsigned int ops[] = {PVGPU_OP_GRAPH_CREATE, PVGPU_OP_GRAPH_CREATE,
					   PVGPU_OP_STREAM_CREATE};
	CUstream s, more;
	CUgraph graph;
	CUcontext a;
	int r;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING), 0);
	fake.dies_at = ops[_i];
	r = _i == 0   ? cuGraphCreate(&graph, 0)
	    : _i == 1 ? cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED)
		      : cuStreamCreate(&more, 0);
	ck_assert_int_eq(r, CUDA_ERROR_DEVICE_UNAVAILABLE);
}
END_TEST

START_TEST(stale_handles)
{
	CUstream s[3], again;
	CUcontext a;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(cuStreamCreate(&s[i], 0), 0);
	ck_assert_int_eq(cuStreamDestroy_v2(s[1]), 0);
	ck_assert_int_eq(cuStreamDestroy_v2(s[1]), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuStreamCreate(&again, 0), 0);
	ck_assert_ptr_ne(again, s[1]); /* the slot's next generation */
	ck_assert_int_eq(cuStreamQuery(s[1]), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuStreamQuery(again), 0);
	ck_assert_int_eq(cuStreamQuery((CUstream)((char *)again + 8)), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuStreamQuery((CUstream)(uintptr_t)-1), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuEventQuery((CUevent)again), CUDA_ERROR_INVALID_HANDLE);
	/* Generation 0, which a free slot has. */
	ck_assert_int_eq(cuStreamQuery((CUstream)((uintptr_t)PVGPU_H_STREAM << 56 | 7 << 4)),
			 CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuStreamDestroy_v2(NULL), CUDA_ERROR_INVALID_HANDLE);
	ck_assert_int_eq(cuStreamDestroy_v2(CU_STREAM_PER_THREAD), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

static void in_child(int (*fn)(void), int want)
{
	const pid_t pid = fork();
	int status;

	if (!pid)
		_exit(fn());
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), want);
}

static int use_cuda(void)
{
	CUdeviceptr p;

	return cuMemAlloc_v2(&p, 10) == CUDA_ERROR_NOT_INITIALIZED &&
			       cuInit(0) == CUDA_ERROR_NOT_INITIALIZED && fake.abandoned == 1
		       ? 7
		       : 1;
}

static int init_cuda(void)
{
	return cuInit(0) ? 1 : 7;
}

START_TEST(forked_child_has_no_session)
{
	CUcontext a;
	int version;

	in_child(init_cuda, 7); /* nothing was used yet */
	ck_assert_int_eq(cuDriverGetVersion(&version), 0);
	in_child(init_cuda, 7); /* a session, but no cuInit() */
	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	in_child(use_cuda, 7);
	ck_assert_int_eq(cuCtxSynchronize(), 0);
}
END_TEST

static void *use_per_thread(void *arg)
{
	cuCtxSetCurrent(arg);
	return (void *)(intptr_t)cuStreamSynchronize(CU_STREAM_PER_THREAD);
}

START_TEST(per_thread_streams_end_with_their_threads)
{
	pthread_t thread;
	CUcontext a;
	void *r;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuStreamSynchronize(CU_STREAM_PER_THREAD), 0);
	pthread_create(&thread, NULL, use_per_thread, a);
	pthread_join(thread, &r);
	ck_assert_ptr_null(r);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_CREATE], 2);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_DESTROY], 1);
}
END_TEST

/* Two commands for each stream, and none that is awaited; the legacy default stream once it is
 * used.
 */
START_TEST(events_of_all_streams)
{
	CUstream one, two;
	unsigned int before;
	CUcontext a;
	CUevent e;

	start();
	ck_assert_int_eq(cuCtxCreate_v2(&a, 0, 0), 0);
	ck_assert_int_eq(cuStreamCreate(&one, 0), 0);
	ck_assert_int_eq(cuStreamCreate(&two, 0), 0);
	ck_assert_int_eq(cuEventCreate(&e, 0), 0);
	ck_assert_int_eq(cuCtxRecordEvent(NULL, e), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_RECORD], 3);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_WAIT_EVENT], 2);
	before = fake_commands();
	ck_assert_int_eq(cuCtxRecordEvent(a, e), 0);
	ck_assert_uint_eq(fake_commands() - before, 5);
	/* Those that are made later wait, too, and the legacy one when it is used. */
	ck_assert_int_eq(cuCtxWaitEvent(a, e), 0);
	before = fake.count[PVGPU_OP_STREAM_WAIT_EVENT];
	ck_assert_int_eq(cuStreamCreate(&one, 0), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_WAIT_EVENT] - before, 1);
	ck_assert_int_eq(cuEventRecord(e, NULL), 0);
	ck_assert_int_eq(cuEventRecord(e, NULL), 0);
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_WAIT_EVENT] - before, 2);
	ck_assert_int_eq(cuCtxRecordEvent(a, NULL), CUDA_ERROR_INVALID_HANDLE);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_context");
	TCase *t = tcase_create("context");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, needs_init);
	tcase_add_loop_test(t, visible_devices_only, 0, sizeof(visibility) / sizeof(visibility[0]));
	tcase_add_test(t, no_backend);
	tcase_add_test(t, init_in_many_threads);
	tcase_add_test(t, device_facts);
	tcase_add_test(t, stack);
	tcase_add_test(t, destroyed_context);
	tcase_add_test(t, primary_context);
	tcase_add_test(t, primary_flags);
	tcase_add_test(t, fault_sticks_to_its_context);
	tcase_add_test(t, dead_session);
	tcase_add_loop_test(t, dies_in_the_call, 0, 3);
	tcase_add_test(t, stale_handles);
	tcase_add_test(t, forked_child_has_no_session);
	tcase_add_test(t, per_thread_streams_end_with_their_threads);
	tcase_add_test(t, events_of_all_streams);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
