/* SPDX-License-Identifier: MIT */
/* Nodes of memory operations: graphs that write words and wait for them. */
#include "tests/programs/common.h"

static CUdeviceptr d; /* four words */
static CUcontext ctx;
static CUstream stream, other;

static CUstreamBatchMemOpParams op(CUstreamBatchMemOpType type, unsigned int i, uint32_t value)
{
	CUstreamBatchMemOpParams p;

	memset(&p, 0, sizeof(p));
	p.waitValue.operation = type;
	p.waitValue.address = d + 4 * i;
	p.waitValue.value = value;
	return p;
}

static uint32_t word(unsigned int i)
{
	uint32_t v;

	download(&v, d + 4 * i, 4);
	return v;
}

static CUDA_BATCH_MEM_OP_NODE_PARAMS params(CUstreamBatchMemOpParams *ops, unsigned int n)
{
	return (CUDA_BATCH_MEM_OP_NODE_PARAMS){.ctx = ctx, .count = n, .paramArray = ops};
}

/* Waits for word 0, then writes word 1; the same node with other words. */
static void waits(void)
{
	CUstreamBatchMemOpParams ops[] = {op(CU_STREAM_MEM_OP_WAIT_VALUE_32, 0, 5),
					  op(CU_STREAM_MEM_OP_WRITE_VALUE_32, 1, 7)};
	CUDA_BATCH_MEM_OP_NODE_PARAMS p = params(ops, 2), got;
	CUgraphNode node, behind;
	CUgraphNodeType type;
	CUgraphExec exec;
	CUgraph graph;
	CUDA_MEMSET_NODE_PARAMS fill = {
		.dst = d + 8, .value = 9, .elementSize = 4, .width = 1, .height = 1};

	CU(cuGraphCreate(&graph, 0));
	CU(cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &p));
	CU(cuGraphAddMemsetNode(&behind, graph, &node, 1, &fill, ctx));
	CU(cuGraphNodeGetType(node, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP, "type %d", type);
	CU(cuGraphBatchMemOpNodeGetParams(node, &got));
	CHECK(got.count == 2 && got.paramArray[0].waitValue.address == d &&
		      got.paramArray[0].waitValue.value == 5 &&
		      got.paramArray[1].writeValue.value == 7,
	      "other operations");
	CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CU(cuMemsetD32(d, 0, 4));
	CU(cuGraphLaunch(exec, stream));
	WANT(CUDA_ERROR_NOT_READY, cuStreamQuery(stream));
	CU(cuStreamWriteValue32(other, d, 6, 0));
	CU(cuStreamSynchronize(stream));
	CHECK(word(1) == 7 && word(2) == 9, "words %u and %u", word(1), word(2));

	ops[1] = op(CU_STREAM_MEM_OP_WRITE_VALUE_32, 3, 11);
	CU(cuGraphExecBatchMemOpNodeSetParams(exec, node, &p));
	CU(cuGraphLaunch(exec, stream));
	CU(cuStreamSynchronize(stream));
	CHECK(word(3) == 11, "word %u", word(3));
	CU(cuGraphExecDestroy(exec));

	ops[1] = op(CU_STREAM_MEM_OP_WRITE_VALUE_32, 3, 12);
	CU(cuGraphBatchMemOpNodeSetParams(node, &p));
	CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CU(cuGraphLaunch(exec, stream));
	CU(cuStreamSynchronize(stream));
	CHECK(word(3) == 12, "word %u", word(3));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphBatchMemOpNodeSetParams(behind, &p));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphBatchMemOpNodeGetParams(behind, &got));
	p.count = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecBatchMemOpNodeSetParams(exec, node, &p));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(graph));
}

/* By the structure for all kinds; in a copy of the graph, inside of another one. */
static void copies(void)
{
	CUstreamBatchMemOpParams ops[] = {op(CU_STREAM_MEM_OP_WRITE_VALUE_32, 1, 21)};
	CUgraphNodeParams p = {.type = CU_GRAPH_NODE_TYPE_BATCH_MEM_OP};
	CUgraph graph, clone, outer;
	CUgraphNode node;
	CUgraphExec exec;

	p.memOp = params(ops, 1);
	CU(cuGraphCreate(&graph, 0));
	CU(cuGraphAddNode(&node, graph, NULL, NULL, 0, &p));
	CU(cuGraphClone(&clone, graph));
	ops[0].writeValue.value = 22;
	CU(cuGraphNodeSetParams(node, &p));
	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphAddChildGraphNode(&node, outer, NULL, 0, clone));
	CU(cuGraphInstantiateWithFlags(&exec, outer, 0));
	CU(cuGraphLaunch(exec, stream));
	CU(cuStreamSynchronize(stream));
	CHECK(word(1) == 21, "word %u of the copy", word(1));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
	CU(cuGraphLaunch(exec, stream));
	CU(cuStreamSynchronize(stream));
	CHECK(word(1) == 22, "word %u", word(1));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(outer));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(graph));
}

static void refused(void)
{
	CUstreamBatchMemOpParams ops[] = {op(CU_STREAM_MEM_OP_WRITE_VALUE_32, 1, 1)};
	CUDA_BATCH_MEM_OP_NODE_PARAMS p = params(ops, 1);
	CUgraphNode node;
	CUgraph graph;

	CU(cuGraphCreate(&graph, 0));
	p.count = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &p));
	p.count = 1;
	p.flags = 1;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &p));
	p.flags = 0;
	ops[0].writeValue.address = d + 2;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &p));
	ops[0].writeValue.address = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddBatchMemOpNode(&node, graph, NULL, 0, &p));
	CU(cuGraphDestroy(graph));
}

int main(void)
{
	start();
	CU(cuCtxGetCurrent(&ctx));
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	d = device_alloc(16);
	waits();
	copies();
	refused();
	CU(cuMemFree(d));
	CU(cuStreamDestroy(other));
	CU(cuStreamDestroy(stream));
	finish();
	puts("nodes of memory operations: all right");
	return 0;
}
