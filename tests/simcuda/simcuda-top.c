/* SPDX-License-Identifier: MIT */
/* simcuda-top [FILE]: the processes that use the simulated GPU, from its shared file (simgpu.h). */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/simcuda/simgpu.h"

static const struct simgpu *map(const char *path)
{
	const struct simgpu *g;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "simcuda-top: %s: %s\n", path, strerror(errno));
		return NULL;
	}
	g = (size_t)st.st_size == sizeof(*g) ? mmap(NULL, sizeof(*g), PROT_READ, MAP_SHARED, fd, 0)
					     : MAP_FAILED;
	close(fd);
	if (g == MAP_FAILED || g->magic != SIMGPU_MAGIC || g->version != SIMGPU_VERSION) {
		fprintf(stderr, "simcuda-top: %s: not a simulated GPU of this version\n", path);
		return NULL;
	}
	return g;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void print_process(const struct simgpu *g, uint32_t i)
{
	const struct simgpu_process *p = &g->slot[i];

	printf("%7u %s %9.1f %11.3f %9.3f %10.1f %9" PRIu64 " %8" PRIu64 " %8" PRIu64 " %8" PRIu64
	       "\n",
	       p->pid,
	       g->owner == i + 1 ? "run "
	       : p->ticket       ? "wait"
				 : "idle",
	       (double)simgpu_load64(&p->memory) / 1048576,
	       (double)simgpu_compute(p, now_ns()) / 1e9, (double)simgpu_copies(p, now_ns()) / 1e9,
	       (double)simgpu_load64(&p->copy_bytes) / 1048576, simgpu_load64(&p->launches),
	       simgpu_load64(&p->slices), simgpu_load64(&p->overlaps), simgpu_load64(&p->traces));
}

int main(int argc, char **argv)
{
	const char *env = getenv("SIMCUDA_GPU");
	const struct simgpu *g;
	char path[4096];

	if (argc > 1)
		snprintf(path, sizeof(path), "%s", argv[1]);
	else if (env && *env)
		snprintf(path, sizeof(path), "%s", env);
	else
		snprintf(path, sizeof(path), "/dev/shm/pvgpu-simcuda-%u", (unsigned int)getuid());
	g = map(path);
	if (!g)
		return EXIT_FAILURE;
	printf("%s: %.0f MiB\n", path, (double)g->memory / 1048576);
	printf("%7s %s %9s %11s %9s %10s %9s %8s %8s %8s\n", "PID", "NOW ", "MEM MiB", "COMPUTE s",
	       "COPY s", "COPY MiB", "LAUNCHES", "SLICES", "OVERLAPS", "TRACES");
	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++)
		if (simgpu_alive(&g->slot[i]))
			print_process(g, i);
	return EXIT_SUCCESS;
}
