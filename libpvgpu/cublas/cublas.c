/* SPDX-License-Identifier: MIT */
/* The guest's libcublas: what is not generated from libpvgpu/protocol/60-cublas.api. */
#include "pvgpu_calls_cublas.h"

#include <stdio.h>

#include "cublas/status.h"
#include "log/log.h"

static void __attribute__((constructor)) begin(void)
{
	client_open("libcublas", cublas_objects);
}

cublasStatus_t cublas_status(int result)
{
	return blas_status(result);
}

PUBLIC const char *cublasGetStatusName(cublasStatus_t status)
{
	return blas_status_name(status);
}

PUBLIC const char *cublasGetStatusString(cublasStatus_t status)
{
	return blas_status_text(status);
}

/*
 * NVIDIA's answers without a handle, even before cuInit(), and frameworks ask so before they load
 * it. Where the far end cannot be asked yet, that of the newest library that pvgpu knows.
 */
PUBLIC cublasStatus_t cublasGetVersion_v2(cublasHandle_t handle, int *version)
{
	int part[3];
	cublasStatus_t s = CUBLAS_STATUS_SUCCESS;

	if (!version)
		return CUBLAS_STATUS_INVALID_VALUE;
	for (int i = 0; i < 3 && !s; i++)
		s = cublasGetProperty((libraryPropertyType)i, &part[i]);
	if (s && handle)
		return s;
	*version = s ? 130000 : part[0] * 10000 + part[1] * 100 + part[2];
	return CUBLAS_STATUS_SUCCESS;
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
	return blas_status_name((cublasStatus_t)status);
}
