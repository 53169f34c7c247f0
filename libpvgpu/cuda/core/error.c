/* SPDX-License-Identifier: MIT */
/* Names and descriptions of results. They need neither cuInit() nor a session. */
#include "cuda/core/public.h"

#include <pvgpu_cuda_text.h>

#include "log/log.h"

static const struct result {
	CUresult code;
	const char *name, *text;
} results[] = {
#define R(code, text) {code, #code, text},
	PVGPU_CUDA_RESULTS(R)
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

const char *pvgpu_log_status(int status)
{
	const struct result *r = find((CUresult)status);

	return r ? r->name : NULL;
}
