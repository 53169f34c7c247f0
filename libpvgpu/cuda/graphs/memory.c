/* SPDX-License-Identifier: MIT */
/*
 * Memory nodes. The memory is the guest's to arrange: it is allocated when the node is made, and
 * belongs to the graph and its instances until the last of them is gone, so that the address never
 * changes and a launch names no memory. At the far end the node is an empty one, which keeps the
 * order.
 */
#include "cuda/core/above.h"
#include "cuda/core/capture.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/graphs/graph.h"
#include "cuda/memory/memory_map.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_stubs.h"

struct mem_node {
	struct mem_node *next;
	uint32_t number;
	CUgraphNodeType type;
	uint64_t addr, bytes;
	int device;
};

struct allocation {
	uint64_t addr, id, bytes; /* id: the range's, which no other has */
};

static _Atomic uint64_t used, high;

static void count_up(uint64_t bytes)
{
	const uint64_t now = atomic_fetch_add(&used, bytes) + bytes;
	uint64_t most = atomic_load(&high);

	while (now > most && !atomic_compare_exchange_weak(&high, &most, now))
		;
}

/* The last graph with it is gone. A context that was destroyed has taken it along. */
static void CUDA_CB give_back(void *what)
{
	struct allocation *a = what;
	struct range range;

	atomic_fetch_sub(&used, a->bytes);
	if (session() && range_find_device(a->addr, &range) && range.id == a->id &&
	    range_remove(a->addr, RANGE_DEVICE, &range))
		pvgpu_do_mem_free(session(), range.ctx->o.wire, a->addr);
	free(a);
}

static int allocate(struct graph *g, struct ctx *c, uint64_t bytes, uint64_t *addr)
{
	struct range range = {
		.size = bytes, .kind = RANGE_DEVICE, .flags = RANGE_OF_GRAPH, .ctx = c};
	struct allocation *a = malloc(sizeof(*a));
	unsigned int tries = 0;
	bool held;
	int r;

	if (!a)
		return CUDA_ERROR_OUT_OF_MEMORY;
	do {
		r = pvgpu_do_mem_alloc(session(), c->o.wire, bytes, &range.base);
	} while (r == CUDA_ERROR_OUT_OF_MEMORY && pool_reclaim(&tries));
	r = ctx_result(c, r);
	if (r) {
		free(a);
		return r;
	}
	r = range_add(&range);
	if (r) {
		pvgpu_do_mem_free(session(), c->o.wire, range.base);
		free(a);
		return r;
	}
	*addr = range.base;
	range_find_device(range.base, &range);
	*a = (struct allocation){range.base, range.id, bytes};
	count_up(bytes);
	pthread_mutex_lock(&g->lock);
	held = held_add(&g->held, &(struct held_add){HELD_MEMORY, give_back, a, 0, 0});
	pthread_mutex_unlock(&g->lock);
	if (!held)
		give_back(a);
	return held ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

/* Under g->lock. */
static struct mem_node *node_of(const struct graph *g, uint32_t number)
{
	struct mem_node *n = g->memory;

	while (n && n->number != number)
		n = n->next;
	return n;
}

static bool frees(struct graph *g, uint64_t addr)
{
	struct mem_node *n;

	pthread_mutex_lock(&g->lock);
	n = g->memory;
	while (n && (n->addr != addr || n->type != CU_GRAPH_NODE_TYPE_MEM_FREE))
		n = n->next;
	pthread_mutex_unlock(&g->lock);
	return n;
}

bool memory_node_type(struct graph *g, uint32_t number, CUgraphNodeType *type)
{
	struct mem_node *n;

	pthread_mutex_lock(&g->lock);
	n = node_of(g, number);
	if (n && type)
		*type = n->type;
	pthread_mutex_unlock(&g->lock);
	return n;
}

void memory_nodes_free(struct graph *g)
{
	while (g->memory) {
		struct mem_node *n = g->memory;

		g->memory = n->next;
		free(n);
	}
}

/* Is it the memory of a graph? */
static bool of_graph(uint64_t addr)
{
	struct range range;

	return addr && range_find_device(addr, &range) && range.base == addr &&
	       range.kind == RANGE_DEVICE && range.flags & RANGE_OF_GRAPH;
}

int graph_add_empty(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count,
		    uint32_t *number)
{
	const struct pvgpu_graph_node is = {.kind = CU_GRAPH_NODE_TYPE_EMPTY};

	graph_changes(g);
	return pvgpu_do_graph_add(session(), c->o.wire, g->o.wire, &is, sizeof(is), NULL, 0, deps,
				  count * (uint32_t)sizeof(*deps), number);
}

/* An allocation's (bytes) or a free's node, behind others; *addr is set, or says what is freed. */
static int add(struct ctx *c, struct graph *g, const uint32_t *deps, uint32_t count, uint64_t bytes,
	       uint64_t *addr, uint32_t *number)
{
	struct mem_node *n = malloc(sizeof(*n));
	int r = n ? 0 : CUDA_ERROR_OUT_OF_MEMORY;

	if (!r && bytes)
		r = allocate(g, c, bytes, addr);
	if (!r)
		r = graph_add_empty(c, g, deps, count, number);
	if (r) {
		free(n);
		return r;
	}
	*n = (struct mem_node){.number = *number,
			       .type = bytes ? CU_GRAPH_NODE_TYPE_MEM_ALLOC
					     : CU_GRAPH_NODE_TYPE_MEM_FREE,
			       .addr = *addr,
			       .bytes = bytes,
			       .device = c->device};
	pthread_mutex_lock(&g->lock);
	n->next = g->memory;
	g->memory = n;
	pthread_mutex_unlock(&g->lock);
	return 0;
}

/* ---- in a capture ---- */

static int captured(const struct target *t, uint64_t bytes, uint64_t *addr)
{
	uint32_t deps[PVGPU_GRAPH_DEPS_MAX], count, number = 0;
	struct graph *g = capture_graph(t);
	int r;

	if (!g)
		return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
	if (g->parent)
		return capture_refuse(t);
	if (!bytes && frees(g, *addr))
		return CUDA_ERROR_INVALID_VALUE;
	r = capture_deps(t, g, deps, &count);
	if (!r)
		r = add(t->ctx, g, deps, count, bytes, addr, &number);
	return r ? r : capture_set_deps(t, g, CU_STREAM_SET_CAPTURE_DEPENDENCIES, &number, 1);
}

int graph_memory_alloc(const struct target *t, uint64_t bytes, CUdeviceptr *out)
{
	uint64_t addr = 0;
	const int r = out && bytes ? captured(t, bytes, &addr) : CUDA_ERROR_INVALID_VALUE;

	if (!r)
		*out = addr;
	return r;
}

int graph_memory_free(const struct target *t, uint64_t addr)
{
	return of_graph(addr) ? captured(t, 0, &addr) : capture_refuse(t);
}

/* ---- nodes ---- */

static int place(CUgraph graph, const CUgraphNode *deps, size_t count, const void *out,
		 struct graph **g, struct ctx **c, uint32_t *numbers)
{
	const int r = ctx_enter(c);

	if (r)
		return r;
	*g = graph_find(graph);
	if (*g && (*g)->parent)
		return CUDA_ERROR_NOT_SUPPORTED; /* as with the driver, no memory inside of a node
						  */
	return *g && out ? node_numbers(*g, deps, count, numbers) : CUDA_ERROR_INVALID_VALUE;
}

static int check_params(const CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
	if (!p || !p->bytesize || (p->accessDescCount && !p->accessDescs) ||
	    p->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
	    p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !device_at(p->poolProps.location.id))
		return CUDA_ERROR_INVALID_VALUE;
	return p->poolProps.handleTypes ? CUDA_ERROR_NOT_SUPPORTED : 0;
}

PUBLIC CUresult cuGraphAddMemAllocNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				       size_t count, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], number = 0;
	uint64_t addr = 0;
	struct graph *g;
	struct ctx *c;
	int r = place(graph, deps, count, node, &g, &c, numbers);

	if (!r)
		r = check_params(params);
	if (!r)
		r = add(c, g, numbers, (uint32_t)count, params->bytesize, &addr, &number);
	if (r)
		return r;
	params->dptr = addr;
	*node = node_handle(g, number);
	return 0;
}

PUBLIC CUresult cuGraphAddMemFreeNode(CUgraphNode *node, CUgraph graph, const CUgraphNode *deps,
				      size_t count, CUdeviceptr addr)
{
	uint32_t numbers[PVGPU_GRAPH_DEPS_MAX], number = 0;
	uint64_t freed = addr;
	struct graph *g;
	struct ctx *c;
	int r = place(graph, deps, count, node, &g, &c, numbers);

	if (!r && (!of_graph(addr) || frees(g, addr)))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = add(c, g, numbers, (uint32_t)count, 0, &freed, &number);
	if (!r)
		*node = node_handle(g, number);
	return r;
}

/* Its memory, and which of the two it is; an error for nodes of other types. */
static int get(CUgraphNode node, CUgraphNodeType type, const void *out, struct mem_node *is)
{
	struct mem_node *n;
	struct graph *g;
	uint32_t number;
	struct ctx *c;
	const int r = node_enter(node, &g, &number, &c);

	if (r)
		return r;
	pthread_mutex_lock(&g->lock);
	n = node_of(g, number);
	if (n)
		*is = *n;
	pthread_mutex_unlock(&g->lock);
	return n && out && is->type == type ? 0 : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuGraphMemAllocNodeGetParams(CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
	struct mem_node n;
	const int r = get(node, CU_GRAPH_NODE_TYPE_MEM_ALLOC, params, &n);

	if (r)
		return r;
	memset(params, 0, sizeof(*params));
	params->poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
	params->poolProps.location = (CUmemLocation){CU_MEM_LOCATION_TYPE_DEVICE, n.device};
	params->bytesize = n.bytes;
	params->dptr = n.addr;
	return 0;
}

PUBLIC CUresult cuGraphMemFreeNodeGetParams(CUgraphNode node, CUdeviceptr *addr)
{
	struct mem_node n;
	const int r = get(node, CU_GRAPH_NODE_TYPE_MEM_FREE, addr, &n);

	if (!r)
		*addr = n.addr;
	return r;
}

/* ---- how much it is ---- */

static int enter_device(CUdevice dev)
{
	const int r = guest_enter();

	if (r)
		return r;
	return device_at(dev) ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuDeviceGetGraphMemAttribute(CUdevice dev, CUgraphMem_attribute attr, void *value)
{
	const int r = enter_device(dev);

	if (r)
		return r;
	if (!value || (unsigned int)attr > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
		return CUDA_ERROR_INVALID_VALUE;
	*(cuuint64_t *)value = attr == CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT ||
					       attr == CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT
				       ? atomic_load(&used)
				       : atomic_load(&high);
	return 0;
}

PUBLIC CUresult cuDeviceSetGraphMemAttribute(CUdevice dev, CUgraphMem_attribute attr, void *value)
{
	const int r = enter_device(dev);

	if (r)
		return r;
	if (!value || *(cuuint64_t *)value ||
	    (attr != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH &&
	     attr != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
		return CUDA_ERROR_INVALID_VALUE;
	atomic_store(&high, atomic_load(&used));
	return 0;
}

PUBLIC CUresult cuDeviceGraphMemTrim(CUdevice dev)
{
	return enter_device(dev);
}
