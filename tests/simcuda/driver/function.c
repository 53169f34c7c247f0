/* SPDX-License-Identifier: MIT */
/* Attributes of kernels. */
#include "tests/simcuda/driver/sim.h"

CUresult func_get(CUfunction handle, struct sim_func **out)
{
	struct sim_func *f = (struct sim_func *)handle;

	if (likely(pool_live(&func_pool, f))) {
		*out = f;
		return ctx_status(f->module->ctx);
	}
	if (pool_live(&kernel_pool, handle)) {
		CURRENT(ctx);
		return kernel_func((struct sim_kernel *)handle, ctx, out);
	}
	return CUDA_ERROR_INVALID_HANDLE;
}

/* Registers are handed out 256 at a time to a warp, and a block has 64 Ki of them at most. */
uint32_t func_max_threads(const struct ptx_kernel *k)
{
	uint32_t per_warp = ((k->registers ? k->registers : 1) * 32 + 255) & ~255u;
	uint32_t threads = 65536 / per_warp * 32;

	if (threads > 1024)
		threads = 1024;
	return k->max_threads && k->max_threads < threads ? k->max_threads : threads;
}

static CUresult get_attribute(const struct ptx_kernel *k, const struct func_settings *s,
			      CUfunction_attribute what, int *value)
{
	uint32_t cluster[3];

	cluster_required(k, s, cluster);
	switch (what) {
	case CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
		*value = (int)func_max_threads(k);
		break;
	case CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES:
		*value = (int)k->shared_bytes;
		break;
	case CU_FUNC_ATTRIBUTE_CONST_SIZE_BYTES:
		*value = (int)k->const_bytes;
		break;
	case CU_FUNC_ATTRIBUTE_LOCAL_SIZE_BYTES:
		*value = (int)k->local_bytes;
		break;
	case CU_FUNC_ATTRIBUTE_NUM_REGS:
		*value = (int)k->registers;
		break;
	case CU_FUNC_ATTRIBUTE_PTX_VERSION:
		*value = (int)k->target;
		break;
	case CU_FUNC_ATTRIBUTE_BINARY_VERSION:
		*value = (int)sim_config.cc;
		break;
	case CU_FUNC_ATTRIBUTE_CACHE_MODE_CA:
		*value = 0;
		break;
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		*value = (int)s->max_dynamic;
		break;
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		*value = s->carveout;
		break;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SIZE_MUST_BE_SET:
		*value = k->explicit_cluster && !cluster[0];
		break;
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
		*value = (int)cluster[what - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH];
		break;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		*value = s->any_cluster;
		break;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		*value = 0;
		break;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

/* Only attributes that a program may change; the others are properties of the code. */
static CUresult set_attribute(const struct ptx_kernel *k, struct func_settings *s,
			      CUfunction_attribute what, int value)
{
	int optin;

	switch (what) {
	case CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES:
		TRY(device_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
				     &optin));
		if (value < 0 || (int64_t)value + k->shared_bytes > optin)
			return CUDA_ERROR_INVALID_VALUE;
		s->max_dynamic = (uint32_t)value;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
		if (value < -1 || value > 100)
			return CUDA_ERROR_INVALID_VALUE;
		s->carveout = value;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_HEIGHT:
	case CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_DEPTH:
		if (k->reqcluster[0])
			return CUDA_ERROR_NOT_PERMITTED;
		if (value < 0)
			return CUDA_ERROR_INVALID_VALUE;
		s->cluster[what - CU_FUNC_ATTRIBUTE_REQUIRED_CLUSTER_WIDTH] = (uint32_t)value;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED:
		s->any_cluster = value != 0;
		return CUDA_SUCCESS;
	case CU_FUNC_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		return CUDA_SUCCESS;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

API(cuFuncGetAttribute, int *value, CUfunction_attribute what, CUfunction handle)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	return get_attribute(f->k, &f->set, what, value);
}

API(cuFuncSetAttribute, CUfunction handle, CUfunction_attribute what, int value)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	return set_attribute(f->k, &f->set, what, value);
}

static CUresult kernel_get(CUkernel handle, struct sim_kernel **out)
{
	*out = (struct sim_kernel *)handle;
	return pool_live(&kernel_pool, *out) ? CUDA_SUCCESS : CUDA_ERROR_INVALID_HANDLE;
}

API(cuKernelGetAttribute, int *value, CUfunction_attribute what, CUkernel handle, CUdevice dev)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	if (!value)
		return CUDA_ERROR_INVALID_VALUE;
	return get_attribute(k->k, &k->set, what, value);
}

API(cuKernelSetAttribute, CUfunction_attribute what, int value, CUkernel handle, CUdevice dev)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	return set_attribute(k->k, &k->set, what, value);
}

static CUresult check_cache(CUfunc_cache config)
{
	return (unsigned int)config > CU_FUNC_CACHE_PREFER_EQUAL ? CUDA_ERROR_INVALID_VALUE
								 : CUDA_SUCCESS;
}

API(cuFuncSetCacheConfig, CUfunction handle, CUfunc_cache config)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	TRY(check_cache(config));
	f->cache = config;
	return CUDA_SUCCESS;
}

API(cuKernelSetCacheConfig, CUkernel handle, CUfunc_cache config, CUdevice dev)
{
	struct sim_kernel *k;

	ENTER();
	TRY(kernel_get(handle, &k));
	if (!device_is_valid(dev))
		return CUDA_ERROR_INVALID_DEVICE;
	return check_cache(config);
}

API(cuFuncSetSharedMemConfig, CUfunction handle, CUsharedconfig config)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	return (unsigned int)config > CU_SHARED_MEM_CONFIG_EIGHT_BYTE_BANK_SIZE
		       ? CUDA_ERROR_INVALID_VALUE
		       : CUDA_SUCCESS;
}

API(cuFuncGetModule, CUmodule *out, CUfunction handle)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	if (!out)
		return CUDA_ERROR_INVALID_VALUE;
	*out = (CUmodule)f->module;
	return CUDA_SUCCESS;
}

API(cuFuncGetName, const char **name, CUfunction handle)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	if (!name)
		return CUDA_ERROR_INVALID_VALUE;
	*name = f->k->name;
	return CUDA_SUCCESS;
}

API(cuFuncGetParamInfo, CUfunction handle, size_t index, size_t *offset, size_t *size)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	if (!offset || index >= f->k->param_count)
		return CUDA_ERROR_INVALID_VALUE;
	*offset = f->k->params[index].offset;
	if (size)
		*size = f->k->params[index].size;
	return CUDA_SUCCESS;
}

API(cuFuncIsLoaded, CUfunctionLoadingState *state, CUfunction handle)
{
	struct sim_func *f;

	ENTER();
	TRY(func_get(handle, &f));
	if (!state)
		return CUDA_ERROR_INVALID_VALUE;
	*state = CU_FUNCTION_LOADING_STATE_LOADED;
	return CUDA_SUCCESS;
}

API(cuFuncLoad, CUfunction handle)
{
	struct sim_func *f;

	ENTER();
	return func_get(handle, &f);
}
