/* SPDX-License-Identifier: MIT */
/*
 * Landlock, where the kernel has it: a second lock on what the empty root and the filter shut. It
 * binds the thread that closes it and those that this one starts; the far end's own are not bound.
 * Shapes and numbers: linux/landlock.h, which older systems lack or have in an older version.
 */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
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
#define FS_IOCTL_DEV (1ull << 15) /* of version 5 on */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct beneath {
	uint64_t access;
	int32_t fd;
} __attribute__((packed));

struct rules {
	int fd;
	uint64_t access;
};

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

static int allow(const char *path, void *arg)
{
	struct rules *rules = arg;
	struct beneath b = {.access = rules->access,
			    .fd = open(path, O_PATH | O_CLOEXEC | O_NOFOLLOW)};
	long r;

	if (b.fd < 0)
		return -1;
	r = syscall(SYS_landlock_add_rule, rules->fd, PATH_BENEATH, &b, 0);
	close(b.fd);
	return (int)r;
}

int sandbox_landlock_rules(const struct sandbox *s)
{
	const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);
	struct ruleset all;
	struct rules rules;
	size_t size;

	if (version <= 0)
		return -1;
	all = everything(version, &size);
	rules.fd = (int)syscall(SYS_landlock_create_ruleset, &all, size, 0);
	if (rules.fd < 0)
		return -1;
	rules.access = (FS_WRITE | FS_READ | FS_IOCTL_DEV) & all.fs;
	if (sandbox_each_file(s->files, allow, &rules) == 0)
		return rules.fd;
	close(rules.fd);
	return -1;
}

int sandbox_landlock(int rules)
{
	const int r = (int)syscall(SYS_landlock_restrict_self, rules, 0);

	close(rules);
	return r;
}
