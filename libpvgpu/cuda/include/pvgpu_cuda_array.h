/* SPDX-License-Identifier: MIT */
/*
 * Formats of arrays and textures, and the memory that a texture over linear memory reads. The
 * guest's libcuda and the worker both ask here. Included by neither program nor cuda.h.
 */
#ifndef PVGPU_CUDA_ARRAY_H
#define PVGPU_CUDA_ARRAY_H

#include <cuda.h>
#include <stdbool.h>
#include <stdint.h>

/* Bytes of one channel; 0 for formats that pvgpu does not offer: compressed ones, those of video.
 */
static inline uint64_t pvgpu_channel_bytes(CUarray_format format)
{
	switch (format) {
	case CU_AD_FORMAT_UNSIGNED_INT8:
	case CU_AD_FORMAT_SIGNED_INT8:
		return 1;
	case CU_AD_FORMAT_UNSIGNED_INT16:
	case CU_AD_FORMAT_SIGNED_INT16:
	case CU_AD_FORMAT_HALF:
		return 2;
	case CU_AD_FORMAT_UNSIGNED_INT32:
	case CU_AD_FORMAT_SIGNED_INT32:
	case CU_AD_FORMAT_FLOAT:
		return 4;
	default:
		return 0;
	}
}

/* Bytes of an element; 0: there is no such element. */
static inline uint64_t pvgpu_texel_bytes(CUarray_format format, unsigned int channels)
{
	return channels == 1 || channels == 2 || channels == 4
		       ? pvgpu_channel_bytes(format) * channels
		       : 0;
}

/* Levels of a mipmapped array at most: down to one of a single element. */
static inline unsigned int pvgpu_levels_most(const CUDA_ARRAY3D_DESCRIPTOR *d)
{
	const uint64_t depth = d->Flags & CUDA_ARRAY3D_LAYERED ? 0 : d->Depth;
	const uint64_t all = d->Width | d->Height | depth; /* as many bits as the largest */
	unsigned int n = 1;

	while (n < 64 && all >> n)
		n++;
	return n;
}

/* The description of a level of it, which is one of those. */
static inline CUDA_ARRAY3D_DESCRIPTOR pvgpu_level_of(const CUDA_ARRAY3D_DESCRIPTOR *d,
						     unsigned int n)
{
	CUDA_ARRAY3D_DESCRIPTOR level = *d;

	level.Width = d->Width >> n ? d->Width >> n : 1;
	level.Height = d->Height >> n || !d->Height ? d->Height >> n : 1;
	if (!(d->Flags & CUDA_ARRAY3D_LAYERED))
		level.Depth = d->Depth >> n || !d->Depth ? d->Depth >> n : 1;
	return level;
}

/* The memory that such a texture reads, from its address on; 0: the description is not valid. */
static inline uint64_t pvgpu_texture_bytes(const CUDA_RESOURCE_DESC *d)
{
	uint64_t row, all;

	if (d->resType == CU_RESOURCE_TYPE_LINEAR)
		return pvgpu_texel_bytes(d->res.linear.format, d->res.linear.numChannels)
			       ? d->res.linear.sizeInBytes
			       : 0;
	if (__builtin_mul_overflow(
		    d->res.pitch2D.width,
		    pvgpu_texel_bytes(d->res.pitch2D.format, d->res.pitch2D.numChannels), &row) ||
	    !row || !d->res.pitch2D.height || d->res.pitch2D.pitchInBytes < row ||
	    __builtin_mul_overflow(d->res.pitch2D.height - 1, d->res.pitch2D.pitchInBytes, &all) ||
	    __builtin_add_overflow(all, row, &all))
		return 0;
	return all;
}

#endif
