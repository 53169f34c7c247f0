/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/xenopsd/install.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum what { NOTHING, OURS, OTHER };

/* What is at the path? A link to this program in another version's place counts as ours. */
static enum what look(const char *path, const char *self)
{
	const char *name = strrchr(self, '/') ? strrchr(self, '/') + 1 : self;
	char target[PATH_MAX];
	struct stat st;
	ssize_t n;

	if (lstat(path, &st) < 0)
		return NOTHING;
	n = S_ISLNK(st.st_mode) ? readlink(path, target, sizeof(target) - 1) : -1;
	if (n < 0)
		return OTHER;
	target[n] = '\0';
	return !strcmp(strrchr(target, '/') ? strrchr(target, '/') + 1 : target, name) ? OURS
										       : OTHER;
}

static int failed(const char *what, const char *path, char err[INSTALL_ERROR])
{
	int code = errno;

	snprintf(err, INSTALL_ERROR, "%s %s: %s", what, path, strerror(code));
	return -code;
}

/* A link that is made beside the path and renamed: xenopsd always finds a whole one. */
static int make_link(const char *path, const char *self, char err[INSTALL_ERROR])
{
	char fresh[PATH_MAX];

	if ((size_t)snprintf(fresh, sizeof(fresh), "%s.pvgpu-new", path) >= sizeof(fresh)) {
		errno = ENAMETOOLONG;
		return failed("linking", path, err);
	}
	unlink(fresh);
	if (symlink(self, fresh) < 0 || rename(fresh, path) < 0)
		return failed("linking", path, err);
	return 0;
}

static int saved_path(const char *path, char saved[PATH_MAX], char err[INSTALL_ERROR])
{
	if ((size_t)snprintf(saved, PATH_MAX, "%s" INSTALL_SAVED, path) < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return failed("keeping", path, err);
}

int install_vgpu(const char *path, const char *self, bool force, char err[INSTALL_ERROR])
{
	char saved[PATH_MAX];

	if (look(path, self) != OTHER)
		return make_link(path, self, err);
	if (!force) {
		snprintf(err, INSTALL_ERROR,
			 "%s is not pvgpu's program, but NVIDIA's or another's: VMs with their "
			 "vGPUs "
			 "would not start any more. --force replaces it, and --uninstall puts it "
			 "back",
			 path);
		return -EEXIST;
	}
	if (saved_path(path, saved, err))
		return -ENAMETOOLONG;
	if (look(saved, self) != NOTHING) {
		snprintf(err, INSTALL_ERROR, "%.900s is there already: move it away first", saved);
		return -EEXIST;
	}
	if (rename(path, saved) < 0)
		return failed("keeping", path, err);
	return make_link(path, self, err);
}

int uninstall_vgpu(const char *path, const char *self, char err[INSTALL_ERROR])
{
	char saved[PATH_MAX];

	if (saved_path(path, saved, err))
		return -ENAMETOOLONG;
	if (look(path, self) == OTHER)
		return 0;
	if (look(saved, self) != NOTHING)
		return rename(saved, path) < 0 ? failed("putting back", path, err) : 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return failed("removing", path, err);
	return 0;
}
