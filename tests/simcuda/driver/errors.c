/* SPDX-License-Identifier: MIT */
/* Names and explanations of the status codes. */
#include "tests/simcuda/driver/sim.h"

struct error {
	int code;
	const char *name, *text;
};

#define E(code, text)                                                                              \
	{                                                                                          \
		code, #code, text                                                                  \
	}

static const struct error errors[] = {
	E(CUDA_SUCCESS, "success"),
	E(CUDA_ERROR_INVALID_VALUE, "a value that was passed is not valid"),
	E(CUDA_ERROR_OUT_OF_MEMORY, "no memory left"),
	E(CUDA_ERROR_NOT_INITIALIZED, "CUDA is not initialised"),
	E(CUDA_ERROR_DEINITIALIZED, "the driver is shutting down"),
	E(CUDA_ERROR_PROFILER_DISABLED, "the profiler is disabled"),
	E(CUDA_ERROR_PROFILER_NOT_INITIALIZED, "the profiler was not initialised"),
	E(CUDA_ERROR_PROFILER_ALREADY_STARTED, "the profiler runs already"),
	E(CUDA_ERROR_PROFILER_ALREADY_STOPPED, "the profiler is stopped already"),
	E(CUDA_ERROR_STUB_LIBRARY, "this library is a stub"),
	E(CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER, "the call needs a newer driver"),
	E(CUDA_ERROR_DEVICE_UNAVAILABLE, "the device is not available"),
	E(CUDA_ERROR_NO_DEVICE, "there is no device"),
	E(CUDA_ERROR_INVALID_DEVICE, "no such device"),
	E(CUDA_ERROR_DEVICE_NOT_LICENSED, "the device is not licensed"),
	E(CUDA_ERROR_INVALID_IMAGE, "not a valid image of code"),
	E(CUDA_ERROR_INVALID_CONTEXT, "no valid context"),
	E(CUDA_ERROR_CONTEXT_ALREADY_CURRENT, "the context is current already"),
	E(CUDA_ERROR_MAP_FAILED, "mapping failed"),
	E(CUDA_ERROR_UNMAP_FAILED, "unmapping failed"),
	E(CUDA_ERROR_ARRAY_IS_MAPPED, "the array is mapped"),
	E(CUDA_ERROR_ALREADY_MAPPED, "mapped already"),
	E(CUDA_ERROR_NO_BINARY_FOR_GPU, "no code in the image runs on this device"),
	E(CUDA_ERROR_ALREADY_ACQUIRED, "acquired already"),
	E(CUDA_ERROR_NOT_MAPPED, "not mapped"),
	E(CUDA_ERROR_NOT_MAPPED_AS_ARRAY, "not mapped as an array"),
	E(CUDA_ERROR_NOT_MAPPED_AS_POINTER, "not mapped as a pointer"),
	E(CUDA_ERROR_ECC_UNCORRECTABLE, "a memory error that could not be corrected"),
	E(CUDA_ERROR_UNSUPPORTED_LIMIT, "the device does not have this limit"),
	E(CUDA_ERROR_CONTEXT_ALREADY_IN_USE, "another thread uses the context"),
	E(CUDA_ERROR_PEER_ACCESS_UNSUPPORTED, "the devices cannot reach each other's memory"),
	E(CUDA_ERROR_INVALID_PTX, "the PTX is not valid"),
	E(CUDA_ERROR_INVALID_GRAPHICS_CONTEXT, "no valid graphics context"),
	E(CUDA_ERROR_NVLINK_UNCORRECTABLE, "an NVLink error that could not be corrected"),
	E(CUDA_ERROR_JIT_COMPILER_NOT_FOUND, "there is no JIT compiler"),
	E(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "the PTX is of a version that is not supported"),
	E(CUDA_ERROR_JIT_COMPILATION_DISABLED, "JIT compilation is disabled"),
	E(CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY, "this execution affinity is not supported"),
	E(CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC,
	  "the code synchronises on the device, which is not supported"),
	E(CUDA_ERROR_CONTAINED, "an error was contained; the process must end"),
	E(CUDA_ERROR_INVALID_SOURCE, "the source is not valid"),
	E(CUDA_ERROR_FILE_NOT_FOUND, "no such file"),
	E(CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND, "a symbol of a shared object is missing"),
	E(CUDA_ERROR_SHARED_OBJECT_INIT_FAILED, "a shared object could not be initialised"),
	E(CUDA_ERROR_OPERATING_SYSTEM, "the operating system refused"),
	E(CUDA_ERROR_INVALID_HANDLE, "no such handle"),
	E(CUDA_ERROR_ILLEGAL_STATE, "not possible in this state"),
	E(CUDA_ERROR_LOSSY_QUERY, "the answer would be incomplete"),
	E(CUDA_ERROR_NOT_FOUND, "nothing has this name"),
	E(CUDA_ERROR_NOT_READY, "not finished yet"),
	E(CUDA_ERROR_ILLEGAL_ADDRESS, "a kernel used an address that it must not use"),
	E(CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "the launch needs more than a multiprocessor has"),
	E(CUDA_ERROR_LAUNCH_TIMEOUT, "the kernel ran too long"),
	E(CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING, "the launch uses another texturing mode"),
	E(CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED, "peer access is enabled already"),
	E(CUDA_ERROR_PEER_ACCESS_NOT_ENABLED, "peer access is not enabled"),
	E(CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE, "the primary context is active"),
	E(CUDA_ERROR_CONTEXT_IS_DESTROYED, "the context is destroyed"),
	E(CUDA_ERROR_ASSERT, "an assertion in a kernel failed"),
	E(CUDA_ERROR_TOO_MANY_PEERS, "too many peers"),
	E(CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED, "this host memory is registered already"),
	E(CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED, "this host memory is not registered"),
	E(CUDA_ERROR_HARDWARE_STACK_ERROR, "a kernel's stack failed"),
	E(CUDA_ERROR_ILLEGAL_INSTRUCTION, "a kernel met an instruction that does not exist"),
	E(CUDA_ERROR_MISALIGNED_ADDRESS, "a kernel used an address that is not aligned"),
	E(CUDA_ERROR_INVALID_ADDRESS_SPACE, "a kernel used an address of the wrong space"),
	E(CUDA_ERROR_INVALID_PC, "a kernel's program counter went wrong"),
	E(CUDA_ERROR_LAUNCH_FAILED, "a kernel failed"),
	E(CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE,
	  "the cooperative launch does not fit the device"),
	E(CUDA_ERROR_TENSOR_MEMORY_LEAK, "tensor memory was not given back"),
	E(CUDA_ERROR_NOT_PERMITTED, "not permitted"),
	E(CUDA_ERROR_NOT_SUPPORTED, "not supported"),
	E(CUDA_ERROR_SYSTEM_NOT_READY, "the system is not ready"),
	E(CUDA_ERROR_SYSTEM_DRIVER_MISMATCH, "driver and system do not fit"),
	E(CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE,
	  "compatibility mode does not support the device"),
	E(CUDA_ERROR_MPS_CONNECTION_FAILED, "no connection to MPS"),
	E(CUDA_ERROR_MPS_RPC_FAILURE, "a call to MPS failed"),
	E(CUDA_ERROR_MPS_SERVER_NOT_READY, "MPS is not ready"),
	E(CUDA_ERROR_MPS_MAX_CLIENTS_REACHED, "MPS has no room for a client"),
	E(CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED, "MPS has no room for a connection"),
	E(CUDA_ERROR_MPS_CLIENT_TERMINATED, "MPS ended the client"),
	E(CUDA_ERROR_CDP_NOT_SUPPORTED, "kernels cannot start kernels here"),
	E(CUDA_ERROR_CDP_VERSION_MISMATCH, "the versions of dynamic parallelism do not fit"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED, "not possible while the stream captures"),
	E(CUDA_ERROR_STREAM_CAPTURE_INVALIDATED, "the capture became invalid"),
	E(CUDA_ERROR_STREAM_CAPTURE_MERGE, "this would join two captures"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "the capture was not begun in this stream"),
	E(CUDA_ERROR_STREAM_CAPTURE_UNJOINED, "the capture has branches that were not joined"),
	E(CUDA_ERROR_STREAM_CAPTURE_ISOLATION, "this would depend on work outside the capture"),
	E(CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "this would implicitly wait for a capture"),
	E(CUDA_ERROR_CAPTURED_EVENT, "not possible with a captured event"),
	E(CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD, "the capture belongs to another thread"),
	E(CUDA_ERROR_TIMEOUT, "the time is over"),
	E(CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE, "the graph does not allow this update"),
	E(CUDA_ERROR_EXTERNAL_DEVICE, "a device outside failed"),
	E(CUDA_ERROR_INVALID_CLUSTER_SIZE, "no valid cluster size"),
	E(CUDA_ERROR_FUNCTION_NOT_LOADED, "the function is not loaded"),
	E(CUDA_ERROR_INVALID_RESOURCE_TYPE, "no valid type of resource"),
	E(CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION, "no valid configuration of resources"),
	E(CUDA_ERROR_KEY_ROTATION, "keys are being changed"),
	E(CUDA_ERROR_UNKNOWN, "unknown error"),
};

static const struct error *find(CUresult code)
{
	for (size_t i = 0; i < ARRAY_LEN(errors); i++)
		if (errors[i].code == (int)code)
			return &errors[i];
	return NULL;
}

API(cuGetErrorName, CUresult code, const char **name)
{
	const struct error *e = find(code);

	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = e ? e->name : NULL;
	return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

API(cuGetErrorString, CUresult code, const char **text)
{
	const struct error *e = find(code);

	if (!text)
		return CUDA_ERROR_INVALID_VALUE;
	*text = e ? e->text : NULL;
	return e ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
