/* SPDX-License-Identifier: MIT */
/*
 * watch FILE: looks at the simulated GPU's account every millisecond. At each byte on standard
 * input it prints, since the byte before: how much later than it wanted it was woken, at most
 * (microseconds), then for each living process its pid, its GPU time up to now (nanoseconds), the
 * kernels that it has started up to now, and the longest time in which it had none of the GPU
 * (microseconds), and last an empty line.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/simcuda/simgpu.h"

#define EVERY_NS 1000000u

struct seen {
	uint32_t pid;
	uint64_t compute, at, longest;
};

static struct seen seen[SIMGPU_SLOTS];
static uint64_t late;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static const struct simgpu *map(const char *path)
{
	const struct simgpu *g;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	g = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*g), PROT_READ, MAP_SHARED, fd, 0);
	if (g == MAP_FAILED || g->magic != SIMGPU_MAGIC || g->version != SIMGPU_VERSION) {
		fprintf(stderr, "watch: %s: not a simulated GPU of this version\n", path);
		exit(1);
	}
	close(fd);
	return g;
}

static void look(const struct simgpu *g)
{
	uint64_t now = now_ns();

	for (unsigned int i = 0; i < SIMGPU_SLOTS; i++) {
		const struct simgpu_process *p = &g->slot[i];
		uint64_t compute = simgpu_compute(p, now);
		struct seen *s = &seen[i];

		if (s->pid != p->pid)
			*s = (struct seen){.pid = p->pid, .at = now};
		if (now - s->at > s->longest)
			s->longest = now - s->at;
		if (compute != s->compute)
			s->at = now;
		s->compute = compute;
	}
}

static void report(const struct simgpu *g)
{
	printf("%.1f\n", (double)late * 1e-3);
	late = 0;
	for (unsigned int i = 0; i < SIMGPU_SLOTS; i++) {
		if (!simgpu_alive(&g->slot[i]))
			continue;
		printf("%u %" PRIu64 " %" PRIu64 " %.1f\n", seen[i].pid, seen[i].compute,
		       simgpu_load64(&g->slot[i].launches), (double)seen[i].longest * 1e-3);
		seen[i].longest = 0;
		seen[i].at = now_ns();
	}
	putchar('\n');
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct pollfd in = {.fd = 0, .events = POLLIN};
	const struct timespec nap = {.tv_nsec = EVERY_NS};
	const struct simgpu *g;
	uint64_t before, took;
	char byte;

	if (argc != 2) {
		fprintf(stderr, "usage: watch FILE\n");
		return 2;
	}
	g = map(argv[1]);
	for (;;) {
		before = now_ns();
		clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL);
		took = now_ns() - before;
		if (took > EVERY_NS && took - EVERY_NS > late)
			late = took - EVERY_NS;
		look(g);
		if (poll(&in, 1, 0) != 1)
			continue;
		if (read(0, &byte, 1) != 1)
			return 0;
		report(g);
	}
}
