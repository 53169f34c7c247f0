// SPDX-License-Identifier: MIT
/* Memory that kernels allocate and free themselves. */
#include "test.h"

struct node {
	node *next;
	int v;
};

__device__ node *lists[64];

__global__ void build()
{
	node *head = NULL;

	for (int i = 0; i < 5; i++) {
		node *n = (node *)malloc(sizeof(node));

		if (!n)
			return;
		n->next = head;
		n->v = (int)threadIdx.x * 10 + i;
		head = n;
	}
	lists[threadIdx.x] = head;
}

__global__ void take(int *sum)
{
	node *n = lists[threadIdx.x];

	sum[threadIdx.x] = 0;
	while (n) {
		node *next = n->next;

		sum[threadIdx.x] += n->v;
		free(n);
		n = next;
	}
}

int main()
{
	both<int> sum(64);
	int want[64];
	size_t bytes;

	RT(cudaDeviceSetLimit(cudaLimitMallocHeapSize, 4 << 20));
	RT(cudaDeviceGetLimit(&bytes, cudaLimitMallocHeapSize));
	CHECK(bytes >= 4 << 20, "a heap of %zu bytes", bytes);
	for (int i = 0; i < 64; i++)
		want[i] = i * 50 + 10;
	build<<<1, 64>>>();
	take<<<1, 64>>>(sum.dev);
	DONE();
	sum.same(want, "a list's sum");
	printf("lists are right\n");
	return 0;
}
