/* SPDX-License-Identifier: MIT */
/*
 * Launches: the hot path. No allocation, no lock, no system call of ours. The parameters' layout is
 * the far end's own, never the guest's word; the values lie in the private copy of the record.
 */
#include <pvgpu_cuda_launch.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "xen-pvgpu-back/worker/gpu/launch.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

_Static_assert(sizeof(CUlaunchAttributeValue) == 64, "launch attribute's value");

/* A kernel's time depends on these. */
#define SHAPE_OF(in)                                                                               \
	(const uint32_t[WORK_SHAPE])                                                               \
	{                                                                                          \
		(in)->grid_x, (in)->grid_y, (in)->grid_z, (in)->block_x, (in)->block_y,            \
			(in)->block_z, (in)->shared                                                \
	}

/* How the values go to the far end: a pointer to each, or the packed buffer when the far end cannot
 * tell the layout. */
int args_make(struct args *a, const struct function *f, const void *params, uint32_t len,
	      void ***by_pointer, void ***packed)
{
	char *base = (char *)(uintptr_t)params;

	*by_pointer = NULL;
	*packed = NULL;
	if (f->known) {
		if (len != f->bytes)
			return CUDA_ERROR_INVALID_VALUE;
		for (uint32_t i = 0; i < f->params; i++)
			a->param[i] = base + f->param[i].offset;
		*by_pointer = f->params ? a->param : NULL;
		return 0;
	}
	if (!len)
		return 0;
	a->bytes = len;
	a->extra[0] = CU_LAUNCH_PARAM_BUFFER_POINTER;
	a->extra[1] = base;
	a->extra[2] = CU_LAUNCH_PARAM_BUFFER_SIZE;
	a->extra[3] = &a->bytes;
	a->extra[4] = CU_LAUNCH_PARAM_END;
	*packed = a->extra;
	return 0;
}

static int usable(struct function *f, const struct stream *s)
{
	const int r = obj_error(f);

	if (r)
		return r;
	/* A kernel fits every context, a function only its own. */
	if (f->o.ctx && f->o.ctx != s->o.ctx && f->o.ctx->far != s->o.ctx->far)
		return CUDA_ERROR_INVALID_CONTEXT;
	return 0;
}

int handle_launch(struct worker *w, const struct pvgpu_in_launch *in, struct pvgpu_out_launch *out)
{
	struct gpu *g = worker_gpu(w);
	const struct far *far = g->far;
	struct function *f = in->function;
	void **params, **extra;
	struct stream *s;
	struct args a;
	struct work k;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = usable(f, s);
	if (!r)
		r = args_make(&a, f, in->params, in->params_len, &params, &extra);
	if (!r && in->flags && extra)
		r = CUDA_ERROR_NOT_SUPPORTED;
	if (r)
		return r;
	work_kernel(&k, s, f, SHAPE_OF(in));
	if (!in->flags)
		r = (int)far->cuLaunchKernel(f->far.fn, in->grid_x, in->grid_y, in->grid_z,
					     in->block_x, in->block_y, in->block_z, in->shared,
					     s->far, params, extra);
	else
		r = (int)far->cuLaunchCooperativeKernel(f->far.fn, in->grid_x, in->grid_y,
							in->grid_z, in->block_x, in->block_y,
							in->block_z, in->shared, s->far, params);
	if (r) {
		work_abort(&k, s);
		return ctx_result(s->o.ctx, r);
	}
	work_commit(&k, s);
	return 0;
}

/* Data in it is to stay in the L2 after the kernel. */
bool window_persists(const CUaccessPolicyWindow *w)
{
	return w->hitProp == CU_ACCESS_PROPERTY_PERSISTING;
}

/* A window is a hint: one over memory that is not the guest's any more is left out, and in a
 * confidential pool one whose data is to stay. */
static bool attr_sent(struct gpu *g, const CUlaunchAttribute *a, bool sent)
{
	const CUaccessPolicyWindow *w = &a->value.accessPolicyWindow;

	if (!sent || a->id != CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW)
		return sent;
	if (g->evict.on && window_persists(w))
		return false;
	return mem_where(g, (uintptr_t)w->base_ptr, w->num_bytes) == AT_DEVICE;
}

int launch_attrs(struct gpu *g, const void *bytes, uint32_t len, CUlaunchAttribute *to,
		 unsigned int *count)
{
	const uint32_t n = len / sizeof(struct pvgpu_launch_attr);
	bool sent;
	int r;

	_Static_assert(sizeof(struct pvgpu_launch_attr) == sizeof(*to), "launch attribute");
	if (len % sizeof(struct pvgpu_launch_attr) || n > PVGPU_LAUNCH_ATTRS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	*count = 0;
	for (uint32_t i = 0; i < n; i++) {
		CUlaunchAttribute *a = &to[*count];
		struct pvgpu_launch_attr at;

		memcpy(&at, (const char *)bytes + i * sizeof(at), sizeof(at));
		if (at.pad)
			return CUDA_ERROR_INVALID_VALUE;
		memset(a, 0, sizeof(*a));
		a->id = (CUlaunchAttributeID)at.id;
		memcpy(&a->value, at.value, sizeof(at.value));
		r = pvgpu_launch_attr_check(a, &sent);
		if (r)
			return r;
		*count += attr_sent(g, a, sent);
	}
	return 0;
}

int handle_launch_ex(struct worker *w, const struct pvgpu_in_launch_ex *in,
		     struct pvgpu_out_launch_ex *out)
{
	struct gpu *g = worker_gpu(w);
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
	void **params, **extra;
	struct stream *s;
	struct args a;
	struct work k;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	r = usable(f, s);
	if (!r)
		r = launch_attrs(g, in->attrs, in->attrs_len, attrs, &config.numAttrs);
	if (!r)
		r = args_make(&a, f, in->params, in->params_len, &params, &extra);
	if (r)
		return r;
	config.hStream = s->far;
	work_kernel(&k, s, f, SHAPE_OF(in));
	r = ctx_result(s->o.ctx, (int)g->far->cuLaunchKernelEx(&config, f->far.fn, params, extra));
	if (r)
		work_abort(&k, s);
	else
		work_commit(&k, s);
	return r;
}
