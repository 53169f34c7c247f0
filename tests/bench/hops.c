/* SPDX-License-Identifier: MIT */
/* The floor of a hand-over: processes that sleep and wake each other one after the other. */
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/pvbench.h"

enum { HOPS_MOST = 16, ROUNDS = 400, REST_US = 500 };

/* Waits for its eventfd, rings the next one. */
static void pass_on(int own, int next)
{
	uint64_t one = 1, got;

	for (int i = 0; i < ROUNDS; i++)
		if (read(own, &got, sizeof(got)) != sizeof(got) ||
		    write(next, &one, sizeof(one)) != sizeof(one))
			_exit(1);
	_exit(0);
}

void bench_hops(uint32_t hops)
{
	const struct timespec rest = {.tv_nsec = REST_US * 1000};
	uint64_t one = 1, got, begun;
	int fd[HOPS_MOST + 1];
	double v[ROUNDS];

	if (hops < 1 || hops > HOPS_MOST)
		exit(2);
	for (uint32_t i = 0; i <= hops; i++)
		fd[i] = eventfd(0, EFD_CLOEXEC);
	for (uint32_t i = 0; i < hops; i++)
		if (fork() == 0)
			pass_on(fd[i], fd[i + 1]);
	for (int i = 0; i < ROUNDS; i++) {
		/* As beside a kernel: the processors have gone to sleep. */
		clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
		begun = now_ns();
		if (write(fd[0], &one, sizeof(one)) != sizeof(one) ||
		    read(fd[hops], &got, sizeof(got)) != sizeof(got))
			exit(1);
		/* The last wake-up is this process's. */
		v[i] = (double)(now_ns() - begun) / (hops + 1);
	}
	while (wait(NULL) > 0)
		;
	qsort(v, ROUNDS, sizeof(v[0]), by_value);
	printf("hop_us %.2f\n", v[ROUNDS / 2] * 1e-3);
	printf("hop_p90_us %.2f\n", v[ROUNDS * 9 / 10] * 1e-3);
}
