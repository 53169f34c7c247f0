/* SPDX-License-Identifier: MIT */
/* Names and explanations of the status codes. */
#include <pvgpu_cuda_text.h>

#include "tests/simcuda/driver/sim.h"

struct error {
	int code;
	const char *name, *text;
};

static const struct error errors[] = {
#define E(code, text) {code, #code, text},
	PVGPU_CUDA_RESULTS(E)
#undef E
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
