/* SPDX-License-Identifier: MIT */
/* A listening socket's file: others may delete it or put one in its place, and then no program
 * reaches the socket any more. */
#ifndef PVGPU_DAEMON_SOCKET_FILE_H
#define PVGPU_DAEMON_SOCKET_FILE_H

#include <stdbool.h>
#include <sys/stat.h>

struct socket_file {
	dev_t dev;
	ino_t ino; /* 0: not known */
};

/* To be called when the socket has just been made. */
static inline void socket_file_note(struct socket_file *f, const char *path)
{
	struct stat st;

	*f = (struct socket_file){0};
	if (lstat(path, &st) == 0)
		*f = (struct socket_file){.dev = st.st_dev, .ino = st.st_ino};
}

static inline bool socket_file_is_there(const struct socket_file *f, const char *path)
{
	struct stat st;

	return !f->ino || (lstat(path, &st) == 0 && st.st_ino == f->ino && st.st_dev == f->dev);
}

#endif
