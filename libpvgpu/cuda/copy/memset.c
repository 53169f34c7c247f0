/* SPDX-License-Identifier: MIT */
/* Fills. */
#include "cuda/copy/copy.h"
#include "cuda/core/capture.h"
#include "cuda/core/device.h"
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/memory/memory_map.h"
#include "cuda/streams/stream.h"

#include <string.h>

#include "pvgpu_stubs.h"

struct fill {
	uint64_t dst, pitch; /* bytes */
	uint32_t value, element;
	uint64_t width, height; /* elements, rows */
};

/* Bytes from the first to the last; false when that overflows. */
static bool extent(const struct fill *f, uint64_t row, uint64_t *out)
{
	uint64_t before;

	return !__builtin_mul_overflow(f->height - 1, f->pitch, &before) &&
	       !__builtin_add_overflow(before, row, out);
}

/* Memory that the GPU does not reach: the CPU fills it, when the fill's turn in the stream
 * comes. */
static int fill_here(const struct fill *f, const struct target *t)
{
	const int r = t->captured ? capture_refuse(t) : stream_turn(t);

	for (uint64_t y = 0; y < f->height && !r; y++) {
		char *row = (char *)(uintptr_t)(f->dst + y * f->pitch);

		for (uint64_t x = 0; x < f->width; x++)
			memcpy(row + x * f->element, &f->value, f->element);
	}
	return r;
}

static int fill(struct fill f, CUstream stream, bool per_thread, bool async)
{
	uint64_t row, bytes;
	struct target t;
	enum side side;
	bool waits;
	int r = stream_enter(stream, per_thread, &t);

	if (r || !f.width || !f.height)
		return r;
	if (f.dst % f.element || f.pitch % f.element ||
	    __builtin_mul_overflow(f.width, (uint64_t)f.element, &row))
		return CUDA_ERROR_INVALID_VALUE;
	if (f.height == 1)
		f.pitch = row;
	if (f.pitch < row || !extent(&f, row, &bytes))
		return CUDA_ERROR_INVALID_VALUE;
	r = side_of_device(f.dst, bytes, &side);
	if (!r && range_read_only(f.dst, bytes))
		r = CUDA_ERROR_INVALID_VALUE;
	if (r)
		return r;
	if (side == SIDE_REGISTERED ||
	    (side == SIDE_PINNED &&
	     !device_value(t.ctx->device, CU_DEVICE_ATTRIBUTE_CAN_MAP_HOST_MEMORY)))
		return fill_here(&f, &t);
	/* The caller may read pinned memory as soon as a synchronous call returns. */
	waits = !async && (side == SIDE_PINNED || range_is_sync(f.dst));
	if (waits && t.captured)
		return capture_refuse(&t);
	r = pvgpu_do_memset(session(), t.ctx->o.wire, t.stream, f.dst, f.pitch, f.value, f.element,
			    f.width, f.height);
	return r || !waits ? r : stream_drain(&t);
}

#define FILL_1D(type)                                                                              \
	(struct fill)                                                                              \
	{                                                                                          \
		dst, 0, value, sizeof(type), count, 1                                              \
	}
#define FILL_2D(type)                                                                              \
	(struct fill)                                                                              \
	{                                                                                          \
		dst, pitch, value, sizeof(type), width, height                                     \
	}

#define MEMSET(bits, type)                                                                         \
	CU_PTDS(cuMemsetD##bits##_v2, (CUdeviceptr dst, type value, size_t count),                 \
		fill(FILL_1D(type), NULL, per_thread, false))                                      \
	CU_PTSZ(cuMemsetD##bits##Async,                                                            \
		(CUdeviceptr dst, type value, size_t count, CUstream stream),                      \
		fill(FILL_1D(type), stream, per_thread, true))                                     \
	CU_PTDS(cuMemsetD2D##bits##_v2,                                                            \
		(CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height),          \
		fill(FILL_2D(type), NULL, per_thread, false))                                      \
	CU_PTSZ(cuMemsetD2D##bits##Async,                                                          \
		(CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height,           \
		 CUstream stream),                                                                 \
		fill(FILL_2D(type), stream, per_thread, true))

MEMSET(8, unsigned char)
MEMSET(16, unsigned short)
MEMSET(32, unsigned int)
