/* SPDX-License-Identifier: MIT */
/* Calls that programs make all the time: how many commands they cost. */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>
#include <stdlib.h>

#include "guest_fake.h"
#include "link/session.h"
#include "ring/ring.h"

static CUcontext ctx;
static CUmodule module;
static CUfunction fn;

static void setup(void)
{
	for (int i = 0; i < 16; i++)
		fake.info.attr[i] = -1;
	fake.info.attr[CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK] = 1024;
	fake.info.params_known = 1;
	ck_assert_int_eq(cuInit(0), CUDA_SUCCESS);
	ck_assert_int_eq(cuCtxCreate_v2(&ctx, 0, 0), CUDA_SUCCESS);
	ck_assert_int_eq(cuModuleLoadData(&module, ".version 7.0\n"), 0);
	ck_assert_int_eq(cuModuleGetFunction(&fn, module, "f"), 0);
}

/* The calls post so many commands. */
#define COSTS(n, ...)                                                                              \
	do {                                                                                       \
		const unsigned int commands_ = fake_commands();                                    \
		__VA_ARGS__;                                                                       \
		ck_assert_uint_eq(fake_commands() - commands_, n);                                 \
	} while (0)
#define OK(call)     ck_assert_int_eq(call, CUDA_SUCCESS)
#define ASKS(call)   COSTS(1, OK(call))
#define SILENT(call) COSTS(0, OK(call))

START_TEST(attributes)
{
	const CUfunction_attribute shared = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES,
				   carveout = CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT;
	int v = 0;

	ASKS(cuFuncSetAttribute(fn, shared, 4096));
	SILENT(cuFuncSetAttribute(fn, shared, 4096));
	ASKS(cuFuncSetAttribute(fn, shared, 8192));
	SILENT(cuFuncGetAttribute(&v, shared, fn));
	ck_assert_int_eq(v, 8192);
	/* -1, as most functions have it, is known once it was said. */
	ASKS(cuFuncGetAttribute(&v, carveout, fn));
	SILENT(cuFuncGetAttribute(&v, carveout, fn));
	ASKS(cuFuncSetAttribute(fn, carveout, -1));
	SILENT(cuFuncSetAttribute(fn, carveout, -1));
	SILENT(cuFuncGetAttribute(&v, carveout, fn));
	ck_assert_int_eq(v, -1);
	/* A value that was refused is not taken for set. */
	fake.fail_op = PVGPU_OP_FUNC_SET_ATTRIBUTE;
	fake.fail_result = CUDA_ERROR_INVALID_VALUE;
	for (int i = 0; i < 2; i++)
		COSTS(1, ck_assert_int_eq(cuFuncSetAttribute(fn, shared, 1 << 20),
					  CUDA_ERROR_INVALID_VALUE));
	SILENT(cuFuncGetAttribute(&v, shared, fn));
	ck_assert_int_eq(v, 8192);
	ASKS(cuFuncSetCacheConfig(fn, CU_FUNC_CACHE_PREFER_L1));
	SILENT(cuFuncSetCacheConfig(fn, CU_FUNC_CACHE_PREFER_L1));
}
END_TEST

/* A kernel's attribute is set in all contexts; one of its functions may differ later. */
START_TEST(attributes_of_kernels)
{
	const CUfunction_attribute shared = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
	CUlibrary l;
	CUkernel k;
	CUfunction f;
	int v;

	OK(cuLibraryLoadData(&l, ".version 7.0\n", NULL, NULL, 0, NULL, NULL, 0));
	OK(cuLibraryGetKernel(&k, l, "k"));
	OK(cuKernelGetFunction(&f, k));
	ASKS(cuKernelSetAttribute(shared, 100, k, 0));
	SILENT(cuFuncSetAttribute(f, shared, 100));
	ASKS(cuFuncSetAttribute(f, shared, 200));
	ASKS(cuKernelSetAttribute(shared, 100, k, 0));
	SILENT(cuFuncGetAttribute(&v, shared, f));
	ck_assert_int_eq(v, 100);
}
END_TEST

START_TEST(occupancy)
{
	const CUfunction_attribute shared = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
	int blocks, grid, block;

	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 100));
	SILENT(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 100));
	ck_assert_int_eq(blocks, 4);
	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 128, 100));
	ck_assert_int_eq(blocks, 8);
	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 101));
	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
		&blocks, fn, 256, 100, CU_OCCUPANCY_DISABLE_CACHING_OVERRIDE));
	SILENT(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 128, 100));
	/* More shared memory is not what was asked before, whatever its lower half. */
	COSTS(1, cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, (1ull << 32) + 100));
	OK(cuOccupancyMaxPotentialBlockSize(&grid, &block, fn, NULL, 0, 0));
	SILENT(cuOccupancyMaxPotentialBlockSize(&grid, &block, fn, NULL, 0, 0));
	/* Settings that it may depend on. */
	OK(cuFuncSetAttribute(fn, shared, 4096));
	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 100));
	OK(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
	ASKS(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 100));
	SILENT(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_L1));
	SILENT(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 256, 100));
}
END_TEST

/* ggml makes these calls for each launch of one kernel: one command. */
START_TEST(attribute_occupancy_launch)
{
	const CUfunction_attribute shared = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
	int blocks;

	for (int i = 0; i < 2; i++) {
		const unsigned int before = fake_commands();

		OK(cuFuncSetAttribute(fn, shared, 65536));
		OK(cuOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, fn, 128, 65536));
		OK(cuLaunchKernel(fn, 1, 1, 1, 128, 1, 1, 65536, NULL, NULL, NULL));
		ck_assert_uint_eq(fake_commands() - before, i ? 1 : 3);
	}
}
END_TEST

START_TEST(limits)
{
	CUfunc_cache cache;
	size_t v;

	ASKS(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	SILENT(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	ASKS(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 5000));
	SILENT(cuCtxSetLimit(CU_LIMIT_STACK_SIZE, 5000));
	ASKS(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE)); /* it may have been rounded */
	SILENT(cuCtxGetLimit(&v, CU_LIMIT_STACK_SIZE));
	/* Once a kernel has printed, the driver refuses even what is set. */
	ASKS(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20));
	ASKS(cuCtxSetLimit(CU_LIMIT_PRINTF_FIFO_SIZE, 1 << 20));
	ASKS(cuCtxGetCacheConfig(&cache));
	SILENT(cuCtxGetCacheConfig(&cache));
	ASKS(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
	SILENT(cuCtxSetCacheConfig(CU_FUNC_CACHE_PREFER_SHARED));
	ASKS(cuCtxGetCacheConfig(&cache));
	fake.fail_op = PVGPU_OP_CTX_GET_LIMIT;
	fake.fail_result = CUDA_ERROR_UNSUPPORTED_LIMIT;
	for (int i = 0; i < 2; i++)
		COSTS(1, ck_assert_int_eq(cuCtxGetLimit(&v, CU_LIMIT_DEV_RUNTIME_SYNC_DEPTH),
					  CUDA_ERROR_UNSUPPORTED_LIMIT));
	COSTS(0, ck_assert_int_eq(cuCtxGetLimit(&v, (CUlimit)1000), CUDA_ERROR_INVALID_VALUE));
}
END_TEST

static void launch(CUstream s)
{
	OK(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
}

static void runs_still(bool yes)
{
	fake.fail_op = PVGPU_OP_EVENT_QUERY;
	fake.fail_result = yes ? CUDA_ERROR_NOT_READY : 0;
}

START_TEST(queries_of_events)
{
	CUevent e;

	OK(cuEventCreate(&e, 0));
	launch(NULL);
	OK(cuEventRecord(e, NULL));
	runs_still(true);
	COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
	/* Its end may be known by something else, which the ring page is behind: it is asked again.
	 */
	COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
	fake.ended = UINT64_MAX;
	SILENT(cuEventQuery(e));
	/* Its end was seen, and nothing waited: output and errors come with a call. */
	ASKS(cuEventSynchronize(e));
	SILENT(cuEventSynchronize(e));
	SILENT(cuEventQuery(e));
	/* A new record is another matter. */
	fake.ended = 0;
	OK(cuEventRecord(e, NULL));
	COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
	runs_still(false);
	ASKS(cuEventSynchronize(e));
	SILENT(cuEventQuery(e));
}
END_TEST

START_TEST(a_fault_is_found_out)
{
	CUevent e;

	OK(cuEventCreate(&e, 0));
	OK(cuEventRecord(e, NULL));
	OK(cuCtxSynchronize());
	runs_still(true);
	COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
	fake.unsound = true;
	for (int i = 0; i < 2; i++)
		COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
	ASKS(cuCtxSynchronize());
	ASKS(cuEventSynchronize(e));
	ASKS(cuStreamQuery(NULL));
}
END_TEST

START_TEST(an_old_worker_is_asked)
{
	CUevent e;

	fake.old_worker = true;
	OK(cuEventCreate(&e, 0));
	OK(cuEventRecord(e, NULL));
	runs_still(true);
	for (int i = 0; i < 2; i++)
		COSTS(1, ck_assert_int_eq(cuEventQuery(e), CUDA_ERROR_NOT_READY));
}
END_TEST

START_TEST(waits_with_nothing_to_wait_for)
{
	CUevent e;
	CUstream s;
	size_t mem;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, 0));
	launch(s);
	OK(cuEventRecord(e, s));
	ASKS(cuCtxSynchronize());
	SILENT(cuCtxSynchronize());
	SILENT(cuStreamSynchronize(s));
	SILENT(cuStreamSynchronize(NULL));
	SILENT(cuStreamQuery(s));
	SILENT(cuEventSynchronize(e));
	OK(cuMemGetInfo_v2(&mem, &mem));
	SILENT(cuCtxSynchronize());
	launch(s);
	ASKS(cuCtxSynchronize());
	launch(s);
	ASKS(cuStreamSynchronize(s));
	SILENT(cuStreamSynchronize(s));
	/* Of one stream the other streams know nothing. */
	ASKS(cuStreamSynchronize(NULL));
	ASKS(cuCtxSynchronize());
}
END_TEST

/* The ring page has no room for the ends of all streams: those beyond are asked once. */
START_TEST(streams_beyond_the_ring_page)
{
	CUstream s;

	for (int i = 0; i < 2 * (int)PVGPU_ENDED_SLOTS; i++)
		OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	ASKS(cuStreamQuery(s));
	SILENT(cuStreamQuery(s));
	launch(s);
	ASKS(cuStreamQuery(s));
	ASKS(cuStreamSynchronize(s));
	SILENT(cuStreamSynchronize(s));
	SILENT(cuStreamQuery(s));
	fake.unsound = true;
	ASKS(cuStreamQuery(s));
	ASKS(cuStreamQuery(s));
}
END_TEST

/* The context's flags and the event's say how a call waits. */
START_TEST(flags_say_how_to_wait)
{
	static const struct {
		unsigned int flags;
		int how;
	} rows[] = {{CU_CTX_SCHED_AUTO, PVGPU_ADAPT},
		    {CU_CTX_SCHED_SPIN, PVGPU_SPIN},
		    {CU_CTX_SCHED_YIELD, PVGPU_ADAPT},
		    {CU_CTX_SCHED_BLOCKING_SYNC, PVGPU_SLEEP}};
	CUevent e, blocking;
	size_t mem;

	OK(cuEventCreate(&e, 0));
	OK(cuEventCreate(&blocking, CU_EVENT_BLOCKING_SYNC));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		OK(cuCtxSetFlags(rows[i].flags));
		launch(NULL);
		ASKS(cuCtxSynchronize());
		ck_assert_int_eq(fake.patience, rows[i].how);
		launch(NULL);
		ASKS(cuStreamSynchronize(NULL));
		ck_assert_int_eq(fake.patience, rows[i].how);
		OK(cuEventRecord(e, NULL));
		ASKS(cuEventSynchronize(e));
		ck_assert_int_eq(fake.patience, rows[i].how);
		OK(cuEventRecord(blocking, NULL));
		ASKS(cuEventSynchronize(blocking));
		ck_assert_int_eq(fake.patience, PVGPU_SLEEP);
		ASKS(cuMemGetInfo_v2(&mem, &mem));
		ck_assert_int_eq(fake.patience, PVGPU_ADAPT);
	}
}
END_TEST

/* A stream's slot goes to another one: what that one did says nothing of the first one's events. */
START_TEST(streams_use_slots_in_turn)
{
	CUevent e;
	CUstream s;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&e, 0));
	OK(cuEventRecord(e, s));
	OK(cuStreamDestroy_v2(s));
	fake.same_stream = true;
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamSynchronize(s));
	fake.ended = UINT64_MAX;
	ASKS(cuEventQuery(e));
	OK(cuEventRecord(e, s));
	SILENT(cuEventQuery(e));
}
END_TEST

/* A pool that is warm asks nothing, whatever is freed and allocated in which order. */
START_TEST(a_warm_pool)
{
	CUdeviceptr p[16] = {0};
	CUstream s;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	ASKS(cuMemAllocAsync(&p[0], 512, s));
	for (int i = 1; i < 16; i++)
		SILENT(cuMemAllocAsync(&p[i], 60000, s));
	COSTS(
		0, for (unsigned int i = 0; i < 10000; i++) {
			const unsigned int at = i * 7 % 16;

			OK(cuMemFreeAsync(p[at], s));
			OK(cuMemAllocAsync(&p[at], 1 + i * 977 % 60000, s));
		});
}
END_TEST

/* Memory that one stream freed is another's when the work before the free is known to have ended.
 */
START_TEST(a_pool_between_streams)
{
	CUdeviceptr p, q, third;
	CUstream s, t;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	ASKS(cuMemAllocAsync(&p, 2 << 20, s));
	OK(cuMemsetD8Async(p, 0, 1, s));
	SILENT(cuMemFreeAsync(p, s));
	ASKS(cuMemAllocAsync(&q, 2 << 20, t));
	ck_assert_uint_ne(p, q);
	fake.ended = UINT64_MAX;
	SILENT(cuMemAllocAsync(&third, 2 << 20, t));
	ck_assert_uint_eq(third, p);
}
END_TEST

/* A free in a stream that is in order with others' work has an event stand for that work: one for
 * frees that follow each other, and none where there are no others. */
START_TEST(a_pool_in_order)
{
	CUdeviceptr p[4], q;
	CUstream s, t;

	ASKS(cuMemAllocAsync(&p[0], 1000, NULL));
	SILENT(cuMemFreeAsync(p[0], NULL));
	cuCtxSynchronize();
	OK(cuStreamCreate(&s, CU_STREAM_DEFAULT));
	OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	for (int i = 0; i < 4; i++)
		OK(cuMemAllocAsync(&p[i], 1000, s));
	OK(cuMemsetD8Async(p[0], 0, 1, s));
	OK(cuMemFreeAsync(p[0], s));
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_CREATE], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_RECORD], 1);
	SILENT(cuMemFreeAsync(p[1], s));
	OK(cuMemsetD8Async(p[2], 0, 1, s));
	ASKS(cuMemFreeAsync(p[2], s));
	ASKS(cuMemFreeAsync(p[3], NULL));
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_CREATE], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_RECORD], 3);
	OK(cuMemAllocAsync(&q, 1000, t));
	for (int i = 0; i < 4; i++)
		ck_assert_uint_ne(q, p[i]);
	SILENT(cuMemFreeAsync(q, t));
}
END_TEST

/* A block that its stream still uses is not free for others because it was allocated there again.
 */
START_TEST(a_pool_that_is_freed_at_once)
{
	CUdeviceptr p, q;
	CUstream s, t;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamCreate(&t, CU_STREAM_NON_BLOCKING));
	OK(cuMemAllocAsync(&p, 2 << 20, s));
	OK(cuMemsetD8Async(p, 0, 1, s));
	OK(cuMemFreeAsync(p, s));
	SILENT(cuMemAllocAsync(&q, 2 << 20, s));
	ck_assert_uint_eq(p, q);
	OK(cuMemFree_v2(q));
	ASKS(cuMemAllocAsync(&q, 2 << 20, t));
	ck_assert_uint_ne(p, q);
	fake.ended = UINT64_MAX;
	SILENT(cuMemAllocAsync(&q, 2 << 20, t));
	ck_assert_uint_eq(p, q);
}
END_TEST

/* A wait gives back what a pool keeps above its threshold, and no more. */
START_TEST(a_pool_at_rest)
{
	cuuint64_t keep = 4 << 20;
	CUmemoryPool pool;
	CUdeviceptr p;
	CUstream s;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuDeviceGetDefaultMemPool(&pool, 0));
	OK(cuMemAllocAsync(&p, 2 << 20, s));
	OK(cuMemFreeAsync(p, s));
	OK(cuCtxSynchronize());
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 1);
	OK(cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, &keep));
	OK(cuMemAllocAsync(&p, 2 << 20, s));
	OK(cuMemFreeAsync(p, s));
	OK(cuCtxSynchronize());
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 1);
	/* An allocation that finds no memory has pools give back theirs. */
	fake.fail_op = PVGPU_OP_MEM_ALLOC;
	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	ck_assert_int_eq(cuMemAlloc_v2(&p, 1 << 20), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(fake.count[PVGPU_OP_MEM_FREE], 2);
}
END_TEST

/* A launch of a graph is one small command; status and number of a capture are known here. */
START_TEST(graphs)
{
	CUstreamCaptureStatus status;
	CUgraphExec exec;
	cuuint64_t id;
	CUgraph g;
	CUstream s;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	SILENT(cuStreamIsCapturing(s, &status));
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_ACTIVE);
	SILENT(cuStreamGetCaptureInfo(s, &status, &id));
	COSTS(0, ck_assert_int_eq(cuStreamSynchronize(s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
	SILENT(cuStreamIsCapturing(s, &status));
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_INVALIDATED);
	ck_assert_int_eq(cuStreamEndCapture(s, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	for (int i = 0; i < 100; i++)
		OK(cuLaunchKernel(fn, 1, 1, 1, 1, 1, 1, 0, s, NULL, NULL));
	OK(cuStreamEndCapture(s, &g));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	ASKS(cuGraphLaunch(exec, s));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_LAUNCH], 1);
	ck_assert_uint_le(fake.last_len, 64);
	SILENT(cuStreamIsCapturing(s, &status));
	ck_assert_int_eq(status, CU_STREAM_CAPTURE_STATUS_NONE);
	/* A launch cannot be captured. */
	OK(cuStreamBeginCapture_v2(s, CU_STREAM_CAPTURE_MODE_RELAXED));
	COSTS(0, ck_assert_int_eq(cuGraphLaunch(exec, s), CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
	ck_assert_int_eq(cuStreamEndCapture(s, &g), CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}
END_TEST

/*
 * An instance takes over graphs in turn, as XLA has it: what the far end said of one is asked again
 * when that graph, the node's or a graph inside has changed, and a refusal each time.
 */
START_TEST(graphs_taken_over_in_turn)
{
	CUgraphNode node, n;
	CUgraph g, of[2];
	CUgraphExec exec;

	OK(cuGraphCreate(&g, 0));
	for (int i = 0; i < 2; i++) {
		OK(cuGraphCreate(&of[i], 0));
		OK(cuGraphAddEmptyNode(&n, of[i], NULL, 0));
	}
	OK(cuGraphAddChildGraphNode(&node, g, NULL, 0, of[0]));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	for (int i = 0; i < 100; i++)
		ASKS(cuGraphExecChildGraphNodeSetParams(exec, node, of[i % 2]));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD], 2);
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD_AGAIN], 98);
	OK(cuGraphAddEmptyNode(&n, of[1], NULL, 0));
	fake.fail_op = PVGPU_OP_GRAPH_EXEC_CHILD;
	fake.fail_result = CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(cuGraphExecChildGraphNodeSetParams(exec, node, of[1]),
				 CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	OK(cuGraphExecChildGraphNodeSetParams(exec, node, of[0]));
	OK(cuGraphAddEmptyNode(&n, g, NULL, 0));
	ck_assert_int_eq(cuGraphExecChildGraphNodeSetParams(exec, node, of[0]),
			 CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE);
	fake.fail_op = 0;
	OK(cuGraphExecChildGraphNodeSetParams(exec, node, of[0]));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD], 6);
	/* Another instance is asked of by itself. */
	OK(cuGraphExecDestroy(exec));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	OK(cuGraphExecChildGraphNodeSetParams(exec, node, of[0]));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD], 7);
}
END_TEST

/* A loop of a graph costs the guest nothing but the launch, whatever its rounds. */
START_TEST(conditional_nodes)
{
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_CONDITIONAL,
			       .conditional = {.type = CU_GRAPH_COND_TYPE_SWITCH, .size = 3}};
	CUgraphNode node, n;
	CUgraphExec exec;
	CUgraph g;

	OK(cuGraphCreate(&g, 0));
	ASKS(cuGraphConditionalHandleCreate(&p.conditional.handle, g, NULL, 1,
					    CU_GRAPH_COND_ASSIGN_DEFAULT));
	COSTS(1 + 3, OK(cuGraphAddNode_v2(&node, g, NULL, NULL, 0, &p)));
	for (int i = 0; i < 3; i++)
		OK(cuGraphAddEmptyNode(&n, p.conditional.phGraph_out[i], NULL, 0));
	ck_assert_int_eq(cuGraphDestroy(p.conditional.phGraph_out[0]), CUDA_ERROR_INVALID_VALUE);
	OK(cuGraphInstantiate_v2(&exec, g, NULL, NULL, 0));
	ASKS(cuGraphLaunch(exec, NULL));
	/* Parameters that are wrong in themselves are not asked about. */
	p.conditional.type = CU_GRAPH_COND_TYPE_WHILE;
	COSTS(0, ck_assert_int_eq(cuGraphAddNode_v2(&n, g, NULL, NULL, 0, &p),
				  CUDA_ERROR_INVALID_VALUE));
	/* A body that cannot be had takes the node along. */
	p.conditional.size = 1;
	fake.fail_op = PVGPU_OP_GRAPH_BODY;
	fake.fail_result = CUDA_ERROR_OUT_OF_MEMORY;
	ck_assert_int_eq(cuGraphAddNode_v2(&n, g, NULL, NULL, 0, &p), CUDA_ERROR_OUT_OF_MEMORY);
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_DROP], 1);
}
END_TEST

/* The changes that make it another graph, one by one. */
START_TEST(changes_of_graphs)
{
	CUkernelNodeAttrValue v = {.priority = -1};
	CUDA_KERNEL_NODE_PARAMS p = {.func = fn,
				     .gridDimX = 1,
				     .gridDimY = 1,
				     .gridDimZ = 1,
				     .blockDimX = 1,
				     .blockDimY = 1,
				     .blockDimZ = 1};
	CUgraphNode node, n[2], inner;
	CUgraph g, of, moved;
	CUgraphExec exec;
	CUstream s;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuGraphCreate(&g, 0));
	OK(cuGraphCreate(&of, 0));
	OK(cuGraphCreate(&moved, 0));
	for (int i = 0; i < 2; i++)
		OK(cuGraphAddKernelNode_v2(&n[i], of, NULL, 0, &p));
	OK(cuGraphAddNode_v2(
		&inner, of, NULL, NULL, 0,
		&(CUgraphNodeParams){.type = CU_GRAPH_NODE_TYPE_GRAPH,
				     .graph = {moved, CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE}}));
	OK(cuGraphAddChildGraphNode(&node, g, NULL, 0, of));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	for (int i = 0; i < 2; i++)
		OK(cuGraphExecChildGraphNodeSetParams(exec, node, of));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD], 1);
	switch (_i) {
	case 0:
		OK(cuGraphKernelNodeSetParams_v2(n[0], &p));
		break;
	case 1:
		OK(cuGraphAddDependencies(of, &n[0], &n[1], 1));
		break;
	case 2:
		OK(cuGraphRemoveDependencies(of, &n[0], &n[1], 1));
		break;
	case 3:
		OK(cuGraphDestroyNode(n[1]));
		break;
	case 4:
		OK(cuGraphKernelNodeSetAttribute(n[0], CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
		break;
	case 5:
		OK(cuGraphKernelNodeCopyAttributes(n[0], n[1]));
		break;
	case 6: /* in the graph inside */
		OK(cuGraphAddEmptyNode(&inner, moved, NULL, 0));
		break;
	case 7:
		OK(cuStreamBeginCaptureToGraph(s, of, NULL, NULL, 0,
					       CU_STREAM_CAPTURE_MODE_RELAXED));
		OK(cuStreamEndCapture(s, &of));
		break;
	case 8: /* while it is captured, each time */
		OK(cuStreamBeginCaptureToGraph(s, of, NULL, NULL, 0,
					       CU_STREAM_CAPTURE_MODE_RELAXED));
		OK(cuGraphExecChildGraphNodeSetParams(exec, node, of));
		break;
	case 9:
		OK(cuGraphDestroyNode(node));
		break;
	}
	OK(cuGraphExecChildGraphNodeSetParams(exec, node, of));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_EXEC_CHILD], _i == 8 ? 3 : 2);
}
END_TEST

/* Ports, by which kernels start before others end, and what is wrong by itself. */
START_TEST(edges_from_ports)
{
	static const struct {
		CUgraphEdgeData edge;
		CUresult result;
	} row[] = {
		{{.type = CU_GRAPH_DEPENDENCY_TYPE_DEFAULT}, CUDA_SUCCESS},
		{{.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC,
		  .type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC},
		 CUDA_SUCCESS},
		{{.from_port = CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER}, CUDA_SUCCESS},
		{{.from_port = CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC}, CUDA_ERROR_INVALID_VALUE},
		{{.type = CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC}, CUDA_ERROR_INVALID_VALUE},
		{{.from_port = 3}, CUDA_ERROR_INVALID_VALUE},
		{{.to_port = 1}, CUDA_ERROR_INVALID_VALUE},
	};
	const bool data = row[_i].edge.from_port;
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_EMPTY};
	CUgraphNode n, m;
	CUgraph g;

	OK(cuGraphCreate(&g, 0));
	OK(cuGraphAddEmptyNode(&n, g, NULL, 0));
	COSTS(row[_i].result ? 0
	      : data         ? 2
			     : 1,
	      ck_assert_int_eq(cuGraphAddNode_v2(&m, g, &n, &row[_i].edge, 1, &p), row[_i].result));
	COSTS(!row[_i].result,
	      ck_assert_int_eq(cuGraphAddDependencies_v2(g, &n, &n, &row[_i].edge, 1),
			       row[_i].result));
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_LINK_DATA], row[_i].result || !data ? 0 : 2);
	/* A node whose edge cannot be is none. */
	fake.fail_op = PVGPU_OP_GRAPH_LINK_DATA;
	fake.fail_result = CUDA_ERROR_INVALID_VALUE;
	if (data && !row[_i].result) {
		ck_assert_int_eq(cuGraphAddNode_v2(&m, g, &n, &row[_i].edge, 1, &p),
				 CUDA_ERROR_INVALID_VALUE);
		ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_DROP], 1);
	}
}
END_TEST

/* Events of a graph's nodes cost a command each at a launch, and their times are not known. */
START_TEST(graph_events)
{
	CUevent before, behind;
	CUgraphExec exec;
	CUgraphNode n;
	CUgraph g;
	CUstream s;
	float ms;

	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	OK(cuEventCreate(&before, 0));
	OK(cuEventCreate(&behind, 0));
	OK(cuGraphCreate(&g, 0));
	ASKS(cuGraphAddEventWaitNode(&n, g, NULL, 0, before));
	ASKS(cuGraphAddEventRecordNode(&n, g, NULL, 0, behind));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	COSTS(2, OK(cuGraphLaunch(exec, s))); /* an event that was never recorded is no matter */
	OK(cuEventRecord(before, s));
	COSTS(3, OK(cuGraphLaunch(exec, s)));
	ck_assert_uint_eq(fake.count[PVGPU_OP_STREAM_WAIT_EVENT], 1);
	ck_assert_uint_eq(fake.count[PVGPU_OP_GRAPH_LAUNCH], 2);
	ck_assert_uint_eq(fake.count[PVGPU_OP_EVENT_RECORD], 3);
	COSTS(0, ck_assert_int_eq(cuEventElapsedTime_v2(&ms, before, behind),
				  CUDA_ERROR_NOT_SUPPORTED));
	OK(cuEventRecord(behind, s));
	ASKS(cuEventElapsedTime_v2(&ms, before, behind));
	OK(cuEventDestroy_v2(behind));
	COSTS(0, ck_assert_int_eq(cuGraphLaunch(exec, s), CUDA_ERROR_INVALID_HANDLE));
}
END_TEST

static int ended;

static void CUDA_CB note_end(void *arg)
{
	ended += arg == &ended;
}

/* A user object lives as long as the last graph that holds it. */
START_TEST(user_objects)
{
	CUgraph g, clone;
	CUuserObject u;

	OK(cuGraphCreate(&g, 0));
	ck_assert_int_eq(cuUserObjectCreate(&u, &ended, note_end, 1, 0), CUDA_ERROR_INVALID_VALUE);
	OK(cuUserObjectCreate(&u, &ended, note_end, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	OK(cuGraphRetainUserObject(g, u, 1, CU_GRAPH_USER_OBJECT_MOVE));
	OK(cuGraphClone(&clone, g));
	OK(cuGraphDestroy(g));
	ck_assert_int_eq(ended, 0);
	OK(cuUserObjectRetain(u, 1));
	OK(cuGraphReleaseUserObject(clone, u, 1));
	ck_assert_int_eq(cuGraphReleaseUserObject(clone, u, 1), CUDA_ERROR_INVALID_VALUE);
	ck_assert_int_eq(ended, 0);
	OK(cuUserObjectRelease(u, 1));
	ck_assert_int_eq(ended, 1);
	OK(cuGraphDestroy(clone));
}
END_TEST

/* An instance that goes with its context holds them no more. */
START_TEST(user_objects_of_a_context)
{
	CUgraphExec exec;
	CUuserObject u;
	CUgraph g;

	ended = 0;
	OK(cuGraphCreate(&g, 0));
	OK(cuUserObjectCreate(&u, &ended, note_end, 1, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	OK(cuGraphRetainUserObject(g, u, 1, CU_GRAPH_USER_OBJECT_MOVE));
	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	OK(cuGraphDestroy(g));
	ck_assert_int_eq(ended, 0);
	OK(cuCtxDestroy_v2(ctx));
	ck_assert_int_eq(ended, 1);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("guest_calls");
	TCase *t = tcase_create("calls");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, attributes);
	tcase_add_test(t, attributes_of_kernels);
	tcase_add_test(t, occupancy);
	tcase_add_test(t, attribute_occupancy_launch);
	tcase_add_test(t, limits);
	tcase_add_test(t, queries_of_events);
	tcase_add_test(t, streams_beyond_the_ring_page);
	tcase_add_test(t, a_fault_is_found_out);
	tcase_add_test(t, an_old_worker_is_asked);
	tcase_add_test(t, waits_with_nothing_to_wait_for);
	tcase_add_test(t, flags_say_how_to_wait);
	tcase_add_test(t, streams_use_slots_in_turn);
	tcase_add_test(t, a_warm_pool);
	tcase_add_test(t, a_pool_between_streams);
	tcase_add_test(t, a_pool_in_order);
	tcase_add_test(t, a_pool_that_is_freed_at_once);
	tcase_add_test(t, a_pool_at_rest);
	tcase_add_test(t, graphs);
	tcase_add_test(t, graphs_taken_over_in_turn);
	tcase_add_test(t, conditional_nodes);
	tcase_add_loop_test(t, changes_of_graphs, 0, 10);
	tcase_add_loop_test(t, edges_from_ports, 0, 7);
	tcase_add_test(t, graph_events);
	tcase_add_test(t, user_objects);
	tcase_add_test(t, user_objects_of_a_context);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
