/* SPDX-License-Identifier: MIT */
/* Graphs inside of graphs, and what a graph looks like. */
#include <stdio.h>

#include "tests/simcuda/driver/graph.h"

API(cuGraphChildGraphNodeGetGraph, CUgraphNode node, CUgraph *out)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (n->type != CU_GRAPH_NODE_TYPE_GRAPH || !out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUgraph)n->child;
	return CUDA_SUCCESS;
}

API(cuGraphExecChildGraphNodeSetParams, CUgraphExec exec, CUgraphNode node, CUgraph child)
{
	struct user_ref *users = NULL;
	struct sim_graph *g, *copy;
	struct sim_exec *x;
	struct sim_node *n;

	ENTER();
	TRY(exec_get(exec, &x));
	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_GRAPH, &n));
	TRY(graph_get(child, &g));
	copy = graph_clone(g);
	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	if (!graph_sort(copy) || graph_compare(n->child, copy)) {
		graph_delete(copy);
		return CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE;
	}
	users_take(n->child, &users);
	users_release_behind(users, x->last);
	graph_delete(n->child);
	n->child = copy;
	copy->parent = n->graph;
	return CUDA_SUCCESS;
}

/* ---- as a text of Graphviz ---- */

static const char *title(const struct sim_node *n)
{
	static const char *const titles[] = {"KERNEL", "MEMCPY",     "MEMSET",     "HOST",
					     "GRAPH",  "EMPTY",      "WAIT_EVENT", "EVENT_RECORD",
					     "",       "",           "MEM_ALLOC",  "MEM_FREE",
					     "MEM_OP", "CONDITIONAL"};

	return titles[n->type];
}

static void print(FILE *f, struct sim_graph *g, unsigned int *graphs)
{
	const unsigned int id = (*graphs)++;

	fprintf(f, "subgraph cluster_%u {\nlabel=\"graph_%u\" graph[style=\"dashed\"];\n", id, id);
	for (uint32_t i = 0; i < g->nodes; i++) {
		const struct sim_node *n = g->node[i];
		const char *name = "";

		g->node[i]->mark = i;
		if (n->type == CU_GRAPH_NODE_TYPE_KERNEL)
			name = n->op->kernel.launch.kernel->name;
		fprintf(f, "\"graph_%u_node_%u\"[label=\"%u\\n%s%s%s\"];\n", id, i, i, title(n),
			*name ? "\\n" : "", name);
	}
	for (uint32_t i = 0; i < g->nodes; i++) {
		for (uint32_t k = 0; k < g->node[i]->deps; k++)
			fprintf(f, "\"graph_%u_node_%u\" -> \"graph_%u_node_%u\";\n", id,
				g->node[i]->dep[k]->mark, id, i);
	}
	for (uint32_t i = 0; i < g->nodes; i++) {
		if (g->node[i]->child)
			print(f, g->node[i]->child, graphs);
		for (uint32_t k = 0; k < g->node[i]->bodies; k++)
			print(f, g->node[i]->body[k], graphs);
	}
	fputs("}\n", f);
}

API(cuGraphDebugDotPrint, CUgraph graph, const char *path, unsigned int flags)
{
	unsigned int graphs = 1;
	struct sim_graph *g;
	bool written;
	FILE *f;

	ENTER();
	TRY(graph_get(graph, &g));
	if (!path || flags >= 2 * CU_GRAPH_DEBUG_DOT_FLAGS_CONDITIONAL_NODE_PARAMS)
		return CUDA_ERROR_INVALID_VALUE;
	f = fopen(path, "we");
	if (!f)
		return CUDA_ERROR_OPERATING_SYSTEM;
	fputs("digraph dot {\n", f);
	print(f, g, &graphs);
	fputs("}\n", f);
	written = !ferror(f);
	return fclose(f) || !written ? CUDA_ERROR_OPERATING_SYSTEM : CUDA_SUCCESS;
}
