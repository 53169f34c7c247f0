// SPDX-License-Identifier: MIT
// The pipelines, each with a schedule for the CPU and one for the GPU.
#ifndef PVGPU_TEST_HALIDE_PIPELINES_H
#define PVGPU_TEST_HALIDE_PIPELINES_H

#include <Halide.h>

#include <string>
#include <vector>

namespace pipelines {

using namespace Halide;

enum { SIZE = 96, BINS = 64 };

struct Pipeline {
	std::string name;
	Func out;
	std::vector<int> sizes;
};

// A mean of nine pixels, in two steps.
inline Pipeline blur(Func in, bool gpu)
{
	Var x("x"), y("y"), xi("xi"), yi("yi");
	Func across("across"), out("blur");

	across(x, y) = cast<uint16_t>(in(x - 1, y)) + in(x, y) + in(x + 1, y);
	out(x, y) = cast<uint8_t>((across(x, y - 1) + across(x, y) + across(x, y + 1)) / 9);
	if (gpu) {
		out.gpu_tile(x, y, xi, yi, 16, 8);
		across.compute_at(out, x).gpu_threads(across.args()[0], across.args()[1]);
	}
	return {"blur", out, {SIZE, SIZE}};
}

// A product of matrices, its sums in registers.
inline Pipeline matmul(Func in, bool gpu)
{
	Var x("x"), y("y"), xi("xi"), yi("yi");
	Func sum("sum"), out("matmul");
	RDom k(0, SIZE);

	sum(x, y) = 0.0f;
	sum(x, y) += cast<float>(in(k, y)) * cast<float>(in(x, k));
	out(x, y) = sum(x, y);
	if (gpu) {
		out.gpu_tile(x, y, xi, yi, 8, 8);
		sum.compute_at(out, xi);
	}
	return {"matmul", out, {SIZE, SIZE}};
}

// How often each value comes, by atomic additions.
inline Pipeline histogram(Func in, bool gpu)
{
	Var i("i"), ii("ii");
	Func out("histogram");
	RDom r(0, SIZE, 0, SIZE);

	out(i) = 0;
	out(clamp(cast<int>(in(r.x, r.y)) / 4, 0, BINS - 1)) += 1;
	if (gpu) {
		RVar rx, rxi;

		out.gpu_tile(i, ii, 32);
		out.update().atomic().split(r.x, rx, rxi, 32).reorder(rxi, rx, r.y).gpu_blocks(r.y).gpu_threads(rxi);
	}
	return {"histogram", out, {BINS}};
}

// Half as large again, between the pixels.
inline Pipeline resize(Func in, bool gpu)
{
	Var x("x"), y("y"), xi("xi"), yi("yi");
	Func out("resize");
	Expr fx = (cast<float>(x) + 0.5f) / 1.5f - 0.5f, fy = (cast<float>(y) + 0.5f) / 1.5f - 0.5f;
	Expr ix = cast<int>(floor(fx)), iy = cast<int>(floor(fy));
	Expr a = fx - ix, b = fy - iy;

	out(x, y) = (1 - a) * (1 - b) * in(ix, iy) + a * (1 - b) * in(ix + 1, iy) +
		    (1 - a) * b * in(ix, iy + 1) + a * b * in(ix + 1, iy + 1);
	if (gpu)
		out.gpu_tile(x, y, xi, yi, 16, 16);
	return {"resize", out, {SIZE * 3 / 2, SIZE * 3 / 2}};
}

// Steps of a transform over each row: sums and differences of values that lie 1, 2, 4, ... apart.
inline Pipeline butterflies(Func in, bool gpu)
{
	Var x("x"), y("y");
	Func at("at0"), out("butterflies");

	at(x, y) = cast<float>(in(x, y));
	std::vector<Func> steps{at};
	for (int step = 1; step <= 16; step *= 2) {
		Func next("at" + std::to_string(step));

		Expr other = select((x / step) % 2 == 0, x + step, x - step);
		next(x, y) = select((x / step) % 2 == 0, at(x, y) + at(other, y),
				    at(other, y) - at(x, y) * 0.5f);
		steps.push_back(next);
		at = next;
	}
	out(x, y) = at(x, y);
	if (gpu) {
		Var xo("xo"), xi("xi");

		for (Func &s : steps) {
			s.compute_at(out, y);
			s.gpu_threads(s.args()[0]);
		}
		out.bound(x, 0, SIZE).gpu_blocks(y).gpu_threads(x);
	} else {
		for (Func &s : steps)
			s.compute_root();
	}
	return {"butterflies", out, {SIZE, SIZE}};
}

inline std::vector<Pipeline> all(Func in, bool gpu)
{
	return {blur(in, gpu), matmul(in, gpu), histogram(in, gpu), resize(in, gpu), butterflies(in, gpu)};
}

} // namespace pipelines

#endif
