/* SPDX-License-Identifier: MIT */
/* What 32-bit programs find in LD_AUDIT: pvgpu has no libraries for them, and they need no
 * auditing. */
unsigned int la_version(unsigned int version);

__attribute__((visibility("default"))) unsigned int la_version(unsigned int version)
{
	return 0;
}
