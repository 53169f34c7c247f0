/* SPDX-License-Identifier: MIT */
/* cuDNN's handles, streams and versions, for programs that ask for a handle and use none of its
 * kernels. */
#include <cuda.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "present/present.h"

enum {
	MAJOR = 9,
	MINOR = 28,
	PATCH = 0,
	CUDART_VERSION = 13000,
	CUDNN_STATUS_SUCCESS = 0,
	CUDNN_STATUS_BAD_PARAM = 2000,
	CUDNN_STATUS_BAD_PARAM_NULL_POINTER = 2002,
	CUDNN_STATUS_NOT_SUPPORTED = 3000,
	CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED = 4003,
};

struct handle {
	CUstream stream;
};

#pragma GCC visibility push(default)

size_t cudnnGetVersion(void)
{
	return MAJOR * 10000 + MINOR * 100 + PATCH;
}

size_t cudnnGetMaxDeviceVersion(void)
{
	return cudnnGetVersion();
}

size_t cudnnGetCudartVersion(void)
{
	return CUDART_VERSION;
}

int cudnnGetProperty(int property, int *value)
{
	static const int values[] = {MAJOR, MINOR, PATCH};

	if (!value)
		return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
	if (property < 0 || property > 2)
		return CUDNN_STATUS_BAD_PARAM;
	*value = values[property];
	return CUDNN_STATUS_SUCCESS;
}

const char *cudnnGetErrorString(int status)
{
	switch (status) {
	case CUDNN_STATUS_SUCCESS:
		return "CUDNN_STATUS_SUCCESS";
	case CUDNN_STATUS_BAD_PARAM:
		return "CUDNN_STATUS_BAD_PARAM";
	case CUDNN_STATUS_BAD_PARAM_NULL_POINTER:
		return "CUDNN_STATUS_BAD_PARAM_NULL_POINTER";
	case CUDNN_STATUS_NOT_SUPPORTED:
		return "CUDNN_STATUS_NOT_SUPPORTED";
	case CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED:
		return "CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED";
	default:
		return "CUDNN_UNKNOWN_STATUS";
	}
}

void cudnnGetLastErrorString(char *message, size_t size)
{
	if (message && size)
		snprintf(message, size, "pvgpu serves handles, streams and versions of cuDNN only");
}

int cudnnCreate(struct handle **handle)
{
	if (!handle)
		return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
	*handle = calloc(1, sizeof(**handle));
	return *handle ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED;
}

int cudnnDestroy(struct handle *handle)
{
	free(handle);
	return CUDNN_STATUS_SUCCESS;
}

int cudnnSetStream(struct handle *handle, CUstream stream)
{
	if (!handle)
		return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
	handle->stream = stream;
	return CUDNN_STATUS_SUCCESS;
}

int cudnnGetStream(const struct handle *handle, CUstream *stream)
{
	if (!handle || !stream)
		return CUDNN_STATUS_BAD_PARAM_NULL_POINTER;
	*stream = handle->stream;
	return CUDNN_STATUS_SUCCESS;
}

#pragma GCC visibility pop
