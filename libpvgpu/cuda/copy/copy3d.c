/* SPDX-License-Identifier: MIT */
/* Two- and three-dimensional copies: the operands as programs describe them, and their checks. */
#include "cuda/copy/box.h"
#include "cuda/copy/copy.h"
#include "cuda/core/context.h"
#include "cuda/core/device.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/array.h"
#include "cuda/memory/memory_map.h"
#include "cuda/streams/batch.h"

#include <stdlib.h>
#include <string.h>

/* An operand as the application describes it. */
struct operand {
	CUmemorytype type;
	const void *host;
	CUdeviceptr device;
	CUarray array;
	size_t x, y, z, lod, pitch, height;
};

/* As the driver answers: no array is a wrong value. */
static int enter_array(const struct operand *o, const struct array **a)
{
	return o->array ? array_enter(o->array, a) : CUDA_ERROR_INVALID_VALUE;
}

static int place_array(const struct operand *o, const struct box *b, struct place *p)
{
	const struct array *a;
	const int r = enter_array(o, &a);

	if (r)
		return r;
	if (o->lod || !array_holds(a, o->x, b->width, o->y, b->rows, o->z, b->depth))
		return CUDA_ERROR_INVALID_VALUE;
	*p = (struct place){.side = SIDE_DEVICE, .array = a, .x = o->x, .y = o->y, .z = o->z};
	return 0;
}

static int place_operand(const struct operand *o, const struct box *b, uint64_t max_pitch,
			 struct place *p)
{
	uint64_t right, bottom, len, rows;

	if (o->type == CU_MEMORYTYPE_ARRAY)
		return place_array(o, b, p);
	if (o->lod || __builtin_add_overflow(o->x, b->width, &right) ||
	    __builtin_add_overflow(o->y, b->rows, &bottom))
		return CUDA_ERROR_INVALID_VALUE;
	/* 0 stands for tightly packed. */
	p->pitch = o->pitch ? o->pitch : right;
	p->height = o->height ? o->height : bottom;
	if (p->pitch > max_pitch || right > p->pitch || (b->depth > 1 && bottom > p->height))
		return CUDA_ERROR_INVALID_VALUE;
	p->addr = o->type == CU_MEMORYTYPE_HOST ? (uintptr_t)o->host : o->device;
	if (!p->addr || __builtin_mul_overflow(o->z, p->height, &rows) ||
	    __builtin_add_overflow(rows, o->y, &rows) ||
	    __builtin_mul_overflow(rows, p->pitch, &rows) ||
	    __builtin_add_overflow(p->addr, rows, &p->addr) ||
	    __builtin_add_overflow(p->addr, o->x, &p->addr) || !box_extent(b, p, &len))
		return CUDA_ERROR_INVALID_VALUE;
	switch (o->type) {
	case CU_MEMORYTYPE_HOST:
		return side_of_host(p->addr, len, &p->side);
	case CU_MEMORYTYPE_DEVICE:
		return side_of_device(p->addr, len, &p->side);
	case CU_MEMORYTYPE_UNIFIED:
		return side_of_any(p->addr, len, &p->side);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
}

static int copy(const struct operand *dst, const struct operand *src, struct box *b,
		CUstream stream, bool per_thread)
{
	uint64_t max_pitch, len;
	struct target t;
	int r = stream_enter(stream, per_thread, &t);

	if (r || !b->width || !b->rows || !b->depth)
		return r;
	max_pitch = (uint64_t)device_value(t.ctx->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	if (!max_pitch)
		max_pitch = INT32_MAX;
	r = place_operand(dst, b, max_pitch, &b->dst);
	if (!r && !b->dst.array && box_extent(b, &b->dst, &len) &&
	    range_read_only(b->dst.addr, len))
		r = CUDA_ERROR_INVALID_VALUE;
	if (!r)
		r = place_operand(src, b, max_pitch, &b->src);
	return r ? r : copy_box(&t, b);
}

static int copy_2d(const CUDA_MEMCPY2D *c, CUstream stream, bool per_thread, bool async)
{
	struct operand dst, src;
	struct box b = {.depth = 1, .async = async};

	if (!c)
		return CUDA_ERROR_INVALID_VALUE;
	dst = (struct operand){.type = c->dstMemoryType,
			       .host = c->dstHost,
			       .device = c->dstDevice,
			       .array = c->dstArray,
			       .x = c->dstXInBytes,
			       .y = c->dstY,
			       .pitch = c->dstPitch};
	src = (struct operand){.type = c->srcMemoryType,
			       .host = c->srcHost,
			       .device = c->srcDevice,
			       .array = c->srcArray,
			       .x = c->srcXInBytes,
			       .y = c->srcY,
			       .pitch = c->srcPitch};
	b.width = c->WidthInBytes;
	b.rows = c->Height;
	return copy(&dst, &src, &b, stream, per_thread);
}

static void operands(const CUDA_MEMCPY3D *c, struct operand *dst, struct operand *src,
		     struct box *b)
{
	*dst = (struct operand){.type = c->dstMemoryType,
				.host = c->dstHost,
				.device = c->dstDevice,
				.array = c->dstArray,
				.x = c->dstXInBytes,
				.y = c->dstY,
				.z = c->dstZ,
				.lod = c->dstLOD,
				.pitch = c->dstPitch,
				.height = c->dstHeight};
	*src = (struct operand){.type = c->srcMemoryType,
				.host = c->srcHost,
				.device = c->srcDevice,
				.array = c->srcArray,
				.x = c->srcXInBytes,
				.y = c->srcY,
				.z = c->srcZ,
				.lod = c->srcLOD,
				.pitch = c->srcPitch,
				.height = c->srcHeight};
	b->width = c->WidthInBytes;
	b->rows = c->Height;
	b->depth = c->Depth;
}

static int copy_3d(const CUDA_MEMCPY3D *c, CUstream stream, bool per_thread, bool async)
{
	struct operand dst, src;
	struct box b = {.async = async};

	if (!c || c->reserved0 || c->reserved1)
		return CUDA_ERROR_INVALID_VALUE;
	operands(c, &dst, &src, &b);
	return copy(&dst, &src, &b, stream, per_thread);
}

int copy_node(struct ctx *c, const CUDA_MEMCPY3D *copy, struct box *b)
{
	uint64_t max_pitch = (uint64_t)device_value(c->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	struct operand dst, src;
	int r;

	if (!copy || copy->reserved0 || copy->reserved1)
		return CUDA_ERROR_INVALID_VALUE;
	*b = (struct box){.async = true};
	operands(copy, &dst, &src, b);
	if (!b->width || !b->rows || !b->depth)
		return CUDA_ERROR_INVALID_VALUE;
	if (!max_pitch)
		max_pitch = INT32_MAX;
	r = place_operand(&dst, b, max_pitch, &b->dst);
	if (!r)
		r = place_operand(&src, b, max_pitch, &b->src);
	if (r)
		return r;
	return b->dst.array || b->src.array ? CUDA_ERROR_NOT_SUPPORTED : 0;
}

/* An operand of a batch, whose lengths count in elements of so many bytes. */
static struct operand of_batch(const CUmemcpy3DOperand *o, const CUextent3D *e, size_t element)
{
	const size_t row = o->op.ptr.rowLength ? o->op.ptr.rowLength : e->width;
	struct operand p = {.type = CU_MEMORYTYPE_UNIFIED};

	if (o->type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
		const CUoffset3D *at = &o->op.array.offset;

		p.type = CU_MEMORYTYPE_ARRAY;
		p.array = o->op.array.array;
		p.y = at->y;
		p.z = at->z;
		if (__builtin_mul_overflow(at->x, element, &p.x))
			p.x = SIZE_MAX;
		return p;
	}
	p.device = o->op.ptr.ptr;
	p.height = o->op.ptr.layerHeight ? o->op.ptr.layerHeight : e->height;
	if (__builtin_mul_overflow(row, element, &p.pitch))
		p.pitch = SIZE_MAX;
	return p;
}

static int element_of(const CUmemcpy3DOperand *o, size_t *element)
{
	const struct array *a;
	int r;

	if (o->type == CU_MEMCPY_OPERAND_TYPE_POINTER)
		return 0;
	if (o->type != CU_MEMCPY_OPERAND_TYPE_ARRAY || !o->op.array.array)
		return CUDA_ERROR_INVALID_VALUE;
	r = array_enter(o->op.array.array, &a);
	if (!r && *element && *element != a->texel_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	if (!r)
		*element = a->texel_bytes;
	return r;
}

static int box_of_batch(const CUDA_MEMCPY3D_BATCH_OP *o, uint64_t max_pitch, struct box *b)
{
	struct operand dst, src;
	size_t element = 0;
	int r = element_of(&o->src, &element);

	if (!r)
		r = element_of(&o->dst, &element);
	if (r)
		return r;
	element = element ? element : 1;
	*b = (struct box){.rows = o->extent.height, .depth = o->extent.depth, .async = true};
	if (!batch_order_known(o->srcAccessOrder) || !b->rows || !b->depth || !o->extent.width ||
	    o->flags & ~(unsigned int)CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE ||
	    __builtin_mul_overflow(o->extent.width, element, &b->width))
		return CUDA_ERROR_INVALID_VALUE;
	dst = of_batch(&o->dst, &o->extent, element);
	src = of_batch(&o->src, &o->extent, element);
	r = place_operand(&dst, b, max_pitch, &b->dst);
	return r ? r : place_operand(&src, b, max_pitch, &b->src);
}

static int copy_boxes(size_t count, const CUDA_MEMCPY3D_BATCH_OP *ops, size_t *fail,
		      unsigned long long flags, CUstream stream, bool per_thread)
{
	uint64_t max_pitch;
	struct target t;
	struct box *b;
	int r = batch_enter(stream, per_thread, &t);

	if (fail)
		*fail = SIZE_MAX;
	if (r)
		return r;
	if (!count || !ops || flags || count > SIZE_MAX / sizeof(*b))
		return CUDA_ERROR_INVALID_VALUE;
	max_pitch = (uint64_t)device_value(t.ctx->device, CU_DEVICE_ATTRIBUTE_MAX_PITCH);
	b = malloc(count * sizeof(*b));
	if (!b)
		return CUDA_ERROR_OUT_OF_MEMORY;
	for (size_t i = 0; i < count && !r; i++) {
		r = box_of_batch(&ops[i], max_pitch ? max_pitch : INT32_MAX, &b[i]);
		if (r && fail)
			*fail = i;
	}
	for (size_t i = 0; i < count && !r; i++)
		r = copy_box(&t, &b[i]);
	free(b);
	return r;
}

CU_PTSZ(cuMemcpy3DBatchAsync,
	(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *fail, unsigned long long flags,
	 CUstream stream),
	copy_boxes(count, ops, fail, flags, stream, per_thread))
CU_PTSZ(cuMemcpy3DBatchAsync_v2,
	(size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream),
	copy_boxes(count, ops, NULL, flags, stream, per_thread))

static int copy_3d_peer(const CUDA_MEMCPY3D_PEER *p, CUstream stream, bool per_thread, bool async)
{
	CUDA_MEMCPY3D c;
	const int r = guest_enter();

	if (r)
		return r;
	if (!p)
		return CUDA_ERROR_INVALID_VALUE;
	/* cuda-python's runtime names none of a device whose primary context nobody retains. */
	if ((p->dstContext && !ctx_find(p->dstContext)) ||
	    (p->srcContext && !ctx_find(p->srcContext)))
		return CUDA_ERROR_INVALID_CONTEXT;
	/* The two structures differ in the reserved fields only. */
	_Static_assert(sizeof(c) == sizeof(*p), "same layout");
	memcpy(&c, p, sizeof(c));
	c.reserved0 = c.reserved1 = NULL;
	return copy_3d(&c, stream, per_thread, async);
}

static struct operand on_host(const void *host)
{
	return (struct operand){.type = CU_MEMORYTYPE_HOST, .host = host};
}

static struct operand on_device(CUdeviceptr addr)
{
	return (struct operand){.type = CU_MEMORYTYPE_DEVICE, .device = addr};
}

static struct operand in_array(CUarray array, size_t offset)
{
	return (struct operand){.type = CU_MEMORYTYPE_ARRAY, .array = array, .x = offset};
}

static int check_line(const struct operand *o)
{
	const struct array *a;
	int r;

	if (o->type != CU_MEMORYTYPE_ARRAY)
		return 0;
	r = enter_array(o, &a);
	return !r && (a->desc.Height || a->desc.Depth) ? CUDA_ERROR_INVALID_VALUE : r;
}

/* Arrays in it have one dimension. */
static int copy_line(struct operand dst, struct operand src, size_t bytes, CUstream stream,
		     bool per_thread, bool async)
{
	struct box b = {.width = bytes, .rows = 1, .depth = 1, .async = async};
	int r = guest_enter();

	if (!r)
		r = check_line(&dst);
	if (!r)
		r = check_line(&src);
	return r ? r : copy(&dst, &src, &b, stream, per_thread);
}

CU_PTDS(cuMemcpyHtoA_v2, (CUarray dst, size_t to, const void *src, size_t bytes),
	copy_line(in_array(dst, to), on_host(src), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoH_v2, (void *dst, CUarray src, size_t from, size_t bytes),
	copy_line(on_host(dst), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyDtoA_v2, (CUarray dst, size_t to, CUdeviceptr src, size_t bytes),
	copy_line(in_array(dst, to), on_device(src), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoD_v2, (CUdeviceptr dst, CUarray src, size_t from, size_t bytes),
	copy_line(on_device(dst), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTDS(cuMemcpyAtoA_v2, (CUarray dst, size_t to, CUarray src, size_t from, size_t bytes),
	copy_line(in_array(dst, to), in_array(src, from), bytes, NULL, per_thread, false))
CU_PTSZ(cuMemcpyHtoAAsync_v2,
	(CUarray dst, size_t to, const void *src, size_t bytes, CUstream stream),
	copy_line(in_array(dst, to), on_host(src), bytes, stream, per_thread, true))
CU_PTSZ(cuMemcpyAtoHAsync_v2, (void *dst, CUarray src, size_t from, size_t bytes, CUstream stream),
	copy_line(on_host(dst), in_array(src, from), bytes, stream, per_thread, true))
CU_PTDS(cuMemcpy2D_v2, (const CUDA_MEMCPY2D *c), copy_2d(c, NULL, per_thread, false))
CU_PTDS(cuMemcpy2DUnaligned_v2, (const CUDA_MEMCPY2D *c), copy_2d(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy2DAsync_v2, (const CUDA_MEMCPY2D *c, CUstream stream),
	copy_2d(c, stream, per_thread, true))
CU_PTDS(cuMemcpy3D_v2, (const CUDA_MEMCPY3D *c), copy_3d(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy3DAsync_v2, (const CUDA_MEMCPY3D *c, CUstream stream),
	copy_3d(c, stream, per_thread, true))
CU_PTDS(cuMemcpy3DPeer, (const CUDA_MEMCPY3D_PEER *c), copy_3d_peer(c, NULL, per_thread, false))
CU_PTSZ(cuMemcpy3DPeerAsync, (const CUDA_MEMCPY3D_PEER *c, CUstream stream),
	copy_3d_peer(c, stream, per_thread, true))
