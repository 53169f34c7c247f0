/* SPDX-License-Identifier: MIT */
/* Profiler, module loading mode, capture mode: answered by the guest itself. */
#include "cuda/core/guest.h"

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

PUBLIC CUresult cuThreadExchangeStreamCaptureMode(CUstreamCaptureMode *mode)
{
	const int r = guest_enter();
	CUstreamCaptureMode old = self.capture_mode;

	if (r)
		return r;
	if (!mode || (unsigned int)*mode > CU_STREAM_CAPTURE_MODE_RELAXED)
		return CUDA_ERROR_INVALID_VALUE;
	self.capture_mode = *mode;
	*mode = old;
	return CUDA_SUCCESS;
}
