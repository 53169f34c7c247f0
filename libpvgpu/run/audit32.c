/* SPDX-License-Identifier: MIT */
/* The library that 32-bit programs find in LD_AUDIT: pvgpu has none for them to put first. */
unsigned int la_version(unsigned int version);

__attribute__((visibility("default"))) unsigned int la_version(unsigned int version)
{
	return 0;
}
