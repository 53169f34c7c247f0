/* SPDX-License-Identifier: MIT */
/*
 * cuGetExportTable(): NVIDIA's private tables are not implemented. NVIDIA's CUDA runtime, static or
 * shared, asks for one to make sure that the driver is NVIDIA's; a hint on stderr names the way
 * out.
 */
#include "cuda/core/public.h"

#include <stdatomic.h>
#include <stdio.h>

PUBLIC CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told))
		fputs("pvgpu: this program brings NVIDIA's CUDA runtime (linked in, or a "
		      "libcudart.so of its own), which accepts only NVIDIA's own driver: let it "
		      "load pvgpu's libcudart.so.12 or .13 instead, or link pvgpu's "
		      "libcudart_static.a (docs/cudart.md)\n",
		      stderr);
	if (table)
		*table = NULL;
	return CUDA_ERROR_NOT_SUPPORTED;
}
