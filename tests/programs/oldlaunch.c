/* SPDX-License-Identifier: MIT */
/* Launches as before CUDA 4.0: the block's shape and each parameter by a call of its own. */
#include "tests/programs/common.h"

PTX(ptx_vector);

enum { WORDS = 4096 };

int main(void)
{
	const uint32_t seed = 77;
	CUdeviceptr p;
	CUfunction fill;
	CUmodule m;
	CUstream s;
	uint64_t addr;

	start();
	m = load(ptx_vector);
	fill = function(m, "fill");
	p = device_alloc(WORDS * 4);
	addr = p;
	CU(cuStreamCreate(&s, CU_STREAM_NON_BLOCKING));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLaunch(fill));
	WANT(CUDA_ERROR_INVALID_VALUE, cuFuncSetBlockShape(fill, 0, 1, 1));
	CU(cuFuncSetBlockShape(fill, 256, 1, 1));
	CU(cuFuncSetSharedSize(fill, 0));
	CU(cuParamSetv(fill, 0, &addr, sizeof(addr)));
	CU(cuParamSeti(fill, 8, WORDS));
	CU(cuParamSetf(fill, 12, 1.0f));
	CU(cuParamSeti(fill, 12, seed));
	CU(cuParamSetSize(fill, 16));
	WANT(CUDA_ERROR_INVALID_VALUE, cuParamSetSize(fill, 1 << 20));
	WANT(CUDA_ERROR_INVALID_VALUE, cuParamSeti(fill, -4, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuParamSetf(fill, 4094, 1));
	WANT(CUDA_ERROR_INVALID_VALUE, cuParamSetv(fill, 0, &addr, 1 << 20));
	WANT(CUDA_ERROR_INVALID_VALUE, cuLaunchGrid(fill, 0, 1));
	CU(cuLaunchGridAsync(fill, WORDS / 256, 1, s));
	CU(cuStreamSynchronize(s));
	check_filled(p, WORDS, seed, "cuLaunchGridAsync");
	CU(cuParamSeti(fill, 12, seed + 1));
	CU(cuLaunchGrid(fill, WORDS / 256, 1));
	check_filled(p, WORDS, seed + 1, "cuLaunchGrid");
	CU(cuParamSeti(fill, 12, seed + 2));
	CU(cuLaunch(fill));
	check_filled(p, 256, seed + 2, "cuLaunch");
	CU(cuStreamDestroy(s));
	CU(cuMemFree(p));
	CU(cuModuleUnload(m));
	finish();
	puts("oldlaunch: right");
	return 0;
}
