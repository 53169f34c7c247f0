// SPDX-License-Identifier: MIT
/* Parameters of kernels: structures, small types, many bytes, and a launch among the arguments of another. */
#include "test.h"

struct big {
	int v[200];
	char c;
	double d;
};

__global__ void take(char a, big b, short s, double *out, float f, bool flag)
{
	double sum = a + s + f + (flag ? 1000 : 0) + b.c + b.d;

	for (int i = 0; i < 200; i++)
		sum += b.v[i];
	*out = sum;
}

__global__ void add(int *p, int n)
{
	*p += n;
}

static int inner(int *p)
{
	int v;

	add<<<1, 1>>>(p, 5); /* between the outer launch's configuration and its call */
	RT(cudaMemcpy(&v, p, sizeof(v), cudaMemcpyDeviceToHost));
	return v;
}

int main()
{
	both<double> out(1);
	both<int> n(1);
	double want = 3 - 7 + 0.5 + 1000 + 9 + 0.25;
	int ten = 10;
	big b = {};

	for (int i = 0; i < 200; i++)
		want += b.v[i] = i * i;
	b.c = 9;
	b.d = 0.25;
	take<<<1, 1>>>(3, b, -7, out.dev, 0.5f, true);
	DONE();
	out.same(&want, "sum of parameters");
	n.up();
	add<<<1, 1>>>(n.dev, inner(n.dev));
	DONE();
	n.same(&ten, "nested launches");
	printf("parameters are right\n");
	return 0;
}
