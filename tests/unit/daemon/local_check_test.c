/* SPDX-License-Identifier: MIT */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/open_files.h"
#include "ring/ring.h"
#include "xen-pvgpu-back/contract/local_check.h"
#include "xen-pvgpu-back/contract/msg.h"

static char reason[CHECK_REASON];

static struct pvgpu_local_open good_open(void)
{
	return (struct pvgpu_local_open){.magic = PVGPU_LOCAL_MAGIC,
					 .version = PVGPU_LOCAL_VERSION};
}

START_TEST(open_requests)
{
	struct pvgpu_local_open m = good_open();

	memset(m.comm, 'x', sizeof(m.comm));
	m.comm[3] = '\n';
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), 0);
	ck_assert_uint_eq(m.cmd_size, PVGPU_RING_CMD_DEFAULT);
	ck_assert_uint_eq(m.rep_size, PVGPU_RING_REP_DEFAULT);
	ck_assert_uint_eq(strlen(m.comm), sizeof(m.comm) - 1);
	ck_assert_int_eq(m.comm[3], '?');
	for (size_t len = 0; len < sizeof(m); len++)
		ck_assert_int_eq(check_open(&m, len, reason), -EPROTO);
	ck_assert_int_eq(check_open(&m, sizeof(m) + 1, reason), -EPROTO);
	m = good_open();
	m.magic++;
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), -EPROTO);
	m = good_open();
	m.version = 7;
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), -EPROTONOSUPPORT);
	ck_assert(strstr(reason, "version 7") != NULL);
	ck_assert(!check_is_ask(&m, sizeof(m), PVGPU_LOCAL_ASK));
	/* A question is no request of a known version, so that an older backend counts no fault. */
	m.version = PVGPU_LOCAL_ASK;
	ck_assert(check_is_ask(&m, sizeof(m), PVGPU_LOCAL_ASK));
	ck_assert(!check_is_ask(&m, sizeof(m) - 1, PVGPU_LOCAL_ASK));
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), -EPROTONOSUPPORT);
	m.magic++;
	ck_assert(!check_is_ask(&m, sizeof(m), PVGPU_LOCAL_ASK));
	m = good_open();
	m.cmd_size = PVGPU_RING_MIN + 8;
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), -EINVAL);
	m = good_open();
	m.rep_size = PVGPU_RING_MAX * 2;
	ck_assert_int_eq(check_open(&m, sizeof(m), reason), -EINVAL);
}
END_TEST

#define BASE 0x200000000000ull
static const struct check_arena arena = {
	.base = BASE, .size = 1 << 20, .used = 4096, .limit = 1 << 19};

static const struct {
	uint32_t op;
	uint64_t address, size;
	unsigned int fds;
	int result;
} chunks[] = {
	{PVGPU_CHUNK_ADD, BASE, 4096, 1, 0},
	{PVGPU_CHUNK_ADD, BASE + (1 << 20) - 4096, 4096, 1, 0},
	{PVGPU_CHUNK_ADD, BASE + (1 << 20), 4096, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE + (1 << 20) - 4096, 8192, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE - 4096, 8192, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE, 0, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE, 100, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE + 8, 4096, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE, UINT64_MAX & ~4095ull, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, UINT64_MAX & ~4095ull, 4096, 1, -EPROTO},
	{PVGPU_CHUNK_ADD, BASE, 1 << 19, 1, -ENOMEM},
	{PVGPU_CHUNK_ADD, BASE, (1 << 19) - 4096, 1, 0},
	{PVGPU_CHUNK_ADD, BASE, 4096, 0, -EPROTO},
	{PVGPU_CHUNK_REMOVE, BASE, 4096, 0, 0},
	{PVGPU_CHUNK_REMOVE, BASE, 4096, 1, -EPROTO},
	{0, BASE, 4096, 0, -EPROTO},
	{3, BASE, 4096, 1, -EPROTO},
};

START_TEST(chunk_requests)
{
	struct pvgpu_local_chunk m = {.magic = PVGPU_LOCAL_MAGIC,
				      .op = chunks[_i].op,
				      .address = chunks[_i].address,
				      .size = chunks[_i].size};
	struct check_arena none = {.limit = 1 << 20};

	ck_assert_int_eq(check_chunk(&m, sizeof(m), chunks[_i].fds, &arena, reason),
			 chunks[_i].result);
	ck_assert_int_eq(check_chunk(&m, sizeof(m) - 1, chunks[_i].fds, &arena, reason), -EPROTO);
	ck_assert_int_eq(check_chunk(&m, sizeof(m), chunks[_i].fds, &none, reason), -EPROTO);
	m.magic = 0;
	ck_assert_int_eq(check_chunk(&m, sizeof(m), chunks[_i].fds, &arena, reason), -EPROTO);
}
END_TEST

START_TEST(chunk_files)
{
	int fd = memfd_create("x", MFD_ALLOW_SEALING | MFD_CLOEXEC), p[2];

	ck_assert_int_eq(ftruncate(fd, 8192), 0);
	ck_assert_int_eq(check_chunk_fd(fd, 8192, reason), -EPROTO);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	ck_assert_int_eq(check_chunk_fd(fd, 8192, reason), -EPROTO);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert_int_eq(check_chunk_fd(fd, 8192, reason), 0);
	ck_assert_int_eq(check_chunk_fd(fd, 4096, reason), -EPROTO);
	ck_assert_int_eq(check_chunk_fd(fd, 12288, reason), -EPROTO);
	close(fd);
	ck_assert_int_eq(pipe(p), 0);
	ck_assert_int_eq(check_chunk_fd(p[0], 0, reason), -EPROTO);
	close(p[0]);
	close(p[1]);
	fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(check_chunk_fd(fd, 0, reason), -EPROTO);
	close(fd);
	ck_assert_int_eq(check_chunk_fd(-1, 4096, reason), -EPROTO);
}
END_TEST

static const struct {
	uint32_t kind;
	uint64_t a;
	enum check_worker_state state;
	int result;
} words[] = {
	{PVGPU_SUP_READY, 0, CHECK_STARTING, 0},
	{PVGPU_SUP_READY, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_READY, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_TAKEN, 0, CHECK_SERVING, 0},
	{PVGPU_SUP_TAKEN, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_SEALED, 0, CHECK_SERVING, 0},
	{PVGPU_SUP_SEALED, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_LEASE, 1, CHECK_SERVING, 0},
	{PVGPU_SUP_LEASE, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_LEASE, 1, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_LEASE, 1, CHECK_ADOPTING, -EPROTO},
	{PVGPU_SUP_RETURN, 1, CHECK_SERVING, 0},
	{PVGPU_SUP_RETURN, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_STATE, 0, CHECK_ADOPTING, 0},
	{PVGPU_SUP_STATE, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_ENDED, PVGPU_END_FAILED, CHECK_STARTING, 0},
	{PVGPU_SUP_ENDED, PVGPU_ENDS, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_ENDED, PVGPU_END_FAILED, CHECK_CANARY, 0},
	{PVGPU_SUP_CANARIED, 0, CHECK_CANARY, 0},
	{PVGPU_SUP_CANARIED, 1000, CHECK_CANARY, 0},
	{PVGPU_SUP_CANARIED, 10000, CHECK_CANARY, -EPROTO},
	{PVGPU_SUP_CANARIED, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_CANARIED, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_LEASE, 1, CHECK_CANARY, -EPROTO},
	{PVGPU_SUP_CANARY, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_CHUNKED, 0, CHECK_SERVING, 0},
	{PVGPU_SUP_CHUNKED, 4095, CHECK_SERVING, 0},
	{PVGPU_SUP_CHUNKED, 4096, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_CHUNKED, UINT64_MAX, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_CHUNKED, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_CHUNKED, 0, CHECK_ADOPTING, -EPROTO},
	{PVGPU_SUP_CHUNK_ADD, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_CLOSE, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_ASSIGN, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_LEASED, 1, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_DRAIN, 1, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_SHARED, 1, CHECK_SERVING, 0},
	{PVGPU_SUP_SHARED, 10000, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_SHARED, 1, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_DROP, 0, CHECK_SERVING, 0},
	{PVGPU_SUP_DROP, 0, CHECK_SPARE, -EPROTO},
	{PVGPU_SUP_HELD, 1, CHECK_SERVING, 0},
	{PVGPU_SUP_HELD, 2, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_IMPORT, 0, CHECK_ADOPTING, -EPROTO},
	{PVGPU_SUP_WANTED, 0, CHECK_SERVING, -EPROTO},
	{PVGPU_SUP_GIVEN, 0, CHECK_SERVING, -EPROTO},
	{0, 0, CHECK_SERVING, -EPROTO},
	{99, 0, CHECK_SERVING, -EPROTO},
};

START_TEST(words_of_workers)
{
	struct pvgpu_sup m = {.kind = words[_i].kind, .a = words[_i].a};

	memset(m.reason, 0xff, sizeof(m.reason));
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, words[_i].state, reason),
			 words[_i].result);
	if (!words[_i].result)
		ck_assert_uint_eq(strnlen(m.reason, sizeof(m.reason)), sizeof(m.reason) - 1);
	ck_assert_int_eq(check_from_worker(&m, sizeof(m) - 1, 0, words[_i].state, reason), -EPROTO);
	ck_assert_int_eq(check_from_worker(&m, sizeof(m) + 1, 0, words[_i].state, reason), -EPROTO);
}
END_TEST

/* One file, with what is shared and with nothing else. */
START_TEST(files_of_workers)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_SHARED};

	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 1, CHECK_SERVING, reason), 0);
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), -EPROTO);
	m.a = 1;
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 1, CHECK_SERVING, reason), -EPROTO);
	m = (struct pvgpu_sup){.kind = PVGPU_SUP_IMPORT};
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 1, CHECK_SERVING, reason), -EPROTO);
	memset(m.token, 0xff, sizeof(m.token));
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), 0);
	ck_assert_uint_eq(m.token[0], 0xff);
	m = (struct pvgpu_sup){.kind = PVGPU_SUP_LEASE, .a = 1};
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 1, CHECK_SERVING, reason), -EPROTO);
	m = (struct pvgpu_sup){.kind = PVGPU_SUP_GIVEN};
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_LOCAL_SESSION, 1, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_LOCAL_SESSION, 0, reason), -EPROTO);
	m.a = 1;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_LOCAL_SESSION, 0, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_NOTHING_YET, 0, reason), -EPROTO);
}
END_TEST

/* A session's end: the result of its kernels, and which side is at fault. */
START_TEST(last_words_of_workers)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_ENDED, .b = 700};

	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), 0);
	m.c = 1;
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), 0);
	m.c = 2;
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), -EPROTO);
	m.c = 0;
	m.b = UINT64_MAX;
	ck_assert_int_eq(check_from_worker(&m, sizeof(m), 0, CHECK_SERVING, reason), -EPROTO);
}
END_TEST

START_TEST(words_of_pvgpud)
{
	const enum check_serves none = CHECK_NOTHING_YET, local = CHECK_LOCAL_SESSION;
	struct pvgpu_sup_assign m = {.head.kind = PVGPU_SUP_ASSIGN,
				     .cmd_size = PVGPU_RING_CMD_DEFAULT,
				     .rep_size = PVGPU_RING_REP_DEFAULT};

	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_FDS, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_FDS - 1, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, 3, reason), -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), local, PVGPU_SUP_FDS, reason), -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), none, PVGPU_SUP_FDS, reason),
			 -EPROTO);
	m.link = PVGPU_SUP_LINK_XEN;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_FDS, reason), -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_XEN_FDS, reason), 0);
	m.flags = PVGPU_SUP_NO_ZERO_COPY;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_XEN_FDS, reason), 0);
	m.flags = PVGPU_SUP_NO_ZERO_COPY | PVGPU_SUP_CONFIDENTIAL;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_XEN_FDS, reason), 0);
	m.flags = 2 * PVGPU_SUP_CONFIDENTIAL;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_XEN_FDS, reason),
			 -EPROTO);
	m.flags = 0;
	m.link = 2;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_XEN_FDS, reason),
			 -EPROTO);
	m.link = PVGPU_SUP_LINK_LOCAL;
	m.cmd_size = 5;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), none, PVGPU_SUP_FDS, reason), -EPROTO);
	m.head.kind = PVGPU_SUP_LEASED;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), local, 0, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), local, 1, reason), -EPROTO);
	m.head.kind = PVGPU_SUP_CANARY;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), none, 0, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), none, 1, reason), -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), local, 0, reason), -EPROTO);
	m.head.kind = PVGPU_SUP_LOG;
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), local, 1, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m.head), local, 0, reason), -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, 3, local, 0, reason), -EPROTO);
}
END_TEST

/* Messages of the Xen link alone, with the number of their fds. */
static const struct {
	uint32_t kind;
	unsigned int fds;
} xen_words[] = {
	{PVGPU_SUP_CHUNK_ADD, 1},
	{PVGPU_SUP_CHUNK_REMOVE, 0},
	{PVGPU_SUP_CLOSE, 0},
};

START_TEST(words_on_the_xen_link)
{
	const unsigned int fds = xen_words[_i].fds;
	struct pvgpu_sup m = {.kind = xen_words[_i].kind};

	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_XEN_SESSION, fds, reason), 0);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_XEN_SESSION, fds ^ 1, reason),
			 -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_XEN_SESSION, fds + 2, reason),
			 -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m) + 8, CHECK_XEN_SESSION, fds, reason),
			 -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_LOCAL_SESSION, fds, reason),
			 -EPROTO);
	ck_assert_int_eq(check_from_daemon(&m, sizeof(m), CHECK_NOTHING_YET, fds, reason), -EPROTO);
}
END_TEST

START_TEST(names)
{
	ck_assert_int_eq(check_vgpu_name("vgpu0"), 0);
	ck_assert_int_eq(check_vgpu_name("a.b-c_D9"), 0);
	ck_assert_int_eq(check_vgpu_name(""), -EINVAL);
	ck_assert_int_eq(check_vgpu_name("."), -EINVAL);
	ck_assert_int_eq(check_vgpu_name("-x"), -EINVAL);
	ck_assert_int_eq(check_vgpu_name("a/b"), -EINVAL);
	ck_assert_int_eq(check_vgpu_name("a b"), -EINVAL);
	ck_assert_int_eq(check_vgpu_name("123456789012345678901234567890123456789"), 0);
	ck_assert_int_eq(check_vgpu_name("1234567890123456789012345678901234567890"), -EINVAL);
}
END_TEST

/* Surplus fds are closed and reported, and never leak. */
START_TEST(messages_with_fds)
{
	int p[2], fds[4] = {0, 0, 0, 0}, value = 7, got = 0;
	unsigned int before;
	struct msg_in in;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
	before = open_files();
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 1, &in), -EAGAIN);
	ck_assert_int_eq(msg_send(p[0], &value, sizeof(value), fds, 2), 0);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 4, &in), 1);
	ck_assert_int_eq(got, 7);
	ck_assert_uint_eq(in.n, 2);
	ck_assert(!in.fds_lost);
	ck_assert(fcntl(in.fds[0], F_GETFD) & FD_CLOEXEC);
	msg_close_fds(&in);
	ck_assert_int_eq(msg_send(p[0], &value, sizeof(value), fds, 4), 0);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 1, &in), 1);
	ck_assert_uint_eq(in.n, 1);
	ck_assert(in.fds_lost);
	msg_close_fds(&in);
	ck_assert_int_eq(msg_send(p[0], &value, sizeof(value), fds, 1), 0);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 0, &in), 1);
	ck_assert(in.fds_lost);
	/* A message that is too long is reported by its length. An empty one is no hang-up. */
	ck_assert_int_eq(msg_send(p[0], fds, sizeof(fds), NULL, 0), 0);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 0, &in), 1);
	ck_assert_uint_eq(in.len, sizeof(fds));
	ck_assert_int_eq(msg_send(p[0], &value, 0, NULL, 0), 0);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 0, &in), 1);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_uint_eq(open_files(), before);
	close(p[0]);
	ck_assert_int_eq(msg_recv(p[1], &got, sizeof(got), 0, &in), 0);
	ck_assert_int_eq(msg_send(p[1], &value, sizeof(value), NULL, 0), -EPIPE);
	close(p[1]);
}
END_TEST

/* A peer's last message counts, even when it has not read ours. */
START_TEST(last_words)
{
	int p[2], value = 7, got = 0;
	struct msg_in in;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
	ck_assert_int_eq(msg_send(p[0], &value, sizeof(value), NULL, 0), 0);
	ck_assert_int_eq(msg_send(p[1], &value, sizeof(value), NULL, 0), 0);
	close(p[1]);
	ck_assert_int_eq(msg_recv(p[0], &got, sizeof(got), 0, &in), 1);
	ck_assert_int_eq(got, 7);
	ck_assert_int_eq(msg_recv(p[0], &got, sizeof(got), 0, &in), 0);
	close(p[0]);
}
END_TEST

/* As gVisor's kernel has it, when the peer has left something unread. */
static bool reset_for_ever;

ssize_t __real_recvmsg(int fd, struct msghdr *h, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *h, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *h, int flags)
{
	if (!reset_for_ever)
		return __real_recvmsg(fd, h, flags);
	errno = ECONNRESET;
	return -1;
}

START_TEST(a_reset_that_does_not_end)
{
	int p[2], got;
	struct msg_in in;

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
	reset_for_ever = true;
	ck_assert_int_eq(msg_recv(p[0], &got, sizeof(got), 0, &in), 0);
	close(p[0]);
	close(p[1]);
}
END_TEST

START_TEST(peers)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	socklen_t len = sizeof(a.sun_family); /* the kernel finds a name */
	int l = socket(AF_UNIX, SOCK_SEQPACKET, 0), fd;
	struct msg_peer peer;
	pid_t pid;

	ck_assert_int_eq(bind(l, (struct sockaddr *)&a, len), 0);
	ck_assert_int_eq(listen(l, 1), 0);
	len = sizeof(a);
	ck_assert_int_eq(getsockname(l, (struct sockaddr *)&a, &len), 0);
	pid = fork();
	if (!pid) {
		fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);
		if (connect(fd, (struct sockaddr *)&a, len) == 0)
			pause();
		_exit(1);
	}
	fd = accept(l, NULL, NULL);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(msg_peer(fd, &peer), 0);
	ck_assert_int_eq(peer.pid, pid);
	ck_assert_int_eq((int)peer.uid, (int)getuid());
	ck_assert_int_ge(peer.pidfd, 0);
	kill(pid, SIGKILL);
	close(peer.pidfd);
	close(fd);
	close(l);
}
END_TEST

/* Where the kernel reports the asking process as the peer, the peer's pid is unknown. */
START_TEST(a_peer_that_cannot_be_told)
{
	struct msg_peer peer;
	int p[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p), 0);
	ck_assert_int_eq(msg_peer(p[0], &peer), 0);
	ck_assert_int_eq(peer.pid, 0);
	ck_assert_int_eq((int)peer.uid, (int)getuid());
	if (peer.pidfd >= 0)
		close(peer.pidfd);
	close(p[0]);
	close(p[1]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("local_check");
	TCase *t = tcase_create("local_check");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_add_test(t, open_requests);
	tcase_add_loop_test(t, chunk_requests, 0, (int)(sizeof(chunks) / sizeof(chunks[0])));
	tcase_add_test(t, chunk_files);
	tcase_add_loop_test(t, words_of_workers, 0, (int)(sizeof(words) / sizeof(words[0])));
	tcase_add_test(t, files_of_workers);
	tcase_add_test(t, last_words_of_workers);
	tcase_add_test(t, words_of_pvgpud);
	tcase_add_loop_test(t, words_on_the_xen_link, 0,
			    (int)(sizeof(xen_words) / sizeof(xen_words[0])));
	tcase_add_test(t, names);
	tcase_add_test(t, messages_with_fds);
	tcase_add_test(t, last_words);
	tcase_add_test(t, a_reset_that_does_not_end);
	tcase_add_test(t, peers);
	tcase_add_test(t, a_peer_that_cannot_be_told);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
