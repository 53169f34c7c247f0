/* SPDX-License-Identifier: MIT */
/* Data maps: directions, sections, structures with pointers, regions of data and updates. */
#include <omp.h>
#include <string.h>

#include "tests/offload/check.h"

enum { N = 100 };

struct list {
	int count;
	int *at;
};

static void directions(void)
{
	int in[N], out[N], both[N], scratch[N], sum = 0;

	for (int i = 0; i < N; i++) {
		in[i] = i;
		both[i] = 2 * i;
		out[i] = -1;
	}
#pragma omp target map(to : in) map(from : out) map(tofrom : both) map(alloc : scratch)
	{
		for (int i = 0; i < N; i++)
			scratch[i] = in[i] + both[i];
		for (int i = 0; i < N; i++) {
			out[i] = scratch[i];
			both[i] = -i;
			in[i] = 77;
		}
	}
	for (int i = 0; i < N; i++)
		sum += (out[i] == 3 * i) + (both[i] == -i) + (in[i] == i);
	SAME("as mapped", sum, 3 * N);
}

static void sections(void)
{
	int *p = malloc(N * sizeof(*p)), sum = 0;

	for (int i = 0; i < N; i++)
		p[i] = 1;
#pragma omp target map(tofrom : p [10:20])
	for (int i = 10; i < 30; i++)
		p[i] += 5;
	for (int i = 0; i < N; i++)
		sum += p[i];
	SAME("a section", sum, N + 100);
	free(p);
}

static void structures(void)
{
	struct list l = {.count = N, .at = calloc(N, sizeof(int))};
	int sum = 0;

#pragma omp target map(to : l) map(tofrom : l.at [0:N])
	for (int i = 0; i < l.count; i++)
		l.at[i] = i;
	for (int i = 0; i < N; i++)
		sum += l.at[i];
	SAME("behind a pointer", sum, N * (N - 1) / 2);
	free(l.at);
}

static void regions(void)
{
	int v[N], seen = 0;

	memset(v, 0, sizeof(v));
#pragma omp target data map(tofrom : v)
	{
		for (int round = 0; round < 3; round++)
#pragma omp target
			for (int i = 0; i < N; i++)
				v[i] += i;
		seen = v[5];
#pragma omp target update from(v [5:1])
		SAME("before and after the update", seen * 1000 + v[5], 15);
		v[6] = 1000;
#pragma omp target update to(v [6:1])
	}
	SAME("v[6]", v[6], 1000);
	SAME("v[99]", v[99], 297);
#pragma omp target enter data map(to : v)
	SAME("present", omp_target_is_present(v, omp_get_default_device()) != 0, 1);
	v[1] = -1;
#pragma omp target map(always, to : v [1:1])
	v[2] = v[1];
#pragma omp target exit data map(from : v)
	SAME("v[2]", v[2], -1);
	SAME("no longer present", omp_target_is_present(v, omp_get_default_device()) == 0, 1);
#pragma omp target enter data map(to : v)
#pragma omp target exit data map(delete : v)
	SAME("deleted", omp_target_is_present(v, omp_get_default_device()) == 0, 1);
}

int main(void)
{
	directions();
	sections();
	structures();
	regions();
	return 0;
}
