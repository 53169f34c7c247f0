/* SPDX-License-Identifier: MIT */
/*
 * Memory nodes of graphs: allocations that a capture records, and those added by hand; addresses
 * that stay over launches, what is refused of such graphs, memory that comes back with the last of
 * them.
 */
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 64 << 10, BYTES = WORDS * 4 };

static CUfunction fill;

static cuuint64_t attribute(CUgraphMem_attribute attr)
{
	cuuint64_t v = 77;

	CU(cuDeviceGetGraphMemAttribute(0, attr, &v));
	return v;
}

static void launch(CUstream s, CUdeviceptr p, uint32_t seed)
{
	uint32_t n = WORDS;

	LAUNCH(fill, WORDS / 256, 256, 0, s, &p, &n, &seed);
}

static void count_types(CUgraph g, int *allocs, int *frees)
{
	CUgraphNode node[16];
	CUgraphNodeType type;
	size_t count = 16;

	CU(cuGraphGetNodes(g, node, &count));
	*allocs = *frees = 0;
	for (size_t i = 0; i < count; i++) {
		CU(cuGraphNodeGetType(node[i], &type));
		*allocs += type == CU_GRAPH_NODE_TYPE_MEM_ALLOC;
		*frees += type == CU_GRAPH_NODE_TYPE_MEM_FREE;
	}
}

/* Memory for what lies between, and memory that is read when the graph has run. */
static void check_capture(CUstream s)
{
	CUdeviceptr scratch, kept, out = device_alloc(BYTES);
	int allocs, frees;
	CUgraphExec exec;
	CUgraph g;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuMemAllocAsync(&scratch, BYTES, s));
	CU(cuMemAllocAsync(&kept, BYTES, s));
	CHECK(scratch + BYTES <= kept || kept + BYTES <= scratch, "two allocations overlap");
	launch(s, scratch, 1);
	CU(cuMemcpyDtoDAsync(out, scratch, BYTES, s));
	launch(s, kept, 2);
	CU(cuMemFreeAsync(scratch, s));
	CU(cuStreamEndCapture(s, &g));
	count_types(g, &allocs, &frees);
	CHECK(allocs == 2 && frees == 1, "%d allocations, %d frees", allocs, frees);
	CU(cuGraphInstantiate(&exec, g, CUDA_GRAPH_INSTANTIATE_FLAG_AUTO_FREE_ON_LAUNCH));
	CU(cuGraphDestroy(g));
	for (int i = 0; i < 3; i++) {
		CU(cuMemsetD8Async(out, 0, BYTES, s));
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_filled(out, WORDS, 1, "through the graph's memory");
		check_filled(kept, WORDS, 2, "memory that outlives a launch");
	}
	CU(cuMemFreeAsync(kept, s));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check_filled(kept, WORDS, 2, "memory that was freed and allocated again");
	CU(cuMemFree(kept));
	CHECK(attribute(CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH) >= BYTES, "the high mark");
	CU(cuGraphExecDestroy(exec));
	CU(cuDeviceGraphMemTrim(0));
	CU(cuMemFree(out));
	printf("capture: all right\n");
}

static void check_nodes(CUstream s)
{
	CUDA_MEM_ALLOC_NODE_PARAMS p = {.poolProps = {.allocType = CU_MEM_ALLOCATION_TYPE_PINNED,
						      .location = {CU_MEM_LOCATION_TYPE_DEVICE, 0}},
					.bytesize = BYTES},
				   got;
	CUgraphNode alloc, kernel, copy, release, other;
	uint32_t n = WORDS, seed = 5;
	CUdeviceptr out = device_alloc(BYTES), freed;
	void *params[] = {&p.dptr, &n, &seed};
	CUDA_KERNEL_NODE_PARAMS k = {.func = fill,
				     .gridDimX = WORDS / 256,
				     .gridDimY = 1,
				     .gridDimZ = 1,
				     .blockDimX = 256,
				     .blockDimY = 1,
				     .blockDimZ = 1,
				     .kernelParams = params};
	CUDA_MEMCPY3D c = {.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			   .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			   .dstDevice = out,
			   .WidthInBytes = BYTES,
			   .Height = 1,
			   .Depth = 1};
	CUgraph g, clone;
	CUgraphExec exec;
	CUcontext ctx;

	CU(cuCtxGetCurrent(&ctx));
	CU(cuGraphCreate(&g, 0));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemAllocNode(&alloc, g, NULL, 0, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemAllocNode(NULL, g, NULL, 0, &p));
	p.bytesize = 0;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
	p.bytesize = (size_t)1 << 44;
	WANT(CUDA_ERROR_OUT_OF_MEMORY, cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
	p.bytesize = BYTES;
	p.poolProps.location.id = 9;
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
	p.poolProps.location.id = 0;
	CU(cuGraphAddMemAllocNode(&alloc, g, NULL, 0, &p));
	CHECK(p.dptr, "no address");
	CU(cuGraphAddKernelNode(&kernel, g, &alloc, 1, &k));
	c.srcDevice = p.dptr;
	CU(cuGraphAddMemcpyNode(&copy, g, &kernel, 1, &c, ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemFreeNode(&release, g, &copy, 1, out));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemFreeNode(&release, g, &copy, 1, 0));
	CU(cuGraphAddMemFreeNode(&release, g, &copy, 1, p.dptr));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemFreeNode(&other, g, &copy, 1, p.dptr));
	CU(cuGraphMemAllocNodeGetParams(alloc, &got));
	CHECK(got.dptr == p.dptr && got.bytesize == BYTES, "an allocation's parameters");
	CU(cuGraphMemFreeNodeGetParams(release, &freed));
	CHECK(freed == p.dptr, "a free's address");
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphMemAllocNodeGetParams(kernel, &got));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphMemFreeNodeGetParams(alloc, &freed));
	/* Such graphs stay as they are. */
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphClone(&clone, g));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphDestroyNode(alloc));
	CU(cuGraphCreate(&clone, 0));
	WANT(CUDA_ERROR_NOT_SUPPORTED, cuGraphAddChildGraphNode(&other, clone, NULL, 0, g));
	CU(cuGraphDestroy(clone));
	CU(cuGraphInstantiate(&exec, g, 0));
	for (int i = 0; i < 2; i++) {
		CU(cuMemsetD8Async(out, 0, BYTES, s));
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_filled(out, WORDS, 5, "by nodes");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuMemFree(out));
	printf("nodes: all right\n");
}

static void check_attributes(void)
{
	const cuuint64_t high = attribute(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH);
	cuuint64_t zero = 0, one = 1;

	WANT(CUDA_ERROR_INVALID_DEVICE,
	     cuDeviceGetGraphMemAttribute(9, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDeviceGetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &one));
	WANT(CUDA_ERROR_INVALID_VALUE,
	     cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT, &zero));
	CU(cuDeviceSetGraphMemAttribute(0, CU_GRAPH_MEM_ATTR_USED_MEM_HIGH, &zero));
	/* The memory of graphs that are gone may be kept for others. */
	CHECK(high >= BYTES, "the high mark");
	CHECK(attribute(CU_GRAPH_MEM_ATTR_USED_MEM_HIGH) <= high, "the high mark, set back");
	WANT(CUDA_ERROR_INVALID_DEVICE, cuDeviceGraphMemTrim(9));
	printf("attributes: all right\n");
}

int main(void)
{
	CUstream s;

	start();
	fill = function(load(ptx_vector), "fill");
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_capture(s);
	check_nodes(s);
	check_attributes();
	CU(cuStreamDestroy(s));
	finish();
	return 0;
}
