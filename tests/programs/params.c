/* SPDX-License-Identifier: MIT */
/* Parameters of every width and alignment, in both ways of passing them; launch coordinates. */
#include "tests/programs/common.h"

PTX(ptx_vector);

struct mixed {
	char c;
	double d;
	short s[3];
	uint64_t u;
};

struct arguments {
	CUdeviceptr out;
	char c;
	short s;
	int i;
	long long l;
	float f;
	double d;
	struct mixed m;
	uint8_t b;
};

static const struct arguments sample = {
	.c = -7,
	.s = -30000,
	.i = -2000000000,
	.l = -(1ll << 50),
	.f = 0.1f,
	.d = -1e100,
	.m = {.c = 99, .d = 3.25, .s = {1, -2, 3}, .u = 1ull << 52},
	.b = 200,
};

static void check_out(CUdeviceptr dout, const char *how)
{
	const struct arguments *a = &sample;
	double want[13] = {a->c,   a->s,      a->i,      (double)a->l, (double)a->f,   a->d, a->m.c,
			   a->m.d, a->m.s[0], a->m.s[1], a->m.s[2],    (double)a->m.u, a->b};
	double out[13];

	download(out, dout, sizeof(out));
	for (int i = 0; i < 13; i++)
		CHECK(out[i] == want[i], "%s: parameter %d is %g, not %g", how, i, out[i], want[i]);
	CU(cuMemsetD8(dout, 0, sizeof(out)));
	printf("parameters by %s: all right\n", how);
}

static void check_kinds(CUmodule module)
{
	CUfunction fn = function(module, "parameters");
	struct arguments a = sample;
	size_t offset, size, bytes = 0,
			     want_size[] = {8, 1, 2, 4, 8, 4, 8, sizeof(struct mixed), 1};
	size_t want_offset[] = {offsetof(struct arguments, out), offsetof(struct arguments, c),
				offsetof(struct arguments, s),   offsetof(struct arguments, i),
				offsetof(struct arguments, l),   offsetof(struct arguments, f),
				offsetof(struct arguments, d),   offsetof(struct arguments, m),
				offsetof(struct arguments, b)};
	void *pointers[] = {&a.out, &a.c, &a.s, &a.i, &a.l, &a.f, &a.d, &a.m, &a.b};
	void *extra[] = {CU_LAUNCH_PARAM_BUFFER_POINTER, &a, CU_LAUNCH_PARAM_BUFFER_SIZE, &bytes,
			 CU_LAUNCH_PARAM_END};

	a.out = device_alloc(13 * sizeof(double));
	for (size_t i = 0; i < 9; i++) {
		CU(cuFuncGetParamInfo(fn, i, &offset, &size));
		CHECK(offset == want_offset[i] && size == want_size[i],
		      "parameter %zu: %zu bytes at %zu", i, size, offset);
	}
	WANT(CUDA_ERROR_INVALID_VALUE, cuFuncGetParamInfo(fn, 9, &offset, &size));
	CU(cuFuncGetParamInfo(fn, 0, &offset, NULL));
	CU(cuMemsetD8(a.out, 0, 13 * sizeof(double)));
	CU(cuLaunchKernel(fn, 1, 1, 1, 32, 1, 1, 0, NULL, pointers, NULL));
	check_out(a.out, "pointers");
	bytes = offsetof(struct arguments, b) + 1;
	CU(cuLaunchKernel(fn, 1, 1, 1, 32, 1, 1, 0, NULL, NULL, extra));
	check_out(a.out, "buffer");
	CU(cuMemFree(a.out));
}

static void check_large(CUmodule module)
{
	uint32_t words[1000], factor = 3, sum = 0, want = 0;
	CUdeviceptr dsum = device_alloc(sizeof(sum));

	random_fill(words, sizeof(words), 31);
	CU(cuMemsetD32(dsum, 0, 1));
	LAUNCH(function(module, "large_parameter"), 1, 96, 0, NULL, &dsum, words, &factor);
	memset(words, 0, 4); /* arguments are taken when the launch is made */
	download(&sum, dsum, sizeof(sum));
	random_fill(words, sizeof(words), 31);
	for (int i = 0; i < 1000; i++)
		want += words[i] * factor;
	CHECK(sum == want, "sum of a large parameter is %u, not %u", sum, want);
	printf("4000-byte parameter: %u\n", sum);
	CU(cuMemFree(dsum));
}

static void check_coordinates(CUmodule module)
{
	enum {
		GX = 3,
		GY = 2,
		GZ = 4,
		BX = 5,
		BY = 3,
		BZ = 2,
		PER_BLOCK = BX * BY * BZ,
		ALL = GX * GY * GZ * PER_BLOCK
	};
	uint32_t out[ALL];
	CUdeviceptr dout = device_alloc(sizeof(out));

	CU(cuLaunchKernel(function(module, "coordinates"), GX, GY, GZ, BX, BY, BZ, 0, NULL,
			  (void *[]){&dout}, NULL));
	download(out, dout, sizeof(out));
	for (uint32_t i = 0; i < ALL; i++) {
		uint32_t block = i / PER_BLOCK, thread = i % PER_BLOCK;
		uint32_t want = block % GX | block / GX % GY << 4 | block / GX / GY << 8 |
				thread % BX << 12 | thread / BX % BY << 18 | thread / BX / BY << 24;

		CHECK(out[i] == want, "thread %u of block %u thinks that it is %x, not %x", thread,
		      block, out[i], want);
	}
	printf("coordinates of %d threads: all right\n", ALL);
	CU(cuMemFree(dout));
}

int main(void)
{
	CUmodule module;

	start();
	module = load(ptx_vector);
	check_kinds(module);
	check_large(module);
	check_coordinates(module);
	CU(cuModuleUnload(module));
	finish();
	return 0;
}
