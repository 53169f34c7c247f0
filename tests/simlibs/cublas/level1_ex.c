/* SPDX-License-Identifier: MIT */
/* Vectors whose elements have a type of their own. */
#include <math.h>

#include "simcublas_run.h"

void run_cublasAxpyEx(int64_t n, const void *alpha, cudaDataType_t alphaType, const void *x,
		      cudaDataType_t xType, int64_t incx, void *y, cudaDataType_t yType,
		      int64_t incy, cudaDataType_t executiontype)
{
	const double complex by = sim_load(alphaType, alpha, 0);

	for (int64_t i = 0; i < n; i++)
		sim_store(yType, y, place(n, incy, i),
			  sim_load(yType, y, place(n, incy, i)) +
				  by * sim_load(xType, x, place(n, incx, i)));
}

void run_cublasScalEx(int64_t n, const void *alpha, cudaDataType_t alphaType, void *x,
		      cudaDataType_t xType, int64_t incx, cudaDataType_t executionType)
{
	const double complex by = sim_load(alphaType, alpha, 0);

	for (int64_t i = 0; i < n && incx > 0; i++)
		sim_store(xType, x, i * incx, by * sim_load(xType, x, i * incx));
}

void run_cublasCopyEx(int64_t n, const void *x, cudaDataType_t xType, int64_t incx, void *y,
		      cudaDataType_t yType, int64_t incy)
{
	for (int64_t i = 0; i < n; i++)
		sim_store(yType, y, place(n, incy, i), sim_load(xType, x, place(n, incx, i)));
}

void run_cublasSwapEx(int64_t n, void *x, cudaDataType_t xType, int64_t incx, void *y,
		      cudaDataType_t yType, int64_t incy)
{
	for (int64_t i = 0; i < n; i++) {
		const double complex was = sim_load(yType, y, place(n, incy, i));

		sim_store(yType, y, place(n, incy, i), sim_load(xType, x, place(n, incx, i)));
		sim_store(xType, x, place(n, incx, i), was);
	}
}

#define DOT(name, first)                                                                           \
	void run_cublas##name(int64_t n, const void *x, cudaDataType_t xType, int64_t incx,        \
			      const void *y, cudaDataType_t yType, int64_t incy, void *value,      \
			      cudaDataType_t resultType, cudaDataType_t executionType)             \
	{                                                                                          \
		double complex sum = 0;                                                            \
                                                                                                   \
		for (int64_t i = 0; i < n; i++)                                                    \
			sum += first(sim_load(xType, x, place(n, incx, i))) *                      \
			       sim_load(yType, y, place(n, incy, i));                              \
		sim_store(resultType, value, 0, sum);                                              \
	}
DOT(DotEx, )
DOT(DotcEx, conj)

static double size1(int type, const void *x, int64_t i)
{
	const double complex v = sim_load(type, x, i);

	return fabs(creal(v)) + fabs(cimag(v));
}

void run_cublasNrm2Ex(int64_t n, const void *x, cudaDataType_t xType, int64_t incx, void *value,
		      cudaDataType_t resultType, cudaDataType_t executionType)
{
	double sum = 0;

	for (int64_t i = 0; i < n && incx > 0; i++)
		sum += creal(sim_load(xType, x, i * incx) * conj(sim_load(xType, x, i * incx)));
	sim_store(resultType, value, 0, sqrt(sum));
}

void run_cublasAsumEx(int64_t n, const void *x, cudaDataType_t xType, int64_t incx, void *value,
		      cudaDataType_t resultType, cudaDataType_t executiontype)
{
	double sum = 0;

	for (int64_t i = 0; i < n && incx > 0; i++)
		sum += size1(xType, x, i * incx);
	sim_store(resultType, value, 0, sum);
}

static int64_t best(int64_t n, const void *x, int type, int64_t incx, bool largest)
{
	int64_t found = 0;

	for (int64_t i = 0; i < n && incx > 0; i++) {
		const double a = size1(type, x, i * incx);
		const double b = found ? size1(type, x, (found - 1) * incx) : 0;

		if (!found || (largest ? a > b : a < b))
			found = i + 1;
	}
	return found;
}

void run_cublasIamaxEx(int64_t n, const void *x, cudaDataType_t xType, int64_t incx, int64_t *value)
{
	*value = best(n, x, xType, incx, true);
}

void run_cublasIaminEx(int64_t n, const void *x, cudaDataType_t xType, int64_t incx, int64_t *value)
{
	*value = best(n, x, xType, incx, false);
}

void run_cublasRotEx(int64_t n, void *x, cudaDataType_t xType, int64_t incx, void *y,
		     cudaDataType_t yType, int64_t incy, const void *cosine, const void *sine,
		     cudaDataType_t csType, cudaDataType_t executiontype)
{
	const double complex c = sim_load(csType, cosine, 0), s = sim_load(csType, sine, 0);

	for (int64_t i = 0; i < n; i++) {
		const double complex a = sim_load(xType, x, place(n, incx, i));
		const double complex b = sim_load(yType, y, place(n, incy, i));

		sim_store(xType, x, place(n, incx, i), c * a + s * b);
		sim_store(yType, y, place(n, incy, i), c * b - conj(s) * a);
	}
}

void run_cublasRotmEx(int64_t n, void *x, cudaDataType_t xType, int64_t incx, void *y,
		      cudaDataType_t yType, int64_t incy, const void *param,
		      cudaDataType_t paramType, cudaDataType_t executiontype)
{
	double h[5];

	for (int i = 0; i < 5; i++)
		h[i] = creal(sim_load(paramType, param, i));
	if (h[0] == 0)
		h[1] = h[4] = 1;
	if (h[0] == 1)
		h[2] = -1, h[3] = 1;
	for (int64_t i = 0; i < n && h[0] != -2; i++) {
		const double complex a = sim_load(xType, x, place(n, incx, i));
		const double complex b = sim_load(yType, y, place(n, incy, i));

		sim_store(xType, x, place(n, incx, i), h[1] * a + h[3] * b);
		sim_store(yType, y, place(n, incy, i), h[2] * a + h[4] * b);
	}
}

void run_cublasRotgEx(void *ra, void *rb, cudaDataType_t abType, void *cosine, void *sine,
		      cudaDataType_t csType, cudaDataType_t executiontype)
{
	cublasRotgEx_host(NULL, ra, rb, abType, cosine, sine, csType, executiontype);
}

void run_cublasRotmgEx(void *d1, cudaDataType_t d1Type, void *d2, cudaDataType_t d2Type, void *x1,
		       cudaDataType_t x1Type, const void *y1, cudaDataType_t y1Type, void *param,
		       cudaDataType_t paramType, cudaDataType_t executiontype)
{
	cublasRotmgEx_host(NULL, d1, d1Type, d2, d2Type, x1, x1Type, y1, y1Type, param, paramType,
			   executiontype);
}
