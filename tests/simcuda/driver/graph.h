/* SPDX-License-Identifier: MIT */
/*
 * Graphs of the simulated GPU. A node is an operation that is not queued: a launch of the graph
 * queues a copy of each, in an order that keeps the edges. Branches run one after the other.
 */
#ifndef PVGPU_SIMCUDA_GRAPH_H
#define PVGPU_SIMCUDA_GRAPH_H

#include "tests/simcuda/driver/sim.h"

/* Launch attributes that a kernel's node was given, by CUlaunchAttributeID. */
struct node_attrs {
	uint32_t given; /* bits */
	CUlaunchAttributeValue value[CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING];
};

/* A condition, whose value kernels set. It lives as long as a graph, an instance or a launch has
 * it. */
struct sim_condition {
	struct handle h;
	/* Whose it is; an instance or a launch may go while the graph does. */
	_Atomic(struct sim_graph *) graph;
	struct sim_ctx *ctx;
	_Atomic uint32_t refs, value;
	uint32_t first; /* value at a launch, if it has one */
	bool has_first;
};

struct sim_node {
	struct handle h;
	struct sim_graph *graph;
	CUgraphNodeType type;
	struct op *op; /* kernel, memcpy, memset, host */
	struct sim_graph *child;
	CUevent event;
	/* Of a conditional node. */
	struct sim_condition *condition;
	CUgraphConditionalNodeType condition_type;
	struct sim_graph **body;
	uint32_t bodies;
	struct graph_memory *memory; /* of an allocation */
	uint64_t freed;              /* by it; 0: it frees nothing */
	CUstreamBatchMemOpParams *memop;
	uint32_t memops;
	struct sim_node *clone_of;
	struct sim_node **dep; /* that it depends on */
	CUgraphEdgeData *edge; /* of each; all are kept as if they were of the usual kind */
	uint32_t deps, dep_room;
	uint32_t mark;
	bool off; /* in an instance: not run */
	struct node_attrs *attrs;
	void **params; /* as cuGraphKernelNodeGetParams gives them */
};

struct sim_graph {
	struct handle h;
	struct sim_node **node;
	uint32_t nodes, room;
	struct user_ref *users;
	struct sim_graph *parent; /* it is inside of a node of this one, which destroys it */
	struct sim_condition **condition;
	uint32_t conditions;
	_Atomic uint32_t refs; /* of a launch's copy */
};

struct sim_exec {
	struct handle h;
	uint64_t flags;
	struct sim_graph *graph; /* a clone, in an order that keeps the edges */
	struct op *last;         /* behind its last launch; NULL: it needs none */
};

struct sim_capture {
	struct sim_graph *graph;
	bool own;  /* made for this capture */
	bool bars; /* the legacy stream would wait for a stream that takes part */
	CUstreamCaptureMode mode;
	CUstreamCaptureStatus status;
	struct sim_stream *origin;
	pthread_t thread;
	uint64_t id;
	struct sim_capture *next;
};

extern pthread_mutex_t graph_lock;
CUresult graph_get(CUgraph handle, struct sim_graph **out);
CUresult node_get(CUgraphNode handle, struct sim_node **out);
CUresult exec_get(CUgraphExec handle, struct sim_exec **out);
struct sim_graph *graph_new(void);
void graph_delete(struct sim_graph *g);
/* A node with an operation (or NULL), behind others. NULL: out of memory. */
struct sim_node *node_new(struct sim_graph *g, CUgraphNodeType type, struct op *op,
			  struct sim_node *const *dep, size_t deps);
bool node_depend(struct sim_node *n, struct sim_node *on);
bool node_depend_by(struct sim_node *n, struct sim_node *on, CUgraphEdgeData edge);
/* Without the edges that come from this node. */
void node_independ(struct sim_node *n, const struct sim_node *of);
/* An edge of another kind than usual. */
bool edge_is_given(const CUgraphEdgeData *e);
void node_delete(struct sim_node *n);
struct sim_graph *graph_clone(const struct sim_graph *g);
/* Sort so that each node comes after those that it depends on; false: there is a cycle. */
bool graph_sort(struct sim_graph *g);
struct op *op_copy(const struct op *op);
CUresult graph_run(struct sim_graph *g, struct sim_stream *s);

/* graph_condition.c */
/* Conditional nodes, in it or inside of its nodes? */
bool graph_has_conditions(const struct sim_graph *g);
/* Can it be instantiated? */
CUgraphInstantiateResult conditions_check(const struct sim_graph *g);
bool conditions_copy(const struct sim_graph *from, struct sim_graph *to);
void conditions_release(struct sim_graph *g);
bool condition_node_copy(const struct sim_node *from, struct sim_node *to);
void condition_node_free(struct sim_node *n);
CUresult condition_node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
			    CUDA_CONDITIONAL_NODE_PARAMS *p);
/* A launch comes to the node. */
CUresult condition_node_run(struct sim_node *n, struct sim_stream *s);
/* graph_run for an instance's graph, which may change or go before the launch has ended. */
CUresult graph_launch(struct sim_graph *g, struct sim_stream *s);

/* graph_generic.c */
CUresult graph_edges_check(const CUgraphEdgeData *edges, size_t count);

/* graph_calls.c */
CUresult graph_edge_fits(const CUgraphEdgeData *e, const struct sim_node *from, CUgraphNodeType to);
/* A node without an operation. */
CUresult graph_add_node(CUgraphNode *out, CUgraph graph, const CUgraphNode *deps, size_t count,
			CUgraphNodeType type);

/* The instance's node of the graph's node, which has the type. */
CUresult graph_in_exec(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type,
		       struct sim_node **out);

/* graph_attr.c: of a clone, and for parameters that replace others. */
bool attrs_copy(const struct sim_node *from, struct sim_node *to);
CUresult attrs_apply(struct sim_node *n);

/* graph_exec.c: what an instance can take over from the graph. */
CUgraphExecUpdateResult graph_compare(const struct sim_graph *a, const struct sim_graph *b);

/* graph_user.c: references to the application's objects, of a graph or an instance */
struct user_ref;
void users_release(struct user_ref *list);
bool users_copy(const struct user_ref *from, struct user_ref **to);
/* Of the graph and of those inside of it. */
bool users_any(const struct sim_graph *g);
void users_take(struct sim_graph *g, struct user_ref **to);
/* Release them when the operation (NULL: none) has ended. */
void users_release_behind(struct user_ref *list, struct op *last);

/* graph_memory.c */
CUresult graph_memory_new(struct sim_ctx *ctx, size_t size, struct graph_memory **out);
struct graph_memory *graph_memory_ref(struct graph_memory *m);
void graph_memory_put(struct graph_memory *m);
uint64_t graph_memory_addr(const struct graph_memory *m);
bool graph_has_memory(const struct sim_graph *g);
bool graph_frees(const struct sim_graph *g, uint64_t addr);

/* capture.c */
/* A node that allocates (m) or frees. */
CUresult capture_memory(struct sim_stream *s, struct graph_memory *m, uint64_t freed);
CUresult capture_record(struct sim_stream *s, uint64_t *capture, struct sim_node ***dep,
			uint32_t *deps);
CUresult capture_join(struct sim_stream *s, bool recorded, uint64_t capture,
		      struct sim_node *const *dep, uint32_t deps);
CUresult capture_event(struct sim_stream *s, CUgraphNodeType type, CUevent event);
/* The capture becomes invalid; returns the error. */
CUresult capture_spoil(uint64_t capture, CUresult error);

/* event.c */
CUresult event_valid(CUevent event);
CUresult event_record_node(CUevent event, struct sim_stream *s);
CUresult event_wait_node(CUevent event, struct sim_stream *s);

/* memops.c: check them, or run them in the stream. */
CUresult memops_run(struct sim_stream *s, const CUstreamBatchMemOpParams *p, unsigned int count,
		    bool run);
/* graph_memops.c: a copy for a clone; false: out of memory */
bool memops_copy(const struct sim_node *from, struct sim_node *to);

/* A node with this graph inside, which is the node's then. */
CUresult graph_move(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraph child);

#endif
