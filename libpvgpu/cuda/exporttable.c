/* SPDX-License-Identifier: MIT */
/*
 * cuGetExportTable(): NVIDIA's private tables are theirs alone. CUDA's own runtime asks for one to
 * make sure that the driver is NVIDIA's; this one is not, and says so.
 */
#include "guest.h"

#include <stdio.h>

PUBLIC CUresult cuGetExportTable(const void **table, const CUuuid *id)
{
	static atomic_flag told = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&told))
		fputs("pvgpu: this program embeds a static CUDA runtime, which accepts NVIDIA's "
		      "own "
		      "driver only; built with -cudart shared it runs\n",
		      stderr);
	if (table)
		*table = NULL;
	return CUDA_ERROR_NOT_SUPPORTED;
}
