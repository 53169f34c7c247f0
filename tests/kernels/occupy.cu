/* SPDX-License-Identifier: MIT */
/* Keep the device, and nearly no processor where the device is a simulated one. */
#include "device.h"

/* So many naps of at most a millisecond, then a word is set. */
KERNEL occupy(u32 naps, u32 nanoseconds, u32 *word, u32 value)
{
	for (u32 i = 0; i < naps; i++)
		nap(nanoseconds);
	if (!global_index() && word)
		*word = value;
}
