/* SPDX-License-Identifier: MIT */
/* Results of the runtime's calls: name, number, text. Included by cuda_runtime_api.h and by the
 * library. */
#ifndef PVGPU_CUDA_RUNTIME_ERROR_H
#define PVGPU_CUDA_RUNTIME_ERROR_H

/* clang-format off */
#define PVGPU_CUDART_ERRORS(E) \
	E(cudaSuccess, 0, "no error") \
	E(cudaErrorInvalidValue, 1, "invalid argument") \
	E(cudaErrorMemoryAllocation, 2, "out of memory") \
	E(cudaErrorInitializationError, 3, "initialization error") \
	E(cudaErrorCudartUnloading, 4, "the runtime or the driver is shutting down") \
	E(cudaErrorProfilerDisabled, 5, "the profiler is disabled") \
	E(cudaErrorProfilerNotInitialized, 6, "the profiler is not initialized") \
	E(cudaErrorProfilerAlreadyStarted, 7, "the profiler has been started already") \
	E(cudaErrorProfilerAlreadyStopped, 8, "the profiler has been stopped already") \
	E(cudaErrorInvalidConfiguration, 9, "invalid configuration of a launch: grid, block or shared memory") \
	E(cudaErrorInvalidPitchValue, 12, "invalid pitch") \
	E(cudaErrorInvalidSymbol, 13, "no such variable on the device") \
	E(cudaErrorInvalidHostPointer, 16, "invalid host pointer") \
	E(cudaErrorInvalidDevicePointer, 17, "invalid device pointer") \
	E(cudaErrorInvalidTexture, 18, "invalid texture reference") \
	E(cudaErrorInvalidTextureBinding, 19, "the texture is not bound") \
	E(cudaErrorInvalidChannelDescriptor, 20, "invalid channel descriptor") \
	E(cudaErrorInvalidMemcpyDirection, 21, "invalid direction of a copy") \
	E(cudaErrorAddressOfConstant, 22, "the address of a constant was taken") \
	E(cudaErrorTextureFetchFailed, 23, "a texture fetch failed") \
	E(cudaErrorTextureNotBound, 24, "the texture is not bound for a fetch") \
	E(cudaErrorSynchronizationError, 25, "a synchronisation failed") \
	E(cudaErrorInvalidFilterSetting, 26, "this filter mode is for textures of floating point only") \
	E(cudaErrorInvalidNormSetting, 27, "this read mode is for textures of small integers only") \
	E(cudaErrorMixedDeviceExecution, 28, "device code and emulated code cannot be mixed") \
	E(cudaErrorNotYetImplemented, 31, "not implemented yet") \
	E(cudaErrorMemoryValueTooLarge, 32, "an emulated address is beyond 32 bits") \
	E(cudaErrorStubLibrary, 34, "the driver library is a stub to link with") \
	E(cudaErrorInsufficientDriver, 35, "there is no CUDA driver, or it is older than the runtime needs") \
	E(cudaErrorCallRequiresNewerDriver, 36, "the call needs a newer driver") \
	E(cudaErrorInvalidSurface, 37, "invalid surface reference") \
	E(cudaErrorDuplicateVariableName, 43, "two variables have the same name") \
	E(cudaErrorDuplicateTextureName, 44, "two textures have the same name") \
	E(cudaErrorDuplicateSurfaceName, 45, "two surfaces have the same name") \
	E(cudaErrorDevicesUnavailable, 46, "all devices are busy or unavailable") \
	E(cudaErrorIncompatibleDriverContext, 49, "the current context was made in a way that the runtime cannot use") \
	E(cudaErrorMissingConfiguration, 52, "a launch without its configuration") \
	E(cudaErrorPriorLaunchFailure, 53, "an earlier launch failed") \
	E(cudaErrorLaunchMaxDepthExceeded, 65, "launches of the device are nested too deeply") \
	E(cudaErrorLaunchFileScopedTex, 66, "a kernel launched by the device uses a texture of its file") \
	E(cudaErrorLaunchFileScopedSurf, 67, "a kernel launched by the device uses a surface of its file") \
	E(cudaErrorSyncDepthExceeded, 68, "the device synchronises at too deep a level") \
	E(cudaErrorLaunchPendingCountExceeded, 69, "too many launches of the device are pending") \
	E(cudaErrorInvalidDeviceFunction, 98, "invalid device function") \
	E(cudaErrorNoDevice, 100, "no CUDA-capable device is detected") \
	E(cudaErrorInvalidDevice, 101, "invalid device ordinal") \
	E(cudaErrorDeviceNotLicensed, 102, "the device has no licence") \
	E(cudaErrorSoftwareValidityNotEstablished, 103, "the driver's validity was not established") \
	E(cudaErrorStartupFailure, 127, "the runtime could not start") \
	E(cudaErrorInvalidKernelImage, 200, "the device kernel image is invalid") \
	E(cudaErrorDeviceUninitialized, 201, "invalid device context") \
	E(cudaErrorMapBufferObjectFailed, 205, "mapping of a buffer object failed") \
	E(cudaErrorUnmapBufferObjectFailed, 206, "unmapping of a buffer object failed") \
	E(cudaErrorArrayIsMapped, 207, "the array is mapped") \
	E(cudaErrorAlreadyMapped, 208, "the resource is mapped already") \
	E(cudaErrorNoKernelImageForDevice, 209, "no kernel image is available for execution on the device") \
	E(cudaErrorAlreadyAcquired, 210, "the resource is acquired already") \
	E(cudaErrorNotMapped, 211, "the resource is not mapped") \
	E(cudaErrorNotMappedAsArray, 212, "the resource is not mapped as an array") \
	E(cudaErrorNotMappedAsPointer, 213, "the resource is not mapped as a pointer") \
	E(cudaErrorECCUncorrectable, 214, "uncorrectable ECC error") \
	E(cudaErrorUnsupportedLimit, 215, "the device does not have this limit") \
	E(cudaErrorDeviceAlreadyInUse, 216, "another thread uses the device exclusively") \
	E(cudaErrorPeerAccessUnsupported, 217, "access between these devices is not possible") \
	E(cudaErrorInvalidPtx, 218, "the PTX does not compile") \
	E(cudaErrorInvalidGraphicsContext, 219, "invalid OpenGL or DirectX context") \
	E(cudaErrorNvlinkUncorrectable, 220, "uncorrectable NVLink error") \
	E(cudaErrorJitCompilerNotFound, 221, "the PTX compiler was not found") \
	E(cudaErrorUnsupportedPtxVersion, 222, "this version of PTX is newer than the compiler") \
	E(cudaErrorJitCompilationDisabled, 223, "compilation of PTX is disabled") \
	E(cudaErrorUnsupportedExecAffinity, 224, "the device has no such execution affinity") \
	E(cudaErrorUnsupportedDevSideSync, 225, "the code synchronises on the device, which is not supported") \
	E(cudaErrorContained, 226, "a contained error ended this process's work") \
	E(cudaErrorInvalidSource, 300, "the device kernel source is invalid") \
	E(cudaErrorFileNotFound, 301, "file not found") \
	E(cudaErrorSharedObjectSymbolNotFound, 302, "a shared object lacks a symbol") \
	E(cudaErrorSharedObjectInitFailed, 303, "a shared object could not be initialised") \
	E(cudaErrorOperatingSystem, 304, "a call of the operating system failed") \
	E(cudaErrorInvalidResourceHandle, 400, "invalid resource handle") \
	E(cudaErrorIllegalState, 401, "an object is not in the state that the call needs") \
	E(cudaErrorLossyQuery, 402, "the answer would lose information") \
	E(cudaErrorSymbolNotFound, 500, "named symbol not found") \
	E(cudaErrorNotReady, 600, "device not ready") \
	E(cudaErrorIllegalAddress, 700, "an illegal memory access was encountered") \
	E(cudaErrorLaunchOutOfResources, 701, "too many resources requested for launch") \
	E(cudaErrorLaunchTimeout, 702, "the launch timed out and was terminated") \
	E(cudaErrorLaunchIncompatibleTexturing, 703, "a launch with an incompatible texturing mode") \
	E(cudaErrorPeerAccessAlreadyEnabled, 704, "access between these devices is enabled already") \
	E(cudaErrorPeerAccessNotEnabled, 705, "access between these devices is not enabled") \
	E(cudaErrorSetOnActiveProcess, 708, "cannot be set while the device is in use") \
	E(cudaErrorContextIsDestroyed, 709, "the context is destroyed") \
	E(cudaErrorAssert, 710, "device-side assert triggered") \
	E(cudaErrorTooManyPeers, 711, "access to no further device can be enabled") \
	E(cudaErrorHostMemoryAlreadyRegistered, 712, "this host memory is registered already") \
	E(cudaErrorHostMemoryNotRegistered, 713, "this host memory is not registered") \
	E(cudaErrorHardwareStackError, 714, "a call stack on the device is damaged") \
	E(cudaErrorIllegalInstruction, 715, "an illegal instruction was encountered") \
	E(cudaErrorMisalignedAddress, 716, "misaligned address") \
	E(cudaErrorInvalidAddressSpace, 717, "an operation on an address of the wrong space") \
	E(cudaErrorInvalidPc, 718, "invalid program counter") \
	E(cudaErrorLaunchFailure, 719, "unspecified launch failure") \
	E(cudaErrorCooperativeLaunchTooLarge, 720, "too many blocks in a cooperative launch") \
	E(cudaErrorTensorMemoryLeak, 721, "a kernel left tensor memory allocated") \
	E(cudaErrorNotPermitted, 800, "operation not permitted") \
	E(cudaErrorNotSupported, 801, "operation not supported") \
	E(cudaErrorSystemNotReady, 802, "the system is not ready to be used") \
	E(cudaErrorSystemDriverMismatch, 803, "the versions of driver and system do not match") \
	E(cudaErrorCompatNotSupportedOnDevice, 804, "the compatibility package does not support this device") \
	E(cudaErrorMpsConnectionFailed, 805, "MPS: no connection to the server") \
	E(cudaErrorMpsRpcFailure, 806, "MPS: a call failed") \
	E(cudaErrorMpsServerNotReady, 807, "MPS: the server is not ready") \
	E(cudaErrorMpsMaxClientsReached, 808, "MPS: too many clients") \
	E(cudaErrorMpsMaxConnectionsReached, 809, "MPS: too many connections") \
	E(cudaErrorMpsClientTerminated, 810, "MPS: the server ended this client") \
	E(cudaErrorCdpNotSupported, 811, "launches by the device are not supported") \
	E(cudaErrorCdpVersionMismatch, 812, "the versions of launches by the device do not match") \
	E(cudaErrorStreamCaptureUnsupported, 900, "operation not permitted when stream is capturing") \
	E(cudaErrorStreamCaptureInvalidated, 901, "the capture was invalidated by an earlier error") \
	E(cudaErrorStreamCaptureMerge, 902, "the operation would merge two captures") \
	E(cudaErrorStreamCaptureUnmatched, 903, "the capture did not begin in this stream") \
	E(cudaErrorStreamCaptureUnjoined, 904, "the capture has work that was not joined") \
	E(cudaErrorStreamCaptureIsolation, 905, "a dependency would cross the capture's boundary") \
	E(cudaErrorStreamCaptureImplicit, 906, "the operation would depend on the default stream") \
	E(cudaErrorCapturedEvent, 907, "the event was recorded in a capture") \
	E(cudaErrorStreamCaptureWrongThread, 908, "the capture began in another thread") \
	E(cudaErrorTimeout, 909, "the wait timed out") \
	E(cudaErrorGraphExecUpdateFailure, 910, "the graph's update was refused") \
	E(cudaErrorExternalDevice, 911, "an error outside of the device") \
	E(cudaErrorInvalidClusterSize, 912, "invalid cluster size") \
	E(cudaErrorFunctionNotLoaded, 913, "the function is not loaded") \
	E(cudaErrorInvalidResourceType, 914, "a resource of the wrong type") \
	E(cudaErrorInvalidResourceConfiguration, 915, "a resource's configuration is not valid") \
	E(cudaErrorUnknown, 999, "unknown error") \
	E(cudaErrorApiFailureBase, 10000, "a start of numbers that is used no more")
/* clang-format on */

typedef enum cudaError {
#define PVGPU_CUDART_ERROR(name, number, text) name = number,
	PVGPU_CUDART_ERRORS(PVGPU_CUDART_ERROR)
#undef PVGPU_CUDART_ERROR
} cudaError_t;

#endif
