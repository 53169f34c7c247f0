/* SPDX-License-Identifier: MIT */
/* Modules' variables of which the guest has asked the address, by address. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "xen-pvgpu-back/worker/gpu/memory.h"
#include "xen-pvgpu-back/worker/gpu/state.h"

/* mem.lock held: the last global that begins at or before an address; -1: none. */
static int64_t global_before(const struct memory *m, uint64_t addr)
{
	uint32_t lo = 0, hi = m->globals;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (m->global[mid].addr <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return (int64_t)lo - 1;
}

const struct global *global_at(const struct memory *m, uint64_t addr)
{
	const int64_t i = global_before(m, addr);

	return i < 0 ? NULL : &m->global[i];
}

int global_add(struct gpu *g, uint64_t addr, uint64_t size, const void *owner, const struct ctx *c)
{
	struct memory *m = &g->mem;
	int r = CUDA_ERROR_OUT_OF_MEMORY;
	int64_t i;

	pthread_mutex_lock(&m->lock);
	i = global_before(m, addr);
	if (i >= 0 && m->global[i].addr == addr && m->global[i].owner == owner) {
		m->global[i].size = size;
		r = 0;
		goto out;
	}
	if (m->globals == MEM_GLOBALS_MAX)
		goto out;
	if (m->globals == m->global_cap) {
		const uint32_t cap = m->global_cap ? 2 * m->global_cap : 16;
		struct global *more = realloc(m->global, cap * sizeof(*more));

		if (!more)
			goto out;
		m->global = more;
		m->global_cap = cap;
	}
	i++;
	memmove(&m->global[i + 1], &m->global[i], (m->globals - (uint32_t)i) * sizeof(*m->global));
	m->global[i] = (struct global){addr, size, owner, c};
	m->globals++;
	r = 0;
out:
	pthread_mutex_unlock(&m->lock);
	return r;
}

void globals_remove(struct gpu *g, const void *which)
{
	struct memory *m = &g->mem;
	uint32_t kept = 0;

	pthread_mutex_lock(&m->lock);
	for (uint32_t i = 0; i < m->globals; i++) {
		if (m->global[i].owner != which && m->global[i].ctx != which)
			m->global[kept++] = m->global[i];
	}
	m->globals = kept;
	pthread_mutex_unlock(&m->lock);
}
