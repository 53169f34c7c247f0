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

/* CUDA's one structure for nodes of every kind; here the parts for memory, by their offsets. */
struct node_params {
	int type, reserved[3];
	union {
		long long all[29];
		struct {
			cudaMemPoolProps pool;
			const void *access;
			size_t accesses, bytes;
			void *ptr;
		} alloc;
		void *freed;
		struct {
			unsigned long long handle;
			int type;
			unsigned int size;
			cudaGraph_t *bodies;
		} conditional;
	};
	long long reserved_too;
};
static_assert(sizeof(struct node_params) == 256, "the size of a node's parameters");
extern "C" cudaError_t cudaGraphAddNode_v2(cudaGraphNode_t *node, cudaGraph_t graph,
					   const cudaGraphNode_t *dependencies, const void *edges,
					   size_t count, struct node_params *params);
extern "C" cudaError_t cudaGraphConditionalHandleCreate(unsigned long long *handle,
							cudaGraph_t graph, unsigned int value,
							unsigned int flags);

/* Memory of the graph, used by kernels between its allocation and its free. */
static void by_structure(cudaStream_t s)
{
	struct node_params alloc = {}, release = {};
	cudaKernelNodeParams k = {};
	cudaMemsetParams fill = {};
	cudaGraphNode_t n[5];
	cudaGraphExec_t exec;
	cudaGraph_t graph;
	both<int> v(N);
	int two = 2;

	alloc.type = 10;
	alloc.alloc.pool.allocType = 1;
	alloc.alloc.pool.location = {cudaMemLocationTypeDevice, 0};
	alloc.alloc.bytes = N * sizeof(int);
	RT(cudaGraphCreate(&graph, 0));
	RT(cudaGraphAddNode_v2(&n[0], graph, NULL, NULL, 0, &alloc));
	CHECK(alloc.alloc.ptr, "no address");
	fill.dst = alloc.alloc.ptr;
	fill.elementSize = 4;
	fill.value = 20;
	fill.width = N;
	fill.height = 1;
	RT(cudaGraphAddMemsetNode(&n[1], graph, n, 1, &fill));
	void *params[] = {&alloc.alloc.ptr, &two};
	k.func = (void *)add;
	k.gridDim = dim3(2);
	k.blockDim = dim3(N / 2);
	k.kernelParams = params;
	RT(cudaGraphAddKernelNode(&n[2], graph, n + 1, 1, &k));
	RT(cudaGraphAddMemcpyNode1D(&n[3], graph, n + 2, 1, v.dev, alloc.alloc.ptr,
				    N * sizeof(int), cudaMemcpyDeviceToDevice));
	release.type = 11;
	release.freed = alloc.alloc.ptr;
	RT(cudaGraphAddNode_v2(&n[4], graph, n + 3, NULL, 1, &release));
	release.type = 12;
	WANT(cudaErrorNotSupported, cudaGraphAddNode_v2(&n[4], graph, NULL, NULL, 0, &release));
	WANT(cudaErrorNotSupported, cudaGetLastError());
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < 2; i++) {
		RT(cudaMemset(v.dev, 0, N * sizeof(int)));
		RT(cudaGraphLaunch(exec, s));
		RT(cudaStreamSynchronize(s));
		all_are(v, 22, "memory of the graph");
	}
	RT(cudaGraphExecDestroy(exec));
	RT(cudaGraphDestroy(graph));
}

/* A branch, by the value that its condition has when a launch begins. */
static void by_condition(cudaStream_t s)
{
	struct node_params p = {};
	cudaMemsetParams fill = {};
	cudaGraphExec_t exec;
	cudaGraphNode_t n;
	cudaGraph_t graph;
	both<int> v(N);

	fill.dst = v.dev;
	fill.elementSize = 4;
	fill.width = N;
	fill.height = 1;
	for (unsigned int value = 0; value < 2; value++) {
		RT(cudaGraphCreate(&graph, 0));
		p.type = 13;
		p.conditional.size = 2;
		RT(cudaGraphConditionalHandleCreate(&p.conditional.handle, graph, value, 1));
		RT(cudaGraphAddNode_v2(&n, graph, NULL, NULL, 0, &p));
		for (unsigned int i = 0; i < 2; i++) {
			fill.value = 5 + i;
			RT(cudaGraphAddMemsetNode(&n, p.conditional.bodies[i], NULL, 0, &fill));
		}
		RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
		RT(cudaGraphLaunch(exec, s));
		RT(cudaStreamSynchronize(s));
		all_are(v, value ? 5 : 6, "a branch");
		RT(cudaGraphExecDestroy(exec));
		RT(cudaGraphDestroy(graph));
	}
}

/* A graph that waits for an event of another stream, and records one for a third. */
static void by_events(cudaStream_t s)
{
	const unsigned int external = 1; /* cudaEventWaitExternal, cudaEventRecordExternal */
	cudaStream_t feeder, reader;
	cudaEvent_t before, behind;
	cudaGraphExec_t exec;
	cudaGraph_t graph;
	both<int> v(N), w(N);

	RT(cudaStreamCreateWithFlags(&feeder, cudaStreamNonBlocking));
	RT(cudaStreamCreateWithFlags(&reader, cudaStreamNonBlocking));
	RT(cudaEventCreateWithFlags(&before, cudaEventDisableTiming));
	RT(cudaEventCreateWithFlags(&behind, cudaEventDisableTiming));
	RT(cudaStreamBeginCapture(s, cudaStreamCaptureModeGlobal));
	RT(cudaStreamWaitEvent(s, before, external));
	multiply<<<N / 64, 64, 0, s>>>(v.dev, 2);
	RT(cudaEventRecordWithFlags(behind, s, external));
	RT(cudaStreamEndCapture(s, &graph));
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < 3; i++) {
		RT(cudaMemset(v.dev, 0, N * sizeof(int)));
		RT(cudaDeviceSynchronize());
		add<<<N / 64, 64, 0, feeder>>>(v.dev, 3 + i);
		RT(cudaEventRecord(before, feeder));
		RT(cudaGraphLaunch(exec, s));
		RT(cudaStreamWaitEvent(reader, behind, 0));
		RT(cudaMemcpyAsync(w.dev, v.dev, N * sizeof(int), cudaMemcpyDeviceToDevice, reader));
		RT(cudaStreamSynchronize(reader));
		all_are(w, 2 * (3 + i), "behind the graph's event");
	}
	RT(cudaGraphExecDestroy(exec));
	RT(cudaGraphDestroy(graph));
	RT(cudaEventDestroy(before));
	RT(cudaEventDestroy(behind));
	RT(cudaStreamDestroy(feeder));
	RT(cudaStreamDestroy(reader));
}

/* A priority, a node that is left out, the graph inside of a node, a text. */
static void by_details(cudaStream_t s)
{
	cudaLaunchAttributeValue value = {};
	cudaGraph_t graph, inner, inside;
	cudaGraphNode_t first, second, child, node;
	struct cudaKernelNodeParams p;
	const char *path = "/dev/null";
	cudaGraphExec_t exec;
	unsigned int on = 7;
	both<int> v(N);
	int three = 3;
	void *args[] = {&v.dev, &three};
	size_t n = 1;

	RT(cudaGraphCreate(&inner, 0));
	p = node_params(add, args);
	RT(cudaGraphAddKernelNode(&first, inner, NULL, 0, &p));
	value.priority = -1;
	RT(cudaGraphKernelNodeSetAttribute(first, cudaLaunchAttributePriority, &value));
	RT(cudaGraphCreate(&graph, 0));
	RT(cudaGraphAddChildGraphNode(&child, graph, NULL, 0, inner));
	p = node_params(multiply, args);
	RT(cudaGraphAddKernelNode(&second, graph, &child, 1, &p));
	RT(cudaGraphKernelNodeCopyAttributes(second, first));
	RT(cudaGraphChildGraphNodeGetGraph(child, &inside));
	RT(cudaGraphGetNodes(inside, &node, &n));
	const cudaGraphNode_t both_nodes[] = {second, node};
	for (cudaGraphNode_t k : both_nodes) {
		value.priority = 0;
		RT(cudaGraphKernelNodeGetAttribute(k, cudaLaunchAttributePriority, &value));
		CHECK(value.priority == -1, "priority %d", value.priority);
	}
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	RT(cudaMemset(v.dev, 0, N * sizeof(int)));
	RT(cudaGraphLaunch(exec, s));
	RT(cudaStreamSynchronize(s));
	all_are(v, 9, "added and multiplied");
	RT(cudaGraphNodeSetEnabled(exec, second, 0));
	RT(cudaGraphNodeGetEnabled(exec, second, &on));
	CHECK(on == 0, "enabled %u", on);
	three = 5;
	p = node_params(add, args);
	RT(cudaGraphKernelNodeSetParams(first, &p));
	RT(cudaGraphExecChildGraphNodeSetParams(exec, child, inner));
	RT(cudaGraphLaunch(exec, s));
	RT(cudaStreamSynchronize(s));
	all_are(v, 14, "added alone");
	RT(cudaGraphDebugDotPrint(graph, path, 0));
	WANT(cudaErrorInvalidValue, cudaGraphDebugDotPrint(graph, NULL, 0));
	WANT(cudaErrorInvalidValue, cudaGraphNodeSetEnabled(exec, child, 0));
	WANT(cudaErrorInvalidValue, cudaGraphChildGraphNodeGetGraph(second, &inside));
	WANT(cudaErrorInvalidValue,
	     cudaGraphKernelNodeGetAttribute(child, cudaLaunchAttributePriority, &value));
	WANT(cudaErrorInvalidValue, cudaGetLastError());
	RT(cudaGraphExecDestroy(exec));
	RT(cudaGraphDestroy(graph));
	RT(cudaGraphDestroy(inner));
}

/* Copies from and to memory that CUDA does not know; each launch reads what is there then. */
static void from_the_host(cudaStream_t s)
{
	cudaGraphNode_t down, work, up;
	struct cudaKernelNodeParams p;
	cudaGraphExec_t exec;
	cudaGraph_t graph;
	both<int> v(N);
	static int in[N], out[N];
	int five = 5, type;
	void *args[] = {&v.dev, &five};

	RT(cudaGraphCreate(&graph, 0));
	RT(cudaGraphAddMemcpyNode1D(&down, graph, NULL, 0, v.dev, in, sizeof(in),
				    cudaMemcpyHostToDevice));
	p = node_params(add, args);
	RT(cudaGraphAddKernelNode(&work, graph, &down, 1, &p));
	RT(cudaGraphAddMemcpyNode1D(&up, graph, &work, 1, out, v.dev, sizeof(out),
				    cudaMemcpyDeviceToHost));
	RT(cudaGraphNodeGetType(down, &type));
	CHECK(type == 1, "type %d", type);
	RT(cudaGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < 3; i++) {
		for (int k = 0; k < N; k++)
			in[k] = i * k;
		RT(cudaGraphLaunch(exec, s));
		RT(cudaStreamSynchronize(s));
		for (int k = 0; k < N; k++)
			CHECK(out[k] == i * k + 5, "%d at %d in launch %d", out[k], k, i);
	}
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
	by_structure(s);
	by_condition(s);
	by_events(s);
	by_details(s);
	from_the_host(s);
	RT(cudaStreamDestroy(s));
	printf("graphs are right\n");
	return 0;
}
