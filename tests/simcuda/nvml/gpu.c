/* SPDX-License-Identifier: MIT */
#include "tests/simcuda/nvml/gpu.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void gpu_init(struct gpu *g, unsigned int index)
{
	const char *path = getenv("SIMCUDA_GPU");
	size_t n;

	*g = (struct gpu){.index = index};
	if (path && *path)
		snprintf(g->path, sizeof(g->path), "%s", path);
	else
		snprintf(g->path, sizeof(g->path), "/dev/shm/pvgpu-simcuda-%u",
			 (unsigned int)getuid());
	n = strlen(g->path);
	if (index)
		snprintf(g->path + n, sizeof(g->path) - n, ".%u", index);
}

void gpu_close(struct gpu *g)
{
	if (g->map)
		munmap((void *)(uintptr_t)g->map, sizeof(*g->map));
	g->map = NULL;
}

static const struct simgpu *map_file(const struct gpu *g)
{
	const struct simgpu *map = MAP_FAILED;
	struct stat st;
	int fd = open(g->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size == sizeof(*map))
		map = mmap(NULL, sizeof(*map), PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return NULL;
	if (__atomic_load_n(&map->magic, __ATOMIC_ACQUIRE) == SIMGPU_MAGIC &&
	    map->version == SIMGPU_VERSION)
		return map;
	munmap((void *)(uintptr_t)map, sizeof(*map));
	return NULL;
}

bool gpu_look(struct gpu *g)
{
	struct stat st;

	if (stat(g->path, &st) < 0) {
		gpu_close(g);
		return false;
	}
	if (g->map && g->inode == st.st_ino)
		return true;
	gpu_close(g);
	memset(g->seen, 0, sizeof(g->seen));
	g->map = map_file(g);
	g->inode = st.st_ino;
	return g->map != NULL;
}

uint64_t gpu_memory_used(const struct gpu *g)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < SIMGPU_SLOTS; i++)
		if (simgpu_alive(&g->map->slot[i]))
			sum += simgpu_load64(&g->map->slot[i].memory);
	return sum;
}

uint64_t gpu_xids(struct gpu *g)
{
	return gpu_look(g) ? __atomic_load_n(&g->map->xids, __ATOMIC_ACQUIRE) : 0;
}

/* Of what has come since and what the last percentage lacked. */
static unsigned int percent(uint64_t now, uint64_t *before, uint64_t *rest, uint64_t period_ns)
{
	uint64_t percent;

	*rest += now > *before ? now - *before : 0;
	*before = now;
	percent = *rest * 100 / period_ns;
	if (percent > 100)
		percent = 100;
	*rest -= percent * period_ns / 100;
	/* Copies of several engines at once: no more than all the time. */
	if (*rest > period_ns)
		*rest = period_ns;
	return (unsigned int)percent;
}

static void sample_slot(const struct simgpu_process *p, struct seen *s, uint64_t now_us,
			uint64_t period_us)
{
	uint64_t compute = simgpu_load64(&p->compute_ns), copy = simgpu_load64(&p->copy_ns);

	if (!simgpu_alive(p)) {
		*s = (struct seen){0};
		return;
	}
	if (s->start_time != p->start_time || s->sample.pid != p->pid) {
		*s = (struct seen){.start_time = p->start_time,
				   .sample = {.pid = p->pid, .timeStamp = now_us}};
		s->compute_ns = compute;
		s->copy_ns = copy;
		return;
	}
	s->sample.timeStamp = now_us;
	s->sample.smUtil = percent(compute, &s->compute_ns, &s->compute_rest, period_us * 1000);
	s->sample.memUtil = percent(copy, &s->copy_ns, &s->copy_rest, period_us * 1000);
}

void gpu_sample(struct gpu *g, uint64_t period_us)
{
	struct timespec t;
	uint64_t now;

	clock_gettime(CLOCK_REALTIME, &t);
	now = (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
	if (g->sampled_us && now < g->sampled_us + period_us && now >= g->sampled_us)
		return;
	if (!gpu_look(g))
		memset(g->seen, 0, sizeof(g->seen));
	for (unsigned int i = 0; g->map && i < SIMGPU_SLOTS; i++)
		sample_slot(&g->map->slot[i], &g->seen[i], now,
			    now > g->sampled_us ? now - g->sampled_us : 1);
	g->sampled_us = now;
}
