/* SPDX-License-Identifier: MIT */
/* The far end's green contexts: four groups of four multiprocessors. */
#include <string.h>

#include "tests/unit/worker/worker_fake_far.h"

enum { SMS = 16, GROUP = 4 };

static void resource(CUdevResource *r, unsigned int count)
{
	memset(r, 0, sizeof(*r));
	r->type = count ? CU_DEV_RESOURCE_TYPE_SM : CU_DEV_RESOURCE_TYPE_INVALID;
	r->sm.smCount = count;
}

static CUresult f_of_device(CUdevice dev, CUdevResource *r, CUdevResourceType type)
{
	ENTER("sm_resource");
	resource(r, SMS);
	return CUDA_SUCCESS;
}

static CUresult f_of_green(CUgreenCtx green, CUdevResource *r, CUdevResourceType type)
{
	ENTER("sm_resource");
	FAKE_CHECK(F->greens > 0);
	resource(r, GROUP);
	return CUDA_SUCCESS;
}

static CUresult f_split(CUdevResource *result, unsigned int *groups, const CUdevResource *input,
			CUdevResource *rest, unsigned int flags, unsigned int minimum)
{
	const unsigned int most = input->sm.smCount / GROUP;

	ENTER("sm_split");
	if (minimum > input->sm.smCount)
		return CUDA_ERROR_INVALID_VALUE;
	if (!result || *groups > most)
		*groups = most;
	for (unsigned int i = 0; result && i < *groups; i++)
		resource(&result[i], GROUP);
	resource(rest, input->sm.smCount - *groups * GROUP);
	return CUDA_SUCCESS;
}

static CUresult f_desc(CUdevResourceDesc *desc, CUdevResource *resources, unsigned int n)
{
	static char one;

	ENTER("sm_desc");
	for (unsigned int i = 0; i < n; i++)
		FAKE_CHECK(resources[i].type == CU_DEV_RESOURCE_TYPE_SM);
	*desc = (CUdevResourceDesc)(void *)&one;
	return CUDA_SUCCESS;
}

static CUresult f_create(CUgreenCtx *green, CUdevResourceDesc desc, CUdevice dev,
			 unsigned int flags)
{
	ENTER("green_create");
	fake_count(&F->greens, 1);
	*green = (CUgreenCtx)(uintptr_t)fake_fresh();
	return CUDA_SUCCESS;
}

static CUresult f_destroy(CUgreenCtx green)
{
	/* Streams go before what they are in: a test makes none elsewhere. */
	FAKE_CHECK(!F->greens_last || !F->streams);
	fake_count(&F->greens, -1);
	return CUDA_SUCCESS;
}

static CUresult f_stream(CUstream *s, CUgreenCtx green, unsigned int flags, int priority)
{
	FAKE_CHECK(F->greens > 0);
	return F->far.cuStreamCreateWithPriority(s, flags, priority);
}

void fake_far_green(struct far *far)
{
	far->cuDeviceGetDevResource = f_of_device;
	far->cuGreenCtxGetDevResource = f_of_green;
	far->cuDevSmResourceSplitByCount = f_split;
	far->cuDevResourceGenerateDesc = f_desc;
	far->cuGreenCtxCreate = f_create;
	far->cuGreenCtxDestroy = f_destroy;
	far->cuGreenCtxStreamCreate = f_stream;
}
