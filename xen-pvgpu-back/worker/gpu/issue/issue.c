/* SPDX-License-Identifier: MIT */
#include "issue.h"

#include "xen-pvgpu-back/worker/gpu/array.h"
#include "xen-pvgpu-back/worker/gpu/bounce.h"
#include "xen-pvgpu-back/worker/gpu/capture.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "pvgpu_decode.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/stream.h"
#include "xen-pvgpu-back/worker/far.h"

static void *host(uint64_t addr)
{
	return (void *)(uintptr_t)addr;
}

bool issue_bounces(struct gpu *g, const struct span *dst, const struct span *src)
{
	return (dst->at == AT_ARENA || src->at == AT_ARENA) && bounce_needed(g);
}

/* Of len bytes those that a part has which begins with the first one. */
static uint64_t part_of(struct gpu *g, enum where at, uint64_t addr, uint64_t len)
{
	return at == AT_ARENA ? chunks_part(&g->arena.chunks, addr, len) : len;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static int line_part(const struct far *far, CUstream s, const struct span *dst,
		     const struct span *src, uint64_t from, uint64_t len)
{
	const uint64_t to = dst->addr + from, at = src->addr + from;

	if (dst->at == AT_DEVICE && src->at == AT_DEVICE)
		return (int)far->cuMemcpyDtoDAsync_v2(to, at, len, s);
	if (dst->at == AT_DEVICE)
		return (int)far->cuMemcpyHtoDAsync_v2(to, host(at), len, s);
	if (src->at == AT_DEVICE)
		return (int)far->cuMemcpyDtoHAsync_v2(host(to), at, len, s);
	return (int)far->cuMemcpyAsync(to, at, len, s);
}

/* A further part is a further node of a captured stream's graph. */
static int one_more(const struct stream *s)
{
	return s->capture ? capture_takes(s, 1) : 0;
}

int issue_line(struct gpu *g, struct stream *s, const struct span *dst, const struct span *src)
{
	const uint64_t len = dst->len;
	int r = 0;

	if (!s->capture && issue_bounces(g, dst, src)) {
		const struct bounce_copy c = {
			.dst = {.at = dst->at, .addr = dst->addr, .pitch = len, .rows = 1},
			.src = {.at = src->at, .addr = src->addr, .pitch = len, .rows = 1},
			.width = len,
			.height = 1,
			.depth = 1,
		};

		return bounce_copy(g, s, &c);
	}
	for (uint64_t at = 0, n; at < len && !r; at += n) {
		if (at)
			r = one_more(s);
		if (r)
			break;
		n = least(part_of(g, dst->at, dst->addr + at, len - at),
			  part_of(g, src->at, src->addr + at, len - at));
		r = line_part(g->far, s->far, dst, src, at, n);
	}
	return r;
}

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

/* Bytes that a box of this size takes from the end's first one on. */
static uint64_t extent(const struct end *e, const uint64_t size[3])
{
	return ((size[2] - 1) * e->rows + size[1] - 1) * e->pitch + size[0];
}

static bool in_one_part(struct gpu *g, const struct end *e, const uint64_t size[3])
{
	const uint64_t len = extent(e, size);

	return e->array || part_of(g, e->r.at, e->r.addr, len) == len;
}

/* The end of what is behind the first n slices, rows or bytes. */
static struct end behind(const struct end *e, unsigned int dimension, uint64_t n)
{
	const uint64_t each[] = {1, e->pitch, e->pitch * e->rows};
	struct end rest = *e;

	if (e->array)
		rest.at[dimension] += n;
	else
		rest.r.addr += n * each[dimension];
	return rest;
}

/* The first bytes of a row that crosses from one part into the next; of an array whole elements. */
static uint64_t first_bytes(struct gpu *g, const struct end *dst, const struct end *src,
			    uint64_t len)
{
	const struct array *a = dst->array ? dst->array : src->array;
	uint64_t n = len;

	if (!dst->array)
		n = least(n, part_of(g, dst->r.at, dst->r.addr, len));
	if (!src->array)
		n = least(n, part_of(g, src->r.at, src->r.addr, len));
	return a ? n / a->texel * a->texel : n;
}

/* Halves until each is in one part: slices, then rows, then the bytes of one row. */
static int box_parts(struct gpu *g, struct stream *s, const struct end *dst, const struct end *src,
		     const uint64_t size[3])
{
	const unsigned int d = size[2] > 1 ? 2 : size[1] > 1 ? 1 : 0;
	const bool whole = in_one_part(g, dst, size) && in_one_part(g, src, size);
	uint64_t first[3] = {size[0], size[1], size[2]}, rest[3] = {size[0], size[1], size[2]};
	struct end dst_rest, src_rest;
	int r;

	first[d] = d ? size[d] / 2 : whole ? 0 : first_bytes(g, dst, src, size[0]);
	/* An element of an array that lies in two parts is left to the far end's judgement. */
	if (whole || !first[d] || first[d] == size[d]) {
		CUDA_MEMCPY3D p = {.WidthInBytes = size[0], .Height = size[1], .Depth = size[2]};

		plane(&p, true, dst);
		plane(&p, false, src);
		return (int)g->far->cuMemcpy3DAsync_v2(&p, s->far);
	}
	rest[d] -= first[d];
	dst_rest = behind(dst, d, first[d]);
	src_rest = behind(src, d, first[d]);
	r = one_more(s);
	if (!r)
		r = box_parts(g, s, dst, src, first);
	return r ? r : box_parts(g, s, &dst_rest, &src_rest, rest);
}

int issue_box(struct gpu *g, struct stream *s, const struct end *dst, const struct end *src,
	      const uint64_t size[3])
{
	struct bounce_copy c;

	if (s->capture || !issue_bounces(g, &dst->r, &src->r))
		return box_parts(g, s, dst, src, size);
	c.dst = bounce_side(dst);
	c.src = bounce_side(src);
	c.width = size[0];
	c.height = size[1];
	c.depth = size[2];
	return bounce_copy(g, s, &c);
}

static int fill_part(const struct far *far, CUstream s, const struct pvgpu_in_memset *in)
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

int issue_fill(struct gpu *g, struct stream *s, const struct pvgpu_in_memset *in)
{
	const uint64_t row = in->width * in->element, len = (in->height - 1) * in->pitch + row;
	const enum where at = mem_where(g, in->dst, len);
	const uint64_t part = part_of(g, at, in->dst, len);
	struct pvgpu_in_memset first = *in, rest = *in;
	int r;

	if (part == len)
		return fill_part(g->far, s->far, in);
	if (in->height > 1) {
		first.height = in->height / 2;
		rest.height -= first.height;
		rest.dst += first.height * in->pitch;
	} else {
		first.width = part / in->element;
		if (!first.width) /* chunks are of whole pages, so parts are of whole elements */
			return CUDA_ERROR_INVALID_VALUE;
		rest.width -= first.width;
		rest.dst += first.width * in->element;
	}
	r = one_more(s);
	if (!r)
		r = issue_fill(g, s, &first);
	return r ? r : issue_fill(g, s, &rest);
}
