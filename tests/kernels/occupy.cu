/* SPDX-License-Identifier: MIT */
/* Keep the device busy, at nearly no CPU time where the device is simulated. */
#include "device.h"

/* Sleep `naps` times for at most a millisecond, then set a word. */
KERNEL occupy(u32 naps, u32 nanoseconds, u32 *word, u32 value)
{
	for (u32 i = 0; i < naps; i++)
		nap(nanoseconds);
	if (!global_index() && word)
		*word = value;
}
