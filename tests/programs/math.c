/* SPDX-License-Identifier: MIT */
/* Integer arithmetic and conversions exactly, approximate functions within their documented error.
 */
#include <math.h>

#include "tests/programs/common.h"

PTX(ptx_math);

enum { N = 256 };

static void check_integers(CUmodule module)
{
	static int32_t a[N], b[N];
	static int64_t out[N * 12];
	struct random r = {3};
	CUdeviceptr da, db, dout = device_alloc(sizeof(out));

	for (int i = 0; i < N; i++) {
		a[i] = (int32_t)random_next(&r) >> (i % 31);
		b[i] = (int32_t)random_next(&r) >> (i % 29);
	}
	b[0] = 0;
	a[1] = INT32_MIN, b[1] = 3;
	da = upload(a, sizeof(a));
	db = upload(b, sizeof(b));
	LAUNCH(function(module, "integers"), N / 64, 64, 0, NULL, &da, &db, &dout);
	download(out, dout, sizeof(out));
	for (int i = 0; i < N; i++) {
		int32_t x = a[i], y = b[i];
		uint32_t ux = (uint32_t)x, uy = (uint32_t)y;
		int64_t want[12] = {
			(int32_t)(ux + uy),
			(int64_t)x * y,
			y ? x / y : 0,
			y ? x % y : 0,
			uy ? ux / uy : 0,
			(int64_t)((uint64_t)ux * uy >> 7),
			x >> (y & 31),
			ux << (y & 31),
			__builtin_popcount(ux) + __builtin_clz(ux | 1) * 100,
			x < y ? x : y,
			(int64_t)(int16_t)x + (int8_t)y + (uint16_t)x,
			(int32_t)((ux ^ uy) + (ux & ~uy) - (ux | uy)),
		};

		for (int k = 0; k < 12; k++)
			CHECK(out[i * 12 + k] == want[k],
			      "operation %d on %d and %d gives %lld, not %lld", k, x, y,
			      (long long)out[i * 12 + k], (long long)want[k]);
	}
	CU(cuMemFree(da));
	CU(cuMemFree(db));
	CU(cuMemFree(dout));
	printf("integers: %d operations, digest %016llx\n", N * 12,
	       (unsigned long long)digest(out, sizeof(out)));
}

static void check_conversions(CUmodule module)
{
	static double in[N], out[N * 8];
	struct random r = {4};
	CUdeviceptr din, dout = device_alloc(sizeof(out));

	for (int i = 0; i < N; i++)
		in[i] = ((double)random_next(&r) / 4294967296.0 - 0.5) * pow(10, i % 9);
	din = upload(in, sizeof(in));
	LAUNCH(function(module, "conversions"), N / 64, 64, 0, NULL, &din, &dout);
	download(out, dout, sizeof(out));
	for (int i = 0; i < N; i++) {
		double v = in[i];
		double want[8] = {(float)v, (int)v,  (double)(long long)v, (double)(float)(int)v,
				  floor(v), ceil(v), fma(v, v, 1.0),       sqrt(v * v)};

		for (int k = 0; k < 8; k++)
			CHECK(out[i * 8 + k] == want[k],
			      "conversion %d of %.17g gives %.17g, not %.17g", k, v, out[i * 8 + k],
			      want[k]);
	}
	CU(cuMemFree(din));
	CU(cuMemFree(dout));
	printf("conversions: %d, digest %016llx\n", N * 8,
	       (unsigned long long)digest(out, sizeof(out)));
}

static void check_approximate(CUmodule module)
{
	static float in[N], out[N * 6];
	CUdeviceptr din, dout = device_alloc(sizeof(out));

	for (int i = 0; i < N; i++)
		in[i] = 0.01f + (float)i * 0.012f; /* up to about pi */
	din = upload(in, sizeof(in));
	LAUNCH(function(module, "approximate"), N / 64, 64, 0, NULL, &din, &dout);
	download(out, dout, sizeof(out));
	for (int i = 0; i < N; i++) {
		double v = in[i];
		double want[6] = {sin(v), cos(v), exp2(v), log2(v), 1 / v, 1 / sqrt(v)};
		double allowed[6] = {1e-6, 1e-6, 1e-6 * exp2(v), 4e-6, 1e-6 / v, 1e-6 / sqrt(v)};

		for (int k = 0; k < 6; k++)
			CHECK(fabs(out[i * 6 + k] - want[k]) <= allowed[k],
			      "function %d of %g gives %g, not %g", k, v, (double)out[i * 6 + k],
			      want[k]);
	}
	CU(cuMemFree(din));
	CU(cuMemFree(dout));
	printf("approximate functions: all close\n");
}

int main(void)
{
	CUmodule module;

	start();
	module = load(ptx_math);
	check_integers(module);
	check_conversions(module);
	check_approximate(module);
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
