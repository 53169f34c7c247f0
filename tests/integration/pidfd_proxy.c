/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into a pvgpud under valgrind: valgrind 3.19 knows neither pidfd_open nor
 * pidfd_send_signal, so the process behind the socket PVGPU_TEST_PIDFD (valgrind.py) makes these
 * two system calls and passes the results, real pidfds included. Nor does valgrind 3.24 know that
 * getsockopt(SO_PEERPIDFD) opens a file, and takes that for one that was closed before: as on a
 * kernel that is older than 6.5 there is no such option here.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* For pid, or, where pid is 0, for the pidfd sent along. */
struct request {
	int32_t pid, sig;
};

union fd_space {
	struct cmsghdr head;
	char space[CMSG_SPACE(sizeof(int))];
};

static struct msghdr message(struct iovec *iov, union fd_space *anc)
{
	memset(anc, 0, sizeof(*anc));
	return (struct msghdr){.msg_iov = iov,
			       .msg_iovlen = 1,
			       .msg_control = anc->space,
			       .msg_controllen = sizeof(anc->space)};
}

static int dial(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const char *path = getenv("PVGPU_TEST_PIDFD");
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (!path || strlen(path) >= sizeof(a.sun_path) || fd < 0) {
		fprintf(stderr, "pidfd_proxy: PVGPU_TEST_PIDFD is no path of a socket\n");
		abort();
	}
	memcpy(a.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
		fprintf(stderr, "pidfd_proxy: %s: %s\n", path, strerror(errno));
		abort();
	}
	return fd;
}

static bool send_request(int sock, struct request q, int pidfd)
{
	struct iovec iov = {&q, sizeof(q)};
	union fd_space anc;
	struct msghdr m = message(&iov, &anc);

	if (pidfd < 0) {
		m.msg_control = NULL;
		m.msg_controllen = 0;
	} else {
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);

		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &pidfd, sizeof(int));
	}
	return sendmsg(sock, &m, MSG_NOSIGNAL) == sizeof(q);
}

/* 0, or the fd received with the answer; -1 and errno. */
static int ask(struct request q, int pidfd)
{
	int32_t err = EPROTO;
	struct iovec iov = {&err, sizeof(err)};
	union fd_space anc;
	struct msghdr m = message(&iov, &anc);
	const struct cmsghdr *c;
	int sock = dial(), fd = 0;

	if (!send_request(sock, q, pidfd) || recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != sizeof(err))
		err = EPROTO;
	c = err ? NULL : CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(c), sizeof(int));
	close(sock);
	errno = err;
	return err ? -1 : fd;
}

__attribute__((visibility("default"))) int pidfd_open(pid_t pid, unsigned int flags)
{
	if (pid > 0 && flags == 0)
		return ask((struct request){pid, 0}, -1);
	errno = EINVAL;
	return -1;
}

__attribute__((visibility("default"))) int pidfd_send_signal(int pidfd, int sig, siginfo_t *info,
							     unsigned int flags)
{
	if (pidfd >= 0 && !info && flags == 0)
		return ask((struct request){0, sig}, pidfd);
	errno = EINVAL;
	return -1;
}

__attribute__((visibility("default"))) int getsockopt(int fd, int level, int name, void *value,
						      socklen_t *len)
{
	int (*real)(int, int, int, void *, socklen_t *) =
		(int (*)(int, int, int, void *, socklen_t *))dlsym(RTLD_NEXT, "getsockopt");

	if (level != SOL_SOCKET || name != SO_PEERPIDFD)
		return real(fd, level, name, value, len);
	errno = ENOPROTOOPT;
	return -1;
}
