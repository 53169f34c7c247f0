/* SPDX-License-Identifier: MIT */
#include "link/runtime.h"

/* CUresult's values as ranges, ascending (CUDA 13.0; a test compares them with the header's). */
static const struct {
	int16_t first, last;
} known[] = {
	{0, 8},     {34, 34},   {36, 36},   {46, 46},   {100, 102},
	{200, 202}, {205, 226}, {300, 304}, {400, 402}, {500, 500},
	{600, 600}, {700, 705}, {708, 721}, {800, 812}, {900, 916},
};

int pvgpu_result_check(int32_t result)
{
	if (pvgpu_likely(result == 0))
		return 0;
	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (result >= known[i].first && result <= known[i].last)
			return result;
	return 999; /* CUDA_ERROR_UNKNOWN */
}

int pvgpu_result_of(uint32_t library, int32_t result)
{
	if (library && result > 0 && (uint32_t)result >> 16 == library && result & 0xffff)
		return result;
	return pvgpu_result_check(result);
}
