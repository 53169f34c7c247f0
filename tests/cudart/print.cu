// SPDX-License-Identifier: MIT
/* printf of a kernel arrives at a synchronising call. */
#include "test.h"

__global__ void tell(int n, double x)
{
	if (threadIdx.x == 0)
		printf("block %d of %d: %.3f\n", (int)blockIdx.x, n, x * blockIdx.x);
}

int main()
{
	for (int i = 1; i <= 2; i++) {
		tell<<<1, 32>>>(i, 0.5);
		DONE();
	}
	fflush(stdout);
	return 0;
}
