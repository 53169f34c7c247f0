/* SPDX-License-Identifier: MIT */
/*
 * What ggml-cuda.cu takes from an SDK's headers beyond cuda_runtime.h: 16-bit floats, vectors of
 * two, and device functions. For clang; mathematics come from libdevice.py's library.
 */
#ifndef PVGPU_LLAMA_CUDA_FP16_H
#define PVGPU_LLAMA_CUDA_FP16_H

#include <cuda_runtime.h>
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define BOTH   __host__ __device__ __forceinline__
#define DEVICE static __device__ __forceinline__

struct half {
	__fp16 v;

	half() = default;
	BOTH half(float f) : v(f)
	{
	}
	BOTH operator float() const
	{
		return v;
	}
};

struct alignas(4) half2 {
	half x, y;
};

struct alignas(8) float2 {
	float x, y;
};

struct alignas(8) int2 {
	int x, y;
};

struct alignas(16) float4 {
	float x, y, z, w;
};

DEVICE void *memcpy(void *to, const void *from, size_t bytes)
{
	return __builtin_memcpy(to, from, bytes);
}

DEVICE float2 make_float2(float x, float y)
{
	return {x, y};
}

DEVICE half2 make_half2(half x, half y)
{
	return {x, y};
}

DEVICE half __float2half(float f)
{
	return f;
}

DEVICE float __half2float(half h)
{
	return h;
}

DEVICE float2 __half22float2(half2 h)
{
	return {h.x, h.y};
}

DEVICE half __low2half(half2 h)
{
	return h.x;
}

DEVICE half __high2half(half2 h)
{
	return h.y;
}

DEVICE float __low2float(half2 h)
{
	return h.x;
}

DEVICE half __hadd(half a, half b)
{
	return (float)a + (float)b;
}

DEVICE half2 __hmul2(half2 a, half2 b)
{
	return {(float)a.x * (float)b.x, (float)a.y * (float)b.y};
}

DEVICE float __shfl_xor_sync(unsigned int lanes, float v, int with, int width)
{
	return __nvvm_shfl_sync_bfly_f32(lanes, v, with, ((32 - width) << 8) | 31);
}

DEVICE int __dp4a(int a, int b, int c)
{
	asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(c) : "r"(a), "r"(b), "r"(c));
	return c;
}

/* Four bytes less four bytes, each no more than fits. */
DEVICE int __vsubss4(int a, int b)
{
	unsigned int all = 0;

	for (int i = 0; i < 32; i += 8) {
		const int d = (int8_t)(a >> i) - (int8_t)(b >> i);

		all |= (unsigned int)(uint8_t)(d < -128 ? -128 : d > 127 ? 127 : d) << i;
	}
	return (int)all;
}

DEVICE int min(int a, int b)
{
	return a < b ? a : b;
}

DEVICE int max(int a, int b)
{
	return a > b ? a : b;
}

DEVICE float min(float a, float b)
{
	return a < b ? a : b;
}

DEVICE float max(float a, float b)
{
	return a > b ? a : b;
}

#define UNARY(name)                                                                                \
	extern "C" __device__ float __nv_##name(float x);                                          \
	DEVICE float name(float x)                                                                 \
	{                                                                                          \
		return __nv_##name(x);                                                             \
	}
UNARY(cosf)
UNARY(expf)
UNARY(fabsf)
UNARY(logf)
UNARY(roundf)
UNARY(rsqrtf)
UNARY(sinf)
UNARY(sqrtf)
UNARY(tanhf)

#define BINARY(name)                                                                               \
	extern "C" __device__ float __nv_##name(float x, float y);                                 \
	DEVICE float name(float x, float y)                                                        \
	{                                                                                          \
		return __nv_##name(x, y);                                                          \
	}
BINARY(fmaxf)
BINARY(powf)

extern "C" {
cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer);
cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned int flags);
cudaError_t cudaDeviceDisablePeerAccess(int peer);
}

#undef BOTH
#undef DEVICE
#undef UNARY
#undef BINARY
#endif
