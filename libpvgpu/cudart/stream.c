/* SPDX-License-Identifier: MIT */
/* Streams. */
#include "cudart/rt.h"

#include <stdlib.h>

RT_API(cudaStreamCreate, cudaStream_t *out)
{
	RT_THROUGH(cuStreamCreate(out, CU_STREAM_DEFAULT));
}

RT_API(cudaStreamCreateWithFlags, cudaStream_t *out, unsigned int flags)
{
	RT_THROUGH(cuStreamCreate(out, flags));
}

RT_API(cudaStreamCreateWithPriority, cudaStream_t *out, unsigned int flags, int priority)
{
	RT_THROUGH(cuStreamCreateWithPriority(out, flags, priority));
}

RT_API(cudaStreamDestroy, cudaStream_t stream)
{
	RT_THROUGH(cuStreamDestroy_v2(stream));
}

RT_STREAM(cudaStreamSynchronize, (cudaStream_t stream), (stream))
{
	RT_THROUGH(cuStreamSynchronize(stream));
}

RT_STREAM(cudaStreamQuery, (cudaStream_t stream), (stream))
{
	RT_THROUGH(cuStreamQuery(stream));
}

RT_STREAM(cudaStreamWaitEvent, (cudaStream_t stream, cudaEvent_t event, unsigned int flags),
	  (stream, event, flags))
{
	RT_THROUGH(cuStreamWaitEvent(stream, event, flags));
}

RT_STREAM(cudaStreamGetPriority, (cudaStream_t stream, int *priority), (stream, priority))
{
	RT_THROUGH(cuStreamGetPriority(stream, priority));
}

RT_STREAM(cudaStreamGetFlags, (cudaStream_t stream, unsigned int *flags), (stream, flags))
{
	RT_THROUGH(cuStreamGetFlags(stream, flags));
}

RT_STREAM(cudaStreamGetId, (cudaStream_t stream, unsigned long long *id), (stream, id))
{
	RT_THROUGH(cuStreamGetId(stream, id));
}

RT_STREAM(cudaStreamGetDevice, (cudaStream_t stream, int *device), (stream, device))
{
	RT_THROUGH(cuStreamGetDevice(stream, device));
}

RT_STREAM(cudaStreamGetAttribute, (cudaStream_t stream, int attr, void *value),
	  (stream, attr, value))
{
	RT_THROUGH(cuStreamGetAttribute(stream, attr, value));
}

RT_STREAM(cudaStreamSetAttribute, (cudaStream_t stream, int attr, const void *value),
	  (stream, attr, value))
{
	RT_THROUGH(cuStreamSetAttribute(stream, attr, value));
}

static cudaError_t copy_attributes(cudaStream_t dst, cudaStream_t src)
{
	RT_THROUGH(cuStreamCopyAttributes(dst, src));
}

RT_API(cudaStreamCopyAttributes, cudaStream_t dst, cudaStream_t src)
{
	return copy_attributes(dst, src);
}

RT_API(cudaStreamCopyAttributes_ptsz, cudaStream_t dst, cudaStream_t src)
{
	return copy_attributes(rt_own(dst), rt_own(src));
}

RT_STREAM(cudaStreamAttachMemAsync,
	  (cudaStream_t stream, void *ptr, size_t bytes, unsigned int flags),
	  (stream, ptr, bytes, flags))
{
	RT_THROUGH(cuStreamAttachMemAsync(stream, rt_addr(ptr), bytes, flags));
}

/* The driver's callback has the driver's result. */
struct callback {
	cudaStream_t stream;
	cudaStreamCallback_t fn;
	void *user_data;
};

static void call_back(CUstream stream, CUresult status, void *arg)
{
	struct callback c = *(struct callback *)arg;

	free(arg);
	c.fn(c.stream, rt_error(status), c.user_data);
}

RT_STREAM(cudaStreamAddCallback,
	  (cudaStream_t stream, cudaStreamCallback_t fn, void *user_data, unsigned int flags),
	  (stream, fn, user_data, flags))
{
	struct callback *c;
	CUresult r;

	RT_ENTER();
	if (!fn)
		return rt_fail(cudaErrorInvalidValue);
	c = malloc(sizeof(*c));
	if (!c)
		return rt_fail(cudaErrorMemoryAllocation);
	*c = (struct callback){stream, fn, user_data};
	r = rt_cu.cuStreamAddCallback(stream, call_back, c, flags);
	if (r)
		free(c);
	return rt_result(r);
}
