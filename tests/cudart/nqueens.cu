// SPDX-License-Identifier: MIT
/* Queens on a board: each thread searches below one beginning, with a stack in local memory. */
#include "test.h"

enum { N = 8 };

__host__ __device__ inline int search(int first, int second)
{
	int place[N] = {first, second}, row = 1, found = 0;
	bool fits = first != second && first - second != 1 && second - first != 1;

	if (!fits)
		return 0;
	place[++row] = -1;
	while (row >= 2) {
		bool ok = ++place[row] < N;

		if (!ok) {
			row--;
			continue;
		}
		for (int r = 0; ok && r < row; r++) {
			const int d = place[row] - place[r];

			ok = d && d != row - r && d != r - row;
		}
		if (ok && row == N - 1)
			found++;
		else if (ok)
			place[++row] = -1;
	}
	return found;
}

__global__ void boards(int *found)
{
	atomicAdd(found, search(threadIdx.x, blockIdx.x));
}

int main()
{
	both<int> found(1);
	int want = 0;

	found.up();
	boards<<<N, N>>>(found.dev);
	DONE();
	for (int i = 0; i < N * N; i++)
		want += search(i % N, i / N);
	found.same(&want, "boards");
	printf("%d ways for %d queens\n", want, N);
	return 0;
}
