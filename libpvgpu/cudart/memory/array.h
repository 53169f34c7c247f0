/* SPDX-License-Identifier: MIT */
/* Elements of arrays and textures. */
#ifndef PVGPU_CUDART_ARRAY_H
#define PVGPU_CUDART_ARRAY_H

#include "cudart/rt.h"

/* The driver's words for an element; false for one that no array has. */
bool rt_array_format(const struct cudaChannelFormatDesc *desc, CUarray_format *format,
		     unsigned int *channels);
/* The reverse. */
struct cudaChannelFormatDesc rt_array_channels(CUarray_format format, unsigned int channels);

#endif
