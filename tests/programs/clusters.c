/* SPDX-License-Identifier: MIT */
/* Clusters of blocks: their size, shared memory of one block that others reach, graphs of them. */
#include "tests/programs/common.h"

enum { THREADS = 64, BLOCKS = 24 };

/*
 * Each block stores 1000 * rank + thread in the next one of its cluster, and afterwards its threads
 * read what they were given; block 0 of a cluster counts all threads.
 */
#define BODY                                                                                       \
	"(.param .u64 out)\n%s{\n.reg .b32 %%r<16>;\n.reg .b64 %%d<4>;\n.reg .pred %%p<2>;\n"      \
	"ld.param.u64 %%d1, [out];\nmov.u32 %%r1, %%cluster_ctarank;\n"                            \
	"mov.u32 %%r2, %%cluster_nctarank;\nmov.u32 %%r3, %%tid.x;\nmov.u32 %%r4, sh;\n"           \
	"setp.eq.u32 %%p1, %%r3, 0;\n@%%p1 st.shared.u32 [count], 0;\n"                            \
	"barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"                         \
	"add.u32 %%r5, %%r1, 1;\nrem.u32 %%r5, %%r5, %%r2;\nmad.lo.u32 %%r6, %%r3, 4, %%r4;\n"     \
	"mapa.shared::cluster.u32 %%r7, %%r6, %%r5;\nmad.lo.u32 %%r8, %%r1, 1000, %%r3;\n"         \
	"st.shared::cluster.u32 [%%r7], %%r8;\nmov.u32 %%r9, count;\n"                             \
	"mapa.shared::cluster.u32 %%r9, %%r9, 0;\n"                                                \
	"red.relaxed.cluster.shared::cluster.add.u32 [%%r9], 1;\n"                                 \
	"barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n"                         \
	"ld.shared.u32 %%r10, [%%r6];\nld.shared::cluster.u32 %%r11, [%%r9];\n"                    \
	"mov.u32 %%r12, %%ctaid.x;\nmov.u32 %%r13, %%ntid.x;\n"                                    \
	"mad.lo.u32 %%r12, %%r12, %%r13, %%r3;\nmul.wide.u32 %%d2, %%r12, 8;\n"                    \
	"add.u64 %%d2, %%d2, %%d1;\nst.global.v2.u32 [%%d2], {%%r10, %%r11};\n"                    \
	"barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\nret;\n}\n"

static CUdeviceptr out;

static CUresult run(CUfunction fn, unsigned int cluster, CUstream stream)
{
	CUlaunchAttribute a = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
			       .value.clusterDim = {cluster, 1, 1}};
	const CUlaunchConfig config = {.gridDimX = BLOCKS,
				       .gridDimY = 1,
				       .gridDimZ = 1,
				       .blockDimX = THREADS,
				       .blockDimY = 1,
				       .blockDimZ = 1,
				       .hStream = stream,
				       .attrs = &a,
				       .numAttrs = cluster != 0};
	void *params[] = {&out};

	return cuLaunchKernelEx(&config, fn, params, NULL);
}

static void check(const char *what, unsigned int cluster)
{
	static uint32_t got[BLOCKS * THREADS][2];

	download(got, out, sizeof(got));
	for (unsigned int i = 0; i < BLOCKS * THREADS; i++) {
		const unsigned int rank = i / THREADS % cluster;
		const uint32_t want = (rank + cluster - 1) % cluster * 1000 + i % THREADS;

		CHECK(got[i][0] == want, "%s: thread %u got %u, not %u", what, i, got[i][0], want);
		CHECK(got[i][1] == cluster * THREADS, "%s: thread %u counts %u threads, not %u",
		      what, i, got[i][1], cluster * THREADS);
	}
	CU(cuMemsetD8(out, 0, sizeof(got)));
}

static void refuse(const char *what, CUresult r)
{
	CHECK(r != CUDA_SUCCESS, "%s is not refused", what);
}

static void check_sizes(CUfunction any, CUfunction of_two)
{
	CUlaunchAttribute a = {.id = CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION,
			       .value.clusterDim = {4, 1, 1}};
	const CUlaunchConfig config = {BLOCKS, 1, 1, THREADS, 1, 1, 0, NULL, &a, 1};
	int n = 0;

	for (unsigned int size = 1; size <= 8; size++) {
		if (BLOCKS % size)
			continue;
		CU(run(any, size, NULL));
		check("a cluster", size);
	}
	CU(run(any, 0, NULL));
	check("no cluster", 1);
	CU(run(of_two, 0, NULL));
	check("a kernel's own size", 2);
	CU(run(of_two, 2, NULL));
	check("a kernel's own size, asked for", 2);
	refuse("a size that does not divide the grid", run(any, 5, NULL));
	refuse("12 blocks, unless the function allows them", run(any, 12, NULL));
	refuse("another size than the kernel's", run(of_two, 4, NULL));
	refuse("a grid that the kernel's size does not divide",
	       cuLaunchKernel(of_two, 3, 1, 1, THREADS, 1, 1, 0, NULL, (void *[]){&out}, NULL));
	CU(cuFuncGetAttribute(&n, CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH, of_two));
	CHECK(n == 2, "the kernel's clusters have %d blocks, not 2", n);
	CU(cuOccupancyMaxPotentialClusterSize(&n, any, &config));
	CHECK(n >= 8, "the largest cluster has %d blocks", n);
	CU(cuOccupancyMaxActiveClusters(&n, any, &config));
	CHECK(n > 0, "%d clusters of 4 blocks run at once", n);
	CU(cuCtxSynchronize());
}

static void check_graphs(CUfunction any)
{
	CUlaunchAttributeValue size = {.clusterDim = {8, 1, 1}};
	CUgraphExec exec;
	CUgraphNode node;
	CUgraph graph;
	CUstream s;
	size_t n = 1;

	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(run(any, 4, s));
	CU(cuStreamEndCapture(s, &graph));
	CU(cuGraphInstantiate(&exec, graph, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check("a captured cluster", 4);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphGetNodes(graph, &node, &n));
	CU(cuGraphKernelNodeSetAttribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &size));
	size.clusterDim.x = 0;
	CU(cuGraphKernelNodeGetAttribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &size));
	CHECK(size.clusterDim.x == 8, "the node's clusters have %u blocks", size.clusterDim.x);
	CU(cuGraphInstantiate(&exec, graph, 0));
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	check("a node's cluster", 8);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(graph));
	CU(cuStreamDestroy(s));
}

int main(void)
{
	static char text[8192];
	CUdevice dev = start();
	CUmodule module;
	int has = 0, n;

	CU(cuDeviceGetAttribute(&has, CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH, dev));
	if (has) {
		n = snprintf(text, sizeof(text),
			     ".version 7.8\n.target sm_90\n.address_size 64\n"
			     ".shared .align 4 .b8 sh[256];\n.shared .align 4 .u32 count;\n"
			     ".visible .entry any" BODY,
			     "");
		snprintf(text + n, sizeof(text) - (size_t)n, ".visible .entry of_two" BODY,
			 ".explicitcluster\n.reqnctapercluster 2, 1, 1\n");
		module = load(text);
		out = device_alloc(8 * BLOCKS * THREADS);
		check_sizes(function(module, "any"), function(module, "of_two"));
		check_graphs(function(module, "any"));
		CU(cuMemFree(out));
		CU(cuModuleUnload(module));
	}
	printf("clusters: all right\n");
	finish();
	return 0;
}
