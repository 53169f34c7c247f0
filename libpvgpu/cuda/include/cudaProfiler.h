/* SPDX-License-Identifier: MIT */
/* The driver API's profiler switches (CUDA 13.0); a separate header, as programs expect. */
#ifndef PVGPU_CUDA_PROFILER_H
#define PVGPU_CUDA_PROFILER_H

#include "cuda.h"

typedef enum CUoutput_mode_enum {
	CU_OUT_KEY_VALUE_PAIR = 0,
	CU_OUT_CSV = 1,
} CUoutput_mode;

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)
CUresult CUDAAPI cuProfilerInitialize(const char *config, const char *output, CUoutput_mode mode);
CUresult CUDAAPI cuProfilerStart(void);
CUresult CUDAAPI cuProfilerStop(void);
#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
