/* SPDX-License-Identifier: MIT */
/* The guest's libcublas: what is not generated from libpvgpu/protocol/60-cublas.api. */
#include "pvgpu_calls_cublas.h"

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

const char *pvgpu_log_status(int status)
{
	return blas_status_name((cublasStatus_t)status);
}
