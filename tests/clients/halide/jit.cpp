// SPDX-License-Identifier: MIT
// Each pipeline, compiled while the program runs, on the GPU and on the CPU: equal results.
#include "pipelines.h"

#include <cmath>
#include <cstdio>

using namespace Halide;

template <typename T> static bool same(const Buffer<void> &a, const Buffer<void> &b)
{
	Buffer<T> p(a), q(b);
	bool equal = true;

	p.for_each_element([&](const int *at) {
		const double x = (double)p(at), y = (double)q(at);

		/* the GPU's products and sums are rounded once, the CPU's twice */
		equal = equal && std::fabs(x - y) <= 0.01 + 1e-6 * std::fabs(y);
	});
	return equal;
}

static uint64_t digest(const Buffer<void> &b)
{
	const uint8_t *bytes = (const uint8_t *)b.data();
	uint64_t h = 14695981039346656037ull;

	for (size_t i = 0; i < b.size_in_bytes(); i++)
		h = (h ^ bytes[i]) * 1099511628211ull;
	return h;
}

static bool equal(const Buffer<void> &a, const Buffer<void> &b)
{
	if (a.type() == UInt(8))
		return same<uint8_t>(a, b);
	return a.type() == Int(32) ? same<int32_t>(a, b) : same<float>(a, b);
}

int main()
{
	const Target host = get_jit_target_from_environment();
	const Target gpu = host.with_feature(Target::CUDA).with_feature(Target::CUDACapability50);
	Buffer<uint8_t> image(pipelines::SIZE, pipelines::SIZE);
	Func in = BoundaryConditions::repeat_edge(image), in_gpu = BoundaryConditions::repeat_edge(image);
	std::vector<pipelines::Pipeline> cpu = pipelines::all(in, false), on_gpu = pipelines::all(in_gpu, true);
	int failed = 0;

	for (int y = 0; y < image.height(); y++)
		for (int x = 0; x < image.width(); x++)
			image(x, y) = (uint8_t)(x * 37 + y * 91 + x * y % 53);
	for (size_t i = 0; i < cpu.size(); i++) {
		Buffer<void> want = cpu[i].out.realize(cpu[i].sizes, host)[0];
		Buffer<void> got = on_gpu[i].out.realize(on_gpu[i].sizes, gpu)[0];
		const bool was_there = got.has_device_allocation();

		got.copy_to_host();
		if (!was_there || !equal(got, want)) {
			std::fprintf(stderr, "%s: %s\n", cpu[i].name.c_str(),
				     was_there ? "another result than the CPU's" : "not on the GPU");
			failed++;
			continue;
		}
		std::printf("%s %016llx\n", cpu[i].name.c_str(), (unsigned long long)digest(got));
	}
	return failed != 0;
}
