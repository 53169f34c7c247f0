/* SPDX-License-Identifier: MIT */
/*
 * cuGetExportTable(): NVIDIA's private tables are not implemented. NVIDIA's CUDA runtime, static or
 * shared, asks for one to make sure that the driver is NVIDIA's; a hint on stderr names the way
 * out.
 */
#include "cuda/core/public.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>

PUBLIC CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;
	Dl_info in;

	if (!atomic_flag_test_and_set(&told))
		fprintf(stderr,
			"pvgpu: %s is, or has in it, NVIDIA's CUDA runtime, which accepts only "
			"NVIDIA's own driver: let it load pvgpu's libcudart.so.12 or .13 instead, "
			"or link pvgpu's libcudart_static.a (docs/cudart.md)\n",
			dladdr(__builtin_return_address(0), &in) && in.dli_fname ? in.dli_fname
										 : "this program");
	if (table)
		*table = NULL;
	return CUDA_ERROR_NOT_SUPPORTED;
}
