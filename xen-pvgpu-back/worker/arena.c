/* SPDX-License-Identifier: MIT */
/*
 * The arena window: an inaccessible reservation at an address that the guest has, too, into which
 * the chunks that it sends are mapped. Decoding thread only.
 */
#include "xen-pvgpu-back/worker/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen-pvgpu-back/link/msg.h"

#define WINDOW_UNIT (1ull << 30)
#define CHUNKS_MAX  4096u
#define AT_ONCE     8

/*
 * Where to try, in turn: above what thread and address sanitizers use, in the highest range of
 * processes under thread sanitizer, and in two low ranges that valgrind offers.
 */
static const struct {
	uint64_t base, stride;
} places[] = {
	{0x200000000000ull, 0x10000000000ull},
	{0x7e8000000000ull, 0x1000000000ull},
	{0x10000000000ull, 0x1000000000ull},
	{0x2000000000ull, 0x400000000ull},
};
#define PLACES (sizeof(places) / sizeof(places[0]))
#define TRIES  256u

static bool reserve_at(uint64_t base, uint64_t size)
{
	void *want = (void *)(uintptr_t)base;
	/* A hint, not MAP_FIXED_NOREPLACE: thread sanitizer turns a fixed address it cannot have
	 * into 0. */
	void *p = mmap(want, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == want)
		return true;
	if (p != MAP_FAILED)
		munmap(p, size);
	return false;
}

int arena_reserve(struct worker *w, uint32_t attempt, uint64_t *base, uint64_t *size)
{
	struct arena *a = &w->arena;
	/* Twice what may be mapped, so that chunks of all sizes find gaps. */
	uint64_t want = (w->info.arena_limit * 2 + WINDOW_UNIT - 1) / WINDOW_UNIT * WINDOW_UNIT;

	(void)attempt; /* every call goes on where the last one stopped */
	if (a->n)
		return -EBUSY;
	if (a->size)
		munmap((void *)(uintptr_t)a->base, a->size);
	a->base = a->size = 0;
	while (a->tried < TRIES) {
		unsigned int i = a->tried++;
		uint64_t at = places[i % PLACES].base + places[i % PLACES].stride * (i / PLACES);

		if (!reserve_at(at, want))
			continue;
		a->base = *base = at;
		a->size = *size = want;
		return 0;
	}
	return -ENOMEM;
}

/* Index of the first chunk that ends above addr. */
static unsigned int find(const struct arena *a, uint64_t addr)
{
	unsigned int lo = 0, hi = a->n;

	while (lo < hi) {
		unsigned int mid = (lo + hi) / 2;

		if (a->chunks[mid].address + a->chunks[mid].size <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool arena_contains(const struct worker *w, uint64_t addr, uint64_t len)
{
	const struct arena *a = &w->arena;
	unsigned int i = find(a, addr);

	/* Chunks side by side serve one range. */
	while (i < a->n && a->chunks[i].address <= addr) {
		uint64_t here = a->chunks[i].address + a->chunks[i].size - addr;

		if (len <= here)
			return true;
		len -= here;
		addr += here;
		i++;
	}
	return false;
}

struct check_arena arena_window(const struct worker *w)
{
	return (struct check_arena){.base = w->arena.base,
				    .size = w->arena.size,
				    .used = w->arena.used,
				    .limit = w->info.arena_limit};
}

enum arena_found arena_find(const struct worker *w, uint64_t address, uint64_t size)
{
	const struct arena *a = &w->arena;
	const unsigned int i = find(a, address);

	if (i == a->n || (a->chunks[i].address > address && a->chunks[i].address - address >= size))
		return ARENA_FREE;
	return a->chunks[i].address == address && a->chunks[i].size == size ? ARENA_SAME
									    : ARENA_OVERLAPS;
}

/*
 * Put the inaccessible reservation (back). A hole in the window would be given to somebody else's
 * memory, and a later chunk would replace that.
 */
static int reserve_again(struct worker *w, uint64_t address, uint64_t size)
{
	if (mmap((void *)(uintptr_t)address, size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED)
		return 0;
	const int err = -errno;

	worker_end(w, PVGPU_END_FAILED, "cannot reserve a chunk's addresses again: %s",
		   strerror(-err));
	return err;
}

static bool make_room(struct arena *a)
{
	struct chunk *c;

	if (a->n < a->cap)
		return true;
	c = realloc(a->chunks, (a->cap + 16) * sizeof(*c));
	if (!c)
		return false;
	a->chunks = c;
	a->cap += 16;
	return true;
}

int arena_add(struct worker *w, uint64_t address, uint64_t size, int fd, off_t offset)
{
	struct arena *a = &w->arena;
	unsigned int i = find(a, address);
	int err;

	if (a->n == CHUNKS_MAX || !make_room(a))
		return -ENOMEM;
	if (mmap((void *)(uintptr_t)address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 fd, offset) == MAP_FAILED) {
		err = -errno;
		/* A driver may refuse when what was there is gone already. */
		reserve_again(w, address, size);
		return err;
	}
	err = gpu_arena_add(w, address, size);
	if (err) {
		reserve_again(w, address, size);
		return err;
	}
	memmove(&a->chunks[i + 1], &a->chunks[i], (a->n - i) * sizeof(a->chunks[0]));
	a->chunks[i] = (struct chunk){.address = address, .size = size};
	a->n++;
	a->used += size;
	return 0;
}

int arena_remove(struct worker *w, uint64_t address, uint64_t size)
{
	struct arena *a = &w->arena;
	unsigned int i = find(a, address);
	int err = gpu_arena_remove(w, address, size);

	if (!err)
		err = reserve_again(w, address, size);
	if (err)
		return err;
	a->n--;
	memmove(&a->chunks[i], &a->chunks[i + 1], (a->n - i) * sizeof(a->chunks[0]));
	a->used -= size;
	return 0;
}

static int do_message(struct worker *w, const struct pvgpu_local_chunk *m, int fd)
{
	const enum arena_found found = arena_find(w, m->address, m->size);

	if (m->op == PVGPU_CHUNK_ADD)
		return found == ARENA_FREE ? arena_add(w, m->address, m->size, fd, 0) : -EEXIST;
	return found == ARENA_SAME ? arena_remove(w, m->address, m->size) : -ENOENT;
}

/* False: nothing more to read, or the end. */
static bool one_message(struct worker *w)
{
	struct pvgpu_local_chunked answer = {.magic = PVGPU_LOCAL_MAGIC};
	const struct check_arena window = arena_window(w);
	char reason[CHECK_REASON];
	struct pvgpu_local_chunk m;
	struct msg_in in;
	int err, r = msg_recv(w->session, &m, sizeof(m), 1, &in);

	if (r == -EAGAIN)
		return false;
	if (r <= 0) {
		worker_end(w, PVGPU_END_GUEST_GONE, "the guest closed the session");
		return false;
	}
	err = in.fds_lost ? -EPROTO : check_chunk(&m, in.len, in.n, &window, reason);
	if (in.fds_lost)
		strcpy(reason, "chunk request with too many fds");
	if (!err && m.op == PVGPU_CHUNK_ADD)
		err = check_chunk_fd(in.fds[0], m.size, reason);
	if (err == -EPROTO) {
		msg_close_fds(&in);
		worker_end(w, PVGPU_END_PROTOCOL, "%s", reason);
		return false;
	}
	if (!err)
		err = do_message(w, &m, in.fds[0]);
	msg_close_fds(&in);
	answer.error = -err;
	answer.address = m.address;
	if (msg_send(w->session, &answer, sizeof(answer), NULL, 0) == -EAGAIN) {
		worker_end(w, PVGPU_END_PROTOCOL,
			   "the guest does not read the answers on its session socket");
		return false;
	}
	return true;
}

void arena_message(struct worker *w)
{
	for (int i = 0; i < AT_ONCE && !has_ended(w) && one_message(w); i++)
		;
}
