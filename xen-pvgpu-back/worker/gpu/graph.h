/* SPDX-License-Identifier: MIT */
/* Graphs of the session. Decoding thread, but for what the side lane makes and destroys. */
#ifndef PVGPU_WORKER_GRAPH_H
#define PVGPU_WORKER_GRAPH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "launch.h"
#include "objects.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/far.h"

struct ctx;
struct gpu;
struct mem_ops;

struct graph {
	struct obj o;
	CUgraph far;
	/* By number; NULL: gone. Captured nodes get theirs when the guest asks for them. */
	CUgraphNode *node;
	uint32_t count, room;
	uint32_t *index; /* by hash of the far end's node: its number + 1; a power of two */
	uint32_t slots;
	/* Nodes, those inside of nodes included; kept of the outermost graph, for all inside. */
	uint64_t nodes;
	atomic_uint reads; /* the side lane reads it; see graph_error */
	/* It is inside of the parent's node in_node, and the far end's destroys it with that. */
	struct graph *parent; /* referenced */
	uint32_t in_node;
	bool gone;                        /* destroyed */
	struct graph *children, *sibling; /* those inside that the guest has handles of */
};

/* Bytes that nodes of an instance copy, by the node of the graph that it was made of. */
struct copies {
	struct copy_node {
		CUgraphNode node; /* NULL: none */
		uint64_t bytes;
	} * of;               /* by hash */
	uint32_t count, room; /* room: a power of two */
};

/* The most nodes of all graphs and instances of a session: each takes about a KiB of the worker's
 * memory. */
#define GRAPH_NODES_SESSION (512u << 10)
/* The most graphs inside of each other. */
#define GRAPH_DEPTH_MAX 32u

/* Of a graph and those inside of its nodes. */
struct graph_sum {
	uint64_t nodes;
	uint64_t commands; /* nodes that occupy the GPU */
	uint64_t bytes;    /* that they copy */
	uint64_t waits;    /* for words */
	uint32_t depth;    /* 0: no graph is inside */
};

struct graph_exec {
	struct obj o;
	CUgraphExec far;
	uint64_t charge;
	struct graph_sum sum; /* bytes: at most */
	struct copies copies;
};

/* A node's parameters, as the far end's calls take them. */
struct node_params {
	struct pvgpu_graph_node is;
	CUDA_KERNEL_NODE_PARAMS kernel;
	CUDA_MEMCPY3D copy;
	CUDA_MEMSET_NODE_PARAMS set;
	CUDA_HOST_NODE_PARAMS host;
	struct graph *child;
	struct mem_ops *ops; /* of params_read() until its next call */
	struct args args;
};

/* Of all kinds of objects that hold graphs, at the end of their lives. */
void graph_retire(struct gpu *g, struct obj *o);
void graph_free(struct obj *o);
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
/*
 * graph_sum.c: a graph is `depth` levels inside of another one; copies, or NULL, gets what each
 * node copies. A CUresult.
 */
int graph_sum(const struct far *far, CUgraph gr, uint32_t depth, struct graph_sum *to,
	      struct copies *copies);
/* The same of one node, with the graph inside. */
int graph_node_sum(const struct far *far, CUgraphNode node, struct graph_sum *to);
uint64_t graph_copy_bytes(const CUDA_MEMCPY3D *c);
/* So many nodes more, of the graph (NULL: of an instance) and of the session; a CUresult. */
int graph_nodes_take(struct gpu *g, struct graph *gr, uint64_t n);
void graph_nodes_give(struct gpu *g, struct graph *gr, uint64_t n);
/* The same for a copy of a graph. */
int graph_copy_take(struct gpu *g, struct graph *to, const struct graph *gr, uint64_t *nodes);
/* The same for a node with a copy of the child; *nodes is how many. */
int graph_child_take(struct gpu *g, struct graph *gr, const struct graph *child, uint64_t *nodes);
/* Count the nodes that a capture has made. */
void graph_recount(struct gpu *g, struct graph *gr);
/* The instance's node copies so much from here on. */
void graph_exec_copies(struct graph_exec *x, CUgraphNode node, uint64_t bytes);
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
/* Of a node of memory operations, as the far end's calls take it. */
CUDA_BATCH_MEM_OP_NODE_PARAMS mem_node(const struct ctx *c, const struct node_params *p);
/* The other way round, for a node of the far end's; *params is of g->scratch. */
int params_write(struct gpu *g, CUgraphNode node, struct pvgpu_graph_node *is, uint32_t *params);

#endif
