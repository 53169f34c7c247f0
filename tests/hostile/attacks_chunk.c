/* SPDX-License-Identifier: MIT */
/* The session's socket and chunks of memory sent over it. */
#include "tests/hostile/attack.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_SEAL)
#define SIZE  65536ull

extern const char ptx_fault[];
extern const uint64_t ptx_fault_size;

static const struct pvgpu_local_chunk magic = {.magic = PVGPU_LOCAL_MAGIC, .op = 1};

static struct pvgpu_local_chunk chunk(uint32_t op, uint64_t address, uint64_t size)
{
	struct pvgpu_local_chunk m = magic;

	m.op = op;
	m.address = address;
	m.size = size;
	return m;
}

/* Malformed messages. */
static void garbage(struct guest *g)
{
	struct pvgpu_local_chunk m = chunk(1, g->arena_base, SIZE);
	unsigned char bytes[8192];
	int fd = guest_memfd(SIZE, SEALS);

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)attack_random();
	switch (attack_arg) {
	case 0:
		guest_send(g, bytes, sizeof(m), NULL, 0);
		break;
	case 1:
		guest_send(g, bytes, sizeof(bytes), &fd, 1);
		break;
	case 2:
		guest_send(g, &m, 0, NULL, 0);
		break;
	case 3:
		guest_send(g, &m, sizeof(m) - 1, &fd, 1);
		break;
	case 4:
		m.op = 3;
		guest_send(g, &m, sizeof(m), NULL, 0);
		break;
	case 5:
		m.magic++;
		guest_send(g, &m, sizeof(m), &fd, 1);
		break;
	default:
		memcpy(bytes, &m, sizeof(m));
		guest_send(g, bytes, sizeof(m) + 1, &fd, 1);
		break;
	}
}

static void fd_count(struct guest *g)
{
	static const unsigned int counts[] = {0, 2, 9, 253, 1};
	struct pvgpu_local_chunk m = chunk(attack_arg == 4 ? 2 : 1, g->arena_base, SIZE);
	int fds[253], fd = guest_memfd(SIZE, SEALS);

	for (int i = 0; i < 253; i++)
		fds[i] = fd;
	guest_send(g, &m, sizeof(m), fds, counts[attack_arg]);
}

static void sealed_wrong(struct guest *g, int fd)
{
	guest_chunk(g, 1, g->arena_base, SIZE, fd);
}

/* Files that could shrink, fault or block, and fds that are no files. */
static void wrong_file(struct guest *g)
{
	char path[64];
	int fd = -1, pipes[2];

	switch (attack_arg) {
	case 0: /* could be truncated while the worker maps it */
		fd = guest_memfd(SIZE, 0);
		break;
	case 1:
		fd = guest_memfd(SIZE, F_SEAL_SHRINK);
		break;
	case 2:
		fd = guest_memfd(SIZE, F_SEAL_SEAL);
		break;
	case 3:
		fd = guest_memfd(SIZE - 4096, SEALS);
		break;
	case 4:
		fd = guest_memfd(SIZE + 4096, SEALS);
		break;
	case 5:
		fd = guest_memfd(0, SEALS);
		break;
	case 6:
		fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
		break;
	case 7:
		fd = eventfd(0, EFD_CLOEXEC);
		break;
	case 8:
		fd = pipe(pipes) ? -1 : pipes[0];
		break;
	case 9:
		fd = open("/dev/shm", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)SIZE) < 0)
			die("no temporary file");
		break;
	case 10: /* a path only */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", guest_memfd(SIZE, SEALS));
		fd = open(path, O_PATH | O_CLOEXEC);
		break;
	default:
		fd = g->to_worker;
		break;
	}
	sealed_wrong(g, fd);
}

/* Correctly sealed, but not mappable for writing: an error is answered, and the session goes on. */
static void no_mapping(struct guest *g)
{
	char path[64];
	int fd, r;

	if (attack_arg == 0) {
		fd = guest_memfd(SIZE, SEALS | F_SEAL_WRITE);
	} else if (attack_arg == 1) {
		fd = guest_memfd(SIZE, SEALS | F_SEAL_FUTURE_WRITE);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", guest_memfd(SIZE, SEALS));
		fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	r = guest_chunk(g, 1, g->arena_base, SIZE, fd);
	WANT(r > 0, "mapped what cannot be written: %d", r);
	WANT(guest_chunk(g, 1, g->arena_base, SIZE, guest_memfd(SIZE, SEALS)) == 0,
	     "a good chunk must still be taken");
}

static void place(struct guest *g)
{
	const uint64_t end = g->arena_base + g->arena_size;
	const uint64_t where[][2] = {
		{g->arena_base - SIZE, SIZE},
		{end - SIZE + 4096, SIZE},
		{end, SIZE},
		{0 - SIZE, SIZE},
		{g->device_base, SIZE},
		{(uintptr_t)g->page, SIZE},
		{g->arena_base + 1, SIZE},
		{g->arena_base, SIZE - 1},
		{g->arena_base, 0},
		{g->arena_base, ~0ull - 4095},
		{g->arena_base, (1ull << 30) + 4096},
		{0, SIZE},
	};
	int fd = guest_memfd(where[attack_arg][1] < (1ull << 40) ? where[attack_arg][1] : SIZE,
			     SEALS);

	guest_chunk(g, 1, where[attack_arg][0], where[attack_arg][1], fd);
}

static void before_windows(struct guest *g)
{
	guest_chunk(g, 1, 0x200000000000ull, SIZE, guest_memfd(SIZE, SEALS));
}

/* Errors that a buggy guest could make, too. */
static void clumsy(struct guest *g)
{
	const uint64_t a = g->arena_base + CHUNK_SIZE;
	int r;

	WANT(guest_chunk(g, 1, a, SIZE, guest_memfd(SIZE, SEALS)) == 0, "a good chunk");
	r = guest_chunk(g, 1, a, SIZE, guest_memfd(SIZE, SEALS));
	WANT(r == EEXIST, "twice the same: %d", r);
	r = guest_chunk(g, 1, a - 4096, SIZE, guest_memfd(SIZE, SEALS));
	WANT(r == EEXIST, "overlapping: %d", r);
	r = guest_chunk(g, 2, a, SIZE - 4096, -1);
	WANT(r == ENOENT, "removing half: %d", r);
	r = guest_chunk(g, 2, a + 4096, 4096, -1);
	WANT(r == ENOENT, "removing inside: %d", r);
	WANT(guest_chunk(g, 2, a, SIZE, -1) == 0, "removing it");
	r = guest_chunk(g, 2, a, SIZE, -1);
	WANT(r == ENOENT, "removing it again: %d", r);
	WANT(CALL(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = a, .image_len = SIZE,
		  .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, 0, 1)),
	     "an image in a chunk that has gone");
}

static void above_limit(struct guest *g)
{
	uint64_t at = g->arena_base, used = 0;
	int r = 0;

	while (!r && used <= g->arena_limit) {
		int fd = guest_memfd(CHUNK_SIZE, SEALS);

		r = guest_chunk(g, 1, at, CHUNK_SIZE, fd);
		close(fd);
		at += CHUNK_SIZE;
		used += r ? 0 : CHUNK_SIZE;
	}
	WANT(r == ENOMEM, "%llu bytes of %llu, then %d", (unsigned long long)used,
	     (unsigned long long)g->arena_limit, r);
	WANT(used <= g->arena_limit, "more than the limit");
}

static void many(struct guest *g)
{
	uint64_t at = g->arena_base;
	int fd = guest_memfd(4096, SEALS), r = 0;
	unsigned int n = 0;

	for (; !r && n < 20000; n++, at += 8192)
		r = guest_chunk(g, 1, at, 4096, fd);
	WANT(r == ENOMEM, "%u chunks, then %d", n, r);
}

/* Requests whose answers are never read. */
static void unread(struct guest *g)
{
	const struct pvgpu_local_chunk m = chunk(2, g->arena_base, SIZE);
	const uint64_t until = now_ms() + 3000;

	while (!guest_over(g) && now_ms() < until)
		if (guest_send(g, &m, sizeof(m), NULL, 0) == -EAGAIN)
			nap_ms(1);
}

/* ---- chunks that come and go under commands that use them ---- */

#define MODULES 256u

static atomic_bool stop;

static void *work(void *arg)
{
	struct guest *g = arg;
	const uint64_t a = g->arena_base + CHUNK_SIZE;
	uint32_t n = 0;

	while (!atomic_load(&stop) && !guest_over(g)) {
		POST(g, copy, COPY, .ctx = g->ctx, .dst = a, .src = g->memory[0], .size = SIZE);
		POST(g, copy, COPY, .ctx = g->ctx, .dst = g->memory[0], .src = a, .size = SIZE);
		/* Each that loads keeps its memory: as many as fit into what a worker may use, also
		 * where the attack takes long on a busy machine. */
		if (!(++n % 8) && n <= 8 * MODULES)
			POST(g, module_load, MODULE_LOAD, .ctx = g->ctx, .image = a,
			     .image_len = ptx_fault_size + 1,
			     .module = PVGPU_HANDLE(PVGPU_H_MODULE, 0, n, 1));
		if (n % 64)
			continue;
		/* A moment without commands that use the chunk. */
		CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
		nap_ms(2);
	}
	return NULL;
}

static void come_and_go(struct guest *g)
{
	const uint64_t a = g->arena_base + CHUNK_SIZE, until = now_ms() + 700;
	const uint64_t limit = until + 60000; /* a busy machine is slow */
	pthread_t t;
	int n = 0;

	if (pthread_create(&t, NULL, work, g))
		die("no thread");
	while ((now_ms() < until || n <= 3) && now_ms() < limit && !guest_over(g)) {
		int fd = guest_memfd(SIZE, SEALS);

		if (pwrite(fd, ptx_fault, ptx_fault_size, 0) < 0)
			die("pwrite");
		if (guest_chunk(g, 1, a, SIZE, fd) == 0)
			n++;
		close(fd);
		nap_ms((unsigned int)n % 3);
		/* Refused while a command uses it. */
		while (guest_chunk(g, 2, a, SIZE, -1) == EBUSY && now_ms() < limit)
			;
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	WANT(n > 3, "only %d chunks came and went", n);
}

/* Holes punched into a mapped chunk: the worker reads zeros, and nothing else happens. */
static void punched(struct guest *g)
{
	const uint64_t until = now_ms() + 400;
	const uint64_t a = g->arena_base + CHUNK_SIZE;
	int fd = guest_memfd(CHUNK_SIZE, SEALS);

	WANT(guest_chunk(g, 1, a, CHUNK_SIZE, fd) == 0, "no chunk");
	while (now_ms() < until && !guest_over(g)) {
		for (int i = 0; i < 16; i++)
			POST(g, copy, COPY, .ctx = g->ctx, .dst = a + (uint64_t)i * MEMORY_SIZE,
			     .src = g->memory[0], .size = MEMORY_SIZE);
		WANT(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, CHUNK_SIZE) == 0,
		     "cannot punch a hole");
		/* Growing is not sealed; it has no effect on the mapping. */
		if (ftruncate(fd, (off_t)(2 * CHUNK_SIZE)) < 0)
			WANT(false, "cannot grow");
		WANT(ftruncate(fd, 4096) < 0, "could shrink it");
		CALL(g, ctx_synchronize, CTX_SYNCHRONIZE, .ctx = g->ctx);
	}
}

const struct attack attacks_chunk[] = {
	{"chunk_random", SETTLED, ENDS, garbage, 0},
	{"chunk_long", SETTLED, ENDS, garbage, 1},
	{"chunk_empty_message", SETTLED, ENDS, garbage, 2},
	{"chunk_short", SETTLED, ENDS, garbage, 3},
	{"chunk_op", SETTLED, ENDS, garbage, 4},
	{"chunk_magic", SETTLED, ENDS, garbage, 5},
	{"chunk_one_too_long", SETTLED, ENDS, garbage, 6},
	{"chunk_no_fd", SETTLED, ENDS, fd_count, 0},
	{"chunk_2_fds", SETTLED, ENDS, fd_count, 1},
	{"chunk_9_fds", SETTLED, ENDS, fd_count, 2},
	{"chunk_253_fds", SETTLED, ENDS, fd_count, 3},
	{"chunk_remove_with_fd", SETTLED, ENDS, fd_count, 4},
	{"chunk_unsealed", SETTLED, ENDS, wrong_file, 0},
	{"chunk_half_sealed", SETTLED, ENDS, wrong_file, 1},
	{"chunk_shrinkable", SETTLED, ENDS, wrong_file, 2},
	{"chunk_smaller", SETTLED, ENDS, wrong_file, 3},
	{"chunk_larger", SETTLED, ENDS, wrong_file, 4},
	{"chunk_of_nothing", SETTLED, ENDS, wrong_file, 5},
	{"chunk_device", SETTLED, ENDS, wrong_file, 6},
	{"chunk_eventfd", SETTLED, ENDS, wrong_file, 7},
	{"chunk_pipe", SETTLED, ENDS, wrong_file, 8},
	{"chunk_tmpfile", SETTLED, ENDS, wrong_file, 9},
	{"chunk_path", SETTLED, ENDS, wrong_file, 10},
	{"chunk_doorbell", SETTLED, ENDS, wrong_file, 11},
	{"chunk_write_sealed", SETTLED, LIVES, no_mapping, 0},
	{"chunk_future_write_sealed", SETTLED, LIVES, no_mapping, 1},
	{"chunk_read_only", SETTLED, LIVES, no_mapping, 2},
	{"chunk_before_arena", SETTLED, ENDS, place, 0},
	{"chunk_over_end", SETTLED, ENDS, place, 1},
	{"chunk_at_end", SETTLED, ENDS, place, 2},
	{"chunk_wraps", SETTLED, ENDS, place, 3},
	{"chunk_in_device_window", SETTLED, ENDS, place, 4},
	{"chunk_elsewhere", SETTLED, ENDS, place, 5},
	{"chunk_misaligned", SETTLED, ENDS, place, 6},
	{"chunk_odd_size", SETTLED, ENDS, place, 7},
	{"chunk_size_0", SETTLED, ENDS, place, 8},
	{"chunk_size_wraps", SETTLED, ENDS, place, 9},
	{"chunk_above_max", SETTLED, ENDS, place, 10},
	{"chunk_at_0", SETTLED, ENDS, place, 11},
	{"chunk_before_windows", SAID_HELLO, ENDS, before_windows, 0},
	{"chunk_clumsy", MEMORY, LIVES, clumsy, 0},
	{"chunk_above_limit", SETTLED, LIVES, above_limit, 0},
	{"chunk_many", SETTLED, LIVES, many, 0},
	{"chunk_unread_answers", SETTLED, EITHER, unread, 0},
	{"chunk_come_and_go", MEMORY, LIVES, come_and_go, 0},
	{"chunk_punched", MEMORY, LIVES, punched, 0},
	{0},
};
