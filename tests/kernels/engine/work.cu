/* SPDX-License-Identifier: MIT */
/* The functions of work.h, another one for each thread, so that a warp diverges. */
#include "../device.h"

#define WORK static __device__
#include "work.h"

KERNEL work(u32 *out, u32 n)
{
	for (u32 i = global_index(); i < n; i += global_count())
		out[i] = all_work(i % WORK_COUNT, i / WORK_COUNT);
}

KERNEL same_work(u32 *out, u32 n, u32 which)
{
	for (u32 i = global_index(); i < n; i += global_count())
		out[i] = all_work(which, i);
}
