/* SPDX-License-Identifier: MIT */
/* Kernels: functions of libraries, in no context yet. */
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/library.h"

#include <pthread.h>

#include "pvgpu_stubs.h"

static int enter(CUkernel h, struct function **k)
{
	const int r = guest_enter();

	if (r)
		return r;
	*k = object_find(PVGPU_H_KERNEL, h);
	return *k ? 0 : CUDA_ERROR_INVALID_HANDLE;
}

/* Under library_lock. */
static int instantiate(struct function *k, struct ctx *c, struct function **out)
{
	struct function *f = object_new(PVGPU_H_FUNCTION);
	struct function_info info;
	int r;

	if (!f)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = pvgpu_do_kernel_get_function(session(), k->o.wire, c->o.wire, f->o.wire, info.bytes,
					 sizeof(info.bytes), &info.len);
	if (!r)
		r = function_fill(f, &info, k->name);
	if (r) {
		function_free(f);
		return ctx_result(c, r);
	}
	f->o.ctx = c;
	f->library = k->library;
	f->kernel = k;
	f->next = k->instances;
	k->instances = f;
	object_publish(&f->o);
	*out = f;
	return 0;
}

PUBLIC CUresult cuKernelGetFunction(CUfunction *fn, CUkernel kernel)
{
	struct function *k, *f;
	struct ctx *c;
	int r = ctx_enter(&c);

	if (!r)
		r = enter(kernel, &k);
	if (r)
		return r;
	if (!fn)
		return CUDA_ERROR_INVALID_VALUE;
	pthread_mutex_lock(&library_lock);
	for (f = k->instances; f; f = f->next)
		if (f->o.ctx == c)
			break;
	if (!f)
		r = instantiate(k, c, &f);
	if (!r)
		*fn = object_handle(&f->o);
	pthread_mutex_unlock(&library_lock);
	return r;
}

PUBLIC CUresult cuKernelGetLibrary(CUlibrary *library, CUkernel kernel)
{
	struct function *k;
	const int r = enter(kernel, &k);

	if (r)
		return r;
	if (!library)
		return CUDA_ERROR_INVALID_VALUE;
	*library = object_handle(&k->library->o);
	return CUDA_SUCCESS;
}

static int enter_on(CUkernel h, CUdevice dev, struct function **k)
{
	const int r = enter(h, k);

	if (r)
		return r;
	return device_at(dev) ? 0 : CUDA_ERROR_INVALID_DEVICE;
}

PUBLIC CUresult cuKernelGetAttribute(int *value, CUfunction_attribute attr, CUkernel kernel,
				     CUdevice dev)
{
	struct function *k;
	const int r = enter_on(kernel, dev, &k);

	return r ? r : function_get_attribute(k, attr, value);
}

PUBLIC CUresult cuKernelSetAttribute(CUfunction_attribute attr, int value, CUkernel kernel,
				     CUdevice dev)
{
	struct function *k;
	const int r = enter_on(kernel, dev, &k);

	return r ? r : function_set_attribute(k, attr, value);
}

PUBLIC CUresult cuKernelSetCacheConfig(CUkernel kernel, CUfunc_cache config, CUdevice dev)
{
	struct function *k;
	const int r = enter_on(kernel, dev, &k);

	return r ? r : function_set_cache_config(k, config);
}

PUBLIC CUresult cuKernelGetName(const char **name, CUkernel kernel)
{
	struct function *k;
	const int r = enter(kernel, &k);

	if (r)
		return r;
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = k->name;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuKernelGetParamInfo(CUkernel kernel, size_t index, size_t *offset, size_t *size)
{
	struct function *k;
	const int r = enter(kernel, &k);

	return r ? r : function_param_info(k, index, offset, size);
}
