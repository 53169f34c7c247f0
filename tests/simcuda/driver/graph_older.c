/* SPDX-License-Identifier: MIT */
/* A kernel's node by the structure before CUDA 12. */
#include <string.h>

#include "tests/simcuda/driver/graph.h"

API(cuGraphKernelNodeGetParams, CUgraphNode node, CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	CUDA_KERNEL_NODE_PARAMS wide;

	TRY(cuGraphKernelNodeGetParams_v2(node, p ? &wide : NULL));
	memcpy(p, &wide, sizeof(*p));
	return CUDA_SUCCESS;
}

API(cuGraphKernelNodeSetParams, CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS_v1 *p)
{
	CUDA_KERNEL_NODE_PARAMS wide = {0};

	if (p)
		memcpy(&wide, p, sizeof(*p));
	return cuGraphKernelNodeSetParams_v2(node, p ? &wide : NULL);
}
