/* SPDX-License-Identifier: MIT */
/*
 * The Xen link's end in the worker, with memfds for gntdev's files and a socket for evtchn's: both
 * are read, written and mapped as the real ones are. pvgpud's end of the control socket is the
 * test's.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/open_files.h"
#include "xen-pvgpu-back/contract/gate.h"
#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/frame/frame.h"
#include "xen-pvgpu-back/worker/gpu/chunks.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

enum { KIB = 1024, PORT = 17, RING_AT = 8192, LIMIT = 1024 * KIB };

static struct worker *w;
static int daemon_end, guest_end; /* of the control socket; of the event channel */
static char reason[128];

/* ---- the rest of the worker ---- */

static struct {
	unsigned int added, removed, lost, told, notified;
	unsigned int gates;
	int add_error, remove_error, gate_error;
	uint32_t port; /* of the last notification */
} seen;

static struct chunks chunks;

enum gpu_arena_found gpu_arena_find(struct worker *v, uint64_t addr, uint64_t size)
{
	return chunks_find(&chunks, addr, size);
}

int gpu_arena_add(struct worker *v, uint64_t addr, uint64_t size)
{
	seen.added++;
	return seen.add_error ? seen.add_error : chunks_add(&chunks, addr, size);
}

void gpu_arena_register(struct worker *v, struct gpu_arena_then *then)
{
	then->fn(v, then);
}

int gpu_arena_remove(struct worker *v, uint64_t addr, uint64_t size)
{
	struct chunk was;

	seen.removed++;
	return seen.remove_error ? seen.remove_error : chunks_remove(&chunks, addr, size, &was);
}

int gpu_gate_take(struct worker *v, int gate, int report, int bell, char *why, size_t cap)
{
	seen.gates++;
	ck_assert_int_gt(write(bell, &(uint64_t){1}, 8), 0);
	snprintf(why, cap, "the test says no");
	return seen.gate_error;
}

void worker_end(struct worker *v, int end, const char *fmt, ...)
{
	va_list ap;

	if (has_ended(v))
		return;
	va_start(ap, fmt);
	vsnprintf(v->end_reason, sizeof(v->end_reason), fmt, ap);
	va_end(ap);
	v->end = end;
	atomic_store(&v->ended, true);
}

void worker_log(struct worker *v, const char *fmt, ...)
{
	seen.told++;
}

void send_init(struct worker *v, uint32_t cmd_size, uint32_t rep_size)
{
}

bool lease_is_up(struct worker *v)
{
	return !seen.lost;
}

void share_heard(struct worker *v, const struct pvgpu_sup *m, int fd)
{
	ck_abort_msg("message %u of shared memory, fd %d", m->kind, fd);
}

uint32_t lease_park_asked(struct worker *v, uint32_t id)
{
	return id;
}

void gpu_resume(struct worker *v, uint64_t bytes)
{
}

void gpu_park(struct worker *v, uint32_t id, uint64_t most, unsigned int how, uint64_t ms)
{
}

uint64_t lease_heard(struct worker *v, const struct pvgpu_sup *m)
{
	return 0;
}

void adopt_lost(struct worker *v)
{
	seen.lost++;
}

static int notify(int fd, uint32_t port)
{
	ck_assert_int_eq(fd, w->evtchn);
	seen.notified++;
	seen.port = port;
	return 0;
}

/* ---- a session ---- */

static struct pvgpu_sup_assign assignment(void)
{
	return (struct pvgpu_sup_assign){.head = {.kind = PVGPU_SUP_ASSIGN, .session = 5},
					 .cmd_size = PVGPU_RING_MIN,
					 .rep_size = PVGPU_RING_MIN,
					 .ring_offset = RING_AT,
					 .port = PORT,
					 .link = PVGPU_SUP_LINK_XEN};
}

/* A file of pvgpud's, whose byte at each KiB is that KiB's number. */
static int file_of(size_t size)
{
	int fd = memfd_create("gntdev", MFD_CLOEXEC);

	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	for (size_t i = 0; i < size / KIB; i++) {
		const unsigned char n = (unsigned char)i;

		ck_assert_int_eq(pwrite(fd, &n, 1, (off_t)(i * KIB)), 1);
	}
	return fd;
}

static void setup(void)
{
	static const struct xen_calls calls = {.notify = notify};
	int pair[2];

	memset(&seen, 0, sizeof(seen));
	w = calloc(1, sizeof(*w));
	w->info = (struct worker_info){.session = 5, .arena_limit = LIMIT, .zero_copy = true};
	w->gate_bell = -1;
	chunks_init(&chunks);
	xen_calls = &calls;
	ck_assert_int_eq(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	daemon_end = pair[0];
	ck_assert_int_eq(dup2(pair[1], PVGPU_SUP_CONTROL_FD), PVGPU_SUP_CONTROL_FD);
	close(pair[1]);
}

static void teardown(void)
{
	if (w->arena.size)
		munmap((void *)(uintptr_t)w->arena.base, w->arena.size);
	if (w->page)
		munmap(w->page, w->ring_bytes);
	chunks_free(&chunks);
	free(w);
}

static int take(const struct pvgpu_sup_assign *m, int ring)
{
	int pair[2], fds[PVGPU_SUP_XEN_FDS] = {[PVGPU_SUP_XEN_FD_RING] = ring};

	/* A socket blocks as the real file does. */
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	guest_end = pair[0];
	fds[PVGPU_SUP_XEN_FD_EVTCHN] = pair[1];
	return link_take(w, m, fds, PVGPU_SUP_XEN_FDS, reason, sizeof(reason));
}

static void open_session(void)
{
	const struct pvgpu_sup_assign m = assignment();

	ck_assert_int_eq(take(&m, file_of(RING_AT + pvgpu_ring_bytes(m.cmd_size, m.rep_size))), 0);
}

static void settle(void)
{
	uint64_t base, size;

	ck_assert_int_eq(arena_reserve(w, 0, &base, &size), 0);
}

/* The kernel probes the address, so the worker does not fault. */
static bool readable(uint64_t addr)
{
	int p[2];
	bool yes;

	ck_assert_int_eq(pipe(p), 0);
	yes = write(p[1], (const void *)(uintptr_t)addr, 1) == 1;
	close(p[0]);
	close(p[1]);
	return yes;
}

static bool reserved(uint64_t addr)
{
	/* Mapped without read access. */
	return !readable(addr) && !msync((void *)(uintptr_t)addr, 4096, MS_ASYNC);
}

START_TEST(takes_the_ring)
{
	const struct pvgpu_sup_assign m = assignment();
	int file = file_of(RING_AT + pvgpu_ring_bytes(m.cmd_size, m.rep_size));
	uint32_t value = 4711;

	ck_assert_int_eq(take(&m, dup(file)), 0);
	w->page->cb_done.v = value;
	ck_assert_int_eq(
		pread(file, &value, 4, RING_AT + offsetof(struct pvgpu_ring_page, cb_done)), 4);
	ck_assert_uint_eq(value, 4711);
	ck_assert_uint_eq(w->port, PORT);
	link_say_ended(w, PVGPU_END_DRAINED, "time to go");
	ck_assert_uint_eq(w->page->status, PVGPU_RING_ENDED);
	ck_assert_str_eq(w->page->text, "time to go");
	ck_assert_uint_eq(seen.notified, 1);
	ck_assert_uint_eq(seen.port, PORT);
}
END_TEST

START_TEST(a_ring_that_cannot_be_mapped)
{
	struct pvgpu_sup_assign m = assignment();

	m.ring_offset = 100;
	/* As gntdev answers to grants that are none. */
	ck_assert_int_eq(take(&m, file_of(4096)), -EPROTO);
	ck_assert_ptr_ne(strstr(reason, "cannot map the ring"), NULL);
	ck_assert_ptr_eq(w->page, NULL);
}
END_TEST

/* Rung, unmasked, and not rung again before the next event. */
START_TEST(doorbells)
{
	uint32_t ports[3] = {99, PORT, 5}, back = 0;
	struct epoll_event e;

	open_session();
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 0);
	ck_assert_int_eq(send(guest_end, ports, sizeof(ports), 0), sizeof(ports));
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 1);
	ck_assert_uint_eq(e.data.u32, FROM_GUEST);
	/* The event stays until it is read: other files may be read first. */
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 1);
	w->link->rung(w);
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 0);
	ck_assert_int_eq(recv(guest_end, &back, sizeof(back), MSG_DONTWAIT), sizeof(back));
	ck_assert_uint_eq(back, PORT);
	ck_assert_int_lt(recv(guest_end, &back, sizeof(back), MSG_DONTWAIT), 0);
	/* Without an event it does not wait for one. */
	w->link->rung(w);
	ck_assert(!has_ended(w));
	link_ring_guest(w);
	ck_assert_uint_eq(seen.notified, 1);
}
END_TEST

START_TEST(an_event_channel_that_breaks)
{
	open_session();
	close(guest_end);
	w->link->rung(w);
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_FAILED);
}
END_TEST

/* ---- chunks ---- */

static void tell(uint32_t kind, uint32_t id, uint64_t a, uint64_t b, uint64_t offset, int fd)
{
	const struct pvgpu_sup m = {.kind = kind, .id = id, .a = a, .b = b, .c = offset};

	ck_assert_int_eq(msg_send(daemon_end, &m, sizeof(m), &fd, fd >= 0), 0);
	if (fd >= 0)
		close(fd);
	control_read(w);
}

/* The worker's answer; -1: none. */
static int64_t answer(uint32_t id)
{
	struct pvgpu_sup m;
	struct msg_in in;

	if (msg_recv(daemon_end, &m, sizeof(m), 0, &in) != 1)
		return -1;
	ck_assert_uint_eq(in.len, sizeof(m));
	ck_assert_uint_eq(m.kind, PVGPU_SUP_CHUNKED);
	ck_assert_uint_eq(m.id, id);
	ck_assert_uint_eq(m.session, 5);
	return (int64_t)m.a;
}

static int64_t add(uint64_t at, uint64_t size)
{
	static uint32_t id;

	tell(PVGPU_SUP_CHUNK_ADD, ++id, w->arena.base + at, size, 0, file_of(size));
	return answer(id);
}

static int64_t drop(uint64_t at, uint64_t size)
{
	static uint32_t id = 1000;

	tell(PVGPU_SUP_CHUNK_REMOVE, ++id, w->arena.base + at, size, 0, -1);
	return answer(id);
}

static struct {
	bool watched;
	unsigned int n, refused; /* the one that is refused; 0: none */
	uint64_t next, most;
} maps;

void *__real_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset);
void *__wrap_mmap(void *addr, size_t len, int prot, int flags, int fd, off_t offset)
{
	if (maps.watched && (flags & MAP_SHARED)) {
		ck_assert(!maps.n++ || (uint64_t)(uintptr_t)addr == maps.next);
		maps.next = (uint64_t)(uintptr_t)addr + len;
		maps.most = len > maps.most ? len : maps.most;
		if (maps.n == maps.refused) {
			errno = EINVAL;
			return MAP_FAILED;
		}
	}
	return __real_mmap(addr, len, prot, flags, fd, offset);
}

/* Each piece that pvgpud has mapped is mmapped once, by itself; a small file is one piece. */
START_TEST(large_chunks_in_slices)
{
	const uint64_t size = 2 * (uint64_t)PVGPU_SUP_SLICE + 8 * KIB;
	const unsigned char *p;

	w->info.arena_limit = 2 * size;
	open_session();
	settle();
	maps.watched = true;
	ck_assert_int_eq(add(0, size), 0);
	ck_assert_uint_eq(maps.n, 3);
	ck_assert_uint_eq(maps.most, PVGPU_SUP_SLICE);
	p = (const unsigned char *)(uintptr_t)w->arena.base;
	for (uint64_t i = 0; i < size / KIB; i++)
		ck_assert_uint_eq(p[i * KIB], (unsigned char)i);
	ck_assert_int_eq(drop(0, size), 0);
	ck_assert(reserved(w->arena.base) && reserved(w->arena.base + size - 4096));
	/* The last piece cannot be had: nothing is left of the others. */
	maps.n = 0;
	maps.refused = 3;
	ck_assert_int_eq(add(0, size), EINVAL);
	ck_assert(reserved(w->arena.base) && reserved(w->arena.base + size - 4096));
}
END_TEST

START_TEST(chunks_come_and_go)
{
	const unsigned char *p;
	unsigned int files;

	open_session();
	settle();
	files = open_files();
	tell(PVGPU_SUP_CHUNK_ADD, 7, w->arena.base + 64 * KIB, 32 * KIB, 16 * KIB,
	     file_of(48 * KIB));
	ck_assert_int_eq(answer(7), 0);
	ck_assert_uint_eq(open_files(), files);
	p = (const unsigned char *)(uintptr_t)w->arena.base + 64 * KIB;
	ck_assert_uint_eq(p[0], 16);
	ck_assert_uint_eq(p[31 * KIB], 47);
	ck_assert(chunks_contain(&chunks, w->arena.base + 64 * KIB, 32 * KIB));
	ck_assert(reserved(w->arena.base + 60 * KIB) && reserved(w->arena.base + 96 * KIB));
	ck_assert_uint_eq(w->arena.used, 32 * KIB);
	/* Again, as a restarted pvgpud asks: not mapped a second time. */
	ck_assert_int_eq(add(64 * KIB, 32 * KIB), 0);
	ck_assert_uint_eq(p[0], 16);
	ck_assert_uint_eq(seen.added, 1);
	ck_assert_int_eq(drop(64 * KIB, 32 * KIB), 0);
	ck_assert(reserved(w->arena.base + 64 * KIB));
	ck_assert_uint_eq(w->arena.used, 0);
	ck_assert_int_eq(drop(64 * KIB, 32 * KIB), 0);
	ck_assert_uint_eq(seen.removed, 1);
	ck_assert(!has_ended(w));
	ck_assert_uint_eq(open_files(), files);
}
END_TEST

START_TEST(chunks_in_each_others_way)
{
	open_session();
	settle();
	ck_assert_int_eq(add(64 * KIB, 32 * KIB), 0);
	ck_assert_int_eq(add(64 * KIB, 16 * KIB), EEXIST);
	ck_assert_int_eq(add(64 * KIB, 64 * KIB), EEXIST);
	ck_assert_int_eq(add(60 * KIB, 8 * KIB), EEXIST);
	ck_assert_int_eq(add(92 * KIB, 8 * KIB), EEXIST);
	ck_assert_int_eq(add(32 * KIB, 128 * KIB), EEXIST);
	ck_assert_int_eq(drop(64 * KIB, 16 * KIB), EINVAL);
	ck_assert_int_eq(drop(60 * KIB, 16 * KIB), EINVAL);
	ck_assert_int_eq(drop(96 * KIB, 4 * KIB), 0);
	ck_assert_int_eq(add(96 * KIB, 4 * KIB), 0);
	ck_assert_int_eq(add(60 * KIB, 4 * KIB), 0);
	ck_assert_uint_eq(chunks.count, 3);
	ck_assert(!has_ended(w));
}
END_TEST

START_TEST(chunks_beyond_the_limit)
{
	open_session();
	settle();
	ck_assert_int_eq(add(0, LIMIT), 0);
	ck_assert_int_eq(add(LIMIT, 4096), ENOMEM);
	ck_assert_int_eq(add(0, LIMIT), 0);
	ck_assert_int_eq(drop(0, LIMIT), 0);
	ck_assert_int_eq(add(LIMIT, 4096), 0);
}
END_TEST

/* A failed mapping leaves no hole in the window. */
START_TEST(chunks_that_fail)
{
	open_session();
	settle();
	tell(PVGPU_SUP_CHUNK_ADD, 9, w->arena.base, 4096, 100, file_of(8192));
	ck_assert_int_eq(answer(9), EINVAL);
	ck_assert(reserved(w->arena.base));
	seen.add_error = -ENOMEM;
	ck_assert_int_eq(add(0, 4096), ENOMEM);
	ck_assert(reserved(w->arena.base));
	seen.add_error = 0;
	ck_assert_int_eq(add(0, 4096), 0);
	seen.remove_error = -EBUSY;
	ck_assert_int_eq(drop(0, 4096), EBUSY);
	ck_assert(readable(w->arena.base));
	ck_assert_uint_eq(w->arena.used, 4096);
	ck_assert(!has_ended(w));
}
END_TEST

/* Does a process have the file open or mapped? As pvgpud asks (xen_real.c). */
static bool marked(const char *path)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
	int fd = open(path, O_RDWR | O_CLOEXEC);

	ck_assert_int_eq(fcntl(fd, F_OFD_GETLK, &l), 0);
	close(fd);
	return l.l_type != F_UNLCK;
}

/* The mark of a chunk's file is there as long as something of it is mapped, and gone when the
 * worker answers that it is not. */
START_TEST(marks_go_with_the_last_mapping)
{
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 7, .l_len = 1};
	char path[64] = "/tmp/link_xen.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);
	const uint64_t size = 2 * PVGPU_SUP_SLICE;

	w->info.arena_limit = 1 << 30;
	open_session();
	settle();
	ck_assert_int_eq(ftruncate(fd, (off_t)size), 0);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &l), 0);
	tell(PVGPU_SUP_CHUNK_ADD, 3, w->arena.base, size, 0, fd);
	ck_assert_int_eq(answer(3), 0);
	ck_assert(marked(path));
	/* A part. */
	ck_assert_int_eq(munmap((void *)(uintptr_t)w->arena.base, 4096), 0);
	ck_assert(marked(path));
	tell(PVGPU_SUP_CHUNK_REMOVE, 4, w->arena.base, size, 0, -1);
	ck_assert_int_eq(answer(4), 0);
	ck_assert(!marked(path));
	unlink(path);
}
END_TEST

/* The guest named these addresses: its session ends, and pvgpud is told of the end only. */
static const struct {
	uint64_t at, size;
} lies[] = {
	{0, 0},
	{0, 100},
	{100, 4096},
	{UINT64_MAX - 4095, 4096},
	{1ull << 30, 4096},
	{(1ull << 30) - 4096, 8192},
	{0, 2ull << 30},
	{0, UINT64_MAX & ~4095ull},
};

START_TEST(addresses_that_cannot_be)
{
	const uint32_t kind = _i & 1 ? PVGPU_SUP_CHUNK_REMOVE : PVGPU_SUP_CHUNK_ADD;

	open_session();
	settle();
	ck_assert_uint_eq(w->arena.size, 1ull << 30);
	tell(kind, 1, w->arena.base + lies[_i / 2].at, lies[_i / 2].size, 0,
	     _i & 1 ? -1 : file_of(4096));
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_PROTOCOL);
	ck_assert_int_eq(answer(1), -1);
	ck_assert_uint_eq(seen.added + seen.removed, 0);
}
END_TEST

START_TEST(chunks_before_the_window)
{
	open_session();
	tell(PVGPU_SUP_CHUNK_ADD, 1, 0x200000000000ull, 4096, 0, file_of(4096));
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_PROTOCOL);
}
END_TEST

/* ---- pvgpud ---- */

START_TEST(the_guest_has_closed)
{
	open_session();
	tell(PVGPU_SUP_CLOSE, 0, 0, 0, 0, -1);
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_GUEST_GONE);
}
END_TEST

/* pvgpud asks and ends before the answer: the session continues, and the next pvgpud asks again. */
START_TEST(pvgpud_goes_away)
{
	struct pvgpu_sup m = {.kind = PVGPU_SUP_CHUNK_ADD, .id = 3, .b = 4096};
	int fd = file_of(4096);

	open_session();
	settle();
	m.a = w->arena.base;
	ck_assert_int_eq(msg_send(daemon_end, &m, sizeof(m), &fd, 1), 0);
	close(daemon_end);
	control_read(w);
	ck_assert(!has_ended(w));
	ck_assert_uint_eq(w->arena.used, 4096);
	ck_assert_uint_eq(seen.lost, 1);
}
END_TEST

/* ---- the gate ---- */

static int gate_bells[3]; /* the worker's two, and pvgpud's, which rings the first */

static void send_gate(unsigned int n)
{
	const struct pvgpu_sup m = {.kind = PVGPU_SUP_GATE};
	const int fds[] = {file_of(4096), file_of(4096), gate_bells[0], gate_bells[1]};

	ck_assert_int_eq(msg_send(daemon_end, &m, sizeof(m), fds, n), 0);
	close(fds[0]);
	close(fds[1]);
	control_read(w);
}

static bool gate_rings(void)
{
	const uint64_t one = 1;
	struct epoll_event e;

	ck_assert_int_eq(write(gate_bells[2], &one, sizeof(one)), sizeof(one));
	if (epoll_wait(w->epoll, &e, 1, 0) != 1)
		return false;
	ck_assert_uint_eq(e.data.u32, FROM_GATE);
	control_rung(w);
	return epoll_wait(w->epoll, &e, 1, 0) == 0;
}

/* Of this pvgpud, or of an older version. */
static void gate_files(bool older)
{
	int pair[2];

	if (older) {
		gate_bells[0] = gate_bells[2] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		gate_bells[1] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		return;
	}
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair),
			 0);
	gate_bells[0] = gate_bells[1] = pair[0];
	gate_bells[2] = pair[1];
}

START_TEST(a_gate_and_a_newer_one)
{
	int old;

	open_session();
	gate_files(_i & 1);
	send_gate(PVGPU_GATE_FDS);
	ck_assert(!has_ended(w));
	ck_assert_uint_eq(seen.gates, 1);
	ck_assert(gate_rings());
	/* Bells of a new pvgpud: the old one's bell no longer wakes the worker, though it is still
	 * open. */
	old = gate_bells[2];
	gate_files(_i & 2);
	send_gate(PVGPU_GATE_FDS);
	ck_assert_uint_eq(seen.gates, 2);
	ck_assert(gate_rings());
	gate_bells[2] = old;
	ck_assert(!gate_rings());
}
END_TEST

/* pvgpud has ended: its bell does not wake the worker again and again until the next one comes. */
START_TEST(a_bell_that_hangs_up)
{
	const uint64_t one = 1;
	struct epoll_event e;

	open_session();
	gate_files(false);
	send_gate(PVGPU_GATE_FDS);
	ck_assert(gate_rings());
	/* With a ring that pvgpud has not read, or without one. */
	if (_i)
		ck_assert_int_gt(write(w->gate_bell, &one, sizeof(one)), 0);
	close(gate_bells[2]);
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 1);
	control_rung(w);
	ck_assert_int_eq(epoll_wait(w->epoll, &e, 1, 0), 0);
	gate_files(false);
	send_gate(PVGPU_GATE_FDS);
	ck_assert(gate_rings());
}
END_TEST

START_TEST(a_gate_that_cannot_be)
{
	open_session();
	gate_files(false);
	seen.gate_error = _i ? -1 : 0;
	send_gate(_i ? PVGPU_GATE_FDS : PVGPU_GATE_FDS - 1);
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_FAILED);
	ck_assert_uint_eq(seen.gates, _i);
	ck_assert_int_lt(w->gate_bell, 0);
}
END_TEST

/* A message of the Xen link ends a local session, as does any message that pvgpud must not send. */
START_TEST(not_on_the_local_link)
{
	open_session();
	settle();
	w->link = &link_local;
	tell(PVGPU_SUP_CHUNK_ADD, 1, w->arena.base, 4096, 0, file_of(4096));
	ck_assert(has_ended(w));
	ck_assert_int_eq(w->end, PVGPU_END_FAILED);
	ck_assert_uint_eq(seen.added, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("link_xen");
	TCase *t = tcase_create("link_xen");
	SRunner *r = srunner_create(s);
	int failed;

	/* The control socket's number is not for the test library's own files. */
	while (open("/dev/null", O_RDWR | O_CLOEXEC) < PVGPU_SUP_LOG_FD)
		;
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, takes_the_ring);
	tcase_add_test(t, a_ring_that_cannot_be_mapped);
	tcase_add_test(t, doorbells);
	tcase_add_test(t, an_event_channel_that_breaks);
	tcase_add_test(t, large_chunks_in_slices);
	tcase_add_test(t, chunks_come_and_go);
	tcase_add_test(t, chunks_in_each_others_way);
	tcase_add_test(t, chunks_beyond_the_limit);
	tcase_add_test(t, chunks_that_fail);
	tcase_add_test(t, marks_go_with_the_last_mapping);
	tcase_add_loop_test(t, addresses_that_cannot_be, 0,
			    2 * (int)(sizeof(lies) / sizeof(lies[0])));
	tcase_add_test(t, chunks_before_the_window);
	tcase_add_test(t, the_guest_has_closed);
	tcase_add_test(t, pvgpud_goes_away);
	tcase_add_loop_test(t, a_gate_and_a_newer_one, 0, 4);
	tcase_add_loop_test(t, a_bell_that_hangs_up, 0, 2);
	tcase_add_loop_test(t, a_gate_that_cannot_be, 0, 2);
	tcase_add_test(t, not_on_the_local_link);
	suite_add_tcase(s, t);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
