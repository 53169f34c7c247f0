/* SPDX-License-Identifier: MIT */
/*
 * Messages of fixed size with fds alongside, over SOCK_SEQPACKET; never blocks. Every fd received
 * is close-on-exec; fds that were not expected are closed before the caller hears of the message.
 */
#ifndef PVGPU_LINK_MSG_H
#define PVGPU_LINK_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define MSG_FDS_MAX 8

/* 0, -EAGAIN when the peer does not read, -EPIPE when it is gone, or another negative errno. */
int msg_send(int sock, const void *msg, size_t len, const int *fds, unsigned int n);
/* The peer has left half of what the socket holds unread. */
bool msg_is_behind(int sock);

struct msg_in {
	size_t len;     /* of the message on the wire, which may be more than fitted */
	unsigned int n; /* fds received, at most what was asked for */
	int fds[MSG_FDS_MAX];
	bool fds_lost; /* more came than was asked for, or than we may have open */
};
/* 1: a message; 0: the peer has hung up; -EAGAIN: none now; another negative errno. */
int msg_recv(int sock, void *msg, size_t cap, unsigned int max_fds, struct msg_in *in);
void msg_close_fds(struct msg_in *in);

/*
 * The peer's credentials and a pidfd that is surely the peer's: from the socket itself where the
 * kernel can (6.5), else by pid, and then only if the peer has not hung up after the pidfd was
 * taken (the pid of a living process is not reused). pidfd is -1 when the peer is gone. 0 or
 * -errno.
 */
struct msg_peer {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	int pidfd;
};
int msg_peer(int sock, struct msg_peer *peer);

#endif
