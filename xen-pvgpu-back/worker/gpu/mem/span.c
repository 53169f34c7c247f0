/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/worker/gpu/memory.h"

int64_t span_3d(uint64_t pitch, uint64_t rows, uint64_t width, uint64_t height, uint64_t depth)
{
	uint64_t lines, span;

	if (!width || !height || !depth)
		return -1;
	if ((height > 1 || depth > 1) && pitch < width)
		return -1;
	if (depth > 1 && rows < height)
		return -1;
	/* Rows before the last one: all of the slices before the last, and those of the last. */
	if (__builtin_mul_overflow(depth - 1, rows, &lines) ||
	    __builtin_add_overflow(lines, height - 1, &lines))
		return -1;
	if (__builtin_mul_overflow(lines, pitch, &span) ||
	    __builtin_add_overflow(span, width, &span))
		return -1;
	return span > INT64_MAX ? -1 : (int64_t)span;
}
