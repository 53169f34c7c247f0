/* SPDX-License-Identifier: MIT */
/* Edges of graphs: listed, added and removed, with the data that they have or without. */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/graph.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

_Static_assert(sizeof(CUgraphEdgeData) == sizeof(((struct pvgpu_graph_edge *)0)->data),
	       "the data of an edge");

enum { PAGE = 2048, DATA_PAGE = 512 }; /* numbers and edges in one reply */

struct list {
	CUgraphNode *from, *to;
	CUgraphEdgeData *data;
	size_t total;
};

static void list_free(struct list *l)
{
	free(l->from);
	free(l->data);
}

static int list_edges(const struct far *far, struct graph *gr, struct list *l)
{
	int r;

	*l = (struct list){0};
	r = (int)far->cuGraphGetEdges_v2(gr->far, NULL, NULL, NULL, &l->total);
	if (r)
		return r;
	l->from = calloc(2 * l->total + 2, sizeof(CUgraphNode));
	l->data = calloc(l->total + 1, sizeof(*l->data));
	if (!l->from || !l->data)
		return CUDA_ERROR_OUT_OF_MEMORY;
	l->to = l->from + l->total;
	return l->total ? (int)far->cuGraphGetEdges_v2(gr->far, l->from, l->to, l->data, &l->total)
			: 0;
}

int handle_graph_edges(struct worker *w, const struct pvgpu_in_graph_edges *in,
		       struct pvgpu_out_graph_edges *out)
{
	struct gpu *g = worker_gpu(w);
	uint32_t *to = (uint32_t *)(void *)g->scratch, n = 0;
	struct graph *gr = in->graph;
	struct list l = {0};
	int r = graph_error(gr);

	if (!r)
		r = list_edges(g->far, gr, &l);
	for (size_t i = in->first; i < l.total && n < PAGE && !r; i++) {
		r = graph_number(gr, l.from[i], &to[n++]);
		if (!r)
			r = graph_number(gr, l.to[i], &to[n++]);
	}
	list_free(&l);
	out->total = (uint32_t)l.total;
	out->edges = to;
	out->edges_len = r ? 0 : n * 4;
	return r;
}

int handle_graph_edges_data(struct worker *w, const struct pvgpu_in_graph_edges_data *in,
			    struct pvgpu_out_graph_edges_data *out)
{
	struct gpu *g = worker_gpu(w);
	struct pvgpu_graph_edge *to = (struct pvgpu_graph_edge *)(void *)g->scratch;
	struct graph *gr = in->graph;
	struct list l = {0};
	uint32_t n = 0;
	int r = graph_error(gr);

	if (!r)
		r = list_edges(g->far, gr, &l);
	for (size_t i = in->first; i < l.total && n < DATA_PAGE && !r; i++, n++) {
		memcpy(to[n].data, &l.data[i], sizeof(to[n].data));
		r = graph_number(gr, l.from[i], &to[n].from);
		if (!r)
			r = graph_number(gr, l.to[i], &to[n].to);
	}
	list_free(&l);
	out->total = (uint32_t)l.total;
	out->edges = to;
	out->edges_len = r ? 0 : n * (uint32_t)sizeof(*to);
	return r;
}

int handle_graph_link(struct worker *w, const struct pvgpu_in_graph_link *in,
		      struct pvgpu_out_graph_link *out)
{
	CUgraphNode from[PVGPU_GRAPH_DEPS_MAX], to[PVGPU_GRAPH_DEPS_MAX];
	const struct far *far = worker_gpu(w)->far;
	struct graph *gr = in->graph;
	const uint32_t n = in->edges_len / 8;
	int r = graph_error(gr);

	if (r)
		return r;
	if (in->edges_len % 8 || n > PVGPU_GRAPH_DEPS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pair[2];

		memcpy(pair, (const char *)in->edges + i * sizeof(pair), sizeof(pair));
		from[i] = graph_node(gr, pair[0]);
		to[i] = graph_node(gr, pair[1]);
		if (!from[i] || !to[i])
			return CUDA_ERROR_INVALID_VALUE;
	}
	return (int)(in->on ? far->cuGraphAddDependencies_v2(gr->far, from, to, NULL, n)
			    : far->cuGraphRemoveDependencies_v2(gr->far, from, to, NULL, n));
}

/* The far end is given what its headers define; bytes that are reserved for others are 0. */
static bool edge_data(const struct pvgpu_graph_edge *e, CUgraphEdgeData *to)
{
	static const CUgraphEdgeData usual;

	memcpy(to, e->data, sizeof(*to));
	return to->from_port <= CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER && !to->to_port &&
	       to->type <= CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC &&
	       !memcmp(to->reserved, usual.reserved, sizeof(usual.reserved));
}

int handle_graph_link_data(struct worker *w, const struct pvgpu_in_graph_link_data *in,
			   struct pvgpu_out_graph_link_data *out)
{
	CUgraphNode from[DATA_PAGE], to[DATA_PAGE];
	CUgraphEdgeData data[DATA_PAGE];
	const struct far *far = worker_gpu(w)->far;
	struct graph *gr = in->graph;
	struct pvgpu_graph_edge e;
	const uint32_t n = in->edges_len / (uint32_t)sizeof(e);
	int r = graph_error(gr);

	if (r)
		return r;
	if (in->edges_len % sizeof(e) || n > DATA_PAGE)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < n; i++) {
		memcpy(&e, (const char *)in->edges + i * sizeof(e), sizeof(e));
		from[i] = graph_node(gr, e.from);
		to[i] = graph_node(gr, e.to);
		if (!from[i] || !to[i] || !edge_data(&e, &data[i]))
			return CUDA_ERROR_INVALID_VALUE;
	}
	return (int)(in->on ? far->cuGraphAddDependencies_v2(gr->far, from, to, data, n)
			    : far->cuGraphRemoveDependencies_v2(gr->far, from, to, data, n));
}
