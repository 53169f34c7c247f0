/* SPDX-License-Identifier: MIT */
/*
 * Launches as before CUDA 4.0: a function keeps its block's shape and its parameters, each of which
 * a call of its own sets. They become launches with a buffer of parameters.
 */
#include "cuda/core/context.h"
#include "cuda/core/public.h"
#include "cuda/kernels/function.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { OLD_PARAMS = 4096 };

struct old_launch {
	unsigned int block[3], shared;
	size_t size; /* of the parameters */
	unsigned char params[OLD_PARAMS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* With the lock, unless it fails. */
static int begin(CUfunction h, struct old_launch **out)
{
	struct function *f;
	const int r = guest_enter();

	if (r)
		return r;
	f = object_find(PVGPU_H_FUNCTION, h);
	if (!f)
		return CUDA_ERROR_INVALID_HANDLE;
	pthread_mutex_lock(&lock);
	if (!f->old)
		f->old = calloc(1, sizeof(*f->old));
	*out = f->old;
	if (f->old)
		return 0;
	pthread_mutex_unlock(&lock);
	return CUDA_ERROR_OUT_OF_MEMORY;
}

static int end(int r)
{
	pthread_mutex_unlock(&lock);
	return r;
}

PUBLIC CUresult cuFuncSetBlockShape(CUfunction fn, int x, int y, int z)
{
	struct old_launch *o;
	const int r = begin(fn, &o);

	if (r)
		return r;
	if (x <= 0 || y <= 0 || z <= 0)
		return end(CUDA_ERROR_INVALID_VALUE);
	o->block[0] = (unsigned int)x;
	o->block[1] = (unsigned int)y;
	o->block[2] = (unsigned int)z;
	return end(0);
}

PUBLIC CUresult cuFuncSetSharedSize(CUfunction fn, unsigned int bytes)
{
	struct old_launch *o;
	const int r = begin(fn, &o);

	if (r)
		return r;
	o->shared = bytes;
	return end(0);
}

PUBLIC CUresult cuParamSetSize(CUfunction fn, unsigned int bytes)
{
	struct old_launch *o;
	const int r = begin(fn, &o);

	if (r)
		return r;
	if (bytes > OLD_PARAMS)
		return end(CUDA_ERROR_INVALID_VALUE);
	o->size = bytes;
	return end(0);
}

static int set(CUfunction fn, int offset, const void *value, unsigned int bytes)
{
	struct old_launch *o;
	const int r = begin(fn, &o);

	if (r)
		return r;
	if (!value || offset < 0 || offset > OLD_PARAMS ||
	    bytes > OLD_PARAMS - (unsigned int)offset)
		return end(CUDA_ERROR_INVALID_VALUE);
	memcpy(o->params + offset, value, bytes);
	return end(0);
}

PUBLIC CUresult cuParamSeti(CUfunction fn, int offset, unsigned int value)
{
	return set(fn, offset, &value, sizeof(value));
}

PUBLIC CUresult cuParamSetf(CUfunction fn, int offset, float value)
{
	return set(fn, offset, &value, sizeof(value));
}

PUBLIC CUresult cuParamSetv(CUfunction fn, int offset, void *value, unsigned int bytes)
{
	return set(fn, offset, value, bytes);
}

PUBLIC CUresult cuLaunchGridAsync(CUfunction fn, int width, int height, CUstream stream)
{
	struct old_launch *o, now;
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, now.params, CU_LAUNCH_PARAM_BUFFER_SIZE,
			 &now.size, CU_LAUNCH_PARAM_END};
	const int r = begin(fn, &o);

	if (r)
		return r;
	now = *o;
	end(0);
	if (width <= 0 || height <= 0 || !now.block[0])
		return CUDA_ERROR_INVALID_VALUE;
	return cuLaunchKernel(fn, (unsigned int)width, (unsigned int)height, 1, now.block[0],
			      now.block[1], now.block[2], now.shared, stream, NULL, extra);
}

PUBLIC CUresult cuLaunchGrid(CUfunction fn, int width, int height)
{
	return cuLaunchGridAsync(fn, width, height, NULL);
}

PUBLIC CUresult cuLaunch(CUfunction fn)
{
	return cuLaunchGridAsync(fn, 1, 1, NULL);
}
