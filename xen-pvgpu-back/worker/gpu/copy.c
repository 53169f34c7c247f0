/* SPDX-License-Identifier: MIT */
/*
 * Copies and memsets. Every range is checked before the far end sees it: CUDA would take any
 * address of this process. A range of the arena stays mapped until the mark of its command is sent.
 */
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "bounce.h"
#include "chunks.h"
#include "complete.h"
#include "context.h"
#include "estimate.h"
#include "memory.h"
#include "objects.h"
#include "pvgpu_decode.h"
#include "staging.h"
#include "state.h"
#include "stream.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

static void *host(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

static void mark_done(struct gpu *g, struct wait *w, int result)
{
	for (unsigned int i = 0; i < 2; i++) {
		if (w->len[i])
			chunks_unpin(&g->arena.chunks, w->addr[i], w->len[i]);
	}
	worker_mark(g->w, w->seq, ctx_result(w->ctx, result));
}

struct range {
	enum where at;
	uint64_t addr, len;
};

static bool range_find(struct gpu *g, struct range *r, uint64_t addr, uint64_t len)
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

static void pin(struct gpu *g, struct wait *w, const struct range *r, unsigned int i)
{
	if (r->at != AT_ARENA || !chunks_pin(&g->arena.chunks, r->addr, r->len))
		return;
	w->addr[i] = r->addr;
	w->len[i] = r->len;
}

/* The mark goes out when the copy that was just issued has ended. */
static int mark_later(struct gpu *g, struct stream *s, const struct pvgpu_cmd_hdr *hdr,
		      struct wait *w, const struct range *dst, const struct range *src,
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

/* The arena is not registered, and the copy touches it. */
static bool bounces(struct gpu *g, const struct range *dst, const struct range *src)
{
	return (dst->at == AT_ARENA || src->at == AT_ARENA) && bounce_needed(g);
}

static enum work_kind kind_of(const struct range *dst, const struct range *src)
{
	if (dst->at == AT_DEVICE)
		return src->at == AT_DEVICE ? WORK_DEVICE : WORK_TO_DEVICE;
	return src->at == AT_DEVICE ? WORK_TO_HOST : WORK_HOST;
}

static int issue(struct gpu *g, const struct range *dst, const struct range *src, struct stream *st)
{
	const struct far *far = g->far;
	CUstream s = st->far;

	if (!st->capture && bounces(g, dst, src)) {
		const struct bounce_copy c = {
			.dst = {.at = dst->at, .addr = dst->addr, .pitch = dst->len, .rows = 1},
			.src = {.at = src->at, .addr = src->addr, .pitch = src->len, .rows = 1},
			.width = dst->len,
			.height = 1,
			.depth = 1,
		};

		return bounce_copy(g, st, &c);
	}
	if (dst->at == AT_DEVICE && src->at == AT_DEVICE)
		return (int)far->cuMemcpyDtoDAsync_v2(dst->addr, src->addr, src->len, s);
	if (dst->at == AT_DEVICE)
		return (int)far->cuMemcpyHtoDAsync_v2(dst->addr, host(src->addr), src->len, s);
	if (src->at == AT_DEVICE)
		return (int)far->cuMemcpyDtoHAsync_v2(host(dst->addr), src->addr, src->len, s);
	return (int)far->cuMemcpyAsync(dst->addr, src->addr, src->len, s);
}

int handle_copy(struct worker *w, const struct pvgpu_in_copy *in, struct pvgpu_out_copy *out)
{
	struct gpu *g = worker_gpu(w);
	struct range dst, src;
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
	work_bytes(&k, s, kind_of(&dst, &src), in->size, !bounces(g, &dst, &src));
	r = issue(g, &dst, &src, s);
	if (r) {
		work_abort(&k, s);
		if (wait)
			wait_drop(g, wait);
		return refuse_copy(w, in->hdr, ctx_result(s->o.ctx, r));
	}
	return mark_later(g, s, in->hdr, wait, &dst, &src, &k);
}

/* One side of a strided copy: lines of memory, or a place in an array. */
struct end {
	struct range r;
	uint64_t pitch, rows;
	struct array *array;
	uint64_t at[3];
};

static void plane(CUDA_MEMCPY3D *p, bool to, const struct end *e)
{
	const bool device = e->r.at == AT_DEVICE;
	const CUmemorytype type = e->array ? CU_MEMORYTYPE_ARRAY
				  : device ? CU_MEMORYTYPE_DEVICE
					   : CU_MEMORYTYPE_HOST;

	if (to) {
		p->dstMemoryType = type;
		p->dstDevice = device ? e->r.addr : 0;
		p->dstHost = device ? NULL : host(e->r.addr);
		p->dstArray = e->array ? e->array->far : NULL;
		p->dstPitch = e->pitch;
		p->dstHeight = e->rows;
		p->dstXInBytes = e->at[0];
		p->dstY = e->at[1];
		p->dstZ = e->at[2];
	} else {
		p->srcMemoryType = type;
		p->srcDevice = device ? e->r.addr : 0;
		p->srcHost = device ? NULL : host(e->r.addr);
		p->srcArray = e->array ? e->array->far : NULL;
		p->srcPitch = e->pitch;
		p->srcHeight = e->rows;
		p->srcXInBytes = e->at[0];
		p->srcY = e->at[1];
		p->srcZ = e->at[2];
	}
}

static struct bounce_side bounce_side(const struct end *e)
{
	return (struct bounce_side){.at = e->r.at,
				    .addr = e->r.addr,
				    .pitch = e->pitch,
				    .rows = e->rows,
				    .array = e->array ? e->array->far : NULL,
				    .origin = {e->at[0], e->at[1], e->at[2]}};
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

static int issue_box(struct gpu *g, struct stream *s, const struct end *dst, const struct end *src,
		     const uint64_t size[3])
{
	CUDA_MEMCPY3D p = {.WidthInBytes = size[0], .Height = size[1], .Depth = size[2]};
	struct bounce_copy c;

	if (s->capture || !bounces(g, &dst->r, &src->r)) {
		plane(&p, true, dst);
		plane(&p, false, src);
		return (int)g->far->cuMemcpy3DAsync_v2(&p, s->far);
	}
	c.dst = bounce_side(dst);
	c.src = bounce_side(src);
	c.width = size[0];
	c.height = size[1];
	c.depth = size[2];
	return bounce_copy(g, s, &c);
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
		   !bounces(g, &dst->r, &src->r));
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

static int set(const struct far *far, const struct pvgpu_in_memset *in, CUstream s)
{
	const bool line = in->height == 1;

	switch (in->element) {
	case 1:
		return (int)(line ? far->cuMemsetD8Async(in->dst, (unsigned char)in->value,
							 in->width, s)
				  : far->cuMemsetD2D8Async(in->dst, in->pitch,
							   (unsigned char)in->value, in->width,
							   in->height, s));
	case 2:
		return (int)(line ? far->cuMemsetD16Async(in->dst, (unsigned short)in->value,
							  in->width, s)
				  : far->cuMemsetD2D16Async(in->dst, in->pitch,
							    (unsigned short)in->value, in->width,
							    in->height, s));
	default:
		return (int)(line ? far->cuMemsetD32Async(in->dst, in->value, in->width, s)
				  : far->cuMemsetD2D32Async(in->dst, in->pitch, in->value,
							    in->width, in->height, s));
	}
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
	r = ctx_result(s->o.ctx, set(g->far, in, s->far));
	if (r)
		work_abort(&k, s);
	else
		work_commit(&k, s);
	return r;
}
