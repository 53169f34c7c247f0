/* SPDX-License-Identifier: MIT */
/* Atomic counting, and every other atomic operation once. */
#include "tests/programs/common.h"

PTX(ptx_histogram);

static void check_histogram(CUmodule module, size_t n)
{
	uint8_t *in = host_alloc(n);
	uint32_t bins[256], want[256] = {0}, count = (uint32_t)n;
	CUdeviceptr din, dbins;

	random_fill(in, n, 3);
	for (size_t i = 0; i < n; i++) {
		in[i] = in[i] & 1 ? in[i] : in[i] & 15; /* some bins are crowded */
		want[in[i]]++;
	}
	din = upload(in, n);
	dbins = device_alloc(sizeof(bins));
	CU(cuMemsetD32(dbins, 0, 256));
	LAUNCH(function(module, "histogram"), 8, 96, 0, NULL, &din, &count, &dbins);
	download(bins, dbins, sizeof(bins));
	for (int i = 0; i < 256; i++)
		CHECK(bins[i] == want[i], "bin %d has %u, not %u", i, bins[i], want[i]);
	printf("histogram of %zu bytes, digest %016llx\n", n,
	       (unsigned long long)digest(bins, sizeof(bins)));
	CU(cuMemFree(din));
	CU(cuMemFree(dbins));
	free(in);
}

static void check_atomics(CUmodule module)
{
	enum { BLOCKS = 7, THREADS = 143, N = BLOCKS * THREADS };
	uint32_t w[10] = {0, 0, 0xffffffff, 0, 0, 0, 0xffffffff, 0, 0, 0};
	uint32_t sum = N * (N - 1) / 2, xors = 0;
	uint64_t wide = 5;
	float f = 0.25f;
	CUdeviceptr dw = upload(w, sizeof(w)), dwide = upload(&wide, sizeof(wide)),
		    df = upload(&f, sizeof(f));

	LAUNCH(function(module, "atomics"), BLOCKS, THREADS, 0, NULL, &dw, &dwide, &df);
	download(w, dw, sizeof(w));
	download(&wide, dwide, sizeof(wide));
	download(&f, df, sizeof(f));
	for (uint32_t i = 0; i < N; i++)
		xors ^= i;
	CHECK(w[0] == sum && w[1] == 0u - sum, "add %u, subtract %u", w[0], w[1]);
	CHECK(w[2] == 0xffff0000 && w[3] == 0xffffffff && w[4] == xors, "and %x, or %x, xor %x",
	      w[2], w[3], w[4]);
	CHECK(w[5] == N - 1 && w[6] == 1000000 - (N - 1), "max %u, min %u", w[5], w[6]);
	CHECK(w[7] == N % 100, "inc %u", w[7]);
	/* Thread i exchanges i for i + 1. The threads' order decides the value reached, which must
	 * equal the number of successful exchanges. */
	CHECK(w[8] == w[9] && w[9] >= 1, "compare-and-swap reached %u in %u steps", w[8], w[9]);
	CHECK(wide == ((uint64_t)sum << 32) + 5, "wide add %llx", (unsigned long long)wide);
	CHECK(f == 0.25f + N * 0.5f, "float add %g", f);
	printf("atomics of %d threads: all right\n", N);
	CU(cuMemFree(dw));
	CU(cuMemFree(dwide));
	CU(cuMemFree(df));
}

int main(int argc, char **argv)
{
	CUmodule module;

	start();
	module = load(ptx_histogram);
	check_histogram(module, argument(argc, argv, 1, 100001));
	check_atomics(module);
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
