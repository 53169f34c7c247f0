/* SPDX-License-Identifier: MIT */
/* Defects for valgrind to report: a leak, a branch on an uninitialised value, a file left open. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static __attribute__((noinline)) void leave_open(void)
{
	if (open("/dev/null", O_RDONLY | O_CLOEXEC) < 0)
		perror("/dev/null");
}

static __attribute__((noinline)) void leak(void)
{
	char *volatile p = malloc(100);

	if (p)
		p[0] = 1;
	p = NULL;
}

static __attribute__((noinline)) void decide(void)
{
	int *volatile p = malloc(sizeof(*p));

	if (p && *p == 7)
		puts("seven");
	free(p);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "fd"))
		leave_open();
	else if (!strcmp(what, "leak"))
		leak();
	else if (!strcmp(what, "error"))
		decide();
	return 0;
}
