/* SPDX-License-Identifier: MIT */
/* The peer of a socket, on kernels that give a pidfd of it and on those that do not. */
#include <check.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

static pid_t at_the_end; /* the peer, or what has its pid now */
static int refusal;      /* of SO_PEERPIDFD */

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len);

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
	if (level != SOL_SOCKET || (name != SO_PEERCRED && name != SO_PEERPIDFD))
		abort();
	if (name == SO_PEERPIDFD) {
		errno = refusal;
		return -1;
	}
	*(struct ucred *)value = (struct ucred){.pid = at_the_end, .uid = 7, .gid = 8};
	return 0;
}

static const struct {
	int refusal;
	bool found;
} rows[] = {
	{ENOPROTOOPT, true}, /* Linux before 6.5 */
	{ESRCH, false},      /* it has been waited for */
	{EINVAL, false},     /* likewise, Linux before 6.16 */
	{ENODATA, false},    {EMFILE, false},
};

/* The socket has not hung up, since another process holds its end; the pid is that of a process
 * that is not the peer. */
START_TEST(a_pid_that_is_another_ones)
{
	struct msg_peer peer;
	int ends[2], status;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	at_the_end = fork();
	if (!at_the_end)
		for (;;)
			pause();
	refusal = rows[_i].refusal;
	ck_assert_int_eq(msg_peer(ends[0], &peer), 0);
	ck_assert_int_eq(peer.pid, at_the_end);
	ck_assert_uint_eq(peer.uid, 7);
	ck_assert_int_eq(peer.pidfd >= 0, rows[_i].found);
	if (peer.pidfd >= 0)
		close(peer.pidfd);
	kill(at_the_end, SIGKILL);
	waitpid(at_the_end, &status, 0);
	close(ends[0]);
	close(ends[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("peer");
	TCase *t = tcase_create("peer");
	SRunner *r;
	int failed;

	tcase_add_loop_test(t, a_pid_that_is_another_ones, 0, sizeof(rows) / sizeof(rows[0]));
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
