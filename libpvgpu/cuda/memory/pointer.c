/* SPDX-License-Identifier: MIT */
/* Queries of addresses. */
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/public.h"
#include "cuda/memory/managed.h"
#include "cuda/memory/memory_map.h"
#include "cuda/memory/pool.h"

#include <string.h>

static bool find(uint64_t addr, struct range *out)
{
	return range_find_device(addr, out) || range_find_host(addr, out);
}

static bool on_device(const struct range *r)
{
	return r->kind == RANGE_DEVICE || r->kind == RANGE_GLOBAL || r->kind == RANGE_MAPPED;
}

static bool mapped(const struct range *r)
{
	/* Of a managed variable, which belongs to no context, the device knows. */
	return r->kind == RANGE_PINNED &&
	       (!r->ctx || device_value(r->ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY));
}

#define GIVE(type, v)                                                                              \
	do {                                                                                       \
		*(type *)value = (v);                                                              \
		return 0;                                                                          \
	} while (0)

enum { ACCESS_READ_WRITE = 3 }; /* of CU_POINTER_ATTRIBUTE_ACCESS_FLAGS */

static int attribute(void *value, CUpointer_attribute attr, const struct range *r, uint64_t addr)
{
	switch (attr) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		GIVE(CUcontext, r->ctx ? ctx_handle(r->ctx) : NULL);
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		GIVE(unsigned int, on_device(r) || range_is_managed(r) ? CU_MEMORYTYPE_DEVICE
								       : CU_MEMORYTYPE_HOST);
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		if (!on_device(r) && !mapped(r))
			return CUDA_ERROR_INVALID_VALUE;
		GIVE(CUdeviceptr, addr);
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (on_device(r))
			return CUDA_ERROR_INVALID_VALUE;
		GIVE(void *, (void *)(uintptr_t)addr);
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		GIVE(unsigned int, range_is_managed(r));
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		GIVE(unsigned int, r->sync);
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		GIVE(unsigned int, r->kind == RANGE_DEVICE && !r->block && !r->flags);
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		GIVE(unsigned int, 0);
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
		GIVE(unsigned long long, r->id);
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		GIVE(int, r->ctx ? r->ctx->device : 0);
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		GIVE(CUdeviceptr, r->base);
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		GIVE(size_t, r->size);
	case CU_POINTER_ATTRIBUTE_MAPPED:
		GIVE(unsigned int, on_device(r) || mapped(r));
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		GIVE(unsigned long long, 0);
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		GIVE(unsigned int, r->kind == RANGE_MAPPED ? r->flags : ACCESS_READ_WRITE);
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		GIVE(CUmemoryPool, r->block ? pool_of_block(r->block) : NULL);
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		GIVE(unsigned long long, r->id);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

PUBLIC CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attr, CUdeviceptr addr)
{
	struct range range;
	const int r = guest_enter();

	if (r)
		return r;
	if (!value || !find(addr, &range))
		return CUDA_ERROR_INVALID_VALUE;
	return attribute(value, attr, &range, addr);
}

static size_t attribute_size(CUpointer_attribute attr)
{
	switch (attr) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		return 8;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
	case CU_POINTER_ATTRIBUTE_MAPPED:
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		return 4;
	default:
		return 0;
	}
}

/* As documented: an address that is not known, or an attribute that does not fit, gives zero (-2 as
 * the device) and is no error. */
PUBLIC CUresult cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attrs,
				       void **values, CUdeviceptr addr)
{
	struct range range;
	bool known;
	const int r = guest_enter();

	if (r)
		return r;
	if (!count || !attrs || !values)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < count; i++)
		if (!values[i] || !attribute_size(attrs[i]))
			return CUDA_ERROR_INVALID_VALUE;
	known = find(addr, &range);
	for (unsigned int i = 0; i < count; i++) {
		if (known && !attribute(values[i], attrs[i], &range, addr))
			continue;
		memset(values[i], 0, attribute_size(attrs[i]));
		if (attrs[i] == CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL)
			*(int *)values[i] = CU_DEVICE_INVALID;
	}
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuPointerSetAttribute(const void *value, CUpointer_attribute what, CUdeviceptr addr)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	if (r)
		return r;
	if (!value || what != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS ||
	    !range_set_sync(addr, *(const unsigned int *)value != 0))
		return CUDA_ERROR_INVALID_VALUE;
	return CUDA_SUCCESS;
}
