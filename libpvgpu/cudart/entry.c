/* SPDX-License-Identifier: MIT */
/* Versions, the driver's entry points, the profiler's switches, calls that have had no effect for
 * long. */
#include "cudart/rt.h"

RT_API(cudaDriverGetVersion, int *version)
{
	if (!version)
		return rt_fail(cudaErrorInvalidValue);
	if (rt_driver_load()) {
		*version = 0; /* no driver: no error */
		return cudaSuccess;
	}
	return rt_result(rt_cu.cuDriverGetVersion(version));
}

static cudaError_t entry_point(const char *name, void **fn, unsigned int version,
			       unsigned long long flags,
			       enum cudaDriverEntryPointQueryResult *status)
{
	const cudaError_t e = rt_driver_load();
	int found = 0;
	CUresult r;

	if (e)
		return rt_fail(e);
	if (!name || !fn)
		return rt_fail(cudaErrorInvalidValue);
	*fn = NULL;
	r = rt_cu.cuGetProcAddress_v2(name, fn, (int)version, flags, &found);
	if (status)
		*status = (enum cudaDriverEntryPointQueryResult)found;
	/* A name that is not there is told by status, or by an error where nobody asks for that. */
	if (r == CUDA_ERROR_NOT_FOUND || (!r && !*fn))
		return status ? cudaSuccess : rt_fail(cudaErrorSymbolNotFound);
	return rt_result(r);
}

/* Without a flag the form is that of the caller: legacy, or the thread's own default stream. */
static unsigned long long own_flags(unsigned long long flags)
{
	return flags ? flags : CU_GET_PROC_ADDRESS_PER_THREAD_DEFAULT_STREAM;
}

/* The revision of the runtime's version. */
RT_API(cudaGetDriverEntryPoint, const char *name, void **fn, unsigned long long flags,
       enum cudaDriverEntryPointQueryResult *status)
{
	return entry_point(name, fn, rt_version, flags, status);
}

RT_API(cudaGetDriverEntryPoint_ptsz, const char *name, void **fn, unsigned long long flags,
       enum cudaDriverEntryPointQueryResult *status)
{
	return entry_point(name, fn, rt_version, own_flags(flags), status);
}

RT_API(cudaGetDriverEntryPointByVersion, const char *name, void **fn, unsigned int version,
       unsigned long long flags, enum cudaDriverEntryPointQueryResult *status)
{
	return entry_point(name, fn, version, flags, status);
}

RT_API(cudaGetDriverEntryPointByVersion_ptsz, const char *name, void **fn, unsigned int version,
       unsigned long long flags, enum cudaDriverEntryPointQueryResult *status)
{
	return entry_point(name, fn, version, own_flags(flags), status);
}

RT_API(cudaRuntimeGetVersion, int *version)
{
	if (!version)
		return rt_fail(cudaErrorInvalidValue);
	*version = (int)rt_version;
	return cudaSuccess;
}

RT_API(cudaProfilerStart, void)
{
	RT_THROUGH(cuProfilerStart());
}

RT_API(cudaProfilerStop, void)
{
	RT_THROUGH(cuProfilerStop());
}

/* Devices without double precision are gone: nothing is converted. */
RT_API(cudaSetDoubleForDevice, double *d)
{
	return rt_fail(d ? cudaSuccess : cudaErrorInvalidValue);
}

RT_API(cudaSetDoubleForHost, double *d)
{
	return rt_fail(d ? cudaSuccess : cudaErrorInvalidValue);
}
