/* SPDX-License-Identifier: MIT */
/* The common part of libraries that only have to be there. A *.api beside this describes each. */
#ifndef PVGPU_PRESENT_H
#define PVGPU_PRESENT_H

/* No header here declares the calls that these libraries export: programs have NVIDIA's. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* Of the library that is built: generated. */
extern const struct present_library {
	const char *soname;
	int version; /* the soname's */
	long refusal;
	const char *refusal_name;
} present_library;

/* The number that a refused call returns. The first one in a library is said on stderr. */
long present_refuse(const char *call);

#endif
