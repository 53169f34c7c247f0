/* SPDX-License-Identifier: MIT */
/*
 * Every result with its text, for cuGetErrorName() and cuGetErrorString() of pvgpu's libcuda and of
 * the simulated GPU's: PVGPU_CUDA_RESULTS(R) has R(code, text) for each.
 *
 * Programs and scripts look for some of these texts in logs ("out of memory"), so what people
 * quote of a real driver is said in the same words. All others are in words of our own. The kit of
 * tests/gpu records a driver's texts.
 */
#ifndef PVGPU_CUDA_TEXT_H
#define PVGPU_CUDA_TEXT_H

/* clang-format off */
#define PVGPU_CUDA_RESULTS(R) \
	R(CUDA_SUCCESS, "no error") \
	R(CUDA_ERROR_INVALID_VALUE, "invalid argument") \
	R(CUDA_ERROR_OUT_OF_MEMORY, "out of memory") \
	R(CUDA_ERROR_NOT_INITIALIZED, "initialization error") \
	R(CUDA_ERROR_DEINITIALIZED, "driver shutting down") \
	R(CUDA_ERROR_PROFILER_DISABLED, "profiling is disabled") \
	R(CUDA_ERROR_PROFILER_NOT_INITIALIZED, "the profiler is not initialized") \
	R(CUDA_ERROR_PROFILER_ALREADY_STARTED, "the profiler runs already") \
	R(CUDA_ERROR_PROFILER_ALREADY_STOPPED, "the profiler does not run") \
	R(CUDA_ERROR_STUB_LIBRARY, "this library is for linking only") \
	R(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, "the call needs a newer driver") \
	R(CUDA_ERROR_DEVICE_UNAVAILABLE, "CUDA-capable device(s) is/are busy or unavailable") \
	R(CUDA_ERROR_NO_DEVICE, "no CUDA-capable device is detected") \
	R(CUDA_ERROR_INVALID_DEVICE, "invalid device ordinal") \
	R(CUDA_ERROR_DEVICE_NOT_LICENSED, "the device has no valid licence") \
	R(CUDA_ERROR_INVALID_IMAGE, "device kernel image is invalid") \
	R(CUDA_ERROR_INVALID_CONTEXT, "invalid device context") \
	R(CUDA_ERROR_CONTEXT_ALREADY_CURRENT, "the context is current already") \
	R(CUDA_ERROR_MAP_FAILED, "mapping of buffer object failed") \
	R(CUDA_ERROR_UNMAP_FAILED, "memory could not be unmapped") \
	R(CUDA_ERROR_ARRAY_IS_MAPPED, "the array is mapped") \
	R(CUDA_ERROR_ALREADY_MAPPED, "the resource is mapped already") \
	R(CUDA_ERROR_NO_BINARY_FOR_GPU, \
	  "no kernel image is available for execution on the device") \
	R(CUDA_ERROR_ALREADY_ACQUIRED, "the resource is acquired already") \
	R(CUDA_ERROR_NOT_MAPPED, "the resource is not mapped") \
	R(CUDA_ERROR_NOT_MAPPED_AS_ARRAY, "the resource is not mapped as an array") \
	R(CUDA_ERROR_NOT_MAPPED_AS_POINTER, "the resource is not mapped as memory") \
	R(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered") \
	R(CUDA_ERROR_UNSUPPORTED_LIMIT, "the device does not have this limit") \
	R(CUDA_ERROR_CONTEXT_ALREADY_IN_USE, "the context is in use by another thread") \
	R(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "the devices cannot access each other") \
	R(CUDA_ERROR_INVALID_PTX, "a PTX JIT compilation failed") \
	R(CUDA_ERROR_INVALID_GRAPHICS_CONTEXT, "the graphics context is not valid") \
	R(CUDA_ERROR_NVLINK_UNCORRECTABLE, "an NVLink had an uncorrectable error") \
	R(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "the PTX compiler was not found") \
	R(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, \
	  "the provided PTX was compiled with an unsupported toolchain.") \
	R(CUDA_ERROR_JIT_COMPILATION_DISABLED, "compiling PTX is disabled") \
	R(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "the execution affinity is not supported") \
	R(CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC, "synchronizing on the device is not supported") \
	R(CUDA_ERROR_CONTAINED, "a contained error ended the work in this context") \
	R(CUDA_ERROR_INVALID_SOURCE, "the kernel's source is not valid") \
	R(CUDA_ERROR_FILE_NOT_FOUND, "file not found") \
	R(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, "shared object symbol not found") \
	R(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "shared object initialization failed") \
	R(CUDA_ERROR_OPERATING_SYSTEM, "OS call failed or operation not supported on this OS") \
	R(CUDA_ERROR_INVALID_HANDLE, "invalid resource handle") \
	R(CUDA_ERROR_ILLEGAL_STATE, "the object is not in the state that this needs") \
	R(CUDA_ERROR_LOSSY_QUERY, "the answer would lose information") \
	R(CUDA_ERROR_NOT_FOUND, "named symbol not found") \
	R(CUDA_ERROR_NOT_READY, "device not ready") \
	R(CUDA_ERROR_ILLEGAL_ADDRESS, "an illegal memory access was encountered") \
	R(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "too many resources requested for launch") \
	R(CUDA_ERROR_LAUNCH_TIMEOUT, "the launch timed out and was terminated") \
	R(CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING, "the kernel's texturing mode does not fit") \
	R(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "peer access is already enabled") \
	R(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "peer access has not been enabled") \
	R(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is active") \
	R(CUDA_ERROR_CONTEXT_IS_DESTROYED, "context is destroyed") \
	R(CUDA_ERROR_ASSERT, "device-side assert triggered") \
	R(CUDA_ERROR_TOO_MANY_PEERS, "too many peers") \
	R(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, \
	  "part or all of the requested memory range is already mapped") \
	R(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, \
	  "pointer does not correspond to a registered memory region") \
	R(CUDA_ERROR_HARDWARE_STACK_ERROR, "hardware stack error") \
	R(CUDA_ERROR_ILLEGAL_INSTRUCTION, "an illegal instruction was encountered") \
	R(CUDA_ERROR_MISALIGNED_ADDRESS, "misaligned address") \
	R(CUDA_ERROR_INVALID_ADDRESS_SPACE, \
	  "operation not supported on global/shared address space") \
	R(CUDA_ERROR_INVALID_PC, "invalid program counter") \
	R(CUDA_ERROR_LAUNCH_FAILED, "unspecified launch failure") \
	R(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "too many blocks in cooperative launch") \
	R(CUDA_ERROR_TENSOR_MEMORY_LEAK, "a kernel left tensor memory allocated") \
	R(CUDA_ERROR_NOT_PERMITTED, "operation not permitted") \
	R(CUDA_ERROR_NOT_SUPPORTED, "operation not supported") \
	R(CUDA_ERROR_SYSTEM_NOT_READY, "system not yet initialized") \
	R(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "driver and library versions do not match") \
	R(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, "the device has no compatibility mode") \
	R(CUDA_ERROR_MPS_CONNECTION_FAILED, "MPS: no connection to the server") \
	R(CUDA_ERROR_MPS_RPC_FAILURE, "MPS: a remote call failed") \
	R(CUDA_ERROR_MPS_SERVER_NOT_READY, "MPS: the server is not ready") \
	R(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, "MPS: no more clients") \
	R(CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, "MPS: no more connections") \
	R(CUDA_ERROR_MPS_CLIENT_TERMINATED, "MPS: the server ended the client") \
	R(CUDA_ERROR_CDP_NOT_SUPPORTED, "launching from the device is not supported") \
	R(CUDA_ERROR_CDP_VERSION_MISMATCH, "launching from the device: versions do not match") \
	R(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, \
	  "operation not permitted when stream is capturing") \
	R(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, \
	  "operation failed due to a previous error during capture") \
	R(CUDA_ERROR_STREAM_CAPTURE_MERGE, "this would merge two captures") \
	R(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream") \
	R(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "the capture has work that was not joined") \
	R(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the capture depends on work outside of it") \
	R(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "this depends on the legacy stream in a capture") \
	R(CUDA_ERROR_CAPTURED_EVENT, "the event was last recorded in a capture") \
	R(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "the capture belongs to another thread") \
	R(CUDA_ERROR_TIMEOUT, "the wait timed out") \
	R(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graph cannot be updated so") \
	R(CUDA_ERROR_EXTERNAL_DEVICE, "a device outside of CUDA failed") \
	R(CUDA_ERROR_INVALID_CLUSTER_SIZE, "the cluster size is not valid") \
	R(CUDA_ERROR_FUNCTION_NOT_LOADED, "the function is not loaded") \
	R(CUDA_ERROR_INVALID_RESOURCE_TYPE, "the resource's type is not valid") \
	R(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION, \
	  "the resource's configuration is not valid") \
	R(CUDA_ERROR_KEY_ROTATION, "an encryption key is due for rotation") \
	R(CUDA_ERROR_UNKNOWN, "unknown error")
/* clang-format on */

#endif
