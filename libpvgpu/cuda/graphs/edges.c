/* SPDX-License-Identifier: MIT */
/* The shape of a graph: its nodes and edges, as the worker lists them. */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include <stdlib.h>
#include <string.h>

#include "pvgpu_stubs.h"

enum { PAGE = 2048, DATA_PAGE = 512 };

struct list {
	uint32_t *number; /* of nodes; or pairs of them */
	size_t count;     /* numbers */
};

/* All of the graph's nodes, or of its edges; the caller frees l->number. */
static int list_all(const struct graph *g, bool edges, struct list *l)
{
	const uint32_t each = edges ? 2 : 1;
	uint32_t page[PAGE], total = 0, len = 0;
	int r;

	*l = (struct list){NULL, 0};
	do {
		uint32_t *more;
		const uint32_t first = (uint32_t)(l->count / each);

		r = edges ? pvgpu_do_graph_edges(session(), g->o.wire, first, &total, page,
						 sizeof(page), &len)
			  : pvgpu_do_graph_nodes(session(), g->o.wire, first, &total, page,
						 sizeof(page), &len);
		len /= sizeof(page[0]);
		if (r || !len)
			break;
		more = realloc(l->number, (l->count + len) * sizeof(*more));
		if (!more) {
			r = CUDA_ERROR_OUT_OF_MEMORY;
			break;
		}
		memcpy(more + l->count, page, len * sizeof(page[0]));
		l->number = more;
		l->count += len;
	} while (l->count / each < total);
	if (r)
		free(l->number);
	return r;
}

/* As documented: at most *count are written, the rest NULL; without a place, their number. */
static void give(const struct graph *g, const struct list *l, CUgraphNode *out, size_t *count)
{
	for (size_t i = 0; out && i < *count; i++)
		out[i] = i < l->count ? node_handle(g, l->number[i]) : NULL;
	if (!out || *count > l->count)
		*count = l->count;
}

/* How many nodes, or how many of them roots, a graph of its form is known to have; 0: that is not
 * known. */
static size_t count_known(struct graph *g, bool roots)
{
	uint32_t nodes, of_them;
	struct form f;

	if (!graph_form(g, &f) || !form_known(&f, &nodes, &of_them))
		return 0;
	return roots ? of_them : nodes;
}

static void keep_counts(struct graph *g, size_t nodes, size_t roots)
{
	struct form f;

	if (graph_form(g, &f))
		form_keep(&f, (uint32_t)nodes, (uint32_t)roots);
}

/* Of all nodes those that no edge ends at. */
static void keep_roots(struct list *l, const struct list *edges)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->count; i++) {
		bool root = true;

		for (size_t k = 1; k < edges->count && root; k += 2)
			root = edges->number[k] != l->number[i];
		if (root)
			l->number[kept++] = l->number[i];
	}
	l->count = kept;
}

static int list_roots(struct graph *g, struct list *l)
{
	struct list e;
	size_t nodes;
	int r = list_all(g, false, l);

	if (r)
		return r;
	r = list_all(g, true, &e);
	if (r) {
		free(l->number);
		return r;
	}
	nodes = l->count;
	keep_roots(l, &e);
	keep_counts(g, nodes, l->count);
	free(e.number);
	return 0;
}

static int get_nodes(CUgraph graph, CUgraphNode *nodes, size_t *count, bool roots)
{
	struct list l;
	struct graph *g;
	size_t known;
	int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	known = nodes ? 0 : count_known(g, roots);
	if (known) {
		*count = known;
		return CUDA_SUCCESS;
	}
	r = roots ? list_roots(g, &l) : list_all(g, false, &l);
	if (r)
		return r;
	give(g, &l, nodes, count);
	free(l.number);
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
	return get_nodes(graph, nodes, count, false);
}

PUBLIC CUresult cuGraphGetRootNodes(CUgraph graph, CUgraphNode *nodes, size_t *count)
{
	return get_nodes(graph, nodes, count, true);
}

struct edges {
	struct pvgpu_graph_edge *edge;
	size_t count;
};

/* All of the graph's edges with their data; the caller frees e->edge. */
static int list_edges(const struct graph *g, struct edges *e)
{
	struct pvgpu_graph_edge page[DATA_PAGE], *more;
	uint32_t total = 0, len = 0;
	int r;

	*e = (struct edges){NULL, 0};
	do {
		r = pvgpu_do_graph_edges_data(session(), g->o.wire, (uint32_t)e->count, &total,
					      page, sizeof(page), &len);
		len /= sizeof(page[0]);
		if (r || !len)
			break;
		more = realloc(e->edge, (e->count + len) * sizeof(*more));
		if (!more) {
			r = CUDA_ERROR_OUT_OF_MEMORY;
			break;
		}
		memcpy(more + e->count, page, len * sizeof(page[0]));
		e->edge = more;
		e->count += len;
	} while (e->count < total);
	if (r)
		free(e->edge);
	return r;
}

static bool is_usual(const CUgraphEdgeData *e)
{
	return !e->from_port && !e->to_port && !e->type;
}

/* Into the i-th place; without one, data that is not the usual is lost. */
static int give_data(const struct pvgpu_graph_edge *e, CUgraphEdgeData *edges, size_t i)
{
	CUgraphEdgeData data;

	memcpy(&data, e->data, sizeof(data));
	if (edges)
		edges[i] = data;
	return edges || is_usual(&data) ? 0 : CUDA_ERROR_LOSSY_QUERY;
}

PUBLIC CUresult cuGraphGetEdges_v2(CUgraph graph, CUgraphNode *from, CUgraphNode *to,
				   CUgraphEdgeData *edges, size_t *count)
{
	struct edges e;
	struct graph *g;
	int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!count || !from != !to)
		return CUDA_ERROR_INVALID_VALUE;
	r = list_edges(g, &e);
	if (r)
		return r;
	for (size_t i = 0; from && i < *count && i < e.count && !r; i++) {
		from[i] = node_handle(g, e.edge[i].from);
		to[i] = node_handle(g, e.edge[i].to);
		r = give_data(&e.edge[i], edges, i);
	}
	if (!from || *count > e.count)
		*count = e.count;
	free(e.edge);
	return r;
}

PUBLIC CUresult cuGraphGetEdges(CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
	return cuGraphGetEdges_v2(graph, from, to, NULL, count);
}

/* The ends of the node's edges: those before it, or behind it. */
static int neighbours(CUgraphNode node, bool before, CUgraphNode *nodes, CUgraphEdgeData *edges,
		      size_t *count)
{
	struct edges e;
	struct graph *g;
	uint32_t number;
	size_t n = 0;
	int r = guest_enter();

	if (r)
		return r;
	if (!node_find(node, &g, &number) || !count)
		return CUDA_ERROR_INVALID_VALUE;
	r = list_edges(g, &e);
	if (r)
		return r;
	for (size_t i = 0; i < e.count && !r; i++) {
		const struct pvgpu_graph_edge *k = &e.edge[i];

		if ((before ? k->to : k->from) != number)
			continue;
		if (nodes && n < *count) {
			nodes[n] = node_handle(g, before ? k->from : k->to);
			r = give_data(k, edges, n);
		}
		n++;
	}
	for (size_t i = n; nodes && i < *count; i++)
		nodes[i] = NULL;
	if (!nodes || *count > n)
		*count = n;
	free(e.edge);
	return r;
}

PUBLIC CUresult cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode *deps, size_t *count)
{
	return neighbours(node, true, deps, NULL, count);
}

PUBLIC CUresult cuGraphNodeGetDependencies_v2(CUgraphNode node, CUgraphNode *deps,
					      CUgraphEdgeData *edges, size_t *count)
{
	return neighbours(node, true, deps, edges, count);
}

PUBLIC CUresult cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
	return neighbours(node, false, nodes, NULL, count);
}

PUBLIC CUresult cuGraphNodeGetDependentNodes_v2(CUgraphNode node, CUgraphNode *nodes,
						CUgraphEdgeData *edges, size_t *count)
{
	return neighbours(node, false, nodes, edges, count);
}

bool edges_have_data(const CUgraphEdgeData *edges, size_t count)
{
	for (size_t i = 0; edges && i < count; i++) {
		if (!is_usual(&edges[i]))
			return true;
	}
	return false;
}

int edges_check(const CUgraphEdgeData *edges, size_t count)
{
	for (size_t i = 0; edges && i < count; i++) {
		const CUgraphEdgeData *e = &edges[i];

		/* Nodes have no ports to end at; an edge from the programmatic port has its type,
		 * which is of no edge from the usual port. */
		if (e->to_port || e->from_port > CU_GRAPH_KERNEL_NODE_PORT_LAUNCH_ORDER ||
		    e->type > CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC ||
		    (e->from_port == CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC && !e->type) ||
		    (e->type && !e->from_port))
			return CUDA_ERROR_INVALID_VALUE;
	}
	return 0;
}

static int link_plain(struct graph *g, const uint32_t *from, const uint32_t *to, size_t count,
		      bool on)
{
	uint32_t pairs[2 * PVGPU_GRAPH_DEPS_MAX];

	for (size_t i = 0; i < count; i++) {
		pairs[2 * i] = from[i];
		pairs[2 * i + 1] = to[i];
	}
	graph_changes(g);
	return pvgpu_do_graph_link(session(), g->o.wire, on, pairs,
				   (uint32_t)(2 * count * sizeof(pairs[0])));
}

static int link_data(struct graph *g, const uint32_t *from, const uint32_t *to,
		     const CUgraphEdgeData *edges, size_t count, bool on)
{
	struct pvgpu_graph_edge e[DATA_PAGE];

	if (count > DATA_PAGE)
		return CUDA_ERROR_NOT_SUPPORTED;
	for (size_t i = 0; i < count; i++) {
		e[i] = (struct pvgpu_graph_edge){.from = from[i], .to = to[i]};
		memcpy(e[i].data, &edges[i], sizeof(e[i].data));
	}
	graph_changes(g);
	return pvgpu_do_graph_link_data(session(), g->o.wire, on, e,
					(uint32_t)(count * sizeof(e[0])));
}

static int link_nodes(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
		      const CUgraphEdgeData *edges, size_t count, bool on)
{
	uint32_t a[PVGPU_GRAPH_DEPS_MAX], b[PVGPU_GRAPH_DEPS_MAX];
	struct graph *g;
	int r = graph_enter(graph, &g);

	if (!r)
		r = node_numbers(g, from, count, a);
	if (!r)
		r = node_numbers(g, to, count, b);
	if (!r)
		r = edges_check(edges, count);
	if (r || !count)
		return r;
	return edges_have_data(edges, count) ? link_data(g, a, b, edges, count, on)
					     : link_plain(g, a, b, count, on);
}

int edges_add_data(CUgraphNode node, CUgraph graph, const CUgraphNode *deps,
		   const CUgraphEdgeData *edges, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && !r; i++) {
		if (!is_usual(&edges[i]))
			r = link_nodes(graph, &deps[i], &node, &edges[i], 1, true);
	}
	return r;
}

PUBLIC CUresult cuGraphAddDependencies(CUgraph graph, const CUgraphNode *from,
				       const CUgraphNode *to, size_t count)
{
	return link_nodes(graph, from, to, NULL, count, true);
}

PUBLIC CUresult cuGraphAddDependencies_v2(CUgraph graph, const CUgraphNode *from,
					  const CUgraphNode *to, const CUgraphEdgeData *edges,
					  size_t count)
{
	return link_nodes(graph, from, to, edges, count, true);
}

PUBLIC CUresult cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode *from,
					  const CUgraphNode *to, size_t count)
{
	return link_nodes(graph, from, to, NULL, count, false);
}

PUBLIC CUresult cuGraphRemoveDependencies_v2(CUgraph graph, const CUgraphNode *from,
					     const CUgraphNode *to, const CUgraphEdgeData *edges,
					     size_t count)
{
	return link_nodes(graph, from, to, edges, count, false);
}

PUBLIC CUresult cuGraphDestroyNode(CUgraphNode node)
{
	struct graph *g;
	uint32_t number;
	int r = guest_enter();

	if (r)
		return r;
	if (!node_find(node, &g, &number))
		return CUDA_ERROR_INVALID_VALUE;
	if (memory_node_type(g, number, NULL))
		return CUDA_ERROR_NOT_SUPPORTED;
	graph_changes(g);
	r = pvgpu_do_graph_drop(session(), g->o.wire, number);
	if (!r) {
		event_node_drop(g, number);
		paged_drop(g, number);
		held_drop(g, number);
		children_drop(g, number);
	}
	return r;
}
