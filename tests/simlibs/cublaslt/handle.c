/* SPDX-License-Identifier: MIT */
/* Handles and versions. A handle of cuBLAS serves as one: nothing is read of it. */
#define __CUDA_API_VERSION_INTERNAL
#include <stdlib.h>

#include "libpvgpu/cublas/status.h"
#include "tests/simlibs/cublaslt/sim.h"

struct cublasLtContext {
	int unused;
};

cublasStatus_t sim_asked(const char *call)
{
	const char *text = getenv("SIMCUBLASLT_STATUS");
	const size_t len = strlen(call);

	if (!text || strncmp(text, call, len) || text[len] != ':')
		return CUBLAS_STATUS_SUCCESS;
	return (cublasStatus_t)atoi(text + len + 1);
}

PUBLIC cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
	const cublasStatus_t s = sim_asked("cublasLtCreate");
	CUcontext c = NULL;

	if (s || !handle)
		return s ? s : CUBLAS_STATUS_INVALID_VALUE;
	if (cuCtxGetCurrent(&c) || !c)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	*handle = calloc(1, sizeof(**handle));
	return *handle ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_ALLOC_FAILED;
}

PUBLIC cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle)
{
	if (!handle)
		return CUBLAS_STATUS_NOT_INITIALIZED;
	cuCtxSynchronize();
	free(handle);
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC size_t cublasLtGetVersion(void)
{
	return 120903;
}

PUBLIC size_t cublasLtGetCudartVersion(void)
{
	return 12090;
}

PUBLIC cublasStatus_t cublasLtGetProperty(int type, int *value)
{
	const int parts[] = {12, 9, 3};

	if (type < 0 || type > 2 || !value)
		return CUBLAS_STATUS_INVALID_VALUE;
	*value = parts[type];
	return CUBLAS_STATUS_SUCCESS;
}

static size_t capacity = 8192;

PUBLIC cublasStatus_t cublasLtHeuristicsCacheGetCapacity(size_t *to)
{
	if (!to)
		return CUBLAS_STATUS_INVALID_VALUE;
	*to = capacity;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtHeuristicsCacheSetCapacity(size_t entries)
{
	capacity = entries;
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC const char *cublasLtGetStatusName(cublasStatus_t status)
{
	return blas_status_name(status);
}

PUBLIC const char *cublasLtGetStatusString(cublasStatus_t status)
{
	return blas_status_text(status);
}

PUBLIC cublasStatus_t cublasLtLoggerSetLevel(int level)
{
	return level < 0 || level > 5 ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtLoggerSetMask(int mask)
{
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtLoggerForceDisable(void)
{
	return CUBLAS_STATUS_SUCCESS;
}
