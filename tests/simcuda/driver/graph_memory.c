/* SPDX-License-Identifier: MIT */
/*
 * Memory nodes. The memory of an allocation node is there from the node's making until the last
 * graph with it, or instance of one, is gone: its address never changes, and freeing it is only
 * noted.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

struct graph_memory {
	uint64_t addr, size;
	uint32_t refs;
	struct graph_memory *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct graph_memory *all;
static uint64_t used, high;

CUresult graph_memory_new(struct sim_ctx *ctx, size_t size, struct graph_memory **out)
{
	struct graph_memory *m = calloc(1, sizeof(*m));
	CUresult r;

	if (!m)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = memory_alloc(ctx, size, &m->addr);
	if (r) {
		free(m);
		return r;
	}
	m->size = size;
	m->refs = 1;
	pthread_mutex_lock(&lock);
	m->next = all;
	all = m;
	used += size;
	high = used > high ? used : high;
	pthread_mutex_unlock(&lock);
	*out = m;
	return CUDA_SUCCESS;
}

struct graph_memory *graph_memory_ref(struct graph_memory *m)
{
	pthread_mutex_lock(&lock);
	m->refs++;
	pthread_mutex_unlock(&lock);
	return m;
}

void graph_memory_put(struct graph_memory *m)
{
	struct graph_memory **p = &all;
	bool last;

	pthread_mutex_lock(&lock);
	last = !--m->refs;
	if (last) {
		while (*p != m)
			p = &(*p)->next;
		*p = m->next;
		used -= m->size;
	}
	pthread_mutex_unlock(&lock);
	if (!last)
		return;
	memory_free(m->addr);
	free(m);
}

uint64_t graph_memory_addr(const struct graph_memory *m)
{
	return m->addr;
}

bool graph_memory_is(uint64_t addr)
{
	struct graph_memory *m;

	pthread_mutex_lock(&lock);
	for (m = all; m && m->addr != addr; m = m->next)
		;
	pthread_mutex_unlock(&lock);
	return m != NULL;
}

bool graph_has_memory(const struct sim_graph *g)
{
	for (uint32_t i = 0; i < g->nodes; i++)
		if (g->node[i]->memory || g->node[i]->freed)
			return true;
	return false;
}

bool graph_frees(const struct sim_graph *g, uint64_t addr)
{
	for (uint32_t i = 0; i < g->nodes; i++)
		if (g->node[i]->freed == addr)
			return true;
	return false;
}

static CUresult check_params(const CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
	if (!p || !p->bytesize || (p->accessDescCount && !p->accessDescs) ||
	    p->poolProps.allocType != CU_MEM_ALLOCATION_TYPE_PINNED ||
	    p->poolProps.location.type != CU_MEM_LOCATION_TYPE_DEVICE ||
	    !device_is_valid(p->poolProps.location.id))
		return CUDA_ERROR_INVALID_VALUE;
	return p->poolProps.handleTypes ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

API(cuGraphAddMemAllocNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    CUDA_MEM_ALLOC_NODE_PARAMS *params)
{
	struct graph_memory *m;
	struct sim_node *n;
	CUresult r;

	ENTER();
	CURRENT(ctx);
	TRY(check_params(params));
	TRY(graph_memory_new(ctx, params->bytesize, &m));
	r = graph_add_node(node, graph, deps, count, CU_GRAPH_NODE_TYPE_MEM_ALLOC);
	if (r) {
		graph_memory_put(m);
		return r;
	}
	n = (struct sim_node *)*node;
	n->memory = m;
	params->dptr = m->addr;
	return CUDA_SUCCESS;
}

API(cuGraphMemAllocNodeGetParams, CUgraphNode node, CUDA_MEM_ALLOC_NODE_PARAMS *p)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (!p || n->type != CU_GRAPH_NODE_TYPE_MEM_ALLOC)
		return CUDA_ERROR_INVALID_VALUE;
	memset(p, 0, sizeof(*p));
	p->poolProps.allocType = CU_MEM_ALLOCATION_TYPE_PINNED;
	p->poolProps.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
	p->bytesize = n->memory->size;
	p->dptr = n->memory->addr;
	return CUDA_SUCCESS;
}

API(cuGraphAddMemFreeNode, CUgraphNode *node, CUgraph graph, const CUgraphNode *deps, size_t count,
    CUdeviceptr addr)
{
	struct sim_graph *g;

	ENTER();
	TRY(graph_get(graph, &g));
	if (g->parent)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!graph_memory_is(addr) || graph_frees(g, addr))
		return CUDA_ERROR_INVALID_VALUE;
	TRY(graph_add_node(node, graph, deps, count, CU_GRAPH_NODE_TYPE_MEM_FREE));
	((struct sim_node *)*node)->freed = addr;
	return CUDA_SUCCESS;
}

API(cuGraphMemFreeNodeGetParams, CUgraphNode node, CUdeviceptr *addr)
{
	struct sim_node *n;

	ENTER();
	TRY(node_get(node, &n));
	if (!addr || n->type != CU_GRAPH_NODE_TYPE_MEM_FREE)
		return CUDA_ERROR_INVALID_VALUE;
	*addr = n->freed;
	return CUDA_SUCCESS;
}

API(cuDeviceGetGraphMemAttribute, CUdevice dev, CUgraphMem_attribute attr, void *value)
{
	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value || (unsigned int)attr > CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	*(cuuint64_t *)value = attr == CU_GRAPH_MEM_ATTR_USED_MEM_CURRENT ||
					       attr == CU_GRAPH_MEM_ATTR_RESERVED_MEM_CURRENT
				       ? used
				       : high;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

API(cuDeviceSetGraphMemAttribute, CUdevice dev, CUgraphMem_attribute attr, void *value)
{
	ENTER();
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value || *(cuuint64_t *)value ||
	    (attr != CU_GRAPH_MEM_ATTR_USED_MEM_HIGH &&
	     attr != CU_GRAPH_MEM_ATTR_RESERVED_MEM_HIGH))
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&lock);
	high = used;
	pthread_mutex_unlock(&lock);
	return CUDA_SUCCESS;
}

API(cuDeviceGraphMemTrim, CUdevice dev)
{
	ENTER();
	return device_is_valid(dev) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_DEVICE;
}
