/* SPDX-License-Identifier: MIT */
/*
 * The local link's guest end: Unix sockets, memfd, eventfd (local.h). The peer shares the file
 * descriptions and is not trusted: sizes of memory are sealed, messages are checked.
 *
 * Nothing here is a cancellation point: waits use raw system calls, the rest is called with
 * cancellation off (cancel.h).
 */
#include "link/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "link/cancel.h"
#include "link/identity.h"
#include "link/local.h"
#include "pvgpu_wire.h"
#include "ring/ring.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

enum {
	OPEN_SECONDS = 600, /* hundreds of others may be before us, each of which takes a worker */
	RESTART_MS = 5000,  /* how long to wait for a pvgpud that is being restarted */
	RETRY_MS = 20,
	LOOK_MS = 1000, /* of a wait, from one look at the files to the next */
	CHUNK_ADD = 1,
	CHUNK_REMOVE = 2,
};

struct local {
	struct pvgpu_link link;
	int to_worker, to_guest, sock, kick;
	struct pvgpu_identity is[4]; /* in this order */
	atomic_bool lost;            /* one of them is another file */
	short hangup;                /* poll()'s events that stand for a hang-up of sock */
};

#define REASON(...) snprintf(reason, PVGPU_LINK_REASON, __VA_ARGS__)

static struct local *local(struct pvgpu_link *l)
{
	return (struct local *)l;
}

static void ring_eventfd(int fd)
{
	const uint64_t one = 1;

	while (syscall(SYS_write, fd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

static void take_eventfd(int fd)
{
	uint64_t count;

	while (syscall(SYS_read, fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/* poll() that is no cancellation point. ms < 0: no limit. */
static int raw_poll(struct pollfd *fds, unsigned int n, int ms)
{
	struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};

	return (int)syscall(SYS_ppoll, fds, n, ms < 0 ? NULL : &t, NULL, 0);
}

/*
 * gVisor's poll() reports no hang-up, only that the socket is readable. An answer of the worker
 * makes it readable, too, so POLLIN is used only where POLLRDHUP does not work.
 */
static short hangup_events(void)
{
	struct pollfd fd = {.events = POLLRDHUP};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return POLLRDHUP;
	close(pair[1]);
	fd.fd = pair[0];
	raw_poll(&fd, 1, 0);
	close(pair[0]);
	return fd.revents ? POLLRDHUP : POLLRDHUP | POLLIN;
}

static bool has_hung_up(const struct local *lo, short revents)
{
	char byte;

	if (revents != POLLIN)
		return revents != 0;
	return syscall(SYS_recvfrom, lo->sock, &byte, 1, MSG_PEEK | MSG_DONTWAIT, NULL, NULL) == 0;
}

static bool are_same(struct local *lo)
{
	const int fd[] = {lo->to_worker, lo->to_guest, lo->sock, lo->kick};

	for (int i = 0; i < 4; i++)
		if (!pvgpu_is_same(fd[i], true, &lo->is[i]))
			atomic_store(&lo->lost, true);
	return !atomic_load(&lo->lost);
}

/* Nothing is written to a file of the application's. */
static void ring(struct local *lo, int fd, const struct pvgpu_identity *is)
{
	if (pvgpu_is_same(fd, false, is)) {
		ring_eventfd(fd);
		return;
	}
	atomic_store(&lo->lost, true);
	if (pvgpu_is_same(lo->sock, false, &lo->is[2]))
		shutdown(lo->sock, SHUT_RDWR);
}

static void local_doorbell(struct pvgpu_link *l)
{
	ring(local(l), local(l)->to_worker, &local(l)->is[0]);
}

static void local_kick(struct pvgpu_link *l)
{
	ring(local(l), local(l)->kick, &local(l)->is[3]);
}

static unsigned int take(struct local *lo, int fd, const struct pvgpu_identity *is,
			 unsigned int what)
{
	if (!pvgpu_is_same(fd, false, is)) {
		atomic_store(&lo->lost, true);
		return PVGPU_LINK_HANGUP;
	}
	take_eventfd(fd);
	return what;
}

static unsigned int local_wait(struct pvgpu_link *l, unsigned int what)
{
	struct local *lo = local(l);
	struct pollfd fds[3] = {
		{.fd = lo->sock, .events = lo->hangup},
		{.fd = what & PVGPU_LINK_RUNG ? lo->to_guest : -1, .events = POLLIN},
		{.fd = what & PVGPU_LINK_KICKED ? lo->kick : -1, .events = POLLIN},
	};
	unsigned int got = 0;
	int n;

	/* A thread that waits for an answer looks whether the worker can have been rung. */
	do {
		if (atomic_load(&lo->lost))
			return PVGPU_LINK_HANGUP;
		n = raw_poll(fds, 3, what & PVGPU_LINK_RUNG ? LOOK_MS : -1);
	} while (!n && are_same(lo));
	if (n <= 0)
		return n < 0 && errno == EINTR ? 0 : PVGPU_LINK_HANGUP;
	if (fds[1].revents)
		got |= take(lo, lo->to_guest, &lo->is[1], PVGPU_LINK_RUNG);
	if (fds[2].revents)
		got |= take(lo, lo->kick, &lo->is[3], PVGPU_LINK_KICKED);
	/* The application may have closed the files: a hang-up, or the caller would spin. */
	if (has_hung_up(lo, fds[0].revents) || (fds[1].revents | fds[2].revents) & POLLNVAL)
		got |= PVGPU_LINK_HANGUP;
	return got;
}

static void local_hangup(struct pvgpu_link *l)
{
	shutdown(local(l)->sock, SHUT_RDWR);
}

static void local_finish(struct pvgpu_link *l, int ms)
{
	struct pollfd fd = {.fd = local(l)->sock, .events = local(l)->hangup};

	shutdown(local(l)->sock, SHUT_WR);
	while (raw_poll(&fd, 1, ms) < 0 && errno == EINTR)
		;
}

static void close_fds(struct local *lo)
{
	const int fd[] = {lo->to_worker, lo->to_guest, lo->sock, lo->kick};

	for (int i = 0; i < 4; i++)
		if (pvgpu_is_same(fd[i], false, &lo->is[i]))
			close(fd[i]);
}

static void local_close(struct pvgpu_link *l)
{
	close_fds(local(l));
	munmap(l->page, pvgpu_ring_bytes(l->cmd_size, l->rep_size));
	free(l);
}

static void local_abandon(struct pvgpu_link *l)
{
	close_fds(local(l));
}

/* ---- arena chunks ---- */

static int send_chunk(struct local *lo, const struct pvgpu_local_chunk *m, int fd)
{
	struct iovec iov = {.iov_base = (void *)(uintptr_t)m, .iov_len = sizeof(*m)};
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	while (sendmsg(lo->sock, &msg, MSG_NOSIGNAL) < 0)
		if (errno != EINTR)
			return -EPIPE;
	return 0;
}

static int recv_chunked(struct local *lo, uint64_t address)
{
	struct pvgpu_local_chunked ack;
	ssize_t n;

	/* MSG_TRUNC: a longer message is detected. Without a control buffer the kernel drops fds
	 * that a hostile worker attached. */
	do
		n = recv(lo->sock, &ack, sizeof(ack), MSG_TRUNC);
	while (n < 0 && (errno == EINTR || errno == EAGAIN));
	if (n <= 0)
		return -EPIPE;
	if (n != sizeof(ack) || ack.magic != PVGPU_LOCAL_MAGIC || ack.address != address)
		return -EPROTO;
	if (ack.error < 0 || ack.error > 4095)
		return -EPROTO;
	return ack.error == EPROTO || ack.error == EPIPE ? -EINVAL : -ack.error;
}

static int ask_chunk(struct local *lo, uint32_t op, void *address, uint64_t size, int fd)
{
	const struct pvgpu_local_chunk m = {
		.magic = PVGPU_LOCAL_MAGIC, .op = op, .address = (uintptr_t)address, .size = size};
	const int err = send_chunk(lo, &m, fd);

	return err ? err : recv_chunked(lo, m.address);
}

/* Put the inaccessible reservation back. */
static void unmap_chunk(void *address, uint64_t size)
{
	mmap(address, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
	     0);
}

/* A memfd of sealed size: a worker that could shrink it would make the application fault. */
static int make_chunk(uint64_t size)
{
	int fd = memfd_create("pvgpu-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int err;

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = memfd_create("pvgpu-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (pvgpu_set_size(fd, size) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		err = -errno;
		close(fd);
		return err;
	}
	return fd;
}

static int local_grow(struct pvgpu_link *l, void *address, uint64_t size)
{
	int fd = make_chunk(size), err = 0;

	if (fd < 0)
		return fd;
	if (mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) ==
	    MAP_FAILED) {
		err = -errno;
	} else {
		madvise(address, size, MADV_DONTFORK);
		err = ask_chunk(local(l), CHUNK_ADD, address, size, fd);
	}
	if (err)
		unmap_chunk(address, size);
	close(fd);
	return err;
}

static int local_shrink(struct pvgpu_link *l, void *address, uint64_t size)
{
	int err = ask_chunk(local(l), CHUNK_REMOVE, address, size, -1);

	if (err != -EBUSY)
		unmap_chunk(address, size);
	return err;
}

/* ---- opening ---- */

static const struct pvgpu_link_ops local_ops = {
	.doorbell = local_doorbell,
	.wait = local_wait,
	.kick = local_kick,
	.grow = local_grow,
	.shrink = local_shrink,
	.hangup = local_hangup,
	.finish = local_finish,
	.close = local_close,
	.abandon = local_abandon,
};

static int connect_to(const char *path, char *reason)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = OPEN_SECONDS};
	int fd, err;

	if (strlen(path) >= sizeof(to.sun_path)) {
		REASON("the socket's path %.60s... is longer than %zu bytes: use a shorter one",
		       path, sizeof(to.sun_path) - 1);
		return -ENAMETOOLONG;
	}
	strcpy(to.sun_path, path);
	fd = pvgpu_away_from_stdio(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
	if (fd < 0) {
		err = -errno;
		REASON("cannot make a socket: %s", strerror(-err));
		return err;
	}
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	while (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		if (errno == EINTR)
			continue;
		err = -errno;
		REASON("cannot connect to %.90s: %s (is pvgpud running?)", path, strerror(-err));
		close(fd);
		return err;
	}
	return fd;
}

/* Take the fds out of a message; returns how many, closing what is more than max. */
static unsigned int take_fds(struct msghdr *msg, int *fds, unsigned int max)
{
	unsigned int n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (n < max)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

/* Ask for a session; fds are the caller's to close, also on errors. */
static int ask_open(int sock, struct pvgpu_local_opened *m, int fds[PVGPU_LOCAL_FDS], char *reason)
{
	struct pvgpu_local_open ask = {.magic = PVGPU_LOCAL_MAGIC, .version = PVGPU_LOCAL_VERSION};
	struct iovec iov = {.iov_base = m, .iov_len = sizeof(*m)};
	union {
		char buf[CMSG_SPACE(sizeof(int) * PVGPU_LOCAL_FDS)];
		struct cmsghdr align;
	} control;
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	unsigned int n_fds;
	ssize_t n;

	snprintf(ask.comm, sizeof(ask.comm), "%s", program_invocation_short_name);
	if (send(sock, &ask, sizeof(ask), MSG_NOSIGNAL) != sizeof(ask)) {
		REASON("cannot ask pvgpud for a session: %s (is it running?)", strerror(errno));
		return -EPIPE;
	}
	do
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0) {
		REASON("no answer from pvgpud: %s (its log may say why)", strerror(errno));
		return errno == ECONNRESET ? -EPIPE : -ETIMEDOUT;
	}
	n_fds = take_fds(&msg, fds, PVGPU_LOCAL_FDS);
	if (n == 0) {
		REASON("pvgpud closed the connection without an answer (its log may say why)");
		return -EPIPE;
	}
	if (n != sizeof(*m) || m->magic != PVGPU_LOCAL_MAGIC || m->version != PVGPU_LOCAL_VERSION) {
		REASON("pvgpud's answer is not of local link version %u: use libcuda.so.1 of "
		       "pvgpud's release",
		       PVGPU_LOCAL_VERSION);
		return -EPROTO;
	}
	m->reason[sizeof(m->reason) - 1] = '\0';
	if (m->error) {
		REASON("pvgpud refused: %s", m->reason[0] ? m->reason : strerror(abs(m->error)));
		return m->error == EPERM ? -EPERM : -EREMOTEIO;
	}
	if (n_fds != PVGPU_LOCAL_FDS || (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))) {
		REASON("pvgpud sent %u files instead of %d (is the limit of open files reached?)",
		       n_fds, PVGPU_LOCAL_FDS);
		return -EPROTO;
	}
	return 0;
}

/* Map the ring. Its size must be sealed: a backend that could shrink it would make us fault. */
static int map_ring(struct pvgpu_link *l, int fd, char *reason)
{
	const size_t size = pvgpu_ring_bytes(l->cmd_size, l->rep_size);
	struct stat st;
	void *p;
	int seals;

	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &st) < 0 || st.st_size < 0 ||
	    (uint64_t)st.st_size < size) {
		REASON("the ring's memory is not a sealed memfd of %zu bytes", size);
		return -EPROTO;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED) {
		REASON("cannot map the ring: %s", strerror(errno));
		return -errno;
	}
	madvise(p, size, MADV_DONTFORK);
	l->page = p;
	return 0;
}

/* Make an eventfd non-blocking. The peer shares the flag and could clear it; a blocked process can
 * still be killed by a signal. */
static int never_block(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		       ? -1
		       : 0;
}

static int set_up(struct local *lo, const struct pvgpu_local_opened *m, int fds[PVGPU_LOCAL_FDS],
		  char *reason)
{
	const struct timeval none = {0};
	int flags;

	if (!pvgpu_ring_size_ok(m->cmd_size) || !pvgpu_ring_size_ok(m->rep_size)) {
		REASON("pvgpud's ring sizes %u and %u make no sense", m->cmd_size, m->rep_size);
		return -EPROTO;
	}
	lo->link.ops = &local_ops;
	lo->link.cmd_size = m->cmd_size;
	lo->link.rep_size = m->rep_size;
	lo->link.session = m->session;
	lo->link.arena_limit = m->arena_limit;
	lo->link.chunk_max = PVGPU_CHUNK_MAX;
	lo->to_worker = fds[PVGPU_FD_TO_WORKER];
	lo->to_guest = fds[PVGPU_FD_TO_GUEST];
	lo->sock = fds[PVGPU_FD_SESSION];
	lo->kick = pvgpu_away_from_stdio(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	lo->hangup = hangup_events();
	flags = fcntl(lo->sock, F_GETFL);
	if (lo->kick < 0 || never_block(lo->to_worker) || never_block(lo->to_guest) || flags < 0 ||
	    fcntl(lo->sock, F_SETFL, flags & ~O_NONBLOCK) < 0) {
		REASON("cannot set up the doorbells: %s", strerror(errno));
		goto out_kick;
	}
	if (!pvgpu_identify(lo->to_worker, true, &lo->is[0]) ||
	    !pvgpu_identify(lo->to_guest, true, &lo->is[1]) ||
	    !pvgpu_identify(lo->sock, true, &lo->is[2]) ||
	    !pvgpu_identify(lo->kick, true, &lo->is[3])) {
		REASON("cannot look at the doorbells: %s", strerror(errno));
		goto out_kick;
	}
	setsockopt(lo->sock, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	if (map_ring(&lo->link, fds[PVGPU_FD_RING], reason))
		goto out_kick;
	close(fds[PVGPU_FD_RING]);
	return 0;
out_kick:
	if (lo->kick >= 0)
		close(lo->kick);
	return -EPROTO;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/*
 * Connect and ask. A socket that nothing listens on, or a connection that breaks before the answer,
 * means that pvgpud is being restarted. Sessions survive a restart, and a program that starts
 * meanwhile should work, too: it retries for RESTART_MS from then on, however long it has waited
 * for an answer before. The socket is the caller's to close.
 */
static int connect_and_ask(const char *path, int *sock, struct pvgpu_local_opened *m,
			   int fds[PVGPU_LOCAL_FDS], char *reason)
{
	const struct timespec pause = {.tv_nsec = RETRY_MS * 1000000L};
	int64_t end = 0;
	int err;

	for (;;) {
		*sock = connect_to(path, reason);
		if (*sock == -ECONNREFUSED)
			err = -EPIPE;
		else
			err = *sock < 0 ? *sock : ask_open(*sock, m, fds, reason);
		if (err != -EPIPE || (end && now_ms() > end))
			return err;
		if (!end)
			end = now_ms() + RESTART_MS;
		if (*sock >= 0)
			close(*sock);
		syscall(SYS_nanosleep, &pause, NULL);
	}
}

static int open_local(const char *path, struct pvgpu_link **out, char *reason)
{
	int fds[PVGPU_LOCAL_FDS] = {-1, -1, -1, -1};
	struct local *lo = calloc(1, sizeof(*lo));
	struct pvgpu_local_opened m;
	int sock, err = -ENOMEM;

	if (!lo) {
		REASON("out of memory");
		return err;
	}
	err = connect_and_ask(path, &sock, &m, fds, reason);
	for (unsigned int i = 0; i < PVGPU_LOCAL_FDS; i++)
		fds[i] = pvgpu_away_from_stdio(fds[i]);
	if (!err)
		err = set_up(lo, &m, fds, reason);
	if (sock >= 0)
		close(sock);
	if (!err) {
		*out = &lo->link;
		return 0;
	}
	for (unsigned int i = 0; i < PVGPU_LOCAL_FDS; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	free(lo);
	return err;
}

int pvgpu_link_open_local(const char *path, struct pvgpu_link **out, char reason[PVGPU_LINK_REASON])
{
	const int cancel = pvgpu_cancel_off();
	const int err = open_local(path, out, reason);

	pvgpu_cancel_back(cancel);
	return err;
}
