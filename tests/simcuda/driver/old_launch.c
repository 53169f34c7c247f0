/* SPDX-License-Identifier: MIT */
/* Launches as before CUDA 4.0, by those of today. What a function has set is kept for ever. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define PARAMS 4096u

struct old {
	struct old *next;
	CUfunction f;
	unsigned int block[3], shared;
	size_t size;
	unsigned char params[PARAMS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct old *all;

static CUresult find(CUfunction f, struct old **out)
{
	struct sim_func *known;
	struct old *o;

	TRY(func_get(f, &known));
	pthread_mutex_lock(&lock);
	for (o = all; o && o->f != f; o = o->next)
		;
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (o) {
			o->f = f;
			o->next = all;
			all = o;
		}
	}
	pthread_mutex_unlock(&lock);
	*out = o;
	return o ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

API(cuFuncSetBlockShape, CUfunction f, int x, int y, int z)
{
	struct old *o;

	ENTER();
	TRY(find(f, &o));
	if (x <= 0 || y <= 0 || z <= 0)
		return CUDA_ERROR_INVALID_VALUE;
	o->block[0] = (unsigned int)x;
	o->block[1] = (unsigned int)y;
	o->block[2] = (unsigned int)z;
	return CUDA_SUCCESS;
}

API(cuFuncSetSharedSize, CUfunction f, unsigned int bytes)
{
	struct old *o;

	ENTER();
	TRY(find(f, &o));
	o->shared = bytes;
	return CUDA_SUCCESS;
}

API(cuParamSetSize, CUfunction f, unsigned int bytes)
{
	struct old *o;

	ENTER();
	TRY(find(f, &o));
	if (bytes > PARAMS)
		return CUDA_ERROR_INVALID_VALUE;
	o->size = bytes;
	return CUDA_SUCCESS;
}

static CUresult set(CUfunction f, int offset, const void *value, unsigned int bytes)
{
	struct old *o;

	TRY(find(f, &o));
	if (!value || offset < 0 || (unsigned int)offset > PARAMS ||
	    bytes > PARAMS - (unsigned int)offset)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(o->params + offset, value, bytes);
	return CUDA_SUCCESS;
}

API(cuParamSeti, CUfunction f, int offset, unsigned int value)
{
	ENTER();
	return set(f, offset, &value, sizeof(value));
}

API(cuParamSetf, CUfunction f, int offset, float value)
{
	ENTER();
	return set(f, offset, &value, sizeof(value));
}

API(cuParamSetv, CUfunction f, int offset, void *value, unsigned int bytes)
{
	ENTER();
	return set(f, offset, value, bytes);
}

static CUresult launch(CUfunction f, int width, int height, CUstream stream)
{
	struct old *o;

	TRY(find(f, &o));
	if (width <= 0 || height <= 0 || !o->block[0])
		return CUDA_ERROR_INVALID_VALUE;
	return cuLaunchKernel(f, (unsigned int)width, (unsigned int)height, 1, o->block[0],
			      o->block[1], o->block[2], o->shared, stream, NULL,
			      (void *[]){CU_LAUNCH_PARAM_BUFFER_POINTER, o->params,
					 CU_LAUNCH_PARAM_BUFFER_SIZE, &o->size,
					 CU_LAUNCH_PARAM_END});
}

API(cuLaunch, CUfunction f)
{
	ENTER();
	return launch(f, 1, 1, NULL);
}

API(cuLaunchGrid, CUfunction f, int width, int height)
{
	ENTER();
	return launch(f, width, height, NULL);
}

API(cuLaunchGridAsync, CUfunction f, int width, int height, CUstream stream)
{
	ENTER();
	return launch(f, width, height, stream);
}
