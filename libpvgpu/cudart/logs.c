/* SPDX-License-Identifier: MIT */
/* The log of errors: the driver's. */
#include "cudart/rt.h"

RT_API(cudaLogsRegisterCallback, void *fn, void *data, void *callback)
{
	RT_THROUGH(cuLogsRegisterCallback(fn, data, callback));
}

RT_API(cudaLogsUnregisterCallback, void *callback)
{
	RT_THROUGH(cuLogsUnregisterCallback(callback));
}

RT_API(cudaLogsCurrent, unsigned int *at, unsigned int flags)
{
	RT_THROUGH(cuLogsCurrent(at, flags));
}

RT_API(cudaLogsDumpToFile, unsigned int *at, const char *path, unsigned int flags)
{
	RT_THROUGH(cuLogsDumpToFile(at, path, flags));
}

RT_API(cudaLogsDumpToMemory, unsigned int *at, char *buffer, size_t *size, unsigned int flags)
{
	RT_THROUGH(cuLogsDumpToMemory(at, buffer, size, flags));
}
