/* SPDX-License-Identifier: MIT */
/*
 * Metrics of a file, where pvgpud is in a domain without a network: root's `pvgpuctl stats
 * --metrics` writes it in dom0, since xenstore is for root, and this process has no privilege.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "xen-pvgpu-back/exporter/exporter.h"

#define OLD_S      60
#define BYTES_MOST (8u << 20) /* 100 vGPUs take 1.3 MiB */

static int refuse(struct source *s, int fd, const char *why)
{
	snprintf(s->why, sizeof(s->why), "%.120s: %s", s->file, why);
	s->errors++;
	if (fd >= 0)
		close(fd);
	return -1;
}

int source_file(struct source *s, struct text *t)
{
	struct stat st;
	char *bytes;
	ssize_t n;
	int fd = open(s->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	s->why[0] = '\0';
	if (fd < 0 || fstat(fd, &st) < 0)
		return refuse(s, fd, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return refuse(s, fd, "is no file");
	if (time(NULL) - st.st_mtime > OLD_S)
		return refuse(s, fd, "is older than a minute");
	if (st.st_size > (off_t)BYTES_MOST)
		return refuse(s, fd, "is larger than 8 MiB");
	bytes = malloc((size_t)st.st_size + 1);
	n = bytes ? read(fd, bytes, (size_t)st.st_size) : -1;
	if (n != st.st_size || memchr(bytes, '\0', (size_t)n)) {
		free(bytes);
		return refuse(s, fd, "could not be read as text");
	}
	bytes[n] = '\0';
	text_add(t, "%s", bytes);
	free(bytes);
	close(fd);
	return 0;
}
