/* SPDX-License-Identifier: MIT */
/*
 * Attributes of a launch: what pvgpu does with each. The guest's libcuda and the worker both ask
 * here, so that nothing that one lets pass is refused by the other: such a launch would be lost,
 * and its error seen at the next synchronising call only.
 */
#ifndef PVGPU_CUDA_LAUNCH_H
#define PVGPU_CUDA_LAUNCH_H

#include <cuda.h>
#include <stdbool.h>

/* Of one launch, those left out not counted: as many as its command can carry. */
enum { PVGPU_LAUNCH_ATTRS_MAX = 28 };

static inline bool pvgpu_launch_window_ok(const CUaccessPolicyWindow *w)
{
	return w->num_bytes && w->hitRatio >= 0 && w->hitRatio <= 1 &&
	       (unsigned int)w->hitProp <= CU_ACCESS_PROPERTY_PERSISTING &&
	       (unsigned int)w->missProp <= CU_ACCESS_PROPERTY_STREAMING;
}

/* A preferred size of clusters: none at all, or one in each direction. */
static inline CUresult pvgpu_preferred_cluster_check(const CUlaunchAttributeValue *v)
{
	const bool x = v->preferredClusterDim.x, y = v->preferredClusterDim.y;
	const bool z = v->preferredClusterDim.z;

	return x == y && y == z ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CLUSTER_SIZE;
}

/*
 * 0, or the result of a launch with this attribute. *sent: it goes to the driver; a hint that has
 * no meaning there is left out. The caller checks values that depend on the device or on memory.
 */
static inline CUresult pvgpu_launch_attr_check(const CUlaunchAttribute *a, bool *sent)
{
	const CUlaunchAttributeValue *v = &a->value;

	*sent = true;
	switch ((unsigned int)a->id) {
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
		return pvgpu_preferred_cluster_check(v);
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		return v->clusterDim.x && v->clusterDim.y && v->clusterDim.z
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_CLUSTER_SIZE;
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
		*sent = pvgpu_launch_window_ok(&v->accessPolicyWindow);
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		return (unsigned int)v->clusterSchedulingPolicyPreference <=
				       CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		*sent = (unsigned int)v->memSyncDomain <= CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		*sent = v->sharedMemCarveout <= 100;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_IGNORE:
	case CU_LAUNCH_ATTRIBUTE_NVLINK_UTIL_CENTRIC_SCHEDULING: /* unknown to older drivers */
		*sent = false;
		return CUDA_SUCCESS;
	/* These name objects of the guest's process. */
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
		return v->programmaticEvent.event ? CUDA_ERROR_NOT_SUPPORTED
						  : CUDA_ERROR_INVALID_HANDLE;
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
		return v->launchCompletionEvent.event ? CUDA_ERROR_NOT_SUPPORTED
						      : CUDA_ERROR_INVALID_HANDLE;
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		return CUDA_ERROR_NOT_SUPPORTED;
	default: /* CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY is a stream's only */
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* The same for an attribute of a kernel's node; value NULL: it is asked for. Whether a window is of
 * the session's memory is for the worker to say. */
static inline CUresult pvgpu_node_attr_check(CUlaunchAttributeID id,
					     const CUlaunchAttributeValue *value)
{
	const CUaccessPolicyWindow *w = value ? &value->accessPolicyWindow : NULL;

	switch ((unsigned int)id) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
		return !w || !w->num_bytes || pvgpu_launch_window_ok(w) ? CUDA_SUCCESS
									: CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		return CUDA_SUCCESS;
	/* It gives out a handle for kernels, which change nodes past the gate. */
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

/* The same for an attribute of a stream. A window without bytes is none. */
static inline CUresult pvgpu_stream_attr_check(CUlaunchAttributeID id,
					       const CUlaunchAttributeValue *value)
{
	switch ((unsigned int)id) {
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
		return !value->accessPolicyWindow.num_bytes ||
				       pvgpu_launch_window_ok(&value->accessPolicyWindow)
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_SYNCHRONIZATION_POLICY:
		return (unsigned int)value->syncPolicy - CU_SYNC_POLICY_AUTO <
				       CU_SYNC_POLICY_BLOCKING_SYNC
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
		return (unsigned int)value->memSyncDomain <= CU_LAUNCH_MEM_SYNC_DOMAIN_REMOTE
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

#endif
