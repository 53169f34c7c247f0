/* SPDX-License-Identifier: MIT */
/* Errors: what the driver's results are called here, and the last one of each thread. */
#include "cudart/rt.h"

static __thread cudaError_t last;

static const struct {
	cudaError_t error;
	const char *name, *text;
} errors[] = {
#define ERROR(error, number, text) {error, #error, text},
	PVGPU_CUDART_ERRORS(ERROR)
#undef ERROR
};

/* The numbers are the driver's wherever both have the error. */
cudaError_t rt_error(CUresult r)
{
	return (cudaError_t)r;
}

cudaError_t rt_fail(cudaError_t e)
{
	if (e)
		last = e;
	return e;
}

cudaError_t rt_result(CUresult r)
{
	return rt_fail(rt_error(r));
}

cudaError_t rt_not_supported(void)
{
	return rt_fail(cudaErrorNotSupported);
}

RT_API(cudaGetLastError, void)
{
	const cudaError_t e = last;

	last = cudaSuccess;
	return e;
}

RT_API(cudaPeekAtLastError, void)
{
	return last;
}

static size_t find(cudaError_t e)
{
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].error == e)
			break;
	return i;
}

RT_VISIBLE const char *cudaGetErrorName(cudaError_t error)
{
	const size_t i = find(error);

	return i < sizeof(errors) / sizeof(errors[0]) ? errors[i].name : "unrecognized error code";
}

RT_VISIBLE const char *cudaGetErrorString(cudaError_t error)
{
	const size_t i = find(error);

	return i < sizeof(errors) / sizeof(errors[0]) ? errors[i].text : "unrecognized error code";
}
