/* SPDX-License-Identifier: MIT */
/*
 * Copies of graphs from and to memory that the worker does not reach: pageable.c; their nodes:
 * paged_nodes.c. Functions that return int return a CUresult.
 */
#ifndef PVGPU_CUDA_GRAPHS_PAGEABLE_H
#define PVGPU_CUDA_GRAPHS_PAGEABLE_H

#include "cuda/copy/box.h"
#include "cuda/graphs/graph.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pvgpu_graph_node;

/* A copy between places that the worker reaches, as it travels. */
struct pvgpu_graph_node copy_to_wire(const struct box *b);
/* Does the worker reach both ends at any time? */
bool box_is_reached(const struct box *b);

enum way { TO_DEVICE, FROM_DEVICE, ON_HOST, ON_DEVICE };

/* A copy, and the graph that the far end clones into each node that makes this copy. */
struct paged {
	struct paged *next; /* of the unused ones */
	struct ctx *ctx;
	enum way way;
	struct graph *inside;
	uint64_t function;
	uint32_t copy; /* number of that node */
	struct box box;
	char *area;
	uint64_t room;           /* its bytes; 0: there is none */
	unsigned int references; /* under paged_lock */
};

/* A node; in lists, each with a reference. */
struct paged_node {
	struct paged_node *next;
	uint64_t graph;  /* the wire handle of its graph */
	uint32_t number; /* in it; UINT32_MAX: not known */
	bool inside;     /* the node has a graph without a handle inside, and that has the copy */
	struct paged *is;
	bool told;       /* of an instance: the far end has let it take over another one's graph */
	uint64_t place;  /* of those that a launch may still use: done.h */
	struct ctx *ctx; /* of that launch */
};

extern pthread_mutex_t paged_lock; /* of the lists, too */

enum way way_of(const struct box *b);
/* With one reference. */
int paged_make(struct ctx *c, const struct box *b, struct paged **out);
void paged_put(struct paged *p);
/* The instance does not have these any more. */
void paged_leave(const struct graph_exec *x, struct paged_node *list);
/* The graph inside of a node makes the copy p from here on. */
int paged_change(const struct ctx *c, const struct graph *inside, const struct paged *p);
/* The copy that the graph inside of a node makes; NULL: it is another graph. */
struct paged *paged_of(const struct ctx *c, const struct graph *inside);

/* A node that copies the box, behind others. */
int paged_add(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count,
	      const struct box *b, uint32_t *number);
/* Such a node copies another box from here on, in its graph or in an instance. */
int paged_set(struct ctx *c, struct graph *g, uint32_t number, const struct box *b);
int paged_set_exec(struct graph_exec *x, struct graph *g, uint32_t number, const struct box *b);
/* The node's box; false: the node is another. */
bool paged_box(struct graph *g, uint32_t number, struct box *b);

#endif
