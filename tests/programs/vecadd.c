/* SPDX-License-Identifier: MIT */
/* Add two vectors: the smallest whole program. */
#include "tests/programs/common.h"

PTX(ptx_vector);

int main(int argc, char **argv)
{
	uint32_t n = (uint32_t)argument(argc, argv, 1, 100003);
	float *a = host_alloc(n * sizeof(*a)), *b = host_alloc(n * sizeof(*b)),
	      *c = host_alloc(n * sizeof(*c));
	CUdeviceptr da, db, dc;
	CUfunction add;
	CUmodule module;

	start();
	for (uint32_t i = 0; i < n; i++) {
		a[i] = (float)i * 0.5f;
		b[i] = (float)(n - i) * 0.25f;
	}
	module = load(ptx_vector);
	add = function(module, "vec_add");
	da = upload(a, n * sizeof(*a));
	db = upload(b, n * sizeof(*b));
	dc = device_alloc(n * sizeof(*c));
	LAUNCH(add, 40, 256, 0, NULL, &da, &db, &dc, &n);
	CU(cuCtxSynchronize());
	download(c, dc, n * sizeof(*c));
	for (uint32_t i = 0; i < n; i++)
		CHECK(c[i] == a[i] + b[i], "element %u is %g, not %g", i, c[i], a[i] + b[i]);
	printf("vecadd: %u sums, digest %016llx\n", n,
	       (unsigned long long)digest(c, n * sizeof(*c)));
	CU(cuMemFree(da));
	CU(cuMemFree(db));
	CU(cuMemFree(dc));
	CU(cuModuleUnload(module));
	finish();
	free(a);
	free(b);
	free(c);
	return 0;
}
