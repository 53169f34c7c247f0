/* SPDX-License-Identifier: MIT */
/* Messages of fixed size with fds alongside, over SOCK_SEQPACKET. No function blocks. Every fd
 * received is close-on-exec; unexpected fds are closed before the caller gets the message. */
#ifndef PVGPU_LINK_MSG_H
#define PVGPU_LINK_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MSG_FDS_MAX 8

/* 0, -EAGAIN when the peer does not read, -EPIPE when it is gone, or another negative errno. */
int msg_send(int sock, const void *msg, size_t len, const int *fds, unsigned int n);
/* More than half of the socket's buffer is unread by the peer. */
bool msg_is_behind(int sock);
/* Bytes that can be read; sock -1: none. */
size_t msg_unread(int sock);

struct msg_in {
	size_t len;     /* of the message on the wire; may exceed the buffer */
	unsigned int n; /* fds received, at most max_fds */
	int fds[MSG_FDS_MAX];
	bool fds_lost; /* more came than max_fds or than this process may have open */
};
/* 1: a message; 0: the peer has hung up; -EAGAIN: no message now; or another negative errno. */
int msg_recv(int sock, void *msg, size_t cap, unsigned int max_fds, struct msg_in *in);
void msg_close_fds(struct msg_in *in);

/*
 * Refuses files on this socket and on those accepted from it, where the kernel can (6.16,
 * SO_PASSRIGHTS); the sender gets EPERM. An unwanted file would have to be closed, here or when the
 * socket is, and the last to close a file waits for what that does: a TCP socket's SO_LINGER is its
 * sender's choice. 0 or -errno.
 */
int msg_refuse_fds(int sock);

/*
 * The peer's credentials and a pidfd that is certain to be the peer's. The socket gives it where
 * the kernel can (6.5). Otherwise it is opened by pid, and kept only if the peer has not hung up
 * afterwards: the pid of a living process is not reused. pidfd is -1 when the peer is gone. pid is
 * 0 where the kernel cannot tell it. 0 or -errno.
 */
struct msg_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int pidfd;
};
int msg_peer(int sock, struct msg_peer *peer);

#endif
