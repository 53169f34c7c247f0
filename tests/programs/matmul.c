/* SPDX-License-Identifier: MIT */
/* Tiled matrix product, exact because the entries are small integers. */
#include "tests/programs/common.h"

PTX(ptx_matmul);

enum { TILE = 16 };

int main(int argc, char **argv)
{
	uint32_t n = (uint32_t)argument(argc, argv, 1, 64) / TILE * TILE;
	size_t bytes = (size_t)n * n * sizeof(float);
	float *a = host_alloc(bytes), *b = host_alloc(bytes), *c = host_alloc(bytes);
	struct random r = {7};
	CUdeviceptr da, db, dc;
	CUfunction multiply;
	CUmodule module;

	start();
	for (uint32_t i = 0; i < n * n; i++) {
		a[i] = (float)(random_next(&r) % 17) - 8;
		b[i] = (float)(random_next(&r) % 17) - 8;
	}
	module = load(ptx_matmul);
	multiply = function(module, "matmul");
	da = upload(a, bytes);
	db = upload(b, bytes);
	dc = device_alloc(bytes);
	CU(cuLaunchKernel(multiply, n / TILE, n / TILE, 1, TILE, TILE, 1, 0, NULL,
			  (void *[]){&da, &db, &dc, &n}, NULL));
	download(c, dc, bytes);
	for (uint32_t row = 0; row < n; row++) {
		for (uint32_t column = 0; column < n; column++) {
			float sum = 0;

			for (uint32_t k = 0; k < n; k++)
				sum += a[row * n + k] * b[k * n + column];
			CHECK(c[row * n + column] == sum, "(%u, %u) is %g, not %g", row, column,
			      c[row * n + column], sum);
		}
	}
	printf("matmul: %u x %u, digest %016llx\n", n, n, (unsigned long long)digest(c, bytes));
	CU(cuMemFree(da));
	CU(cuMemFree(db));
	CU(cuMemFree(dc));
	finish();
	free(a);
	free(b);
	free(c);
	return 0;
}
