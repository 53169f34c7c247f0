/* SPDX-License-Identifier: MIT */
/*
 * The one point between the two phases. Before it nothing of the guest's is read; after it nothing
 * is opened but what the far end opens for itself, and what peers send; the sandbox is closed.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

/* An arena chunk, a new pvgpud's socket, log and gate, and the originals of those while they are
 * renumbered. */
#define FDS_RECEIVED 16

/* One above the highest open fd, or -1. */
static int fds_in_use(void)
{
	DIR *d = opendir("/proc/self/fd");
	struct dirent *e;
	int highest = PVGPU_SUP_LOG_FD;

	if (!d)
		return -1;
	while ((e = readdir(d)))
		if (atoi(e->d_name) > highest && atoi(e->d_name) != dirfd(d))
			highest = atoi(e->d_name);
	closedir(d);
	return highest + 1;
}

static int failed(const char *what, char *reason, size_t cap)
{
	snprintf(reason, cap, "seal: %s: %s", what, strerror(errno));
	return -1;
}

/* No more files than these. Under valgrind, which needs its own, the hard limit stays: EPERM. */
static int limit_files(rlim_t most)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return -1;
	files.rlim_cur = most < files.rlim_max ? most : files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return -1;
	files.rlim_max = files.rlim_cur;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 && errno != EPERM ? -1 : 0;
}

int seal(struct worker *w, char *reason, size_t cap)
{
	int fds = fds_in_use();
	rlim_t most = (rlim_t)(fds < 0 ? 0 : fds) + FDS_RECEIVED + w->opt.far_fds;
	struct rlimit core = {0, 0};

	if (fds < 0)
		return failed("/proc/self/fd", reason, cap);
	if (limit_files(most) < 0)
		return failed("RLIMIT_NOFILE", reason, cap);
	if (setrlimit(RLIMIT_CORE, &core) < 0)
		return failed("RLIMIT_CORE", reason, cap);
	if (sandbox_close(&w->opt.sandbox, reason, cap) < 0)
		return -1;
	/* After the user: a new one sets it anew. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return failed("dumpable", reason, cap);
	return sandbox_close_calls(&w->opt.sandbox, reason, cap);
}
