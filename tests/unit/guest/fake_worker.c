/* SPDX-License-Identifier: MIT */
#include "tests/unit/guest/fake_worker.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "pvgpu_wire.h"

#define DEVICE_SIZE  (64ull << 20)
#define ARENA_SIZE   (64ull << 30)
#define VALGRIND_HAS 0x10000000000 /* a hint */

static void must(bool ok, const char *what)
{
	if (!ok) {
		perror(what);
		abort();
	}
}

static void ring_guest(struct fake *f)
{
	const uint64_t one = 1;

	must(write(f->to_guest, &one, sizeof(one)) == sizeof(one), "doorbell");
}

static void send_rec(struct fake *f, const void *rec, uint32_t len)
{
	int room;

	while ((room = pvgpu_ring_has_space(&f->rep, len)) == 0) {
		struct pollfd fds[2] = {{.fd = f->to_worker, .events = POLLIN}, {.fd = f->sock}};
		uint64_t count;

		if (pvgpu_ring_flush(&f->cmd))
			ring_guest(f);
		if (pvgpu_ring_wait_begin(&f->rep, len)) {
			poll(fds, 2, -1);
			if (fds[1].revents) {
				f->over = true;
				return;
			}
			must(read(f->to_worker, &count, sizeof(count)) == sizeof(count), "read");
		}
		pvgpu_ring_wait_end(&f->rep);
	}
	must(room > 0, "space");
	pvgpu_ring_put(&f->rep, 0, rec, len);
	if (pvgpu_ring_publish(&f->rep, len))
		ring_guest(f);
}

static void reply(struct fake *f, uint32_t seq, int32_t result, uint64_t value)
{
	struct {
		struct pvgpu_rep_hdr hdr;
		uint64_t value;
	} rep = {{sizeof(rep), PVGPU_REP_REPLY, 0, seq, result}, value};

	send_rec(f, &rep, sizeof(rep));
}

static void mark(struct fake *f, const struct fake_rec *rec)
{
	struct pvgpu_wire_mark m = {{sizeof(m), PVGPU_REP_MARK, 0, rec->seq, (int32_t)rec->arg}};

	if (rec->flags & PVGPU_CMD_MARK)
		send_rec(f, &m, sizeof(m));
}

static void hello(struct fake *f, const struct fake_rec *rec)
{
	struct pvgpu_wire_session_hello_reply r = {
		.hdr = {sizeof(r), PVGPU_REP_REPLY, 0, rec->seq, 0},
		.version = 1,
		.device_count = 1,
		.driver_version = 13000,
	};

	send_rec(f, &r, sizeof(r));
}

void *fake_addresses(uint64_t size)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *p = mmap(NULL, size, PROT_NONE, flags, -1, 0);

	for (uintptr_t i = 0; p == MAP_FAILED && i < 16; i++)
		p = mmap((void *)(VALGRIND_HAS + i * 2 * ARENA_SIZE), size, PROT_NONE, flags, -1,
			 0);
	must(p != MAP_FAILED, "mmap");
	return p;
}

/* A range that is free in this process, which is the guest's, too. */
static uint64_t free_range(uint64_t size)
{
	void *p = fake_addresses(size);

	munmap(p, size);
	return (uintptr_t)p;
}

static void windows(struct fake *f, const struct fake_rec *rec)
{
	struct pvgpu_wire_session_windows_reply r = {
		.hdr = {sizeof(r), PVGPU_REP_REPLY, 0, rec->seq, 0},
		.device_size = DEVICE_SIZE,
		.arena_size = ARENA_SIZE,
	};
	uint64_t both = free_range(DEVICE_SIZE + ARENA_SIZE);

	r.device_base = f->device_base ? f->device_base : both;
	r.arena_base = f->arena_base ? f->arena_base : both + DEVICE_SIZE;
	must(rec->arg << 32 >> 32 == f->attempts, "attempt");
	if (f->attempts++ < (unsigned int)f->conflicts)
		r.arena_base = (uintptr_t)f->taken;
	send_rec(f, &r, sizeof(r));
}

static void bad(struct fake *f, const struct fake_rec *rec)
{
	union {
		struct pvgpu_rep_hdr hdr;
		struct pvgpu_wire_callback cb;
		unsigned char pad[64];
	} r = {.hdr = {16, PVGPU_REP_REPLY, 0, rec->seq, 0}};
	uint32_t len = 16;

	switch ((enum fake_bad)rec->arg) {
	case BAD_UNKNOWN_SEQ:
		r.hdr.seq += 7;
		break;
	case BAD_TWICE:
		len = 32;
		memcpy(r.pad + 16, r.pad, 16);
		break;
	case BAD_SHORT:
		r.hdr.len = 8;
		break;
	case BAD_ODD:
		r.hdr.len = 20;
		len = 24;
		break;
	case BAD_LONG:
		r.hdr.len = 48;
		break;
	case BAD_REP_PROD:
		pvgpu_store_release(&f->page->rep_prod.v, f->rep.own - 64);
		if (pvgpu_ring_claim(&f->page->rep_sleeping.v))
			ring_guest(f);
		return;
	case BAD_CMD_CONS:
		pvgpu_store_release(&f->page->cmd_cons.v, f->cmd.own + (1u << 30));
		break;
	case BAD_KIND:
		r.hdr.kind = 9;
		break;
	case BAD_CALLBACK:
		r.cb = (struct pvgpu_wire_callback){
			{sizeof(r.cb), PVGPU_REP_CALLBACK, 0, 0, 0}, 1, 0, 0};
		len = sizeof(r.cb);
		break;
	case BAD_MARK:
		r.hdr.kind = PVGPU_REP_MARK;
		break;
	case BAD_MARK_LEN:
		r.hdr.kind = PVGPU_REP_MARK;
		r.hdr.len = len = 24;
		break;
	case BADS:
		abort();
	}
	send_rec(f, &r, len);
	if (rec->arg == BAD_CMD_CONS) { /* and keep the wrong index */
		struct pollfd fd = {.fd = f->sock, .events = POLLRDHUP};

		poll(&fd, 1, -1);
		f->over = true;
	}
}

static void release(struct fake *f)
{
	while (f->n_held) {
		const struct fake_rec *h = &f->held[--f->n_held];

		if (h->op == FAKE_HOLD)
			reply(f, h->seq, 0, h->arg);
		else
			mark(f, h);
	}
}

static void callback(struct fake *f, uint64_t id)
{
	struct pvgpu_wire_callback cb = {{sizeof(cb), PVGPU_REP_CALLBACK, 0, 0, 0}, id, 0, 0};

	send_rec(f, &cb, sizeof(cb));
}

static void handle(struct fake *f, const struct fake_rec *rec)
{
	const struct timespec pause = {.tv_nsec = (long)rec->arg * 1000000};

	atomic_fetch_add(&f->commands, 1);
	switch (rec->op) {
	case PVGPU_OP_SESSION_HELLO:
		hello(f, rec);
		break;
	case PVGPU_OP_SESSION_WINDOWS:
		windows(f, rec);
		break;
	case PVGPU_OP_HOST_FUNC:
		callback(f, ((const struct pvgpu_wire_host_func *)rec)->id);
		break;
	case FAKE_ECHO:
		reply(f, rec->seq, 0, rec->arg);
		break;
	case FAKE_HOLD:
	case FAKE_HOLD_MARK:
		f->held[f->n_held++] = *rec;
		break;
	case FAKE_RELEASE:
		release(f);
		break;
	case FAKE_NOP:
		mark(f, rec);
		break;
	case FAKE_PAUSE:
		nanosleep(&pause, NULL);
		break;
	case FAKE_RESULT:
		reply(f, rec->seq, (int32_t)rec->arg, 0);
		break;
	case FAKE_BAD:
		bad(f, rec);
		break;
	case FAKE_DIE:
		if (rec->arg) {
			strcpy(f->page->text, "told \033[1mto");
			pvgpu_store_release(&f->page->status, PVGPU_RING_ENDED);
		}
		f->over = true;
		break;
	default:
		fprintf(stderr, "command %u\n", rec->op);
		abort();
	}
}

static void chunk(struct fake *f)
{
	struct pvgpu_local_chunk m;
	struct pvgpu_local_chunked ack = {.magic = PVGPU_LOCAL_MAGIC, .error = f->chunk_error};
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *c;
	ssize_t n = recvmsg(f->sock, &msg, 0);

	if (n <= 0) {
		f->over = true;
		return;
	}
	must(n == sizeof(m) && m.magic == PVGPU_LOCAL_MAGIC, "chunk");
	c = CMSG_FIRSTHDR(&msg);
	if (m.op == 1) {
		int fd;

		must(c != NULL, "chunk fd");
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
		must(fcntl(fd, F_GET_SEALS) & F_SEAL_SHRINK, "seals");
		close(fd);
		if (!f->chunk_error)
			atomic_fetch_add(&f->chunks, 1);
	} else {
		must(c == NULL, "fd with a removal");
		atomic_fetch_sub(&f->chunks, 1);
	}
	ack.address = m.address + f->bad_chunk;
	must(send(f->sock, &ack, sizeof(ack), MSG_NOSIGNAL) == sizeof(ack), "ack");
}

static void sleep_for_work(struct fake *f)
{
	struct pollfd fds[2] = {{.fd = f->to_worker, .events = POLLIN},
				{.fd = f->sock, .events = POLLIN | POLLRDHUP}};
	uint64_t count;
	bool empty;

	if (pvgpu_ring_flush(&f->cmd))
		ring_guest(f);
	empty = pvgpu_ring_sleep_begin(&f->cmd) && pvgpu_load(&f->page->cb_done.v) == f->cb_done;
	poll(fds, 2, empty && !f->polls ? -1 : 0);
	pvgpu_ring_sleep_end(&f->cmd);
	if (fds[0].revents && read(f->to_worker, &count, sizeof(count)) == sizeof(count))
		atomic_fetch_add(&f->doorbells, (unsigned int)count);
	if (fds[1].revents)
		chunk(f);
	atomic_store(&f->cb_done, pvgpu_load(&f->page->cb_done.v));
}

static void serve(struct fake *f)
{
	_Alignas(8) static unsigned char buf[PVGPU_CMD_MAX];

	while (!f->over) {
		int len = pvgpu_ring_fetch(&f->cmd, buf, sizeof(buf));

		must(len >= 0, "command stream");
		if (!len) {
			sleep_for_work(f);
			continue;
		}
		if (pvgpu_ring_consume(&f->cmd, (uint32_t)len))
			ring_guest(f);
		handle(f, (struct fake_rec *)buf);
	}
}

static void make_session(struct fake *f, int fds[PVGPU_LOCAL_FDS])
{
	const size_t size = pvgpu_ring_bytes(f->cmd_size, f->rep_size);
	int pair[2];

	fds[PVGPU_FD_RING] = memfd_create("ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	must(ftruncate(fds[PVGPU_FD_RING], (off_t)size) == 0, "ftruncate");
	fcntl(fds[PVGPU_FD_RING], F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	f->page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fds[PVGPU_FD_RING], 0);
	must(f->page != MAP_FAILED, "mmap");
	pvgpu_ring_format(f->page, f->cmd_size, f->rep_size);
	pvgpu_ring_init_consumer(&f->cmd, f->page, PVGPU_RING_CMD, f->cmd_size, f->rep_size);
	pvgpu_ring_init_producer(&f->rep, f->page, PVGPU_RING_REP, f->cmd_size, f->rep_size);
	f->to_worker = fds[PVGPU_FD_TO_WORKER] = eventfd(0, EFD_CLOEXEC);
	f->to_guest = fds[PVGPU_FD_TO_GUEST] = eventfd(0, EFD_CLOEXEC);
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0, "socketpair");
	f->sock = pair[0];
	fds[PVGPU_FD_SESSION] = pair[1];
}

static void answer_open(struct fake *f, int sock)
{
	struct pvgpu_local_open ask;
	struct pvgpu_local_opened m = {.magic = PVGPU_LOCAL_MAGIC,
				       .version = PVGPU_LOCAL_VERSION,
				       .cmd_size = f->cmd_size,
				       .rep_size = f->rep_size,
				       .session = 7,
				       .arena_limit = f->arena_limit};
	union {
		char buf[CMSG_SPACE(sizeof(int) * PVGPU_LOCAL_FDS)];
		struct cmsghdr align;
	} control = {.buf = {0}};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	int fds[PVGPU_LOCAL_FDS];
	struct cmsghdr *c;

	must(recv(sock, &ask, sizeof(ask), 0) == sizeof(ask) && ask.magic == PVGPU_LOCAL_MAGIC,
	     "open");
	if (f->refuse) {
		m.error = EBUSY;
		strcpy(m.reason, "no");
		must(send(sock, &m, sizeof(m), 0) == sizeof(m), "refuse");
		f->over = true;
		return;
	}
	make_session(f, fds);
	msg.msg_control = control.buf;
	msg.msg_controllen = sizeof(control.buf);
	c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	must(sendmsg(sock, &msg, 0) == sizeof(m), "opened");
	close(fds[PVGPU_FD_RING]);
	close(fds[PVGPU_FD_SESSION]);
	/* The guest's ends are descriptors of their own. */
	f->to_worker = dup(f->to_worker);
	f->to_guest = dup(f->to_guest);
	close(fds[PVGPU_FD_TO_WORKER]);
	close(fds[PVGPU_FD_TO_GUEST]);
}

static void *run(void *arg)
{
	struct fake *f = arg;
	int sock = accept4(f->listen, NULL, NULL, SOCK_CLOEXEC);

	must(sock >= 0, "accept");
	answer_open(f, sock);
	close(sock);
	if (f->over)
		return NULL;
	serve(f);
	close(f->sock);
	close(f->to_worker);
	close(f->to_guest);
	return NULL;
}

void fake_start(struct fake *f)
{
	static unsigned int serial;
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	snprintf(f->path, sizeof(f->path), "/tmp/pvgpu-test-%d-%u.sock", (int)getpid(), serial++);
	strcpy(at.sun_path, f->path);
	unlink(f->path);
	if (!f->cmd_size)
		f->cmd_size = PVGPU_RING_MIN;
	if (!f->rep_size)
		f->rep_size = PVGPU_RING_MIN;
	if (!f->arena_limit)
		f->arena_limit = 1ull << 30;
	f->listen = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must(bind(f->listen, (struct sockaddr *)&at, sizeof(at)) == 0, "bind");
	must(listen(f->listen, 1) == 0, "listen");
	setenv("PVGPU_SOCKET", f->path, 1);
	must(pthread_create(&f->thread, NULL, run, f) == 0, "thread");
}

void fake_stop(struct fake *f)
{
	pthread_join(f->thread, NULL);
	close(f->listen);
	unlink(f->path);
	if (f->page)
		munmap(f->page, pvgpu_ring_bytes(f->cmd_size, f->rep_size));
}
