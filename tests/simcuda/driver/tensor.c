/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps. The 128 bytes are the engine's struct ptx_tensor_map. Interleaved layouts, and what
 * came with devices behind compute capability 9.0, are not supported.
 */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define BOX_MAX    256u
#define STEP_MAX   8u
#define STRIDE_MAX (1ull << 40)
#define PIXELS_MAX 1024u

_Static_assert((int)PTX_TENSOR_TF32_FTZ == CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ,
	       "elements are numbered as the driver's");

struct layout {
	CUtensorMapDataType type;
	cuuint32_t rank;
	void *address;
	const cuuint64_t *dims, *strides;
	const cuuint32_t *steps;
	CUtensorMapInterleave interleave;
	CUtensorMapSwizzle swizzle;
	CUtensorMapL2promotion promotion;
	CUtensorMapFloatOOBfill fill;
};

static CUresult check_device(const CUtensorMap *map)
{
	if (!map || (uintptr_t)map % 64)
		return CUDA_ERROR_INVALID_VALUE;
	return sim_config.cc < 90 ? CUDA_ERROR_NOT_SUPPORTED : CUDA_SUCCESS;
}

static CUresult check_modes(const struct layout *l)
{
	const bool is_float = l->type >= CU_TENSOR_MAP_DATA_TYPE_FLOAT16;

	if ((unsigned int)l->type > CU_TENSOR_MAP_DATA_TYPE_16U6_ALIGN16B ||
	    (unsigned int)l->interleave > CU_TENSOR_MAP_INTERLEAVE_32B ||
	    (unsigned int)l->swizzle > CU_TENSOR_MAP_SWIZZLE_128B_ATOM_64B ||
	    (unsigned int)l->promotion > CU_TENSOR_MAP_L2_PROMOTION_L2_256B ||
	    (unsigned int)l->fill > CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA ||
	    (l->fill && !is_float))
		return CUDA_ERROR_INVALID_VALUE;
	return l->type > CU_TENSOR_MAP_DATA_TYPE_TFLOAT32_FTZ || l->interleave ||
			       l->swizzle > CU_TENSOR_MAP_SWIZZLE_128B
		       ? CUDA_ERROR_NOT_SUPPORTED
		       : CUDA_SUCCESS;
}

/* What all maps have; inner: bytes of the box's innermost dimension. */
static CUresult begin(const struct layout *l, uint64_t inner, struct ptx_tensor_map *m)
{
	const uint32_t bytes = ptx_tensor_bytes((enum ptx_tensor_element)l->type);

	if (!l->address || (uintptr_t)l->address % 16 || inner % 16 ||
	    (l->swizzle && inner > 16u << l->swizzle))
		return CUDA_ERROR_INVALID_VALUE;
	*m = (struct ptx_tensor_map){.magic = PTX_TENSOR_MAGIC,
				     .rank = (uint8_t)l->rank,
				     .element = (uint8_t)l->type,
				     .swizzle = (uint8_t)l->swizzle,
				     .fill_nan = l->fill != 0,
				     .base = (uintptr_t)l->address};
	for (uint32_t n = 0; n < l->rank; n++) {
		const uint64_t row = n ? l->strides[n - 1] : bytes;

		if (!l->dims[n] || l->dims[n] > 1ull << 32 || !l->steps[n] ||
		    l->steps[n] > STEP_MAX || row >= STRIDE_MAX || (n && row % 16))
			return CUDA_ERROR_INVALID_VALUE;
		m->last[n] = (uint32_t)(l->dims[n] - 1);
		m->step[n] = (uint8_t)l->steps[n];
		if (n)
			m->stride[n - 1] = row;
	}
	return CUDA_SUCCESS;
}

static void put(CUtensorMap *map, const struct ptx_tensor_map *m)
{
	memset(map, 0, sizeof(*map));
	memcpy(map, m, sizeof(*m));
}

API(cuTensorMapEncodeTiled, CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
    void *address, const cuuint64_t *dims, const cuuint64_t *strides, const cuuint32_t *box,
    const cuuint32_t *steps, CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	const struct layout l = {type,  rank,       address, dims,      strides,
				 steps, interleave, swizzle, promotion, fill};
	struct ptx_tensor_map m;

	ENTER();
	TRY(check_device(map));
	if (!rank || rank > PTX_TENSOR_RANK || !dims || (rank > 1 && !strides) || !box || !steps)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check_modes(&l));
	TRY(begin(&l, (uint64_t)box[0] * ptx_tensor_bytes((enum ptx_tensor_element)type), &m));
	for (uint32_t n = 0; n < rank; n++) {
		if (!box[n] || box[n] > BOX_MAX)
			return CUDA_ERROR_INVALID_VALUE;
		m.box[n] = (uint16_t)box[n];
	}
	put(map, &m);
	return CUDA_SUCCESS;
}

API(cuTensorMapEncodeIm2col, CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
    void *address, const cuuint64_t *dims, const cuuint64_t *strides, const int *lower,
    const int *upper, cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
    CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
    CUtensorMapFloatOOBfill fill)
{
	const struct layout l = {type,  rank,       address, dims,      strides,
				 steps, interleave, swizzle, promotion, fill};
	const int most = rank == 3 ? 1 << 15 : rank == 4 ? 1 << 7 : 1 << 4;
	struct ptx_tensor_map m;

	ENTER();
	TRY(check_device(map));
	if (rank < 3 || rank > PTX_TENSOR_RANK || !dims || !strides || !lower || !upper || !steps ||
	    !channels || channels > BOX_MAX || !pixels || pixels > PIXELS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	TRY(check_modes(&l));
	TRY(begin(&l, (uint64_t)channels * ptx_tensor_bytes((enum ptx_tensor_element)type), &m));
	m.is_im2col = 1;
	m.channels = (uint16_t)channels;
	m.pixels = (uint16_t)pixels;
	for (uint32_t n = 0; n < rank - 2; n++) {
		if (lower[n] < -most || lower[n] >= most || upper[n] < -most || upper[n] >= most)
			return CUDA_ERROR_INVALID_VALUE;
		m.lower[n] = (int16_t)lower[n];
		m.upper[n] = (int16_t)upper[n];
	}
	put(map, &m);
	return CUDA_SUCCESS;
}

API(cuTensorMapEncodeIm2colWide, CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
    void *address, const cuuint64_t *dims, const cuuint64_t *strides, int lower_width,
    int upper_width, cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
    CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode, CUtensorMapSwizzle swizzle,
    CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	ENTER();
	return CUDA_ERROR_NOT_SUPPORTED; /* of compute capability 10.0 */
}

API(cuTensorMapReplaceAddress, CUtensorMap *map, void *address)
{
	struct ptx_tensor_map m;

	ENTER();
	TRY(check_device(map));
	memcpy(&m, map, sizeof(m));
	if (m.magic != PTX_TENSOR_MAGIC || !address || (uintptr_t)address % 16)
		return CUDA_ERROR_INVALID_VALUE;
	m.base = (uintptr_t)address;
	put(map, &m);
	return CUDA_SUCCESS;
}
