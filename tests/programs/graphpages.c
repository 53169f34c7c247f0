/* SPDX-License-Identifier: MIT */
/*
 * Copy nodes from and to memory that CUDA does not know: added, captured, changed in the graph and
 * in its instance, in clones and children, in boxes with pitches, with several launches under way.
 * Each launch reads the bytes that are there when it comes to the node.
 */
#include "tests/programs/common.h"

enum { BYTES = 40 << 10, FLIGHT = 6, ROUNDS = 200 };

static CUdeviceptr mid;
static CUcontext ctx;
static CUstream s;
static uint32_t seeds;

/* A graph that copies from the host to the device, and from there to the host. */
struct made {
	CUgraph g;
	CUgraphNode in, out;
};

static CUDA_MEMCPY3D copy_in(const void *src, CUdeviceptr dst, size_t bytes)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_HOST,
			       .srcHost = src,
			       .dstMemoryType = CU_MEMORYTYPE_DEVICE,
			       .dstDevice = dst,
			       .WidthInBytes = bytes,
			       .Height = 1,
			       .Depth = 1};
}

static CUDA_MEMCPY3D copy_out(void *dst, CUdeviceptr src, size_t bytes)
{
	return (CUDA_MEMCPY3D){.srcMemoryType = CU_MEMORYTYPE_DEVICE,
			       .srcDevice = src,
			       .dstMemoryType = CU_MEMORYTYPE_HOST,
			       .dstHost = dst,
			       .WidthInBytes = bytes,
			       .Height = 1,
			       .Depth = 1};
}

static struct made make(const void *src, void *dst)
{
	const CUDA_MEMCPY3D in = copy_in(src, mid, BYTES), out = copy_out(dst, mid, BYTES);
	struct made m;

	CU(cuGraphCreate(&m.g, 0));
	CU(cuGraphAddMemcpyNode(&m.in, m.g, NULL, 0, &in, ctx));
	CU(cuGraphAddMemcpyNode(&m.out, m.g, &m.in, 1, &out, ctx));
	return m;
}

static CUgraphExec instance(CUgraph g)
{
	CUgraphExec exec;

	CU(cuGraphInstantiate(&exec, g, 0));
	return exec;
}

/* New bytes for each run; they are all that arrives. */
static void run(CUgraphExec exec, char *src, char *dst, const char *what)
{
	random_fill(src, BYTES, ++seeds);
	memset(dst, 0, BYTES);
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	CHECK(!memcmp(src, dst, BYTES), "other bytes: %s", what);
}

static void check_shown(const struct made *m, const char *src, const char *dst)
{
	CUgraphNode nodes[4], from[4], to[4];
	size_t n = 4, edges = 4;
	CUgraphNodeType type;
	CUgraph inside;
	CUDA_MEMCPY3D p;

	CU(cuGraphGetNodes(m->g, nodes, &n));
	CU(cuGraphGetEdges(m->g, from, to, NULL, &edges));
	CHECK(n == 2 && edges == 1 && from[0] == m->in && to[0] == m->out, "%zu nodes, %zu edges",
	      n, edges);
	n = 4;
	CU(cuGraphGetRootNodes(m->g, nodes, &n));
	CHECK(n == 1 && nodes[0] == m->in, "other first nodes");
	CU(cuGraphNodeGetType(m->in, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_MEMCPY, "type %d", (int)type);
	CU(cuGraphMemcpyNodeGetParams(m->in, &p));
	CHECK(p.srcMemoryType == CU_MEMORYTYPE_HOST && p.srcHost == src &&
		      p.dstMemoryType == CU_MEMORYTYPE_DEVICE && p.dstDevice == mid &&
		      p.WidthInBytes == BYTES && p.Height == 1 && p.Depth == 1,
	      "other parameters");
	CU(cuGraphMemcpyNodeGetParams(m->out, &p));
	CHECK(p.srcMemoryType == CU_MEMORYTYPE_DEVICE && p.srcDevice == mid &&
		      p.dstMemoryType == CU_MEMORYTYPE_HOST && p.dstHost == dst &&
		      p.WidthInBytes == BYTES,
	      "other parameters of the second");
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphChildGraphNodeGetGraph(m->in, &inside));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphMemcpyNodeGetParams(m->in, NULL));
}

static void check_nodes(char *src, char *dst)
{
	struct made m = make(src, dst);
	CUgraphExec exec = instance(m.g);

	check_shown(&m, src, dst);
	for (int i = 0; i < 3; i++)
		run(exec, src, dst, "of a node");
	CU(cuGraphExecDestroy(exec));
	/* Without the second node. */
	CU(cuGraphDestroyNode(m.out));
	exec = instance(m.g);
	random_fill(src, BYTES, ++seeds);
	memset(dst, 0, BYTES);
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	CHECK(dst[0] == 0 && dst[BYTES - 1] == 0, "a node that was destroyed has copied");
	download(dst, mid, BYTES);
	CHECK(!memcmp(src, dst, BYTES), "the node that is left has not copied");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	printf("nodes: all right\n");
}

static void check_any(char *src, char *dst)
{
	CUgraphNodeParams in = {.type = CU_GRAPH_NODE_TYPE_MEMCPY}, out = in;
	struct made m;
	CUgraphExec exec;

	in.memcpy.copyParams = copy_in(src, mid, BYTES);
	out.memcpy.copyParams = copy_out(dst, mid, BYTES);
	in.memcpy.copyCtx = out.memcpy.copyCtx = ctx;
	CU(cuGraphCreate(&m.g, 0));
	CU(cuGraphAddNode(&m.in, m.g, NULL, NULL, 0, &in));
	CU(cuGraphAddNode(&m.out, m.g, &m.in, NULL, 1, &out));
	exec = instance(m.g);
	run(exec, src, dst, "of any node");
	out.memcpy.copyParams.dstHost = src;
	in.memcpy.copyParams.srcHost = dst;
	CU(cuGraphExecNodeSetParams(exec, m.in, &in));
	CU(cuGraphExecNodeSetParams(exec, m.out, &out));
	run(exec, dst, src, "the other way round");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	printf("nodes of any kind: all right\n");
}

/* Other memory for the nodes of the graph, of its instance, and by another graph. */
static void check_changes(char *a, char *b)
{
	struct made m = make(a, b), other = make(b, a);
	CUDA_MEMCPY3D in = copy_in(b, mid, BYTES), out = copy_out(a, mid, BYTES);
	CUgraphExecUpdateResultInfo info;
	CUgraphExec exec = instance(m.g), changed;

	CU(cuGraphExecMemcpyNodeSetParams(exec, m.in, &in, ctx));
	CU(cuGraphExecMemcpyNodeSetParams(exec, m.out, &out, ctx));
	run(exec, b, a, "of an instance");
	check_shown(&m, a, b);
	CU(cuGraphMemcpyNodeSetParams(m.in, &in));
	CU(cuGraphMemcpyNodeSetParams(m.out, &out));
	check_shown(&m, b, a);
	changed = instance(m.g);
	run(changed, b, a, "of a changed graph");
	in.srcHost = a;
	out.dstHost = b;
	CU(cuGraphExecMemcpyNodeSetParams(exec, m.in, &in, ctx));
	CU(cuGraphExecMemcpyNodeSetParams(exec, m.out, &out, ctx));
	run(exec, a, b, "of an instance again");
	run(changed, b, a, "of the other instance");
	CU(cuGraphExecUpdate_v2(exec, other.g, &info));
	run(exec, b, a, "of an updated instance");
	CU(cuGraphDestroy(other.g));
	run(exec, b, a, "of a graph that is gone");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphExecDestroy(changed));
	CU(cuGraphDestroy(m.g));
	printf("changes: all right\n");
}

/* Nodes of the graph inside of a node, and inside of that: they are shown and changed there, too.
 */
static void check_inside(char *a, char *b)
{
	struct made m = make(a, b);
	const CUDA_MEMCPY3D in = copy_in(b, mid, BYTES), out = copy_out(a, mid, BYTES);
	CUgraph middle, outer, inside;
	CUgraphNode node, nodes[4];
	CUgraphNodeType type;
	CUgraphExec exec;
	size_t n = 4;

	CU(cuGraphCreate(&middle, 0));
	CU(cuGraphAddChildGraphNode(&node, middle, NULL, 0, m.g));
	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphAddChildGraphNode(&node, outer, NULL, 0, middle));
	CU(cuGraphDestroy(m.g));
	CU(cuGraphDestroy(middle));
	CU(cuGraphChildGraphNodeGetGraph(node, &inside));
	n = 4;
	CU(cuGraphGetNodes(inside, nodes, &n));
	CU(cuGraphNodeGetType(nodes[0], &type));
	CHECK(n == 1 && type == CU_GRAPH_NODE_TYPE_GRAPH, "%zu nodes, type %d", n, (int)type);
	CU(cuGraphChildGraphNodeGetGraph(nodes[0], &inside));
	n = 4;
	CU(cuGraphGetNodes(inside, nodes, &n));
	CHECK(n == 2, "%zu nodes inside", n);
	for (size_t i = 0; i < n; i++) {
		CUDA_MEMCPY3D p;

		CU(cuGraphNodeGetType(nodes[i], &type));
		CHECK(type == CU_GRAPH_NODE_TYPE_MEMCPY, "type %d inside", (int)type);
		CU(cuGraphMemcpyNodeGetParams(nodes[i], &p));
		CHECK(p.srcHost == a || p.dstHost == b, "other parameters inside");
		CU(cuGraphMemcpyNodeSetParams(nodes[i], p.srcHost ? &in : &out));
	}
	exec = instance(outer);
	run(exec, b, a, "of a changed graph inside");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(outer));
	printf("graphs inside: all right\n");
}

/* In a clone, in a child, and in a child that is given another graph. */
static void check_copies(char *a, char *b)
{
	struct made m = make(a, b), other = make(b, a);
	CUgraphNode node, copy;
	CUgraph clone, outer;
	CUgraphNodeType type;
	CUDA_MEMCPY3D in;
	CUgraphExec exec, nested;

	CU(cuGraphClone(&clone, m.g));
	CU(cuGraphNodeFindInClone(&copy, m.in, clone));
	CU(cuGraphNodeGetType(copy, &type));
	CHECK(type == CU_GRAPH_NODE_TYPE_MEMCPY, "type %d in a clone", (int)type);
	exec = instance(clone);
	run(exec, a, b, "in a clone");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphCreate(&outer, 0));
	CU(cuGraphAddChildGraphNode(&node, outer, NULL, 0, m.g));
	nested = instance(outer);
	CU(cuGraphDestroy(m.g));
	run(nested, a, b, "in a child");
	CU(cuGraphExecChildGraphNodeSetParams(nested, node, other.g));
	run(nested, b, a, "in another child");
	/* The clone alone. */
	in = copy_in(b, mid, BYTES);
	CU(cuGraphMemcpyNodeSetParams(copy, &in));
	exec = instance(clone);
	random_fill(b, BYTES, ++seeds);
	memcpy(a, b, BYTES);
	CU(cuGraphLaunch(exec, s));
	CU(cuStreamSynchronize(s));
	CHECK(!memcmp(a, b, BYTES), "a changed clone copies other bytes");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphExecDestroy(nested));
	CU(cuGraphDestroy(outer));
	CU(cuGraphDestroy(clone));
	CU(cuGraphDestroy(other.g));
	printf("copies of graphs: all right\n");
}

static void check_capture(char *src, char *dst)
{
	unsigned int copies = 0;
	CUgraphNode node[4];
	CUgraphNodeType type;
	CUgraphExec exec;
	size_t n = 4;
	CUgraph g;

	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuMemcpyHtoDAsync(mid, src, BYTES / 2, s));
	CU(cuMemcpyAsync(mid + BYTES / 2, (CUdeviceptr)(uintptr_t)(src + BYTES / 2), BYTES / 2, s));
	CU(cuMemcpyDtoHAsync(dst, mid, BYTES, s));
	CU(cuStreamEndCapture(s, &g));
	CU(cuGraphGetNodes(g, node, &n));
	for (size_t i = 0; i < n; i++) {
		CU(cuGraphNodeGetType(node[i], &type));
		copies += type == CU_GRAPH_NODE_TYPE_MEMCPY;
	}
	CHECK(n == 3 && copies == 3, "%zu nodes, %u copies", n, copies);
	exec = instance(g);
	for (int i = 0; i < 3; i++)
		run(exec, src, dst, "captured");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("captured: all right\n");
}

/* ---- boxes ---- */

enum { WIDTH = 100, ROWS = 7, SLICES = 3, PITCH = 256, HEIGHT = 9, AT = 12 };

static CUDA_MEMCPY3D box(CUmemorytype to, CUmemorytype from)
{
	CUDA_MEMCPY3D p = {.srcMemoryType = from,
			   .dstMemoryType = to,
			   .srcXInBytes = AT,
			   .srcY = 1,
			   .dstXInBytes = AT,
			   .dstY = 1,
			   .WidthInBytes = WIDTH,
			   .Height = ROWS,
			   .Depth = SLICES};

	p.srcPitch = p.dstPitch = PITCH;
	p.srcHeight = p.dstHeight = HEIGHT;
	return p;
}

/* The box of the one, and around it what was there. */
static void check_box(const char *got, const char *from, char around, const char *what)
{
	for (size_t i = 0; i < (size_t)PITCH * HEIGHT * SLICES; i++) {
		const size_t x = i % PITCH, y = i / PITCH % HEIGHT;
		const bool in = x >= AT && x < AT + WIDTH && y >= 1 && y < 1 + ROWS;

		CHECK(got[i] == (in ? from[i] : around), "byte %zu of a box: %s", i, what);
	}
}

static void check_boxes(char *a, char *b)
{
	CUDA_MEMCPY3D in = box(CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST),
		      out = box(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE),
		      across = box(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_HOST);
	char *c = host_alloc(BYTES);
	CUgraphNode first, second, third;
	CUgraphExec exec;
	CUgraph g;

	in.srcHost = a;
	in.dstDevice = out.srcDevice = mid;
	out.dstHost = b;
	across.srcHost = b;
	across.dstHost = c;
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddMemcpyNode(&first, g, NULL, 0, &in, ctx));
	CU(cuGraphAddMemcpyNode(&second, g, &first, 1, &out, ctx));
	CU(cuGraphAddMemcpyNode(&third, g, &second, 1, &across, ctx));
	exec = instance(g);
	for (int i = 0; i < 2; i++) {
		random_fill(a, BYTES, ++seeds);
		memset(b, 1, BYTES);
		memset(c, 2, BYTES);
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_box(b, a, 1, "from the device");
		check_box(c, a, 2, "from the host");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	free(c);
	printf("boxes: all right\n");
}

/* The same, captured. */
static void check_captured_boxes(char *a, char *b)
{
	CUDA_MEMCPY3D in = box(CU_MEMORYTYPE_DEVICE, CU_MEMORYTYPE_HOST),
		      out = box(CU_MEMORYTYPE_HOST, CU_MEMORYTYPE_DEVICE);
	CUgraphExec exec;
	CUgraph g;

	in.srcHost = a;
	in.dstDevice = out.srcDevice = mid;
	out.dstHost = b;
	CU(cuStreamBeginCapture(s, CU_STREAM_CAPTURE_MODE_GLOBAL));
	CU(cuMemcpy3DAsync(&in, s));
	CU(cuMemcpy3DAsync(&out, s));
	CU(cuStreamEndCapture(s, &g));
	exec = instance(g);
	for (int i = 0; i < 2; i++) {
		random_fill(a, BYTES, ++seeds);
		memset(b, 3, BYTES);
		CU(cuGraphLaunch(exec, s));
		CU(cuStreamSynchronize(s));
		check_box(b, a, 3, "captured");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	printf("captured boxes: all right\n");
}

/* Between places of the host; the instance's copy comes from pinned memory then. */
static void check_host(char *a, char *b)
{
	CUDA_MEMCPY3D p = {.srcMemoryType = CU_MEMORYTYPE_HOST,
			   .srcHost = a,
			   .dstMemoryType = CU_MEMORYTYPE_HOST,
			   .dstHost = b,
			   .WidthInBytes = BYTES,
			   .Height = 1,
			   .Depth = 1};
	CUgraphNode node;
	CUgraphExec exec;
	char *pinned;
	CUgraph g;

	CU(cuMemHostAlloc((void **)&pinned, BYTES, 0));
	CU(cuGraphCreate(&g, 0));
	CU(cuGraphAddMemcpyNode(&node, g, NULL, 0, &p, ctx));
	exec = instance(g);
	run(exec, a, b, "from the host to the host");
	p.srcHost = pinned;
	CU(cuGraphExecMemcpyNodeSetParams(exec, node, &p, ctx));
	run(exec, pinned, b, "from pinned memory");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(g));
	CU(cuMemFreeHost(pinned));
	printf("host to host: all right\n");
}

/* ---- under way ---- */

/* Each launch has the memory that the instance had then. */
static void check_flight(void)
{
	char *a[FLIGHT], *b[FLIGHT];
	struct gate gate;
	struct made m;
	CUgraphExec exec;

	for (int i = 0; i < FLIGHT; i++) {
		a[i] = host_alloc(BYTES);
		b[i] = host_alloc(BYTES);
		memset(b[i], 0, BYTES);
	}
	m = make(a[0], b[0]);
	exec = instance(m.g);
	gate_close(&gate, s);
	for (int i = 0; i < FLIGHT; i++) {
		const CUDA_MEMCPY3D in = copy_in(a[i], mid, BYTES),
				    out = copy_out(b[i], mid, BYTES);

		CU(cuGraphExecMemcpyNodeSetParams(exec, m.in, &in, ctx));
		CU(cuGraphExecMemcpyNodeSetParams(exec, m.out, &out, ctx));
		CU(cuGraphLaunch(exec, s));
	}
	/* What is read is there when the launch comes to it, and the instance may be gone. */
	for (int i = 0; i < FLIGHT; i++)
		random_fill(a[i], BYTES, ++seeds);
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	gate_open(&gate);
	CU(cuStreamSynchronize(s));
	for (int i = 0; i < FLIGHT; i++) {
		CHECK(!memcmp(a[i], b[i], BYTES), "other bytes of launch %d", i);
		free(a[i]);
		free(b[i]);
	}
	printf("launches under way: all right\n");
}

/* Instances in two streams at a time, and other memory again and again. */
static void check_many(char *a, char *b)
{
	char *c = host_alloc(BYTES), *d = host_alloc(BYTES);
	const CUdeviceptr was = mid;
	struct made one = make(a, b), two;
	CUgraphExec first = instance(one.g), second;
	CUstream other;

	CU(cuStreamCreate(&other, CU_STREAM_NON_BLOCKING));
	mid = device_alloc(BYTES);
	two = make(c, d);
	second = instance(two.g);
	for (int i = 0; i < ROUNDS; i++) {
		const CUDA_MEMCPY3D out = copy_out(i % 2 ? b : a, was, BYTES / 2);

		random_fill(a, BYTES, ++seeds);
		random_fill(c, BYTES, ++seeds);
		memset(d, 0, BYTES);
		CU(cuGraphExecMemcpyNodeSetParams(first, one.out, &out, ctx));
		CU(cuGraphLaunch(first, s));
		CU(cuGraphLaunch(second, other));
		CU(cuStreamSynchronize(other));
		CHECK(!memcmp(c, d, BYTES), "other bytes in round %d", i);
		CU(cuStreamSynchronize(s));
		CHECK(i % 2 == 0 || !memcmp(a, b, BYTES / 2), "other bytes in round %d", i);
	}
	CU(cuGraphExecDestroy(first));
	CU(cuGraphExecDestroy(second));
	CU(cuGraphDestroy(one.g));
	CU(cuGraphDestroy(two.g));
	CU(cuStreamDestroy(other));
	CU(cuMemFree(mid));
	mid = was;
	free(c);
	free(d);
	printf("many launches: all right\n");
}

static void check_registered(char *a, char *b)
{
	struct made m;
	CUgraphExec exec;

	CU(cuMemHostRegister(a, BYTES, 0));
	m = make(a, b);
	exec = instance(m.g);
	run(exec, a, b, "of registered memory");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	CU(cuMemHostUnregister(a));
	printf("registered memory: all right\n");
}

static void check_wrong(char *a, char *b)
{
	struct made m = make(a, b);
	CUDA_MEMCPY3D in = copy_in(a, mid, BYTES), none = copy_in(NULL, mid, BYTES),
		      far = copy_in(a, mid, (size_t)BYTES << 20);
	CUgraphExec exec = instance(m.g);
	CUgraphNode node;

	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemcpyNode(&node, m.g, NULL, 0, &none, ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemcpyNode(&node, m.g, NULL, 0, &far, ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphAddMemcpyNode(NULL, m.g, NULL, 0, &in, ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphMemcpyNodeSetParams(m.in, NULL));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphMemcpyNodeSetParams(m.in, &none));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecMemcpyNodeSetParams(exec, m.in, &none, ctx));
	WANT(CUDA_ERROR_INVALID_VALUE, cuGraphExecMemcpyNodeSetParams(NULL, m.in, &in, ctx));
	run(exec, a, b, "behind calls that were refused");
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(m.g));
	printf("wrong arguments are refused\n");
}

int main(void)
{
	char *a = host_alloc(BYTES), *b = host_alloc(BYTES);

	start();
	CU(cuCtxGetCurrent(&ctx));
	mid = device_alloc(BYTES);
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	check_nodes(a, b);
	check_any(a, b);
	check_changes(a, b);
	check_copies(a, b);
	check_inside(a, b);
	check_capture(a, b);
	check_boxes(a, b);
	check_captured_boxes(a, b);
	check_host(a, b);
	check_flight();
	check_many(a, b);
	check_registered(a, b);
	check_wrong(a, b);
	free(a);
	free(b);
	finish();
	return 0;
}
