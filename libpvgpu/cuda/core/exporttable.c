/* SPDX-License-Identifier: MIT */
/*
 * cuGetExportTable(): NVIDIA's private tables are not implemented. A static CUDA runtime asks for
 * one to make sure that the driver is NVIDIA's; a hint on stderr names the way out.
 */
#include "cuda/core/guest.h"

#include <stdio.h>

PUBLIC CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told))
		fputs("pvgpu: this program contains a static CUDA runtime, which accepts only "
		      "NVIDIA's own driver: build it with nvcc -cudart shared\n",
		      stderr);
	if (table)
		*table = NULL;
	return CUDA_ERROR_NOT_SUPPORTED;
}
