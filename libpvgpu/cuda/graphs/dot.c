/* SPDX-License-Identifier: MIT */
/* A graph as a text of Graphviz, written of what the getters say. */
#include "cuda/core/public.h"
#include "cuda/graphs/graph.h"

#include <stdio.h>
#include <stdlib.h>

enum { FLAGS = 2 * CU_GRAPH_DEBUG_DOT_FLAGS_CONDITIONAL_NODE_PARAMS - 1 };

struct dot {
	FILE *f;
	unsigned int graphs, flags;
};

static bool shows(const struct dot *d, unsigned int flag)
{
	return d->flags & (flag | CU_GRAPH_DEBUG_DOT_FLAGS_VERBOSE);
}

static void print_kernel(const struct dot *d, CUgraphNode node)
{
	CUDA_KERNEL_NODE_PARAMS p;
	const char *name = NULL;

	/* A library's kernel in the backend has no name here. */
	if (cuGraphKernelNodeGetParams_v2(node, &p))
		return;
	if (!cuFuncGetName(&name, p.func) && name)
		fprintf(d->f, "\\n%s", name);
	if (shows(d, CU_GRAPH_DEBUG_DOT_FLAGS_KERNEL_NODE_PARAMS))
		fprintf(d->f, "\\n{%u,%u,%u} x {%u,%u,%u}, %u bytes", p.gridDimX, p.gridDimY,
			p.gridDimZ, p.blockDimX, p.blockDimY, p.blockDimZ, p.sharedMemBytes);
}

static void print_copy(const struct dot *d, CUgraphNode node)
{
	CUDA_MEMCPY3D p;

	if (!shows(d, CU_GRAPH_DEBUG_DOT_FLAGS_MEMCPY_NODE_PARAMS) ||
	    cuGraphMemcpyNodeGetParams(node, &p))
		return;
	fprintf(d->f, "\\n%s to %s, %zu x %zu x %zu bytes",
		p.srcMemoryType == CU_MEMORYTYPE_HOST ? "host" : "device",
		p.dstMemoryType == CU_MEMORYTYPE_HOST ? "host" : "device", p.WidthInBytes, p.Height,
		p.Depth);
}

static void print_fill(const struct dot *d, CUgraphNode node)
{
	CUDA_MEMSET_NODE_PARAMS p;

	if (shows(d, CU_GRAPH_DEBUG_DOT_FLAGS_MEMSET_NODE_PARAMS) &&
	    !cuGraphMemsetNodeGetParams(node, &p))
		fprintf(d->f, "\\n%#x, %zu x %zu of %u bytes", p.value, p.width, p.height,
			p.elementSize);
}

static int print_node(const struct dot *d, CUgraphNode node, unsigned int graph, size_t number,
		      CUgraphNodeType *type)
{
	static const char *const titles[] = {"KERNEL", "MEMCPY",     "MEMSET",     "HOST",
					     "GRAPH",  "EMPTY",      "WAIT_EVENT", "EVENT_RECORD",
					     NULL,     NULL,         "MEM_ALLOC",  "MEM_FREE",
					     NULL,     "CONDITIONAL"};
	const int r = cuGraphNodeGetType(node, type);
	const unsigned int t = r ? 0 : (unsigned int)*type;

	if (r)
		return r;
	fprintf(d->f, "\"graph_%u_node_%zu\"[label=\"%zu\\n%s", graph, number, number,
		t < sizeof(titles) / sizeof(titles[0]) && titles[t] ? titles[t] : "OTHER");
	if (t == CU_GRAPH_NODE_TYPE_KERNEL)
		print_kernel(d, node);
	else if (t == CU_GRAPH_NODE_TYPE_MEMCPY)
		print_copy(d, node);
	else if (t == CU_GRAPH_NODE_TYPE_MEMSET)
		print_fill(d, node);
	if (d->flags & CU_GRAPH_DEBUG_DOT_FLAGS_HANDLES)
		fprintf(d->f, "\\n%p", (void *)node);
	fputs("\"];\n", d->f);
	return 0;
}

static size_t place_of(CUgraphNode node, const CUgraphNode *nodes, size_t n)
{
	size_t i = 0;

	while (i < n && nodes[i] != node)
		i++;
	return i;
}

static int print_edges(const struct dot *d, CUgraph graph, unsigned int id,
		       const CUgraphNode *nodes, size_t n)
{
	CUgraphNode *ends;
	size_t count = 0;
	int r = (int)cuGraphGetEdges(graph, NULL, NULL, &count);

	if (r)
		return r;
	ends = calloc(2 * count + 1, sizeof(CUgraphNode));
	if (!ends)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = (int)cuGraphGetEdges(graph, ends, ends + count, &count);
	for (size_t i = 0; i < count && !r; i++)
		fprintf(d->f, "\"graph_%u_node_%zu\" -> \"graph_%u_node_%zu\";\n", id,
			place_of(ends[i], nodes, n), id, place_of(ends[count + i], nodes, n));
	free(ends);
	return r;
}

static int print_graph(struct dot *d, CUgraph graph);

static int print_nodes(struct dot *d, CUgraph graph, unsigned int id, const CUgraphNode *nodes,
		       size_t n)
{
	CUgraphNodeType type;
	CUgraph inside;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = print_node(d, nodes[i], id, i, &type);
	if (!r)
		r = print_edges(d, graph, id, nodes, n);
	for (size_t i = 0; i < n && !r; i++) {
		r = (int)cuGraphNodeGetType(nodes[i], &type);
		/* One with nodes of events cannot be looked into. */
		if (!r && type == CU_GRAPH_NODE_TYPE_GRAPH &&
		    !cuGraphChildGraphNodeGetGraph(nodes[i], &inside))
			r = print_graph(d, inside);
		for (uint32_t k = 0; !r && type == CU_GRAPH_NODE_TYPE_CONDITIONAL &&
				     (inside = graph_body(nodes[i], k));
		     k++)
			r = print_graph(d, inside);
	}
	return r;
}

static int print_graph(struct dot *d, CUgraph graph)
{
	const unsigned int id = d->graphs++;
	CUgraphNode *nodes;
	size_t n = 0;
	int r = (int)cuGraphGetNodes(graph, NULL, &n);

	if (r)
		return r;
	nodes = calloc(n + 1, sizeof(CUgraphNode));
	if (!nodes)
		return CUDA_ERROR_OUT_OF_MEMORY;
	fprintf(d->f, "subgraph cluster_%u {\nlabel=\"graph_%u\" graph[style=\"dashed\"];\n", id,
		id);
	r = (int)cuGraphGetNodes(graph, nodes, &n);
	if (!r)
		r = print_nodes(d, graph, id, nodes, n);
	fputs("}\n", d->f);
	free(nodes);
	return r;
}

PUBLIC CUresult cuGraphDebugDotPrint(CUgraph graph, const char *path, unsigned int flags)
{
	struct dot d = {.graphs = 1, .flags = flags};
	struct graph *g;
	bool written;
	int r = graph_enter(graph, &g);

	if (r)
		return r;
	if (!path || flags & ~(unsigned int)FLAGS)
		return CUDA_ERROR_INVALID_VALUE;
	d.f = fopen(path, "we");
	if (!d.f)
		return CUDA_ERROR_OPERATING_SYSTEM;
	fputs("digraph dot {\n", d.f);
	r = print_graph(&d, graph);
	fputs("}\n", d.f);
	written = !ferror(d.f);
	if (fclose(d.f) || !written)
		return CUDA_ERROR_OPERATING_SYSTEM;
	return r;
}
