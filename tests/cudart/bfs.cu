// SPDX-License-Identifier: MIT
/* Breadth-first search by levels over a graph in compressed rows. */
#include "test.h"

__global__ void level(const int *row, const int *col, int *depth, int nodes, int at, int *found)
{
	const int n = blockIdx.x * blockDim.x + threadIdx.x;

	if (n >= nodes || depth[n] != at)
		return;
	for (int e = row[n]; e < row[n + 1]; e++)
		if (depth[col[e]] < 0) {
			depth[col[e]] = at + 1; /* every writer writes the same */
			*found = 1;
		}
}

int main()
{
	const int nodes = 5000, degree = 4;
	both<int> row(nodes + 1), col(nodes * degree), depth(nodes), found(1);
	int *want = (int *)malloc(nodes * sizeof(int)), *queue = (int *)malloc(nodes * sizeof(int));
	int head = 0, tail = 0, levels = 0;
	uint64_t seed = 13;

	for (int n = 0; n <= nodes; n++)
		row.host[n] = n * degree;
	for (int e = 0; e < nodes * degree; e++) /* mostly near: several levels */
		col.host[e] = (int)((e / degree + 1 + next_random(&seed) % (e % 97 ? 20 : 900)) % nodes);
	for (int n = 0; n < nodes; n++)
		want[n] = depth.host[n] = -1;
	want[0] = depth.host[0] = 0;
	for (queue[tail++] = 0; head < tail; head++)
		for (int e = row.host[queue[head]]; e < row.host[queue[head] + 1]; e++)
			if (want[col.host[e]] < 0) {
				want[col.host[e]] = want[queue[head]] + 1;
				queue[tail++] = col.host[e];
			}
	row.up();
	col.up();
	depth.up();
	do {
		found.host[0] = 0;
		found.up();
		level<<<(nodes + 127) / 128, 128>>>(row.dev, col.dev, depth.dev, nodes, levels++,
						    found.dev);
		DONE();
		found.down();
	} while (found.host[0]);
	depth.same(want, "depth");
	printf("%d nodes in %d levels\n", tail, levels);
	free(want);
	free(queue);
	return 0;
}
