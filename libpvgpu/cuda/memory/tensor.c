/* SPDX-License-Identifier: MIT */
/*
 * Tensor maps: the driver at the far end makes the 128 bytes, whose meaning is its own. The same
 * description gives the same map, so one that is made again (some programs make theirs for each
 * launch) comes from here.
 */
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"

#include <pthread.h>
#include <string.h>

#include "pvgpu_stubs.h"
#include "pvgpu_wire.h"

enum { KEPT = 64, RANK_MOST = 5 };

static struct {
	struct pvgpu_tensor_desc desc; /* rank 0: none */
	CUtensorMap map;
} kept[KEPT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static unsigned int place_of(const struct pvgpu_tensor_desc *d)
{
	const unsigned char *at = (const unsigned char *)d;
	uint64_t h = 14695981039346656037u;

	for (size_t i = 0; i < sizeof(*d); i++)
		h = (h ^ at[i]) * 1099511628211u;
	return (unsigned int)(h >> 32) % KEPT;
}

static int encode(const struct pvgpu_tensor_desc *d, CUtensorMap *map)
{
	const unsigned int n = place_of(d);
	CUtensorMap made;
	uint32_t len = 0;
	bool found;
	int r;

	pthread_mutex_lock(&lock);
	found = !memcmp(&kept[n].desc, d, sizeof(*d));
	if (found)
		made = kept[n].map;
	pthread_mutex_unlock(&lock);
	if (found) {
		*map = made;
		return 0;
	}
	r = pvgpu_do_tensor_map_encode(session(), d, sizeof(*d), &made, sizeof(made), &len);
	if (r)
		return r;
	if (len != sizeof(made))
		return CUDA_ERROR_UNKNOWN;
	*map = made;
	pthread_mutex_lock(&lock);
	kept[n].desc = *d;
	kept[n].map = made;
	pthread_mutex_unlock(&lock);
	return 0;
}

/* The part that all three ways of encoding have; false: a pointer that is needed is NULL. */
static bool describe(struct pvgpu_tensor_desc *d, const CUtensorMap *map, uint32_t rank,
		     const void *address, const cuuint64_t *dims, const cuuint64_t *strides,
		     const cuuint32_t *steps)
{
	memset(d, 0, sizeof(*d));
	if (!map || (uintptr_t)map % 64 || !rank || rank > RANK_MOST || !address || !dims ||
	    (rank > 1 && !strides) || !steps)
		return false;
	d->rank = rank;
	d->address = (uintptr_t)address;
	memcpy(d->dims, dims, rank * sizeof(*dims));
	memcpy(d->steps, steps, rank * sizeof(*steps));
	if (rank > 1)
		memcpy(d->strides, strides, (rank - 1) * sizeof(*strides));
	return true;
}

static void modes(struct pvgpu_tensor_desc *d, CUtensorMapDataType type,
		  CUtensorMapInterleave interleave, CUtensorMapSwizzle swizzle,
		  CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	d->type = (uint32_t)type;
	d->interleave = (uint32_t)interleave;
	d->swizzle = (uint32_t)swizzle;
	d->promotion = (uint32_t)promotion;
	d->fill = (uint32_t)fill;
}

PUBLIC CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
				       void *address, const cuuint64_t *dims,
				       const cuuint64_t *strides, const cuuint32_t *box,
				       const cuuint32_t *steps, CUtensorMapInterleave interleave,
				       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion,
				       CUtensorMapFloatOOBfill fill)
{
	struct pvgpu_tensor_desc d;
	const int r = guest_enter();

	if (r)
		return r;
	if (!describe(&d, map, rank, address, dims, strides, steps) || !box)
		return CUDA_ERROR_INVALID_VALUE;
	d.how = PVGPU_TENSOR_TILED;
	modes(&d, type, interleave, swizzle, promotion, fill);
	memcpy(d.box, box, rank * sizeof(*box));
	return encode(&d, map);
}

PUBLIC CUresult cuTensorMapEncodeIm2col(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
					void *address, const cuuint64_t *dims,
					const cuuint64_t *strides, const int *lower,
					const int *upper, cuuint32_t channels, cuuint32_t pixels,
					const cuuint32_t *steps, CUtensorMapInterleave interleave,
					CUtensorMapSwizzle swizzle,
					CUtensorMapL2promotion promotion,
					CUtensorMapFloatOOBfill fill)
{
	struct pvgpu_tensor_desc d;
	const int r = guest_enter();

	if (r)
		return r;
	if (!describe(&d, map, rank, address, dims, strides, steps) || rank < 3 || !lower || !upper)
		return CUDA_ERROR_INVALID_VALUE;
	d.how = PVGPU_TENSOR_IM2COL;
	modes(&d, type, interleave, swizzle, promotion, fill);
	memcpy(d.lower, lower, (rank - 2) * sizeof(*lower));
	memcpy(d.upper, upper, (rank - 2) * sizeof(*upper));
	d.channels = channels;
	d.pixels = pixels;
	return encode(&d, map);
}

PUBLIC CUresult cuTensorMapEncodeIm2colWide(
	CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *address,
	const cuuint64_t *dims, const cuuint64_t *strides, int lower_width, int upper_width,
	cuuint32_t channels, cuuint32_t pixels, const cuuint32_t *steps,
	CUtensorMapInterleave interleave, CUtensorMapIm2ColWideMode mode,
	CUtensorMapSwizzle swizzle, CUtensorMapL2promotion promotion, CUtensorMapFloatOOBfill fill)
{
	struct pvgpu_tensor_desc d;
	const int r = guest_enter();

	if (r)
		return r;
	if (!describe(&d, map, rank, address, dims, strides, steps) || rank < 3)
		return CUDA_ERROR_INVALID_VALUE;
	d.how = PVGPU_TENSOR_IM2COL_WIDE;
	modes(&d, type, interleave, swizzle, promotion, fill);
	d.mode = (uint32_t)mode;
	d.lower[0] = lower_width;
	d.upper[0] = upper_width;
	d.channels = channels;
	d.pixels = pixels;
	return encode(&d, map);
}

PUBLIC CUresult cuTensorMapReplaceAddress(CUtensorMap *map, void *address)
{
	CUtensorMap to;
	uint32_t len = 0;
	int r = guest_enter();

	if (r)
		return r;
	if (!map || (uintptr_t)map % 64 || !address)
		return CUDA_ERROR_INVALID_VALUE;
	r = pvgpu_do_tensor_map_replace(session(), map, sizeof(*map), (uintptr_t)address, &to,
					sizeof(to), &len);
	if (!r && len != sizeof(to))
		r = CUDA_ERROR_UNKNOWN;
	if (!r)
		*map = to;
	return r;
}
