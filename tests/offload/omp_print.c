/* SPDX-License-Identifier: MIT */
/* What the device prints comes out, in the order of one thread. */
#include "tests/offload/check.h"

int main(void)
{
	const char *const name = "world";

	printf("before\n");
	fflush(stdout);
#pragma omp target map(to : name [0:6])
	{
		printf("hello %d %s %c %5.2f\n", 42, "text", 'x', 3.14159);
		printf("%lld %lx %%\n", 1LL << 40, 0xabcdefUL);
		printf("%s\n", name);
	}
	printf("after\n");
	return 0;
}
