/* SPDX-License-Identifier: MIT */
/*
 * From the name that a program writes to the symbol that it means: the newest revision of the call
 * and, with CUDA_API_PER_THREAD_DEFAULT_STREAM, its per-thread form. Included last by cuda.h.
 */
#ifndef PVGPU_CUDA_NAMES_H
#define PVGPU_CUDA_NAMES_H

#if defined(CUDA_API_PER_THREAD_DEFAULT_STREAM) || defined(__CUDA_API_PER_THREAD_DEFAULT_STREAM)
#ifndef __CUDA_API_PER_THREAD_DEFAULT_STREAM
#define __CUDA_API_PER_THREAD_DEFAULT_STREAM
#endif
#define __CUDA_API_PTDS(api) api##_ptds
#define __CUDA_API_PTSZ(api) api##_ptsz
#else
#define __CUDA_API_PTDS(api) api
#define __CUDA_API_PTSZ(api) api
#endif

/* Newest revisions */
#define cuArray3DCreate            cuArray3DCreate_v2
#define cuArray3DGetDescriptor     cuArray3DGetDescriptor_v2
#define cuArrayCreate              cuArrayCreate_v2
#define cuArrayGetDescriptor       cuArrayGetDescriptor_v2
#define cuCtxCreate                cuCtxCreate_v4
#define cuCtxDestroy               cuCtxDestroy_v2
#define cuCtxPopCurrent            cuCtxPopCurrent_v2
#define cuCtxPushCurrent           cuCtxPushCurrent_v2
#define cuDeviceGetUuid            cuDeviceGetUuid_v2
#define cuDevicePrimaryCtxRelease  cuDevicePrimaryCtxRelease_v2
#define cuDevicePrimaryCtxReset    cuDevicePrimaryCtxReset_v2
#define cuDevicePrimaryCtxSetFlags cuDevicePrimaryCtxSetFlags_v2
#define cuDeviceTotalMem           cuDeviceTotalMem_v2
#define cuEventDestroy             cuEventDestroy_v2
#define cuEventElapsedTime         cuEventElapsedTime_v2
#define cuGetProcAddress           cuGetProcAddress_v2
#define cuIpcOpenMemHandle         cuIpcOpenMemHandle_v2
#define cuLinkAddData              cuLinkAddData_v2
#define cuLinkAddFile              cuLinkAddFile_v2
#define cuLinkCreate               cuLinkCreate_v2
#define cuMemAdvise                cuMemAdvise_v2
#define cuMemAlloc                 cuMemAlloc_v2
#define cuMemAllocHost             cuMemAllocHost_v2
#define cuMemAllocPitch            cuMemAllocPitch_v2
#define cuMemFree                  cuMemFree_v2
#define cuMemGetAddressRange       cuMemGetAddressRange_v2
#define cuMemGetInfo               cuMemGetInfo_v2
#define cuMemHostGetDevicePointer  cuMemHostGetDevicePointer_v2
#define cuMemHostRegister          cuMemHostRegister_v2
#define cuModuleGetGlobal          cuModuleGetGlobal_v2
#define cuStreamDestroy            cuStreamDestroy_v2

/* Calls with per-thread forms */
#define cuEventRecord             __CUDA_API_PTSZ(cuEventRecord)
#define cuEventRecordWithFlags    __CUDA_API_PTSZ(cuEventRecordWithFlags)
#define cuLaunchCooperativeKernel __CUDA_API_PTSZ(cuLaunchCooperativeKernel)
#define cuLaunchHostFunc          __CUDA_API_PTSZ(cuLaunchHostFunc)
#define cuLaunchKernel            __CUDA_API_PTSZ(cuLaunchKernel)
#define cuLaunchKernelEx          __CUDA_API_PTSZ(cuLaunchKernelEx)
#define cuMemcpy                  __CUDA_API_PTDS(cuMemcpy)
#define cuMemcpy2D                __CUDA_API_PTDS(cuMemcpy2D_v2)
#define cuMemcpy2DAsync           __CUDA_API_PTSZ(cuMemcpy2DAsync_v2)
#define cuMemcpy2DUnaligned       __CUDA_API_PTDS(cuMemcpy2DUnaligned_v2)
#define cuMemcpy3D                __CUDA_API_PTDS(cuMemcpy3D_v2)
#define cuMemcpy3DAsync           __CUDA_API_PTSZ(cuMemcpy3DAsync_v2)
#define cuMemAllocAsync           __CUDA_API_PTSZ(cuMemAllocAsync)
#define cuMemAllocFromPoolAsync   __CUDA_API_PTSZ(cuMemAllocFromPoolAsync)
#define cuMemFreeAsync            __CUDA_API_PTSZ(cuMemFreeAsync)
#define cuMemPrefetchAsync        __CUDA_API_PTSZ(cuMemPrefetchAsync_v2)
#define cuMemcpy3DPeer            __CUDA_API_PTDS(cuMemcpy3DPeer)
#define cuMemcpy3DPeerAsync       __CUDA_API_PTSZ(cuMemcpy3DPeerAsync)
#define cuMemcpyAsync             __CUDA_API_PTSZ(cuMemcpyAsync)
#define cuMemcpyAtoA              __CUDA_API_PTDS(cuMemcpyAtoA_v2)
#define cuMemcpyAtoD              __CUDA_API_PTDS(cuMemcpyAtoD_v2)
#define cuMemcpyAtoH              __CUDA_API_PTDS(cuMemcpyAtoH_v2)
#define cuMemcpyAtoHAsync         __CUDA_API_PTSZ(cuMemcpyAtoHAsync_v2)
#define cuMemcpyDtoA              __CUDA_API_PTDS(cuMemcpyDtoA_v2)
#define cuMemcpyDtoD              __CUDA_API_PTDS(cuMemcpyDtoD_v2)
#define cuMemcpyDtoDAsync         __CUDA_API_PTSZ(cuMemcpyDtoDAsync_v2)
#define cuMemcpyDtoH              __CUDA_API_PTDS(cuMemcpyDtoH_v2)
#define cuMemcpyDtoHAsync         __CUDA_API_PTSZ(cuMemcpyDtoHAsync_v2)
#define cuMemcpyHtoA              __CUDA_API_PTDS(cuMemcpyHtoA_v2)
#define cuMemcpyHtoAAsync         __CUDA_API_PTSZ(cuMemcpyHtoAAsync_v2)
#define cuMemcpyHtoD              __CUDA_API_PTDS(cuMemcpyHtoD_v2)
#define cuMemcpyHtoDAsync         __CUDA_API_PTSZ(cuMemcpyHtoDAsync_v2)
#define cuMemcpyPeer              __CUDA_API_PTDS(cuMemcpyPeer)
#define cuMemcpyPeerAsync         __CUDA_API_PTSZ(cuMemcpyPeerAsync)
#define cuMemsetD16               __CUDA_API_PTDS(cuMemsetD16_v2)
#define cuMemsetD16Async          __CUDA_API_PTSZ(cuMemsetD16Async)
#define cuMemsetD2D16             __CUDA_API_PTDS(cuMemsetD2D16_v2)
#define cuMemsetD2D16Async        __CUDA_API_PTSZ(cuMemsetD2D16Async)
#define cuMemsetD2D32             __CUDA_API_PTDS(cuMemsetD2D32_v2)
#define cuMemsetD2D32Async        __CUDA_API_PTSZ(cuMemsetD2D32Async)
#define cuMemsetD2D8              __CUDA_API_PTDS(cuMemsetD2D8_v2)
#define cuMemsetD2D8Async         __CUDA_API_PTSZ(cuMemsetD2D8Async)
#define cuMemsetD32               __CUDA_API_PTDS(cuMemsetD32_v2)
#define cuMemsetD32Async          __CUDA_API_PTSZ(cuMemsetD32Async)
#define cuMemsetD8                __CUDA_API_PTDS(cuMemsetD8_v2)
#define cuMemsetD8Async           __CUDA_API_PTSZ(cuMemsetD8Async)
#define cuStreamAddCallback       __CUDA_API_PTSZ(cuStreamAddCallback)
#define cuStreamAttachMemAsync    __CUDA_API_PTSZ(cuStreamAttachMemAsync)
#define cuStreamCopyAttributes    __CUDA_API_PTSZ(cuStreamCopyAttributes)
#define cuStreamGetAttribute      __CUDA_API_PTSZ(cuStreamGetAttribute)
#define cuStreamGetCaptureInfo    __CUDA_API_PTSZ(cuStreamGetCaptureInfo_v3)
#define cuStreamGetCtx            __CUDA_API_PTSZ(cuStreamGetCtx)
#define cuStreamGetCtx_v2         __CUDA_API_PTSZ(cuStreamGetCtx_v2)
#define cuStreamGetDevice         __CUDA_API_PTSZ(cuStreamGetDevice)
#define cuStreamGetFlags          __CUDA_API_PTSZ(cuStreamGetFlags)
#define cuStreamGetId             __CUDA_API_PTSZ(cuStreamGetId)
#define cuStreamGetPriority       __CUDA_API_PTSZ(cuStreamGetPriority)
#define cuStreamIsCapturing       __CUDA_API_PTSZ(cuStreamIsCapturing)
#define cuStreamQuery             __CUDA_API_PTSZ(cuStreamQuery)
#define cuStreamSetAttribute      __CUDA_API_PTSZ(cuStreamSetAttribute)
#define cuStreamSynchronize       __CUDA_API_PTSZ(cuStreamSynchronize)
#define cuStreamWaitEvent         __CUDA_API_PTSZ(cuStreamWaitEvent)

#ifdef __CUDA_API_PER_THREAD_DEFAULT_STREAM
#ifdef __cplusplus
extern "C" {
#endif
/* A program built for per-thread streams expects the per-thread forms by default. */
static inline CUresult cuGetProcAddress_v2_ptsz(const char *name, void **fn, int version,
						cuuint64_t flags,
						CUdriverProcAddressQueryResult *status)
{
	if (!(flags &
	      (CU_GET_PROC_ADDRESS_LEGACY_STREAM | CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM)))
		flags |= CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
	return (cuGetProcAddress_v2)(name, fn, version, flags, status);
}
#define cuGetProcAddress_v2 cuGetProcAddress_v2_ptsz
#ifdef __cplusplus
}
#endif
#endif

#endif
