/* SPDX-License-Identifier: MIT */
/*
 * Handles that the guest chooses. A slot's generation rises by one at each reuse, so that a stale
 * handle names nothing.
 */
#include "link/runtime.h"

#include <stdlib.h>

/* Room for one more slot; false: no memory, or all in use. */
static bool extend(struct pvgpu_handle_table *t)
{
	uint32_t cap = t->cap ? t->cap * 2 : 64;
	uint16_t *generation;
	uint32_t *unused;
	unsigned char *live;

	if (t->used < t->cap)
		return true;
	if (t->cap >= PVGPU_HANDLES_MAX)
		return false;
	/* Each array that grew is kept: one larger than cap does no harm. */
	generation = realloc(t->generation, cap * sizeof(*generation));
	if (generation)
		t->generation = generation;
	unused = realloc(t->free, cap * sizeof(*unused));
	if (unused)
		t->free = unused;
	live = realloc(t->live, cap);
	if (live)
		t->live = live;
	if (!generation || !unused || !live)
		return false;
	t->cap = cap;
	return true;
}

uint64_t pvgpu_handle_new(struct pvgpu_session *s, uint32_t type, uint32_t vgpu)
{
	struct pvgpu_handle_table *t = &s->handles.type[type % PVGPU_HANDLE_TYPES];
	uint64_t handle = 0;
	uint32_t index;

	if (!type || type >= PVGPU_HANDLE_TYPES || vgpu > 0xff)
		return 0;
	pvgpu_lock(&s->handles.lock);
	if (t->n_free) {
		index = t->free[--t->n_free];
		t->generation[index]++;
	} else if (extend(t)) {
		index = t->used++;
		t->generation[index] = 1;
	} else {
		goto out;
	}
	t->live[index] = 1;
	handle = PVGPU_HANDLE(type, vgpu, t->generation[index], index);
out:
	pvgpu_unlock(&s->handles.lock);
	return handle;
}

void pvgpu_handle_free(struct pvgpu_session *s, uint64_t handle)
{
	const uint32_t type = PVGPU_HANDLE_TYPE(handle), index = PVGPU_HANDLE_INDEX(handle);
	struct pvgpu_handle_table *t = &s->handles.type[type % PVGPU_HANDLE_TYPES];

	if (!type || type >= PVGPU_HANDLE_TYPES)
		return;
	pvgpu_lock(&s->handles.lock);
	if (index < t->used && t->live[index] && t->generation[index] == PVGPU_HANDLE_GEN(handle)) {
		t->live[index] = 0;
		t->free[t->n_free++] = index;
	}
	pvgpu_unlock(&s->handles.lock);
}

void pvgpu_handles_free(struct pvgpu_session *s)
{
	for (unsigned int i = 0; i < PVGPU_HANDLE_TYPES; i++) {
		free(s->handles.type[i].generation);
		free(s->handles.type[i].free);
		free(s->handles.type[i].live);
	}
}
