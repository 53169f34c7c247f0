/* SPDX-License-Identifier: MIT */
/* Graphs of the session. Decoding thread, but for what the side lane makes and destroys. */
#ifndef PVGPU_WORKER_GRAPH_H
#define PVGPU_WORKER_GRAPH_H

#include "state.h"

struct graph {
	struct obj o;
	CUgraph far;
	/* By number; NULL: gone. Captured nodes get theirs when the guest asks for them. */
	CUgraphNode *node;
	uint32_t count, room;
	uint32_t *index; /* by hash of the far end's node: its number + 1; a power of two */
	uint32_t slots;
	uint64_t charge;
	atomic_uint reads; /* the side lane reads it; see graph_error */
	/* It is inside of the parent's node in_node, and the far end's destroys it with that. */
	struct graph *parent; /* referenced */
	uint32_t in_node;
	bool gone;                        /* destroyed */
	struct graph *children, *sibling; /* those inside that the guest has handles of */
};

struct graph_exec {
	struct obj o;
	CUgraphExec far;
	uint64_t charge;
};

/* A node's parameters, as the far end's calls take them. */
struct node_params {
	struct pvgpu_graph_node is;
	CUDA_KERNEL_NODE_PARAMS kernel;
	CUDA_MEMCPY3D copy;
	CUDA_MEMSET_NODE_PARAMS set;
	CUDA_HOST_NODE_PARAMS host;
	struct graph *child;
	struct args args;
};

/* Does the far end have graphs? */
bool far_graphs(const struct far *far);
/* obj_error of a graph; one inside of a node goes with the node. */
int graph_alive(struct graph *gr);
/* The same, or CUDA_ERROR_ILLEGAL_STATE while the side lane reads the graph, or one around it. */
int graph_error(struct graph *gr);
/* graph_error, and the context is entered. */
int graph_usable(struct graph *gr, struct ctx *ctx);
/* The side lane reads it from here on, or (n -1) no more. */
void graph_reads(struct graph *gr, int n);
/* graph_child.c */
void graph_child_forget(struct graph *gr);
/* The far end's node of a number; NULL: there is none. */
CUgraphNode graph_node(const struct graph *gr, uint32_t number);
/* Its number, given when it has none; a CUresult. */
int graph_number(struct graph *gr, CUgraphNode node, uint32_t *number);
/* Numbers of nodes in a record; a CUresult. */
int graph_deps(const struct graph *gr, const void *bytes, uint32_t len, CUgraphNode *to,
	       uint32_t *count);
/* graph_params.c: read what the guest says, checking every address and handle; a CUresult. */
int params_read(struct gpu *g, struct ctx *c, const void *what, uint32_t what_len,
		const void *params, uint32_t params_len, struct node_params *p);
/* The other way round, for a node of the far end's; *params is of g->scratch. */
int params_write(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *is, uint32_t *params);

#endif
