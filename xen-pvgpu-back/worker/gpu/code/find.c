/* SPDX-License-Identifier: MIT */
/*
 * Functions of modules and kernels of libraries, by name or by number. They are asked for in the
 * lane for loads: the far end loads code when it is first asked for.
 */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

struct find_job {
	struct job job;
	struct obj *owner; /* the module or the library; referenced */
	struct ctx *c;     /* to be current for a kernel; referenced; NULL: the session has none */
	struct function *f;
	uint32_t seq;
	uint16_t op;
	uint32_t index;
	char *name; /* NULL: by index */
};

void listing_free(struct listing *l)
{
	free(l->handle);
	*l = (struct listing){0};
}

/* Room for all that there are. */
static int listing_room(struct listing *l, unsigned int count)
{
	l->handle = calloc(count ? count : 1, sizeof(*l->handle));
	l->count = count;
	return l->handle ? 0 : CUDA_ERROR_OUT_OF_MEMORY;
}

static int list_functions(const struct far *far, struct module *m)
{
	struct listing *l = &m->all;
	unsigned int count;
	int r;

	if (!far->cuModuleGetFunctionCount || !far->cuModuleEnumerateFunctions ||
	    !far->cuFuncGetName)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = (int)far->cuModuleGetFunctionCount(&count, m->far);
	if (!r)
		r = listing_room(l, count);
	if (!r && count)
		r = (int)far->cuModuleEnumerateFunctions((CUfunction *)l->handle, count, m->far);
	return r;
}

static int list_kernels(const struct far *far, struct library *lib)
{
	struct listing *l = &lib->all;
	unsigned int count;
	int r;

	if (!far->cuLibraryGetKernelCount || !far->cuLibraryEnumerateKernels ||
	    !far->cuKernelGetName)
		return CUDA_ERROR_NOT_SUPPORTED;
	r = (int)far->cuLibraryGetKernelCount(&count, lib->far);
	if (!r)
		r = listing_room(l, count);
	if (!r && count)
		r = (int)far->cuLibraryEnumerateKernels((CUkernel *)l->handle, count, lib->far);
	return r;
}

/* The index-th one; the list is made once. */
static int listed(struct listing *l, int made, uint32_t index, void **handle)
{
	if (made) {
		listing_free(l);
		return made;
	}
	l->made = true;
	if (index >= l->count)
		return CUDA_ERROR_INVALID_VALUE;
	*handle = l->handle[index];
	return 0;
}

static int find_function(const struct far *far, struct find_job *j, const char **name)
{
	struct module *m = (struct module *)j->owner;
	void *handle = NULL;
	int r = ctx_enter(m->o.ctx);

	if (r)
		return r;
	if (j->name)
		return (int)far->cuModuleGetFunction(&j->f->far.fn, m->far, j->name);
	r = listed(&m->all, m->all.made ? 0 : list_functions(far, m), j->index, &handle);
	j->f->far.fn = handle;
	return r ? r : (int)far->cuFuncGetName(name, j->f->far.fn);
}

/* Kernels belong to no context, but the driver tells of them only where one is current. */
static int find_kernel(const struct far *far, struct find_job *j, const char **name)
{
	struct library *l = (struct library *)j->owner;
	void *handle = NULL;
	int r = j->c ? ctx_enter(j->c) : 0;

	if (r)
		return r;
	if (j->name)
		return (int)far->cuLibraryGetKernel(&j->f->far.kernel, l->far, j->name);
	r = listed(&l->all, l->all.made ? 0 : list_kernels(far, l), j->index, &handle);
	j->f->far.kernel = handle;
	return r ? r : (int)far->cuKernelGetName(name, j->f->far.kernel);
}

static void find_reply(struct gpu *g, const struct find_job *j, int r, const void *info,
		       uint32_t len)
{
	const struct pvgpu_out_module_get_function function = {info, len};
	const struct pvgpu_out_module_function_at function_at = {info, len};
	const struct pvgpu_out_library_get_kernel kernel = {info, len};
	const struct pvgpu_out_library_kernel_at kernel_at = {info, len};

	switch (j->op) {
	case PVGPU_OP_MODULE_GET_FUNCTION:
		worker_reply_module_get_function(g->w, j->seq, r, &function);
		break;
	case PVGPU_OP_MODULE_FUNCTION_AT:
		worker_reply_module_function_at(g->w, j->seq, r, &function_at);
		break;
	case PVGPU_OP_LIBRARY_GET_KERNEL:
		worker_reply_library_get_kernel(g->w, j->seq, r, &kernel);
		break;
	default:
		worker_reply_library_kernel_at(g->w, j->seq, r, &kernel_at);
		break;
	}
}

static void find_free(struct find_job *j)
{
	if (j->f)
		obj_unref(j->f);
	if (j->c)
		obj_unref(j->c);
	obj_unref(j->owner);
	free(j->name);
	free(j);
}

static void run_find(struct gpu *g, struct job *job)
{
	struct find_job *j = (struct find_job *)job;
	unsigned char *info = malloc(INFO_MAX);
	const char *name = NULL;
	uint32_t len = 0;
	int r = info ? 0 : CUDA_ERROR_OUT_OF_MEMORY;

	if (!r)
		r = j->owner->type == PVGPU_H_MODULE ? find_function(g->far, j, &name)
						     : find_kernel(g->far, j, &name);
	if (!r && j->owner->type == PVGPU_H_MODULE)
		r = function_load(g, j->f);
	if (!r)
		r = function_info(g, j->f, name, info, INFO_MAX, &len);
	if (j->owner->ctx)
		ctx_result(j->owner->ctx, r);
	obj_ready(j->f, r);
	find_reply(g, j, r, info, r ? 0 : len);
	free(info);
	find_free(j);
}

/* The owner is referenced by the job; the new object goes with it. */
static int find(struct gpu *g, struct obj *owner, const struct pvgpu_cmd_hdr *hdr, uint64_t handle,
		const char *name, uint32_t index)
{
	const bool kernel = owner->type == PVGPU_H_LIBRARY;
	struct find_job *j;
	int r = obj_error(owner);

	if (r)
		return r;
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->owner = obj_ref(owner);
	j->c = kernel ? ctx_any(g) : NULL;
	if (j->c)
		obj_ref(j->c);
	j->seq = hdr->seq;
	j->op = hdr->op;
	j->index = index;
	j->job.run = run_find;
	j->job.where = SIDE_LOADS;
	j->name = name ? strdup(name) : NULL;
	if (name && !j->name)
		r = CUDA_ERROR_OUT_OF_MEMORY;
	else
		j->f = obj_new(g, kernel ? PVGPU_H_KERNEL : PVGPU_H_FUNCTION, handle, sizeof(*j->f),
			       owner->ctx, owner, &r);
	if (!j->f) {
		find_free(j);
		return r;
	}
	if (kernel)
		j->f->holder = obj_ref(owner);
	obj_ref(j->f);
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

int handle_module_get_function(struct worker *w, const struct pvgpu_in_module_get_function *in,
			       struct pvgpu_out_module_get_function *out)
{
	return find(worker_gpu(w), in->module, in->hdr, in->function_h, in->name, 0);
}

int handle_module_function_at(struct worker *w, const struct pvgpu_in_module_function_at *in,
			      struct pvgpu_out_module_function_at *out)
{
	return find(worker_gpu(w), in->module, in->hdr, in->function_h, NULL, in->index);
}

int handle_library_get_kernel(struct worker *w, const struct pvgpu_in_library_get_kernel *in,
			      struct pvgpu_out_library_get_kernel *out)
{
	return find(worker_gpu(w), in->library, in->hdr, in->kernel_h, in->name, 0);
}

int handle_library_kernel_at(struct worker *w, const struct pvgpu_in_library_kernel_at *in,
			     struct pvgpu_out_library_kernel_at *out)
{
	return find(worker_gpu(w), in->library, in->hdr, in->kernel_h, NULL, in->index);
}
