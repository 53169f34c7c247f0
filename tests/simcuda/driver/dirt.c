/* SPDX-License-Identifier: MIT */
/*
 * The fault mutate:scrub: memory of the device comes with data of a former owner, as
 * where a driver does not clear it. Memory of processes is their own here and always zero at first.
 * So a file beside the GPU's keeps some of what is given back, and new memory is filled with that.
 * It is mapped by cuInit: later nothing can be opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/simcuda/driver/sim.h"

#define TILE 65536u

static struct dirt {
	unsigned char device[TILE], private[2][TILE]; /* private: shared and local memory */
} * dirt;

int dirt_open(void)
{
	char path[sizeof(sim_config.gpu) + 8];
	void *p = MAP_FAILED;
	int fd;

	if (!sim_fault.scrub)
		return 0;
	snprintf(path, sizeof(path), "%s.dirt", sim_config.gpu);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (!posix_fallocate(fd, 0, sizeof(*dirt)))
		p = mmap(NULL, sizeof(*dirt), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return -ENOMEM;
	dirt = p;
	return 0;
}

static bool is_zero(const unsigned char *p, size_t n)
{
	return !n || (!p[0] && !memcmp(p, p + 1, n - 1));
}

/* The first piece that has data in it. */
static void keep(unsigned char *to, const void *from, size_t size)
{
	for (size_t at = 0; at < size; at += TILE) {
		const unsigned char *p = (const unsigned char *)from + at;
		const size_t n = size - at < TILE ? size - at : TILE;

		if (is_zero(p, n))
			continue;
		memcpy(to, p, n);
		return;
	}
}

static void give(void *to, size_t size, const unsigned char *from)
{
	for (size_t at = 0; at < size; at += TILE)
		memcpy((unsigned char *)to + at, from, size - at < TILE ? size - at : TILE);
}

void dirt_keep(const void *memory, size_t size)
{
	if (dirt)
		keep(dirt->device, memory, size);
}

void dirt_give(void *memory, size_t size)
{
	if (dirt)
		give(memory, size, dirt->device);
}

void dirt_private(void *arg, enum ptx_private which, bool is_new, void *memory, size_t size)
{
	if (!dirt)
		return;
	if (is_new)
		give(memory, size, dirt->private[which]);
	else
		keep(dirt->private[which], memory, size);
}
