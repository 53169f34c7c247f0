/* SPDX-License-Identifier: MIT */
/* Memory, events and pools that processes share. Handles have the driver's shapes. */
#include "cudart/rt.h"

#include <string.h>

_Static_assert(sizeof(cudaIpcMemHandle_t) == sizeof(CUipcMemHandle), "the driver's size");
_Static_assert(sizeof(cudaIpcEventHandle_t) == sizeof(CUipcEventHandle), "the driver's size");
_Static_assert(sizeof(struct cudaMemPoolPtrExportData) == sizeof(CUmemPoolPtrExportData),
	       "the driver's size");

RT_API(cudaIpcGetMemHandle, cudaIpcMemHandle_t *handle, void *ptr)
{
	RT_THROUGH(cuIpcGetMemHandle((CUipcMemHandle *)(void *)handle, rt_addr(ptr)));
}

RT_API(cudaIpcOpenMemHandle, void **ptr, cudaIpcMemHandle_t handle, unsigned int flags)
{
	CUipcMemHandle h;
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	memcpy(&h, &handle, sizeof(h));
	r = rt_cu.cuIpcOpenMemHandle_v2(&addr, h, flags);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}

RT_API(cudaIpcCloseMemHandle, void *ptr)
{
	RT_THROUGH(cuIpcCloseMemHandle(rt_addr(ptr)));
}

RT_API(cudaIpcGetEventHandle, cudaIpcEventHandle_t *handle, cudaEvent_t event)
{
	RT_THROUGH(cuIpcGetEventHandle((CUipcEventHandle *)(void *)handle, event));
}

RT_API(cudaIpcOpenEventHandle, cudaEvent_t *event, cudaIpcEventHandle_t handle)
{
	CUipcEventHandle h;

	memcpy(&h, &handle, sizeof(h));
	RT_THROUGH(cuIpcOpenEventHandle(event, h));
}

RT_API(cudaMemPoolExportToShareableHandle, void *shareable, cudaMemPool_t pool, int type,
       unsigned int flags)
{
	RT_THROUGH(cuMemPoolExportToShareableHandle(shareable, pool, type, flags));
}

RT_API(cudaMemPoolImportFromShareableHandle, cudaMemPool_t *pool, void *shareable, int type,
       unsigned int flags)
{
	RT_THROUGH(cuMemPoolImportFromShareableHandle(pool, shareable, type, flags));
}

RT_API(cudaMemPoolExportPointer, struct cudaMemPoolPtrExportData *data, void *ptr)
{
	RT_THROUGH(cuMemPoolExportPointer(data, rt_addr(ptr)));
}

RT_API(cudaMemPoolImportPointer, void **ptr, cudaMemPool_t pool,
       struct cudaMemPoolPtrExportData *data)
{
	CUdeviceptr addr;
	CUresult r;

	RT_ENTER();
	if (!ptr)
		return rt_fail(cudaErrorInvalidValue);
	r = rt_cu.cuMemPoolImportPointer(&addr, pool, data);
	if (!r)
		*ptr = (void *)(uintptr_t)addr;
	return rt_result(r);
}
