/* SPDX-License-Identifier: MIT */
/*
 * The far end: libcuda, loaded by dlopen of a configured path in the prepare phase. Everything that
 * the worker calls stands in the lists below, by the exact symbol that the library exports; a
 * missing one of FAR_NEEDED or FAR_PARAMS refuses the library, a missing one of FAR_OPTIONAL is
 * NULL.
 */
#ifndef PVGPU_FAR_H
#define PVGPU_FAR_H

/* Names mean exactly the symbol that is written. */
#ifndef __CUDA_API_VERSION_INTERNAL
#define __CUDA_API_VERSION_INTERNAL
#endif
#include <cuda.h>
#include <stddef.h>

#include "pvgpu_far.h"

#define FAR_NEEDED(X)                                                                              \
	X(cuInit)                                                                                  \
	X(cuDriverGetVersion)                                                                      \
	X(cuDeviceGet)                                                                             \
	X(cuDeviceGetCount)                                                                        \
	X(cuDeviceGetName)                                                                         \
	X(cuDeviceGetAttribute)                                                                    \
	X(cuDeviceTotalMem_v2)                                                                     \
	X(cuDeviceGetUuid_v2)                                                                      \
	X(cuDeviceGetPCIBusId)                                                                     \
	X(cuDevicePrimaryCtxRetain)                                                                \
	X(cuDevicePrimaryCtxRelease_v2)                                                            \
	X(cuDevicePrimaryCtxReset_v2)                                                              \
	X(cuDevicePrimaryCtxSetFlags_v2)                                                           \
	X(cuDevicePrimaryCtxGetState)                                                              \
	X(cuCtxCreate_v2)                                                                          \
	X(cuCtxDestroy_v2)                                                                         \
	X(cuCtxSetCurrent)                                                                         \
	X(cuCtxPopCurrent_v2)                                                                      \
	X(cuCtxGetCurrent)                                                                         \
	X(cuCtxSynchronize)                                                                        \
	X(cuCtxGetApiVersion)                                                                      \
	X(cuCtxGetStreamPriorityRange)                                                             \
	X(cuCtxSetLimit)                                                                           \
	X(cuModuleLoadDataEx)                                                                      \
	X(cuModuleUnload)                                                                          \
	X(cuModuleGetFunction)                                                                     \
	X(cuModuleGetGlobal_v2)                                                                    \
	X(cuLibraryLoadData)                                                                       \
	X(cuLibraryUnload)                                                                         \
	X(cuLibraryGetKernel)                                                                      \
	X(cuLibraryGetModule)                                                                      \
	X(cuLibraryGetGlobal)                                                                      \
	X(cuKernelGetFunction)                                                                     \
	X(cuKernelGetAttribute)                                                                    \
	X(cuKernelSetAttribute)                                                                    \
	X(cuKernelSetCacheConfig)                                                                  \
	X(cuFuncGetAttribute)                                                                      \
	X(cuFuncSetAttribute)                                                                      \
	X(cuFuncSetCacheConfig)                                                                    \
	X(cuLaunchKernel)                                                                          \
	X(cuLaunchKernelEx)                                                                        \
	X(cuLaunchCooperativeKernel)                                                               \
	X(cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags)                                    \
	X(cuOccupancyAvailableDynamicSMemPerBlock)                                                 \
	X(cuMemGetInfo_v2)                                                                         \
	X(cuMemAddressReserve)                                                                     \
	X(cuMemAddressFree)                                                                        \
	X(cuMemCreate)                                                                             \
	X(cuMemRelease)                                                                            \
	X(cuMemMap)                                                                                \
	X(cuMemUnmap)                                                                              \
	X(cuMemSetAccess)                                                                          \
	X(cuMemGetAllocationGranularity)                                                           \
	X(cuMemHostRegister_v2)                                                                    \
	X(cuMemHostUnregister)                                                                     \
	X(cuMemcpyAsync)                                                                           \
	X(cuMemcpyHtoDAsync_v2)                                                                    \
	X(cuMemcpyDtoHAsync_v2)                                                                    \
	X(cuMemcpyDtoDAsync_v2)                                                                    \
	X(cuMemcpy3DAsync_v2)                                                                      \
	X(cuMemsetD8Async)                                                                         \
	X(cuMemsetD16Async)                                                                        \
	X(cuMemsetD32Async)                                                                        \
	X(cuMemsetD2D8Async)                                                                       \
	X(cuMemsetD2D16Async)                                                                      \
	X(cuMemsetD2D32Async)                                                                      \
	X(cuStreamCreateWithPriority)                                                              \
	X(cuStreamDestroy_v2)                                                                      \
	X(cuStreamSynchronize)                                                                     \
	X(cuStreamQuery)                                                                           \
	X(cuStreamWaitEvent)                                                                       \
	X(cuEventCreate)                                                                           \
	X(cuEventDestroy_v2)                                                                       \
	X(cuEventRecord)                                                                           \
	X(cuEventQuery)                                                                            \
	X(cuEventSynchronize)                                                                      \
	X(cuEventElapsedTime)                                                                      \
	X(cuLaunchHostFunc)                                                                        \
	X(cuStreamAddCallback)                                                                     \
	X(cuThreadExchangeStreamCaptureMode)

/* How a kernel's parameters lie: drivers from FAR_PARAMS_SINCE on say it. */
#define FAR_PARAMS_SINCE "550 (CUDA 12.4)"
#define FAR_PARAMS(X)                                                                              \
	X(cuFuncGetParamInfo)                                                                      \
	X(cuKernelGetParamInfo)

/* Graphs: all of these, or none is used (far_graphs()). */
#define FAR_GRAPHS(X)                                                                              \
	X(cuGraphCreate)                                                                           \
	X(cuGraphDestroy)                                                                          \
	X(cuGraphClone)                                                                            \
	X(cuGraphAddKernelNode_v2)                                                                 \
	X(cuGraphAddMemcpyNode)                                                                    \
	X(cuGraphAddMemsetNode)                                                                    \
	X(cuGraphAddHostNode)                                                                      \
	X(cuGraphAddEmptyNode)                                                                     \
	X(cuGraphAddChildGraphNode)                                                                \
	X(cuGraphGetNodes)                                                                         \
	X(cuGraphGetEdges_v2)                                                                      \
	X(cuGraphNodeGetType)                                                                      \
	X(cuGraphNodeFindInClone)                                                                  \
	X(cuGraphDestroyNode)                                                                      \
	X(cuGraphAddDependencies_v2)                                                               \
	X(cuGraphRemoveDependencies_v2)                                                            \
	X(cuGraphKernelNodeGetParams_v2)                                                           \
	X(cuGraphKernelNodeSetParams_v2)                                                           \
	X(cuGraphMemcpyNodeGetParams)                                                              \
	X(cuGraphMemcpyNodeSetParams)                                                              \
	X(cuGraphMemsetNodeGetParams)                                                              \
	X(cuGraphMemsetNodeSetParams)                                                              \
	X(cuGraphHostNodeGetParams)                                                                \
	X(cuGraphHostNodeSetParams)                                                                \
	X(cuGraphInstantiateWithParams)                                                            \
	X(cuGraphExecDestroy)                                                                      \
	X(cuGraphExecUpdate_v2)                                                                    \
	X(cuGraphExecKernelNodeSetParams_v2)                                                       \
	X(cuGraphExecMemcpyNodeSetParams)                                                          \
	X(cuGraphExecMemsetNodeSetParams)                                                          \
	X(cuGraphExecHostNodeSetParams)                                                            \
	X(cuGraphLaunch)                                                                           \
	X(cuGraphUpload)                                                                           \
	X(cuStreamBeginCaptureToGraph)                                                             \
	X(cuStreamEndCapture)                                                                      \
	X(cuStreamGetCaptureInfo_v2)                                                               \
	X(cuStreamUpdateCaptureDependencies)

/* Newer than the oldest driver that is served, or not on every kind of GPU. */
#define FAR_OPTIONAL(X)                                                                            \
	X(cuLinkCreate_v2)                                                                         \
	X(cuLinkAddData_v2)                                                                        \
	X(cuLinkComplete)                                                                          \
	X(cuLinkDestroy)                                                                           \
	X(cuArray3DCreate_v2)                                                                      \
	X(cuArrayDestroy)                                                                          \
	X(cuArrayGetMemoryRequirements)                                                            \
	X(cuMipmappedArrayCreate)                                                                  \
	X(cuMipmappedArrayGetLevel)                                                                \
	X(cuMipmappedArrayDestroy)                                                                 \
	X(cuMipmappedArrayGetMemoryRequirements)                                                   \
	X(cuTexObjectCreate)                                                                       \
	X(cuTexObjectDestroy)                                                                      \
	X(cuSurfObjectCreate)                                                                      \
	X(cuSurfObjectDestroy)                                                                     \
	X(cuTensorMapEncodeTiled)                                                                  \
	X(cuTensorMapEncodeIm2col)                                                                 \
	X(cuTensorMapEncodeIm2colWide)                                                             \
	X(cuTensorMapReplaceAddress)                                                               \
	X(cuFuncGetName)                                                                           \
	X(cuFuncLoad)                                                                              \
	X(cuKernelGetName)                                                                         \
	X(cuModuleEnumerateFunctions)                                                              \
	X(cuLibraryEnumerateKernels)                                                               \
	X(cuOccupancyMaxPotentialClusterSize)                                                      \
	X(cuOccupancyMaxActiveClusters)                                                            \
	X(cuCtxResetPersistingL2Cache)                                                             \
	X(cuStreamWaitValue32_v2)                                                                  \
	X(cuStreamWriteValue32_v2)                                                                 \
	X(cuMemExportToShareableHandle)                                                            \
	X(cuMemImportFromShareableHandle)                                                          \
	X(cuStreamBatchMemOp_v2)                                                                   \
	X(cuStreamSetAttribute)                                                                    \
	X(cuGraphKernelNodeGetAttribute)                                                           \
	X(cuGraphKernelNodeSetAttribute)                                                           \
	X(cuGraphKernelNodeCopyAttributes)                                                         \
	X(cuGraphChildGraphNodeGetGraph)                                                           \
	X(cuGraphExecChildGraphNodeSetParams)                                                      \
	X(cuGraphNodeSetEnabled)                                                                   \
	X(cuGraphNodeGetEnabled)                                                                   \
	X(cuGraphAddNode_v2)                                                                       \
	X(cuGraphConditionalHandleCreate)                                                          \
	X(cuGraphAddBatchMemOpNode)                                                                \
	X(cuGraphBatchMemOpNodeGetParams)                                                          \
	X(cuGraphBatchMemOpNodeSetParams)                                                          \
	X(cuGraphExecBatchMemOpNodeSetParams)                                                      \
	X(cuDeviceGetDevResource)                                                                  \
	X(cuGreenCtxGetDevResource)                                                                \
	X(cuDevSmResourceSplitByCount)                                                             \
	X(cuDevResourceGenerateDesc)                                                               \
	X(cuGreenCtxCreate)                                                                        \
	X(cuGreenCtxDestroy)                                                                       \
	X(cuGreenCtxStreamCreate)                                                                  \
	FAR_GRAPHS(X)

#define FAR_MEMBER(name) __typeof__(name) *name;
struct far {
	FAR_NEEDED(FAR_MEMBER)
	FAR_PARAMS(FAR_MEMBER)
	FAR_OPTIONAL(FAR_MEMBER)
	FAR_CALLS_NEEDED(FAR_MEMBER)
	FAR_CALLS_OPTIONAL(FAR_MEMBER)
	struct far_libraries lib;
	void *dl;     /* of dlopen */
	CUdevice dev; /* the GPU that this worker serves */
	int driver_version;
	size_t total_mem; /* of the GPU, bytes */
	char model[64];   /* its name */
};
#undef FAR_MEMBER

/* Load and resolve; 0, or -1 with a reason for people that names the path or the symbol. */
int far_load(struct far *far, const char *path, char *reason, size_t cap);
/* The same for another library, by its name in the description. Its calls that are not there are
 * NULL. */
int far_library(struct far *far, const char *name, const char *path, char *reason, size_t cap);

#endif
