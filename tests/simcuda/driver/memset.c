/* SPDX-License-Identifier: MIT */
/* Filling memory. */
#include <stdlib.h>

#include "tests/simcuda/driver/sim.h"

/* A call without a stream waits for the fill of memory that the host may read next; it does not for
 * memory of the device. */
static bool host_reads(CUdeviceptr dst)
{
	struct range r;

	return range_find(dst, &r) && r.kind != RANGE_DEVICE && r.kind != RANGE_MAPPED;
}

static CUresult fill(CUstream stream, CUdeviceptr dst, size_t pitch, uint32_t value, uint32_t size,
		     size_t width, size_t height, bool sync)
{
	struct sim_stream *s;
	size_t row = width * size, len;
	uint64_t lo, hi;
	struct op *op;
	bool wait;

	TRY(stream_get(stream, &s));
	TRY(capture_check(s));
	if (!width || !height)
		return CUDA_SUCCESS;
	if (!dst || dst % size || (height > 1 && (pitch % size || pitch < row)) ||
	    row / size != width)
		return CUDA_ERROR_INVALID_VALUE;
	if (height > 1 && height - 1 > (SIZE_MAX - row) / pitch)
		return CUDA_ERROR_INVALID_VALUE;
	len = (height - 1) * pitch + row;
	if (!range_check(dst, len, true, &lo, &hi))
		return CUDA_ERROR_INVALID_VALUE;
	if (range_leaves_registered(dst, len))
		return CUDA_ERROR_INVALID_VALUE;
	op = op_new(OP_MEMSET, s, 0);
	if (!op)
		return CUDA_ERROR_OUT_OF_MEMORY;
	op->set = (struct memset_op){(char *)dst, pitch, width, height, value, size};
	if (sync && s->capture) {
		free(op);
		return capture_wait(s);
	}
	if (exec_idle(s) && (sync || op_is_small(op))) {
		op_run(op);
		free(op);
		return ctx_error(s->ctx);
	}
	wait = sync && host_reads(dst);
	exec_push(op, NULL, wait);
	if (!wait)
		return CUDA_SUCCESS;
	exec_wait(op);
	op_put(op);
	return ctx_error(s->ctx);
}

#define SET_1D(bits, type)                                                                         \
	API_PTDS(cuMemsetD##bits##_v2, (CUdeviceptr dst, type value, size_t n),                    \
		 (CUdeviceptr dst, type value, size_t n, CUstream stream),                         \
		 (dst, value, n, CU_STREAM_LEGACY), (dst, value, n, CU_STREAM_PER_THREAD))         \
	{                                                                                          \
		return fill(stream, dst, 0, value, bits / 8, n, 1, true);                          \
	}                                                                                          \
	API_PTSZ(cuMemsetD##bits##Async, (CUdeviceptr dst, type value, size_t n, CUstream stream), \
		 (dst, value, n, stream))                                                          \
	{                                                                                          \
		return fill(stream, dst, 0, value, bits / 8, n, 1, false);                         \
	}

#define SET_2D(bits, type)                                                                         \
	API_PTDS(cuMemsetD2D##bits##_v2,                                                           \
		 (CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height),         \
		 (CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height,          \
		  CUstream stream),                                                                \
		 (dst, pitch, value, width, height, CU_STREAM_LEGACY),                             \
		 (dst, pitch, value, width, height, CU_STREAM_PER_THREAD))                         \
	{                                                                                          \
		return fill(stream, dst, pitch, value, bits / 8, width, height, true);             \
	}                                                                                          \
	API_PTSZ(cuMemsetD2D##bits##Async,                                                         \
		 (CUdeviceptr dst, size_t pitch, type value, size_t width, size_t height,          \
		  CUstream stream),                                                                \
		 (dst, pitch, value, width, height, stream))                                       \
	{                                                                                          \
		return fill(stream, dst, pitch, value, bits / 8, width, height, false);            \
	}

SET_1D(8, unsigned char)
SET_1D(16, unsigned short)
SET_1D(32, unsigned int)
SET_2D(8, unsigned char)
SET_2D(16, unsigned short)
SET_2D(32, unsigned int)
