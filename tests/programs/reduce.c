/* SPDX-License-Identifier: MIT */
/* Sum, maximum and votes by warp shuffles. */
#include "tests/programs/common.h"

PTX(ptx_reduce);

enum { BLOCKS = 12, THREADS = 192 };

static void check_sum(CUmodule module, const int *in, CUdeviceptr din, uint32_t n)
{
	CUdeviceptr dout = device_alloc(BLOCKS * sizeof(int));
	long long sum = 0, want = 0;
	int out[BLOCKS];

	LAUNCH(function(module, "sum"), BLOCKS, THREADS, 0, NULL, &din, &dout, &n);
	download(out, dout, sizeof(out));
	for (int i = 0; i < BLOCKS; i++)
		sum += out[i];
	for (uint32_t i = 0; i < n; i++)
		want += in[i];
	CHECK(sum == want, "the sum is %lld, not %lld", sum, want);
	printf("sum of %u: %lld\n", n, sum);
	CU(cuMemFree(dout));
}

static void check_maximum(CUmodule module, const int *in, CUdeviceptr din)
{
	enum { WARPS = 64 };
	CUdeviceptr dout = device_alloc(WARPS * sizeof(int));
	int out[WARPS];

	LAUNCH(function(module, "maximum"), WARPS, 32, 0, NULL, &din, &dout);
	download(out, dout, sizeof(out));
	for (int w = 0; w < WARPS; w++) {
		int want = in[w * 32];

		for (int i = 1; i < 32; i++)
			want = in[w * 32 + i] > want ? in[w * 32 + i] : want;
		CHECK(out[w] == want, "maximum of warp %d is %d, not %d", w, out[w], want);
	}
	printf("maximum of %d warps, digest %016llx\n", WARPS,
	       (unsigned long long)digest(out, sizeof(out)));
	CU(cuMemFree(dout));
}

static void check_votes(CUmodule module, const int *in, CUdeviceptr din)
{
	enum { THREADS_ALL = 1024 };
	uint32_t n = THREADS_ALL - 13, mask[THREADS_ALL / 32];
	CUdeviceptr dmask = device_alloc(sizeof(mask));

	LAUNCH(function(module, "negatives"), THREADS_ALL / 128, 128, 0, NULL, &din, &dmask, &n);
	download(mask, dmask, sizeof(mask));
	for (uint32_t i = 0; i < THREADS_ALL; i++) {
		bool negative = i < n && in[i] < 0;

		CHECK((mask[i / 32] >> (i % 32) & 1) == negative, "vote of element %u is wrong", i);
	}
	printf("votes of %u, digest %016llx\n", n, (unsigned long long)digest(mask, sizeof(mask)));
	CU(cuMemFree(dmask));
}

int main(int argc, char **argv)
{
	uint32_t n = (uint32_t)argument(argc, argv, 1, 50021);
	int *in = host_alloc(n * sizeof(*in));
	struct random r = {11};
	CUdeviceptr din;
	CUmodule module;

	CHECK(n >= 2048, "at least 2048 elements");
	start();
	for (uint32_t i = 0; i < n; i++)
		in[i] = (int)(random_next(&r) % 20001) - 10000;
	module = load(ptx_reduce);
	din = upload(in, n * sizeof(*in));
	check_sum(module, in, din, n);
	check_maximum(module, in, din);
	check_votes(module, in, din);
	CU(cuMemFree(din));
	finish();
	free(in);
	return 0;
}
