/* SPDX-License-Identifier: MIT */
/* Threads of one team: barriers, single, master, critical, sections, several regions in turn. */
#include <omp.h>

#include "tests/offload/check.h"

int main(void)
{
	int threads = 0, seen[64] = {0}, single = 0, critical = 0, wrong = 0, parts[3] = {0};

#pragma omp target parallel num_threads(8) map(tofrom : threads, seen, single, critical, wrong)
	{
		int me = omp_get_thread_num();

		seen[me]++;
#pragma omp master
		threads = omp_get_num_threads();
#pragma omp barrier
		if (threads != omp_get_num_threads()) {
#pragma omp atomic
			wrong++;
		}
#pragma omp single
		single++;
#pragma omp critical
		critical++;
	}
	CHECK(threads >= 1 && threads <= 8, "%d threads", threads);
	for (int i = 0; i < threads; i++)
		CHECK(seen[i] == 1, "thread %d ran %d times", i, seen[i]);
	SAME("wrong", wrong, 0);
	SAME("single", single, 1);
	SAME("critical is as many as threads", critical == threads, 1);
#pragma omp target map(tofrom : parts)
	{
#pragma omp parallel sections
		{
#pragma omp section
			parts[0] = 1;
#pragma omp section
			parts[1] = 2;
#pragma omp section
			parts[2] = 3;
		}
#pragma omp parallel for schedule(dynamic, 1)
		for (int i = 0; i < 3; i++)
			parts[i] *= 10;
	}
	SAME("parts", parts[0] + parts[1] + parts[2], 60);
	return 0;
}
