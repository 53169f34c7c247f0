/* SPDX-License-Identifier: MIT */
/*
 * Calls by their first names. CUDA 3.2 gave calls with addresses and sizes of 64 bits the suffix
 * _v2; cuda.h renames calls, but programs that look symbols up by name often leave the suffix out
 * and mean the newest. Their prototypes in use are those of _v2: each does what that does.
 */
#include "cuda/core/public.h"

#define TWIN(name, params, args)                                                                   \
	PUBLIC CUresult name params;                                                               \
	PUBLIC CUresult name params                                                                \
	{                                                                                          \
		return name##_v2 args;                                                             \
	}

TWIN(cuDeviceTotalMem, (size_t * bytes, CUdevice dev), (bytes, dev))
TWIN(cuModuleGetGlobal, (CUdeviceptr * addr, size_t *bytes, CUmodule module, const char *name),
     (addr, bytes, module, name))
TWIN(cuMemGetInfo, (size_t * free_bytes, size_t *total_bytes), (free_bytes, total_bytes))
TWIN(cuMemAlloc, (CUdeviceptr * addr, size_t bytes), (addr, bytes))
TWIN(cuMemAllocPitch,
     (CUdeviceptr * addr, size_t *pitch, size_t width, size_t height, unsigned int element_bytes),
     (addr, pitch, width, height, element_bytes))
TWIN(cuMemFree, (CUdeviceptr addr), (addr))
TWIN(cuMemGetAddressRange, (CUdeviceptr * base, size_t *bytes, CUdeviceptr addr),
     (base, bytes, addr))
TWIN(cuMemAllocHost, (void **host, size_t bytes), (host, bytes))
TWIN(cuMemHostGetDevicePointer, (CUdeviceptr * addr, void *host, unsigned int flags),
     (addr, host, flags))
TWIN(cuMemcpyHtoD, (CUdeviceptr dst, const void *src, size_t bytes), (dst, src, bytes))
TWIN(cuMemcpyDtoH, (void *dst, CUdeviceptr src, size_t bytes), (dst, src, bytes))
TWIN(cuMemcpyDtoD, (CUdeviceptr dst, CUdeviceptr src, size_t bytes), (dst, src, bytes))
TWIN(cuMemcpyHtoDAsync, (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream),
     (dst, src, bytes, stream))
TWIN(cuMemcpyDtoHAsync, (void *dst, CUdeviceptr src, size_t bytes, CUstream stream),
     (dst, src, bytes, stream))
TWIN(cuMemcpyDtoDAsync, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream),
     (dst, src, bytes, stream))
TWIN(cuMemcpy2D, (const CUDA_MEMCPY2D *c), (c))
TWIN(cuMemcpy2DUnaligned, (const CUDA_MEMCPY2D *c), (c))
TWIN(cuMemcpy2DAsync, (const CUDA_MEMCPY2D *c, CUstream stream), (c, stream))
TWIN(cuMemcpy3D, (const CUDA_MEMCPY3D *c), (c))
TWIN(cuMemcpy3DAsync, (const CUDA_MEMCPY3D *c, CUstream stream), (c, stream))
TWIN(cuMemsetD8, (CUdeviceptr dst, unsigned char value, size_t count), (dst, value, count))
TWIN(cuMemsetD16, (CUdeviceptr dst, unsigned short value, size_t count), (dst, value, count))
TWIN(cuMemsetD32, (CUdeviceptr dst, unsigned int value, size_t count), (dst, value, count))
TWIN(cuMemsetD2D8,
     (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height),
     (dst, pitch, value, width, height))
TWIN(cuMemsetD2D16,
     (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height),
     (dst, pitch, value, width, height))
TWIN(cuMemsetD2D32,
     (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height),
     (dst, pitch, value, width, height))
TWIN(cuArrayCreate, (CUarray * array, const CUDA_ARRAY_DESCRIPTOR *desc), (array, desc))
TWIN(cuArrayGetDescriptor, (CUDA_ARRAY_DESCRIPTOR * desc, CUarray array), (desc, array))
TWIN(cuArray3DCreate, (CUarray * array, const CUDA_ARRAY3D_DESCRIPTOR *desc), (array, desc))
TWIN(cuArray3DGetDescriptor, (CUDA_ARRAY3D_DESCRIPTOR * desc, CUarray array), (desc, array))
TWIN(cuMemcpyHtoA, (CUarray dst, size_t at, const void *src, size_t bytes), (dst, at, src, bytes))
TWIN(cuMemcpyAtoH, (void *dst, CUarray src, size_t at, size_t bytes), (dst, src, at, bytes))
TWIN(cuMemcpyDtoA, (CUarray dst, size_t at, CUdeviceptr src, size_t bytes), (dst, at, src, bytes))
TWIN(cuMemcpyAtoD, (CUdeviceptr dst, CUarray src, size_t at, size_t bytes), (dst, src, at, bytes))
TWIN(cuMemcpyAtoA, (CUarray dst, size_t to, CUarray src, size_t from, size_t bytes),
     (dst, to, src, from, bytes))
TWIN(cuMemcpyHtoAAsync, (CUarray dst, size_t at, const void *src, size_t bytes, CUstream stream),
     (dst, at, src, bytes, stream))
TWIN(cuMemcpyAtoHAsync, (void *dst, CUarray src, size_t at, size_t bytes, CUstream stream),
     (dst, src, at, bytes, stream))
