/* SPDX-License-Identifier: MIT */
/*
 * simcuda-reset GPU: resets a simulated GPU, as `nvidia-smi --gpu-reset -i GPU` does a real one:
 * its number or its UUID. A lost GPU is there again. Refused while a process has it open.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/simcuda/simgpu.h"

#define GPUS 64u

static void path_of(unsigned int index, char out[4096])
{
	const char *env = getenv("SIMCUDA_GPU");
	int n = env && *env
			? snprintf(out, 4000, "%s", env)
			: snprintf(out, 4000, "/dev/shm/pvgpu-simcuda-%u", (unsigned int)getuid());

	if (index && n < 4000)
		snprintf(out + n, 16, ".%u", index);
}

static bool find(const char *name, char path[4096])
{
	char own[16], uuid[SIMGPU_UUID];

	for (unsigned int i = 0; i < GPUS; i++) {
		path_of(i, path);
		snprintf(own, sizeof(own), "%u", i);
		simgpu_uuid_text(path, uuid);
		if (!strcmp(own, name) || !strcmp(uuid, name))
			return true;
	}
	return false;
}

static struct simgpu *map(const char *path)
{
	struct simgpu *g = MAP_FAILED;
	struct stat st;
	int fd = open(path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && (size_t)st.st_size == sizeof(*g))
		g = mmap(NULL, sizeof(*g), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return g != MAP_FAILED && g->magic == SIMGPU_MAGIC && g->version == SIMGPU_VERSION ? g
											   : NULL;
}

int main(int argc, char **argv)
{
	struct simgpu *g;
	char path[4096];

	if (argc != 2 || !find(argv[1], path)) {
		fprintf(stderr, "Usage: simcuda-reset GPU, a number below %u or a UUID\n", GPUS);
		return 2;
	}
	g = map(path);
	if (!g) {
		fprintf(stderr, "simcuda-reset: %s: no simulated GPU of this version\n", path);
		return 1;
	}
	for (uint32_t i = 0; i < SIMGPU_SLOTS; i++) {
		if (!simgpu_alive(&g->slot[i]))
			continue;
		fprintf(stderr, "simcuda-reset: GPU %s: in use by process %u\n", argv[1],
			g->slot[i].pid);
		return 1;
	}
	__atomic_store_n(&g->lost, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&g->cached, 0, __ATOMIC_RELEASE);
	printf("GPU %s was reset\n", argv[1]);
	return 0;
}
