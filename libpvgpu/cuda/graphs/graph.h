/* SPDX-License-Identifier: MIT */
/*
 * Graphs of the guest. The worker has the nodes, numbered within their graph; a CUgraphNode here is
 * the graph's place and generation, and that number.
 */
#ifndef PVGPU_CUDA_GRAPH_H
#define PVGPU_CUDA_GRAPH_H

#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/graphs/forms.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pvgpu_wire.h"

struct bodies;
struct ctx;
struct event_node;
struct flight;
struct mem_node;
struct paged_node;
struct stream;
struct target;

/* Parameters of a kernel's node, as they were given out. */
struct node_cache {
	void **pointers;
	char *packed;
};

/* Of the things that an instance gives up while it may run, memory goes at once, since the far end
 * frees it behind the work under way; a host function when its launches are known to have ended;
 * the program's object, for whose end the program may wait, when they have. */
enum held_kind { HELD_MEMORY, HELD_HOST, HELD_USER };

/* References to a user object, or to one of this library's own. */
struct user_object;
struct held {
	struct held *next;
	struct user_object *object;
	unsigned int count;
	/* Those of this node, or of the graph inside of it: the wire handle of the node's graph.
	 * 0: they are the graph's own. */
	uint64_t graph;
	uint32_t node;
};

struct graph {
	struct object o;
	CUgraph clone_of;
	_Atomic uint64_t changes;
	struct form form; /* that it had at so many changes; under lock */
	uint64_t formed;
	uint32_t hosts; /* host functions that a launch calls */
	pthread_mutex_t lock;
	struct node_cache *cache; /* by node: what getters gave out; under lock */
	uint32_t cached;
	struct held *held;         /* user objects; under lock */
	struct mem_node *memory;   /* memory nodes; under lock */
	struct event_node *events; /* nodes of events; under lock */
	struct paged_node *paged;  /* pageable.c has the lock */
	/* It is the one inside of a node of this graph; NULL: it stands by itself. */
	struct graph *parent;
	uint32_t in_node;
	struct graph *children, *sibling; /* those inside that were asked for; under lock */
	struct bodies *bodies;            /* of conditional nodes; under lock */
};

struct graph_exec {
	struct object o;
	uint32_t hosts;
	uint64_t flags;
	struct held *held;
	bool users;            /* some are the program's */
	struct flight *flight; /* its launches, when it has such; NULL: none yet */
	bool memory;           /* it has memory nodes */
	struct event_node *events;
	struct paged_node *paged;
	uint64_t place; /* done.h: of the last launch; 0: none. Kept where it has paged nodes, or
			 * holds something */
};

struct graph *graph_find(CUgraph h);
struct graph_exec *exec_find(CUgraphExec h);
/* An empty graph, of the worker's, too; a CUresult. */
int graph_new(struct graph **out);
/* Not known to the worker yet. */
struct graph *graph_object(void);
/* Its launches call n more host functions, and so do those of the graphs around it. */
void graph_hosts(struct graph *g, uint32_t n);
/* The graph, and so those around it, are about to change. */
void graph_changes(struct graph *g);
/* It has this form from here on, until it changes. */
void graph_forms(struct graph *g, const struct form *f);
/* Its form; false: that is not known. */
bool graph_form(struct graph *g, struct form *f);
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

/* edges.c: is their data such as edges can have? A CUresult. */
int edges_check(const CUgraphEdgeData *edges, size_t count);
bool edges_have_data(const CUgraphEdgeData *edges, size_t count);
/* Those of these edges to the node that have data; a CUresult. */
int edges_add_data(CUgraphNode node, CUgraph graph, const CUgraphNode *deps,
		   const CUgraphEdgeData *edges, size_t count);

/* child.c: handles of graphs inside of g go; of one node, or (CHILDREN_ALL) of all. */
#define CHILDREN_ALL UINT32_MAX
/* This graph is the one inside of the node from here on. */
void child_adopt(struct graph *g, uint32_t number, struct graph *child);
/* conditional.c: a node with bodies, which params gets; a CUresult. */
int graph_add_conditional(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
			  CUDA_CONDITIONAL_NODE_PARAMS *params);
/* The body of a conditional node; NULL: it has not so many. */
CUgraph graph_body(CUgraphNode node, uint32_t number);
/* Of one node, or (CHILDREN_ALL) of all. */
void bodies_drop(struct graph *g, uint32_t number);
/* nodes.c: a node with this graph inside, which is the node's then; a CUresult. */
int graph_move(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
	       CUgraph child);
void children_drop(struct graph *g, uint32_t number);
/* The graph inside of a node, which is asked for once. */
int child_graph(struct ctx *c, struct graph *g, uint32_t number, struct graph **child);

/* user.c */
void held_release(struct held *h);
/* An object with this one reference, for destroy() to be called with. Under the graph's lock. */
struct held_add {
	enum held_kind kind;
	CUhostFn destroy;
	void *what;
	uint64_t graph; /* as in struct held */
	uint32_t node;
};
bool held_add(struct held **list, const struct held_add *add);
/* All that the graph holds once more, with the graphs inside of its nodes. False: no memory. */
bool held_of_graph(struct graph *g, struct held **to);
/* All that the child holds once more, for a node of g with a copy of it inside. */
bool held_of_child(struct graph *child, const struct graph *g, uint32_t node, struct held **to);
void held_join(struct held **list, struct held *more);
/* They are of a clone. */
void held_rename(struct held *list, const struct graph *g);
/* Those of the node leave the list. */
struct held *held_take(struct held **list, const struct graph *g, uint32_t node);
struct held *held_take_kind(struct held **list, enum held_kind kind);
bool held_has(const struct held *list, enum held_kind kind);
/* The graph inside of the node has a handle from here on. */
void held_give_child(struct graph *g, uint32_t node, struct graph *child);
/* The node goes. */
void held_drop(struct graph *g, uint32_t node);

/* nodes.c: the node, or (HELD_OF_GRAPH) the graph itself, has this host function from here on. */
#define HELD_OF_GRAPH UINT32_MAX
bool host_hold(struct graph *g, uint32_t node, uint64_t id);

/* retain.c: around a launch; CUresults. */
int exec_launches(struct graph_exec *x, const struct target *t);
int exec_launched(struct graph_exec *x, const struct target *t);
/* The instance holds these. */
void exec_hold(struct graph_exec *x, struct held *list);
/* These, which it held until now, are released when its launches have ended. */
void exec_let_go(struct graph_exec *x, struct held *list);
/* The node of g holds these in the instance, in place of others. */
void exec_hold_node(struct graph_exec *x, const struct graph *g, uint32_t node, struct held *list);
void exec_forget_flight(struct graph_exec *x);

/* capture.c: the capture that the stream takes part in; false: in none. */
struct capture_state {
	uint64_t id;
	CUgraph graph;
	bool invalid;
};
bool capture_state(struct stream *s, struct capture_state *is);
/* The legacy stream is asked about: captures that it would wait for become invalid. */
int capture_implied(const struct ctx *ctx);
/* The graph that t is captured into; NULL: its capture is invalid. */
struct graph *capture_graph(const struct target *t);
/* The nodes of it that t's next one will depend on; a CUresult. */
int capture_deps(const struct target *t, const struct graph *g,
		 uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], uint32_t *count);
/* flags: CUstreamUpdateCaptureDependencies_flags. */
int capture_set_deps(const struct target *t, const struct graph *g, unsigned int flags,
		     const uint32_t *numbers, uint32_t count);

/* memory.c: is the node a memory node, and which? type may be NULL. */
bool memory_node_type(struct graph *g, uint32_t number, CUgraphNodeType *type);
void memory_nodes_free(struct graph *g);
int graph_add_empty(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count,
		    uint32_t *number);

/* events.c: is the node one of events, and which? */
bool event_node_type(struct graph *g, uint32_t number, CUgraphNodeType *type);
void event_node_drop(struct graph *g, uint32_t number);
void event_nodes_free(struct event_node *list);
/* Into a clone or an instance; false: no memory, and *to has a part. */
bool event_nodes_copy(struct graph *g, struct event_node **to);
/* Are some of them nodes of graphs inside? */
bool event_nodes_inside(const struct event_node *list);
/* As nodes of a child. */
bool event_nodes_adopt(struct graph *g, const struct event_node *child);
/* The instance has the graph's events from here on; false: they are other nodes. */
bool event_nodes_update(struct graph_exec *x, struct graph *g, bool try);
/* Around a launch. */
int event_nodes_before(const struct event_node *list, const struct target *t);
int event_nodes_behind(const struct event_node *list, const struct target *t);

/* pageable.c: is the node a copy from or to memory that the worker does not reach? */
bool paged_is(struct graph *g, uint32_t number);
/* The node goes; the graph does. */
void paged_drop(struct graph *g, uint32_t number);
void paged_free(struct graph *g);
/* Into a clone, whose handle it gets; into an instance. False: no memory. */
bool paged_clone(const struct graph *g, struct graph *to);
bool paged_instantiate(const struct graph *g, struct paged_node **to);
/* g has a node with such a graph inside, which keeps its handle or has none. */
bool paged_adopt(struct graph *g, uint32_t number, const struct graph *child, bool moved);
/* The copies of a graph that a node is to have inside in an instance: a list for paged_replace(),
 * when the instance has taken the graph over. */
bool paged_list(const struct graph *child, const struct graph *g, uint32_t number,
		struct paged_node **to);
void paged_replace(struct graph_exec *x, const struct graph *g, uint32_t number,
		   struct paged_node *list);
/* g, the graph inside of a node, has a handle from here on; a CUresult. */
int paged_look(struct ctx *c, struct graph *g);
/* The instance has these from here on (NULL: it goes), and its launches may still use the others.
 */
void paged_update(struct graph_exec *x, struct paged_node *list);
/* No launch uses them. */
void paged_release(struct paged_node *list);

#endif
