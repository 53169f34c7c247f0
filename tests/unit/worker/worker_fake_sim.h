/* SPDX-License-Identifier: MIT */
/* A session on the simulated GPU, for tests that are linked with far.c and have SIMCUDA. */
#ifndef PVGPU_TESTS_WORKER_FAKE_SIM_H
#define PVGPU_TESTS_WORKER_FAKE_SIM_H

#include <check.h>

#include "tests/unit/worker/worker_fake.h"

static inline struct worker *fake_open_sim(struct far *far)
{
	char reason[160];

	ck_assert_int_eq(far_load(far, SIMCUDA, reason, sizeof(reason)), 0);
	ck_assert_int_eq(far->cuInit(0), 0);
	ck_assert_int_eq(far->cuDeviceGet(&far->dev, 0), 0);
	ck_assert_int_eq(far->cuDriverGetVersion(&far->driver_version), 0);
	return fake_open_on(far);
}

#endif
