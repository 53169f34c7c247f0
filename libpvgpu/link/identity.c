/* SPDX-License-Identifier: MIT */
/*
 * Descriptors in a process that is the application's. Nothing here is a cancellation point but
 * close(), which is called with cancellation off.
 */
#include "link/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's number of an eventfd, from Linux 5.1 on. */
static int event_number(int fd)
{
	static const char key[] = "eventfd-id:";
	char path[40], text[256];
	const char *at;
	ssize_t n;
	int info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
	if (info < 0)
		return -1;
	n = syscall(SYS_read, info, text, sizeof(text) - 1);
	syscall(SYS_close, info);
	text[n > 0 ? n : 0] = '\0';
	at = strstr(text, key);
	return at ? atoi(at + strlen(key)) : -1;
}

bool pvgpu_identify(int fd, bool thorough, struct pvgpu_identity *is)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	*is = (struct pvgpu_identity){st.st_dev, st.st_ino, thorough ? event_number(fd) : -1};
	return true;
}

bool pvgpu_is_same(int fd, bool thorough, const struct pvgpu_identity *is)
{
	struct pvgpu_identity now;

	return pvgpu_identify(fd, thorough && is->event >= 0, &now) && now.dev == is->dev &&
	       now.ino == is->ino && (now.event < 0 || now.event == is->event);
}

int pvgpu_set_size(int fd, uint64_t size)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_FSIZE, &limit) && size > limit.rlim_cur) {
		errno = EFBIG;
		return -1;
	}
	return ftruncate(fd, (off_t)size);
}

int pvgpu_away_from_stdio(int fd)
{
	int high, err;

	if (fd < 0 || fd > 2)
		return fd;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	err = errno;
	close(fd);
	errno = err;
	return high;
}
