/* SPDX-License-Identifier: MIT */
/* The bytes of parked memory (swap.h): where they lie, and how they get there. */
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/swap.h"
#include "xen-pvgpu-back/worker/far.h"

/*
 * One processor clears and copies memory at a fraction of a link's rate, so several threads take
 * the pieces in turn. Each has a stream and two page-locked slots: while the GPU's copy engine
 * fills one, the thread empties the other.
 */
#define MOVERS 4u
#define SLOTS  2u
#define PIECE  (2u << 20)

struct slot {
	unsigned char *at;
	CUevent ev;
	unsigned char *to; /* of the store, for the bytes that are being copied; NULL: none are */
	uint64_t len;
};

/* Shared by all movers. */
struct moves {
	const struct far *far;
	struct ctx *c;
	const struct batch *b;
	bool out;
	atomic_uint_fast64_t next; /* the piece to take next */
	atomic_int error;          /* a CUresult, the first */
};

struct mover {
	struct moves *all;
	unsigned char *base;
	bool registered;
	CUstream stream;
	struct slot slot[SLOTS];
	unsigned int turn;
};

unsigned char *swap_store_new(uint64_t bytes, bool may_swap, const char **why)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	*why = "the backend is out of memory";
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_DONTDUMP);
	madvise(p, bytes, MADV_HUGEPAGE);
	if (mlock2(p, bytes, MLOCK_ONFAULT) == 0 || may_swap)
		return p;
	*why = "its memory cannot be locked: raise LimitMEMLOCK of pvgpud.service";
	munmap(p, bytes);
	return NULL;
}

/* The kernel clears the pages before another process gets them. */
void swap_store_free(unsigned char *store, uint64_t bytes)
{
	if (store)
		munmap(store, bytes);
}

static void mover_close(struct mover *m)
{
	const struct far *far = m->all->far;

	for (unsigned int i = 0; i < SLOTS; i++)
		if (m->slot[i].ev)
			far->cuEventDestroy_v2(m->slot[i].ev);
	if (m->stream)
		far->cuStreamDestroy_v2(m->stream);
	if (m->registered)
		far->cuMemHostUnregister(m->base);
	munmap(m->base, (size_t)SLOTS * PIECE);
}

static int mover_open(struct mover *m, struct moves *all)
{
	const struct far *far = all->far;
	int r = ctx_enter(all->c);

	*m = (struct mover){.all = all};
	if (r)
		return r;
	m->base = mmap(NULL, (size_t)SLOTS * PIECE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->base == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	madvise(m->base, (size_t)SLOTS * PIECE, MADV_DONTDUMP);
	m->registered = !far->cuMemHostRegister_v2(m->base, (size_t)SLOTS * PIECE, 0);
	for (unsigned int i = 0; i < SLOTS && !r; i++) {
		m->slot[i].at = m->base + (size_t)i * PIECE;
		r = (int)far->cuEventCreate(&m->slot[i].ev, CU_EVENT_DISABLE_TIMING);
	}
	if (!r)
		r = (int)far->cuStreamCreateWithPriority(&m->stream, CU_STREAM_NON_BLOCKING, 0);
	if (r)
		mover_close(m);
	return r;
}

/* Its copy ends, so that the slot is free. */
static int settle(struct mover *m, struct slot *s)
{
	int r;

	if (!s->to)
		return 0;
	r = (int)m->all->far->cuEventSynchronize(s->ev);
	if (!r && m->all->out)
		memcpy(s->to, s->at, s->len);
	s->to = NULL;
	return r;
}

static int move(struct mover *m, uint64_t addr, unsigned char *host, uint64_t len)
{
	const struct far *far = m->all->far;
	struct slot *s = &m->slot[m->turn++ % SLOTS];
	int r = settle(m, s);

	if (r)
		return r;
	if (!m->all->out)
		memcpy(s->at, host, len);
	r = (int)(m->all->out ? far->cuMemcpyDtoHAsync_v2(s->at, addr, len, m->stream)
			      : far->cuMemcpyHtoDAsync_v2(addr, s->at, len, m->stream));
	if (!r)
		r = (int)far->cuEventRecord(s->ev, m->stream);
	s->to = host;
	s->len = len;
	return r;
}

/* Those that this mover takes, until none is left. */
static int move_pieces(struct mover *m)
{
	struct moves *all = m->all;
	uint64_t mine = atomic_fetch_add(&all->next, 1), piece = 0;
	unsigned char *host = all->b->store;
	int r = 0;

	for (uint32_t i = 0; i < all->b->count; i++) {
		const struct area *a = all->b->areas[i];

		for (uint64_t at = 0, n; at < a->size && !r; at += n, piece++) {
			n = a->size - at < PIECE ? a->size - at : PIECE;
			if (piece != mine)
				continue;
			r = atomic_load(&all->error);
			if (!r)
				r = move(m, a->addr + at, host + at, n);
			mine = atomic_fetch_add(&all->next, 1);
		}
		host += a->size;
	}
	return r;
}

static void move_and_close(struct mover *m)
{
	int r = move_pieces(m);

	/* Those that were issued end, even after an error, before their slots go. */
	for (unsigned int i = 0; i < SLOTS; i++) {
		const int last = settle(m, &m->slot[m->turn++ % SLOTS]);

		r = r ? r : last;
	}
	if (r)
		atomic_compare_exchange_strong(&m->all->error, &(int){0}, r);
	mover_close(m);
}

/* One that cannot help leaves the pieces to the others. */
static void *help(void *arg)
{
	struct mover m;

	if (!mover_open(&m, arg))
		move_and_close(&m);
	return NULL;
}

int swap_copy(struct gpu *g, struct ctx *c, const struct batch *b, bool out)
{
	struct moves all = {.far = g->far, .c = c, .b = b, .out = out};
	pthread_t helper[MOVERS - 1];
	unsigned int helpers = 0;
	struct mover m;
	int r = mover_open(&m, &all);

	if (r)
		return r;
	while (helpers < MOVERS - 1 && (helpers + 1) * (uint64_t)PIECE < b->bytes &&
	       !pthread_create(&helper[helpers], NULL, help, &all))
		helpers++;
	move_and_close(&m);
	while (helpers)
		pthread_join(helper[--helpers], NULL);
	return atomic_load(&all.error);
}
