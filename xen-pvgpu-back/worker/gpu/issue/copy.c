/* SPDX-License-Identifier: MIT */
/*
 * Copies and memsets. Every range is checked before the far end sees it: CUDA would take any
 * address of this process. A range of the arena stays mapped until the mark of its command is sent.
 */
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/array.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/complete.h"
#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/estimate.h"
#include "issue.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/objects.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/staging.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static void mark_done(struct gpu *g, struct wait *w, int result)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (w->len[i])
			chunks_unpin(&g->arena.chunks, w->addr[i], w->len[i]);
	}
	worker_mark(g->w, w->seq, ctx_result(w->ctx, result));
}

static bool range_find(struct gpu *g, struct span *r, uint64_t addr, uint64_t len)
{
	r->at = mem_where(g, addr, len);
	r->addr = addr;
	r->len = len;
	return r->at != AT_NOWHERE;
}

/* An asked-for mark also carries the error: it is then not kept for a synchronising call, which
 * would report it a second time. */
static int refuse_copy(struct worker *w, const struct pvgpu_cmd_hdr *hdr, int r)
{
	if (!(hdr->flags & PVGPU_CMD_MARK))
		return r;
	worker_mark(w, hdr->seq, r);
	return PVGPU_PENDING;
}

static void pin(struct gpu *g, struct wait *w, const struct span *r, unsigned int i)
{
	if (r->at != AT_ARENA || !chunks_pin(&g->arena.chunks, r->addr, r->len))
		return;
	w->addr[i] = r->addr;
	w->len[i] = r->len;
}

/* The mark goes out when the copy that was just issued has ended. */
static int mark_later(struct gpu *g, struct stream *s, const struct pvgpu_cmd_hdr *hdr,
		      struct wait *w, const struct span *dst, const struct span *src,
		      struct work *k)
{
	work_commit(k, s);
	if (w && s->capture) { /* it would wait in the graph: the guest asks for no mark */
		wait_drop(g, w);
		w = NULL;
		worker_mark(g->w, hdr->seq, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
		return PVGPU_PENDING;
	}
	if (!w)
		return 0;
	pin(g, w, dst, 0);
	pin(g, w, src, 1);
	w->seq = hdr->seq;
	w->done = mark_done;
	wait_stream(g, w, s);
	return PVGPU_PENDING;
}

static enum work_kind kind_of(const struct span *dst, const struct span *src)
{
	if (dst->at == AT_DEVICE)
		return src->at == AT_DEVICE ? WORK_DEVICE : WORK_TO_DEVICE;
	return src->at == AT_DEVICE ? WORK_TO_HOST : WORK_HOST;
}

int handle_copy(struct worker *w, const struct pvgpu_in_copy *in, struct pvgpu_out_copy *out)
{
	struct gpu *g = worker_gpu(w);
	struct span dst, src;
	struct wait *wait = NULL;
	struct stream *s;
	struct work k;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return refuse_copy(w, in->hdr, r);
	if (!range_find(g, &dst, in->dst, in->size) || !range_find(g, &src, in->src, in->size))
		return refuse_copy(w, in->hdr, CUDA_ERROR_INVALID_VALUE);
	if (in->hdr->flags & PVGPU_CMD_MARK) {
		wait = wait_new(g, s->o.ctx);
		if (!wait)
			return refuse_copy(w, in->hdr, CUDA_ERROR_OUT_OF_MEMORY);
	}
	work_bytes(&k, s, kind_of(&dst, &src), in->size, !issue_bounces(g, &dst, &src));
	r = issue_line(g, s, &dst, &src);
	if (r) {
		work_abort(&k, s);
		if (wait)
			wait_drop(g, wait);
		return refuse_copy(w, in->hdr, ctx_result(s->o.ctx, r));
	}
	return mark_later(g, s, in->hdr, wait, &dst, &src, &k);
}

/* Where a dimension is one, the gap between its elements does not matter: use one that fits. */
static bool memory_end(struct gpu *g, struct end *e, uint64_t addr, const uint64_t size[3])
{
	int64_t span;

	if (size[1] == 1 && size[2] == 1)
		e->pitch = size[0];
	if (size[2] == 1)
		e->rows = size[1];
	span = span_3d(e->pitch, e->rows, size[0], size[1], size[2]);
	return span >= 0 && range_find(g, &e->r, addr, (uint64_t)span);
}

/* Both ends are checked. */
static int copy_box(struct worker *w, const struct pvgpu_cmd_hdr *hdr, struct stream *s,
		    const struct end *dst, const struct end *src, const uint64_t size[3])
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait = NULL;
	struct work k;
	int r;

	if (hdr->flags & PVGPU_CMD_MARK) {
		wait = wait_new(g, s->o.ctx);
		if (!wait)
			return refuse_copy(w, hdr, CUDA_ERROR_OUT_OF_MEMORY);
	}
	work_bytes(&k, s, kind_of(&dst->r, &src->r), size[0] * size[1] * size[2],
		   !issue_bounces(g, &dst->r, &src->r));
	r = issue_box(g, s, dst, src, size);
	if (r) {
		work_abort(&k, s);
		if (wait)
			wait_drop(g, wait);
		return refuse_copy(w, hdr, ctx_result(s->o.ctx, r));
	}
	return mark_later(g, s, hdr, wait, &dst->r, &src->r, &k);
}

int handle_copy_3d(struct worker *w, const struct pvgpu_in_copy_3d *in,
		   struct pvgpu_out_copy_3d *out)
{
	const uint64_t size[3] = {in->width, in->height, in->depth};
	struct end dst = {.pitch = in->dst_pitch, .rows = in->dst_height};
	struct end src = {.pitch = in->src_pitch, .rows = in->src_height};
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return refuse_copy(w, in->hdr, r);
	if (!memory_end(g, &dst, in->dst, size) || !memory_end(g, &src, in->src, size))
		return refuse_copy(w, in->hdr, CUDA_ERROR_INVALID_VALUE);
	return copy_box(w, in->hdr, s, &dst, &src, size);
}

/* A side of copy_array: a CUresult. */
static int array_end(struct gpu *g, struct end *e, uint64_t addr, const uint64_t size[3])
{
	int r;

	if (!e->array)
		return !(e->at[0] | e->at[1] | e->at[2]) && memory_end(g, e, addr, size)
			       ? 0
			       : CUDA_ERROR_INVALID_VALUE;
	r = obj_error(e->array);
	if (r)
		return r;
	e->r.at = AT_DEVICE;
	return !addr && array_holds(e->array, e->at, size) ? 0 : CUDA_ERROR_INVALID_VALUE;
}

int handle_copy_array(struct worker *w, const struct pvgpu_in_copy_array *in,
		      struct pvgpu_out_copy_array *out)
{
	const uint64_t size[3] = {in->width, in->height, in->depth};
	struct end dst = {.pitch = in->dst_pitch,
			  .rows = in->dst_height,
			  .array = in->dst_array,
			  .at = {in->dst_x, in->dst_y, in->dst_z}};
	struct end src = {.pitch = in->src_pitch,
			  .rows = in->src_height,
			  .array = in->src_array,
			  .at = {in->src_x, in->src_y, in->src_z}};
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (s)
		r = array_end(g, &dst, in->dst, size);
	if (s && !r)
		r = array_end(g, &src, in->src, size);
	if (!s || r)
		return refuse_copy(w, in->hdr, r);
	return copy_box(w, in->hdr, s, &dst, &src, size);
}

static void bytes_done(struct gpu *g, struct wait *w, int result)
{
	ctx_result(w->ctx, result);
	free(w->p);
}

/* No slot is free: bytes of their own, freed when they have been copied. */
static int inline_slow(struct gpu *g, struct stream *s, const struct pvgpu_in_copy_inline *in)
{
	struct wait *wait;
	struct work k;
	void *bytes;
	int r;

	bytes = malloc(in->data_len);
	wait = bytes ? wait_new(g, s->o.ctx) : NULL;
	if (!wait) {
		free(bytes);
		return CUDA_ERROR_OUT_OF_MEMORY;
	}
	memcpy(bytes, in->data, in->data_len);
	work_bytes(&k, s, WORK_TO_DEVICE, in->data_len, true);
	r = (int)g->far->cuMemcpyHtoDAsync_v2(in->dst, bytes, in->data_len, s->far);
	if (r) {
		work_abort(&k, s);
		free(bytes);
		wait_drop(g, wait);
		return ctx_result(s->o.ctx, r);
	}
	work_commit(&k, s);
	wait->p = bytes;
	wait->done = bytes_done;
	wait_stream(g, wait, s);
	return 0;
}

int handle_copy_inline(struct worker *w, const struct pvgpu_in_copy_inline *in,
		       struct pvgpu_out_copy_inline *out)
{
	struct gpu *g = worker_gpu(w);
	struct stream *s;
	struct work k;
	int slot, r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	if (mem_where(g, in->dst, in->data_len) != AT_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; /* the bytes are in the record */
	slot = staging_take(g, s->o.ctx, STAGING_RECORDS, NULL);
	if (slot < 0)
		return inline_slow(g, s, in);
	memcpy(staging_at(s->o.ctx, STAGING_RECORDS, slot), in->data, in->data_len);
	work_bytes(&k, s, WORK_TO_DEVICE, in->data_len, true);
	r = (int)g->far->cuMemcpyHtoDAsync_v2(in->dst, staging_at(s->o.ctx, STAGING_RECORDS, slot),
					      in->data_len, s->far);
	if (r) {
		work_abort(&k, s);
		staging_put(s->o.ctx, STAGING_RECORDS, slot);
		return ctx_result(s->o.ctx, r);
	}
	work_commit(&k, s);
	staging_put_after(g, s->o.ctx, STAGING_RECORDS, slot, s);
	return 0;
}

/* The bytes are in a slot, or in memory of their own. */
static void fetch_done(struct gpu *g, struct wait *w, int result)
{
	struct pvgpu_out_copy_fetch out = {0};
	int r = sync_end(g, w->ctx, result);

	if (!r)
		r = w->held;
	if (!r) {
		out.data = w->p;
		out.data_len = w->size;
	}
	worker_reply_copy_fetch(g->w, w->seq, r, &out);
	if (w->slot >= 0)
		staging_put(w->ctx, STAGING_RECORDS, w->slot);
	else
		free(w->p);
}

int handle_copy_fetch(struct worker *w, const struct pvgpu_in_copy_fetch *in,
		      struct pvgpu_out_copy_fetch *out)
{
	struct gpu *g = worker_gpu(w);
	struct wait *wait;
	struct stream *s;
	struct work k;
	int slot, r;
	void *to;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	if (mem_where(g, in->src, in->size) != AT_DEVICE)
		return CUDA_ERROR_INVALID_VALUE;
	if (s->capture)
		return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
	slot = staging_take(g, s->o.ctx, STAGING_RECORDS, NULL);
	to = slot >= 0 ? staging_at(s->o.ctx, STAGING_RECORDS, slot) : malloc(in->size);
	wait = to ? wait_new(g, s->o.ctx) : NULL;
	r = CUDA_ERROR_OUT_OF_MEMORY;
	if (wait) {
		work_bytes(&k, s, WORK_TO_HOST, in->size, true);
		r = (int)g->far->cuMemcpyDtoHAsync_v2(to, in->src, in->size, s->far);
		if (r)
			work_abort(&k, s);
	}
	if (r) {
		if (wait)
			wait_drop(g, wait);
		if (slot >= 0)
			staging_put(s->o.ctx, STAGING_RECORDS, slot);
		else
			free(to);
		return ctx_result(s->o.ctx, r);
	}
	work_commit(&k, s);
	wait->p = to;
	wait->slot = slot;
	wait->size = in->size;
	wait->seq = in->hdr->seq;
	wait->flush = true;
	wait->held = deferred_take(g, s->o.ctx);
	wait->done = fetch_done;
	wait_stream(g, wait, s);
	return PVGPU_PENDING;
}

int handle_memset(struct worker *w, const struct pvgpu_in_memset *in, struct pvgpu_out_memset *out)
{
	struct gpu *g = worker_gpu(w);
	uint64_t bytes;
	struct stream *s;
	struct work k;
	int64_t span;
	int r;

	s = stream_of(in->ctx, in->stream, &r);
	if (!s)
		return r;
	if (in->element == 3 || in->dst % in->element ||
	    __builtin_mul_overflow(in->width, in->element, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	span = span_3d(in->pitch, in->height, bytes, in->height, 1);
	if (span < 0 || mem_where(g, in->dst, (uint64_t)span) == AT_NOWHERE)
		return CUDA_ERROR_INVALID_VALUE;
	work_bytes(&k, s, WORK_MEMSET, bytes * in->height, true);
	r = ctx_result(s->o.ctx, issue_fill(g, s, in));
	if (r)
		work_abort(&k, s);
	else
		work_commit(&k, s);
	return r;
}
