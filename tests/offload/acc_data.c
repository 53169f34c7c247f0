/* SPDX-License-Identifier: MIT */
/* Data on the device: regions, enter and exit, updates, calls, pointers of both sides. */
#include <openacc.h>

#include "tests/offload/check.h"

enum { N = 300 };

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
	return 0;
}
