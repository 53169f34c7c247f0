/* SPDX-License-Identifier: MIT */
/*
 * Graphs of the far end without a GPU: a node is a kind, what it copies and the graph inside. A
 * graph, a node or an instance that is not there (any more) ends the test, as it would crash the
 * driver. Graphs that are left go with the
 * session.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/worker_fake_far.h"

enum kind { GRAPH, NODE, EXEC };

/* First in each of these: all that is there, by address. */
struct known {
	enum kind kind;
	struct known *next;
};

struct graph_of {
	struct known known;
	struct fake_node *nodes, *last;
	bool inside; /* of a node: it goes with that */
};

struct fake_node {
	struct known known;
	struct fake_node *next, *before;
	struct graph_of *in, *child;
	struct graph_of **body;
	uint32_t bodies;
	struct fake_node *original; /* of a clone; it may be gone */
	CUgraphNodeType type;
	union {
		CUDA_MEMCPY3D copy;
		CUDA_MEMSET_NODE_PARAMS set;
		CUDA_HOST_NODE_PARAMS host;
		CUDA_KERNEL_NODE_PARAMS kernel;
	};
};

struct exec_of {
	struct known known;
};

#define PLACES 65536u
static struct known *place[PLACES];
unsigned int fake_graphs_most = UINT_MAX;
static unsigned int there;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct known **place_of(const void *at)
{
	return &place[(uintptr_t)at * 0x9e3779b97f4a7c15ull >> 48];
}

static void *add(enum kind kind, size_t size)
{
	struct known *k = calloc(1, size), **at = place_of(k);

	there++;
	k->kind = kind;
	k->next = *at;
	*at = k;
	return k;
}

static void *get(enum kind kind, const void *at)
{
	for (struct known *k = *place_of(at); k; k = k->next)
		if (k == at && k->kind == kind)
			return k;
	abort();
}

static void drop(void *gone)
{
	struct known **k = place_of(gone);

	while (*k != gone)
		k = &(*k)->next;
	*k = (*k)->next;
	there--;
	free(gone);
}

static void node_end(struct fake_node *n);

static void graph_end(struct graph_of *g)
{
	while (g->nodes)
		node_end(g->nodes);
	drop(g);
}

static void node_end(struct fake_node *n)
{
	if (n->before)
		n->before->next = n->next;
	else
		n->in->nodes = n->next;
	if (n->next)
		n->next->before = n->before;
	else
		n->in->last = n->before;
	if (n->child)
		graph_end(n->child);
	for (uint32_t i = 0; i < n->bodies; i++)
		graph_end(n->body[i]);
	free(n->body);
	drop(n);
}

void fake_graphs_end(void)
{
	for (unsigned int i = 0; i < PLACES; i++) {
		struct known *k;

		while ((k = place[i])) {
			place[i] = k->next;
			if (k->kind == NODE)
				free(((struct fake_node *)k)->body);
			free(k);
		}
	}
	there = 0;
}

/* A graph may be copied: it has at most as many again as there are. */
static bool has_room(void)
{
	bool room;

	pthread_mutex_lock(&lock);
	room = there < fake_graphs_most;
	pthread_mutex_unlock(&lock);
	return room;
}

static struct fake_node *node_add(struct graph_of *g, CUgraphNodeType type)
{
	struct fake_node *n = add(NODE, sizeof(*n));

	n->before = g->last;
	if (g->last)
		g->last->next = n;
	else
		g->nodes = n;
	g->last = n;
	n->in = g;
	n->type = type;
	return n;
}

static struct graph_of *copy_of(const struct graph_of *g)
{
	struct graph_of *to = add(GRAPH, sizeof(*to));

	for (struct fake_node *n = g->nodes; n; n = n->next) {
		struct fake_node *m = node_add(to, n->type);

		memcpy(&m->copy, &n->copy, sizeof(m->copy)); /* the largest */
		m->original = n;
		m->child = n->child ? copy_of(n->child) : NULL;
		if (m->child)
			m->child->inside = true;
	}
	return to;
}

#define LOCKED(name)                                                                               \
	ENTER(name);                                                                               \
	pthread_mutex_lock(&lock)
#define DONE                                                                                       \
	pthread_mutex_unlock(&lock);                                                               \
	return CUDA_SUCCESS

static CUresult g_create(CUgraph *g, unsigned int flags)
{
	LOCKED("graph_create");
	*g = add(GRAPH, sizeof(struct graph_of));
	DONE;
}

static CUresult g_destroy(CUgraph g)
{
	LOCKED("graph_destroy");
	if (((struct graph_of *)get(GRAPH, g))->inside)
		abort();
	graph_end((struct graph_of *)g);
	DONE;
}

/* Such a graph cannot be copied. Under lock. */
static bool has_bodies(const struct graph_of *g)
{
	bool has = false;

	for (struct fake_node *n = g->nodes; n && !has; n = n->next)
		has = n->bodies || (n->child && has_bodies(n->child));
	return has;
}

static bool is_copied(CUgraph g)
{
	bool can;

	pthread_mutex_lock(&lock);
	can = !has_bodies(get(GRAPH, g));
	pthread_mutex_unlock(&lock);
	return can;
}

static CUresult g_clone(CUgraph *to, CUgraph g)
{
	if (!is_copied(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!has_room())
		return CUDA_ERROR_OUT_OF_MEMORY;
	LOCKED("graph_clone");
	*to = (CUgraph)copy_of(get(GRAPH, g));
	DONE;
}

static struct fake_node *made(CUgraphNode *node, CUgraph g, const CUgraphNode *deps, size_t n,
			      CUgraphNodeType type)
{
	for (size_t i = 0; i < n; i++)
		if (((struct fake_node *)get(NODE, deps[i]))->in != (struct graph_of *)g)
			abort();
	*node = (CUgraphNode)node_add(get(GRAPH, g), type);
	return (struct fake_node *)*node;
}

#define ADDS(name, params, type_, member)                                                          \
	static CUresult name(CUgraphNode *node, CUgraph g, const CUgraphNode *deps, size_t n,      \
			     const params *p)                                                      \
	{                                                                                          \
		LOCKED(#name);                                                                     \
		made(node, g, deps, n, type_)->member = *p;                                        \
		DONE;                                                                              \
	}
#define ADDS_IN(name, params, type_, member)                                                       \
	static CUresult name(CUgraphNode *node, CUgraph g, const CUgraphNode *deps, size_t n,      \
			     const params *p, CUcontext c)                                         \
	{                                                                                          \
		LOCKED(#name);                                                                     \
		made(node, g, deps, n, type_)->member = *p;                                        \
		DONE;                                                                              \
	}
#define HAS(name, params, member)                                                                  \
	static CUresult name##_get(CUgraphNode node, params *p)                                    \
	{                                                                                          \
		LOCKED(#name "_get");                                                              \
		*p = ((struct fake_node *)get(NODE, node))->member;                                \
		DONE;                                                                              \
	}                                                                                          \
	static CUresult name##_set(CUgraphNode node, const params *p)                              \
	{                                                                                          \
		LOCKED(#name "_set");                                                              \
		((struct fake_node *)get(NODE, node))->member = *p;                                \
		DONE;                                                                              \
	}

ADDS(g_kernel, CUDA_KERNEL_NODE_PARAMS, CU_GRAPH_NODE_TYPE_KERNEL, kernel)
ADDS_IN(g_copy, CUDA_MEMCPY3D, CU_GRAPH_NODE_TYPE_MEMCPY, copy)
ADDS_IN(g_set, CUDA_MEMSET_NODE_PARAMS, CU_GRAPH_NODE_TYPE_MEMSET, set)
ADDS(g_host, CUDA_HOST_NODE_PARAMS, CU_GRAPH_NODE_TYPE_HOST, host)
HAS(g_copy, CUDA_MEMCPY3D, copy)
HAS(g_set, CUDA_MEMSET_NODE_PARAMS, set)
HAS(g_host, CUDA_HOST_NODE_PARAMS, host)

/* The values of its parameters are the caller's, and not kept. */
static CUresult g_kernel_get(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *p)
{
	LOCKED("g_kernel_get");
	*p = ((struct fake_node *)get(NODE, node))->kernel;
	p->kernelParams = p->extra = NULL;
	DONE;
}

static CUresult g_kernel_set(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *p)
{
	LOCKED("g_kernel_set");
	((struct fake_node *)get(NODE, node))->kernel = *p;
	DONE;
}

static CUresult g_empty(CUgraphNode *node, CUgraph g, const CUgraphNode *deps, size_t n)
{
	LOCKED("g_empty");
	made(node, g, deps, n, CU_GRAPH_NODE_TYPE_EMPTY);
	DONE;
}

static CUresult g_child(CUgraphNode *node, CUgraph g, const CUgraphNode *deps, size_t n,
			CUgraph child)
{
	struct graph_of *copy;

	if (!is_copied(child))
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!has_room())
		return CUDA_ERROR_OUT_OF_MEMORY;
	LOCKED("g_child");
	copy = copy_of(get(GRAPH, child));
	copy->inside = true;
	made(node, g, deps, n, CU_GRAPH_NODE_TYPE_GRAPH)->child = copy;
	DONE;
}

static uint64_t conditions;

static CUresult g_condition(CUgraphConditionalHandle *h, CUgraph g, CUcontext c, unsigned int value,
			    unsigned int flags)
{
	LOCKED("g_condition");
	get(GRAPH, g);
	*h = ++conditions << 8;
	DONE;
}

/* A graph that moves, or a conditional node: the other kinds have calls of their own. */
static CUresult g_any(CUgraphNode *node, CUgraph g, const CUgraphNode *deps,
		      const CUgraphEdgeData *data, size_t n, CUgraphNodeParams *p)
{
	struct fake_node *m;

	LOCKED("g_any");
	m = made(node, g, deps, n, p->type);
	if (p->type == CU_GRAPH_NODE_TYPE_GRAPH) {
		m->child = get(GRAPH, p->graph.graph);
		if (m->child->inside || p->graph.ownership != CU_GRAPH_CHILD_GRAPH_OWNERSHIP_MOVE)
			abort();
		m->child->inside = true;
	} else {
		if (!p->conditional.handle || p->conditional.handle > conditions << 8)
			abort();
		m->body = calloc(p->conditional.size, sizeof(*m->body));
		for (; m->bodies < p->conditional.size; m->bodies++) {
			m->body[m->bodies] = add(GRAPH, sizeof(struct graph_of));
			m->body[m->bodies]->inside = true;
		}
		p->conditional.phGraph_out = (CUgraph *)(void *)m->body;
	}
	DONE;
}

static CUresult g_nodes(CUgraph g, CUgraphNode *nodes, size_t *count)
{
	const size_t room = *count;
	size_t n = 0;

	LOCKED("g_nodes");
	for (struct fake_node *m = ((struct graph_of *)get(GRAPH, g))->nodes; m; m = m->next, n++)
		if (nodes && n < room)
			nodes[n] = (CUgraphNode)m;
	*count = nodes && n > room ? room : n;
	DONE;
}

static CUresult g_edges(CUgraph g, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *data,
			size_t *count)
{
	LOCKED("g_edges");
	get(GRAPH, g);
	*count = 0;
	DONE;
}

static CUresult g_type(CUgraphNode node, CUgraphNodeType *type)
{
	LOCKED("g_type");
	*type = ((struct fake_node *)get(NODE, node))->type;
	DONE;
}

static CUresult g_in_clone(CUgraphNode *node, CUgraphNode original, CUgraph clone)
{
	struct fake_node *n;

	LOCKED("g_in_clone");
	get(NODE, original);
	n = ((struct graph_of *)get(GRAPH, clone))->nodes;
	while (n && n->original != (struct fake_node *)original)
		n = n->next;
	*node = (CUgraphNode)n;
	pthread_mutex_unlock(&lock);
	return n ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult g_node_end(CUgraphNode node)
{
	LOCKED("g_node_end");
	node_end(get(NODE, node));
	DONE;
}

static CUresult g_link(CUgraph g, const CUgraphNode *from, const CUgraphNode *to,
		       const CUgraphEdgeData *data, size_t n)
{
	LOCKED("g_link");
	get(GRAPH, g);
	for (size_t i = 0; i < n; i++) {
		get(NODE, from[i]);
		get(NODE, to[i]);
	}
	DONE;
}

static CUresult g_inside(CUgraphNode node, CUgraph *g)
{
	LOCKED("g_inside");
	*g = (CUgraph)((struct fake_node *)get(NODE, node))->child;
	pthread_mutex_unlock(&lock);
	return *g ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult x_make(CUgraphExec *x, CUgraph g, CUDA_GRAPH_INSTANTIATE_PARAMS *p)
{
	LOCKED("exec_make");
	get(GRAPH, g);
	*x = add(EXEC, sizeof(struct exec_of));
	DONE;
}

static CUresult x_end(CUgraphExec x)
{
	LOCKED("exec_end");
	drop(get(EXEC, x));
	DONE;
}

static CUresult x_update(CUgraphExec x, CUgraph g, CUgraphExecUpdateResultInfo *info)
{
	LOCKED("exec_update");
	get(EXEC, x);
	get(GRAPH, g);
	info->result = CU_GRAPH_EXEC_UPDATE_SUCCESS;
	DONE;
}

static CUresult x_change(CUgraphExec x, CUgraphNode node)
{
	LOCKED("exec_change");
	get(EXEC, x);
	get(NODE, node);
	DONE;
}

static CUresult x_kernel(CUgraphExec x, CUgraphNode n, const CUDA_KERNEL_NODE_PARAMS *p)
{
	return x_change(x, n);
}

static CUresult x_copy(CUgraphExec x, CUgraphNode n, const CUDA_MEMCPY3D *p, CUcontext c)
{
	return x_change(x, n);
}

static CUresult x_set(CUgraphExec x, CUgraphNode n, const CUDA_MEMSET_NODE_PARAMS *p, CUcontext c)
{
	return x_change(x, n);
}

static CUresult x_host(CUgraphExec x, CUgraphNode n, const CUDA_HOST_NODE_PARAMS *p)
{
	return x_change(x, n);
}

static CUresult x_child(CUgraphExec x, CUgraphNode n, CUgraph child)
{
	pthread_mutex_lock(&lock);
	get(GRAPH, child);
	pthread_mutex_unlock(&lock);
	return x_change(x, n);
}

static CUresult x_launch(CUgraphExec x, CUstream s)
{
	pthread_mutex_lock(&lock);
	get(EXEC, x);
	pthread_mutex_unlock(&lock);
	return fake_issue(s);
}

static CUresult no_begin(CUstream s, CUgraph g, const CUgraphNode *deps,
			 const CUgraphEdgeData *data, size_t n, CUstreamCaptureMode mode)
{
	return CUDA_ERROR_NOT_SUPPORTED;
}

static CUresult no_end(CUstream s, CUgraph *g)
{
	return CUDA_ERROR_ILLEGAL_STATE;
}

static CUresult no_info(CUstream s, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *g,
			const CUgraphNode **deps, size_t *n)
{
	*status = CU_STREAM_CAPTURE_STATUS_NONE;
	return CUDA_SUCCESS;
}

static CUresult no_deps(CUstream s, CUgraphNode *deps, size_t n, unsigned int flags)
{
	return CUDA_ERROR_ILLEGAL_STATE;
}

void fake_far_graphs(struct far *f)
{
	f->cuGraphCreate = g_create;
	f->cuGraphDestroy = g_destroy;
	f->cuGraphClone = g_clone;
	f->cuGraphAddKernelNode_v2 = g_kernel;
	f->cuGraphAddMemcpyNode = g_copy;
	f->cuGraphAddMemsetNode = g_set;
	f->cuGraphAddHostNode = g_host;
	f->cuGraphAddEmptyNode = g_empty;
	f->cuGraphAddChildGraphNode = g_child;
	f->cuGraphConditionalHandleCreate = g_condition;
	f->cuGraphAddNode_v2 = g_any;
	f->cuGraphGetNodes = g_nodes;
	f->cuGraphNodeGetType = g_type;
	f->cuGraphNodeFindInClone = g_in_clone;
	f->cuGraphDestroyNode = g_node_end;
	f->cuGraphGetEdges_v2 = g_edges;
	f->cuGraphAddDependencies_v2 = f->cuGraphRemoveDependencies_v2 = g_link;
	f->cuGraphKernelNodeGetParams_v2 = g_kernel_get;
	f->cuGraphKernelNodeSetParams_v2 = g_kernel_set;
	f->cuGraphMemcpyNodeGetParams = g_copy_get;
	f->cuGraphMemcpyNodeSetParams = g_copy_set;
	f->cuGraphMemsetNodeGetParams = g_set_get;
	f->cuGraphMemsetNodeSetParams = g_set_set;
	f->cuGraphHostNodeGetParams = g_host_get;
	f->cuGraphHostNodeSetParams = g_host_set;
	f->cuGraphChildGraphNodeGetGraph = g_inside;
	f->cuGraphInstantiateWithParams = x_make;
	f->cuGraphExecDestroy = x_end;
	f->cuGraphExecUpdate_v2 = x_update;
	f->cuGraphExecKernelNodeSetParams_v2 = x_kernel;
	f->cuGraphExecMemcpyNodeSetParams = x_copy;
	f->cuGraphExecMemsetNodeSetParams = x_set;
	f->cuGraphExecHostNodeSetParams = x_host;
	f->cuGraphExecChildGraphNodeSetParams = x_child;
	f->cuGraphLaunch = f->cuGraphUpload = x_launch;
	f->cuStreamBeginCaptureToGraph = no_begin;
	f->cuStreamEndCapture = no_end;
	f->cuStreamGetCaptureInfo_v2 = no_info;
	f->cuStreamUpdateCaptureDependencies = no_deps;
}
