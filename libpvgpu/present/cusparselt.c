/* SPDX-License-Identifier: MIT */
/* cuSPARSELt's version, for programs that look at it. */
#include <stddef.h>

#include "present/present.h"

enum { MINOR = 10, CUSPARSE_STATUS_INVALID_VALUE = 3 };

#pragma GCC visibility push(default)

int cusparseLtGetProperty(int property, int *value)
{
	if (!value || property < 0 || property > 2)
		return CUSPARSE_STATUS_INVALID_VALUE;
	*value = property == 1 ? MINOR : 0;
	return 0;
}

int cusparseLtGetVersion(const void *handle, int *version)
{
	if (!version)
		return CUSPARSE_STATUS_INVALID_VALUE;
	*version = MINOR * 100;
	return 0;
}

const char *cusparseLtGetErrorName(int status)
{
	return status ? "CUSPARSE_STATUS_NOT_SUPPORTED" : "CUSPARSE_STATUS_SUCCESS";
}

const char *cusparseLtGetErrorString(int status)
{
	return status ? "not supported by pvgpu" : "success";
}

#pragma GCC visibility pop
