/* SPDX-License-Identifier: MIT */
/* Profiler, module loading mode: answered by the guest itself. */
#include "cuda/core/context.h"
#include "cuda/core/public.h"

#include <cudaProfiler.h>
#include <stdlib.h>
#include <strings.h>

PUBLIC CUresult cuProfilerStart(void)
{
	struct ctx *c;

	return ctx_enter(&c);
}

PUBLIC CUresult cuProfilerStop(void)
{
	struct ctx *c;

	return ctx_enter(&c);
}

PUBLIC CUresult cuModuleGetLoadingMode(CUmoduleLoadingMode *mode)
{
	const char *wish = getenv("CUDA_MODULE_LOADING");
	const int r = guest_enter();

	if (r)
		return r;
	if (!mode)
		return CUDA_ERROR_INVALID_VALUE;
	*mode = wish && !strcasecmp(wish, "EAGER") ? CU_MODULE_EAGER_LOADING
						   : CU_MODULE_LAZY_LOADING;
	return CUDA_SUCCESS;
}
