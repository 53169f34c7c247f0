/* SPDX-License-Identifier: MIT */
/* Launches: errors in the arguments are reported at once, by the call itself. */
#include <stdlib.h>
#include <string.h>

#include "tests/simcuda/driver/sim.h"

struct request {
	uint32_t grid[3], block[3], cluster[3];
	uint32_t shared;
	bool cooperative;
	bool has_priority;
	int priority;
};

static _Atomic uint64_t next_grid = 1;

static CUresult check_shape(struct request *q, const struct sim_func *f, const struct sim_stream *s)
{
	const struct ptx_kernel *k = f->k;
	uint64_t threads = (uint64_t)q->block[0] * q->block[1] * q->block[2];

	if (!q->grid[0] || !q->grid[1] || !q->grid[2] || !q->block[0] || !q->block[1] ||
	    !q->block[2])
		return CUDA_ERROR_INVALID_VALUE;
	if (q->grid[0] > INT32_MAX || q->grid[1] > 65535 || q->grid[2] > 65535)
		return CUDA_ERROR_INVALID_VALUE;
	if (q->block[0] > 1024 || q->block[1] > 1024 || q->block[2] > 64 ||
	    (uint64_t)q->block[0] * q->block[1] > 1024 || threads > 1024)
		return CUDA_ERROR_INVALID_VALUE;
	if (k->reqntid[0] && memcmp(k->reqntid, q->block, sizeof(q->block)))
		return CUDA_ERROR_INVALID_VALUE;
	if (!func_registers_fit(k, (uint32_t)threads))
		return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
	if (threads > func_max_threads(k))
		return CUDA_ERROR_INVALID_VALUE;
	if (q->shared > f->set.max_dynamic)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(cluster_check(k, &f->set, q->grid, q->cluster));
	if (q->cooperative) {
		uint64_t fit = (uint64_t)occupancy_blocks(k, (uint32_t)threads, q->shared) *
			       green_sms(s->green);

		if ((uint64_t)q->grid[0] * q->grid[1] * q->grid[2] > fit)
			return CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE;
	}
	return CUDA_SUCCESS;
}

/* The list form: keys and values up to CU_LAUNCH_PARAM_END. */
static CUresult read_extra(void **extra, const void **buffer, size_t *size)
{
	*buffer = NULL;
	*size = 0;
	for (int i = 0; extra[i] != CU_LAUNCH_PARAM_END; i += 2) {
		if (i > 4)
			return CUDA_ERROR_INVALID_VALUE;
		if (extra[i] == CU_LAUNCH_PARAM_BUFFER_POINTER)
			*buffer = extra[i + 1];
		else if (extra[i] == CU_LAUNCH_PARAM_BUFFER_SIZE && extra[i + 1])
			*size = *(size_t *)extra[i + 1];
		else
			return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_SUCCESS;
}

static CUresult copy_params(char *out, const struct ptx_kernel *k, void **params, void **extra)
{
	const void *buffer;
	size_t size;

	if (!k->param_bytes)
		return params && extra ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
	if (!params == !extra)
		return CUDA_ERROR_INVALID_VALUE;
	if (extra) {
		TRY(read_extra(extra, &buffer, &size));
		if (!buffer || size < k->param_bytes)
			return CUDA_ERROR_INVALID_VALUE;
		if (size > (k->param_bytes + 3) / 4 * 4)
			return CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES;
		memcpy(out, buffer, k->param_bytes);
		return CUDA_SUCCESS;
	}
	for (uint32_t i = 0; i < k->param_count; i++) {
		if (!params[i])
			return CUDA_ERROR_INVALID_VALUE;
		memcpy(out + k->params[i].offset, params[i], k->params[i].size);
	}
	return CUDA_SUCCESS;
}

static CUresult launch(CUfunction handle, struct request *q, CUstream stream, void **params,
		       void **extra)
{
	struct sim_stream *s;
	struct sim_func *f;
	struct kernel_op *k;
	struct op *op;
	CUresult r;

	TRY(func_get(handle, &f));
	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (f->module->ctx != s->ctx)
		return CUDA_ERROR_INVALID_HANDLE;
	TRY(check_shape(q, f, s));
	if (f->k->uses_heap)
		TRY(heap_open(s->ctx));
	op = op_new(OP_KERNEL, s, f->k->param_bytes);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	r = copy_params(op->params, f->k, params, extra);
	if (r != CUDA_SUCCESS) {
		free(op);
		return r;
	}
	k = &op->kernel;
	k->launch.image = f->module->image;
	k->launch.kernel = f->k;
	memcpy(k->launch.grid, q->grid, sizeof(q->grid));
	memcpy(k->launch.block, q->block, sizeof(q->block));
	k->launch.dynamic_shared = q->shared;
	k->launch.params = op->params;
	k->launch.env = &s->ctx->env;
	k->launch.grid_id = atomic_fetch_add_explicit(&next_grid, 1, memory_order_relaxed);
	k->threads = q->block[0] * q->block[1] * q->block[2];
	k->func = handle;
	memcpy(k->grid, q->grid, sizeof(k->grid));
	cluster_apply(k, q->cluster);
	memcpy(k->block, q->block, sizeof(k->block));
	k->shared = q->shared;
	k->cooperative = q->cooperative;
	k->priority = q->has_priority ? q->priority : s->priority;
	exec_push(op, NULL, false);
	return CUDA_SUCCESS;
}

API_PTSZ(cuLaunchKernel,
	 (CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
	  unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params,
	  void **extra),
	 (f, gx, gy, gz, bx, by, bz, shared, stream, params, extra))
{
	struct request q = {.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared};

	return launch(f, &q, stream, params, extra);
}

API_PTSZ(cuLaunchCooperativeKernel,
	 (CUfunction f, unsigned int gx, unsigned int gy, unsigned int gz, unsigned int bx,
	  unsigned int by, unsigned int bz, unsigned int shared, CUstream stream, void **params),
	 (f, gx, gy, gz, bx, by, bz, shared, stream, params))
{
	struct request q = {
		.grid = {gx, gy, gz}, .block = {bx, by, bz}, .shared = shared, .cooperative = true};

	return launch(f, &q, stream, params, NULL);
}

/* Attributes that are hints are ignored; others must be supported. */
static CUresult read_attribute(const CUlaunchAttribute *a, struct request *q)
{
	const CUlaunchAttributeValue *v = &a->value;

	switch ((int)a->id) {
	case CU_LAUNCH_ATTRIBUTE_IGNORE:
	case CU_LAUNCH_ATTRIBUTE_ACCESS_POLICY_WINDOW:
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION: /* may overlap, need not */
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN:
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_SHARED_MEMORY_CARVEOUT:
	case 16: /* NVLink-centric scheduling */
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_SCHEDULING_POLICY_PREFERENCE:
		return (unsigned int)v->clusterSchedulingPolicyPreference <=
				       CU_CLUSTER_SCHEDULING_POLICY_LOAD_BALANCING
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_MEM_SYNC_DOMAIN_MAP:
		return v->memSyncDomainMap.default_ < SIM_SYNC_DOMAINS &&
				       v->memSyncDomainMap.remote < SIM_SYNC_DOMAINS
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_VALUE;
	case CU_LAUNCH_ATTRIBUTE_COOPERATIVE:
		q->cooperative = v->cooperative != 0;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION:
		memcpy(q->cluster, &v->clusterDim, sizeof(q->cluster));
		return q->cluster[0] ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CLUSTER_SIZE;
	case CU_LAUNCH_ATTRIBUTE_PREFERRED_CLUSTER_DIMENSION:
		return !v->preferredClusterDim.x == !v->preferredClusterDim.y &&
				       !v->preferredClusterDim.y == !v->preferredClusterDim.z
			       ? CUDA_SUCCESS
			       : CUDA_ERROR_INVALID_CLUSTER_SIZE;
	case CU_LAUNCH_ATTRIBUTE_PRIORITY:
		q->has_priority = true;
		q->priority = v->priority < -5 ? -5 : v->priority > 0 ? 0 : v->priority;
		return CUDA_SUCCESS;
	case CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_EVENT:
		return v->programmaticEvent.event ? CUDA_ERROR_NOT_SUPPORTED
						  : CUDA_ERROR_INVALID_HANDLE;
	case CU_LAUNCH_ATTRIBUTE_LAUNCH_COMPLETION_EVENT:
		return v->launchCompletionEvent.event ? CUDA_ERROR_NOT_SUPPORTED
						      : CUDA_ERROR_INVALID_HANDLE;
	case CU_LAUNCH_ATTRIBUTE_DEVICE_UPDATABLE_KERNEL_NODE:
		return CUDA_ERROR_NOT_SUPPORTED;
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static CUresult launch_ex(const CUlaunchConfig *c, CUstream stream, CUfunction f, void **params,
			  void **extra)
{
	struct request q = {.grid = {c->gridDimX, c->gridDimY, c->gridDimZ},
			    .block = {c->blockDimX, c->blockDimY, c->blockDimZ},
			    .shared = c->sharedMemBytes};

	if (c->numAttrs && !c->attrs)
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < c->numAttrs; i++)
		TRY(read_attribute(&c->attrs[i], &q));
	return launch(f, &q, stream, params, extra);
}

API(cuLaunchKernelEx, const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
	ENTER();
	return config ? launch_ex(config, config->hStream, f, params, extra)
		      : CUDA_ERROR_INVALID_VALUE;
}

API(cuLaunchKernelEx_ptsz, const CUlaunchConfig *config, CUfunction f, void **params, void **extra)
{
	ENTER();
	if (!config)
		return CUDA_ERROR_INVALID_VALUE;
	return launch_ex(config, config->hStream ? config->hStream : CU_STREAM_PER_THREAD, f,
			 params, extra);
}
