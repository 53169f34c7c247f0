/* SPDX-License-Identifier: MIT */
/* Vectors and matrices between host and device memory: libcuda's copies of rectangles, whose rows
 * are elements of a vector or columns of a matrix. */
#include "pvgpu_calls_cublas.h"

/* Rows of `width` bytes, so far apart on both sides. */
struct rows {
	const void *from;
	void *to;
	uint64_t width, count, from_apart, to_apart;
	bool to_device;
};

static cublasStatus_t copy(const struct rows *r, bool now, CUstream stream)
{
	CUDA_MEMCPY2D c = {
		.srcMemoryType = r->to_device ? CU_MEMORYTYPE_HOST : CU_MEMORYTYPE_DEVICE,
		.srcPitch = r->from_apart,
		.dstMemoryType = r->to_device ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST,
		.dstPitch = r->to_apart,
		.WidthInBytes = r->width,
		.Height = r->count,
	};
	int e = api_enter();

	if (r->to_device) {
		c.srcHost = r->from;
		c.dstDevice = (CUdeviceptr)(uintptr_t)r->to;
	} else {
		c.srcDevice = (CUdeviceptr)(uintptr_t)r->from;
		c.dstHost = r->to;
	}
	if (!e && r->width && r->count)
		e = now ? client->copy2d(&c) : client->copy2d_async(&c, stream);
	/* Wrong arguments were refused before: it is the memory. */
	return e == CUDA_ERROR_INVALID_VALUE ? CUBLAS_STATUS_MAPPING_ERROR : cublas_status(e);
}

/* So many elements have a size in bytes that is no wrapped one. */
static bool fits(int64_t n, int64_t size)
{
	return n <= 0 || n <= INT64_MAX / size;
}

static cublasStatus_t vector(int64_t n, int64_t size, const void *x, int64_t incx, void *y,
			     int64_t incy, bool to_device, bool now, CUstream stream)
{
	const uint64_t bytes = (uint64_t)(size > 0 ? size : 0);
	const uint64_t count = (uint64_t)(n > 0 ? n : 0);
	struct rows r = {
		.from = x, .to = y, .width = bytes, .count = count, .to_device = to_device};

	if (size <= 0 || incx <= 0 || incy <= 0 || !fits(n, size) || !fits(incx, size) ||
	    !fits(incy, size))
		return CUBLAS_STATUS_INVALID_VALUE;
	if (incx == 1 && incy == 1) { /* one row */
		r.width = bytes * count;
		r.count = 1;
	}
	r.from_apart = r.count == 1 ? r.width : bytes * (uint64_t)incx;
	r.to_apart = r.count == 1 ? r.width : bytes * (uint64_t)incy;
	return copy(&r, now, stream);
}

static cublasStatus_t matrix(int64_t rows, int64_t cols, int64_t size, const void *a, int64_t lda,
			     void *b, int64_t ldb, bool to_device, bool now, CUstream stream)
{
	if (rows < 0 || cols < 0 || size <= 0 || lda <= 0 || ldb <= 0 || lda < rows || ldb < rows ||
	    !fits(lda, size) || !fits(ldb, size))
		return CUBLAS_STATUS_INVALID_VALUE;
	return copy(&(struct rows){.from = a,
				   .to = b,
				   .width = (uint64_t)rows * (uint64_t)size,
				   .count = (uint64_t)cols,
				   .from_apart = (uint64_t)lda * (uint64_t)size,
				   .to_apart = (uint64_t)ldb * (uint64_t)size,
				   .to_device = to_device},
		    now, stream);
}

/* Both forms of each: with numbers of 32 and of 64 bits. */
#define VECTORS(suffix, number)                                                                    \
	PUBLIC cublasStatus_t cublasSetVector##suffix(number n, number elemSize, const void *x,    \
						      number incx, void *y, number incy)           \
	{                                                                                          \
		return vector(n, elemSize, x, incx, y, incy, true, true, NULL);                    \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasGetVector##suffix(number n, number elemSize, const void *x,    \
						      number incx, void *y, number incy)           \
	{                                                                                          \
		return vector(n, elemSize, x, incx, y, incy, false, true, NULL);                   \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasSetVectorAsync##suffix(number n, number elemSize,              \
							   const void *x, number incx, void *y,    \
							   number incy, CUstream stream)           \
	{                                                                                          \
		return vector(n, elemSize, x, incx, y, incy, true, false, stream);                 \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasGetVectorAsync##suffix(number n, number elemSize,              \
							   const void *x, number incx, void *y,    \
							   number incy, CUstream stream)           \
	{                                                                                          \
		return vector(n, elemSize, x, incx, y, incy, false, false, stream);                \
	}

#define MATRICES(suffix, number)                                                                   \
	PUBLIC cublasStatus_t cublasSetMatrix##suffix(number rows, number cols, number elemSize,   \
						      const void *A, number lda, void *B,          \
						      number ldb)                                  \
	{                                                                                          \
		return matrix(rows, cols, elemSize, A, lda, B, ldb, true, true, NULL);             \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasGetMatrix##suffix(number rows, number cols, number elemSize,   \
						      const void *A, number lda, void *B,          \
						      number ldb)                                  \
	{                                                                                          \
		return matrix(rows, cols, elemSize, A, lda, B, ldb, false, true, NULL);            \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasSetMatrixAsync##suffix(                                        \
		number rows, number cols, number elemSize, const void *A, number lda, void *B,     \
		number ldb, CUstream stream)                                                       \
	{                                                                                          \
		return matrix(rows, cols, elemSize, A, lda, B, ldb, true, false, stream);          \
	}                                                                                          \
	PUBLIC cublasStatus_t cublasGetMatrixAsync##suffix(                                        \
		number rows, number cols, number elemSize, const void *A, number lda, void *B,     \
		number ldb, CUstream stream)                                                       \
	{                                                                                          \
		return matrix(rows, cols, elemSize, A, lda, B, ldb, false, false, stream);         \
	}

VECTORS(, int)
VECTORS(_64, int64_t)
MATRICES(, int)
MATRICES(_64, int64_t)
