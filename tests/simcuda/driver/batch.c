/* SPDX-License-Identifier: MIT */
/* Batches of copies: one after the other, when all have been checked. */
#include "tests/simcuda/driver/sim.h"

CUresult batch_stream(CUstream stream)
{
	return !stream || stream == CU_STREAM_LEGACY ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

bool batch_groups(const size_t *first, size_t groups, size_t count)
{
	if (!first || !groups || groups > count || first[0])
		return false;
	for (size_t i = 1; i < groups; i++)
		if (first[i] <= first[i - 1] || first[i] >= count)
			return false;
	return true;
}

static bool hints_known(CUmemcpySrcAccessOrder order, unsigned int flags)
{
	return order >= CU_MEMCPY_SRC_ACCESS_ORDER_STREAM &&
	       order <= CU_MEMCPY_SRC_ACCESS_ORDER_ANY &&
	       !(flags & ~(unsigned int)CU_MEMCPY_FLAG_PREFER_OVERLAP_WITH_COMPUTE);
}

API_PTSZ(cuMemcpyBatchAsync,
	 (CUdeviceptr * dst, CUdeviceptr *src, size_t *size, size_t count,
	  CUmemcpyAttributes *attrs, size_t *first, size_t groups, size_t *fail, CUstream stream),
	 (dst, src, size, count, attrs, first, groups, fail, stream))
{
	struct sim_stream *s;
	CUresult r;

	if (fail)
		*fail = SIZE_MAX;
	TRY(batch_stream(stream));
	TRY(stream_get(stream, &s));
	if (!dst || !src || !size || !count || !attrs || !batch_groups(first, groups, count))
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < groups; i++)
		if (!hints_known(attrs[i].srcAccessOrder, attrs[i].flags))
			return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < count; i++) {
		r = copy_line(s, dst[i], src[i], size[i], false);
		if (r && fail)
			*fail = i;
		TRY(r);
	}
	for (size_t i = 0; i < count; i++)
		TRY(copy_line(s, dst[i], src[i], size[i], true));
	return CUDA_SUCCESS;
}

API_PTSZ(cuMemcpyBatchAsync_v2,
	 (CUdeviceptr * dst, CUdeviceptr *src, size_t *size, size_t count,
	  CUmemcpyAttributes *attrs, size_t *first, size_t groups, CUstream stream),
	 (dst, src, size, count, attrs, first, groups, stream))
{
	return do_cuMemcpyBatchAsync(dst, src, size, count, attrs, first, groups, NULL, stream);
}

static CUresult element_of(const CUmemcpy3DOperand *o, size_t *element)
{
	struct sim_array *a;

	if (o->type == CU_MEMCPY_OPERAND_TYPE_POINTER)
		return CUDA_SUCCESS;
	if (o->type != CU_MEMCPY_OPERAND_TYPE_ARRAY || !o->op.array.array)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(array_get(o->op.array.array, &a));
	if (*element && *element != a->texel_bytes)
		return CUDA_ERROR_INVALID_VALUE;
	*element = a->texel_bytes;
	return CUDA_SUCCESS;
}

/* The copy in the words of a single one. */
static CUresult as_box(const CUDA_MEMCPY3D_BATCH_OP *o, CUDA_MEMCPY3D *p)
{
	const CUextent3D *e = &o->extent;
	size_t n = 0;

	TRY(element_of(&o->src, &n));
	TRY(element_of(&o->dst, &n));
	n = n ? n : 1;
	if (!hints_known(o->srcAccessOrder, o->flags) || !e->width || !e->height || !e->depth)
		return CUDA_ERROR_INVALID_VALUE;
	*p = (CUDA_MEMCPY3D){.WidthInBytes = e->width * n, .Height = e->height, .Depth = e->depth};
	if (o->src.type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
		p->srcMemoryType = CU_MEMORYTYPE_ARRAY;
		p->srcArray = o->src.op.array.array;
		p->srcXInBytes = o->src.op.array.offset.x * n;
		p->srcY = o->src.op.array.offset.y;
		p->srcZ = o->src.op.array.offset.z;
	} else {
		p->srcMemoryType = CU_MEMORYTYPE_UNIFIED;
		p->srcDevice = o->src.op.ptr.ptr;
		p->srcPitch = (o->src.op.ptr.rowLength ? o->src.op.ptr.rowLength : e->width) * n;
		p->srcHeight = o->src.op.ptr.layerHeight ? o->src.op.ptr.layerHeight : e->height;
	}
	if (o->dst.type == CU_MEMCPY_OPERAND_TYPE_ARRAY) {
		p->dstMemoryType = CU_MEMORYTYPE_ARRAY;
		p->dstArray = o->dst.op.array.array;
		p->dstXInBytes = o->dst.op.array.offset.x * n;
		p->dstY = o->dst.op.array.offset.y;
		p->dstZ = o->dst.op.array.offset.z;
	} else {
		p->dstMemoryType = CU_MEMORYTYPE_UNIFIED;
		p->dstDevice = o->dst.op.ptr.ptr;
		p->dstPitch = (o->dst.op.ptr.rowLength ? o->dst.op.ptr.rowLength : e->width) * n;
		p->dstHeight = o->dst.op.ptr.layerHeight ? o->dst.op.ptr.layerHeight : e->height;
	}
	return CUDA_SUCCESS;
}

API_PTSZ(cuMemcpy3DBatchAsync,
	 (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, size_t *fail, unsigned long long flags,
	  CUstream stream),
	 (count, ops, fail, flags, stream))
{
	struct sim_stream *s;
	CUDA_MEMCPY3D p;
	CUresult r;

	if (fail)
		*fail = SIZE_MAX;
	TRY(batch_stream(stream));
	TRY(stream_get(stream, &s));
	if (!count || !ops || flags)
		return CUDA_ERROR_INVALID_VALUE;
	for (size_t i = 0; i < 2 * count; i++) {
		r = as_box(&ops[i % count], &p);
		if (!r)
			r = copy_box(stream, &p, i >= count);
		if (r && fail)
			*fail = i;
		TRY(r);
	}
	return CUDA_SUCCESS;
}

API_PTSZ(cuMemcpy3DBatchAsync_v2,
	 (size_t count, CUDA_MEMCPY3D_BATCH_OP *ops, unsigned long long flags, CUstream stream),
	 (count, ops, flags, stream))
{
	return do_cuMemcpy3DBatchAsync(count, ops, NULL, flags, stream);
}
