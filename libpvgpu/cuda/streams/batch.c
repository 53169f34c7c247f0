/* SPDX-License-Identifier: MIT */
/* The rules of batches of any kind: for their stream, and for groups of elements. */
#include "cuda/core/init.h"
#include "cuda/core/public.h"
#include "cuda/core/target.h"
#include "cuda/streams/batch.h"

bool batch_groups(const size_t *first, size_t groups, size_t count)
{
	if (!first || !groups || groups > count || first[0])
		return false;
	for (size_t i = 1; i < groups; i++)
		if (first[i] <= first[i - 1] || first[i] >= count)
			return false;
	return true;
}

int batch_enter(CUstream stream, bool per_thread, struct target *t)
{
	const bool legacy = stream == CU_STREAM_LEGACY || (!stream && !per_thread);
	const int r = guest_enter();

	return !r && legacy ? CUDA_ERROR_INVALID_VALUE : stream_enter(stream, per_thread, t);
}
