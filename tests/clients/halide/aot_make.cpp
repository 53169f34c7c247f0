// SPDX-License-Identifier: MIT
// Compiles each pipeline ahead of time: a library and a header for the GPU, and one for the CPU.
#include "pipelines.h"

using namespace Halide;

int main(int argc, char **argv)
{
	const std::string folder = argc > 1 ? argv[1] : ".";
	/* an argument names another one, as for an older processor */
	const Target host = argc > 2 ? Target(argv[2]) : get_host_target();
	const Target gpu = host.with_feature(Target::CUDA).with_feature(Target::CUDACapability50);

	for (int on_gpu = 0; on_gpu < 2; on_gpu++) {
		ImageParam image(UInt(8), 2, "image");
		Func in = BoundaryConditions::repeat_edge(image);

		for (pipelines::Pipeline &p : pipelines::all(in, on_gpu)) {
			const std::string name = p.name + (on_gpu ? "_gpu" : "_cpu");

			p.out.compile_to_static_library(folder + "/" + name, {image}, name,
							(on_gpu ? gpu : host).with_feature(Target::NoRuntime));
		}
	}
	compile_standalone_runtime(folder + "/runtime.o", gpu);
	return 0;
}
