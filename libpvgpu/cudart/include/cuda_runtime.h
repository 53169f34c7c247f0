/* SPDX-License-Identifier: MIT */
/*
 * The CUDA language for clang without an SDK, over the runtime API: what kernels are marked with,
 * a few device functions, and the C++ forms of calls. See docs/cudart.md for the compiler's
 * options.
 */
#ifndef PVGPU_CUDA_RUNTIME_H
#define PVGPU_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"

#if defined(__CUDA__) && defined(__clang__)

#define __host__               __attribute__((host))
#define __device__             __attribute__((device))
#define __global__             __attribute__((global))
#define __shared__             __attribute__((shared))
#define __constant__           __attribute__((constant))
#define __launch_bounds__(...) __attribute__((launch_bounds(__VA_ARGS__)))
#define __forceinline__        inline __attribute__((always_inline))

#include <__clang_cuda_builtin_vars.h>

#define PVGPU_DEVICE static __device__ __forceinline__

extern "C" __device__ int printf(const char *format, ...);
extern "C" __device__ void *malloc(size_t bytes);
extern "C" __device__ void free(void *p);

PVGPU_DEVICE void __threadfence()
{
	__nvvm_membar_gl();
}

PVGPU_DEVICE int atomicAdd(int *p, int v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

PVGPU_DEVICE unsigned int atomicAdd(unsigned int *p, unsigned int v)
{
	return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
}

PVGPU_DEVICE float atomicAdd(float *p, float v)
{
	return __nvvm_atom_add_gen_f(p, v);
}

PVGPU_DEVICE int atomicMin(int *p, int v)
{
	return __nvvm_atom_min_gen_i(p, v);
}

PVGPU_DEVICE int atomicMax(int *p, int v)
{
	return __nvvm_atom_max_gen_i(p, v);
}

PVGPU_DEVICE int __shfl_down_sync(unsigned int lanes, int v, unsigned int by, int width = 32)
{
	return __nvvm_shfl_sync_down_i32(lanes, v, by, ((32 - width) << 8) | 31);
}

PVGPU_DEVICE int __shfl_up_sync(unsigned int lanes, int v, unsigned int by, int width = 32)
{
	return __nvvm_shfl_sync_up_i32(lanes, v, by, (32 - width) << 8);
}

PVGPU_DEVICE float __fsqrt_rn(float v)
{
	return __nvvm_sqrt_rn_f(v);
}

PVGPU_DEVICE double __dsqrt_rn(double v)
{
	return __nvvm_sqrt_rn_d(v);
}

#undef PVGPU_DEVICE
#endif

#ifdef __cplusplus

template <class T> static inline cudaError_t cudaMalloc(T **ptr, size_t bytes)
{
	return ::cudaMalloc((void **)ptr, bytes);
}

template <class T>
static inline cudaError_t cudaMallocPitch(T **ptr, size_t *pitch, size_t width, size_t height)
{
	return ::cudaMallocPitch((void **)ptr, pitch, width, height);
}

template <class T>
static inline cudaError_t cudaMallocManaged(T **ptr, size_t bytes,
					    unsigned int flags = cudaMemAttachGlobal)
{
	return ::cudaMallocManaged((void **)ptr, bytes, flags);
}

template <class T> static inline cudaError_t cudaMallocHost(T **ptr, size_t bytes)
{
	return ::cudaMallocHost((void **)ptr, bytes);
}

template <class T>
static inline cudaError_t cudaMallocAsync(T **ptr, size_t bytes, cudaStream_t stream)
{
	return ::cudaMallocAsync((void **)ptr, bytes, stream);
}

template <class T>
static inline cudaError_t cudaMemcpyToSymbol(const T &symbol, const void *src, size_t bytes,
					     size_t offset = 0,
					     enum cudaMemcpyKind kind = cudaMemcpyHostToDevice)
{
	return ::cudaMemcpyToSymbol((const void *)&symbol, src, bytes, offset, kind);
}

template <class T>
static inline cudaError_t cudaMemcpyFromSymbol(void *dst, const T &symbol, size_t bytes,
					       size_t offset = 0,
					       enum cudaMemcpyKind kind = cudaMemcpyDeviceToHost)
{
	return ::cudaMemcpyFromSymbol(dst, (const void *)&symbol, bytes, offset, kind);
}

template <class T> static inline cudaError_t cudaGetSymbolAddress(void **ptr, const T &symbol)
{
	return ::cudaGetSymbolAddress(ptr, (const void *)&symbol);
}

template <class T> static inline cudaError_t cudaGetSymbolSize(size_t *bytes, const T &symbol)
{
	return ::cudaGetSymbolSize(bytes, (const void *)&symbol);
}

template <class F>
static inline cudaError_t cudaFuncSetAttribute(F *fn, enum cudaFuncAttribute attr, int value)
{
	return ::cudaFuncSetAttribute((const void *)fn, attr, value);
}

template <class F>
static inline cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attrs, F *fn)
{
	return ::cudaFuncGetAttributes(attrs, (const void *)fn);
}

template <class F>
static inline cudaError_t
cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, F *fn, int block_size, size_t shared)
{
	return ::cudaOccupancyMaxActiveBlocksPerMultiprocessor(blocks, (const void *)fn, block_size,
							       shared);
}

#endif
#endif
