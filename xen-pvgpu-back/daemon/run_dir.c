/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/daemon/run_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "xen-pvgpu-back/daemon/core/daemon.h"
#include "xen-pvgpu-back/daemon/core/held.h"
#include "xen-pvgpu-back/daemon/core/process.h"

#define WORKERS "workers"

static void path_of(const struct daemon *d, const char *name, char path[CONFIG_PATH + 16])
{
	snprintf(path, CONFIG_PATH + 16, "%.250s/%s", d->cfg.run_dir, name);
}

/* Does the path name the file that fd has? */
static bool is_at(int fd, const char *path)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && lstat(path, &there) == 0 && ours.st_ino == there.st_ino &&
	       ours.st_dev == there.st_dev;
}

/* The folder of the workers' sockets, made and locked, or -errno; -EWOULDBLOCK: another pvgpud has
 * it. A pvgpud that stops removes it, so a lock counts only if the path still names it. */
static int lock_workers(const struct daemon *d)
{
	char path[CONFIG_PATH + 16];
	int fd, err;

	path_of(d, WORKERS, path);
	for (;;) {
		if (mkdir(path, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0 && errno == ENOENT)
			continue;
		if (fd < 0)
			return -errno;
		if (process_lock(fd) < 0) {
			err = -errno;
			close(fd);
			return err;
		}
		if (is_at(fd, path))
			return fd;
		close(fd);
	}
}

/* True: vgpu_listen will replace it. Until then programs wait at it for us. */
static bool is_vgpu_socket(const struct daemon *d, const char *name)
{
	char path[2 * CONFIG_PATH];

	snprintf(path, sizeof(path), "%s/%s", d->cfg.run_dir, name);
	for (unsigned int i = 0; i < d->cfg.vgpu_n; i++)
		if (!strcmp(d->cfg.vgpus[i].socket, path))
			return true;
	return false;
}

/* Removes sockets that a killed predecessor left and no vGPU has: its admin socket, and those
 * of vGPUs that are not configured any more. */
static void remove_sockets(struct daemon *d)
{
	DIR *dir = opendir(d->cfg.run_dir);
	struct dirent *e;
	struct stat st;

	while (dir && (e = readdir(dir))) {
		size_t n = strlen(e->d_name);

		if (n > 5 && !strcmp(e->d_name + n - 5, ".sock") &&
		    fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISSOCK(st.st_mode) && !is_vgpu_socket(d, e->d_name))
			unlinkat(dirfd(dir), e->d_name, 0);
	}
	if (dir)
		closedir(dir);
}

int run_dir_make(struct daemon *d)
{
	if (mkdir(d->cfg.run_dir, 0755) < 0 && errno != EEXIST) {
		fprintf(stderr, "pvgpud: run_dir = %s: %s\n", d->cfg.run_dir, strerror(errno));
		return -1;
	}
	d->workers_dir = lock_workers(d);
	if (d->workers_dir < 0) {
		fprintf(stderr, "pvgpud: %s/" WORKERS ": %s\n", d->cfg.run_dir,
			d->workers_dir == -EWOULDBLOCK ? "another pvgpud runs in this run_dir"
						       : strerror(-d->workers_dir));
		return -1;
	}
	remove_sockets(d);
	d->held = held_open(d->cfg.run_dir);
	if (!d->held) {
		fprintf(stderr, "pvgpud: %s/held: %s%s\n", d->cfg.run_dir, strerror(errno),
			errno == ENOSPC ? ": make room in the file system of run_dir" : "");
		return -1;
	}
	return 0;
}

/* 1: the path names the folder that we have; 0: nothing; -1: another one. */
static int compare(const struct daemon *d)
{
	char path[CONFIG_PATH + 16];
	struct stat there;

	path_of(d, WORKERS, path);
	if (lstat(path, &there) < 0)
		return 0;
	return is_at(d->workers_dir, path) ? 1 : -1;
}

bool run_dir_is_ours(const struct daemon *d)
{
	return compare(d) >= 0;
}

void run_dir_again(struct daemon *d)
{
	int fd;

	if (compare(d) > 0)
		return;
	fd = lock_workers(d);
	if (fd < 0) {
		log_error("%s/" WORKERS " was deleted, and cannot be made again: %s: no worker can "
			  "start",
			  d->cfg.run_dir,
			  fd == -EWOULDBLOCK ? "another pvgpud runs in this run_dir"
					     : strerror(-fd));
		return;
	}
	close(d->workers_dir);
	d->workers_dir = fd;
	log_warning("%s/" WORKERS " was deleted: it is made again; sessions that run now end when "
		    "pvgpud is restarted",
		    d->cfg.run_dir);
}

void run_dir_remove(struct daemon *d)
{
	char path[CONFIG_PATH + 16];

	path_of(d, WORKERS, path);
	rmdir(path);
}
