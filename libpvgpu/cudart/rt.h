/* SPDX-License-Identifier: MIT */
/*
 * Our own CUDA runtime library: the runtime API written over the driver API of whatever
 * libcuda.so.1 the process loads. The driver's calls that it makes are in driver.def.
 */
#ifndef PVGPU_CUDART_RT_H
#define PVGPU_CUDART_RT_H

#define __CUDA_API_VERSION_INTERNAL
#define PVGPU_CUDART_INTERNAL
#include <cuda.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cudart/include/cuda_runtime_api.h"

/* A public call: prototype and definition. All record their error for cudaGetLastError. */
#define RT_VISIBLE __attribute__((visibility("default")))
#define RT_API(name, ...)                                                                          \
	RT_VISIBLE cudaError_t name(__VA_ARGS__);                                                  \
	RT_VISIBLE cudaError_t name(__VA_ARGS__)
#define RT_PLAIN(...) __VA_ARGS__

/*
 * A call on a stream, which the parameter `stream` names, in two forms: NULL is the legacy default
 * stream, or (name_ptsz) the thread's own. The body follows; args passes the parameters on.
 */
#define RT_STREAM(name, params, args)                                                              \
	static cudaError_t name##_on params;                                                       \
	RT_API(name, RT_PLAIN params)                                                              \
	{                                                                                          \
		return name##_on args;                                                             \
	}                                                                                          \
	RT_API(name##_ptsz, RT_PLAIN params)                                                       \
	{                                                                                          \
		stream = rt_own(stream);                                                           \
		return name##_on args;                                                             \
	}                                                                                          \
	static cudaError_t name##_on params

/* A call without a stream that works on the default one; the body has `own` for name_ptds. */
#define RT_DEFAULT(name, params, args)                                                             \
	static cudaError_t name##_by(bool own, RT_PLAIN params);                                   \
	RT_API(name, RT_PLAIN params)                                                              \
	{                                                                                          \
		return name##_by(false, RT_PLAIN args);                                            \
	}                                                                                          \
	RT_API(name##_ptds, RT_PLAIN params)                                                       \
	{                                                                                          \
		return name##_by(true, RT_PLAIN args);                                             \
	}                                                                                          \
	static cudaError_t name##_by(bool own, RT_PLAIN params)

static inline cudaStream_t rt_own(cudaStream_t s)
{
	return s ? s : CU_STREAM_PER_THREAD;
}

/* driver.c: the driver's calls, valid after rt_driver() or rt_enter(). */
struct rt_driver {
#define F(name, params) CUresult(*name) params;
#include "cudart/driver.def"
#undef F
};
extern struct rt_driver rt_cu;
/* Load the driver and cuInit(), once. */
cudaError_t rt_driver(void);
/* Load the driver alone. */
cudaError_t rt_driver_load(void);
void *rt_driver_symbol(const char *name);

/* v12, v13: the version of this library, as CUDA writes it */
extern const unsigned int rt_version;

/* error.c */
cudaError_t rt_fail(cudaError_t e); /* record it; returns it */
cudaError_t rt_error(CUresult r);   /* as the runtime names it */
cudaError_t rt_result(CUresult r);  /* both */
cudaError_t rt_not_supported(void); /* what a call that is not offered answers */

/* device.c: the calling thread gets a current context, its device's primary one unless it has one.
 */
cudaError_t rt_enter(void);
cudaError_t rt_device(int ordinal, CUdevice *dev); /* checks the ordinal */
CUdevice rt_current_device(void);                  /* after rt_enter() */
CUresult rt_primary(CUdevice dev, CUcontext *ctx);
CUcontext rt_context(void);

#define RT_ENTER()                                                                                 \
	do {                                                                                       \
		const cudaError_t entered_ = rt_enter();                                           \
		if (entered_)                                                                      \
			return rt_fail(entered_);                                                  \
	} while (0)

/* register.c: what the program's host code names. NULL handles or a record of an error otherwise.
 */
cudaError_t rt_kernel(const void *host, CUkernel *kernel);
cudaError_t rt_variable(const void *host, CUdeviceptr *addr, size_t *bytes);
/* The host's name of a kernel that the driver names by either; or that. */
const void *rt_kernel_host(CUkernel kernel, CUfunction fn);
/* Its handle, which then names it, too. */
cudaError_t rt_kernel_handle(const void *host, CUkernel *kernel);
/* A kernel of a library that the program loaded: its handle is its name. */
bool rt_kernel_known(CUkernel kernel, CUlibrary library);
void rt_kernels_forget(CUlibrary library);

/* launch.c */
CUresult rt_function(const void *host, CUfunction *fn, cudaError_t *error);

/* memory/copy.c */
cudaError_t rt_copy(bool own, CUdeviceptr dst, CUdeviceptr src, size_t bytes,
		    enum cudaMemcpyKind kind);
cudaError_t rt_copy_async(CUdeviceptr dst, CUdeviceptr src, size_t bytes, enum cudaMemcpyKind kind,
			  cudaStream_t stream);
static inline CUdeviceptr rt_addr(const void *p)
{
	return (uintptr_t)p;
}

/* memory/copy3d.c: the driver's form of a box; cudaSuccess or what is wrong with it. */
cudaError_t rt_box(const struct cudaMemcpy3DParms *from, CUDA_MEMCPY3D *to);
void rt_unbox(const CUDA_MEMCPY3D *from, struct cudaMemcpy3DParms *to);
/* memory/array.c: bytes of an element */
cudaError_t rt_array_element(cudaArray_const_t array, size_t *bytes);

/* The body of a call that only hands its arguments to the driver. */
#define RT_THROUGH(call)                                                                           \
	do {                                                                                       \
		RT_ENTER();                                                                        \
		return rt_result(rt_cu.call);                                                      \
	} while (0)

#endif
