/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps. The far end's driver makes them of what the guest describes, once the memory is
 * known to be the session's. A kernel could pass on any 128 bytes: what it may reach is what is
 * mapped for this session's contexts, as with any address that a kernel makes up.
 */
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "pvgpu_decode.h"
#include "pvgpu_wire.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/far.h"
#include "xen-pvgpu-back/worker/worker.h"

_Static_assert(sizeof(CUtensorMap) == 128, "a tensor map");

enum { RANK_MOST = 5 };

/* Bits of an element, by CUtensorMapDataType; 0: not known. */
static unsigned int element_bits(uint32_t type)
{
	static const uint8_t bits[] = {8, 16, 32, 32, 64, 64, 16, 32, 64, 16, 32, 32, 32, 4, 8, 8};

	return type < sizeof(bits) ? bits[type] : 0;
}

/* Bytes from the first element to the end of the last one; 0: more than there is. */
static uint64_t extent(const struct pvgpu_tensor_desc *d)
{
	unsigned __int128 bytes = ((unsigned __int128)d->dims[0] * element_bits(d->type) + 7) / 8;

	for (uint32_t n = 1; n < d->rank; n++) {
		if (!d->dims[n])
			return 0;
		bytes += (unsigned __int128)(d->dims[n] - 1) * d->strides[n - 1];
	}
	return bytes > INT64_MAX ? 0 : (uint64_t)bytes;
}

/* Is the memory the session's? In interleaved layouts the strides mean something else: there the
 * first bytes count. */
static int check(struct gpu *g, const struct pvgpu_tensor_desc *d)
{
	uint64_t bytes;

	if (!d->rank || d->rank > RANK_MOST)
		return CUDA_ERROR_INVALID_VALUE;
	if (!element_bits(d->type))
		return CUDA_ERROR_NOT_SUPPORTED;
	bytes = d->interleave ? 1 : extent(d);
	return bytes && mem_where(g, d->address, bytes) != AT_NOWHERE ? 0
								      : CUDA_ERROR_INVALID_VALUE;
}

static int encode(const struct far *far, const struct pvgpu_tensor_desc *d, CUtensorMap *map)
{
	const CUtensorMapDataType type = (CUtensorMapDataType)d->type;
	const CUtensorMapInterleave interleave = (CUtensorMapInterleave)d->interleave;
	const CUtensorMapSwizzle swizzle = (CUtensorMapSwizzle)d->swizzle;
	const CUtensorMapL2promotion promotion = (CUtensorMapL2promotion)d->promotion;
	const CUtensorMapFloatOOBfill fill = (CUtensorMapFloatOOBfill)d->fill;
	void *address = (void *)(uintptr_t)d->address;

	switch (d->how) {
	case PVGPU_TENSOR_TILED:
		if (!far->cuTensorMapEncodeTiled)
			break;
		return (int)far->cuTensorMapEncodeTiled(map, type, d->rank, address, d->dims,
							d->strides, d->box, d->steps, interleave,
							swizzle, promotion, fill);
	case PVGPU_TENSOR_IM2COL:
		if (!far->cuTensorMapEncodeIm2col)
			break;
		return (int)far->cuTensorMapEncodeIm2col(
			map, type, d->rank, address, d->dims, d->strides, d->lower, d->upper,
			d->channels, d->pixels, d->steps, interleave, swizzle, promotion, fill);
	case PVGPU_TENSOR_IM2COL_WIDE:
		if (!far->cuTensorMapEncodeIm2colWide)
			break;
		return (int)far->cuTensorMapEncodeIm2colWide(
			map, type, d->rank, address, d->dims, d->strides, d->lower[0], d->upper[0],
			d->channels, d->pixels, d->steps, interleave,
			(CUtensorMapIm2ColWideMode)d->mode, swizzle, promotion, fill);
	default:
		return CUDA_ERROR_INVALID_VALUE;
	}
	return CUDA_ERROR_NOT_SUPPORTED;
}

int handle_tensor_map_encode(struct worker *w, const struct pvgpu_in_tensor_map_encode *in,
			     struct pvgpu_out_tensor_map_encode *out)
{
	struct gpu *g = worker_gpu(w);
	struct pvgpu_tensor_desc d;
	CUtensorMap map = {0};
	int r;

	if (in->desc_len != sizeof(d))
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&d, in->desc, sizeof(d));
	r = check(g, &d);
	if (!r)
		r = encode(g->far, &d, &map);
	if (r)
		return r;
	out->map = memcpy(g->scratch, &map, sizeof(map));
	out->map_len = sizeof(map);
	return 0;
}

int handle_tensor_map_replace(struct worker *w, const struct pvgpu_in_tensor_map_replace *in,
			      struct pvgpu_out_tensor_map_replace *out)
{
	struct gpu *g = worker_gpu(w);
	CUtensorMap map;
	int r;

	if (!g->far->cuTensorMapReplaceAddress)
		return CUDA_ERROR_NOT_SUPPORTED;
	if (in->map_len != sizeof(map) || mem_where(g, in->address, 1) == AT_NOWHERE)
		return CUDA_ERROR_INVALID_VALUE;
	memcpy(&map, in->map, sizeof(map));
	r = (int)g->far->cuTensorMapReplaceAddress(&map, (void *)(uintptr_t)in->address);
	if (r)
		return r;
	out->to = memcpy(g->scratch, &map, sizeof(map));
	out->to_len = sizeof(map);
	return 0;
}
