/* SPDX-License-Identifier: MIT */
/*
 * A library that has been taken over tries to get out of its process. Each try and what came of it
 * is a line on standard error; PVGPU_ESCAPE=HOW is that alone, for tries that end the process.
 */
#ifndef PVGPU_TEST_WAYS_OUT_H
#define PVGPU_TEST_WAYS_OUT_H

void ways_out_try(void);

#endif
