/* SPDX-License-Identifier: MIT */
/* The far end of worker_fake.h: memory, which is addresses only. */
#include <string.h>

#include "tests/unit/worker/worker_fake_far.h"

static CUresult f_reserve(CUdeviceptr *p, size_t n, size_t align, CUdeviceptr at,
			  unsigned long long flags)
{
	ENTER("reserve");
	*p = at ? at : 0x123400000000;
	fake_count(&F->reserved, 1);
	return CUDA_SUCCESS;
}

static CUresult f_unreserve(CUdeviceptr p, size_t n)
{
	fake_count(&F->reserved, -1);
	return CUDA_SUCCESS;
}

static CUresult f_create(CUmemGenericAllocationHandle *h, size_t n, const CUmemAllocationProp *p,
			 unsigned long long flags)
{
	ENTER("create");
	*h = fake_fresh();
	fake_count(&F->physical, 1);
	return CUDA_SUCCESS;
}

static CUresult f_mem_release(CUmemGenericAllocationHandle h)
{
	fake_count(&F->physical, -1);
	return CUDA_SUCCESS;
}

static CUresult f_map(CUdeviceptr p, size_t n, size_t at, CUmemGenericAllocationHandle h,
		      unsigned long long flags)
{
	ENTER("map");
	pthread_mutex_lock(&F->lock);
	F->mapped++;
	F->bytes_mapped += n;
	pthread_mutex_unlock(&F->lock);
	return CUDA_SUCCESS;
}

static CUresult f_unmap(CUdeviceptr p, size_t n)
{
	pthread_mutex_lock(&F->lock);
	F->mapped--;
	F->bytes_mapped -= n;
	pthread_mutex_unlock(&F->lock);
	return CUDA_SUCCESS;
}

static CUresult f_access(CUdeviceptr p, size_t n, const CUmemAccessDesc *d, size_t count_)
{
	ENTER("access");
	return CUDA_SUCCESS;
}

static CUresult f_granularity(size_t *n, const CUmemAllocationProp *p,
			      CUmemAllocationGranularity_flags f)
{
	*n = 2u << 20;
	return CUDA_SUCCESS;
}

static CUresult f_register(void *p, size_t n, unsigned int flags)
{
	ENTER("register");
	fake_count(&F->registered, 1);
	return CUDA_SUCCESS;
}

static CUresult f_unregister(void *p)
{
	fake_count(&F->registered, -1);
	return CUDA_SUCCESS;
}

static CUresult f_copy(CUdeviceptr d, CUdeviceptr s, size_t n, CUstream st)
{
	ENTER("copy");
	return fake_issue(st);
}

static CUresult f_htod(CUdeviceptr d, const void *s, size_t n, CUstream st)
{
	ENTER("copy");
	return fake_issue(st);
}

static CUresult f_dtoh(void *d, CUdeviceptr s, size_t n, CUstream st)
{
	ENTER("copy");
	/* Only slots and buffers of ours; an arena address has no memory here. */
	if (n <= 4096)
		memset(d, 0x5a, n);
	return fake_issue(st);
}

static CUresult f_copy3d(const CUDA_MEMCPY3D *c, CUstream st)
{
	ENTER("copy");
	return fake_issue(st);
}

static CUresult f_set8(CUdeviceptr d, unsigned char v, size_t n, CUstream st)
{
	ENTER("memset");
	return fake_issue(st);
}

static CUresult f_set16(CUdeviceptr d, unsigned short v, size_t n, CUstream st)
{
	return f_set8(d, 0, n, st);
}

static CUresult f_set32(CUdeviceptr d, unsigned int v, size_t n, CUstream st)
{
	return f_set8(d, 0, n, st);
}

static CUresult f_set2d8(CUdeviceptr d, size_t p, unsigned char v, size_t w, size_t h, CUstream st)
{
	return f_set8(d, 0, w, st);
}

static CUresult f_set2d16(CUdeviceptr d, size_t p, unsigned short v, size_t w, size_t h,
			  CUstream st)
{
	return f_set8(d, 0, w, st);
}

static CUresult f_set2d32(CUdeviceptr d, size_t p, unsigned int v, size_t w, size_t h, CUstream st)
{
	return f_set8(d, 0, w, st);
}

/* Arrays that wait for memory count as others. */
static CUresult f_array(CUarray *a, const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	ENTER("array");
	fake_count(&F->arrays, 1);
	*a = (CUarray)(uintptr_t)fake_fresh();
	return CUDA_SUCCESS;
}

static CUresult f_array_destroy(CUarray a)
{
	fake_count(&F->arrays, -1);
	return CUDA_SUCCESS;
}

static CUresult f_array_needs(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUarray a, CUdevice dev)
{
	ENTER("array_needs");
	needs->size = 3u << 20;
	return CUDA_SUCCESS;
}

static CUresult f_mipmap(CUmipmappedArray *m, const CUDA_ARRAY3D_DESCRIPTOR *d, unsigned int levels)
{
	ENTER("mipmap");
	fake_count(&F->mipmaps, 1);
	*m = (CUmipmappedArray)(uintptr_t)fake_fresh();
	return CUDA_SUCCESS;
}

static CUresult f_mipmap_level(CUarray *a, CUmipmappedArray m, unsigned int level)
{
	ENTER("mipmap_level");
	*a = (CUarray)(uintptr_t)fake_fresh();
	return CUDA_SUCCESS;
}

static CUresult f_mipmap_destroy(CUmipmappedArray m)
{
	fake_count(&F->mipmaps, -1);
	return CUDA_SUCCESS;
}

static CUresult f_mipmap_needs(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUmipmappedArray m,
			       CUdevice dev)
{
	ENTER("mipmap_needs");
	needs->size = 4u << 20;
	return CUDA_SUCCESS;
}

static CUresult f_texture(CUtexObject *t, const CUDA_RESOURCE_DESC *r, const CUDA_TEXTURE_DESC *d,
			  const CUDA_RESOURCE_VIEW_DESC *v)
{
	ENTER("texture");
	fake_count(&F->textures, 1);
	*t = 77;
	return CUDA_SUCCESS;
}

static CUresult f_surface(CUsurfObject *t, const CUDA_RESOURCE_DESC *r)
{
	ENTER("surface");
	fake_count(&F->textures, 1);
	*t = 78;
	return CUDA_SUCCESS;
}

static CUresult f_texture_destroy(CUtexObject t)
{
	fake_count(&F->textures, -1);
	return CUDA_SUCCESS;
}

static CUresult f_tile_map(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
			   void *address, const cuuint64_t *dims, const cuuint64_t *strides,
			   const cuuint32_t *box, const cuuint32_t *steps,
			   CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
			   CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	map->opaque[0] = (uintptr_t)address;
	return CUDA_SUCCESS;
}

static CUresult f_pixel_map(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
			    void *address, const cuuint64_t *dims, const cuuint64_t *strides,
			    const int *lower, const int *upper, cuuint32_t channels,
			    cuuint32_t pixels, const cuuint32_t *steps,
			    CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
			    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	map->opaque[0] = (uintptr_t)address;
	return CUDA_SUCCESS;
}

static CUresult f_wide_map(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
			   void *address, const cuuint64_t *dims, const cuuint64_t *strides,
			   int lower, int upper, cuuint32_t channels, cuuint32_t pixels,
			   const cuuint32_t *steps, CUtensorMapInterleave interleave,
			   CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle,
			   CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	map->opaque[0] = (uintptr_t)address;
	return CUDA_SUCCESS;
}

static CUresult f_replace(CUtensorMap *map, void *address)
{
	map->opaque[0] = (uintptr_t)address;
	return CUDA_SUCCESS;
}

void fake_far_memory(struct far *far)
{
	far->cuTensorMapEncodeTiled = f_tile_map;
	far->cuTensorMapEncodeIm2col = f_pixel_map;
	far->cuTensorMapEncodeIm2colWide = f_wide_map;
	far->cuTensorMapReplaceAddress = f_replace;
	far->cuArray3DCreate_v2 = f_array;
	far->cuArrayDestroy = f_array_destroy;
	far->cuArrayGetMemoryRequirements = f_array_needs;
	far->cuMipmappedArrayCreate = f_mipmap;
	far->cuMipmappedArrayGetLevel = f_mipmap_level;
	far->cuMipmappedArrayDestroy = f_mipmap_destroy;
	far->cuMipmappedArrayGetMemoryRequirements = f_mipmap_needs;
	far->cuTexObjectCreate = f_texture;
	far->cuTexObjectDestroy = f_texture_destroy;
	far->cuSurfObjectCreate = f_surface;
	far->cuSurfObjectDestroy = f_texture_destroy;
	far->cuMemAddressReserve = f_reserve;
	far->cuMemAddressFree = f_unreserve;
	far->cuMemCreate = f_create;
	far->cuMemRelease = f_mem_release;
	far->cuMemMap = f_map;
	far->cuMemUnmap = f_unmap;
	far->cuMemSetAccess = f_access;
	far->cuMemGetAllocationGranularity = f_granularity;
	far->cuMemHostRegister_v2 = f_register;
	far->cuMemHostUnregister = f_unregister;
	far->cuMemcpyAsync = f_copy;
	far->cuMemcpyHtoDAsync_v2 = f_htod;
	far->cuMemcpyDtoHAsync_v2 = f_dtoh;
	far->cuMemcpyDtoDAsync_v2 = f_copy;
	far->cuMemcpy3DAsync_v2 = f_copy3d;
	far->cuMemsetD8Async = f_set8;
	far->cuMemsetD16Async = f_set16;
	far->cuMemsetD32Async = f_set32;
	far->cuMemsetD2D8Async = f_set2d8;
	far->cuMemsetD2D16Async = f_set2d16;
	far->cuMemsetD2D32Async = f_set2d32;
}
