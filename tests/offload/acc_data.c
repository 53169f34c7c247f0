/* SPDX-License-Identifier: MIT */
/* Data on the device: regions, enter and exit, updates, calls, pointers of both sides. */
#include <openacc.h>

#include "tests/offload/check.h"

enum { N = 300 };

static int fixed[N];

/* Of variables of a `declare` GCC 12 compiles an update to a call without any: those stay as they
 * are, on each kind of device. */
static void check_static(void)
{
	for (int i = 0; i < N; i++)
		fixed[i] = i;
#pragma acc enter data create(fixed)
#pragma acc update device(fixed)
#pragma acc parallel loop present(fixed)
	for (int i = 0; i < N; i++)
		fixed[i] += 100;
	fixed[7] = 0;
#pragma acc update self(fixed)
	SAME("fixed[0]", fixed[0], 100);
	SAME("fixed[7]", fixed[7], 107);
	SAME("fixed[299]", fixed[N - 1], 399);
#pragma acc exit data delete (fixed)
}

int main(void)
{
	int a[N], b[N], *p;

	for (int i = 0; i < N; i++)
		a[i] = i;
#pragma acc data copyin(a) copyout(b)
	{
#pragma acc parallel loop present(a, b)
		for (int i = 0; i < N; i++)
			b[i] = a[i] + 1;
#pragma acc parallel loop present(b)
		for (int i = 0; i < N; i++)
			b[i] *= 2;
	}
	SAME("b[299]", b[N - 1], 600);
#pragma acc enter data copyin(a)
	SAME("present", acc_is_present(a, sizeof(a)) != 0, 1);
	a[0] = 50;
#pragma acc update device(a [0:1])
#pragma acc parallel loop present(a)
	for (int i = 0; i < N; i++)
		a[i] += 1;
#pragma acc update self(a [0:2])
	SAME("a[0]", a[0], 51);
	SAME("a[2] is not updated", a[2], 2);
#pragma acc exit data copyout(a)
	SAME("a[2]", a[2], 3);
	SAME("gone", acc_is_present(a, sizeof(a)) == 0, 1);
	p = acc_malloc(sizeof(a));
	acc_memcpy_to_device(p, a, sizeof(a));
#pragma acc parallel loop deviceptr(p)
	for (int i = 0; i < N; i++)
		p[i] = -p[i];
	acc_memcpy_from_device(b, p, sizeof(a));
	acc_free(p);
	SAME("b[2]", b[2], -3);
	check_static();
	return 0;
}
