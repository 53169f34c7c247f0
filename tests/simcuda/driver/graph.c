/* SPDX-License-Identifier: MIT */
/* Graphs: nodes, edges, copies, launches. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

static struct pool node_pool = POOL(struct sim_node);
static struct pool graph_pool = POOL(struct sim_graph);
pthread_mutex_t graph_lock = PTHREAD_MUTEX_INITIALIZER;

CUresult graph_get(CUgraph handle, struct sim_graph **out)
{
	*out = (struct sim_graph *)handle;
	return handle && pool_live(&graph_pool, *out) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult node_get(CUgraphNode handle, struct sim_node **out)
{
	*out = (struct sim_node *)handle;
	return handle && pool_live(&node_pool, *out) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

struct sim_graph *graph_new(void)
{
	return pool_new(&graph_pool);
}

struct op *op_copy(const struct op *op)
{
	struct op *copy = malloc(sizeof(*copy) + op->extra);

	if (!copy)
		return NULL;
	memcpy(copy, op, sizeof(*op) + op->extra);
	if (copy->kind == OP_KERNEL)
		copy->kernel.launch.params = copy->params;
	return copy;
}

static bool node_append(struct sim_graph *g, struct sim_node *n)
{
	struct sim_node **more = g->node;

	if (g->nodes == g->room) {
		more = realloc(g->node, (g->room ? 2 * g->room : 16) * sizeof(*more));
		if (!more)
			return false;
		g->room = g->room ? 2 * g->room : 16;
		g->node = more;
	}
	g->node[g->nodes++] = n;
	return true;
}

bool node_depend(struct sim_node *n, struct sim_node *on)
{
	struct sim_node **more;

	for (uint32_t i = 0; i < n->deps; i++)
		if (n->dep[i] == on)
			return true;
	if (n->deps == n->dep_room) {
		more = realloc(n->dep, (n->dep_room + 4) * sizeof(*more));
		if (!more)
			return false;
		n->dep = more;
		n->dep_room += 4;
	}
	n->dep[n->deps++] = on;
	return true;
}

static void node_free(struct sim_node *n)
{
	free(n->op);
	free(n->dep);
	free(n->params);
	free(n->attrs);
	free(n->memop);
	if (n->memory)
		graph_memory_put(n->memory);
	if (n->child) {
		n->child->borrowed = false;
		graph_delete(n->child);
	}
	pool_free(&node_pool, n);
}

struct sim_node *node_new(struct sim_graph *g, CUgraphNodeType type, struct op *op,
			  struct sim_node *const *dep, size_t deps)
{
	struct sim_node *n = pool_new(&node_pool);
	bool ok = n != NULL;

	if (n) {
		n->graph = g;
		n->type = type;
	}
	for (size_t i = 0; i < deps && ok; i++)
		ok = node_depend(n, dep[i]);
	if (!ok || !node_append(g, n)) {
		if (n)
			node_free(n);
		return NULL;
	}
	n->op = op;
	return n;
}

void node_delete(struct sim_node *n)
{
	struct sim_graph *g = n->graph;
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->nodes; i++) {
		struct sim_node *m = g->node[i];
		uint32_t kept = 0;

		if (m == n)
			at = i;
		for (uint32_t k = 0; k < m->deps; k++)
			if (m->dep[k] != n)
				m->dep[kept++] = m->dep[k];
		m->deps = kept;
	}
	memmove(&g->node[at], &g->node[at + 1], (g->nodes - at - 1) * sizeof(*g->node));
	g->nodes--;
	node_free(n);
}

void graph_delete(struct sim_graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++)
		node_free(g->node[i]);
	free(g->node);
	users_release(g->users);
	pool_free(&graph_pool, g);
}

static struct sim_node *node_clone(struct sim_graph *to, struct sim_node *n)
{
	struct op *op = n->op ? op_copy(n->op) : NULL;
	struct sim_node *c = n->op && !op ? NULL : node_new(to, n->type, op, NULL, 0);

	if (!c) {
		free(op);
		return NULL;
	}
	c->event = n->event;
	c->off = n->off;
	if (!attrs_copy(n, c) || !memops_copy(n, c))
		return NULL;
	c->memory = n->memory ? graph_memory_ref(n->memory) : NULL;
	c->freed = n->freed;
	c->clone_of = n;
	if (n->child) {
		c->child = graph_clone(n->child);
		if (!c->child)
			return NULL;
		c->child->borrowed = true;
	}
	return c;
}

/* Nodes keep their places. */
struct sim_graph *graph_clone(const struct sim_graph *g)
{
	struct sim_graph *to = graph_new();
	bool ok = to && users_copy(g->users, &to->users);

	for (uint32_t i = 0; i < g->nodes && ok; i++) {
		g->node[i]->mark = i;
		ok = node_clone(to, g->node[i]) != NULL;
	}
	for (uint32_t i = 0; i < g->nodes && ok; i++)
		for (uint32_t k = 0; k < g->node[i]->deps && ok; k++)
			ok = node_depend(to->node[i], to->node[g->node[i]->dep[k]->mark]);
	if (to && !ok) {
		graph_delete(to);
		to = NULL;
	}
	return to;
}

bool graph_sort(struct sim_graph *g)
{
	struct sim_node **sorted = malloc((g->nodes + 1) * sizeof(*sorted));
	uint32_t n = 0, before;

	if (!sorted)
		return false;
	for (uint32_t i = 0; i < g->nodes; i++)
		g->node[i]->mark = 0;
	do {
		before = n;
		for (uint32_t i = 0; i < g->nodes; i++) {
			struct sim_node *m = g->node[i];
			bool ready = !m->mark;

			for (uint32_t k = 0; k < m->deps && ready; k++)
				ready = m->dep[k]->mark;
			if (!ready)
				continue;
			m->mark = 1;
			sorted[n++] = m;
		}
	} while (n > before && n < g->nodes);
	if (n == g->nodes && n)
		memcpy(g->node, sorted, n * sizeof(*sorted));
	free(sorted);
	return n == g->nodes;
}

CUresult graph_run(struct sim_graph *g, struct sim_stream *s)
{
	for (uint32_t i = 0; i < g->nodes; i++) {
		struct sim_node *n = g->node[i];
		struct op *op;

		if (n->type == CU_GRAPH_NODE_TYPE_GRAPH)
			TRY(graph_run(n->child, s));
		if (n->type == CU_GRAPH_NODE_TYPE_EVENT_RECORD)
			TRY(event_record_node(n->event, s));
		if (n->type == CU_GRAPH_NODE_TYPE_WAIT_EVENT)
			TRY(event_wait_node(n->event, s));
		if (n->type == CU_GRAPH_NODE_TYPE_BATCH_MEM_OP)
			TRY(memops_run(s, n->memop, n->memops, true));
		if (!n->op || n->off)
			continue;
		op = op_copy(n->op);
		if (!op)
			return CUDA_ERROR_OUT_OF_MEMORY;
		op->stream = s;
		op->of_graph = true;
		exec_push(op, NULL, false);
	}
	return CUDA_SUCCESS;
}
