/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/contract/msg.h"

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
#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
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

size_t msg_unread(int sock)
{
	int bytes = 0;

	return sock < 0 || ioctl(sock, SIOCINQ, &bytes) < 0 ? 0 : (size_t)bytes;
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
	unsigned int resets = 0;
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
		/* ECONNRESET: the peer closed with unread data. Messages that it sent before follow
		 * the error, or precede it and the error repeats for ever (gVisor). */
	} while (r < 0 && (errno == EINTR || (errno == ECONNRESET && !resets++)));
	if (r < 0)
		return errno == ECONNRESET ? 0 : -errno;
	take_fds(&h, max_fds, in);
	if (h.msg_flags & MSG_CTRUNC)
		in->fds_lost = true;
	in->len = (size_t)r;
	if (r == 0 && !in->n && !in->fds_lost) {
		/* recvmsg returns 0 for an empty message and for a hang-up. */
		struct pollfd p = {.fd = sock, .events = POLLRDHUP};
		char byte;

		if (poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLRDHUP | POLLERR)))
			return 0;
		/* gVisor's poll reports no hang-up, but nothing else follows one either. A peer
		 * that sends two empty messages is taken to have hung up, which it is free to do.
		 */
		if (recv(sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
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

int msg_refuse_fds(int sock)
{
	const int no = 0;

	return setsockopt(sock, SOL_SOCKET, SO_PASSRIGHTS, &no, sizeof(no)) < 0 ? -errno : 0;
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
	/* gVisor returns the caller's own pid. No process here connects to itself. */
	if (cred.pid == getpid())
		cred.pid = 0;
	peer->pid = cred.pid;
	peer->uid = cred.uid;
	peer->gid = cred.gid;
	len = sizeof(fd);
	if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &fd, &len) == 0) {
		peer->pidfd = fd;
		return 0;
	}
	/* A peer that has ended and has been waited for: another process may have its pid, and the
	 * socket does not hang up while some other process holds it. */
	if (errno != ENOPROTOOPT)
		return 0;
	if (cred.pid <= 0) /* the peer is in a pid namespace that is not visible here */
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
