// SPDX-License-Identifier: MIT
/* Variables of the device: constant and global, written, read and addressed through their symbols. */
#include "test.h"

__constant__ int weight[16];
__device__ int table[64];
__device__ double started = 2.5;

__global__ void weigh(int *out)
{
	out[threadIdx.x] = weight[threadIdx.x % 16] * table[threadIdx.x];
	if (!threadIdx.x)
		started *= 2;
}

int main()
{
	int w[16], t[64], want[64], back[64];
	both<int> out(64);
	double value;
	void *at;
	size_t bytes;

	for (int i = 0; i < 64; i++)
		t[i] = i * i;
	for (int i = 0; i < 16; i++)
		w[i] = i + 1;
	w[3] = -7;
	for (int i = 0; i < 64; i++)
		want[i] = w[i % 16] * t[i];
	RT(cudaMemcpyToSymbol(weight, w, 8 * sizeof(int)));
	RT(cudaMemcpyToSymbol(weight, w + 8, 8 * sizeof(int), 8 * sizeof(int)));
	RT(cudaMemcpyToSymbol(table, t, sizeof(t)));
	weigh<<<1, 64>>>(out.dev);
	DONE();
	out.same(want, "products");
	RT(cudaMemcpyFromSymbol(&value, started, sizeof(value)));
	CHECK(value == 5.0, "the initialised variable is %g", value);
	RT(cudaGetSymbolSize(&bytes, table));
	CHECK(bytes == sizeof(t), "%zu bytes", bytes);
	RT(cudaGetSymbolAddress(&at, table));
	RT(cudaMemcpy(back, at, sizeof(back), cudaMemcpyDefault));
	CHECK(!memcmp(back, t, sizeof(t)), "the address is of another variable");
	RT(cudaMemcpyToSymbol(table, at, 16, 128, cudaMemcpyDeviceToDevice));
	RT(cudaMemcpyFromSymbol(back, table, 16, 128));
	CHECK(!memcmp(back, t, 16), "a copy inside of a variable");
	WANT(cudaErrorInvalidValue, cudaMemcpyToSymbol(weight, w, sizeof(w), 4));
	WANT(cudaErrorInvalidMemcpyDirection,
	     cudaMemcpyToSymbol(weight, w, 4, 0, cudaMemcpyDeviceToHost));
	WANT(cudaErrorInvalidMemcpyDirection,
	     cudaMemcpyFromSymbol(w, weight, 4, 0, cudaMemcpyHostToDevice));
	WANT(cudaErrorInvalidSymbol, ::cudaGetSymbolAddress(&at, w));
	WANT(cudaErrorInvalidSymbol, cudaGetLastError());
	RT(cudaGetLastError());
	printf("constant and global variables are right\n");
	return 0;
}
