/* SPDX-License-Identifier: MIT */
/*
 * Attributes of kernels' nodes. Those that the simulated GPU has a use for, cooperative launch,
 * clusters and priority, are the operation's; the others are kept and read back.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/graph.h"

#define BIT(id) (1u << (id))
/* What a node can have; the rest are of launches or of streams. */
#define OF_NODES                                                                                   \
	(BIT(CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW) | BIT(CU_LAUNCH_ATTRIBUTE_COOPERATIVE) |    \
	 BIT(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION) |                                              \
	 BIT(CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE) |                           \
	 BIT(CU_LAUNCH_ATTRIBUTE_PRIORITY) | BIT(CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP) |        \
	 BIT(CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN) |                                                \
	 BIT(CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION) |                                    \
	 BIT(CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT))

bool attrs_copy(const struct sim_node *from, struct sim_node *to)
{
	struct node_attrs *copy = NULL;

	if (from->attrs) {
		copy = malloc(sizeof(*copy));
		if (!copy)
			return false;
		*copy = *from->attrs;
	}
	free(to->attrs);
	to->attrs = copy;
	return true;
}

/* size: as asked for, zeros for none. */
static CUresult check_cluster(const struct kernel_op *k, uint32_t size[3])
{
	struct sim_func *f;

	TRY(func_get(k->func, &f));
	return cluster_check(k->launch.kernel, &f->set, k->grid, size);
}

static CUresult set_cluster(struct kernel_op *k, const uint32_t size[3])
{
	uint32_t checked[3];

	memcpy(checked, size, sizeof(checked));
	TRY(check_cluster(k, checked));
	cluster_apply(k, checked);
	return CUDA_SUCCESS;
}

CUresult attrs_apply(struct sim_node *n)
{
	const struct node_attrs *a = n->attrs;
	uint32_t size[3];

	if (!a)
		return CUDA_SUCCESS;
	if (a->given & BIT(CU_LAUNCH_ATTRIBUTE_COOPERATIVE))
		n->op->kernel.cooperative = a->value[CU_LAUNCH_ATTRIBUTE_COOPERATIVE].cooperative;
	if (a->given & BIT(CU_LAUNCH_ATTRIBUTE_PRIORITY))
		n->op->kernel.priority = a->value[CU_LAUNCH_ATTRIBUTE_PRIORITY].priority;
	if (!(a->given & BIT(CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)))
		return CUDA_SUCCESS;
	memcpy(size, &a->value[CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION].clusterDim, sizeof(size));
	return set_cluster(&n->op->kernel, size);
}

static CUresult find(CUgraphNode node, CUlaunchAttributeID id, const void *value,
		     struct sim_node **n)
{
	TRY(node_get(node, n));
	if ((*n)->type != CU_GRAPH_NODE_TYPE_KERNEL || !value)
		return CUDA_ERROR_INVALID_VALUE;
	if (id == CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE)
		return CUDA_ERROR_NOT_SUPPORTED;
	return (unsigned int)id < 32 && OF_NODES & BIT(id) ? CUDA_SUCCESS
							   : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphKernelNodeGetAttribute, CUgraphNode node, CUkernelNodeAttrID id,
    CUkernelNodeAttrValue *value)
{
	struct sim_node *n;

	ENTER();
	TRY(find(node, id, value, &n));
	memset(value, 0, sizeof(*value));
	if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
		value->cooperative = n->op->kernel.cooperative;
	else if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
		value->priority = n->op->kernel.priority;
	else if (id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
		memcpy(&value->clusterDim, n->op->kernel.launch.cluster, sizeof(value->clusterDim));
	else if (n->attrs && n->attrs->given & BIT(id))
		*value = n->attrs->value[id];
	else if (id == CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP)
		value->memSyncDomainMap.remote = 1;
	return CUDA_SUCCESS;
}

static CUresult check_window(const CUaccessPolicyWindow *w)
{
	const uint64_t at = (uintptr_t)w->base_ptr;
	struct range r;

	if (!w->num_bytes)
		return CUDA_SUCCESS; /* none from here on */
	if (!(w->hitRatio >= 0 && w->hitRatio <= 1) ||
	    (unsigned int)w->hitProp > CU_ACCESS_PROPERTY_PERSISTING ||
	    (unsigned int)w->missProp > CU_ACCESS_PROPERTY_STREAMING)
		return CUDA_ERROR_INVALID_VALUE;
	if (!range_find(at, &r) || w->num_bytes > r.base + r.size - at)
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}

static CUresult check_cooperative(const struct kernel_op *k)
{
	const uint64_t fit = (uint64_t)occupancy_blocks(k->launch.kernel, k->threads, k->shared) *
			     sim_config.sms;

	return k->total * k->blocks > fit ? CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE : CUDA_SUCCESS;
}

static CUresult check(const struct sim_node *n, CUkernelNodeAttrID id,
		      const CUkernelNodeAttrValue *v)
{
	uint32_t size[3];
	bool ok = true;

	switch ((int)id) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
		return check_window(&v->accessPolicyWindow);
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		return v->cooperative ? check_cooperative(&n->op->kernel) : CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		memcpy(size, &v->clusterDim, sizeof(size));
		return check_cluster(&n->op->kernel, size);
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		ok = (unsigned int)v->clusterSchedulingPolicyPreference <=
		     CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING;
		break;
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		ok = (unsigned int)v->memSyncDomain <= CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE;
		break;
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		ok = v->sharedMemCarveout <= 100 || v->sharedMemCarveout == UINT32_MAX;
		break;
	default:
		break;
	}
	return ok ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphKernelNodeSetAttribute, CUgraphNode node, CUkernelNodeAttrID id,
    const CUkernelNodeAttrValue *value)
{
	CUlaunchAttributeValue *v;
	struct sim_node *n;

	ENTER();
	TRY(find(node, id, value, &n));
	TRY(check(n, id, value));
	if (!n->attrs)
		n->attrs = calloc(1, sizeof(*n->attrs));
	if (!n->attrs)
		return CUDA_ERROR_OUT_OF_MEMORY;
	v = &n->attrs->value[id];
	*v = *value;
	if (id == CU_LAUNCH_ATTRIBUTE_COOPERATIVE)
		v->cooperative = v->cooperative != 0;
	if (id == CU_LAUNCH_ATTRIBUTE_PRIORITY)
		v->priority = v->priority < -5 ? -5 : v->priority > 0 ? 0 : v->priority;
	n->attrs->given |= BIT(id);
	return attrs_apply(n);
}

API(cuGraphKernelNodeCopyAttributes, CUgraphNode to, CUgraphNode from)
{
	struct sim_node *dst, *src;

	ENTER();
	TRY(node_get(to, &dst));
	TRY(node_get(from, &src));
	if (dst->type != CU_GRAPH_NODE_TYPE_KERNEL || src->type != CU_GRAPH_NODE_TYPE_KERNEL)
		return CUDA_ERROR_INVALID_VALUE;
	if (src->op->kernel.cooperative)
		TRY(check_cooperative(&dst->op->kernel));
	if (dst == src)
		return CUDA_SUCCESS;
	TRY(set_cluster(&dst->op->kernel, src->op->kernel.launch.cluster));
	if (!attrs_copy(src, dst))
		return CUDA_ERROR_OUT_OF_MEMORY;
	/* Of a captured launch they are the operation's alone. */
	dst->op->kernel.cooperative = src->op->kernel.cooperative;
	dst->op->kernel.priority = src->op->kernel.priority;
	return CUDA_SUCCESS;
}

/* ---- nodes of an instance that are not run ---- */

static CUresult in_exec(CUgraphExec exec, CUgraphNode node, struct sim_node **out)
{
	struct sim_node *n;

	TRY(node_get(node, &n));
	TRY(graph_in_exec(exec, node, n->type, out));
	return n->type <= CU_GRAPH_NODE_TYPE_MEMSET ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuGraphNodeSetEnabled, CUgraphExec exec, CUgraphNode node, unsigned int enabled)
{
	struct sim_node *n;

	ENTER();
	TRY(in_exec(exec, node, &n));
	n->off = !enabled;
	return CUDA_SUCCESS;
}

API(cuGraphNodeGetEnabled, CUgraphExec exec, CUgraphNode node, unsigned int *enabled)
{
	struct sim_node *n;

	ENTER();
	TRY(in_exec(exec, node, &n));
	if (!enabled)
		return CUDA_ERROR_INVALID_VALUE;
	*enabled = !n->off;
	return CUDA_SUCCESS;
}
