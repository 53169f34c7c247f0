/* SPDX-License-Identifier: MIT */
/* The calls that make and read graphs. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

API(cuGraphCreate, CUgraph *out, unsigned int flags)
{
	ENTER();
	if (!out || flags)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUgraph)graph_new();
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API(cuGraphDestroy, CUgraph graph)
{
	struct sim_graph *g;

	ENTER();
	TRY(graph_get(graph, &g));
	if (g->parent)
		return CUDA_ERROR_INVALID_VALUE;
	graph_delete(g);
	return CUDA_SUCCESS;
}

API(cuGraphClone, CUgraph *out, CUgraph graph)
{
	struct sim_graph *g;

	ENTER();
	TRY(graph_get(graph, &g));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	if (graph_has_memory(g) || graph_has_conditions(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	*out = (CUgraph)graph_clone(g);
	return *out ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

static CUresult check_deps(struct sim_graph *g, const CUgraphNode *deps, size_t count)
{
	struct sim_node *n;

	if (count && !deps)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		TRY(node_get(deps[i], &n));
		if (n->graph != g)
			return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

static CUresult add(CUgraphNode *out, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraphNodeType type, struct op *op)
{
	struct sim_node *n;

	n = node_new((struct sim_graph *)graph, type, op, (struct sim_node **)deps, count);
	if (!n) {
		free(op);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	*out = (CUgraphNode)n;
	return CUDA_SUCCESS;
}

static CUresult check_new(CUgraphNode *out, CUgraph graph, const CUgraphNode *deps, size_t count)
{
	struct sim_graph *g;

	TRY(graph_get(graph, &g));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	return check_deps(g, deps, count);
}

/* The operations that these parameters mean, made by the calls that would queue them. */
static CUresult kernel_op(const CUDA_KERNEL_NODE_PARAMS *p, struct op **op)
{
	CUfunction func;
	CUresult r;

	*op = NULL;
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	func = p->func;
	if (!func && p->kern)
		TRY(cuKernelGetFunction(&func, p->kern));
	sim_collect = op;
	r = cuLaunchKernel(func, p->gridDimX, p->gridDimY, p->gridDimZ, p->blockDimX, p->blockDimY,
			   p->blockDimZ, p->sharedMemBytes, NULL, p->kernelParams, p->extra);
	sim_collect = NULL;
	return r;
}

static CUresult memcpy_op(const CUDA_MEMCPY3D *p, struct op **op)
{
	CUresult r;

	*op = NULL;
	sim_collect = op;
	r = cuMemcpy3DAsync_v2(p, NULL);
	sim_collect = NULL;
	return r ? r : *op ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult memset_op(const CUDA_MEMSET_NODE_PARAMS *p, struct op **op)
{
	CUresult r = CUDA_ERROR_INVALID_VALUE;

	*op = NULL;
	if (!p)
		return r;
	sim_collect = op;
	if (p->elementSize == 1)
		r = cuMemsetD2D8Async(p->dst, p->pitch, (unsigned char)p->value, p->width,
				      p->height, NULL);
	else if (p->elementSize == 2)
		r = cuMemsetD2D16Async(p->dst, p->pitch, (unsigned short)p->value, p->width,
				       p->height, NULL);
	else if (p->elementSize == 4)
		r = cuMemsetD2D32Async(p->dst, p->pitch, p->value, p->width, p->height, NULL);
	sim_collect = NULL;
	return r ? r : *op ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

static CUresult host_op(const CUDA_HOST_NODE_PARAMS *p, struct op **op)
{
	CUresult r;

	*op = NULL;
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	sim_collect = op;
	r = cuLaunchHostFunc(NULL, p->fn, p->userData);
	sim_collect = NULL;
	return r;
}

/* The first revision's parameters, as the second has them: NULL stays NULL. */
static const CUDA_KERNEL_NODE_PARAMS *widen(CUDA_KERNEL_NODE_PARAMS *to,
					    const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	if (!p)
		return NULL;
	memset(to, 0, sizeof(*to));
	memcpy(to, p, sizeof(*p));
	return to;
}

API(cuGraphAddKernelNode_v2, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
    size_t count, const CUDA_KERNEL_NODE_PARAMS *params)
{
	struct op *op;

	ENTER();
	TRY(check_new(node, graph, deps, count));
	TRY(kernel_op(params, &op));
	return add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_KERNEL, op);
}

API(cuGraphAddKernelNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    const CUDA_KERNEL_NODE_PARAMS_v1 *params)
{
	CUDA_KERNEL_NODE_PARAMS wide;

	return cuGraphAddKernelNode_v2(node, graph, deps, count, widen(&wide, params));
}

API(cuGraphAddMemcpyNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    const CUDA_MEMCPY3D *params, CUcontext ctx)
{
	struct op *op;

	ENTER();
	TRY(check_new(node, graph, deps, count));
	TRY(memcpy_op(params, &op));
	return add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_MEMCPY, op);
}

API(cuGraphAddMemsetNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    const CUDA_MEMSET_NODE_PARAMS *params, CUcontext ctx)
{
	struct op *op;

	ENTER();
	TRY(check_new(node, graph, deps, count));
	TRY(memset_op(params, &op));
	return add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_MEMSET, op);
}

API(cuGraphAddHostNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    const CUDA_HOST_NODE_PARAMS *params)
{
	struct op *op;

	ENTER();
	TRY(check_new(node, graph, deps, count));
	TRY(host_op(params, &op));
	return add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_HOST, op);
}

CUresult graph_add_node(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
			CUgraphNodeType type)
{
	TRY(check_new(node, graph, deps, count));
	return add(node, graph, deps, count, type, NULL);
}

API(cuGraphAddEmptyNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count)
{
	ENTER();
	TRY(check_new(node, graph, deps, count));
	return add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_EMPTY, NULL);
}

API(cuGraphAddChildGraphNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
    size_t count, CUgraph child)
{
	struct sim_graph *g, *copy;

	ENTER();
	TRY(check_new(node, graph, deps, count));
	TRY(graph_get(child, &g));
	if (graph_has_memory(g) || graph_has_conditions(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	copy = graph_clone(g);
	if (!copy)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TRY(add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_GRAPH, NULL));
	copy->parent = (struct sim_graph *)graph;
	((struct sim_node *)*node)->child = copy;
	return CUDA_SUCCESS;
}

static bool contains(const struct sim_graph *g, const struct sim_graph *what)
{
	bool found = g == what;

	for (uint32_t i = 0; i < g->nodes && !found; i++) {
		found = g->node[i]->child && contains(g->node[i]->child, what);
		for (uint32_t k = 0; k < g->node[i]->bodies && !found; k++)
			found = contains(g->node[i]->body[k], what);
	}
	return found;
}

/* The graph itself becomes the node's. */
CUresult graph_move(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
		    CUgraph child)
{
	struct sim_graph *g, *around;

	TRY(check_new(node, graph, deps, count));
	TRY(graph_get(graph, &around));
	TRY(graph_get(child, &g));
	if (g->parent || contains(g, around))
		return CUDA_ERROR_INVALID_VALUE;
	if (graph_has_memory(g))
		return CUDA_ERROR_NOT_SUPPORTED;
	TRY(add(node, graph, deps, count, CU_GRAPH_NODE_TYPE_GRAPH, NULL));
	g->parent = around;
	((struct sim_node *)*node)->child = g;
	return CUDA_SUCCESS;
}

API(cuGraphDestroyNode, CUgraphNode node)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (n->memory || n->freed)
		return CUDA_ERROR_NOT_SUPPORTED;
	node_delete(n);
	return CUDA_SUCCESS;
}

API(cuGraphNodeGetType, CUgraphNode node, CUgraphNodeType *type)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (!type)
		return CUDA_ERROR_INVALID_VALUE;
	*type = n->type;
	return CUDA_SUCCESS;
}

/* As the driver does: at most *count are written, the rest NULL; without a place, their number. */
static CUresult give(CUgraphNode *out, size_t *count, struct sim_node *const *node, size_t n)
{
	if (!count)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; out && i < *count; i++)
		out[i] = i < n ? (CUgraphNode)node[i] : NULL;
	if (!out || *count > n)
		*count = n;
	return CUDA_SUCCESS;
}

API(cuGraphGetNodes, CUgraph graph, CUgraphNode *nodes, size_t *count)
{
	struct sim_graph *g;

	ENTER();
	TRY(graph_get(graph, &g));
	/* As an H200 refused the nodes of an empty capture. */
	if (nodes && count && !*count)
		return CUDA_ERROR_INVALID_VALUE;
	return give(nodes, count, g->node, g->nodes);
}

API(cuGraphGetRootNodes, CUgraph graph, CUgraphNode *nodes, size_t *count)
{
	struct sim_node **root;
	struct sim_graph *g;
	size_t n = 0;
	CUresult r;

	ENTER();
	TRY(graph_get(graph, &g));
	root = malloc((g->nodes + 1) * sizeof(struct sim_node *));
	if (!root)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < g->nodes; i++)
		if (!g->node[i]->deps)
			root[n++] = g->node[i];
	r = give(nodes, count, root, n);
	free(root);
	return r;
}

API(cuGraphGetEdges_v2, CUgraph graph, CUgraphNode *from, CUgraphNode *to, CUgraphEdgeData *edges,
    size_t *count)
{
	struct sim_graph *g;
	size_t n = 0;

	ENTER();
	TRY(graph_get(graph, &g));
	if (!count || !from != !to)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < g->nodes; i++) {
		struct sim_node *m = g->node[i];

		for (uint32_t k = 0; k < m->deps; k++, n++) {
			if (!from || n >= *count)
				continue;
			from[n] = (CUgraphNode)m->dep[k];
			to[n] = (CUgraphNode)m;
			if (edges)
				edges[n] = m->edge[k];
			else if (edge_is_given(&m->edge[k]))
				return CUDA_ERROR_LOSSY_QUERY;
		}
	}
	if (!from || *count > n)
		*count = n;
	return CUDA_SUCCESS;
}

API(cuGraphGetEdges, CUgraph graph, CUgraphNode *from, CUgraphNode *to, size_t *count)
{
	return cuGraphGetEdges_v2(graph, from, to, NULL, count);
}

API(cuGraphNodeGetDependencies_v2, CUgraphNode node, CUgraphNode *deps, CUgraphEdgeData *edges,
    size_t *count)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	for (size_t k = 0; deps && count && k < *count && k < n->deps; k++) {
		if (edges)
			edges[k] = n->edge[k];
		else if (edge_is_given(&n->edge[k]))
			return CUDA_ERROR_LOSSY_QUERY;
	}
	return give(deps, count, n->dep, n->deps);
}

API(cuGraphNodeGetDependencies, CUgraphNode node, CUgraphNode *deps, size_t *count)
{
	return cuGraphNodeGetDependencies_v2(node, deps, NULL, count);
}

/* The edge, or NULL. */
static const CUgraphEdgeData *depends(const struct sim_node *n, const struct sim_node *on)
{
	for (uint32_t k = 0; k < n->deps; k++)
		if (n->dep[k] == on)
			return &n->edge[k];
	return NULL;
}

API(cuGraphNodeGetDependentNodes_v2, CUgraphNode node, CUgraphNode *nodes, CUgraphEdgeData *edges,
    size_t *count)
{
	struct sim_node *n, **found;
	const CUgraphEdgeData *e;
	size_t k = 0;
	CUresult r = CUDA_SUCCESS;

	ENTER();
	TRY(node_get(node, &n));
	found = malloc((n->graph->nodes + 1) * sizeof(struct sim_node *));
	if (!found)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < n->graph->nodes; i++) {
		e = depends(n->graph->node[i], n);
		if (!e)
			continue;
		if (edges && nodes && count && k < *count)
			edges[k] = *e;
		if (!edges && nodes && edge_is_given(e))
			r = CUDA_ERROR_LOSSY_QUERY;
		found[k++] = n->graph->node[i];
	}
	if (r == CUDA_SUCCESS)
		r = give(nodes, count, found, k);
	free(found);
	return r;
}

API(cuGraphNodeGetDependentNodes, CUgraphNode node, CUgraphNode *nodes, size_t *count)
{
	return cuGraphNodeGetDependentNodes_v2(node, nodes, NULL, count);
}

/* Ports are kernels', and the programmatic kind leads to one. */
CUresult graph_edge_fits(const CUgraphEdgeData *e, const struct sim_node *from, CUgraphNodeType to)
{
	if (edge_is_given(e) && (from->type != CU_GRAPH_NODE_TYPE_KERNEL ||
				 (e->type && to != CU_GRAPH_NODE_TYPE_KERNEL)))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult link_nodes(CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
			   const CUgraphEdgeData *edges, size_t count, bool on)
{
	struct sim_graph *g;

	TRY(graph_get(graph, &g));
	TRY(check_deps(g, from, count));
	TRY(check_deps(g, to, count));
	TRY(graph_edges_check(edges, count));
	for (size_t i = 0; i < count; i++) {
		if (from[i] == to[i] ||
		    !!depends((struct sim_node *)to[i], (struct sim_node *)from[i]) == on)
			return CUDA_ERROR_INVALID_VALUE;
		if (edges)
			TRY(graph_edge_fits(&edges[i], (struct sim_node *)from[i],
					    ((struct sim_node *)to[i])->type));
	}
	for (size_t i = 0; i < count; i++) {
		struct sim_node *a = (struct sim_node *)from[i], *b = (struct sim_node *)to[i];

		if (!on)
			node_independ(b, a);
		else if (!node_depend_by(b, a, edges ? edges[i] : (CUgraphEdgeData){0}))
			return CUDA_ERROR_OUT_OF_MEMORY;
	}
	return CUDA_SUCCESS;
}

API(cuGraphAddDependencies, CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
    size_t count)
{
	ENTER();
	return link_nodes(graph, from, to, NULL, count, true);
}

API(cuGraphRemoveDependencies, CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
    size_t count)
{
	ENTER();
	return link_nodes(graph, from, to, NULL, count, false);
}

API(cuGraphAddDependencies_v2, CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
    const CUgraphEdgeData *edges, size_t count)
{
	ENTER();
	return link_nodes(graph, from, to, edges, count, true);
}

API(cuGraphRemoveDependencies_v2, CUgraph graph, const CUgraphNode *from, const CUgraphNode *to,
    const CUgraphEdgeData *edges, size_t count)
{
	ENTER();
	return link_nodes(graph, from, to, edges, count, false);
}

API(cuGraphNodeFindInClone, CUgraphNode *out, CUgraphNode original, CUgraph clone)
{
	struct sim_graph *g;
	struct sim_node *n;

	ENTER();
	TRY(node_get(original, &n));
	TRY(graph_get(clone, &g));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	for (uint32_t i = 0; i < g->nodes; i++) {
		if (g->node[i]->clone_of != n)
			continue;
		*out = (CUgraphNode)g->node[i];
		return CUDA_SUCCESS;
	}
	return CUDA_ERROR_INVALID_VALUE;
}

static CUresult of_type(CUgraphNode node, CUgraphNodeType type, const void *params,
			struct sim_node **n)
{
	ENTER();
	TRY(node_get(node, n));
	return (*n)->type == type && params ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

/* Also of nodes of an instantiated graph. */
static CUresult replace(struct sim_node *n, struct op *op)
{
	struct op *old = n->op;
	CUresult r;

	n->op = op;
	r = attrs_apply(n);
	if (r)
		n->op = old;
	free(r ? op : old);
	return r;
}

API(cuGraphKernelNodeGetParams_v2, CUgraphNode node, CUDA_KERNEL_NODE_PARAMS *p)
{
	const struct kernel_op *k;
	struct sim_node *n;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_KERNEL, p, &n));
	k = &n->op->kernel;
	free(n->params);
	n->params = malloc((k->launch.kernel->param_count + 1) * sizeof(void *));
	if (!n->params)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (uint32_t i = 0; i < k->launch.kernel->param_count; i++)
		n->params[i] = n->op->params + k->launch.kernel->params[i].offset;
	memset(p, 0, sizeof(*p));
	p->func = k->func;
	p->gridDimX = k->grid[0];
	p->gridDimY = k->grid[1];
	p->gridDimZ = k->grid[2];
	p->blockDimX = k->block[0];
	p->blockDimY = k->block[1];
	p->blockDimZ = k->block[2];
	p->sharedMemBytes = k->shared;
	p->kernelParams = n->params;
	return CUDA_SUCCESS;
}

API(cuGraphKernelNodeSetParams_v2, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_KERNEL, p, &n));
	TRY(kernel_op(p, &op));
	return replace(n, op);
}

API(cuGraphMemcpyNodeGetParams, CUgraphNode node, CUDA_MEMCPY3D *p)
{
	const struct copy_op *c;
	struct sim_node *n;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_MEMCPY, p, &n));
	c = &n->op->copy;
	memset(p, 0, sizeof(*p));
	p->srcMemoryType = c->from_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	p->dstMemoryType = c->to_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
	p->srcDevice = c->from_device ? (CUdeviceptr)c->src : 0;
	p->srcHost = c->from_device ? NULL : c->src;
	p->dstDevice = c->to_device ? (CUdeviceptr)c->dst : 0;
	p->dstHost = c->to_device ? NULL : c->dst;
	p->WidthInBytes = c->width;
	p->Height = c->height;
	p->Depth = c->depth;
	p->srcPitch = c->spitch;
	p->dstPitch = c->dpitch;
	p->srcHeight = c->spitch ? c->sslice / c->spitch : 0;
	p->dstHeight = c->dpitch ? c->dslice / c->dpitch : 0;
	return CUDA_SUCCESS;
}

API(cuGraphMemcpyNodeSetParams, CUgraphNode node, const CUDA_MEMCPY3D *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_MEMCPY, p, &n));
	TRY(memcpy_op(p, &op));
	return replace(n, op);
}

API(cuGraphMemsetNodeGetParams, CUgraphNode node, CUDA_MEMSET_NODE_PARAMS *p)
{
	const struct memset_op *m;
	struct sim_node *n;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_MEMSET, p, &n));
	m = &n->op->set;
	*p = (CUDA_MEMSET_NODE_PARAMS){
		(CUdeviceptr)m->dst, m->pitch, m->value, m->size, m->width, m->height};
	return CUDA_SUCCESS;
}

API(cuGraphMemsetNodeSetParams, CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_MEMSET, p, &n));
	TRY(memset_op(p, &op));
	return replace(n, op);
}

API(cuGraphHostNodeGetParams, CUgraphNode node, CUDA_HOST_NODE_PARAMS *p)
{
	struct sim_node *n;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_HOST, p, &n));
	*p = (CUDA_HOST_NODE_PARAMS){n->op->host.fn, n->op->host.arg};
	return CUDA_SUCCESS;
}

API(cuGraphHostNodeSetParams, CUgraphNode node, const CUDA_HOST_NODE_PARAMS *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(of_type(node, CU_GRAPH_NODE_TYPE_HOST, p, &n));
	TRY(host_op(p, &op));
	return replace(n, op);
}

/* The node of a clone, or of a graph inside it, that stands for n. */
static struct sim_node *clone_in(const struct sim_graph *g, const struct sim_node *n)
{
	struct sim_node *found = NULL;

	for (uint32_t i = 0; i < g->nodes && !found; i++) {
		if (g->node[i]->clone_of == n)
			found = g->node[i];
		else if (g->node[i]->child)
			found = clone_in(g->node[i]->child, n);
		for (uint32_t k = 0; k < g->node[i]->bodies && !found; k++)
			found = clone_in(g->node[i]->body[k], n);
	}
	return found;
}

/* The node of an instantiated graph that stands for one of the graph's, or of one inside it. */
CUresult graph_in_exec(CUgraphExec exec, CUgraphNode node, CUgraphNodeType type,
		       struct sim_node **out)
{
	struct sim_exec *x;
	struct sim_node *n;

	ENTER();
	TRY(exec_get(exec, &x));
	TRY(node_get(node, &n));
	*out = clone_in(x->graph, n);
	return *out && n->type == type ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphExecKernelNodeSetParams_v2, CUgraphExec exec, CUgraphNode node,
    const CUDA_KERNEL_NODE_PARAMS *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_KERNEL, &n));
	TRY(kernel_op(p, &op));
	return replace(n, op);
}

API(cuGraphExecKernelNodeSetParams, CUgraphExec exec, CUgraphNode node,
    const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	CUDA_KERNEL_NODE_PARAMS wide;

	return cuGraphExecKernelNodeSetParams_v2(exec, node, widen(&wide, p));
}

API(cuGraphExecMemcpyNodeSetParams, CUgraphExec exec, CUgraphNode node, const CUDA_MEMCPY3D *p,
    CUcontext ctx)
{
	struct sim_node *n;
	struct op *op;

	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_MEMCPY, &n));
	TRY(memcpy_op(p, &op));
	return replace(n, op);
}

API(cuGraphExecMemsetNodeSetParams, CUgraphExec exec, CUgraphNode node,
    const CUDA_MEMSET_NODE_PARAMS *p, CUcontext ctx)
{
	struct sim_node *n;
	struct op *op;

	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_MEMSET, &n));
	TRY(memset_op(p, &op));
	return replace(n, op);
}

API(cuGraphExecHostNodeSetParams, CUgraphExec exec, CUgraphNode node,
    const CUDA_HOST_NODE_PARAMS *p)
{
	struct sim_node *n;
	struct op *op;

	TRY(graph_in_exec(exec, node, CU_GRAPH_NODE_TYPE_HOST, &n));
	TRY(host_op(p, &op));
	return replace(n, op);
}
