// SPDX-License-Identifier: MIT
// The pipelines that were compiled ahead of time, on the GPU and on the CPU: equal results.
#include <HalideBuffer.h>
#include <HalideRuntimeCuda.h>

#include <cmath>
#include <cstdio>

#include "blur_cpu.h"
#include "blur_gpu.h"
#include "butterflies_cpu.h"
#include "butterflies_gpu.h"
#include "histogram_cpu.h"
#include "histogram_gpu.h"
#include "matmul_cpu.h"
#include "matmul_gpu.h"
#include "resize_cpu.h"
#include "resize_gpu.h"

using Halide::Runtime::Buffer;

enum { SIZE = 96, BINS = 64 };

typedef int (*pipeline)(halide_buffer_t *in, halide_buffer_t *out);

static int failed;

template <typename T>
static void check(const char *name, pipeline gpu, pipeline cpu, Buffer<uint8_t> &in, std::vector<int> sizes)
{
	Buffer<T> got(sizes), want(sizes);
	uint64_t h = 14695981039346656037ull;
	bool equal = true;

	in.set_host_dirty();
	if (gpu(in, got) || cpu(in, want) || !got.has_device_allocation()) {
		std::fprintf(stderr, "%s fails\n", name);
		failed++;
		return;
	}
	got.copy_to_host();
	got.for_each_element([&](const int *at) {
		const double x = (double)got(at), y = (double)want(at);

		equal = equal && std::fabs(x - y) <= 0.01 + 1e-6 * std::fabs(y);
	});
	for (size_t i = 0; i < got.size_in_bytes(); i++)
		h = (h ^ ((const uint8_t *)got.data())[i]) * 1099511628211ull;
	if (!equal) {
		std::fprintf(stderr, "%s: another result than the CPU's\n", name);
		failed++;
		return;
	}
	std::printf("%s %016llx\n", name, (unsigned long long)h);
}

int main()
{
	Buffer<uint8_t> image(SIZE, SIZE);

	for (int y = 0; y < SIZE; y++)
		for (int x = 0; x < SIZE; x++)
			image(x, y) = (uint8_t)(x * 37 + y * 91 + x * y % 53);
	for (int round = 0; round < 3; round++) {
		check<uint8_t>("blur", blur_gpu, blur_cpu, image, {SIZE, SIZE});
		check<float>("matmul", matmul_gpu, matmul_cpu, image, {SIZE, SIZE});
		check<int32_t>("histogram", histogram_gpu, histogram_cpu, image, {BINS});
		check<float>("resize", resize_gpu, resize_cpu, image, {SIZE * 3 / 2, SIZE * 3 / 2});
		check<float>("butterflies", butterflies_gpu, butterflies_cpu, image, {SIZE, SIZE});
	}
	halide_device_release(nullptr, halide_cuda_device_interface());
	return failed != 0;
}
