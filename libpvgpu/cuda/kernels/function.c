/* SPDX-License-Identifier: MIT */
/* Attributes of functions and kernels. */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/object.h"
#include "cuda/core/public.h"
#include "cuda/kernels/function.h"
#include "cuda/kernels/library.h"
#include "cuda/kernels/module.h"
#include "cuda/kernels/occupancy.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "pvgpu_stubs.h"

int function_fill(struct function *f, const struct function_info *info, const char *name)
{
	const struct pvgpu_func_info *head = (const void *)info->bytes;
	const struct pvgpu_param_info *params = (const void *)(head + 1);
	uint64_t names_at, name_len;

	if (info->len < sizeof(*head) || head->param_count > PVGPU_PARAMS_MAX ||
	    head->param_bytes > PVGPU_PARAMS_MAX)
		return CUDA_ERROR_UNKNOWN;
	names_at = sizeof(*head) + (uint64_t)head->param_count * sizeof(*params);
	name_len = name ? strlen(name) : head->name_len;
	if (info->len < names_at || (!name && info->len - names_at < name_len))
		return CUDA_ERROR_UNKNOWN;
	for (uint32_t i = 0; i < head->param_count; i++)
		if (params[i].offset > head->param_bytes ||
		    params[i].size > head->param_bytes - params[i].offset)
			return CUDA_ERROR_UNKNOWN;
	f->name = strndup(name ? name : info->bytes + names_at, name_len);
	f->params = malloc((head->param_count + 1) * sizeof(*params));
	if (!f->name || !f->params)
		return CUDA_ERROR_OUT_OF_MEMORY;
	memcpy(f->params, params, head->param_count * sizeof(*params));
	f->param_count = head->param_count;
	f->param_bytes = head->param_bytes;
	f->params_known = head->params_known;
	for (int i = 0; i < FUNCTION_ATTRS; i++)
		atomic_store_explicit(&f->attr[i], head->attr[i], memory_order_relaxed);
	return 0;
}

void function_free(struct function *f)
{
	free(f->name);
	free(f->params);
	free(f->old);
	f->old = NULL;
	occupancy_free(f);
	f->name = NULL;
	f->params = NULL;
	object_free(&f->o);
}

struct function *function_find(CUfunction h)
{
	struct function *f = object_find(PVGPU_H_FUNCTION, h);

	return f ? f : object_find(PVGPU_H_KERNEL, h);
}

/* For queries that the guest answers itself. */
static int enter(CUfunction h, struct function **f)
{
	const int r = guest_enter();

	if (r)
		return r;
	*f = function_find(h);
	if (!*f)
		return CUDA_ERROR_INVALID_HANDLE;
	return (*f)->o.ctx ? atomic_load(&(*f)->o.ctx->state) : 0;
}

static uint32_t bit_of(CUfunction_attribute attr)
{
	return (unsigned int)attr < FUNCTION_ATTRS ? 1u << attr : 0;
}

static bool has_bit(const _Atomic uint32_t *bits, CUfunction_attribute attr)
{
	return atomic_load(bits) & bit_of(attr);
}

static void cache_attribute(struct function *f, CUfunction_attribute attr, int value)
{
	if ((unsigned int)attr >= FUNCTION_ATTRS)
		return;
	atomic_store_explicit(&f->attr[attr], value, memory_order_relaxed);
	atomic_fetch_or(&f->attr_known, bit_of(attr));
}

/* The application has set it: f has this value until it is set otherwise. */
static void attribute_set(struct function *f, CUfunction_attribute attr, int value)
{
	occupancy_forget(f);
	cache_attribute(f, attr, value);
	atomic_fetch_or(&f->attr_set, bit_of(attr));
}

int function_get_attribute(struct function *f, CUfunction_attribute attr, int *value)
{
	int cached, r;

	if (!value || (unsigned int)attr >= CU_FUNC_ATTRIBUTE_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	cached = (unsigned int)attr < FUNCTION_ATTRS ? function_attr(f, attr) : -1;
	/* -1: unknown, or the driver refused. Ask it, for its result code. */
	if (cached == -1 && !has_bit(&f->attr_known, attr)) {
		r = pvgpu_do_func_get_attribute(session(), f->o.wire, attr, value);
		if (!r)
			cache_attribute(f, attr, *value);
		return r;
	}
	*value = cached;
	return 0;
}

int function_set_attribute(struct function *f, CUfunction_attribute attr, int value)
{
	int r;

	if ((unsigned int)attr >= CU_FUNC_ATTRIBUTE_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	if (has_bit(&f->attr_set, attr) && function_attr(f, attr) == value)
		return 0;
	r = pvgpu_do_func_set_attribute(session(), f->o.wire, attr, value);
	if (r)
		return r;
	attribute_set(f, attr, value);
	/* A kernel's attribute holds for its functions in all contexts, until one is set itself. */
	pthread_mutex_lock(&library_lock);
	for (struct function *i = f->instances; i; i = i->next)
		attribute_set(i, attr, value);
	if (f->kernel)
		atomic_fetch_and(&f->kernel->attr_set, ~bit_of(attr));
	pthread_mutex_unlock(&library_lock);
	return 0;
}

int function_set_cache_config(struct function *f, CUfunc_cache config)
{
	const uint32_t set = (uint32_t)config + 1;
	int r;

	if (atomic_load(&f->cache_set) == set)
		return 0;
	r = pvgpu_do_func_set_cache_config(session(), f->o.wire, config);
	if (r)
		return r;
	occupancy_forget_all();
	atomic_store(&f->cache_set, set);
	pthread_mutex_lock(&library_lock);
	for (struct function *i = f->instances; i; i = i->next)
		atomic_store(&i->cache_set, set);
	if (f->kernel)
		atomic_store(&f->kernel->cache_set, 0);
	pthread_mutex_unlock(&library_lock);
	return 0;
}

int function_param_info(const struct function *f, size_t index, size_t *offset, size_t *size)
{
	if (!f->params_known)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (!offset || index >= f->param_count)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = f->params[index].offset;
	if (size)
		*size = f->params[index].size;
	return 0;
}

PUBLIC CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attr, CUfunction fn)
{
	struct function *f;
	const int r = enter(fn, &f);

	return r ? r : function_get_attribute(f, attr, value);
}

PUBLIC CUresult cuFuncSetAttribute(CUfunction fn, CUfunction_attribute attr, int value)
{
	struct function *f;
	const int r = enter(fn, &f);

	return r ? r : function_set_attribute(f, attr, value);
}

PUBLIC CUresult cuFuncSetCacheConfig(CUfunction fn, CUfunc_cache config)
{
	struct function *f;
	const int r = enter(fn, &f);

	return r ? r : function_set_cache_config(f, config);
}

PUBLIC CUresult cuFuncSetSharedMemConfig(CUfunction fn, CUsharedconfig config)
{
	struct function *f;
	const int r = enter(fn, &f);

	if (r)
		return r;
	return (unsigned int)config <= CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE
		       ? CUDA_SUCCESS
		       : CUDA_ERROR_INVALID_VALUE;
}

PUBLIC CUresult cuFuncGetModule(CUmodule *module, CUfunction fn)
{
	struct function *f;
	struct ctx *c;
	int r = enter(fn, &f);

	if (r)
		return r;
	if (!module)
		return CUDA_ERROR_INVALID_VALUE;
	if (f->module) {
		*module = object_handle(&f->module->o);
		return CUDA_SUCCESS;
	}
	c = f->o.ctx;
	if (!c)
		r = ctx_enter(&c);
	return r ? r : library_module(f->library, c, module);
}

PUBLIC CUresult cuFuncGetName(const char **name, CUfunction fn)
{
	struct function *f;
	const int r = enter(fn, &f);

	if (r)
		return r;
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = f->name;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuFuncGetParamInfo(CUfunction fn, size_t index, size_t *offset, size_t *size)
{
	struct function *f;
	const int r = enter(fn, &f);

	return r ? r : function_param_info(f, index, offset, size);
}

/* A function is loaded by the worker when it is asked for, so one with a handle is loaded. */
PUBLIC CUresult cuFuncIsLoaded(CUfunctionLoadingState *state, CUfunction fn)
{
	struct function *f;
	const int r = enter(fn, &f);

	if (r)
		return r;
	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	*state = CU_FUNCTION_LOADING_STATE_LOADED;
	return CUDA_SUCCESS;
}

PUBLIC CUresult cuFuncLoad(CUfunction fn)
{
	struct function *f;

	return enter(fn, &f);
}
