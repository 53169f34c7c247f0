/* SPDX-License-Identifier: MIT */
/*
 * Uses that CUDA leaves undefined, and that crash NVIDIA's driver: handles of what is gone, places
 * that are NULL. The guest's library refuses them, which no program can show that also runs
 * directly on that driver.
 */
#define __CUDA_API_VERSION_INTERNAL
#include <check.h>
#include <cuda.h>

#include "guest_fake.h"

#define OK(call)             ck_assert_int_eq(call, CUDA_SUCCESS)
#define REFUSED(call)        ck_assert_int_eq(call, CUDA_ERROR_INVALID_VALUE)
#define REFUSED_HANDLE(call) ck_assert_int_eq(call, CUDA_ERROR_INVALID_HANDLE)

static CUstream s;

static void setup(void)
{
	CUcontext ctx;

	OK(cuInit(0));
	OK(cuCtxCreate_v2(&ctx, 0, 0));
	OK(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
}

static CUgraphNode empty_in(CUgraph *g)
{
	CUgraphNode n;

	OK(cuGraphCreate(g, 0));
	OK(cuGraphAddEmptyNode(&n, *g, NULL, 0));
	return n;
}

START_TEST(events_that_are_gone)
{
	CUevent event, gone;
	CUgraph g, other;
	CUgraphNode wait, record, n;
	CUgraphExec exec;

	OK(cuEventCreate(&event, 0));
	OK(cuEventCreate(&gone, 0));
	OK(cuEventDestroy_v2(gone));
	REFUSED_HANDLE(cuEventQuery(gone));
	REFUSED_HANDLE(cuEventRecord(gone, s));
	OK(cuGraphCreate(&g, 0));
	OK(cuGraphCreate(&other, 0));
	REFUSED_HANDLE(cuGraphAddEventWaitNode(&n, g, NULL, 0, NULL));
	REFUSED_HANDLE(cuGraphAddEventRecordNode(&n, g, NULL, 0, gone));
	OK(cuGraphAddEventWaitNode(&wait, g, NULL, 0, event));
	OK(cuGraphAddEventRecordNode(&record, other, NULL, 0, event));
	REFUSED_HANDLE(cuGraphEventWaitNodeSetEvent(wait, gone));
	REFUSED_HANDLE(cuGraphEventRecordNodeSetEvent(record, NULL));
	OK(cuGraphInstantiateWithFlags(&exec, other, 0));
	REFUSED_HANDLE(cuGraphExecEventRecordNodeSetEvent(exec, record, gone));
	/* One that a graph has must be there when it is launched. */
	OK(cuGraphLaunch(exec, s));
	OK(cuEventDestroy_v2(event));
	REFUSED_HANDLE(cuGraphLaunch(exec, s));
}
END_TEST

START_TEST(graphs_that_are_gone)
{
	CUgraph g, gone;
	CUgraphNode n = empty_in(&g), in_gone = empty_in(&gone);
	CUgraphNodeType type;
	CUgraphExec exec;
	unsigned int on;

	OK(cuGraphInstantiateWithFlags(&exec, g, 0));
	OK(cuGraphExecDestroy(exec));
	REFUSED(cuGraphExecDestroy(exec));
	REFUSED(cuGraphLaunch(exec, s));
	REFUSED(cuGraphNodeSetEnabled(exec, n, 0));
	REFUSED(cuGraphNodeGetEnabled(exec, n, &on));
	OK(cuGraphDestroy(gone));
	REFUSED(cuGraphDestroy(gone));
	REFUSED(cuGraphNodeGetType(in_gone, &type));
	REFUSED(cuGraphKernelNodeCopyAttributes(n, in_gone));
	REFUSED(cuGraphKernelNodeCopyAttributes(in_gone, n));
}
END_TEST

START_TEST(attributes_of_nodes)
{
	CUkernelNodeAttrValue v = {.priority = -1};
	CUgraph g;
	CUgraphNode n = empty_in(&g);
	const unsigned int before = fake_commands();

	REFUSED(cuGraphKernelNodeGetAttribute(n, CU_LAUNCH_ATTRIBUTE_PRIORITY, NULL));
	REFUSED(cuGraphKernelNodeSetAttribute(n, CU_LAUNCH_ATTRIBUTE_PRIORITY, NULL));
	REFUSED(cuGraphKernelNodeGetAttribute(NULL, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	REFUSED(cuGraphKernelNodeSetAttribute(NULL, CU_LAUNCH_ATTRIBUTE_PRIORITY, &v));
	REFUSED(cuGraphKernelNodeCopyAttributes(n, NULL));
	REFUSED(cuGraphKernelNodeCopyAttributes(NULL, n));
	REFUSED(cuGraphKernelNodeGetAttribute(n, (CUkernelNodeAttrID)31, &v));
	REFUSED(cuGraphKernelNodeSetAttribute(n, (CUkernelNodeAttrID)1000, &v));
	v = (CUkernelNodeAttrValue){.accessPolicyWindow = {.num_bytes = 4096, .hitRatio = 2}};
	REFUSED(cuGraphKernelNodeSetAttribute(n, CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW, &v));
	/* Kernels change no nodes here. */
	ck_assert_int_eq(cuGraphKernelNodeSetAttribute(
				 n, CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE, &v),
			 CUDA_ERROR_NOT_SUPPORTED);
	ck_assert_uint_eq(fake_commands(), before);
}
END_TEST

static void CUDA_CB nothing(void *arg)
{
}

/* More references than a graph has. */
START_TEST(references_of_graphs)
{
	CUuserObject u;
	CUgraph g;

	OK(cuGraphCreate(&g, 0));
	OK(cuUserObjectCreate(&u, NULL, nothing, 9, CU_USER_OBJECT_NO_DESTRUCTOR_SYNC));
	OK(cuGraphRetainUserObject(g, u, 3, CU_GRAPH_USER_OBJECT_MOVE));
	REFUSED(cuGraphReleaseUserObject(g, u, 4));
	OK(cuGraphReleaseUserObject(g, u, 3));
	REFUSED(cuUserObjectRelease(u, 7));
	OK(cuUserObjectRelease(u, 6));
}
END_TEST

START_TEST(pools_that_are_gone)
{
	static const CUmemPoolProps props = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
					     .location = {.type = CU_MEM_LOCATION_TYPE_DEVICE}};
	CUmemoryPool pool;
	CUdeviceptr p;

	OK(cuMemPoolCreate(&pool, &props));
	REFUSED(cuMemAllocFromPoolAsync(NULL, 1, pool, s));
	OK(cuMemPoolDestroy(pool));
	REFUSED(cuMemPoolDestroy(pool));
	REFUSED(cuMemPoolTrimTo(pool, 0));
	REFUSED(cuDeviceSetMemPool(0, pool));
	REFUSED(cuMemAllocFromPoolAsync(&p, 1, pool, s));
	REFUSED(cuMemAllocFromPoolAsync(&p, 1, NULL, s));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("guest_undefined");
	TCase *t = tcase_create("undefined");
	SRunner *r = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, events_that_are_gone);
	tcase_add_test(t, graphs_that_are_gone);
	tcase_add_test(t, attributes_of_nodes);
	tcase_add_test(t, references_of_graphs);
	tcase_add_test(t, pools_that_are_gone);
	suite_add_tcase(suite, t);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
