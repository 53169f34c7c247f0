/* SPDX-License-Identifier: MIT */
/*
 * Options of a load. Values are an array of void *: a number is stored in the pointer itself, and
 * results are written there. Buffers stay in the guest; only numbers are sent to the worker.
 */
#include "cuda/core/device.h"
#include "cuda/core/public.h"
#include "cuda/kernels/jit.h"

#include "pvgpu_wire.h"

static uint32_t as_number(void *const *value)
{
	return (uint32_t)(uintptr_t)*value;
}

/* Options whose value is a number that is sent to the worker. */
static bool is_scalar(CUjit_option option)
{
	switch (option) {
	case CU_JIT_MAX_REGISTERS:
	case CU_JIT_THREADS_PER_BLOCK:
	case CU_JIT_OPTIMIZATION_LEVEL:
	case CU_JIT_TARGET_FROM_CUCONTEXT:
	case CU_JIT_TARGET:
	case CU_JIT_FALLBACK_STRATEGY:
	case CU_JIT_GENERATE_DEBUG_INFO:
	case CU_JIT_LOG_VERBOSE:
	case CU_JIT_GENERATE_LINE_INFO:
	case CU_JIT_CACHE_MODE:
	case CU_JIT_NEW_SM3X_OPT:
	case CU_JIT_FAST_COMPILE:
	case CU_JIT_LTO:
	case CU_JIT_FTZ:
	case CU_JIT_PREC_DIV:
	case CU_JIT_PREC_SQRT:
	case CU_JIT_FMA:
	case CU_JIT_OPTIMIZE_UNUSED_DEVICE_VARIABLES:
	case CU_JIT_POSITION_INDEPENDENT_CODE:
	case CU_JIT_MIN_CTA_PER_SM:
	case CU_JIT_MAX_THREADS_PER_BLOCK:
	case CU_JIT_OVERRIDE_DIRECTIVE_VALUES:
	case CU_JIT_SPLIT_COMPILE:
		return true;
	default:
		return false;
	}
}

static int parse_one(CUjit_option option, void **value, struct jit *jit)
{
	switch (option) {
	case CU_JIT_WALL_TIME:
		jit->wall_time_value = value;
		return 0;
	case CU_JIT_INFO_LOG_BUFFER:
		jit->info = *value;
		return 0;
	case CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES:
		jit->info_size = as_number(value);
		jit->info_size_value = value;
		return 0;
	case CU_JIT_ERROR_LOG_BUFFER:
		jit->error = *value;
		return 0;
	case CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES:
		jit->error_size = as_number(value);
		jit->error_size_value = value;
		return 0;
	default:
		break;
	}
	if (!is_scalar(option))
		return CUDA_ERROR_INVALID_VALUE;
	if (jit->scalars == JIT_SCALARS_MAX)
		return CUDA_ERROR_INVALID_VALUE;
	jit->scalar[jit->scalars++] =
		(struct pvgpu_jit_option){.id = option, .value = as_number(value)};
	return 0;
}

int jit_parse(unsigned int n, const CUjit_option *options, void **values, struct jit *jit)
{
	int r;

	jit->scalars = 0;
	jit->info = jit->error = NULL;
	jit->info_size = jit->error_size = jit->info_len = jit->error_len = 0;
	jit->info_size_value = jit->error_size_value = jit->wall_time_value = NULL;
	jit->wall_time = 0;
	if (n && (!options || !values))
		return CUDA_ERROR_INVALID_VALUE;
	for (unsigned int i = 0; i < n; i++) {
		r = parse_one(options[i], &values[i], jit);
		if (r)
			return r;
	}
	if (!jit->info)
		jit->info_size = 0;
	if (!jit->error)
		jit->error_size = 0;
	return 0;
}

unsigned int jit_sm(const struct jit *jit, int device)
{
	for (uint32_t i = 0; i < jit->scalars; i++)
		if (jit->scalar[i].id == CU_JIT_TARGET)
			return 0;
	return (unsigned int)(10 * device_value(device,
						CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR) +
			      device_value(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR));
}

uint32_t jit_log_room(uint32_t size)
{
	if (!size)
		return 0;
	return size - 1 < JIT_LOG_MAX ? size - 1 : JIT_LOG_MAX;
}

void jit_finish(struct jit *jit)
{
	if (jit->info_size)
		jit->info[jit->info_len] = 0;
	if (jit->error_size)
		jit->error[jit->error_len] = 0;
	if (jit->info_size_value)
		*jit->info_size_value = (void *)(uintptr_t)jit->info_len;
	if (jit->error_size_value)
		*jit->error_size_value = (void *)(uintptr_t)jit->error_len;
	if (jit->wall_time_value)
		*(float *)(void *)jit->wall_time_value = jit->wall_time;
}
