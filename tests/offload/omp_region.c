/* SPDX-License-Identifier: MIT */
/* Target regions: scalars in and out, what is private, conditions, nesting in host threads. */
#include <omp.h>

#include "tests/offload/check.h"

static int on_device(void)
{
	int host = 1;

#pragma omp target map(from : host)
	host = omp_is_initial_device();
	return !host;
}

int main(void)
{
	int a = 5, b = 7, c = 0, kept = 1, host = 0, sum = 0;
	char small = 3;
	double d = 1.5;
	float f = 0.25f;

	SAME("devices", omp_get_num_devices(), 1);
	SAME("on the device", on_device(), 1);
#pragma omp target map(tofrom : c)
	c = a * b + small;
	SAME("c", c, 38);
#pragma omp target firstprivate(kept)
	kept = 99;
	SAME("kept", kept, 1);
#pragma omp target map(tofrom : d, f)
	{
		d *= 4;
		f += 1;
	}
	CHECK(d == 6 && f == 1.25f, "d %g, f %g", d, (double)f);
#pragma omp target if (a > 100) map(from : host)
	host = omp_is_initial_device();
	SAME("a false condition stays here", host, 1);
#pragma omp parallel for num_threads(4) reduction(+ : sum)
	for (int i = 0; i < 8; i++) {
		int one = 0;

#pragma omp target map(from : one)
		one = i * i;
		sum += one;
	}
	SAME("from four threads", sum, 140);
	return 0;
}
