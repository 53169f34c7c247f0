/* SPDX-License-Identifier: MIT */
/* The common part of nodes of all kinds: nodes.c. Functions that return int return a CUresult. */
#ifndef PVGPU_CUDA_GRAPHS_NODE_H
#define PVGPU_CUDA_GRAPHS_NODE_H

#include "cuda/core/public.h"

#include <stddef.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct ctx;
struct graph;
struct node_cache;

/* A node as it travels. */
struct wire_node {
	struct pvgpu_graph_node is;
	uint32_t len; /* of params */
	_Alignas(8) char params[PVGPU_PARAMS_MAX];
};

struct addition { /* where a node is to be added */
	struct ctx *ctx;
	struct graph *g;
	uint32_t deps[PVGPU_GRAPH_DEPS_MAX], count;
};

int node_place(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
	       struct addition *p);
int node_add(CUgraphNode *node, const struct addition *p, const struct wire_node *n);
int node_set(CUgraphNode node, const struct wire_node *n);
/* In the order of launches; what the worker finds wrong is the context's deferred error. */
int node_set_exec(CUgraphExec exec, CUgraphNode node, const struct wire_node *n);
/* The current context, for parameters that are to be checked in it. */
int node_current(CUgraphNode node, struct ctx **c);
/* Describe the node, which must be of that type; out: the place that the application gave. */
int node_get(CUgraphNode node, CUgraphNodeType type, const void *out, struct graph **g,
	     uint32_t *number, struct wire_node *n);
/* Room for what is given out of a node, packed NULL: there is no memory. Under the graph's lock. */
struct node_cache *node_cache(struct graph *g, uint32_t number, size_t bytes);

#endif
