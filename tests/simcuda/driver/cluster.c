/* SPDX-License-Identifier: MIT */
/* The size of a launch's clusters: what the kernel demands, what the caller asks for, what fits. */
#include <string.h>

#include "tests/simcuda/driver/sim.h"

#define PORTABLE 8u /* blocks that each device with clusters takes */

static bool is_given(const uint32_t size[3])
{
	return size[0] || size[1] || size[2];
}

uint32_t cluster_largest(const struct func_settings *s)
{
	if (sim_config.cc < 90)
		return 1;
	return s->any_cluster ? PTX_MAX_CLUSTER : PORTABLE;
}

void cluster_required(const struct ptx_kernel *k, const struct func_settings *s, uint32_t size[3])
{
	for (int i = 0; i < 3; i++)
		size[i] = k->reqcluster[0] ? k->reqcluster[i] : s->cluster[i];
}

CUresult cluster_check(const struct ptx_kernel *k, const struct func_settings *s,
		       const uint32_t grid[3], uint32_t size[3])
{
	uint32_t required[3];
	uint64_t blocks = 1;

	cluster_required(k, s, required);
	if (is_given(required) && is_given(size) && memcmp(size, required, sizeof(required)))
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	if (is_given(required))
		memcpy(size, required, sizeof(required));
	if (!is_given(size))
		return k->explicit_cluster ? CUDA_ERROR_INVALID_CLUSTER_SIZE : CUDA_SUCCESS;
	for (int i = 0; i < 3; i++) {
		if (!size[i] || size[i] > PTX_MAX_CLUSTER || grid[i] % size[i])
			return CUDA_ERROR_INVALID_CLUSTER_SIZE;
		blocks *= size[i];
	}
	if (k->max_cluster && blocks > k->max_cluster)
		return CUDA_ERROR_INVALID_CLUSTER_SIZE;
	return blocks > cluster_largest(s) ? CUDA_ERROR_INVALID_CLUSTER_SIZE : CUDA_SUCCESS;
}

void cluster_apply(struct kernel_op *k, const uint32_t size[3])
{
	const uint64_t blocks = (uint64_t)k->grid[0] * k->grid[1] * k->grid[2];

	memcpy(k->launch.cluster, size, sizeof(k->launch.cluster));
	k->blocks = size[0] ? size[0] * size[1] * size[2] : 1;
	k->total = blocks / k->blocks;
}
