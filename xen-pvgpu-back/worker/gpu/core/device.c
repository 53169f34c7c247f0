/* SPDX-License-Identifier: MIT */
/* The session's beginning, and its vGPU's fixed properties. */
#include <stdatomic.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define DRIVER_VERSION_MAX 13000 /* of the API that the guest's library speaks */

int handle_session_hello(struct worker *w, const struct pvgpu_in_session_hello *in,
			 struct pvgpu_out_session_hello *out)
{
	const struct far *far = worker_gpu(w)->far;

	if (in->version_min > PVGPU_PROTOCOL_VERSION || in->version_max < in->version_min)
		return CUDA_ERROR_SYSTEM_DRIVER_MISMATCH;
	out->version =
		in->version_max < PVGPU_PROTOCOL_VERSION ? in->version_max : PVGPU_PROTOCOL_VERSION;
	worker_gpu(w)->version = out->version;
	out->device_count = 1;
	out->features = in->features & PVGPU_FEATURE_ENDED;
	out->driver_version =
		far->driver_version < DRIVER_VERSION_MAX ? far->driver_version : DRIVER_VERSION_MAX;
	return 0;
}

int handle_session_windows(struct worker *w, const struct pvgpu_in_session_windows *in,
			   struct pvgpu_out_session_windows *out)
{
	struct gpu *g = worker_gpu(w);
	struct window *v = &g->mem.win;
	char reason[160];
	int r;

	/* Not only while objects are there: spare pages and frees under way outlive them. */
	if (g->settled || g->arena.chunks.count)
		return CUDA_ERROR_NOT_PERMITTED;
	if (in->attempt != v->attempt &&
	    window_reserve(g, in->attempt, worker_info(w)->window_size, reason, sizeof(reason))) {
		worker_log(w, "%s", reason);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	r = arena_reserve(w, in->attempt, &out->arena_base, &out->arena_size);
	if (r)
		return CUDA_ERROR_OUT_OF_MEMORY;
	g->decode.arena_base = out->arena_base;
	g->decode.arena_size = out->arena_size;
	out->device_base = v->base;
	out->device_size = v->size;
	return 0;
}

/* Facilities that pvgpu does not forward: programs must not believe in them. */
static const CUdevice_attribute masked[] = {
	CU_DEVICE_ATTRIBUTE_MANAGED_MEMORY,
	CU_DEVICE_ATTRIBUTE_CONCURRENT_MANAGED_ACCESS,
	CU_DEVICE_ATTRIBUTE_DIRECT_MANAGED_MEM_ACCESS_FROM_HOST,
	CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS,
	CU_DEVICE_ATTRIBUTE_PAGEABLE_MEMORY_ACCESS_USES_HOST_PAGE_TABLES,
	CU_DEVICE_ATTRIBUTE_HOST_NATIVE_ATOMIC_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_CAN_USE_HOST_POINTER_FOR_REGISTERED_MEM,
	CU_DEVICE_ATTRIBUTE_HOST_REGISTER_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_READ_ONLY_HOST_REGISTER_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_NUMA_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_NUMA_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HOST_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_WIN32_HANDLE_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_WIN32_KMT_HANDLE_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_HANDLE_TYPE_FABRIC_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MEMPOOL_SUPPORTED_HANDLE_TYPES,
	CU_DEVICE_ATTRIBUTE_DEFERRED_MAPPING_CUDA_ARRAY_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_SPARSE_CUDA_ARRAY_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_GENERIC_COMPRESSION_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_WITH_CUDA_VMM_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_GPU_DIRECT_RDMA_FLUSH_WRITES_OPTIONS,
	CU_DEVICE_ATTRIBUTE_DMA_BUF_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_MULTICAST_SUPPORTED,
	CU_DEVICE_ATTRIBUTE_COOPERATIVE_MULTI_DEVICE_LAUNCH,
	CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_ALGORITHM_MASK,
	CU_DEVICE_ATTRIBUTE_MEM_DECOMPRESS_MAXIMUM_LENGTH,
	CU_DEVICE_ATTRIBUTE_MPS_ENABLED,
	CU_DEVICE_ATTRIBUTE_UNIFIED_FUNCTION_POINTERS,
	CU_DEVICE_ATTRIBUTE_NUMA_CONFIG,
};

/* Where the arena is not registered, kernels cannot reach host memory. */
static const CUdevice_attribute zero_copy_only[] = {
	CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY,
};

static bool is_masked(int attr, bool zero_copy)
{
	for (size_t i = 0; !zero_copy && i < sizeof(zero_copy_only) / sizeof(zero_copy_only[0]);
	     i++) {
		if (zero_copy_only[i] == (CUdevice_attribute)attr)
			return true;
	}
	for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
		if (masked[i] == (CUdevice_attribute)attr)
			return true;
	}
	return false;
}

static void attributes(const struct far *far, struct pvgpu_device_attr *to, bool zero_copy)
{
	for (int i = 0; i < PVGPU_ATTRS_MAX; i++) {
		int value = 0;

		to[i].result =
			i ? (int)far->cuDeviceGetAttribute(&value, (CUdevice_attribute)i, far->dev)
			  : CUDA_ERROR_INVALID_VALUE;
		to[i].value = to[i].result || is_masked(i, zero_copy) ? 0 : value;
	}
	/* A vGPU has a process to itself as far as it can see. */
	if (!to[CU_DEVICE_ATTRIBUTE_COMPUTE_MODE].result)
		to[CU_DEVICE_ATTRIBUTE_COMPUTE_MODE].value = CU_COMPUTEMODE_DEFAULT;
}

int handle_device_snapshot(struct worker *w, const struct pvgpu_in_device_snapshot *in,
			   struct pvgpu_out_device_snapshot *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	struct pvgpu_device_attr *attrs = (struct pvgpu_device_attr *)g->scratch;
	char *text = (char *)(attrs + PVGPU_ATTRS_MAX);
	uint64_t left;
	int r;

	if (in->device)
		return CUDA_ERROR_INVALID_DEVICE;
	attributes(far, attrs, worker_info(w)->zero_copy);
	/* Guests are told one granularity: vmm.c. */
	if (g->mem.win.page != PVGPU_ALLOC_PAGE)
		attrs[CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED].value = 0;
	memset(text, 0, 256 + 32 + 16);
	r = (int)far->cuDeviceGetName(text, 256, far->dev);
	if (!r)
		r = (int)far->cuDeviceGetPCIBusId(text + 256, 32, far->dev);
	if (!r)
		r = (int)far->cuDeviceGetUuid_v2((CUuuid *)(text + 288), far->dev);
	if (r)
		return r;
	lease_info(w, &left, &out->total_mem);
	out->attrs = attrs;
	out->attrs_len = PVGPU_ATTRS_MAX * sizeof(*attrs);
	out->name = text;
	out->name_len = (uint32_t)strnlen(text, 256);
	out->pci_bus_id = text + 256;
	out->pci_bus_id_len = (uint32_t)strnlen(text + 256, 32);
	out->uuid = text + 288;
	out->uuid_len = 16;
	return 0;
}

int handle_mem_info(struct worker *w, const struct pvgpu_in_mem_info *in,
		    struct pvgpu_out_mem_info *out)
{
	struct ctx *c = in->ctx;
	int r = obj_error(c);

	if (!r)
		r = atomic_load(&c->sticky);
	if (r)
		return r;
	mem_info(worker_gpu(w), &out->free, &out->total);
	return 0;
}
