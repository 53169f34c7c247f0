/* SPDX-License-Identifier: MIT */
/* Queries of addresses. */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct answer {
	bool known;
	struct range r;
	bool device;
};

static CUresult answer(const struct answer *a, CUpointer_attribute what, void *out, CUdeviceptr p)
{
	const struct range *r = &a->r;

	switch (what) {
	case CU_POINTER_ATTRIBUTE_CONTEXT:
		*(CUcontext *)out = a->known ? (CUcontext)r->ctx : NULL;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
		*(unsigned int *)out = !a->known ? 0
				       : a->device || r->kind == RANGE_MANAGED
					       ? CU_MEMORYTYPE_DEVICE
					       : CU_MEMORYTYPE_HOST;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_POINTER:
		*(CUdeviceptr *)out = a->known ? p : 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_HOST_POINTER:
		if (a->known && a->device)
			return CUDA_ERROR_INVALID_VALUE;
		*(void **)out = a->known ? (void *)(uintptr_t)p : NULL;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_SYNC_MEMOPS:
		*(unsigned int *)out = a->known && r->sync_memops;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_BUFFER_ID:
	case CU_POINTER_ATTRIBUTE_MEMORY_BLOCK_ID:
		*(unsigned long long *)out = a->known ? r->buffer_id : 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_MANAGED:
		*(unsigned int *)out = a->known && r->kind == RANGE_MANAGED;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_LEGACY_CUDA_IPC_CAPABLE:
		*(unsigned int *)out = a->known && r->kind == RANGE_DEVICE && !mempool_of(p);
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_IS_GPU_DIRECT_RDMA_CAPABLE:
		*(unsigned int *)out = 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL:
		*(int *)out = a->known ? 0 : -2;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_START_ADDR:
		*(CUdeviceptr *)out = a->known ? r->owner_base : 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_RANGE_SIZE:
		*(size_t *)out = a->known ? r->owner_size : 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MAPPED:
		*(unsigned int *)out = a->known;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_ACCESS_FLAGS:
		*(unsigned int *)out = !a->known ? 0 : r->access;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_ALLOWED_HANDLE_TYPES:
		*(unsigned long long *)out = 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MEMPOOL_HANDLE:
		*(CUmemoryPool *)out = a->known ? mempool_of(p) : NULL;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MAPPING_SIZE:
		*(size_t *)out = a->known ? r->size : 0;
		return CUDA_SUCCESS;
	case CU_POINTER_ATTRIBUTE_MAPPING_BASE_ADDR:
		*(CUdeviceptr *)out = a->known ? r->base : 0;
		return CUDA_SUCCESS;
	default:
		return (unsigned int)what == CU_POINTER_ATTRIBUTE_P2P_TOKENS
			       ? CUDA_ERROR_NOT_SUPPORTED
			       : CUDA_ERROR_INVALID_VALUE;
	}
}

static void find(CUdeviceptr p, struct answer *a)
{
	memset(a, 0, sizeof(*a));
	a->known = range_find(p, &a->r);
	a->device = a->r.kind == RANGE_DEVICE || a->r.kind == RANGE_MAPPED;
}

API(cuPointerGetAttribute, void *out, CUpointer_attribute what, CUdeviceptr p)
{
	struct answer a;

	ENTER_ANY();
	if (!out || !p)
		return CUDA_ERROR_INVALID_VALUE;
	find(p, &a);
	if (!a.known)
		return CUDA_ERROR_INVALID_VALUE;
	return answer(&a, what, out, p);
}

/* For an address that CUDA does not know the result is zeros, and no error. */
API(cuPointerGetAttributes, unsigned int n, CUpointer_attribute *what, void **out, CUdeviceptr p)
{
	struct answer a;

	ENTER_ANY();
	if (!n || !what || !out)
		return CUDA_ERROR_INVALID_VALUE;
	find(p, &a);
	for (unsigned int i = 0; i < n; i++) {
		CUresult r = answer(&a, what[i], out[i], p);

		if (r != CUDA_SUCCESS && what[i] == CU_POINTER_ATTRIBUTE_HOST_POINTER)
			*(void **)out[i] = NULL;
		else if (r != CUDA_SUCCESS)
			return r;
	}
	return CUDA_SUCCESS;
}

API(cuPointerSetAttribute, const void *value, CUpointer_attribute what, CUdeviceptr p)
{
	struct range r;

	ENTER();
	CURRENT(ctx);
	if (!value || what != CU_POINTER_ATTRIBUTE_SYNC_MEMOPS || !range_find(p, &r))
		return CUDA_ERROR_INVALID_VALUE;
	range_update(r.base, 0, *(const unsigned int *)value != 0);
	return CUDA_SUCCESS;
}
