/* SPDX-License-Identifier: MIT */
/* Output, and every kind of fault of a kernel. */
#include "device.h"

KERNEL hello(u32 n)
{
	if (global_index() < n)
		printf("thread %u of block %u: %d %s %.3f %llx\n", (u32)threadIdx.x, (u32)blockIdx.x,
		       -(int)global_index(), global_index() & 1 ? "odd" : "even",
		       global_index() * 0.25, (u64)global_index() << 36);
}

KERNEL say(u32 value)
{
	if (!global_index())
		printf("%%%5u|%-5d|%05d|%c|%x|%X|%o|%e|%g|%s|%ld|%+.1f|%#x\n", value, -7, 42, 'x', 0xbeefu,
		       0xcafeu, 8u, 12345.678, 0.0001, "text", 1234567890123l, 2.25, 255u);
}

KERNEL check_even(const u32 *p, u32 n)
{
	u32 i = global_index();

	if (i < n)
		device_assert(p[i] % 2 == 0);
}

KERNEL write_word(u32 *p, u32 value)
{
	if (!global_index())
		*p = value;
}

KERNEL read_word(const u32 *p, u32 *out)
{
	if (!global_index())
		*out = *p;
}

KERNEL give_up(u32 when)
{
	if (global_index() == when)
		trap();
}

KERNEL nothing()
{
}

/* Never ends, and uses nearly no CPU time where the device is simulated. */
KERNEL endless(volatile u32 *stop)
{
	while (!*stop)
		nap(500000);
}
