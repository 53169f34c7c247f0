/* SPDX-License-Identifier: MIT */
/*
 * The empty root: a tmpfs, mounted somewhere, filled with what the far end may open, moved over /
 * and made the root of all threads, which share it. Not pivot_root, which fails on an initramfs.
 * What was mounted before stays below, where nothing leads: without a capability there is no way
 * out of it but a directory that is open, and none may be.
 */
#include "xen-pvgpu-back/worker/frame/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/confine/confine.h"

#define FLAGS (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define SIZES "size=64k,nr_inodes=256,mode=0755"

/* In the directory that is to be the root, at the same path as in the old one. */
static int bind(const char *path, void *arg)
{
	char at[300];
	struct stat st;
	int fd;

	snprintf(at, sizeof(at), ".%s", path);
	for (char *slash = strchr(at + 2, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(at, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	if (stat(path, &st) < 0)
		return -1;
	if (S_ISDIR(st.st_mode)) {
		if (mkdir(at, 0755) < 0 && errno != EEXIST)
			return -1;
	} else {
		fd = open(at, O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0444);
		if (fd < 0)
			return -1;
		close(fd);
	}
	if (mount(path, at, NULL, MS_BIND, NULL) < 0)
		return -1;
	return mount(NULL, at, NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NOEXEC, NULL);
}

/* Any directory does: only this process sees what is mounted there. */
static const char *mount_point(void)
{
	const char *places[] = {getenv("PVGPU_RUN_DIR"), "/run", "/tmp", "/proc", "/dev"};
	struct stat st;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (places[i] && stat(places[i], &st) == 0 && S_ISDIR(st.st_mode))
			return places[i];
	return "/";
}

/* Who has a directory of the old root open walks out of the new one. */
static int no_open_directory(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	struct stat st;
	int r = 0;

	while (d && (e = readdir(d)) && !r) {
		int fd = atoi(e->d_name);

		if (e->d_name[0] != '.' && fd != dirfd(d) && fstat(fd, &st) == 0 &&
		    S_ISDIR(st.st_mode))
			r = -1;
	}
	if (!d)
		return -1;
	closedir(d);
	errno = EBUSY;
	return r;
}

int sandbox_root(struct sandbox *s)
{
	const char *at = mount_point();

	if (no_open_directory() < 0)
		return -1;
	if (mount("none", at, "tmpfs", FLAGS, SIZES) < 0 || chdir(at) < 0)
		return -1;
	if (confine_each_file(s->files, bind, NULL) < 0)
		return -1;
	if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | FLAGS, NULL) < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0)
		return -1;
	return chroot(".") < 0 || chdir("/") < 0 ? -1 : 0;
}
