/* SPDX-License-Identifier: MIT */
#include "present/present.h"

#include <stdatomic.h>
#include <stdio.h>

long present_refuse(const char *call)
{
	static atomic_flag said = ATOMIC_FLAG_INIT;

	if (!atomic_flag_test_and_set(&said))
		fprintf(stderr,
			"pvgpu: %s: %s is not served (%s), nor is most of this library: see "
			"pvgpu's docs/libraries.md for what is\n",
			present_library.soname, call, present_library.refusal_name);
	return present_library.refusal;
}
