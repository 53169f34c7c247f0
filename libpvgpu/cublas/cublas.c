/* SPDX-License-Identifier: MIT */
/* The guest's libcublas: what is not generated from libpvgpu/protocol/60-cublas.api. */
#include "pvgpu_calls_cublas.h"

#include <stdio.h>

#include "log/log.h"

static void __attribute__((constructor)) begin(void)
{
	client_open("libcublas", cublas_objects);
}

/* Of results that are no status: those of the guest and of the worker. */
static cublasStatus_t of_result(int result)
{
	switch (result) {
	case CUDA_SUCCESS:
		return CUBLAS_STATUS_SUCCESS;
	case CUDA_ERROR_INVALID_VALUE:
		return CUBLAS_STATUS_INVALID_VALUE;
	case CUDA_ERROR_OUT_OF_MEMORY:
		return CUBLAS_STATUS_ALLOC_FAILED;
	case CUDA_ERROR_NOT_SUPPORTED:
		return CUBLAS_STATUS_NOT_SUPPORTED;
	case CUDA_ERROR_NOT_INITIALIZED:
	case CUDA_ERROR_DEINITIALIZED:
	case CUDA_ERROR_INVALID_CONTEXT:
	case CUDA_ERROR_INVALID_HANDLE:
		return CUBLAS_STATUS_NOT_INITIALIZED;
	default:
		return CUBLAS_STATUS_EXECUTION_FAILED;
	}
}

cublasStatus_t cublas_status(int result)
{
	return result >> 16 ? (cublasStatus_t)(result & 0xffff) : of_result(result);
}

static const struct {
	cublasStatus_t status;
	const char *name, *text;
} statuses[] = {
	{CUBLAS_STATUS_SUCCESS, "CUBLAS_STATUS_SUCCESS", "success"},
	{CUBLAS_STATUS_NOT_INITIALIZED, "CUBLAS_STATUS_NOT_INITIALIZED",
	 "the library was not initialized"},
	{CUBLAS_STATUS_ALLOC_FAILED, "CUBLAS_STATUS_ALLOC_FAILED",
	 "the resource allocation failed"},
	{CUBLAS_STATUS_INVALID_VALUE, "CUBLAS_STATUS_INVALID_VALUE",
	 "an unsupported value or parameter was passed to the function"},
	{CUBLAS_STATUS_ARCH_MISMATCH, "CUBLAS_STATUS_ARCH_MISMATCH",
	 "the function requires a feature that the device does not have"},
	{CUBLAS_STATUS_MAPPING_ERROR, "CUBLAS_STATUS_MAPPING_ERROR",
	 "an access to GPU memory space failed"},
	{CUBLAS_STATUS_EXECUTION_FAILED, "CUBLAS_STATUS_EXECUTION_FAILED",
	 "the function failed to launch on the GPU"},
	{CUBLAS_STATUS_INTERNAL_ERROR, "CUBLAS_STATUS_INTERNAL_ERROR",
	 "an internal operation failed"},
	{CUBLAS_STATUS_NOT_SUPPORTED, "CUBLAS_STATUS_NOT_SUPPORTED",
	 "the functionality requested is not supported"},
	{CUBLAS_STATUS_LICENSE_ERROR, "CUBLAS_STATUS_LICENSE_ERROR", "the license check failed"},
};

PUBLIC const char *cublasGetStatusName(cublasStatus_t status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].name;
	return "CUBLAS_STATUS_UNKNOWN";
}

PUBLIC const char *cublasGetStatusString(cublasStatus_t status)
{
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].status == status)
			return statuses[i].text;
	return "unknown status";
}

/* That of the newest runtime that pvgpu has. */
PUBLIC size_t cublasGetCudartVersion(void)
{
	return 13000;
}

static _Atomic(cublasLogCallback) logger;

PUBLIC cublasStatus_t cublasLoggerConfigure(int logIsOn, int logToStdOut, int logToStdErr,
					    const char *logFileName)
{
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasSetLoggerCallback(cublasLogCallback userCallback)
{
	logger = userCallback;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasGetLoggerCallback(cublasLogCallback *userCallback)
{
	if (!userCallback)
		return CUBLAS_STATUS_INVALID_VALUE;
	*userCallback = logger;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC void cublasXerbla(const char *srName, int info)
{
	fprintf(stderr, "pvgpu: %s: parameter number %d has a wrong value\n",
		srName ? srName : "cuBLAS", info);
}

const char *pvgpu_log_status(int status)
{
	return cublasGetStatusName((cublasStatus_t)status);
}
