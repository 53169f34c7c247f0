/* SPDX-License-Identifier: MIT */
/* Device printf through the compiler's own lowering of a variable argument list. */
#include "../device.h"

KERNEL talk(u32 n)
{
	u32 t = threadIdx.x;

	if (t >= n)
		return;
	printf("thread %u: %d %5.2f %s %c %llx %p|%-6d|%06d|%+d|%#x|%e|%%\n", t, -(int)t, t * 0.5,
	       t & 1 ? "odd" : "even", 'a' + t, 0x123456789abcull + t, (void *)(u64)(t * 16), (int)t,
	       (int)t * 7, (int)t, t + 16, t * 1000.0);
}

KERNEL checked(u32 limit)
{
	device_assert(threadIdx.x < limit);
}
