// SPDX-License-Identifier: MIT
/* A child of fork() that used no CUDA before may use it; one whose parent did may not. */
#include "test.h"

#include <sys/wait.h>
#include <unistd.h>

__global__ void set(int *p, int v)
{
	*p = v;
}

static void use(int v)
{
	both<int> x(1);

	set<<<1, 1>>>(x.dev, v);
	DONE();
	x.same(&v, "a number");
}

static int in_child(void (*run)())
{
	const pid_t pid = fork();
	int status = -1;

	if (!pid) {
		run();
		_exit(0);
	}
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid, "no child");
	return status;
}

int main()
{
	CHECK(!in_child([] { use(1); }), "a child before the parent's first call");
	use(2);
	CHECK(!in_child([] {
		void *p;

		WANT(cudaErrorInitializationError, ::cudaMalloc(&p, 16));
		set<<<1, 1>>>(NULL, 0);
		WANT(cudaErrorInitializationError, cudaGetLastError());
	}),
	      "a child after it");
	use(3);
	printf("children are right\n");
	return 0;
}
