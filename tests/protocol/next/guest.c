/* SPDX-License-Identifier: MIT */
/* The guest library's half of the next version's new call. */
#include "libpvgpu/cuda/core/context.h"
#include "libpvgpu/cuda/core/init.h"
#include "libpvgpu/cuda/core/public.h"
#include "pvgpu_stubs.h"

PUBLIC CUresult pvgpuNextEcho(uint64_t value, uint64_t *out);
PUBLIC CUresult pvgpuNextEcho(uint64_t value, uint64_t *out)
{
	struct ctx *c;
	const int r = ctx_enter(&c);

	return r ? r : pvgpu_do_next_echo(session(), value, out);
}
