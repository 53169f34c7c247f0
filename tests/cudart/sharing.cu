// SPDX-License-Identifier: MIT
/* A process shares memory with its child, in which both add, ordered by events; and memory of a
 * pool. */
#include "test.h"

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { N = 1 << 18, ROUNDS = 4 };

__global__ void add(unsigned *p, unsigned n, unsigned v)
{
	const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;

	if (i < n)
		p[i] = p[i] * 3 + v;
}

struct told {
	cudaIpcMemHandle_t memory;
	cudaIpcEventHandle_t mine, yours;
};

static void pass(int fd, const void *p, size_t n)
{
	CHECK(write(fd, p, n) == (ssize_t)n, "the other process has ended");
}

static void get(int fd, void *p, size_t n)
{
	CHECK(recv(fd, p, n, MSG_WAITALL) == (ssize_t)n, "the other process has ended");
}

/* In turns: the parent's are the even rounds. */
static void rounds(int fd, bool parent, unsigned *p, cudaEvent_t mine, cudaEvent_t yours)
{
	char turn = 0;

	for (unsigned r = 0; r < 2 * ROUNDS; r++) {
		if ((r % 2 == 0) == parent) {
			add<<<N / 256, 256>>>(p, N, r + 1);
			RT(cudaGetLastError());
			RT(cudaEventRecord(mine, 0));
			pass(fd, &turn, 1);
		} else {
			get(fd, &turn, 1);
			RT(cudaStreamWaitEvent(0, yours, 0));
		}
	}
	RT(cudaDeviceSynchronize());
}

static void child(int fd)
{
	cudaEvent_t mine, yours;
	struct told t;
	void *p;

	get(fd, &t, sizeof(t));
	RT(cudaIpcOpenMemHandle(&p, t.memory, cudaIpcMemLazyEnablePeerAccess));
	RT(cudaIpcOpenEventHandle(&mine, t.yours));
	RT(cudaIpcOpenEventHandle(&yours, t.mine));
	rounds(fd, false, (unsigned *)p, mine, yours);
	RT(cudaEventDestroy(mine));
	RT(cudaEventDestroy(yours));
	RT(cudaIpcCloseMemHandle(p));
	WANT(cudaErrorInvalidValue, cudaIpcCloseMemHandle(p));
}

int main()
{
	const unsigned flags = cudaEventDisableTiming | cudaEventInterprocess;
	cudaEvent_t mine, yours;
	struct told t;
	int ends[2], status = -1;
	unsigned want = 0;
	pid_t pid;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "no sockets");
	pid = fork();
	if (!pid) {
		close(ends[0]);
		child(ends[1]);
		return 0;
	}
	close(ends[1]);
	both<unsigned> x(N);
	x.up();
	RT(cudaEventCreateWithFlags(&mine, flags));
	RT(cudaEventCreateWithFlags(&yours, flags));
	RT(cudaIpcGetMemHandle(&t.memory, x.dev));
	RT(cudaIpcGetEventHandle(&t.mine, mine));
	RT(cudaIpcGetEventHandle(&t.yours, yours));
	pass(ends[0], &t, sizeof(t));
	rounds(ends[0], true, x.dev, mine, yours);
	for (unsigned r = 0; r < 2 * ROUNDS; r++)
		want = want * 3 + r + 1;
	x.down();
	for (unsigned i = 0; i < N; i++)
		CHECK(x.host[i] == want, "element %u is %u, not %u", i, x.host[i], want);
	CHECK(waitpid(pid, &status, 0) == pid && !status, "the child ended with %#x", status);
	RT(cudaEventDestroy(mine));
	RT(cudaEventDestroy(yours));
	printf("two processes add in turns: %u\n", want);
	return 0;
}
