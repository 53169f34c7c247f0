/* SPDX-License-Identifier: MIT */
/* Modules: loaded and unloaded in the lane for loads. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"
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
	struct module *m = j->obj;
	struct pvgpu_out_module_load out = {0};
	int r = image_fetch(g, j);

	if (!r)
		r = ctx_enter(m->o.ctx);
	if (!r)
		r = ctx_result(m->o.ctx,
			       (int)g->far->cuModuleLoadDataEx(&m->far, j->bytes, j->options,
							       j->option, j->value));
	if (r)
		image_uncharge(g, j->charge);
	else
		m->charge = j->charge;
	out.info_log = j->info;
	out.info_log_len = image_log(j->info, j->info_size);
	out.error_log = j->error;
	out.error_log_len = image_log(j->error, j->error_size);
	out.wall_time = image_time(j);
	obj_ready(m, r);
	worker_reply_module_load(g->w, j->seq, r, &out);
	obj_unref(m);
	image_job_free(j);
}

int handle_module_load(struct worker *w, const struct pvgpu_in_module_load *in,
		       struct pvgpu_out_module_load *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct image_job *j;
	struct module *m;
	int r = obj_error(c);

	if (r)
		return r;
	j = image_job_new(g, in->hdr->seq, in->image, in->image_len, in->info_log_size,
			  in->error_log_size);
	if (!j)
		return CUDA_ERROR_INVALID_VALUE;
	r = image_options(j, in->options, in->options_len);
	m = r ? NULL : obj_new(g, PVGPU_H_MODULE, in->module_h, sizeof(*m), c, &c->o, &r);
	if (!m) {
		chunks_unpin(&g->arena.chunks, j->addr, j->len);
		image_job_free(j);
		return r;
	}
	j->obj = obj_ref(m);
	j->job.run = run_load;
	j->job.where = SIDE_LOADS;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/* Either side lane: no work that could use it runs any more. */
void module_retire(struct gpu *g, struct module *m)
{
	if (!obj_error(m) && !m->borrowed && m->far && !ctx_enter(m->o.ctx))
		g->far->cuModuleUnload(m->far);
	image_uncharge(g, m->charge);
	m->charge = 0;
	m->far = NULL;
}

struct module_unload {
	struct job job;
	struct ctx *c;
	struct obj_list dead;
};

static void run_unload(struct gpu *g, struct job *job)
{
	struct module_unload *j = (struct module_unload *)job;
	struct obj *o;

	while ((o = obj_take_dead(&j->dead))) {
		if (o->type == PVGPU_H_MODULE)
			module_retire(g, (struct module *)o);
		obj_unref(o);
	}
	mem_freed(g);
	free(j);
}

int handle_module_unload(struct worker *w, const struct pvgpu_in_module_unload *in,
			 struct pvgpu_out_module_unload *out)
{
	struct gpu *g = worker_gpu(w);
	struct module *m = in->module;
	struct module_unload *j;
	const int r = obj_error(m);

	if (r || m->borrowed) {
		gpu_deferred(w, m->o.ctx, r ? r : CUDA_ERROR_NOT_PERMITTED);
		if (r) {
			obj_remove(g, &m->o);
			obj_unref(m);
		}
		return 0;
	}
	j = calloc(1, sizeof(*j));
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	TAILQ_INIT(&j->dead);
	globals_remove(g, m);
	obj_remove_tree(g, &m->o, &j->dead);
	j->job.run = run_unload;
	j->job.where = SIDE_LOADS;
	atomic_fetch_add(&g->mem.pending, 1);
	side_after_work(g, m->o.ctx, &j->job);
	return 0;
}

static int module_enter(struct module *m)
{
	const int r = obj_error(m);

	return r ? r : ctx_enter(m->o.ctx);
}

int handle_module_get_global(struct worker *w, const struct pvgpu_in_module_get_global *in,
			     struct pvgpu_out_module_get_global *out)
{
	struct gpu *g = worker_gpu(w);
	struct module *m = in->module;
	CUdeviceptr addr;
	size_t size;
	int r = module_enter(m);

	if (!r)
		r = (int)g->far->cuModuleGetGlobal_v2(&addr, &size, m->far, in->name);
	if (!r)
		r = global_add(g, addr, size, m, m->o.ctx);
	if (r)
		return ctx_result(m->o.ctx, r);
	out->address = addr;
	out->size = size;
	return 0;
}
