/* SPDX-License-Identifier: MIT */
/* Programs' questions about captures, and the nodes that the next captured command will depend on.
 */
#include "cuda/core/capture.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/streams/stream.h"

#include <stdlib.h>

#include "pvgpu_stubs.h"

/* The nodes that this thread's last query gave out. */
static _Thread_local struct {
	CUgraphNode *node;
	size_t room;
} given;

static int give_deps(const struct target *t, struct graph *g, const CUgraphNode **deps,
		     size_t *count)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], len;
	CUgraphNode *more;
	int r = capture_deps(t, g, numbers, &len);

	if (r)
		return r;
	if (len >= given.room) {
		more = realloc(given.node, (len + 16) * sizeof(CUgraphNode));
		if (!more)
			return CUDA_ERROR_OUT_OF_MEMORY;
		given.node = more;
		given.room = len + 16;
	}
	for (uint32_t i = 0; i < len; i++)
		given.node[i] = node_handle(g, numbers[i]);
	if (deps)
		*deps = given.node;
	if (count)
		*count = len;
	return 0;
}

struct info {
	cuuint64_t *id;
	CUgraph *graph;
	const CUgraphNode **deps;
	const CUgraphEdgeData **edges;
	size_t *count;
};

/* Status and number are known here: frameworks ask at every allocation. */
static int info(CUstream h, CUstreamCaptureStatus *status, const struct info *out, bool per_thread)
{
	struct capture_state is;
	struct stream *s;
	struct graph *g;
	struct target t;
	int r = stream_enter_any(h, per_thread, &t, &s);

	if (r)
		return r;
	if (!status)
		return CUDA_ERROR_INVALID_VALUE;
	*status = CU_STREAM_CAPTURE_STATUS_NONE;
	if (!capturing())
		return 0;
	if (!s)
		return capture_implied(t.ctx);
	if (!capture_state(s, &is))
		return 0;
	*status =
		is.invalid ? CU_STREAM_CAPTURE_STATUS_INVALIDATED : CU_STREAM_CAPTURE_STATUS_ACTIVE;
	if (is.invalid)
		return 0;
	if (out->id)
		*out->id = is.id;
	if (out->graph)
		*out->graph = is.graph;
	if (out->edges)
		*out->edges = NULL;
	g = graph_find(is.graph);
	return g && (out->deps || out->count) ? give_deps(&t, g, out->deps, out->count) : 0;
}

static int update(CUstream h, const CUgraphNode *deps, size_t count, unsigned int flags,
		  bool per_thread)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX];
	struct graph *g;
	struct stream *s;
	struct target t;
	int r = stream_enter_any(h, per_thread, &t, &s);

	if (r)
		return r;
	if (flags > CU_STREAM_SET_CAPTURE_DEPENDENCIES)
		return CUDA_ERROR_INVALID_VALUE;
	if (s)
		r = capture_work(&t, s);
	if (r)
		return r;
	g = t.captured ? capture_graph(&t) : NULL;
	r = g ? node_numbers(g, deps, count, numbers) : CUDA_ERROR_ILLEGAL_STATE;
	return r ? r : capture_set_deps(&t, g, flags, numbers, (uint32_t)count);
}

CU_PTSZ(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus *status),
	info(stream, status, &(const struct info){0}, per_thread))
CU_PTSZ(cuStreamGetCaptureInfo, (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id),
	info(stream, status, &(const struct info){.id = id}, per_thread))
CU_PTSZ(cuStreamGetCaptureInfo_v2,
	(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	 const CUgraphNode **deps, size_t *count),
	info(stream, status, &(const struct info){id, graph, deps, NULL, count}, per_thread))
CU_PTSZ(cuStreamGetCaptureInfo_v3,
	(CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	 const CUgraphNode **deps, const CUgraphEdgeData **edges, size_t *count),
	info(stream, status, &(const struct info){id, graph, deps, edges, count}, per_thread))
CU_PTSZ(cuStreamUpdateCaptureDependencies,
	(CUstream stream, CUgraphNode *deps, size_t count, unsigned int flags),
	update(stream, deps, count, flags, per_thread))
CU_PTSZ(cuStreamUpdateCaptureDependencies_v2,
	(CUstream stream, CUgraphNode *deps, const CUgraphEdgeData *edges, size_t count,
	 unsigned int flags),
	update(stream, deps, count, flags, per_thread))
