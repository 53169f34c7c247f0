/* SPDX-License-Identifier: MIT */
/* The bytes of parked memory (swap.h): where they lie, and how they get there. */
#include <string.h>
#include <sys/mman.h>

#include "xen-pvgpu-back/worker/gpu/context.h"
#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/state.h"
#include "xen-pvgpu-back/worker/gpu/swap.h"
#include "xen-pvgpu-back/worker/far.h"

#define SLOTS     2u
#define SLOT_SIZE (4u << 20)

struct slot {
	unsigned char *at;
	CUevent ev;
	unsigned char *to; /* of the store, for the bytes that are being copied; NULL: none are */
	uint64_t len;
};

struct mover {
	const struct far *far;
	bool out;
	unsigned char *base;
	bool registered;
	CUstream stream;
	struct slot slot[SLOTS];
	unsigned int next;
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
	for (unsigned int i = 0; i < SLOTS; i++)
		if (m->slot[i].ev)
			m->far->cuEventDestroy_v2(m->slot[i].ev);
	if (m->stream)
		m->far->cuStreamDestroy_v2(m->stream);
	if (m->registered)
		m->far->cuMemHostUnregister(m->base);
	munmap(m->base, (size_t)SLOTS * SLOT_SIZE);
}

static int mover_open(struct mover *m, const struct far *far, bool out)
{
	int r = 0;

	*m = (struct mover){.far = far, .out = out};
	m->base = mmap(NULL, (size_t)SLOTS * SLOT_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m->base == MAP_FAILED)
		return CUDA_ERROR_OUT_OF_MEMORY;
	madvise(m->base, (size_t)SLOTS * SLOT_SIZE, MADV_DONTDUMP);
	m->registered = !far->cuMemHostRegister_v2(m->base, (size_t)SLOTS * SLOT_SIZE, 0);
	for (unsigned int i = 0; i < SLOTS && !r; i++) {
		m->slot[i].at = m->base + (size_t)i * SLOT_SIZE;
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
	r = (int)m->far->cuEventSynchronize(s->ev);
	if (!r && m->out)
		memcpy(s->to, s->at, s->len);
	s->to = NULL;
	return r;
}

static int move(struct mover *m, uint64_t addr, unsigned char *host, uint64_t len)
{
	struct slot *s = &m->slot[m->next++ % SLOTS];
	int r = settle(m, s);

	if (r)
		return r;
	if (!m->out)
		memcpy(s->at, host, len);
	r = (int)(m->out ? m->far->cuMemcpyDtoHAsync_v2(s->at, addr, len, m->stream)
			 : m->far->cuMemcpyHtoDAsync_v2(addr, s->at, len, m->stream));
	if (!r)
		r = (int)m->far->cuEventRecord(s->ev, m->stream);
	s->to = host;
	s->len = len;
	return r;
}

static int move_area(struct mover *m, const struct area *a, unsigned char *host)
{
	int r = 0;

	for (uint64_t at = 0, n; at < a->size && !r; at += n) {
		n = a->size - at < SLOT_SIZE ? a->size - at : SLOT_SIZE;
		r = move(m, a->addr + at, host + at, n);
	}
	return r;
}

int swap_copy(struct gpu *g, struct ctx *c, const struct batch *b, bool out)
{
	unsigned char *host = b->store;
	struct mover m;
	int r = ctx_enter(c);

	if (!r)
		r = mover_open(&m, g->far, out);
	if (r)
		return r;
	for (uint32_t i = 0; i < b->count && !r; i++) {
		r = move_area(&m, b->areas[i], host);
		host += b->areas[i]->size;
	}
	/* Those that were issued end, even after an error, before their slots go. */
	for (unsigned int i = 0; i < SLOTS; i++) {
		const int last = settle(&m, &m.slot[m.next++ % SLOTS]);

		r = r ? r : last;
	}
	mover_close(&m);
	return r;
}
