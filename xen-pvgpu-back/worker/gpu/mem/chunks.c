/* SPDX-License-Identifier: MIT */
#include "xen-pvgpu-back/worker/gpu/chunks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNKS_MAX 4096u

void chunks_init(struct chunks *t)
{
	pthread_mutex_init(&t->lock, NULL);
}

void chunks_free(struct chunks *t)
{
	free(t->at);
	t->at = NULL;
	t->count = t->cap = 0;
}

uint32_t chunks_seek(const struct chunks *t, uint64_t addr)
{
	uint32_t lo = 0, hi = t->count;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;

		if (t->at[mid].addr + t->at[mid].size <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

enum gpu_arena_found chunks_find(struct chunks *t, uint64_t addr, uint64_t size)
{
	enum gpu_arena_found found = GPU_ARENA_OVERLAPS;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	i = chunks_seek(t, addr);
	if (i == t->count || (t->at[i].addr > addr && t->at[i].addr - addr >= size))
		found = GPU_ARENA_FREE;
	else if (t->at[i].addr == addr && t->at[i].size == size)
		found = GPU_ARENA_SAME;
	pthread_mutex_unlock(&t->lock);
	return found;
}

/* Lock held. */
static bool make_room(struct chunks *t)
{
	const uint32_t cap = t->cap ? 2 * t->cap : 16;
	struct chunk *more;

	if (t->count == CHUNKS_MAX)
		return false;
	if (t->count < t->cap)
		return true;
	more = realloc(t->at, cap * sizeof(*more));
	if (!more)
		return false;
	t->at = more;
	t->cap = cap;
	return true;
}

int chunks_add(struct chunks *t, uint64_t addr, uint64_t size)
{
	bool room;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	room = make_room(t);
	if (room) {
		i = chunks_seek(t, addr);
		memmove(&t->at[i + 1], &t->at[i], (t->count - i) * sizeof(*t->at));
		t->at[i] = (struct chunk){.addr = addr, .size = size};
		t->count++;
	}
	pthread_mutex_unlock(&t->lock);
	return room ? 0 : -ENOMEM;
}

int chunks_remove(struct chunks *t, uint64_t addr, uint64_t size, struct chunk *was)
{
	int err = 0;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	i = chunks_seek(t, addr);
	if (i == t->count || t->at[i].addr != addr || t->at[i].size != size)
		err = -ENOENT;
	else if (t->at[i].users)
		err = -EBUSY;
	if (!err) {
		*was = t->at[i];
		t->count--;
		memmove(&t->at[i], &t->at[i + 1], (t->count - i) * sizeof(*t->at));
	}
	pthread_mutex_unlock(&t->lock);
	return err;
}

/* Add to the users of every chunk of the range; false: it has holes. Chunks side by side serve one
 * range. Lock held. */
static bool walk(struct chunks *t, uint64_t addr, uint64_t len, int users)
{
	for (uint32_t i = chunks_seek(t, addr); i < t->count && t->at[i].addr <= addr; i++) {
		struct chunk *c = &t->at[i];
		const uint64_t part = c->size - (addr - c->addr);

		c->users += (uint32_t)users;
		if (part >= len)
			return true;
		addr += part;
		len -= part;
	}
	return false;
}

uint64_t chunks_part(struct chunks *t, uint64_t addr, uint64_t len)
{
	uint64_t part = len;
	uint32_t i;

	pthread_mutex_lock(&t->lock);
	i = chunks_seek(t, addr);
	if (i < t->count && t->at[i].addr <= addr && t->at[i].size - (addr - t->at[i].addr) < len)
		part = t->at[i].size - (addr - t->at[i].addr);
	pthread_mutex_unlock(&t->lock);
	return part;
}

bool chunks_contain(struct chunks *t, uint64_t addr, uint64_t len)
{
	bool ok;

	if (!len || addr + len < addr)
		return false;
	pthread_mutex_lock(&t->lock);
	ok = walk(t, addr, len, 0);
	pthread_mutex_unlock(&t->lock);
	return ok;
}

bool chunks_pin(struct chunks *t, uint64_t addr, uint64_t len)
{
	bool ok;

	if (!len || addr + len < addr)
		return false;
	pthread_mutex_lock(&t->lock);
	ok = walk(t, addr, len, 0);
	if (ok)
		walk(t, addr, len, 1);
	pthread_mutex_unlock(&t->lock);
	return ok;
}

void chunks_unpin(struct chunks *t, uint64_t addr, uint64_t len)
{
	pthread_mutex_lock(&t->lock);
	walk(t, addr, len, -1);
	pthread_mutex_unlock(&t->lock);
}
