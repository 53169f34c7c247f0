/* SPDX-License-Identifier: MIT */
/*
 * The arena window: an inaccessible reservation at an address that is free in the guest, too, into
 * which the guest's chunks are mapped. Decoding thread only.
 */
#include "xen-pvgpu-back/worker/frame/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "xen-pvgpu-back/contract/msg.h"
#include "xen-pvgpu-back/worker/gpu/gpu.h"

#define WINDOW_UNIT (1ull << 30)
#define AT_ONCE     8

/*
 * Addresses to try, in turn: above those that thread and address sanitizers use, in the highest
 * range of processes under thread sanitizer, and in two low ranges that valgrind offers.
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
	/* Twice the arena's limit, so that chunks of all sizes find gaps. */
	uint64_t want = (w->info.arena_limit * 2 + WINDOW_UNIT - 1) / WINDOW_UNIT * WINDOW_UNIT;

	(void)attempt; /* every call goes on where the last one stopped */
	if (a->used)
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

struct check_arena arena_window(const struct worker *w)
{
	return (struct check_arena){.base = w->arena.base,
				    .size = w->arena.size,
				    .used = w->arena.used,
				    .limit = w->info.arena_limit};
}

/*
 * Put the inaccessible reservation back. The process would map other memory into a hole of the
 * window, and a later chunk would replace that.
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

/* Each `slice` bytes of the file by an mmap of their own. */
static int map_slices(uint64_t address, uint64_t size, int fd, off_t offset, uint64_t slice)
{
	for (uint64_t at = 0; at < size; at += slice) {
		const uint64_t n = size - at < slice ? size - at : slice;

		if (mmap((void *)(uintptr_t)(address + at), n, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, fd, offset + (off_t)at) == MAP_FAILED)
			return -errno;
	}
	return 0;
}

int arena_add(struct worker *w, uint64_t address, uint64_t size, int fd, off_t offset,
	      uint64_t slice)
{
	int err = map_slices(address, size, fd, offset, slice);

	if (!err)
		err = gpu_arena_add(w, address, size);
	if (err) {
		/* A driver may refuse after the reservation has gone. */
		reserve_again(w, address, size);
		return err;
	}
	w->arena.used += size;
	return 0;
}

int arena_remove(struct worker *w, uint64_t address, uint64_t size)
{
	int err = gpu_arena_remove(w, address, size);

	if (!err)
		err = reserve_again(w, address, size);
	if (!err)
		w->arena.used -= size;
	return err;
}

static int do_message(struct worker *w, const struct pvgpu_local_chunk *m, int fd)
{
	const enum gpu_arena_found found = gpu_arena_find(w, m->address, m->size);

	if (m->op == PVGPU_CHUNK_ADD)
		return found == GPU_ARENA_FREE ? arena_add(w, m->address, m->size, fd, 0, m->size)
					       : -EEXIST;
	return found == GPU_ARENA_SAME ? arena_remove(w, m->address, m->size) : -ENOENT;
}

/* The guest may use the chunk from here on. */
struct answer {
	struct gpu_arena_then then; /* first: is the answer */
	struct pvgpu_local_chunked body;
};

/* Any thread. */
static void send_answer(struct worker *w, struct gpu_arena_then *then)
{
	struct answer *a = (struct answer *)then;

	if (msg_send(w->session, &a->body, sizeof(a->body), NULL, 0) == -EAGAIN)
		worker_end(w, PVGPU_END_PROTOCOL,
			   "the guest does not read the answers on its session socket");
	free(a);
}

/* False: nothing more to read, or the end. */
static bool one_message(struct worker *w)
{
	struct answer *answer;
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
	answer = malloc(sizeof(*answer));
	if (!answer) {
		worker_end(w, PVGPU_END_FAILED, "out of memory");
		return false;
	}
	*answer = (struct answer){
		.then.fn = send_answer,
		.body = {.magic = PVGPU_LOCAL_MAGIC, .error = -err, .address = m.address},
	};
	if (!err && m.op == PVGPU_CHUNK_ADD)
		gpu_arena_register(w, &answer->then);
	else
		send_answer(w, &answer->then);
	return !has_ended(w);
}

void arena_message(struct worker *w)
{
	for (int i = 0; i < AT_ONCE && !has_ended(w) && one_message(w); i++)
		;
}
