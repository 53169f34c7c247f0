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

#define LOOKS   10u
#define LOOK_NS 2000000u

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

/* The percentage of the period, with the rest that the last percentage rounded off. */
static unsigned int percent(uint64_t now, uint64_t *before, uint64_t *rest, uint64_t period_ns)
{
	uint64_t percent;

	/* It can be less than before: see simgpu_copies(). */
	if (now > *before) {
		*rest += now - *before;
		*before = now;
	}
	percent = *rest * 100 / period_ns;
	if (percent > 100) {
		/* Copies of several engines at once. */
		*rest = 0;
		return 100;
	}
	*rest -= percent * period_ns / 100;
	return (unsigned int)percent;
}

static void sample_slot(const struct simgpu_process *p, struct seen *s, const struct look *l,
			uint64_t now_us, uint64_t period_us)
{
	if (!simgpu_alive(p) || l->start_time != p->start_time) {
		*s = (struct seen){0};
		return;
	}
	if (s->start_time != p->start_time || s->sample.pid != p->pid) {
		*s = (struct seen){.start_time = p->start_time,
				   .sample = {.pid = p->pid, .timeStamp = now_us}};
		s->compute_ns = l->compute_ns;
		s->copy_ns = l->copy_ns;
		return;
	}
	s->sample.timeStamp = now_us;
	s->sample.smUtil =
		percent(l->compute_ns, &s->compute_ns, &s->compute_rest, period_us * 1000);
	s->sample.memUtil = percent(l->copy_ns, &s->copy_ns, &s->copy_rest, period_us * 1000);
}

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static unsigned int used_slots(const struct gpu *g)
{
	unsigned int n = g->map ? __atomic_load_n(&g->map->slots_used, __ATOMIC_RELAXED) : 0;

	return n < SIMGPU_SLOTS ? n : SIMGPU_SLOTS;
}

/*
 * Reads the use of all processes at one moment, and returns its CLOCK_REALTIME in us. The reading
 * is repeated when this process was interrupted meanwhile: later use would be counted as earlier.
 */
static uint64_t look_at_all(struct gpu *g)
{
	uint64_t begin, real;

	for (unsigned int t = 0; t < LOOKS; t++) {
		begin = clock_ns(CLOCK_MONOTONIC);
		real = clock_ns(CLOCK_REALTIME);
		for (unsigned int i = 0; i < used_slots(g); i++) {
			const struct simgpu_process *p = &g->map->slot[i];

			if (!simgpu_alive(p))
				continue;
			g->look[i] = (struct look){.start_time = p->start_time,
						   .compute_ns = simgpu_compute(p, begin),
						   .copy_ns = simgpu_copies(p, begin)};
		}
		if (clock_ns(CLOCK_MONOTONIC) - begin < LOOK_NS)
			break;
	}
	return real / 1000;
}

void gpu_sample(struct gpu *g, uint64_t period_us)
{
	uint64_t now = clock_ns(CLOCK_REALTIME) / 1000;

	if (g->sampled_us && now < g->sampled_us + period_us && now >= g->sampled_us)
		return;
	if (!gpu_look(g))
		memset(g->seen, 0, sizeof(g->seen));
	now = look_at_all(g);
	for (unsigned int i = 0; g->map && i < SIMGPU_SLOTS; i++)
		sample_slot(&g->map->slot[i], &g->seen[i], &g->look[i], now,
			    now > g->sampled_us ? now - g->sampled_us : 1);
	g->sampled_us = now;
}
