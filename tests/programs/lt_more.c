/* SPDX-License-Identifier: MIT */
#include "tests/programs/lt.h"

#include "pvgpu_cublas.h"

enum { N = 8, ROUNDS = 6 };

/* What there is of a product of square matrices of floats. */
struct square {
	cublasLtMatmulDesc_t op;
	cublasLtMatrixLayout_t l;
	CUdeviceptr a, b, c;
	float from[N * N];
};

static void square_begin(struct square *s)
{
	LT_OK(cublasLtMatmulDescCreate, &s->op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	LT_OK(cublasLtMatrixLayoutCreate, &s->l, CUDA_R_32F, N, N, N);
	s->a = device_alloc(sizeof(s->from));
	s->b = device_alloc(sizeof(s->from));
	s->c = device_alloc(sizeof(s->from));
	for (int i = 0; i < N * N; i++)
		s->from[i] = (float)(i % 5 - 2);
	CU(cuMemcpyHtoD(s->a, s->from, sizeof(s->from)));
	CU(cuMemcpyHtoD(s->b, s->from, sizeof(s->from)));
	CU(cuMemsetD8(s->c, 0, sizeof(s->from)));
}

static void square_end(struct square *s)
{
	CU(cuMemFree(s->a));
	CU(cuMemFree(s->b));
	CU(cuMemFree(s->c));
	LT_OK(cublasLtMatmulDescDestroy, s->op);
	LT_OK(cublasLtMatrixLayoutDestroy, s->l);
}

static cublasStatus_t multiply(cublasLtHandle_t h, const struct square *s,
			       const cublasLtMatmulAlgo_t *algo, CUdeviceptr workspace,
			       size_t bytes, CUstream stream)
{
	const float one = 1, zero = 0;

	return LT_CALL(cublasLtMatmul)(h, s->op, &one, lt_pointer(s->a), s->l, lt_pointer(s->b),
				       s->l, &zero, lt_pointer(s->c), s->l, lt_pointer(s->c), s->l,
				       algo, lt_pointer(workspace), bytes, stream);
}

static void square_check(const struct square *s, const char *what)
{
	float got[N * N];

	download(got, s->c, sizeof(got));
	for (int i = 0; i < N; i++)
		for (int j = 0; j < N; j++) {
			float sum = 0;

			for (int k = 0; k < N; k++)
				sum += s->from[k * N + i] * s->from[j * N + k];
			CHECK(got[j * N + i] == sum, "%s: element %d %d is %g, not %g", what, i, j,
			      (double)got[j * N + i], (double)sum);
		}
	CU(cuMemsetD8(s->c, 0, sizeof(got)));
}

/* Sizes that attributes have, what they are at first, and what is refused. */
void lt_descriptors(void)
{
	cublasLtMatrixLayoutOpaque_t own, copy;
	cublasLtMatrixLayout_t l;
	cublasLtMatmulDesc_t op;
	uint64_t rows = 0;
	size_t size = 0;
	int v = 7;

	LT_OK(cublasLtMatrixLayoutCreate, &l, CUDA_R_16F, 5, 6, 8);
	LT_OK(cublasLtMatrixLayoutGetAttribute, l, 2, &rows, sizeof(rows), &size);
	CHECK(rows == 5 && size == 8, "%llu rows in %zu bytes", (unsigned long long)rows, size);
	LT_OK(cublasLtMatrixLayoutGetAttribute, l, 5, NULL, 0, &size);
	CHECK(size == 4, "the batch count has %zu bytes", size);
	LT_OK(cublasLtMatrixLayoutGetAttribute, l, 5, &v, sizeof(v), NULL);
	CHECK(v == 1, "%d matrices at first", v);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixLayoutGetAttribute, l, 2, &rows, 4, &size);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixLayoutGetAttribute, l, 2, NULL, 0, NULL);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixLayoutSetAttribute, l, 2, NULL, 8);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixLayoutSetAttribute, l, 2, &rows, 4);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixLayoutSetAttribute, l, 99, &rows, 8);
	LT_OK(cublasLtMatrixLayoutDestroy, l);
	/* In the application's memory, of version 12's size, and copied. */
	LT_GIVES(ALLOC_FAILED, cublasLtMatrixLayoutInit_internal, &own, 8, CUDA_R_32F, 3, 4, 5);
	LT_OK(cublasLtMatrixLayoutInit_internal, &own, 64, CUDA_R_32F, 3, 4, 5);
	memcpy(&copy, &own, 64);
	memset(&own, 0, sizeof(own));
	LT_OK(cublasLtMatrixLayoutGetAttribute, &copy, 3, &rows, sizeof(rows), NULL);
	CHECK(rows == 4, "a copy has %llu columns", (unsigned long long)rows);
	LT_OK(cublasLtMatmulDescCreate, &op, CUBLAS_COMPUTE_32F, CUDA_R_32F);
	LT_OK(cublasLtMatmulDescGetAttribute, op, 7, &v, sizeof(v), NULL);
	CHECK(v == LT_PLAIN, "epilogue %d at first", v);
	LT_OK(cublasLtMatmulDescGetAttribute, op, 26, &v, sizeof(v), NULL);
	CHECK(v == -1, "the bias's type is %d at first", v);
	LT_OK(cublasLtMatmulDescGetAttribute, op, 25, NULL, 0, &size);
	CHECK(size == 1, "fast accumulation has %zu bytes", size);
	LT_OK(cublasLtMatmulDescDestroy, op);
	LT_OK(cublasLtMatrixLayoutDestroy, NULL);
	CHECK(LT_CALL(cublasLtGetVersion)() / 10000 == 12, "version %zu",
	      LT_CALL(cublasLtGetVersion)());
}

static int heuristic(cublasLtHandle_t h, const struct square *s, size_t workspace, int most,
		     cublasLtMatmulHeuristicResult_t *found)
{
	int count = 0;

	LT_OK(cublasLtMatmulAlgoGetHeuristic, h, s->op, s->l, s->l, s->l, s->l,
	      lt_preference(workspace), most, found, &count);
	return count;
}

static void settings(cublasLtHandle_t h, const struct square *s, cublasLtMatmulAlgo_t algo)
{
	cublasLtMatmulHeuristicResult_t result;
	int id = -1, tile = 4000;
	size_t size = 0;

	LT_OK(cublasLtMatmulAlgoConfigGetAttribute, &algo, 0, &id, sizeof(id), &size);
	CHECK(id >= 0 && size == sizeof(id), "algorithm %d", id);
	LT_OK(cublasLtMatmulAlgoConfigGetAttribute, &algo, 1, NULL, 0, &size);
	CHECK(size == 4, "a tile has %zu bytes", size);
	LT_OK(cublasLtMatmulAlgoCapGetAttribute, &algo, 6, NULL, 0, &size);
	CHECK(size && size % 4 == 0, "%zu bytes of tiles", size);
	LT_OK(cublasLtMatmulAlgoCheck, h, s->op, s->l, s->l, s->l, s->l, &algo, &result);
	LT_GIVES(INVALID_VALUE, cublasLtMatmulAlgoConfigSetAttribute, &algo, 1, &tile, 2);
	LT_OK(cublasLtMatmulAlgoConfigSetAttribute, &algo, 1, &tile, sizeof(tile));
	LT_OK(cublasLtMatmulAlgoConfigGetAttribute, &algo, 1, &tile, sizeof(tile), NULL);
	CHECK(tile == 4000, "tile %d", tile);
	LT_GIVES(NOT_SUPPORTED, cublasLtMatmulAlgoCheck, h, s->op, s->l, s->l, s->l, s->l, &algo,
		 &result);
}

/* Asked for once; each works, also as a copy; and those by number. */
void lt_algorithms(cublasLtHandle_t h)
{
	cublasLtMatmulHeuristicResult_t found[8], again[8];
	const CUdeviceptr workspace = device_alloc(1 << 20);
	cublasLtMatmulAlgo_t algo;
	struct square s;
	int count, ids[16], n = 0;
	uint64_t before;
	size_t capacity;

	square_begin(&s);
	count = heuristic(h, &s, 1 << 20, 8, found);
	CHECK(count >= 1, "%d algorithms", count);
	before = lt_awaited();
	for (int i = 0; i < 1000; i++) {
		CHECK(heuristic(h, &s, 1 << 20, 8, again) == count, "another count");
		CHECK(!multiply(h, &s, &again[0].algo, workspace, 1 << 20, NULL), "a product");
	}
	CHECK(lt_awaited() == before, "%llu calls awaited for what is known",
	      (unsigned long long)(lt_awaited() - before));
	/* Another workspace is another question. */
	heuristic(h, &s, 0, 8, again);
	for (int i = 0; i < count; i++) {
		algo = found[i].algo;
		CHECK(!multiply(h, &s, &algo, workspace, found[i].workspaceSize, NULL),
		      "algorithm %d of %d", i, count);
		square_check(&s, "an algorithm");
	}
	settings(h, &s, found[0].algo);
	LT_OK(cublasLtMatmulAlgoGetIds, h, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
	      CUDA_R_32F, CUDA_R_32F, 16, ids, &n);
	CHECK(n >= 1, "%d numbers", n);
	LT_OK(cublasLtMatmulAlgoInit, h, CUBLAS_COMPUTE_32F, CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
	      CUDA_R_32F, CUDA_R_32F, ids[0], &algo);
	LT_OK(cublasLtHeuristicsCacheGetCapacity, &capacity);
	LT_OK(cublasLtHeuristicsCacheSetCapacity, 0);
	CHECK(heuristic(h, &s, 1 << 20, 8, again) == count, "another count with nothing kept");
	LT_OK(cublasLtHeuristicsCacheSetCapacity, capacity);
	CU(cuCtxSynchronize());
	square_end(&s);
	CU(cuMemFree(workspace));
}

void lt_refused(cublasLtHandle_t h)
{
	const float one = 1;
	cublasLtMatmulHeuristicResult_t found;
	cublasLtMatrixLayout_t other;
	struct square s;
	int count;

	square_begin(&s);
	LT_OK(cublasLtMatrixLayoutCreate, &other, CUDA_R_32F, N + 1, N, N + 1);
	LT_GIVES(NOT_INITIALIZED, cublasLtMatmul, NULL, s.op, &one, lt_pointer(s.a), s.l,
		 lt_pointer(s.b), s.l, &one, lt_pointer(s.c), s.l, lt_pointer(s.c), s.l, NULL, NULL,
		 0, NULL);
	LT_GIVES(INVALID_VALUE, cublasLtMatmul, h, s.op, &one, lt_pointer(s.a), other,
		 lt_pointer(s.b), s.l, &one, lt_pointer(s.c), s.l, lt_pointer(s.c), s.l, NULL, NULL,
		 0, NULL);
	LT_GIVES(INVALID_VALUE, cublasLtMatmul, h, s.op, NULL, lt_pointer(s.a), s.l,
		 lt_pointer(s.b), s.l, &one, lt_pointer(s.c), s.l, lt_pointer(s.c), s.l, NULL, NULL,
		 0, NULL);
	LT_GIVES(INVALID_VALUE, cublasLtMatmul, h, s.op, &one, NULL, s.l, lt_pointer(s.b), s.l,
		 &one, lt_pointer(s.c), s.l, lt_pointer(s.c), s.l, NULL, NULL, 0, NULL);
	LT_SET(MatrixLayout, other, 4, int64_t, 3);
	LT_GIVES(INVALID_VALUE, cublasLtMatmulAlgoGetHeuristic, h, s.op, other, s.l, s.l, s.l,
		 lt_preference(0), 1, &found, &count);
	LT_GIVES(INVALID_VALUE, cublasLtMatmulAlgoGetHeuristic, h, s.op, s.l, s.l, s.l, s.l,
		 lt_preference(0), 0, &found, &count);
	/* Of no use yet: a product of halves whose numbers are whole. */
	LT_SET(MatrixLayout, s.l, 0, int, CUDA_R_16F);
	LT_SET(MatmulDesc, s.op, 0, int, CUBLAS_COMPUTE_32I);
	LT_GIVES(NOT_SUPPORTED, cublasLtMatmulAlgoGetHeuristic, h, s.op, s.l, s.l, s.l, s.l,
		 lt_preference(0), 1, &found, &count);
	CHECK(multiply(h, &s, NULL, 0, 0, NULL) == CUBLAS_STATUS_NOT_SUPPORTED, "it is solved");
	LT_OK(cublasLtMatrixLayoutDestroy, other);
	square_end(&s);
}

/* There and back: by rows, in tiles of 32 columns, turned round. */
void lt_transforms(cublasLtHandle_t h)
{
	static const int orders[] = {1, 2, 3, 4};
	cublasLtMatrixTransformDesc_t t;
	cublasLtMatrixLayout_t between;
	const float one = 1, zero = 0;
	const CUdeviceptr room = device_alloc(64 << 10);
	struct square s;
	float got[N * N];

	square_begin(&s);
	LT_OK(cublasLtMatrixTransformDescCreate, &t, CUDA_R_32F);
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		LT_OK(cublasLtMatrixLayoutCreate, &between, CUDA_R_32F, N, N,
		      orders[i] == 1 ? N : 1024);
		LT_SET(MatrixLayout, between, 1, int, orders[i]);
		LT_OK(cublasLtMatrixTransform, h, t, &one, lt_pointer(s.a), s.l, &zero, NULL, NULL,
		      lt_pointer(room), between, NULL);
		LT_OK(cublasLtMatrixTransform, h, t, &one, lt_pointer(room), between, &one,
		      lt_pointer(s.b), s.l, lt_pointer(s.c), s.l, NULL);
		download(got, s.c, sizeof(got));
		for (int j = 0; j < N * N; j++)
			CHECK(got[j] == 2 * s.from[j], "order %d: element %d is %g", orders[i], j,
			      (double)got[j]);
		LT_OK(cublasLtMatrixLayoutDestroy, between);
	}
	LT_SET(MatrixTransformDesc, t, 2, int, CUBLAS_OP_T);
	LT_OK(cublasLtMatrixTransform, h, t, &one, lt_pointer(s.a), s.l, NULL, NULL, NULL,
	      lt_pointer(s.c), s.l, NULL);
	download(got, s.c, sizeof(got));
	for (int j = 0; j < N * N; j++)
		CHECK(got[j] == s.from[j % N * N + j / N], "turned: element %d", j);
	LT_GIVES(INVALID_VALUE, cublasLtMatrixTransform, h, t, &one, NULL, NULL, &one, NULL, NULL,
		 lt_pointer(s.c), s.l, NULL);
	LT_OK(cublasLtMatrixTransformDescDestroy, t);
	square_end(&s);
	CU(cuMemFree(room));
}

/* A product is captured as any work, and can run more than once. */
void lt_graph(cublasLtHandle_t h)
{
	struct square s;
	CUgraphExec exec;
	CUstream stream;
	CUgraph graph;

	square_begin(&s);
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CU(cuStreamBeginCapture(stream, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	CHECK(!multiply(h, &s, NULL, 0, 0, stream), "a product in a capture");
	CU(cuStreamEndCapture(stream, &graph));
	CU(cuGraphInstantiateWithFlags(&exec, graph, 0));
	for (int i = 0; i < 2; i++) {
		CU(cuGraphLaunch(exec, stream));
		CU(cuStreamSynchronize(stream));
		square_check(&s, "a graph's product");
	}
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(graph));
	CU(cuStreamDestroy(stream));
	square_end(&s);
}

/* A graph of a product, captured into it, whose roots are counted. */
static CUgraph captured(cublasLtHandle_t h, const struct square *s, CUstream stream)
{
	CUgraph graph, same = NULL;
	size_t roots = 0, nodes = 0;

	CU(cuGraphCreate(&graph, 0));
	CU(cuStreamBeginCaptureToGraph(stream, graph, NULL, NULL, 0,
				       CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	CHECK(!multiply(h, s, NULL, 0, 0, stream), "a product in a capture");
	CU(cuStreamEndCapture(stream, &same));
	CHECK(same == graph, "another graph");
	CU(cuGraphGetRootNodes(graph, NULL, &roots));
	CU(cuGraphGetNodes(graph, NULL, &nodes));
	CHECK(roots == 1 && nodes >= 1, "%zu roots of %zu nodes", roots, nodes);
	return graph;
}

/* What a node does when a graph has changed since it was captured. */
static void changed(cublasLtHandle_t h, const struct square *s, CUstream stream)
{
	CUgraph graph = captured(h, s, stream);
	size_t before = 0, nodes = 0, roots = 0;
	CUgraphNode node, *all;

	CU(cuGraphGetNodes(graph, NULL, &before));
	CU(cuGraphAddEmptyNode(&node, graph, NULL, 0));
	CU(cuGraphGetNodes(graph, NULL, &nodes));
	CU(cuGraphGetRootNodes(graph, NULL, &roots));
	CHECK(nodes == before + 1 && roots == 2, "%zu nodes, %zu roots", nodes, roots);
	all = calloc(nodes, sizeof(CUgraphNode));
	CU(cuGraphGetNodes(graph, all, &nodes));
	CHECK(all[nodes - 1] && nodes == before + 1, "%zu nodes are listed", nodes);
	free(all);
	/* Captured once more into what is no longer empty. */
	CU(cuStreamBeginCaptureToGraph(stream, graph, NULL, NULL, 0,
				       CU_STREAM_CAPTURE_MODE_THREAD_LOCAL));
	CHECK(!multiply(h, s, NULL, 0, 0, stream), "a product in a capture");
	CU(cuStreamEndCapture(stream, &graph));
	CU(cuGraphGetNodes(graph, NULL, &nodes));
	CHECK(nodes == 2 * before + 1, "%zu nodes", nodes);
	CU(cuGraphDestroy(graph));
}

/*
 * A product at places that move, as XLA launches one: captured anew each time into a graph that an
 * instance takes over. What is captured like an earlier one is known, and nothing is waited for.
 */
void lt_captures(cublasLtHandle_t h)
{
	CUdeviceptr places[ROUNDS];
	CUgraph outer, graph;
	CUgraphNode node;
	CUgraphExec exec;
	CUstream stream, capturing;
	struct square s;
	uint64_t before;

	square_begin(&s);
	CU(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
	CU(cuStreamCreate(&capturing, CU_STREAM_NON_BLOCKING));
	CU(cuGraphCreate(&outer, 0));
	graph = captured(h, &s, capturing);
	CU(cuGraphAddChildGraphNode(&node, outer, NULL, 0, graph));
	CU(cuGraphDestroy(graph));
	CU(cuGraphInstantiateWithFlags(&exec, outer, 0));
	for (int i = 0; i < ROUNDS; i++) {
		places[i] = s.c;
		s.c = device_alloc(sizeof(s.from));
		before = lt_awaited();
		graph = captured(h, &s, capturing);
		CU(cuGraphExecChildGraphNodeSetParams(exec, node, graph));
		CU(cuGraphLaunch(exec, stream));
		CU(cuGraphDestroy(graph));
		CHECK(i < 1 || lt_awaited() == before, "round %d: %llu calls awaited", i,
		      (unsigned long long)(lt_awaited() - before));
		CU(cuStreamSynchronize(stream));
		square_check(&s, "a graph that was taken over");
	}
	changed(h, &s, capturing);
	for (int i = 0; i < ROUNDS; i++)
		CU(cuMemFree(places[i]));
	CU(cuGraphExecDestroy(exec));
	CU(cuGraphDestroy(outer));
	CU(cuStreamDestroy(stream));
	CU(cuStreamDestroy(capturing));
	square_end(&s);
}

/* A handle of cuBLAS in place of one of cuBLASLt, as PyTorch does. */
void lt_blas_handle(void)
{
	void *blas = dlopen("libcublas.so.12", RTLD_NOW);
	void *make = blas ? dlsym(blas, "cublasCreate_v2") : NULL;
	void *unmake = blas ? dlsym(blas, "cublasDestroy_v2") : NULL;
	__typeof__(cublasCreate_v2) *create;
	__typeof__(cublasDestroy_v2) *destroy;
	cublasLtMatmulHeuristicResult_t found;
	cublasHandle_t h = NULL;
	struct square s;

	if (!make || !unmake)
		return;
	memcpy(&create, &make, sizeof(create));
	memcpy(&destroy, &unmake, sizeof(destroy));
	CHECK(!create(&h), "a handle of cuBLAS");
	square_begin(&s);
	heuristic((cublasLtHandle_t)h, &s, 0, 1, &found);
	CHECK(!multiply((cublasLtHandle_t)h, &s, &found.algo, 0, 0, NULL), "a handle of cuBLAS");
	square_check(&s, "a handle of cuBLAS");
	CHECK(!destroy(h), "its end");
	square_end(&s);
}
