/* SPDX-License-Identifier: MIT */
/* Page-locked slots for small copies whose bytes travel in records: CUDA would wait for pageable ones. */
#include <stdlib.h>
#include <sys/mman.h>

#include "state.h"

static struct staging *make(struct gpu *g)
{
	const size_t bytes = STAGING_SLOTS * STAGING_SIZE;
	struct staging *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->base == MAP_FAILED) {
		free(t);
		return NULL;
	}
	t->registered = !g->far->cuMemHostRegister_v2(t->base, bytes, CU_MEMHOSTREGISTER_PORTABLE);
	return t;
}

int staging_take(struct gpu *g, struct ctx *c)
{
	struct staging *t = c->staging;

	if (!t)
		t = c->staging = make(g);
	for (uint32_t i = 0; t && i < STAGING_SLOTS; i++) {
		const uint32_t n = (t->next + i) % STAGING_SLOTS;

		if (atomic_load(&t->slot[n].used)) {
			if (!t->slot[n].ev ||
			    g->far->cuEventQuery(t->slot[n].ev) == CUDA_ERROR_NOT_READY)
				continue;
			pool_put(g, c, t->slot[n].ev);
			t->slot[n].ev = NULL;
		}
		atomic_store(&t->slot[n].used, true);
		t->next = n + 1;
		return (int)n;
	}
	return -1;
}

void *staging_at(struct ctx *c, int slot)
{
	return c->staging->base + (size_t)slot * STAGING_SIZE;
}

void staging_put(struct ctx *c, int slot)
{
	atomic_store(&c->staging->slot[slot].used, false);
}

void staging_put_after(struct gpu *g, struct ctx *c, int slot, struct stream *s)
{
	CUevent ev;

	/* On an error nothing runs any more. */
	if (pool_get(g, c, &ev) || g->far->cuEventRecord(ev, s->far)) {
		staging_put(c, slot);
		return;
	}
	c->staging->slot[slot].ev = ev;
}

void staging_free(struct gpu *g, struct ctx *c)
{
	struct staging *t = c->staging;

	if (!t)
		return;
	for (unsigned int i = 0; i < STAGING_SLOTS; i++) {
		if (t->slot[i].ev)
			g->far->cuEventDestroy_v2(t->slot[i].ev);
	}
	if (t->registered)
		g->far->cuMemHostUnregister(t->base);
	munmap(t->base, STAGING_SLOTS * STAGING_SIZE);
	free(t);
	c->staging = NULL;
}
