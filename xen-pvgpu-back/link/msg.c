/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/link/msg.h"

#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

int msg_send(int sock, const void *msg, size_t len, const int *fds, unsigned int n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	if (n > MSG_FDS_MAX)
		return -EINVAL;
	if (n) {
		struct cmsghdr *c;

		memset(&control, 0, sizeof(control));
		h.msg_control = control.bytes;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	do {
		r = sendmsg(sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == ECONNRESET ? -EPIPE : -errno;
	return (size_t)r == len ? 0 : -EMSGSIZE;
}

bool msg_is_behind(int sock)
{
	int unread, room;
	socklen_t n = sizeof(room);

	return !ioctl(sock, SIOCOUTQ, &unread) &&
	       !getsockopt(sock, SOL_SOCKET, SO_SNDBUF, &room, &n) && unread > room / 2;
}

static void take_fds(struct msghdr *h, unsigned int max_fds, struct msg_in *in)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		unsigned int n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (unsigned int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		for (unsigned int i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (in->n < max_fds) {
				in->fds[in->n++] = fd;
			} else {
				close(fd);
				in->fds_lost = true;
			}
		}
	}
}

int msg_recv(int sock, void *msg, size_t cap, unsigned int max_fds, struct msg_in *in)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS_MAX)];
	} control;
	struct iovec iov = {.iov_base = msg, .iov_len = cap};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t r;

	memset(in, 0, sizeof(*in));
	if (max_fds > MSG_FDS_MAX)
		return -EINVAL;
	if (max_fds) {
		h.msg_control = control.bytes;
		h.msg_controllen = sizeof(control.bytes);
	}
	do {
		r = recvmsg(sock, &h, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
		/* A peer that left something unread: what it had sent before comes after the error.
		 */
	} while (r < 0 && (errno == EINTR || errno == ECONNRESET));
	if (r < 0)
		return -errno;
	take_fds(&h, max_fds, in);
	if (h.msg_flags & MSG_CTRUNC)
		in->fds_lost = true;
	in->len = (size_t)r;
	if (r == 0 && !in->n && !in->fds_lost) {
		/* An empty message looks like a hang-up; tell them apart. */
		struct pollfd p = {.fd = sock, .events = POLLRDHUP};

		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR)))
			return 0;
	}
	return 1;
}

void msg_close_fds(struct msg_in *in)
{
	for (unsigned int i = 0; i < in->n; i++)
		close(in->fds[i]);
	in->n = 0;
}

int msg_peer(int sock, struct msg_peer *peer)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);
	struct pollfd p = {.fd = sock, .events = POLLRDHUP};
	int fd = -1;

	memset(peer, 0, sizeof(*peer));
	peer->pidfd = -1;
	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return -errno;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	len = sizeof(fd);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0) {
		peer->pidfd = fd;
		return 0;
	}
	if (cred.pid <= 0) /* a pid namespace that we cannot see into */
		return 0;
	fd = pidfd_open(cred.pid, 0);
	if (fd < 0)
		return errno == ESRCH ? 0 : -errno;
	if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR))) {
		close(fd);
		return 0;
	}
	peer->pidfd = fd;
	return 0;
}
