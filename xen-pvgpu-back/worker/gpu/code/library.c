/* SPDX-License-Identifier: MIT */
/* Libraries: images that belong to no context, and their kernels. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static void run_load(struct gpu *g, struct job *job)
{
	struct image_job *j = (struct image_job *)job;
	struct library *l = j->obj;
	struct pvgpu_out_library_load out = {0};
	int r = image_fetch(g, j);

	if (!r)
		r = (int)g->far->cuLibraryLoadData(&l->far, j->bytes, j->option, j->value,
						   j->options, NULL, NULL, 0);
	if (r) {
		image_uncharge(g, j->charge);
	} else {
		l->charge = j->charge;
		l->declared = j->declared;
	}
	out.info_log = j->info;
	out.info_log_len = image_log(j->info, j->info_size);
	out.error_log = j->error;
	out.error_log_len = image_log(j->error, j->error_size);
	out.wall_time = image_time(j);
	obj_ready(l, r);
	worker_reply_library_load(g->w, j->seq, r, &out);
	obj_unref(l);
	image_job_free(j);
}

int handle_library_load(struct worker *w, const struct pvgpu_in_library_load *in,
			struct pvgpu_out_library_load *out)
{
	struct gpu *g = worker_gpu(w);
	struct image_job *j;
	struct library *l;
	int r;

	if (in->device)
		return CUDA_ERROR_INVALID_DEVICE;
	j = image_job_new(g, in->hdr->seq, in->image, in->image_len, in->info_log_size,
			  in->error_log_size);
	if (!j)
		return CUDA_ERROR_INVALID_VALUE;
	r = image_options(j, in->options, in->options_len);
	l = r ? NULL : obj_new(g, PVGPU_H_LIBRARY, in->library_h, sizeof(*l), NULL, NULL, &r);
	if (!l) {
		chunks_unpin(&g->arena.chunks, j->addr, j->len);
		image_job_free(j);
		return r;
	}
	j->obj = obj_ref(l);
	j->job.run = run_load;
	j->job.where = SIDE_LOADS;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

struct library_unload {
	struct job job;
	struct library *l;
	uint32_t seq;
	bool reply;
	struct obj_list dead;
};

static void run_unload(struct gpu *g, struct job *job)
{
	struct library_unload *j = (struct library_unload *)job;
	struct obj *o;
	int r = obj_error(j->l);

	if (!r)
		r = (int)g->far->cuLibraryUnload(j->l->far);
	image_unuse(g, j->l);
	image_uncharge(g, j->l->charge);
	while ((o = obj_take_dead(&j->dead)))
		obj_unref(o);
	if (j->reply)
		worker_reply_library_unload(g->w, j->seq, r, NULL);
	obj_unref(j->l);
	mem_freed(g);
	free(j);
}

/* Globals are known by the library itself or by one of its modules. */
static void forget_globals(struct gpu *g, struct library *l)
{
	const struct obj *o;

	globals_remove(g, l);
	TAILQ_FOREACH(o, &l->o.owned, of_owner)
	{
		if (o->type == PVGPU_H_MODULE)
			globals_remove(g, o);
	}
}

int library_drop(struct gpu *g, struct library *l, uint32_t seq, bool reply)
{
	struct library_unload *j = calloc(1, sizeof(*j));

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TAILQ_INIT(&j->dead);
	j->l = obj_ref(l);
	j->seq = seq;
	j->reply = reply;
	j->job.run = run_unload;
	j->job.where = SIDE_LOADS;
	atomic_store(&l->leaving, true);
	forget_globals(g, l);
	obj_remove_tree(g, &l->o, &j->dead);
	atomic_fetch_add(&g->mem.pending, 1);
	side_after_work(g, NULL, &j->job);
	return PVGPU_PENDING;
}

int handle_library_unload(struct worker *w, const struct pvgpu_in_library_unload *in,
			  struct pvgpu_out_library_unload *out)
{
	const int r = obj_error(in->library);

	return r ? r : library_drop(worker_gpu(w), in->library, in->hdr->seq, true);
}

/* A library's module or function in one context is made in the lane for loads: that may load code.
 */
struct part_job {
	struct job job;
	uint32_t seq;
	uint16_t op;
	struct library *l;
	struct ctx *c;
	struct module *m;
	struct function *kernel, *f;
	char *name;
};

static void part_free(struct part_job *j)
{
	if (j->l)
		obj_unref(j->l);
	if (j->m)
		obj_unref(j->m);
	if (j->kernel)
		obj_unref(j->kernel);
	if (j->f)
		obj_unref(j->f);
	obj_unref(j->c);
	free(j->name);
	free(j);
}

static struct part_job *part_new(const struct pvgpu_cmd_hdr *hdr, struct ctx *c,
				 void (*run)(struct gpu *g, struct job *j))
{
	struct part_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->seq = hdr->seq;
	j->c = obj_ref(c);
	j->job.run = run;
	j->job.where = SIDE_LOADS;
	return j;
}

/* Its context is current, and its variables are paid for. */
static int part_enter(struct gpu *g, const struct part_job *j, const struct library *l)
{
	const int r = ctx_enter(j->c);

	return r ? r : image_use(g, l, j->c);
}

static void run_module(struct gpu *g, struct job *job)
{
	struct part_job *j = (struct part_job *)job;
	int r = part_enter(g, j, j->l);

	if (!r)
		r = ctx_result(j->c, (int)g->far->cuLibraryGetModule(&j->m->far, j->l->far));
	obj_ready(j->m, r);
	worker_reply_library_get_module(g->w, j->seq, r, NULL);
	part_free(j);
}

int handle_library_get_module(struct worker *w, const struct pvgpu_in_library_get_module *in,
			      struct pvgpu_out_library_get_module *out)
{
	struct gpu *g = worker_gpu(w);
	struct library *l = in->library;
	struct part_job *j;
	struct module *m;
	int r = obj_error(l);

	if (!r)
		r = obj_error(in->ctx);
	if (r)
		return r;
	j = part_new(in->hdr, in->ctx, run_module);
	m = j ? obj_new(g, PVGPU_H_MODULE, in->module_h, sizeof(*m), in->ctx, &l->o, &r) : NULL;
	if (!m) {
		if (j)
			part_free(j);
		return j ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	m->borrowed = true;
	j->m = obj_ref(m);
	j->l = obj_ref(l);
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/* Behind the end of its library, or of the context, an address would stay valid for ever. Either
 * that end finds the variable in the list, or this sees that it has begun. */
static int variable_add(struct gpu *g, uint64_t addr, uint64_t size, struct library *l,
			struct ctx *c)
{
	const int r = global_add(g, addr, size, l, c);

	if (atomic_load(&l->leaving))
		globals_remove(g, l);
	else if (atomic_load(&c->leaving))
		globals_remove(g, c);
	else
		return r;
	return CUDA_ERROR_INVALID_HANDLE;
}

static void run_global(struct gpu *g, struct job *job)
{
	struct part_job *j = (struct part_job *)job;
	struct pvgpu_out_library_get_global out = {0};
	CUdeviceptr addr = 0;
	size_t size = 0;
	int r = part_enter(g, j, j->l);

	if (!r)
		r = ctx_result(j->c,
			       (int)g->far->cuLibraryGetGlobal(&addr, &size, j->l->far, j->name));
	if (!r)
		r = variable_add(g, addr, size, j->l, j->c);
	out.address = addr;
	out.size = size;
	worker_reply_library_get_global(g->w, j->seq, r, &out);
	part_free(j);
}

int handle_library_get_global(struct worker *w, const struct pvgpu_in_library_get_global *in,
			      struct pvgpu_out_library_get_global *out)
{
	struct gpu *g = worker_gpu(w);
	struct part_job *j;
	int r = obj_error(in->library);

	if (!r)
		r = obj_error(in->ctx);
	if (r)
		return r;
	j = part_new(in->hdr, in->ctx, run_global);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->l = obj_ref(in->library);
	j->name = strdup(in->name);
	if (!j->name) {
		part_free(j);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

static void run_function(struct gpu *g, struct job *job)
{
	struct part_job *j = (struct part_job *)job;
	struct pvgpu_out_kernel_get_function out = {0};
	unsigned char *info = malloc(INFO_MAX);
	int r = info ? part_enter(g, j, (const struct library *)j->kernel->holder)
		     : CUDA_ERROR_OUT_OF_MEMORY;

	if (!r)
		r = ctx_result(j->c, (int)g->far->cuKernelGetFunction(&j->f->far.fn,
								      j->kernel->far.kernel));
	if (!r)
		r = function_load(g, j->f);
	if (!r)
		r = function_info(g, j->f, NULL, info, INFO_MAX, &out.info_len);
	if (r)
		out.info_len = 0;
	out.info = info;
	obj_ready(j->f, r);
	worker_reply_kernel_get_function(g->w, j->seq, r, &out);
	free(info);
	part_free(j);
}

int handle_kernel_get_function(struct worker *w, const struct pvgpu_in_kernel_get_function *in,
			       struct pvgpu_out_kernel_get_function *out)
{
	struct gpu *g = worker_gpu(w);
	struct function *kernel = in->kernel, *f;
	struct part_job *j;
	int r = obj_error(kernel);

	if (!r)
		r = obj_error(in->ctx);
	if (r)
		return r;
	j = part_new(in->hdr, in->ctx, run_function);
	/* It goes with the library, as the kernel does. */
	f = j ? obj_new(g, PVGPU_H_FUNCTION, in->function_h, sizeof(*f), in->ctx, kernel->holder,
			&r)
	      : NULL;
	if (!f) {
		if (j)
			part_free(j);
		return j ? r : CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->f = obj_ref(f);
	j->kernel = obj_ref(kernel);
	side_push(g, &j->job);
	return PVGPU_PENDING;
}
