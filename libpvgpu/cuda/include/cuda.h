/* SPDX-License-Identifier: MIT */
/*
 * The CUDA 13.0 driver API, as much of it as pvgpu offers or uses, written from public facts: a
 * program compiled with it runs on NVIDIA's libcuda.so.1 and on pvgpu's alike, and needs no SDK.
 *
 * Several calls were revised over the years and the libraries export every revision. Programs
 * write the plain name (cuMemAlloc), which the macros at the end turn into the newest symbol.
 * With CUDA_API_PER_THREAD_DEFAULT_STREAM, calls that work on the default stream become their
 * _ptds (no stream parameter) or _ptsz form. With __CUDA_API_VERSION_INTERNAL names mean exactly
 * the symbol that is written; libraries that define the symbols use this.
 */
#ifndef PVGPU_CUDA_H
#define PVGPU_CUDA_H
#define __cuda_cuda_h__ /* what other headers test to see whether the driver API is there */

#define CUDA_VERSION    13000

#if defined(_WIN32)
#error "pvgpu is for Linux"
#endif
#define CUDAAPI
#define CUDA_CB

/* A symbol and its per-thread-default-stream forms. */
#define PVGPU_CU_PTDS(name, params)                                                                \
	CUresult CUDAAPI name params;                                                              \
	CUresult CUDAAPI name##_ptds params
#define PVGPU_CU_PTSZ(name, params)                                                                \
	CUresult CUDAAPI name params;                                                              \
	CUresult CUDAAPI name##_ptsz params

#include "pvgpu_cuda_structs.h"
#include "pvgpu_cuda_tensor.h"
#include "pvgpu_cuda_tex.h"

#include "pvgpu_cuda_graphs.h"
#include "pvgpu_cuda_batch.h"
#include "pvgpu_cuda_debug.h"
#include "pvgpu_cuda_green.h"
#include "pvgpu_cuda_ipc.h"
#include "pvgpu_cuda_memops.h"
#include "pvgpu_cuda_managed.h"
#include "pvgpu_cuda_node.h"
#include "pvgpu_cuda_pools.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A library that defines these symbols may be compiled with hidden visibility. */
#pragma GCC visibility push(default)

/* Start, errors, versions */
CUresult CUDAAPI cuInit(unsigned int flags);
CUresult CUDAAPI cuDriverGetVersion(int *version);
CUresult CUDAAPI cuGetErrorString(CUresult error, const char **text);
CUresult CUDAAPI cuGetErrorName(CUresult error, const char **name);
CUresult CUDAAPI cuGetProcAddress(const char *name, void **fn, int version, cuuint64_t flags);
CUresult CUDAAPI cuGetProcAddress_v2(const char *name, void **fn, int version, cuuint64_t flags,
				     CUdriverProcAddressQueryResult *status);
CUresult CUDAAPI cuGetExportTable(const void **table, const CUuuid *id);

/* Devices */
CUresult CUDAAPI cuDeviceGet(CUdevice *dev, int ordinal);
CUresult CUDAAPI cuDeviceGetCount(int *count);
CUresult CUDAAPI cuDeviceGetName(char *name, int len, CUdevice dev);
CUresult CUDAAPI cuDeviceGetUuid(CUuuid *uuid, CUdevice dev);
CUresult CUDAAPI cuDeviceGetUuid_v2(CUuuid *uuid, CUdevice dev);
CUresult CUDAAPI cuDeviceGetLuid(char *luid, unsigned int *node_mask, CUdevice dev);
CUresult CUDAAPI cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev);
CUresult CUDAAPI cuDeviceGetAttribute(int *value, CUdevice_attribute attr, CUdevice dev);
CUresult CUDAAPI cuDeviceGetProperties(CUdevprop *prop, CUdevice dev);
CUresult CUDAAPI cuDeviceComputeCapability(int *major, int *minor, CUdevice dev);
CUresult CUDAAPI cuDeviceGetByPCIBusId(CUdevice *dev, const char *bus_id);
CUresult CUDAAPI cuDeviceGetPCIBusId(char *bus_id, int len, CUdevice dev);
CUresult CUDAAPI cuDeviceGetTexture1DLinearMaxWidth(size_t *elements, CUarray_format format,
						    unsigned int channels, CUdevice dev);
CUresult CUDAAPI cuDeviceGetExecAffinitySupport(int *value, CUexecAffinityType type, CUdevice dev);
CUresult CUDAAPI cuDeviceCanAccessPeer(int *can, CUdevice dev, CUdevice peer);
CUresult CUDAAPI cuDeviceGetP2PAttribute(int *value, CUdevice_P2PAttribute attr, CUdevice src,
					 CUdevice dst);

/* The device's primary context */
CUresult CUDAAPI cuDevicePrimaryCtxRetain(CUcontext *ctx, CUdevice dev);
CUresult CUDAAPI cuDevicePrimaryCtxRelease(CUdevice dev);
CUresult CUDAAPI cuDevicePrimaryCtxRelease_v2(CUdevice dev);
CUresult CUDAAPI cuDevicePrimaryCtxSetFlags(CUdevice dev, unsigned int flags);
CUresult CUDAAPI cuDevicePrimaryCtxSetFlags_v2(CUdevice dev, unsigned int flags);
CUresult CUDAAPI cuDevicePrimaryCtxGetState(CUdevice dev, unsigned int *flags, int *active);
CUresult CUDAAPI cuDevicePrimaryCtxReset(CUdevice dev);
CUresult CUDAAPI cuDevicePrimaryCtxReset_v2(CUdevice dev);

/* Contexts */
CUresult CUDAAPI cuCtxCreate(CUcontext *ctx, unsigned int flags, CUdevice dev);
CUresult CUDAAPI cuCtxCreate_v2(CUcontext *ctx, unsigned int flags, CUdevice dev);
CUresult CUDAAPI cuCtxCreate_v3(CUcontext *ctx, CUexecAffinityParam *params, int num_params,
				unsigned int flags, CUdevice dev);
CUresult CUDAAPI cuCtxCreate_v4(CUcontext *ctx, CUctxCreateParams *params, unsigned int flags,
				CUdevice dev);
CUresult CUDAAPI cuCtxDestroy(CUcontext ctx);
CUresult CUDAAPI cuCtxDestroy_v2(CUcontext ctx);
CUresult CUDAAPI cuCtxAttach(CUcontext *ctx, unsigned int flags);
CUresult CUDAAPI cuCtxDetach(CUcontext ctx);
CUresult CUDAAPI cuCtxPushCurrent(CUcontext ctx);
CUresult CUDAAPI cuCtxPushCurrent_v2(CUcontext ctx);
CUresult CUDAAPI cuCtxPopCurrent(CUcontext *ctx);
CUresult CUDAAPI cuCtxPopCurrent_v2(CUcontext *ctx);
CUresult CUDAAPI cuCtxSetCurrent(CUcontext ctx);
CUresult CUDAAPI cuCtxGetCurrent(CUcontext *ctx);
CUresult CUDAAPI cuCtxGetDevice(CUdevice *dev);
CUresult CUDAAPI cuCtxGetDevice_v2(CUdevice *dev, CUcontext ctx);
CUresult CUDAAPI cuCtxGetFlags(unsigned int *flags);
CUresult CUDAAPI cuCtxSetFlags(unsigned int flags);
CUresult CUDAAPI cuCtxGetId(CUcontext ctx, unsigned long long *id);
CUresult CUDAAPI cuCtxSynchronize(void);
CUresult CUDAAPI cuCtxSynchronize_v2(CUcontext ctx);
CUresult CUDAAPI cuCtxSetLimit(CUlimit limit, size_t value);
CUresult CUDAAPI cuCtxGetLimit(size_t *value, CUlimit limit);
CUresult CUDAAPI cuCtxGetCacheConfig(CUfunc_cache *config);
CUresult CUDAAPI cuCtxSetCacheConfig(CUfunc_cache config);
CUresult CUDAAPI cuCtxGetSharedMemConfig(CUsharedconfig *config);
CUresult CUDAAPI cuCtxSetSharedMemConfig(CUsharedconfig config);
CUresult CUDAAPI cuCtxGetApiVersion(CUcontext ctx, unsigned int *version);
CUresult CUDAAPI cuCtxGetStreamPriorityRange(int *least, int *greatest);
CUresult CUDAAPI cuCtxResetPersistingL2Cache(void);
CUresult CUDAAPI cuCtxGetExecAffinity(CUexecAffinityParam *param, CUexecAffinityType type);
CUresult CUDAAPI cuCtxRecordEvent(CUcontext ctx, CUevent event);
CUresult CUDAAPI cuCtxWaitEvent(CUcontext ctx, CUevent event);
CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags);
CUresult CUDAAPI cuCtxDisablePeerAccess(CUcontext peer);

/* Modules */
CUresult CUDAAPI cuModuleLoad(CUmodule *module, const char *path);
CUresult CUDAAPI cuModuleLoadData(CUmodule *module, const void *image);
CUresult CUDAAPI cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned int num_options,
				    CUjit_option *options, void **values);
CUresult CUDAAPI cuModuleLoadFatBinary(CUmodule *module, const void *fatbin);
CUresult CUDAAPI cuModuleUnload(CUmodule module);
CUresult CUDAAPI cuModuleGetLoadingMode(CUmoduleLoadingMode *mode);
CUresult CUDAAPI cuModuleGetFunction(CUfunction *fn, CUmodule module, const char *name);
CUresult CUDAAPI cuModuleGetFunctionCount(unsigned int *count, CUmodule module);
CUresult CUDAAPI cuModuleEnumerateFunctions(CUfunction *fns, unsigned int max, CUmodule module);
CUresult CUDAAPI cuModuleGetGlobal_v2(CUdeviceptr *addr, size_t *bytes, CUmodule module,
				      const char *name);

/* Linking: several inputs become one image */
CUresult CUDAAPI cuLinkCreate(unsigned int num_options, CUjit_option *options, void **values,
			      CUlinkState *state);
CUresult CUDAAPI cuLinkCreate_v2(unsigned int num_options, CUjit_option *options, void **values,
				 CUlinkState *state);
CUresult CUDAAPI cuLinkAddData(CUlinkState state, CUjitInputType type, void *data, size_t size,
			       const char *name, unsigned int num_options, CUjit_option *options,
			       void **values);
CUresult CUDAAPI cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void *data, size_t size,
				  const char *name, unsigned int num_options, CUjit_option *options,
				  void **values);
CUresult CUDAAPI cuLinkAddFile(CUlinkState state, CUjitInputType type, const char *path,
			       unsigned int num_options, CUjit_option *options, void **values);
CUresult CUDAAPI cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char *path,
				  unsigned int num_options, CUjit_option *options, void **values);
CUresult CUDAAPI cuLinkComplete(CUlinkState state, void **image, size_t *size);
CUresult CUDAAPI cuLinkDestroy(CUlinkState state);

/* Libraries: modules that belong to no context; kernels are their functions */
CUresult CUDAAPI cuLibraryLoadData(CUlibrary *library, const void *code, CUjit_option *jit_options,
				   void **jit_values, unsigned int num_jit,
				   CUlibraryOption *options, void **values,
				   unsigned int num_options);
CUresult CUDAAPI cuLibraryLoadFromFile(CUlibrary *library, const char *path,
				       CUjit_option *jit_options, void **jit_values,
				       unsigned int num_jit, CUlibraryOption *options,
				       void **values, unsigned int num_options);
CUresult CUDAAPI cuLibraryUnload(CUlibrary library);
CUresult CUDAAPI cuLibraryGetKernel(CUkernel *kernel, CUlibrary library, const char *name);
CUresult CUDAAPI cuLibraryGetKernelCount(unsigned int *count, CUlibrary library);
CUresult CUDAAPI cuLibraryEnumerateKernels(CUkernel *kernels, unsigned int max, CUlibrary library);
CUresult CUDAAPI cuLibraryGetModule(CUmodule *module, CUlibrary library);
CUresult CUDAAPI cuLibraryGetManaged(CUdeviceptr *addr, size_t *bytes, CUlibrary library,
				     const char *name);
CUresult CUDAAPI cuLibraryGetGlobal(CUdeviceptr *addr, size_t *bytes, CUlibrary library,
				    const char *name);
CUresult CUDAAPI cuKernelGetFunction(CUfunction *fn, CUkernel kernel);
CUresult CUDAAPI cuKernelGetLibrary(CUlibrary *library, CUkernel kernel);
CUresult CUDAAPI cuKernelGetAttribute(int *value, CUfunction_attribute attr, CUkernel kernel,
				      CUdevice dev);
CUresult CUDAAPI cuKernelSetAttribute(CUfunction_attribute attr, int value, CUkernel kernel,
				      CUdevice dev);
CUresult CUDAAPI cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice dev);
CUresult CUDAAPI cuKernelGetName(const char **name, CUkernel kernel);
CUresult CUDAAPI cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size);

/* Functions */
CUresult CUDAAPI cuFuncGetAttribute(int *value, CUfunction_attribute attr, CUfunction fn);
CUresult CUDAAPI cuFuncSetAttribute(CUfunction fn, CUfunction_attribute attr, int value);
CUresult CUDAAPI cuFuncSetCacheConfig(CUfunction fn, CUfunc_cache config);
CUresult CUDAAPI cuFuncSetSharedMemConfig(CUfunction fn, CUsharedconfig config);
CUresult CUDAAPI cuFuncGetModule(CUmodule *module, CUfunction fn);
CUresult CUDAAPI cuFuncGetName(const char **name, CUfunction fn);
CUresult CUDAAPI cuFuncGetParamInfo(CUfunction fn, size_t index, size_t *offset, size_t *size);
CUresult CUDAAPI cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction fn);
CUresult CUDAAPI cuFuncLoad(CUfunction fn);

/* Launches */
PVGPU_CU_PTSZ(cuLaunchKernel,
	      (CUfunction fn, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
	       unsigned int block_x, unsigned int block_y, unsigned int block_z,
	       unsigned int shared_bytes, CUstream stream, void **params, void **extra));
PVGPU_CU_PTSZ(cuLaunchKernelEx,
	      (const CUlaunchConfig *config, CUfunction fn, void **params, void **extra));
PVGPU_CU_PTSZ(cuLaunchCooperativeKernel,
	      (CUfunction fn, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
	       unsigned int block_x, unsigned int block_y, unsigned int block_z,
	       unsigned int shared_bytes, CUstream stream, void **params));
PVGPU_CU_PTSZ(cuLaunchHostFunc, (CUstream stream, CUhostFn fn, void *user_data));

/* The launch calls before CUDA 4: state is set on the function, then it is started. */
CUresult CUDAAPI cuFuncSetBlockShape(CUfunction fn, int x, int y, int z);
CUresult CUDAAPI cuFuncSetSharedSize(CUfunction fn, unsigned int bytes);
CUresult CUDAAPI cuParamSetSize(CUfunction fn, unsigned int bytes);
CUresult CUDAAPI cuParamSeti(CUfunction fn, int offset, unsigned int value);
CUresult CUDAAPI cuParamSetf(CUfunction fn, int offset, float value);
CUresult CUDAAPI cuParamSetv(CUfunction fn, int offset, void *value, unsigned int bytes);
CUresult CUDAAPI cuLaunch(CUfunction fn);
CUresult CUDAAPI cuLaunchGrid(CUfunction fn, int width, int height);
CUresult CUDAAPI cuLaunchGridAsync(CUfunction fn, int width, int height, CUstream stream);

/* Occupancy */
CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction fn,
							     int block_size, size_t shared_bytes);
CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction fn,
								      int block_size,
								      size_t shared_bytes,
								      unsigned int flags);
CUresult CUDAAPI cuOccupancyMaxPotentialBlockSize(int *min_grid, int *block_size, CUfunction fn,
						  CUoccupancyB2DSize shared_of_block,
						  size_t shared_bytes, int block_limit);
CUresult CUDAAPI cuOccupancyMaxPotentialBlockSizeWithFlags(int *min_grid, int *block_size,
							   CUfunction fn,
							   CUoccupancyB2DSize shared_of_block,
							   size_t shared_bytes, int block_limit,
							   unsigned int flags);
CUresult CUDAAPI cuOccupancyAvailableDynamicSMemPerBlock(size_t *bytes, CUfunction fn, int blocks,
							 int block_size);
CUresult CUDAAPI cuOccupancyMaxPotentialClusterSize(int *size, CUfunction fn,
						    const CUlaunchConfig *config);
CUresult CUDAAPI cuOccupancyMaxActiveClusters(int *clusters, CUfunction fn,
					      const CUlaunchConfig *config);

/* Device memory */
CUresult CUDAAPI cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes);
CUresult CUDAAPI cuMemAlloc_v2(CUdeviceptr *addr, size_t bytes);
CUresult CUDAAPI cuMemAllocPitch_v2(CUdeviceptr *addr, size_t *pitch, size_t width, size_t height,
				    unsigned int element_bytes);
CUresult CUDAAPI cuMemFree_v2(CUdeviceptr addr);
CUresult CUDAAPI cuMemGetAddressRange_v2(CUdeviceptr *base, size_t *bytes, CUdeviceptr addr);
CUresult CUDAAPI cuPointerGetAttribute(void *value, CUpointer_attribute attr, CUdeviceptr addr);
CUresult CUDAAPI cuPointerGetAttributes(unsigned int count, CUpointer_attribute *attrs,
					void **values, CUdeviceptr addr);
CUresult CUDAAPI cuPointerSetAttribute(const void *value, CUpointer_attribute attr,
				       CUdeviceptr addr);

/* Pinned host memory */
CUresult CUDAAPI cuMemAllocHost_v2(void **host, size_t bytes);
CUresult CUDAAPI cuMemFreeHost(void *host);
CUresult CUDAAPI cuMemHostAlloc(void **host, size_t bytes, unsigned int flags);
CUresult CUDAAPI cuMemHostGetDevicePointer_v2(CUdeviceptr *addr, void *host, unsigned int flags);
CUresult CUDAAPI cuMemHostGetFlags(unsigned int *flags, void *host);
CUresult CUDAAPI cuMemHostRegister(void *host, size_t bytes, unsigned int flags);
CUresult CUDAAPI cuMemHostRegister_v2(void *host, size_t bytes, unsigned int flags);
CUresult CUDAAPI cuMemHostUnregister(void *host);

/* Copies */
PVGPU_CU_PTDS(cuMemcpy, (CUdeviceptr dst, CUdeviceptr src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyPeer, (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src, CUcontext src_ctx,
			     size_t bytes));
PVGPU_CU_PTDS(cuMemcpyHtoD_v2, (CUdeviceptr dst, const void *src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyDtoH_v2, (void *dst, CUdeviceptr src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyDtoD_v2, (CUdeviceptr dst, CUdeviceptr src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpy2D_v2, (const CUDA_MEMCPY2D *copy));
PVGPU_CU_PTDS(cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *copy));
PVGPU_CU_PTDS(cuMemcpy3D_v2, (const CUDA_MEMCPY3D *copy));
PVGPU_CU_PTDS(cuMemcpy3DPeer, (const CUDA_MEMCPY3D_PEER *copy));
PVGPU_CU_PTSZ(cuMemcpyAsync, (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyPeerAsync, (CUdeviceptr dst, CUcontext dst_ctx, CUdeviceptr src,
				  CUcontext src_ctx, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyHtoDAsync_v2,
	      (CUdeviceptr dst, const void *src, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyDtoHAsync_v2, (void *dst, CUdeviceptr src, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyDtoDAsync_v2,
	      (CUdeviceptr dst, CUdeviceptr src, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D *copy, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpy3DAsync_v2, (const CUDA_MEMCPY3D *copy, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpy3DPeerAsync, (const CUDA_MEMCPY3D_PEER *copy, CUstream stream));

/* Copies from and to the beginning of arrays, or from an offset of bytes on */
PVGPU_CU_PTDS(cuMemcpyHtoA_v2, (CUarray dst, size_t offset, const void *src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyAtoH_v2, (void *dst, CUarray src, size_t offset, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyDtoA_v2, (CUarray dst, size_t offset, CUdeviceptr src, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyAtoD_v2, (CUdeviceptr dst, CUarray src, size_t offset, size_t bytes));
PVGPU_CU_PTDS(cuMemcpyAtoA_v2,
	      (CUarray dst, size_t dst_offset, CUarray src, size_t src_offset, size_t bytes));
PVGPU_CU_PTSZ(cuMemcpyHtoAAsync_v2,
	      (CUarray dst, size_t offset, const void *src, size_t bytes, CUstream stream));
PVGPU_CU_PTSZ(cuMemcpyAtoHAsync_v2,
	      (void *dst, CUarray src, size_t offset, size_t bytes, CUstream stream));

/* Arrays */
CUresult CUDAAPI cuArrayCreate_v2(CUarray *array, const CUDA_ARRAY_DESCRIPTOR *desc);
CUresult CUDAAPI cuArrayGetDescriptor_v2(CUDA_ARRAY_DESCRIPTOR *desc, CUarray array);
CUresult CUDAAPI cuArray3DCreate_v2(CUarray *array, const CUDA_ARRAY3D_DESCRIPTOR *desc);
CUresult CUDAAPI cuArray3DGetDescriptor_v2(CUDA_ARRAY3D_DESCRIPTOR *desc, CUarray array);
CUresult CUDAAPI cuArrayDestroy(CUarray array);
CUresult CUDAAPI cuArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs, CUarray array,
					      CUdevice dev);
CUresult CUDAAPI cuMipmappedArrayCreate(CUmipmappedArray *mipmap,
					const CUDA_ARRAY3D_DESCRIPTOR *desc, unsigned int levels);
CUresult CUDAAPI cuMipmappedArrayGetLevel(CUarray *array, CUmipmappedArray mipmap,
					  unsigned int level);
CUresult CUDAAPI cuMipmappedArrayDestroy(CUmipmappedArray mipmap);
CUresult CUDAAPI cuMipmappedArrayGetMemoryRequirements(CUDA_ARRAY_MEMORY_REQUIREMENTS *needs,
						       CUmipmappedArray mipmap, CUdevice dev);

/* Textures and surfaces */
CUresult CUDAAPI cuTexObjectCreate(CUtexObject *tex, const CUDA_RESOURCE_DESC *resource,
				   const CUDA_TEXTURE_DESC *texture,
				   const CUDA_RESOURCE_VIEW_DESC *view);
CUresult CUDAAPI cuTexObjectDestroy(CUtexObject tex);
CUresult CUDAAPI cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUtexObject tex);
CUresult CUDAAPI cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC *texture, CUtexObject tex);
CUresult CUDAAPI cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC *view, CUtexObject tex);
CUresult CUDAAPI cuSurfObjectCreate(CUsurfObject *surface, const CUDA_RESOURCE_DESC *resource);
CUresult CUDAAPI cuSurfObjectDestroy(CUsurfObject surface);
CUresult CUDAAPI cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC *resource, CUsurfObject surface);

/* Fills; count, width are in elements, pitch in bytes */
PVGPU_CU_PTDS(cuMemsetD8_v2, (CUdeviceptr dst, unsigned char value, size_t count));
PVGPU_CU_PTDS(cuMemsetD16_v2, (CUdeviceptr dst, unsigned short value, size_t count));
PVGPU_CU_PTDS(cuMemsetD32_v2, (CUdeviceptr dst, unsigned int value, size_t count));
PVGPU_CU_PTDS(cuMemsetD2D8_v2,
	      (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width, size_t height));
PVGPU_CU_PTDS(cuMemsetD2D16_v2,
	      (CUdeviceptr dst, size_t pitch, unsigned short value, size_t width, size_t height));
PVGPU_CU_PTDS(cuMemsetD2D32_v2,
	      (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width, size_t height));
PVGPU_CU_PTSZ(cuMemsetD8Async,
	      (CUdeviceptr dst, unsigned char value, size_t count, CUstream stream));
PVGPU_CU_PTSZ(cuMemsetD16Async,
	      (CUdeviceptr dst, unsigned short value, size_t count, CUstream stream));
PVGPU_CU_PTSZ(cuMemsetD32Async,
	      (CUdeviceptr dst, unsigned int value, size_t count, CUstream stream));
PVGPU_CU_PTSZ(cuMemsetD2D8Async, (CUdeviceptr dst, size_t pitch, unsigned char value, size_t width,
				  size_t height, CUstream stream));
PVGPU_CU_PTSZ(cuMemsetD2D16Async, (CUdeviceptr dst, size_t pitch, unsigned short value,
				   size_t width, size_t height, CUstream stream));
PVGPU_CU_PTSZ(cuMemsetD2D32Async, (CUdeviceptr dst, size_t pitch, unsigned int value, size_t width,
				   size_t height, CUstream stream));

/* Virtual memory management */
CUresult CUDAAPI cuMemAddressReserve(CUdeviceptr *addr, size_t bytes, size_t alignment,
				     CUdeviceptr wanted, unsigned long long flags);
CUresult CUDAAPI cuMemAddressFree(CUdeviceptr addr, size_t bytes);
CUresult CUDAAPI cuMemCreate(CUmemGenericAllocationHandle *handle, size_t bytes,
			     const CUmemAllocationProp *prop, unsigned long long flags);
CUresult CUDAAPI cuMemRelease(CUmemGenericAllocationHandle handle);
CUresult CUDAAPI cuMemMap(CUdeviceptr addr, size_t bytes, size_t offset,
			  CUmemGenericAllocationHandle handle, unsigned long long flags);
CUresult CUDAAPI cuMemUnmap(CUdeviceptr addr, size_t bytes);
CUresult CUDAAPI cuMemSetAccess(CUdeviceptr addr, size_t bytes, const CUmemAccessDesc *desc,
				size_t count);
CUresult CUDAAPI cuMemGetAccess(unsigned long long *flags, const CUmemLocation *location,
				CUdeviceptr addr);
CUresult CUDAAPI cuMemGetAllocationGranularity(size_t *granularity, const CUmemAllocationProp *prop,
					       CUmemAllocationGranularity_flags option);
CUresult CUDAAPI cuMemGetAllocationPropertiesFromHandle(CUmemAllocationProp *prop,
							CUmemGenericAllocationHandle handle);
CUresult CUDAAPI cuMemRetainAllocationHandle(CUmemGenericAllocationHandle *handle, void *addr);

/* Streams */
CUresult CUDAAPI cuStreamCreate(CUstream *stream, unsigned int flags);
CUresult CUDAAPI cuStreamCreateWithPriority(CUstream *stream, unsigned int flags, int priority);
CUresult CUDAAPI cuStreamDestroy(CUstream stream);
CUresult CUDAAPI cuStreamDestroy_v2(CUstream stream);
PVGPU_CU_PTSZ(cuStreamGetPriority, (CUstream stream, int *priority));
PVGPU_CU_PTSZ(cuStreamGetDevice, (CUstream stream, CUdevice *dev));
PVGPU_CU_PTSZ(cuStreamGetFlags, (CUstream stream, unsigned int *flags));
PVGPU_CU_PTSZ(cuStreamGetId, (CUstream stream, unsigned long long *id));
PVGPU_CU_PTSZ(cuStreamGetCtx, (CUstream stream, CUcontext *ctx));
PVGPU_CU_PTSZ(cuStreamGetCtx_v2, (CUstream stream, CUcontext *ctx, CUgreenCtx *green));
PVGPU_CU_PTSZ(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags));
PVGPU_CU_PTSZ(cuStreamAddCallback,
	      (CUstream stream, CUstreamCallback fn, void *user_data, unsigned int flags));
PVGPU_CU_PTSZ(cuStreamQuery, (CUstream stream));
PVGPU_CU_PTSZ(cuStreamSynchronize, (CUstream stream));
PVGPU_CU_PTSZ(cuStreamCopyAttributes, (CUstream dst, CUstream src));
PVGPU_CU_PTSZ(cuStreamGetAttribute,
	      (CUstream stream, CUstreamAttrID attr, CUstreamAttrValue *value));
PVGPU_CU_PTSZ(cuStreamSetAttribute,
	      (CUstream stream, CUstreamAttrID attr, const CUstreamAttrValue *value));
PVGPU_CU_PTSZ(cuStreamIsCapturing, (CUstream stream, CUstreamCaptureStatus *status));
PVGPU_CU_PTSZ(cuStreamGetCaptureInfo,
	      (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id));
PVGPU_CU_PTSZ(cuStreamGetCaptureInfo_v2,
	      (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	       const CUgraphNode **dependencies, size_t *num_dependencies));
PVGPU_CU_PTSZ(cuStreamGetCaptureInfo_v3,
	      (CUstream stream, CUstreamCaptureStatus *status, cuuint64_t *id, CUgraph *graph,
	       const CUgraphNode **dependencies, const CUgraphEdgeData **edges,
	       size_t *num_dependencies));
CUresult CUDAAPI cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode);

/* Events */
CUresult CUDAAPI cuEventCreate(CUevent *event, unsigned int flags);
CUresult CUDAAPI cuEventDestroy(CUevent event);
CUresult CUDAAPI cuEventDestroy_v2(CUevent event);
PVGPU_CU_PTSZ(cuEventRecord, (CUevent event, CUstream stream));
PVGPU_CU_PTSZ(cuEventRecordWithFlags, (CUevent event, CUstream stream, unsigned int flags));
CUresult CUDAAPI cuEventQuery(CUevent event);
CUresult CUDAAPI cuEventSynchronize(CUevent event);
CUresult CUDAAPI cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end);
CUresult CUDAAPI cuEventElapsedTime_v2(float *milliseconds, CUevent start, CUevent end);

#undef PVGPU_CU_PTDS
#undef PVGPU_CU_PTSZ
#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#ifndef __CUDA_API_VERSION_INTERNAL
#include "pvgpu_cuda_names.h"
#endif

#endif
