/* SPDX-License-Identifier: MIT */
/* Events. */
#include "cudart/rt.h"

RT_API(cudaEventCreate, cudaEvent_t *event)
{
	RT_THROUGH(cuEventCreate(event, CU_EVENT_DEFAULT));
}

RT_API(cudaEventCreateWithFlags, cudaEvent_t *event, unsigned int flags)
{
	RT_THROUGH(cuEventCreate(event, flags));
}

RT_API(cudaEventDestroy, cudaEvent_t event)
{
	RT_THROUGH(cuEventDestroy_v2(event));
}

RT_STREAM(cudaEventRecord, (cudaEvent_t event, cudaStream_t stream), (event, stream))
{
	RT_THROUGH(cuEventRecord(event, stream));
}

RT_STREAM(cudaEventRecordWithFlags, (cudaEvent_t event, cudaStream_t stream, unsigned int flags),
	  (event, stream, flags))
{
	RT_THROUGH(cuEventRecordWithFlags(event, stream, flags));
}

RT_API(cudaEventQuery, cudaEvent_t event)
{
	RT_THROUGH(cuEventQuery(event));
}

RT_API(cudaEventSynchronize, cudaEvent_t event)
{
	RT_THROUGH(cuEventSynchronize(event));
}

RT_API(cudaEventElapsedTime, float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
	RT_THROUGH(cuEventElapsedTime(milliseconds, start, end));
}

/* The same: both refuse events whose work has not ended. */
RT_API(cudaEventElapsedTime_v2, float *milliseconds, cudaEvent_t start, cudaEvent_t end)
{
	RT_THROUGH(cuEventElapsedTime(milliseconds, start, end));
}
