/* SPDX-License-Identifier: MIT */
/* Shapes and numbers: linux/landlock.h, which older systems lack or have in an older version. */
#include "xen-pvgpu-back/confine/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule       445
#define SYS_landlock_restrict_self  446
#endif

#define VERSION      1u
#define PATH_BENEATH 1
#define FS_WRITE     (1ull << 1)
#define FS_READ      (1ull << 2)
#define FS_LIST      (1ull << 3)
#define FS_IOCTL_DEV (1ull << 15) /* of version 5 on */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

/* All that each version knows of. */
static struct ruleset everything(long version, size_t *size)
{
	static const uint64_t fs[] = {
		0, (1 << 13) - 1, (1 << 14) - 1, (1 << 15) - 1, (1 << 15) - 1, (1 << 16) - 1};
	struct ruleset r = {.fs = fs[version < 5 ? version : 5]};

	*size = sizeof(r.fs);
	if (version >= 4) {
		r.net = 3; /* bind and connect of TCP */
		*size += sizeof(r.net);
	}
	if (version >= 6) {
		r.scoped = 3; /* abstract sockets, signals */
		*size += sizeof(r.scoped);
	}
	return r;
}

int landlock_open(struct landlock *l)
{
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	struct ruleset all;
	size_t size;

	l->fd = -1;
	if (version <= 0)
		return -1;
	all = everything(version, &size);
	l->known = all.fs;
	l->fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	return l->fd < 0 ? -1 : 0;
}

int landlock_allow(const struct landlock *l, const char *path, bool write)
{
	struct beneath b = {.fd = open(path, O_PATH | O_CLOEXEC)};
	struct stat st;
	long r = -1;
	int err;

	if (b.fd < 0)
		return -1;
	b.access = FS_READ | (write ? FS_WRITE | FS_IOCTL_DEV : 0);
	if (fstat(b.fd, &st) == 0) {
		b.access |= S_ISDIR(st.st_mode) ? FS_LIST : 0;
		b.access &= l->known;
		r = syscall(SYS_landlock_add_rule, l->fd, PATH_BENEATH, &b, 0);
	}
	err = errno;
	close(b.fd);
	errno = err;
	return (int)r;
}

int landlock_close(struct landlock *l)
{
	const long r = syscall(SYS_landlock_restrict_self, l->fd, 0);
	const int err = errno;

	close(l->fd);
	errno = err;
	return (int)r;
}
