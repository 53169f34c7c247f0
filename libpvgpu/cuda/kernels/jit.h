/* SPDX-License-Identifier: MIT */
/* Options of the compiler and the linker: jit.c. */
#ifndef PVGPU_CUDA_KERNELS_JIT_H
#define PVGPU_CUDA_KERNELS_JIT_H

#include "cuda/core/public.h"

#include <stdint.h>

#include "pvgpu_wire.h"

enum { JIT_SCALARS_MAX = 64, JIT_LOG_MAX = 4096 }; /* limits of the protocol */

/* The application's options: scalars are sent to the worker, log buffers are filled here. */
struct jit {
	struct pvgpu_jit_option scalar[JIT_SCALARS_MAX];
	uint32_t scalars;
	char *info, *error; /* the application's buffers */
	uint32_t info_size, error_size;
	uint32_t info_len, error_len; /* bytes of log received */
	void **info_size_value, **error_size_value, **wall_time_value;
	float wall_time;
};
int jit_parse(unsigned int n, const CUjit_option *options, void **values, struct jit *jit);
/* The compute capability to load for; 0 when the application names another target. */
unsigned int jit_sm(const struct jit *jit, int device);
/* Bytes of log to ask for when the application's buffer has this size. */
uint32_t jit_log_room(uint32_t size);
/* Write the logs' lengths and the time back into the application's values. */
void jit_finish(struct jit *jit);

#endif
