/* SPDX-License-Identifier: MIT */
/*
 * Conditional nodes. A kernel sets a condition's value when it runs, so a launch can queue no
 * operation of a body beforehand: a thread for each conditional node that a launch comes to looks
 * at the value and runs the bodies in a stream of its own, while the launch's stream waits.
 */
#include <stdlib.h>

#include "tests/simcuda/driver/graph.h"

static struct pool condition_pool = POOL(struct sim_condition);

static void condition_put(struct sim_condition *c)
{
	if (c && atomic_fetch_sub(&c->refs, 1) == 1)
		pool_free(&condition_pool, c);
}

static struct sim_condition *condition_ref(struct sim_condition *c)
{
	if (c)
		atomic_fetch_add(&c->refs, 1);
	return c;
}

bool condition_set(void *ctx, uint64_t handle, uint32_t value)
{
	struct sim_condition *c = (struct sim_condition *)(uintptr_t)handle;

	if (!handle || !pool_live(&condition_pool, c) || c->ctx != ctx)
		return false;
	atomic_store(&c->value, value);
	return true;
}

/* ---- of graphs ---- */

static bool append(struct sim_graph *g, struct sim_condition *c)
{
	struct sim_condition **more =
		realloc(g->condition, (g->conditions + 1) * sizeof(*g->condition));

	if (!more)
		return false;
	g->condition = more;
	g->condition[g->conditions++] = c;
	return true;
}

bool conditions_copy(const struct sim_graph *from, struct sim_graph *to)
{
	for (uint32_t i = 0; i < from->conditions; i++) {
		if (!append(to, from->condition[i]))
			return false;
		condition_ref(from->condition[i]);
	}
	return true;
}

void conditions_release(struct sim_graph *g)
{
	for (uint32_t i = 0; i < g->conditions; i++) {
		if (atomic_load(&g->condition[i]->graph) == g)
			atomic_store(&g->condition[i]->graph, NULL);
		condition_put(g->condition[i]);
	}
	free(g->condition);
}

API(cuGraphConditionalHandleCreate, CUgraphConditionalHandle *out, CUgraph graph, CUcontext in,
    unsigned int value, unsigned int flags)
{
	struct sim_condition *c;
	struct sim_graph *g;

	ENTER();
	CURRENT(ctx);
	TRY(graph_get(graph, &g));
	if (!out || flags & ~(unsigned int)CU_GRAPH_COND_ASSIGN_DEFAULT)
		return CUDA_ERROR_INVALID_VALUE;
	if (in && !pool_live(&ctx_pool, in))
		return CUDA_ERROR_INVALID_CONTEXT;
	if (in)
		ctx = (struct sim_ctx *)in;
	c = pool_new(&condition_pool);
	if (!c || !append(g, c)) {
		if (c)
			pool_free(&condition_pool, c);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	atomic_store(&c->graph, g);
	c->ctx = ctx;
	c->refs = 1;
	c->first = value;
	c->has_first = flags & CU_GRAPH_COND_ASSIGN_DEFAULT;
	*out = (uintptr_t)c;
	return CUDA_SUCCESS;
}

/* ---- nodes ---- */

static bool has_size(CUgraphConditionalNodeType type, unsigned int size)
{
	switch (type) {
	case CU_GRAPH_COND_TYPE_IF:
		return size == 1 || size == 2;
	case CU_GRAPH_COND_TYPE_WHILE:
		return size == 1;
	case CU_GRAPH_COND_TYPE_SWITCH:
		return size > 0;
	default:
		return false;
	}
}

/* It is of this graph, or of one around it. */
static bool reaches(const struct sim_condition *c, const struct sim_graph *g)
{
	const struct sim_graph *owner = atomic_load(&c->graph);

	while (g && g != owner)
		g = g->parent;
	return g != NULL;
}

static bool make_bodies(struct sim_node *n, uint32_t count)
{
	n->body = calloc(count, sizeof(*n->body));
	if (!n->body)
		return false;
	for (; n->bodies < count; n->bodies++) {
		n->body[n->bodies] = graph_new();
		if (!n->body[n->bodies])
			return false;
		n->body[n->bodies]->parent = n->graph;
	}
	return true;
}

CUresult condition_node_add(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
			    CUDA_CONDITIONAL_NODE_PARAMS *p)
{
	struct sim_condition *c = (struct sim_condition *)(uintptr_t)p->handle;
	struct sim_graph *g;
	struct sim_node *n;

	TRY(graph_get(graph, &g));
	if (!p->handle || !pool_live(&condition_pool, c) || !reaches(c, g) ||
	    !has_size(p->type, p->size))
		return CUDA_ERROR_INVALID_VALUE;
	if (p->ctx && (struct sim_ctx *)p->ctx != c->ctx)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(graph_add_node(node, graph, deps, count, CU_GRAPH_NODE_TYPE_CONDITIONAL));
	n = (struct sim_node *)*node;
	if (!make_bodies(n, p->size)) {
		node_delete(n);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	n->condition = condition_ref(c);
	n->condition_type = p->type;
	p->phGraph_out = (CUgraph *)(void *)n->body;
	return CUDA_SUCCESS;
}

bool condition_node_copy(const struct sim_node *from, struct sim_node *to)
{
	to->condition = condition_ref(from->condition);
	to->condition_type = from->condition_type;
	if (!from->bodies)
		return true;
	to->body = calloc(from->bodies, sizeof(*to->body));
	for (; to->body && to->bodies < from->bodies; to->bodies++) {
		to->body[to->bodies] = graph_clone(from->body[to->bodies]);
		if (!to->body[to->bodies])
			return false;
		to->body[to->bodies]->parent = to->graph;
	}
	return to->body;
}

void condition_node_free(struct sim_node *n)
{
	for (uint32_t i = 0; i < n->bodies; i++)
		graph_delete(n->body[i]);
	free(n->body);
	condition_put(n->condition);
}

bool graph_has_conditions(const struct sim_graph *g)
{
	bool has = g->conditions;

	for (uint32_t i = 0; i < g->nodes && !has; i++)
		has = g->node[i]->condition ||
		      (g->node[i]->child && graph_has_conditions(g->node[i]->child));
	return has;
}

static bool uses(const struct sim_graph *g, const struct sim_condition *c)
{
	bool used = false;

	for (uint32_t i = 0; i < g->nodes && !used; i++) {
		const struct sim_node *n = g->node[i];

		used = n->condition == c || (n->child && uses(n->child, c));
		for (uint32_t k = 0; k < n->bodies && !used; k++)
			used = uses(n->body[k], c);
	}
	return used;
}

/* The kinds of nodes that a body may have. */
static bool may_be_inside(CUgraphNodeType type)
{
	return type == CU_GRAPH_NODE_TYPE_KERNEL || type == CU_GRAPH_NODE_TYPE_MEMCPY ||
	       type == CU_GRAPH_NODE_TYPE_MEMSET || type == CU_GRAPH_NODE_TYPE_GRAPH ||
	       type == CU_GRAPH_NODE_TYPE_EMPTY || type == CU_GRAPH_NODE_TYPE_CONDITIONAL;
}

static CUgraphInstantiateResult check(const struct sim_graph *g, bool inside)
{
	CUgraphInstantiateResult r = CUDA_GRAPH_INSTANTIATE_SUCCESS;

	for (uint32_t i = 0; i < g->conditions; i++) {
		if (!uses(g, g->condition[i]))
			return CUDA_GRAPH_INSTANTIATE_CONDITIONAL_HANDLE_UNUSED;
	}
	for (uint32_t i = 0; i < g->nodes && !r; i++) {
		const struct sim_node *n = g->node[i];

		if (inside && !may_be_inside(n->type))
			return CUDA_GRAPH_INSTANTIATE_NODE_OPERATION_NOT_SUPPORTED;
		if (n->child)
			r = check(n->child, inside);
		for (uint32_t k = 0; k < n->bodies && !r; k++)
			r = check(n->body[k], true);
	}
	return r;
}

CUgraphInstantiateResult conditions_check(const struct sim_graph *g)
{
	return check(g, false);
}

/* ---- launches ---- */

static void run_put(struct sim_graph *run)
{
	if (atomic_fetch_sub(&run->refs, 1) == 1)
		graph_delete(run);
}

void condition_done(struct op *op)
{
	run_put(op->condition.run);
}

static CUresult push(struct sim_graph *run, struct sim_node *n, struct sim_stream *s)
{
	struct op *op = op_new(OP_CONDITION, s, 0);

	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	atomic_fetch_add(&run->refs, 1);
	op->condition = (struct condition_op){run, n};
	op->of_graph = true;
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}

CUresult condition_node_run(struct sim_node *n, struct sim_stream *s)
{
	struct sim_graph *run = n->graph;

	while (run->parent)
		run = run->parent;
	return push(run, n, s);
}

static void set_first(const struct sim_graph *g)
{
	for (uint32_t i = 0; i < g->conditions; i++) {
		if (g->condition[i]->has_first)
			atomic_store(&g->condition[i]->value, g->condition[i]->first);
	}
	for (uint32_t i = 0; i < g->nodes; i++) {
		if (g->node[i]->child)
			set_first(g->node[i]->child);
		for (uint32_t k = 0; k < g->node[i]->bodies; k++)
			set_first(g->node[i]->body[k]);
	}
}

void condition_defaults(struct op *op)
{
	set_first(op->condition.run);
}

static struct sim_graph *chosen(const struct sim_node *n, uint32_t value)
{
	if (n->condition_type == CU_GRAPH_COND_TYPE_SWITCH)
		return value < n->bodies ? n->body[value] : NULL;
	if (value)
		return n->body[0];
	return n->bodies > 1 ? n->body[1] : NULL;
}

static CUresult run_bodies(const struct op *op, struct sim_stream *s)
{
	const struct sim_node *n = op->condition.node;
	struct sim_graph *body;

	do {
		body = chosen(n, atomic_load(&n->condition->value));
		if (body)
			TRY(graph_run(body, s));
		exec_stream_wait(s);
	} while (body && n->condition_type == CU_GRAPH_COND_TYPE_WHILE &&
		 ctx_error(op->ctx) == CUDA_SUCCESS && !atomic_load(&op->ctx->dying));
	return CUDA_SUCCESS;
}

static void *run_node(void *arg)
{
	struct op *op = arg;
	struct sim_stream *s = stream_inside(op->stream);
	CUresult r = CUDA_ERROR_OUT_OF_MEMORY;

	if (s) {
		r = run_bodies(op, s);
		exec_lock();
		stream_detach(s);
		exec_unlock();
	}
	if (r != CUDA_SUCCESS)
		ctx_fail(op->ctx, r);
	exec_finish(op);
	return NULL;
}

bool condition_submit(struct op *op)
{
	if (!sim_thread_start(run_node, op))
		return true;
	ctx_fail(op->ctx, CUDA_ERROR_OUT_OF_MEMORY);
	return false;
}

/* What only the instance needs goes at once: the rest may be freed where no lock can be taken. */
static void strip(struct sim_graph *run)
{
	users_release(run->users);
	run->users = NULL;
	for (uint32_t i = 0; i < run->nodes; i++) {
		if (run->node[i]->memory)
			graph_memory_put(run->node[i]->memory);
		run->node[i]->memory = NULL;
	}
}

CUresult graph_launch(struct sim_graph *g, struct sim_stream *s)
{
	struct sim_graph *run;
	CUresult r;

	if (!graph_has_conditions(g))
		return graph_run(g, s);
	run = graph_clone(g);
	if (!run)
		return CUDA_ERROR_OUT_OF_MEMORY;
	strip(run);
	run->refs = 1;
	r = push(run, NULL, s);
	if (r == CUDA_SUCCESS)
		r = graph_run(run, s);
	run_put(run);
	return r;
}
