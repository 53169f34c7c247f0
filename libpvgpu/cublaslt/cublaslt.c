/* SPDX-License-Identifier: MIT */
/* The guest's libcublasLt: versions, statuses, and the log that it does not keep. */
#include "cublaslt/lt.h"

#include "log/log.h"

static void __attribute__((constructor)) begin(void)
{
	client_open("libcublasLt", cublaslt_objects);
}

cublasStatus_t cublaslt_status(int result)
{
	return blas_status(result);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The far end's versions, asked for once: 0 where it cannot be asked. */
static void versions(uint64_t *version, uint64_t *runtime)
{
	static uint64_t known[2];

	pthread_mutex_lock(&lock);
	if (!known[0] &&
	    (api_enter() || pvgpu_do_cublas_lt_info(api_session(), &known[0], &known[1])))
		known[0] = known[1] = 0;
	*version = known[0];
	*runtime = known[1];
	pthread_mutex_unlock(&lock);
}

/* A program asks for a version at least as new as the one it was built with: another major version
 * behind this name would tell it nothing. */
PUBLIC size_t cublasLtGetVersion(void)
{
	uint64_t version, runtime;

	versions(&version, &runtime);
	return version / 10000 == (uint64_t)lt_major ? version : (size_t)lt_major * 10000;
}

PUBLIC size_t cublasLtGetCudartVersion(void)
{
	uint64_t version, runtime;

	versions(&version, &runtime);
	return runtime / 1000 == (uint64_t)lt_major ? runtime : (size_t)lt_major * 1000;
}

PUBLIC cublasStatus_t cublasLtGetProperty(int type, int *value)
{
	const int version = (int)cublasLtGetVersion();
	const int parts[] = {version / 10000, version / 100 % 100, version % 100};

	if (type < 0 || type > 2 || !value)
		return CUBLAS_STATUS_INVALID_VALUE;
	*value = parts[type];
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtHeuristicsCacheGetCapacity(size_t *capacity)
{
	if (!capacity)
		return CUBLAS_STATUS_INVALID_VALUE;
	*capacity = lt_capacity();
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtHeuristicsCacheSetCapacity(size_t capacity)
{
	lt_set_capacity(capacity);
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

const char *pvgpu_log_status(int status)
{
	return blas_status_name((cublasStatus_t)status);
}

PUBLIC cublasStatus_t cublasLtLoggerSetCallback(cublasLtLoggerCallback_t callback)
{
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtLoggerSetFile(FILE *file)
{
	return CUBLAS_STATUS_SUCCESS;
}

PUBLIC cublasStatus_t cublasLtLoggerOpenFile(const char *logFile)
{
	return logFile ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
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
