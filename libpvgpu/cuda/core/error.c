/* SPDX-License-Identifier: MIT */
/* Names and descriptions of results. They need neither cuInit() nor a session. */
#include "cuda/core/guest.h"

static const struct result {
	CUresult code;
	const char *name, *text;
} results[] = {
#define R(code, text)                                                                              \
	{                                                                                          \
		code, #code, text                                                                  \
	}
	R(CUDA_SUCCESS, "no error"),
	R(CUDA_ERROR_INVALID_VALUE, "an argument is out of range"),
	R(CUDA_ERROR_OUT_OF_MEMORY, "not enough memory"),
	R(CUDA_ERROR_NOT_INITIALIZED, "cuInit has not been called"),
	R(CUDA_ERROR_DEINITIALIZED, "the driver is shutting down"),
	R(CUDA_ERROR_PROFILER_DISABLED, "profiling is disabled"),
	R(CUDA_ERROR_PROFILER_NOT_INITIALIZED, "the profiler is not initialized"),
	R(CUDA_ERROR_PROFILER_ALREADY_STARTED, "the profiler runs already"),
	R(CUDA_ERROR_PROFILER_ALREADY_STOPPED, "the profiler does not run"),
	R(CUDA_ERROR_STUB_LIBRARY, "this library is for linking only"),
	R(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, "the call needs a newer driver"),
	R(CUDA_ERROR_DEVICE_UNAVAILABLE, "the device is gone or cannot be used now"),
	R(CUDA_ERROR_NO_DEVICE, "no CUDA device was found"),
	R(CUDA_ERROR_INVALID_DEVICE, "there is no such device"),
	R(CUDA_ERROR_DEVICE_NOT_LICENSED, "the device has no valid licence"),
	R(CUDA_ERROR_INVALID_IMAGE, "the image is not a valid module"),
	R(CUDA_ERROR_INVALID_CONTEXT, "no valid context is current"),
	R(CUDA_ERROR_CONTEXT_ALREADY_CURRENT, "the context is current already"),
	R(CUDA_ERROR_MAP_FAILED, "memory could not be mapped"),
	R(CUDA_ERROR_UNMAP_FAILED, "memory could not be unmapped"),
	R(CUDA_ERROR_ARRAY_IS_MAPPED, "the array is mapped"),
	R(CUDA_ERROR_ALREADY_MAPPED, "the resource is mapped already"),
	R(CUDA_ERROR_NO_BINARY_FOR_GPU, "the image holds no code for this device"),
	R(CUDA_ERROR_ALREADY_ACQUIRED, "the resource is acquired already"),
	R(CUDA_ERROR_NOT_MAPPED, "the resource is not mapped"),
	R(CUDA_ERROR_NOT_MAPPED_AS_ARRAY, "the resource is not mapped as an array"),
	R(CUDA_ERROR_NOT_MAPPED_AS_POINTER, "the resource is not mapped as memory"),
	R(CUDA_ERROR_ECC_UNCORRECTABLE, "device memory has an uncorrectable error"),
	R(CUDA_ERROR_UNSUPPORTED_LIMIT, "the device does not have this limit"),
	R(CUDA_ERROR_CONTEXT_ALREADY_IN_USE, "the context is in use by another thread"),
	R(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "the devices cannot access each other"),
	R(CUDA_ERROR_INVALID_PTX, "PTX could not be compiled"),
	R(CUDA_ERROR_INVALID_GRAPHICS_CONTEXT, "the graphics context is not valid"),
	R(CUDA_ERROR_NVLINK_UNCORRECTABLE, "an NVLink had an uncorrectable error"),
	R(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "the PTX compiler was not found"),
	R(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "the PTX is newer than its compiler"),
	R(CUDA_ERROR_JIT_COMPILATION_DISABLED, "compiling PTX is disabled"),
	R(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "the execution affinity is not supported"),
	R(CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC, "synchronizing on the device is not supported"),
	R(CUDA_ERROR_CONTAINED, "a contained error ended the work in this context"),
	R(CUDA_ERROR_INVALID_SOURCE, "the kernel's source is not valid"),
	R(CUDA_ERROR_FILE_NOT_FOUND, "the file was not found"),
	R(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, "a symbol of a shared object is missing"),
	R(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "a shared object could not be initialized"),
	R(CUDA_ERROR_OPERATING_SYSTEM, "a call of the operating system failed"),
	R(CUDA_ERROR_INVALID_HANDLE, "the handle is not valid"),
	R(CUDA_ERROR_ILLEGAL_STATE, "the object is not in the state that this needs"),
	R(CUDA_ERROR_LOSSY_QUERY, "the answer would lose information"),
	R(CUDA_ERROR_NOT_FOUND, "the name was not found"),
	R(CUDA_ERROR_NOT_READY, "the work is not done yet"),
	R(CUDA_ERROR_ILLEGAL_ADDRESS, "a kernel accessed an illegal address"),
	R(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "the launch needs more resources than there are"),
	R(CUDA_ERROR_LAUNCH_TIMEOUT, "the kernel ran too long and was ended"),
	R(CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING, "the kernel's texturing mode does not fit"),
	R(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "peer access is enabled already"),
	R(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "peer access is not enabled"),
	R(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is active"),
	R(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context has been destroyed"),
	R(CUDA_ERROR_ASSERT, "an assertion failed on the device"),
	R(CUDA_ERROR_TOO_MANY_PEERS, "too many peers"),
	R(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "the host memory is registered already"),
	R(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "the host memory is not registered"),
	R(CUDA_ERROR_HARDWARE_STACK_ERROR, "a kernel overran its call stack"),
	R(CUDA_ERROR_ILLEGAL_INSTRUCTION, "a kernel met an illegal instruction"),
	R(CUDA_ERROR_MISALIGNED_ADDRESS, "a kernel accessed a misaligned address"),
	R(CUDA_ERROR_INVALID_ADDRESS_SPACE, "a kernel used an address of the wrong space"),
	R(CUDA_ERROR_INVALID_PC, "a kernel's program counter left its code"),
	R(CUDA_ERROR_LAUNCH_FAILED, "a kernel failed"),
	R(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE, "the cooperative launch does not fit at once"),
	R(CUDA_ERROR_TENSOR_MEMORY_LEAK, "a kernel left tensor memory allocated"),
	R(CUDA_ERROR_NOT_PERMITTED, "the call is not permitted here"),
	R(CUDA_ERROR_NOT_SUPPORTED, "the call is not supported"),
	R(CUDA_ERROR_SYSTEM_NOT_READY, "the system is not ready for CUDA yet"),
	R(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "driver and library versions do not match"),
	R(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE, "the device has no compatibility mode"),
	R(CUDA_ERROR_MPS_CONNECTION_FAILED, "MPS: no connection to the server"),
	R(CUDA_ERROR_MPS_RPC_FAILURE, "MPS: a remote call failed"),
	R(CUDA_ERROR_MPS_SERVER_NOT_READY, "MPS: the server is not ready"),
	R(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, "MPS: no more clients"),
	R(CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, "MPS: no more connections"),
	R(CUDA_ERROR_MPS_CLIENT_TERMINATED, "MPS: the server ended the client"),
	R(CUDA_ERROR_CDP_NOT_SUPPORTED, "launching from the device is not supported"),
	R(CUDA_ERROR_CDP_VERSION_MISMATCH, "launching from the device: versions do not match"),
	R(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not permitted while a stream is captured"),
	R(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "an earlier error made the capture invalid"),
	R(CUDA_ERROR_STREAM_CAPTURE_MERGE, "this would merge two captures"),
	R(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture began in another stream"),
	R(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "the capture has work that was not joined"),
	R(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "the capture depends on work outside of it"),
	R(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "this depends on the legacy stream in a capture"),
	R(CUDA_ERROR_CAPTURED_EVENT, "the event was last recorded in a capture"),
	R(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "the capture belongs to another thread"),
	R(CUDA_ERROR_TIMEOUT, "the wait timed out"),
	R(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graph cannot be updated so"),
	R(CUDA_ERROR_EXTERNAL_DEVICE, "a device outside of CUDA failed"),
	R(CUDA_ERROR_INVALID_CLUSTER_SIZE, "the cluster size is not valid"),
	R(CUDA_ERROR_FUNCTION_NOT_LOADED, "the function is not loaded"),
	R(CUDA_ERROR_INVALID_RESOURCE_TYPE, "the resource's type is not valid"),
	R(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION, "the resource's configuration is not valid"),
	R(CUDA_ERROR_KEY_ROTATION, "an encryption key is due for rotation"),
	R(CUDA_ERROR_UNKNOWN, "unknown error"),
#undef R
};

static const struct result *find(CUresult code)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
		if (results[i].code == code)
			return &results[i];
	return NULL;
}

PUBLIC CUresult cuGetErrorName(CUresult error, const char **name)
{
	const struct result *r = find(error);

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = r ? r->name : NULL;
	return r ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuGetErrorString(CUresult error, const char **text)
{
	const struct result *r = find(error);

	if (!text)
		return CUDA_ERROR_INVALID_VALUE;
	*text = r ? r->text : NULL;
	return r ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
