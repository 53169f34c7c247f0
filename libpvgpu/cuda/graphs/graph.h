/* SPDX-License-Identifier: MIT */
/*
 * Graphs of the guest. The worker has the nodes, numbered within their graph; a CUgraphNode here is
 * the graph's place and generation, and that number.
 */
#ifndef PVGPU_CUDA_GRAPH_H
#define PVGPU_CUDA_GRAPH_H

#include "cuda/core/guest.h"

/* Parameters of a kernel's node, as they were given out. */
struct node_cache {
	void **pointers;
	char *packed;
};

/* References to a user object. */
struct user_object;
struct held {
	struct held *next;
	struct user_object *object;
	unsigned int count;
};

struct graph *graph_find(CUgraph h);
struct graph_exec *exec_find(CUgraphExec h);
/* An empty graph, of the worker's, too; NULL: no memory. */
struct graph *graph_new(void);
/* The worker's goes, too. */
void graph_drop(struct graph *g);
/* The number of the node and its graph; false: no such graph. Whether the node is there is known to
 * the worker. */
bool node_find(CUgraphNode h, struct graph **g, uint32_t *node);
CUgraphNode node_handle(const struct graph *g, uint32_t node);
/* Numbers of nodes of this graph, up to PVGPU_GRAPH_DEPS_MAX; a CUresult. */
int node_numbers(const struct graph *g, const CUgraphNode *nodes, size_t count, uint32_t *out);
/* A session, and a context for what the worker does with the graph. */
int graph_enter(CUgraph h, struct graph **g);
int node_enter(CUgraphNode h, struct graph **g, uint32_t *node, struct ctx **c);

/* user.c */
void held_release(struct held *h);
/* An object with this one reference, for destroy() to be called with. Under the graph's lock. */
bool held_add(struct held **list, CUhostFn destroy, void *what);
/* The same objects once more; NULL when there are none. */
struct held *held_copy(const struct held *h);

/* capture.c: the graph that t is captured into; NULL: its capture is invalid. */
struct graph *capture_graph(const struct target *t);

/* memory.c: is the node a memory node, and which? type may be NULL. */
bool memory_node_type(struct graph *g, uint32_t number, CUgraphNodeType *type);
void memory_nodes_free(struct graph *g);

#endif
