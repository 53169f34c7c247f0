/* SPDX-License-Identifier: MIT */
#include "tests/hostile/guest.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

void die(const char *format, ...)
{
	va_list args;

	fputs("attack: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}

unsigned int guest_acts;

uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void nap_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* ---- set-up ---- */

int guest_connect(const char *path)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = STEP_LIMIT_S};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), r;

	guest_acts++;
	if (fd < 0)
		die("socket: %s", strerror(errno));
	snprintf(to.sun_path, sizeof(to.sun_path), "%s", path);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	do
		r = connect(fd, (struct sockaddr *)&to, sizeof(to));
	while (r < 0 && errno == EINTR); /* stopped while it waited for pvgpud */
	if (r < 0)
		die("connect to %s: %s", path, strerror(errno));
	return fd;
}

static void take_session(struct guest *g, const struct pvgpu_local_opened *m, const int *fds)
{
	void *p;

	g->ring_fd = fds[PVGPU_FD_RING];
	g->to_worker = fds[PVGPU_FD_TO_WORKER];
	g->to_guest = fds[PVGPU_FD_TO_GUEST];
	g->sock = fds[PVGPU_FD_SESSION];
	g->cmd_size = m->cmd_size;
	g->rep_size = m->rep_size;
	g->session = m->session;
	g->arena_limit = m->arena_limit;
	p = mmap(NULL, pvgpu_ring_bytes(m->cmd_size, m->rep_size), PROT_READ | PROT_WRITE,
		 MAP_SHARED, g->ring_fd, 0);
	if (p == MAP_FAILED)
		die("mapping the ring: %s", strerror(errno));
	g->page = p;
	g->cmd = (unsigned char *)p + PVGPU_RING_PAGE_SIZE;
	g->rep = g->cmd + m->cmd_size;
}

int guest_ask(struct guest *g, int sock, const struct pvgpu_local_open *ask)
{
	struct pvgpu_local_opened m = {0};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * PVGPU_LOCAL_FDS)];
	} control;
	struct iovec iov = {.iov_base = &m, .iov_len = sizeof(m)};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control.bytes,
			   .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c;
	ssize_t n;

	if (ask && send(sock, ask, sizeof(*ask), MSG_NOSIGNAL) < 0)
		return -1;
	/* A process that is stopped and goes on is interrupted here, since the socket has a limit.
	 */
	do
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	/* pvgpud closed with a request unread: the kernel says so before it gives the answer. */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(sock, &h, MSG_CMSG_CLOEXEC);
	if (n < 0 && errno == EAGAIN)
		die("pvgpud does not answer");
	if (n != sizeof(m))
		return -1;
	if (m.error)
		return m.error;
	c = CMSG_FIRSTHDR(&h);
	if (!c || c->cmsg_len != CMSG_LEN(sizeof(int) * PVGPU_LOCAL_FDS))
		die("pvgpud sent no session");
	take_session(g, &m, (const int *)(const void *)CMSG_DATA(c));
	return 0;
}

void guest_open(struct guest *g)
{
	const struct pvgpu_local_open ask = {.magic = PVGPU_LOCAL_MAGIC,
					     .version = PVGPU_LOCAL_VERSION,
					     .cmd_size = 256 << 10,
					     .rep_size = 64 << 10,
					     .comm = "attack"};
	uint64_t until = now_ms() + STEP_LIMIT_S * 1000;
	int sock, err;

	do {
		sock = guest_connect(g->path);
		err = guest_ask(g, sock, &ask);
		close(sock);
		/* Other sessions may still be opening, or ending. */
	} while ((err == EAGAIN || err == EUSERS) && now_ms() < until);
	if (err)
		die("no session: error %d", err);
}

void guest_hello(struct guest *g)
{
	int r = CALL(g, session_hello, SESSION_HELLO, .version_min = 1, .version_max = 1);

	if (r)
		die("session_hello: %d", r);
}

void guest_windows(struct guest *g)
{
	const struct pvgpu_wire_session_windows_reply *w = (const void *)&g->reply;
	int r = CALL(g, session_windows, SESSION_WINDOWS, .attempt = 0);

	if (r)
		die("session_windows: %d", r);
	g->device_base = w->device_base;
	g->device_size = w->device_size;
	g->arena_base = w->arena_base;
	g->arena_size = w->arena_size;
}

void guest_ctx(struct guest *g)
{
	int r;

	g->ctx = PVGPU_HANDLE(PVGPU_H_CTX, 0, 0, 0);
	r = CALL(g, ctx_primary_retain, CTX_PRIMARY_RETAIN, .ctx = g->ctx);
	if (r)
		die("ctx_primary_retain: %d", r);
}

void guest_memory(struct guest *g)
{
	const struct pvgpu_wire_mem_alloc_reply *m = (const void *)&g->reply;
	int fd = guest_memfd(CHUNK_SIZE, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	int r = guest_chunk(g, 1, g->arena_base, CHUNK_SIZE, fd);
	void *p;

	if (r)
		die("adding a chunk: %d", r);
	/* The attacks do not need the chunk at the same address in this process. */
	p = mmap(NULL, CHUNK_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		die("mapping a chunk: %s", strerror(errno));
	g->chunk = p;
	close(fd);
	for (int i = 0; i < 2; i++) {
		r = CALL(g, mem_alloc, MEM_ALLOC, .ctx = g->ctx, .size = MEMORY_SIZE);
		if (r)
			die("mem_alloc: %d", r);
		g->memory[i] = m->address;
	}
}

int guest_load(struct guest *g, uint32_t index, size_t len)
{
	return CALL(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = g->arena_base,
		    .image_len = len, .error_log_size = 512,
		    .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, index));
}

void guest_module(struct guest *g, const char *ptx)
{
	size_t len = strlen(ptx) + 1;
	int r;

	memcpy(g->chunk, ptx, len);
	r = guest_load(g, 0, len);
	if (r)
		die("module_load: %d", r);
	g->module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 0);
}

uint64_t guest_function(struct guest *g, uint32_t index, const char *name)
{
	struct pvgpu_wire_module_get_function c = {HDR(module_get_function, MODULE_GET_FUNCTION),
						   .module = g->module,
						   .name_len = (uint32_t)strlen(name)};

	c.function = PVGPU_HANDLE(PVGPU_H_FUNCTION, 0, 0, index);
	return guest_call_parts(g, &c, name, (uint32_t)strlen(name) + 1) ? 0 : c.function;
}

/* ---- the ring ---- */

void guest_put(struct guest *g, uint32_t off, const void *bytes, uint32_t len)
{
	uint32_t at = (g->prod + off) & (g->cmd_size - 1);
	uint32_t first = g->cmd_size - at < len ? g->cmd_size - at : len;

	memcpy(g->cmd + at, bytes, first);
	memcpy(g->cmd, (const unsigned char *)bytes + first, len - first);
}

void guest_ring_bell(struct guest *g)
{
	const uint64_t one = 1;

	guest_acts++;
	if (g->bell)
		g->bell(g);
	else if (write(g->to_worker, &one, sizeof(one)) < 0 && errno != EAGAIN)
		die("doorbell: %s", strerror(errno));
}

void guest_publish(struct guest *g, uint32_t len)
{
	guest_acts++;
	g->prod += len;
	pvgpu_store_release(&g->page->cmd_prod.v, g->prod);
	pvgpu_full_barrier();
	if (pvgpu_ring_claim(&g->page->cmd_sleeping.v))
		guest_ring_bell(g);
}

/* Wait for room; false when none comes within the guest's patience. */
static bool room(struct guest *g, uint32_t len)
{
	uint64_t until = now_ms() + (g->patience_ms ? g->patience_ms : STEP_LIMIT_S * 1000);

	while (g->cmd_size - (g->prod - pvgpu_load_acquire(&g->page->cmd_cons.v)) < len) {
		if (guest_over(g) || now_ms() > until)
			return false;
		if (!g->deaf)
			guest_drain(g);
		usleep(200);
	}
	return true;
}

bool guest_post_parts(struct guest *g, void *rec, const void *part, uint32_t len)
{
	static const char zeros[8];
	struct pvgpu_cmd_hdr *h = rec;
	uint32_t fixed = h->len, pad = PVGPU_PAD8(len) - len;

	if (!room(g, fixed + len + pad))
		return false;
	h->len = fixed + len + pad;
	h->seq = ++g->seq;
	guest_put(g, 0, rec, fixed);
	if (len)
		guest_put(g, fixed, part, len);
	guest_put(g, fixed + len, zeros, pad);
	guest_publish(g, h->len);
	return true;
}

bool guest_post(struct guest *g, void *rec)
{
	return guest_post_parts(g, rec, NULL, 0);
}

static void get(struct guest *g, void *to, uint32_t len)
{
	uint32_t at = g->cons & (g->rep_size - 1);
	uint32_t first = g->rep_size - at < len ? g->rep_size - at : len;

	memcpy(to, g->rep + at, first);
	memcpy((unsigned char *)to + first, g->rep, len - first);
}

/* One reply into g->reply. */
static bool take_reply(struct guest *g)
{
	struct pvgpu_rep_hdr h;

	if (pvgpu_load_acquire(&g->page->rep_prod.v) == g->cons)
		return false;
	get(g, &h, sizeof(h));
	if (h.len < sizeof(h) || h.len > sizeof(g->reply))
		die("a reply of %u bytes", h.len);
	get(g, &g->reply, h.len);
	g->cons += h.len;
	pvgpu_store_release(&g->page->rep_cons.v, g->cons);
	pvgpu_full_barrier();
	if (pvgpu_ring_claim(&g->page->rep_waiting.v))
		guest_ring_bell(g);
	return true;
}

unsigned int guest_drain(struct guest *g)
{
	unsigned int n = 0;

	while (take_reply(g))
		n++;
	return n;
}

int guest_wait(struct guest *g, uint32_t seq)
{
	uint64_t until = now_ms() + (g->limit_s ? g->limit_s : STEP_LIMIT_S) * 1000;
	unsigned int spins = 0;

	while (now_ms() < until) {
		while (take_reply(g))
			if (g->reply.hdr.kind != PVGPU_REP_CALLBACK && g->reply.hdr.seq == seq)
				return g->reply.hdr.result;
		if (guest_over(g) && pvgpu_load_acquire(&g->page->rep_prod.v) == g->cons)
			return ENDED;
		if (++spins > 200)
			usleep(100);
	}
	die("no answer to command %u", seq);
}

int guest_call_parts(struct guest *g, void *rec, const void *part, uint32_t len)
{
	return guest_post_parts(g, rec, part, len) ? guest_wait(g, g->seq) : ENDED;
}

int guest_call(struct guest *g, void *rec)
{
	return guest_call_parts(g, rec, NULL, 0);
}

/* ---- the session's socket ---- */

int guest_send(struct guest *g, const void *msg, size_t len, const int *fds, unsigned int n)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 253)];
	} control = {0};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)msg, .iov_len = len};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};

	guest_acts++;
	if (n) {
		struct cmsghdr *c;

		h.msg_control = control.bytes;
		h.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		c = CMSG_FIRSTHDR(&h);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
	}
	return sendmsg(g->sock, &h, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int guest_memfd(uint64_t size, int seals)
{
	int fd = memfd_create("attack", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))
		die("memfd of %llu bytes: %s", (unsigned long long)size, strerror(errno));
	return fd;
}

static int chunk_answer(struct guest *g)
{
	struct pvgpu_local_chunked a;
	struct pollfd p = {.fd = g->sock, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, STEP_LIMIT_S * 1000) <= 0)
		die("no answer about a chunk");
	n = recv(g->sock, &a, sizeof(a), MSG_DONTWAIT);
	if (n <= 0)
		return ENDED;
	if (n != sizeof(a) || a.magic != PVGPU_LOCAL_MAGIC)
		die("a strange answer about a chunk");
	return a.error;
}

int guest_chunk(struct guest *g, uint32_t op, uint64_t address, uint64_t size, int fd)
{
	const struct pvgpu_local_chunk m = {
		.magic = PVGPU_LOCAL_MAGIC, .op = op, .address = address, .size = size};

	if (guest_send(g, &m, sizeof(m), &fd, fd >= 0))
		return ENDED;
	return chunk_answer(g);
}

/* ---- the end ---- */

bool guest_over(struct guest *g)
{
	struct pollfd p = {.fd = g->sock, .events = POLLRDHUP};

	return pvgpu_load_acquire(&g->page->status) != PVGPU_RING_RUNNING ||
	       (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR)));
}

static bool wait_until(struct guest *g, bool (*what)(struct guest *g), unsigned int ms)
{
	const uint64_t until = now_ms() + ms;

	while (!what(g)) {
		if (now_ms() > until)
			return false;
		usleep(500);
	}
	return true;
}

bool guest_wait_end(struct guest *g, unsigned int ms)
{
	return wait_until(g, guest_over, ms);
}

static bool has_word(struct guest *g)
{
	return pvgpu_load_acquire(&g->page->status) == PVGPU_RING_ENDED;
}

bool guest_wait_word(struct guest *g)
{
	return wait_until(g, has_word, STEP_LIMIT_S * 1000);
}

bool guest_answers(struct guest *g)
{
	return CALL(g, device_snapshot, DEVICE_SNAPSHOT, .device = 0) == 0;
}
