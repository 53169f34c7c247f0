/* SPDX-License-Identifier: MIT */
/* How long randomised tests take: PVGPU_STRESS times as long as usual. */
#ifndef PVGPU_TEST_STRESS_H
#define PVGPU_TEST_STRESS_H

#include <stdlib.h>

static inline unsigned long stress(unsigned long usual)
{
	const char *text = getenv("PVGPU_STRESS");
	double n = text ? (double)usual * atof(text) : (double)usual;

	return n < 1 ? 1 : (unsigned long)n;
}

#endif
