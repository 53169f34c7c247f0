/* SPDX-License-Identifier: MIT */
/* Functions and kernels: their parameters, attributes, occupancy. */
#include <pvgpu_cuda_launch.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "xen-pvgpu-back/worker/gpu/launch.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define INFO_ATTRS     16
#define PARAMS_IN_INFO 1400u

static int attr_get(struct gpu *g, const struct function *f, int attr, int *value)
{
	const struct far *far = g->far;

	if (f->o.type == PVGPU_H_KERNEL)
		return (int)far->cuKernelGetAttribute(value, (CUfunction_attribute)attr,
						      f->far.kernel, far->dev);
	return (int)far->cuFuncGetAttribute(value, (CUfunction_attribute)attr, f->far.fn);
}

static int param_get(const struct far *far, const struct function *f, size_t i, size_t *offset,
		     size_t *size)
{
	if (f->o.type == PVGPU_H_KERNEL)
		return (int)far->cuKernelGetParamInfo(f->far.kernel, i, offset, size);
	return (int)far->cuFuncGetParamInfo(f->far.fn, i, offset, size);
}

/* Ask for parameter after parameter until the far end says that there is none. */
static int learn_params(struct gpu *g, struct function *f)
{
	const struct far *far = g->far;
	uint32_t cap = 0;

	for (;; f->params++) {
		size_t offset, size;
		const int r = param_get(far, f, f->params, &offset, &size);

		if (r == CUDA_ERROR_INVALID_VALUE)
			break;
		if (r)
			return r;
		if (f->params == PARAMS_IN_INFO || offset > PVGPU_PARAMS_MAX ||
		    size > PVGPU_PARAMS_MAX - offset)
			return CUDA_ERROR_NOT_SUPPORTED;
		if (f->params == cap) {
			struct pvgpu_param_info *more;

			cap = cap ? 2 * cap : 8;
			more = realloc(f->param, cap * sizeof(*more));
			if (!more)
				return CUDA_ERROR_OUT_OF_MEMORY;
			f->param = more;
		}
		f->param[f->params].offset = (uint32_t)offset;
		f->param[f->params].size = (uint32_t)size;
		if (offset + size > f->bytes)
			f->bytes = (uint32_t)(offset + size);
	}
	f->known = true;
	return 0;
}

/* Now, in the lane for loads, and not with its first launch, which the decoding thread makes. */
int function_load(struct gpu *g, struct function *f)
{
	return g->far->cuFuncLoad ? (int)g->far->cuFuncLoad(f->far.fn) : 0;
}

int function_info(struct gpu *g, struct function *f, const char *name, void *buf, uint32_t cap,
		  uint32_t *len)
{
	struct pvgpu_func_info info = {0};
	const size_t name_len = name ? strlen(name) : 0;
	uint32_t params;
	int r = learn_params(g, f);

	if (r)
		return r;
	for (int i = 0; i < INFO_ATTRS; i++) {
		if (attr_get(g, f, i, &info.attr[i]))
			info.attr[i] = -1;
	}
	params = f->params * (uint32_t)sizeof(*f->param);
	if (name_len > 4096 || sizeof(info) + params + name_len > cap)
		return CUDA_ERROR_NOT_SUPPORTED;
	info.param_count = f->params;
	info.param_bytes = f->bytes;
	info.name_len = (uint32_t)name_len;
	info.params_known = f->known;
	memcpy(buf, &info, sizeof(info));
	if (params)
		memcpy((char *)buf + sizeof(info), f->param, params);
	if (name_len)
		memcpy((char *)buf + sizeof(info) + params, name, name_len);
	*len = (uint32_t)(sizeof(info) + params + name_len);
	return 0;
}

/* Functions must be asked in their own context; kernels belong to none, but the driver wants one to
 * be current. */
static int enter(struct function *f)
{
	struct ctx *c = f->o.ctx ? f->o.ctx : ctx_any(f->o.gpu);
	const int r = obj_error(f);

	return r || !c ? r : ctx_enter(c);
}

int handle_func_get_attribute(struct worker *w, const struct pvgpu_in_func_get_attribute *in,
			      struct pvgpu_out_func_get_attribute *out)
{
	const int r = enter(in->function);

	return r ? r : attr_get(worker_gpu(w), in->function, in->attr, &out->value);
}

int handle_func_set_attribute(struct worker *w, const struct pvgpu_in_func_set_attribute *in,
			      struct pvgpu_out_func_set_attribute *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct function *f = in->function;
	const int r = enter(f);

	if (r)
		return r;
	if (f->o.type == PVGPU_H_KERNEL)
		return (int)far->cuKernelSetAttribute((CUfunction_attribute)in->attr, in->value,
						      f->far.kernel, far->dev);
	return (int)far->cuFuncSetAttribute(f->far.fn, (CUfunction_attribute)in->attr, in->value);
}

int handle_func_set_cache_config(struct worker *w, const struct pvgpu_in_func_set_cache_config *in,
				 struct pvgpu_out_func_set_cache_config *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct function *f = in->function;
	const int r = enter(f);

	if (r)
		return r;
	if (f->o.type == PVGPU_H_KERNEL)
		return (int)far->cuKernelSetCacheConfig(f->far.kernel, (CUfunc_cache)in->config,
							far->dev);
	return (int)far->cuFuncSetCacheConfig(f->far.fn, (CUfunc_cache)in->config);
}

/* The context and the function of an occupancy query are usable, and fit each other. */
static int both(void *ctx, void *function)
{
	struct function *f = function;
	int r = obj_error(ctx);

	if (!r)
		r = obj_error(f);
	if (!r && f->o.ctx && f->o.ctx != ctx && f->o.ctx->far != ((struct ctx *)ctx)->far)
		r = CUDA_ERROR_INVALID_CONTEXT;
	return r ? r : ctx_enter(ctx);
}

int handle_func_occupancy(struct worker *w, const struct pvgpu_in_func_occupancy *in,
			  struct pvgpu_out_func_occupancy *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct function *f = in->function;
	const int r = both(in->ctx, f);

	return r ? r
		 : (int)far->cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(
			   &out->blocks, f->far.fn, in->block_size, in->dynamic_shared, in->flags);
}

int handle_func_available_shared(struct worker *w, const struct pvgpu_in_func_available_shared *in,
				 struct pvgpu_out_func_available_shared *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct function *f = in->function;
	size_t bytes = 0;
	int r = both(in->ctx, f);

	if (!r)
		r = (int)far->cuOccupancyAvailableDynamicSMemPerBlock(&bytes, f->far.fn, in->blocks,
								      in->block_size);
	out->dynamic_shared = bytes;
	return r;
}

int handle_func_clusters(struct worker *w, const struct pvgpu_in_func_clusters *in,
			 struct pvgpu_out_func_clusters *out)
{
	const struct far *far = worker_gpu(w)->far;
	struct function *f = in->function;
	CUlaunchAttribute attrs[PVGPU_LAUNCH_ATTRS_MAX];
	CUlaunchConfig config = {
		.gridDimX = in->grid_x,
		.gridDimY = in->grid_y,
		.gridDimZ = in->grid_z,
		.blockDimX = in->block_x,
		.blockDimY = in->block_y,
		.blockDimZ = in->block_z,
		.sharedMemBytes = in->shared,
		.attrs = attrs,
	};
	int r = both(in->ctx, f);

	if (!r)
		r = launch_attrs(worker_gpu(w), in->attrs, in->attrs_len, attrs, &config.numAttrs);
	if (r)
		return r;
	if (in->what ? !far->cuOccupancyMaxActiveClusters
		     : !far->cuOccupancyMaxPotentialClusterSize)
		return CUDA_ERROR_NOT_SUPPORTED;
	return (int)(in->what ? far->cuOccupancyMaxActiveClusters(&out->value, f->far.fn, &config)
			      : far->cuOccupancyMaxPotentialClusterSize(&out->value, f->far.fn,
									&config));
}
