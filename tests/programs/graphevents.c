/* SPDX-License-Identifier: MIT */
/*
 * Nodes that wait for an event and record one: added, captured, changed in the graph and in its
 * instance, in a clone and in a child. A gate holds the work back that is waited for.
 */
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 16 << 10, BYTES = WORDS * 4, LOOKS = 20 };

static CUdeviceptr from, mid, to;
static CUfunction fill;
static CUstream s, feeder, reader;

struct made {
	CUgraph g;
	CUgraphNode wait, copy, record;
};

static CUevent new_event(void)
{
	CUevent e;

	CU(cuEventCreate(&e, CU_EVENT_DISABLE_TIMING));
	return e;
}

static void add_copy(struct made *m)
{
	const CUDA_MEMCPY3D p = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
				 .dstMemoryType = CU_MEMORYTYPE_DEVICE,
				 .srcDevice = from,
				 .dstDevice = mid,
				 .WidthInBytes = BYTES,
				 .Height = 1,
				 .Depth = 1};
	CUcontext ctx;

	CU(cuCtxGetCurrent(&ctx));
	CU(cuGraphAddMemcpyNode(&m->copy, m->g, &m->wait, 1, &p, ctx));
}

static struct made make(CUevent before, CUevent behind)
{
	struct made m;

	CU(cuGraphCreate(&m.g, 0));
	CU(cuGraphAddEventWaitNode(&m.wait, m.g, NULL, 0, before));
	add_copy(&m);
	CU(cuGraphAddEventRecordNode(&m.record, m.g, &m.copy, 1, behind));
	return m;
}

/* The same by one structure for all kinds. */
static struct made make_any(CUevent before, CUevent behind)
{
	CUgraphNodeParams wait = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT,
				  .eventWait = {.event = before}},
			  record = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD,
				    .eventRecord = {.event = behind}};
	struct made m;

	CU(cuGraphCreate(&m.g, 0));
	CU(cuGraphAddNode(&m.wait, m.g, NULL, NULL, 0, &wait));
	add_copy(&m);
	CU(cuGraphAddNode(&m.record, m.g, &m.copy, NULL, 1, &record));
	return m;
}

/* A launch copies what the feeder has filled before it recorded one event; the reader, which waits
 * for the other, sees that. */
static void run(CUgraphExec exec, CUevent before, CUevent behind, uint32_t seed, const char *what)
{
	struct gate gate;
	uint32_t n = WORDS;

	for (int i = 0; i < 3; i++)
		CU(cuMemsetD8((CUdeviceptr[]){from, mid, to}[i], 0, BYTES));
	CU(cuCtxSynchronize());
	gate_close(&gate, feeder);
	LAUNCH(fill, WORDS / 256, 256, 0, feeder, &from, &n, &seed);
	CU(cuEventRecord(before, feeder));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamWaitEvent(reader, behind, 0));
	CU(cuMemcpyDtoDAsync(to, mid, BYTES, reader));
	for (int i = 0; i < LOOKS; i++) {
		WANT(CUDA_ERROR_NOT_READY, cuEventQuery(behind));
		WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(s));
	}
	gate_open(&gate);
	CU(cuStreamSynchronize(reader));
	check_filled(to, WORDS, seed, what);
	CU(cuEventSynchronize(behind));
	CU(cuEventQuery(behind));
	CU(cuStreamSynchronize(s));
}

static void check_nodes(void)
{
	CUevent before[2] = {new_event(), new_event()}, behind[2] = {new_event(), new_event()}, got;
	struct made m = make(before[0], behind[0]), other;
	CUgraphExecUpdateResultInfo info;
	CUgraphNodeType type;
	CUgraphExec exec;

	CU(cuGraphNodeGetType(m.wait, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_WAIT_EVENT, "type %d", (int)type);
	CU(cuGraphNodeGetType(m.record, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_EVENT_RECORD, "type %d", (int)type);
	CU(cuGraphEventWaitNodeGetEvent(m.wait, &got));
	CHECK(got == before[0], "another event to wait for");
	CU(cuGraphEventRecordNodeGetEvent(m.record, &got));
	CHECK(got == behind[0], "another event to record");
	CU(cuGraphInstantiate(&exec, m.g, 0));
	run(exec, before[0], behind[0], 1, "behind an event");
	/* In the instance alone. */
	CU(cuGraphExecEventWaitNodeSetEvent(exec, m.wait, before[1]));
	CU(cuGraphExecEventRecordNodeSetEvent(exec, m.record, behind[1]));
	run(exec, before[1], behind[1], 2, "behind an instance's event");
	CU(cuGraphEventWaitNodeGetEvent(m.wait, &got));
	CHECK(got == before[0], "the instance's event is the graph's");
	/* As another graph has them. */
	other = make_any(before[0], behind[1]);
	CU(cuGraphExecUpdate_v2(exec, other.g, &info));
	run(exec, before[0], behind[1], 3, "behind an updated event");
	CU(cuGraphExecDestroy(exec));
	/* In the graph. */
	CU(cuGraphEventWaitNodeSetEvent(m.wait, before[1]));
	CU(cuGraphEventRecordNodeSetEvent(m.record, behind[1]));
	CU(cuGraphEventRecordNodeGetEvent(m.record, &got));
	CHECK(got == behind[1], "the event was not changed");
	CU(cuGraphInstantiate(&exec, m.g, 0));
	run(exec, before[1], behind[1], 4, "behind a changed event");
	CU(cuGraphExecDestroy(exec));
	/* Without the node that waits. */
	CU(cuGraphDestroyNode(other.wait));
	CU(cuGraphInstantiate(&exec, other.g, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuEventSynchronize(behind[1]));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(other.g));
	CU(cuGraphDestroy(m.g));
	for (int i = 0; i < 2; i++) {
		CU(cuEventDestroy(before[i]));
		CU(cuEventDestroy(behind[i]));
	}
	printf("nodes: all right\n");
}

static void check_any(void)
{
	CUevent before[2] = {new_event(), new_event()}, behind[2] = {new_event(), new_event()};
	struct made m = make_any(before[0], behind[0]);
	CUgraphNodeParams wait = {.type = CU_GRAPH_NODE_TYPE_WAIT_EVENT,
				  .eventWait = {.event = before[1]}},
			  record = {.type = CU_GRAPH_NODE_TYPE_EVENT_RECORD,
				    .eventRecord = {.event = behind[1]}};
	CUgraphExec exec;

	CU(cuGraphInstantiate(&exec, m.g, 0));
	run(exec, before[0], behind[0], 5, "behind an event of any node");
	CU(cuGraphExecNodeSetParams(exec, m.wait, &wait));
	CU(cuGraphExecNodeSetParams(exec, m.record, &record));
	run(exec, before[1], behind[1], 6, "behind an event that an instance was given");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphNodeSetParams(m.wait, &wait));
	CU(cuGraphInstantiate(&exec, m.g, 0));
	run(exec, before[1], behind[0], 7, "behind an event that a graph was given");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	for (int i = 0; i < 2; i++) {
		CU(cuEventDestroy(before[i]));
		CU(cuEventDestroy(behind[i]));
	}
	printf("nodes of any kind: all right\n");
}

/* A clone and a child. */
static void check_copies(void)
{
	CUevent before = new_event(), behind = new_event();
	struct made m = make(before, behind);
	CUgraph clone, outer;
	CUgraphExec exec, nested;
	CUgraphNode child;

	CU(cuGraphClone(&clone, m.g));
	CU(cuGraphInstantiate(&exec, clone, 0));
	run(exec, before, behind, 8, "in a clone");
	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphAddChildGraphNode(&child, outer, NULL, 0, m.g));
	CU(cuGraphInstantiate(&nested, outer, 0));
	run(nested, before, behind, 9, "in a child");
	CU(cuGraphExecDestroy(nested));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(outer));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(m.g));
	CU(cuEventDestroy(before));
	CU(cuEventDestroy(behind));
	printf("copies of graphs: all right\n");
}

static void check_capture(void)
{
	CUevent before = new_event(), behind = new_event();
	unsigned int seen = 0;
	CUgraphNode node[3];
	CUgraphNodeType type;
	CUgraphExec exec;
	size_t n = 3;
	CUgraph g;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuStreamWaitEvent(s, before, CU_EVENT_WAIT_EXTERNAL));
	CU(cuMemcpyDtoDAsync(mid, from, BYTES, s));
	CU(cuEventRecordWithFlags(behind, s, CU_EVENT_RECORD_EXTERNAL));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphGetNodes(g, node, &n));
	CHECK(n == 3, "%zu nodes", n);
	for (size_t i = 0; i < n; i++) {
		CU(cuGraphNodeGetType(node[i], &type));
		seen |= 1u << type;
	}
	CHECK(seen == (1u << CU_GRAPH_NODE_TYPE_WAIT_EVENT | 1u << CU_GRAPH_NODE_TYPE_MEMCPY |
		       1u << CU_GRAPH_NODE_TYPE_EVENT_RECORD),
	      "types %x", seen);
	CU(cuGraphInstantiate(&exec, g, 0));
	for (uint32_t i = 0; i < 3; i++)
		run(exec, before, behind, 10 + i, "behind a captured wait");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuEventDestroy(before));
	CU(cuEventDestroy(behind));
	printf("captured: all right\n");
}

static void check_wrong(void)
{
	CUevent e = new_event(), got;
	struct made m = make(e, e);
	CUgraphExec exec;
	CUgraphNode node;
	CUgraph empty;
	CUgraphExecUpdateResultInfo info;

	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEventRecordNode(NULL, m.g, NULL, 0, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEventWaitNode(&node, NULL, NULL, 0, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddEventWaitNode(&node, m.g, NULL, 1, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphEventWaitNodeGetEvent(m.record, &got));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphEventRecordNodeGetEvent(m.wait, &got));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphEventRecordNodeGetEvent(m.record, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphEventWaitNodeSetEvent(m.copy, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphEventRecordNodeSetEvent(m.copy, e));
	CU(cuGraphInstantiate(&exec, m.g, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecEventWaitNodeSetEvent(exec, m.record, e));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecEventRecordNodeSetEvent(NULL, m.record, e));
	CU(cuGraphCreate(&empty, 0));
	WANT(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, cuGraphExecUpdate_v2(exec, empty, &info));
	/* Only while a stream is captured. */
	WANT(CUDA_ERROR_ILLEGAL_STATE, cuEventRecordWithFlags(e, s, CU_EVENT_RECORD_EXTERNAL));
	WANT(CUDA_ERROR_ILLEGAL_STATE, cuStreamWaitEvent(s, e, CU_EVENT_WAIT_EXTERNAL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuStreamWaitEvent(s, e, 2));
	WANT(CUDA_ERROR_INVALID_VALUE, cuEventRecordWithFlags(e, s, 2));
	/* An event that was never recorded is no matter. */
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(empty));
	CU(cuGraphDestroy(m.g));
	CU(cuEventDestroy(e));
	printf("wrong arguments are refused\n");
}

int main(void)
{
	start();
	fill = function(load(ptx_vector), "fill");
	from = device_alloc(BYTES);
	mid = device_alloc(BYTES);
	to = device_alloc(BYTES);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&feeder, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&reader, CU_STREAM_NON_BLOCKING));
	check_nodes();
	check_any();
	check_copies();
	check_capture();
	check_wrong();
	finish();
	return 0;
}
