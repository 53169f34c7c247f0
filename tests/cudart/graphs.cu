// SPDX-License-Identifier: MIT
/* Graphs by capture and by hand; a driver without them says so, and says it the same way everywhere. */
#include "test.h"

enum { N = 256 };

__global__ void add(int *v, int n)
{
	v[blockIdx.x * blockDim.x + threadIdx.x] += n;
}

__global__ void multiply(int *v, int n)
{
	v[blockIdx.x * blockDim.x + threadIdx.x] *= n;
}

static void count(void *arg)
{
	++*(int *)arg;
}

static void all_are(both<int> &v, int want, const char *what)
{
	v.down();
	for (int i = 0; i < N; i++)
		CHECK(v.host[i] == want, "%s: %d, not %d", what, v.host[i], want);
}

/* Work of two streams, joined by events, becomes a graph; nothing runs until it is launched. */
static void by_capture(cudaStream_t s)
{
	enum cudaStreamCaptureStatus status;
	cudaGraphExec_t exec;
	cudaEvent_t fork, join;
	cudaGraph_t graph;
	cudaStream_t t;
	both<int> v(N), w(N);
	size_t nodes = 0;
	int want = 0;

	RT(cudaMemset(v.dev, 0, N * sizeof(int)));
	RT(cudaStreamCreateWithFlags(&t, cudaStreamNonBlocking));
	RT(cudaEventCreateWithFlags(&fork, cudaEventDisableTiming));
	RT(cudaEventCreateWithFlags(&join, cudaEventDisableTiming));
	RT(cudaStreamBeginCapture(s, cudaStreamCaptureModeThreadLocal));
	RT(cudaStreamIsCapturing(s, &status));
	CHECK(status == cudaStreamCaptureStatusActive, "status %d", status);
	add<<<N / 64, 64, 0, s>>>(v.dev, 3);
	RT(cudaEventRecord(fork, s));
	RT(cudaStreamWaitEvent(t, fork, 0));
	multiply<<<N / 64, 64, 0, s>>>(v.dev, 2);
	RT(cudaMemsetAsync(w.dev, 1, N * sizeof(int), t));
	RT(cudaEventRecord(join, t));
	RT(cudaStreamWaitEvent(s, join, 0));
	RT(cudaMemcpyAsync(w.dev, v.dev, N * sizeof(int), cudaMemcpyDeviceToDevice, s));
	RT(cudaStreamEndCapture(s, &graph));
	all_are(v, 0, "captured work has run");
	RT(cudaGraphGetNodes(graph, NULL, &nodes));
	CHECK(nodes == 4, "%zu nodes", nodes);
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	RT(cudaGraphDestroy(graph));
	for (int i = 0; i < 3; i++) {
		RT(cudaGraphLaunch(exec, s));
		want = (want + 3) * 2;
	}
	RT(cudaStreamSynchronize(s));
	all_are(w, want, "replayed capture");
	RT(cudaGraphExecDestroy(exec));
	RT(cudaStreamDestroy(t));
	RT(cudaEventDestroy(fork));
	RT(cudaEventDestroy(join));
}

static struct cudaKernelNodeParams node_params(void (*fn)(int *, int), void **args)
{
	struct cudaKernelNodeParams p = {};

	p.func = (void *)fn;
	p.gridDim = N / 64;
	p.blockDim = 64;
	p.kernelParams = args;
	return p;
}

static void by_hand(cudaStream_t s)
{
	struct cudaHostNodeParams host = {};
	struct cudaMemsetParams fill = {};
	struct cudaKernelNodeParams p, got;
	cudaGraphNode_t first, add_node, times, copy, called;
	cudaGraphExec_t exec;
	cudaGraph_t graph;
	both<int> v(N), out(N);
	int five = 5, seven = 7, calls = 0, type;
	void *add_args[] = {&v.dev, &five}, *times_args[] = {&v.dev, &seven};

	RT(cudaGraphCreate(&graph, 0));
	fill.dst = v.dev;
	fill.value = 1;
	fill.elementSize = 4;
	fill.width = N;
	fill.height = 1;
	RT(cudaGraphAddMemsetNode(&first, graph, NULL, 0, &fill));
	p = node_params(add, add_args);
	RT(cudaGraphAddKernelNode(&add_node, graph, &first, 1, &p));
	p = node_params(multiply, times_args);
	RT(cudaGraphAddKernelNode(&times, graph, &add_node, 1, &p));
	RT(cudaGraphAddMemcpyNode1D(&copy, graph, &times, 1, out.dev, v.dev, N * sizeof(int),
				    cudaMemcpyDeviceToDevice));
	host.fn = count;
	host.userData = &calls;
	RT(cudaGraphAddHostNode(&called, graph, &copy, 1, &host));
	RT(cudaGraphNodeGetType(called, &type));
	CHECK(type == 3, "type %d", type);
	RT(cudaGraphKernelNodeGetParams(times, &got));
	CHECK(got.func == (void *)multiply && got.gridDim.x == N / 64 && got.blockDim.x == 64 &&
		      *(int *)got.kernelParams[1] == 7,
	      "a node's parameters");
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	RT(cudaGraphLaunch(exec, s));
	RT(cudaStreamSynchronize(s));
	all_are(out, 42, "graph by hand");
	CHECK(calls == 1, "%d calls", calls);
	seven = -1;
	RT(cudaGraphExecKernelNodeSetParams(exec, times, &p));
	RT(cudaGraphLaunch(exec, s));
	RT(cudaStreamSynchronize(s));
	all_are(out, -6, "changed parameters");
	CHECK(calls == 2, "%d calls", calls);
	p.func = NULL;
	CHECK(cudaGraphExecKernelNodeSetParams(exec, times, &p), "a node without a function");
	cudaGetLastError();
	RT(cudaGraphExecDestroy(exec));
	RT(cudaGraphDestroy(graph));
}

int main()
{
	cudaStream_t s;
	cudaGraph_t graph;
	cudaError_t e;

	RT(cudaStreamCreate(&s));
	e = cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal);
	if (e == cudaErrorNotSupported) {
		WANT(cudaErrorNotSupported, cudaGraphCreate(&graph, 0));
		printf("graphs are right\n");
		return 0;
	}
	RT(e);
	RT(cudaStreamEndCapture(s, &graph));
	RT(cudaGraphDestroy(graph));
	by_capture(s);
	by_hand(s);
	RT(cudaStreamDestroy(s));
	printf("graphs are right\n");
	return 0;
}
