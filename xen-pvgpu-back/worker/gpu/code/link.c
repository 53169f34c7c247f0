/* SPDX-License-Identifier: MIT */
/*
 * Links: inputs are added one by one, and become an image that the guest reads. All far-end calls
 * are made in the lane for loads. The far end writes to the option values and the logs of a link as
 * long as it lives, so they are the link's, and the guest gets a copy with each reply.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/alloc.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/code.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/image.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/side.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

#define ARCHIVE "!<arch>\n"

struct link {
	struct obj o;
	CUlinkState far;
	struct image_job *job; /* without an image: options and logs */
	uint64_t charge;       /* by image_charge, for inputs and the image */
	const char *image;     /* the far end's */
	uint64_t size;
};

struct link_job {
	struct job job;
	struct link *l; /* referenced */
	uint32_t seq, kind;
	uint64_t offset, addr, len; /* link_read: pinned */
	struct image_job *input;    /* link_add */
	char name[1 << 10];
};

static struct link_job *job_new(struct link *l, uint32_t seq,
				void (*run)(struct gpu *g, struct job *j))
{
	struct link_job *j = calloc(1, sizeof(*j));

	if (!j)
		return NULL;
	j->l = obj_ref(l);
	j->seq = seq;
	j->job.run = run;
	j->job.where = SIDE_LOADS;
	return j;
}

static void job_free(struct link_job *j)
{
	obj_unref(j->l);
	if (j->input)
		image_job_free(j->input);
	free(j);
}

void link_free(struct link *l)
{
	if (l->job)
		image_job_free(l->job);
}

static void run_create(struct gpu *g, struct job *job)
{
	struct link_job *j = (struct link_job *)job;
	struct link *l = j->l;
	int r = ctx_enter(l->o.ctx);

	image_logs(l->job);
	if (!r)
		r = ctx_result(l->o.ctx,
			       (int)g->far->cuLinkCreate_v2(l->job->options, l->job->option,
							    l->job->value, &l->far));
	obj_ready(l, r);
	worker_reply_link_create(g->w, j->seq, r, NULL);
	job_free(j);
}

/* Has the far end the calls? Drivers have had them since 2014. */
static bool far_links(const struct far *far)
{
	return far->cuLinkCreate_v2 && far->cuLinkAddData_v2 && far->cuLinkComplete &&
	       far->cuLinkDestroy;
}

int handle_link_create(struct worker *w, const struct pvgpu_in_link_create *in,
		       struct pvgpu_out_link_create *out)
{
	struct gpu *g = worker_gpu(w);
	struct ctx *c = in->ctx;
	struct image_job *options;
	struct link_job *j;
	struct link *l;
	int r = obj_error(c);

	if (r || !far_links(g->far))
		return r ? r : CUDA_ERROR_NOT_SUPPORTED;
	options = calloc(1, sizeof(*options));
	if (!options)
		return CUDA_ERROR_OUT_OF_MEMORY;
	options->info_size = in->info_log_size;
	options->error_size = in->error_log_size;
	options->time_at = -1;
	r = image_options(options, in->options, in->options_len);
	l = r ? NULL : obj_new(g, PVGPU_H_LINK, in->link_h, sizeof(*l), c, &c->o, &r);
	if (!l) {
		image_job_free(options);
		return r;
	}
	l->job = options;
	j = job_new(l, in->hdr->seq, run_create);
	if (!j) {
		obj_ready(l, CUDA_ERROR_OUT_OF_MEMORY);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

static int link_enter(struct link *l)
{
	const int r = obj_error(l);

	return r ? r : ctx_enter(l->o.ctx);
}

/* The far end is told the length of an input; only an archive does not say its own. */
static int check_input(const struct link_job *j)
{
	const struct image_job *i = j->input;

	if (j->kind != CU_JIT_INPUT_LIBRARY)
		return image_check(i);
	return i->len >= sizeof(ARCHIVE) - 1 && !memcmp(i->bytes, ARCHIVE, sizeof(ARCHIVE) - 1)
		       ? 0
		       : CUDA_ERROR_INVALID_IMAGE;
}

/* Text counts with the NUL that ends it. */
static size_t input_size(const struct link_job *j)
{
	const struct image_job *i = j->input;

	return i->len + (j->kind == CU_JIT_INPUT_PTX && i->bytes[i->len - 1]);
}

static void run_add(struct gpu *g, struct job *job)
{
	struct link_job *j = (struct link_job *)job;
	struct pvgpu_out_link_add out = {0};
	struct image_job *i = j->input;
	struct link *l = j->l;
	int r = image_copy(g, i);

	if (!r)
		r = check_input(j);
	if (!r)
		r = link_enter(l);
	if (!r)
		r = ctx_result(l->o.ctx,
			       (int)g->far->cuLinkAddData_v2(l->far, (CUjitInputType)j->kind,
							     i->bytes, input_size(j), j->name,
							     i->options, i->option, i->value));
	if (r)
		image_uncharge(g, i->charge);
	else
		l->charge += i->charge;
	out.info_log = l->job->info;
	out.info_log_len = image_log(l->job->info, l->job->info_size);
	out.error_log = l->job->error;
	out.error_log_len = image_log(l->job->error, l->job->error_size);
	worker_reply_link_add(g->w, j->seq, r, &out);
	job_free(j);
}

int handle_link_add(struct worker *w, const struct pvgpu_in_link_add *in,
		    struct pvgpu_out_link_add *out)
{
	struct gpu *g = worker_gpu(w);
	struct link *l = in->link;
	struct link_job *j;
	int r = obj_error(l);

	if (r)
		return r;
	j = job_new(l, in->hdr->seq, run_add);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	j->kind = in->kind;
	memcpy(j->name, in->name, strnlen(in->name, sizeof(j->name) - 1));
	j->input = image_job_new(g, in->hdr->seq, in->image, in->image_len, 0, 0);
	r = j->input ? image_options(j->input, in->options, in->options_len)
		     : CUDA_ERROR_INVALID_VALUE;
	if (r) {
		if (j->input)
			chunks_unpin(&g->arena.chunks, j->input->addr, j->input->len);
		job_free(j);
		return r;
	}
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

/* The image is the far end's memory: the vGPU pays for it as for one that is loaded. */
static int complete(struct gpu *g, struct link *l)
{
	size_t size = 0;
	void *image;
	int r = link_enter(l);

	if (r || l->image)
		return r;
	r = ctx_result(l->o.ctx, (int)g->far->cuLinkComplete(l->far, &image, &size));
	if (!r)
		r = image_charge(g, size);
	if (r)
		return r;
	l->charge += size;
	l->image = image;
	l->size = size;
	return 0;
}

static void run_complete(struct gpu *g, struct job *job)
{
	struct link_job *j = (struct link_job *)job;
	struct pvgpu_out_link_complete out = {0};
	struct link *l = j->l;
	const int r = complete(g, l);

	out.size = l->size;
	out.info_log = l->job->info;
	out.info_log_len = image_log(l->job->info, l->job->info_size);
	out.error_log = l->job->error;
	out.error_log_len = image_log(l->job->error, l->job->error_size);
	out.wall_time = image_time(l->job);
	worker_reply_link_complete(g->w, j->seq, r, &out);
	job_free(j);
}

int handle_link_complete(struct worker *w, const struct pvgpu_in_link_complete *in,
			 struct pvgpu_out_link_complete *out)
{
	struct gpu *g = worker_gpu(w);
	struct link_job *j;
	const int r = obj_error(in->link);

	if (r)
		return r;
	j = job_new(in->link, in->hdr->seq, run_complete);
	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

static void run_read(struct gpu *g, struct job *job)
{
	struct link_job *j = (struct link_job *)job;
	const struct link *l = j->l;
	int r = CUDA_ERROR_INVALID_VALUE;

	if (l->image && j->offset <= l->size && j->len <= l->size - j->offset) {
		memcpy((void *)(uintptr_t)j->addr, l->image + j->offset, j->len);
		r = 0;
	}
	chunks_unpin(&g->arena.chunks, j->addr, j->len);
	worker_reply_link_read(g->w, j->seq, r, NULL);
	job_free(j);
}

int handle_link_read(struct worker *w, const struct pvgpu_in_link_read *in,
		     struct pvgpu_out_link_read *out)
{
	struct gpu *g = worker_gpu(w);
	struct link_job *j;
	const int r = obj_error(in->link);

	if (r)
		return r;
	if (!chunks_pin(&g->arena.chunks, in->to, in->to_len))
		return CUDA_ERROR_INVALID_VALUE;
	j = job_new(in->link, in->hdr->seq, run_read);
	if (!j) {
		chunks_unpin(&g->arena.chunks, in->to, in->to_len);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	j->offset = in->offset;
	j->addr = in->to;
	j->len = in->to_len;
	side_push(g, &j->job);
	return PVGPU_PENDING;
}

CUlinkState link_far(const struct link *l)
{
	return l->far;
}

void link_retire(struct gpu *g, struct link *l)
{
	if (l->far && !obj_error(l) && !ctx_enter(l->o.ctx))
		g->far->cuLinkDestroy(l->far);
	image_uncharge(g, l->charge);
	l->charge = 0;
	l->far = NULL;
	l->image = NULL;
	l->size = 0;
}

static void run_destroy(struct gpu *g, struct job *job)
{
	struct link_job *j = (struct link_job *)job;

	link_retire(g, j->l);
	mem_freed(g);
	job_free(j);
}

int handle_link_destroy(struct worker *w, const struct pvgpu_in_link_destroy *in,
			struct pvgpu_out_link_destroy *out)
{
	struct gpu *g = worker_gpu(w);
	struct link *l = in->link;
	struct link_job *j = job_new(l, in->hdr->seq, run_destroy);

	if (!j)
		return CUDA_ERROR_OUT_OF_MEMORY;
	obj_remove(g, &l->o);
	obj_unref(l);
	atomic_fetch_add(&g->mem.pending, 1);
	side_push(g, &j->job);
	return 0;
}
