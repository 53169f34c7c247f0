/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/ctl/local/try_open.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "link/local.h"

/* A connected socket, or -1 with errno. */
static int reach(const char *path, double limit_s)
{
	const struct timeval limit = {.tv_sec = (time_t)limit_s,
				      .tv_usec = (suseconds_t)((limit_s - (time_t)limit_s) * 1e6)};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd, err;

	if (strlen(path) >= sizeof(a.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(a.sun_path, path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0)
		return fd;
	err = errno;
	close(fd);
	errno = err;
	return -1;
}

/* 0 or an errno value. The files that come with the answer are closed: that ends the session. */
static int receive(int fd, struct pvgpu_local_opened *m)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PVGPU_LOCAL_FDS)];
	} control;
	struct iovec iov = {m, sizeof(*m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = &control,
			     .msg_controllen = sizeof(control)};
	const ssize_t n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
	int err = n < 0 ? errno : 0;

	for (struct cmsghdr *c = n < 0 ? NULL : CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t files = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < files; i++) {
			int file;

			memcpy(&file, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			close(file);
		}
	}
	if (err == EAGAIN)
		err = ETIMEDOUT;
	if (!err && !n)
		err = ECONNRESET;
	if (!err && (n != sizeof(*m) || m->magic != PVGPU_LOCAL_MAGIC))
		err = EPROTO;
	return err;
}

int try_open(const char *path, double limit_s, char *reason, size_t cap)
{
	const struct pvgpu_local_open ask = {.magic = PVGPU_LOCAL_MAGIC,
					     .version = PVGPU_LOCAL_VERSION,
					     .comm = "pvgpuctl doctor"};
	struct pvgpu_local_opened m = {.error = 0};
	int fd = reach(path, limit_s), err;

	if (fd < 0) {
		err = errno == EAGAIN ? ETIMEDOUT : errno;
		snprintf(reason, cap, "%s: %s", path, strerror(err));
		return err;
	}
	err = send(fd, &ask, sizeof(ask), MSG_NOSIGNAL) < 0 ? errno : receive(fd, &m);
	close(fd);
	if (err == ETIMEDOUT)
		snprintf(reason, cap, "no answer in %g s", limit_s);
	else if (err)
		snprintf(reason, cap, "%s: %s", path, strerror(err));
	m.reason[sizeof(m.reason) - 1] = '\0';
	if (!err && m.error) {
		err = m.error < 0 ? -m.error : m.error;
		snprintf(reason, cap, "%s", m.reason[0] ? m.reason : strerror(err));
	}
	return err;
}
