/* SPDX-License-Identifier: MIT */
/*
 * Native code in kernels, for libraries on the simulated GPU (tests/simlibs): a kernel in PTX calls
 * simcuda_native() with the number of what was registered here. So it takes its turn on the GPU,
 * and is captured, as any kernel. Kernels reach nothing but what was registered in this process.
 */
#ifndef PVGPU_SIMCUDA_NATIVE_H
#define PVGPU_SIMCUDA_NATIVE_H

#include <stdbool.h>
#include <stdint.h>

struct simcuda_native {
	/* false: an illegal address, *bad. It may remove itself. */
	bool (*run)(struct simcuda_native *n, uint64_t *bad);
	struct simcuda_native *next;
	uint64_t number; /* what the kernel gives */
};

/* PTX with .visible .entry native(.param .u64 number) */
#define SIMCUDA_NATIVE_PTX                                                                         \
	".version 7.0\n.target sm_50\n.address_size 64\n"                                          \
	".extern .func simcuda_native (.param .b64 number);\n"                                     \
	".visible .entry native(.param .u64 number) {\n.reg .b64 %rd<2>;\n"                        \
	"ld.param.u64 %rd1, [number];\n{\n.param .b64 param0;\nst.param.b64 [param0+0], %rd1;\n"   \
	"call.uni simcuda_native, (param0);\n}\nret;\n}\n"

void simcuda_native_add(struct simcuda_native *n);
void simcuda_native_remove(struct simcuda_native *n);
/* May a kernel use these bytes? */
bool simcuda_reach(uint64_t address, uint64_t bytes, bool write);

#endif
