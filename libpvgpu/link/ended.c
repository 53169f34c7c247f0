/* SPDX-License-Identifier: MIT */
/* Ends that the worker has written to the ring page: no message, no lock. */
#include "link/runtime.h"

_Static_assert(PVGPU_NO_SLOT == PVGPU_ENDED_NONE, "slots");

uint32_t pvgpu_slot(uint64_t handle)
{
	const uint32_t index = PVGPU_HANDLE_INDEX(handle);

	if (PVGPU_HANDLE_TYPE(handle) == PVGPU_H_CTX)
		return pvgpu_ended_slot(true, index);
	/* As pvgpu_ended_slot(), and beyond. */
	return index < PVGPU_NO_SLOT - PVGPU_ENDED_CTXS ? PVGPU_ENDED_CTXS + index : PVGPU_NO_SLOT;
}

bool pvgpu_tells_ends(const struct pvgpu_session *s)
{
	return s->info.features & PVGPU_FEATURE_ENDED;
}

bool pvgpu_sound(const struct pvgpu_session *s)
{
	const struct pvgpu_ring_page *p = s->link->page;

	return !pvgpu_load(&p->faults.v) && pvgpu_load(&p->status) == PVGPU_RING_RUNNING;
}

/* Is every record done that the worker has sent? Looked at after the number of an end: marks are
 * sent before it. */
static bool drained(struct pvgpu_session *s)
{
	const struct pvgpu_ring_page *p = s->link->page;

	return pvgpu_load_acquire(&p->rep_prod.v) == pvgpu_load_acquire(&p->rep_cons.v);
}

bool pvgpu_ended(struct pvgpu_session *s, uint32_t slot, uint64_t number)
{
	if (slot >= PVGPU_ENDED_SLOTS || !pvgpu_tells_ends(s) ||
	    pvgpu_load_acquire(&s->link->page->ended[slot]) < number || !pvgpu_sound(s))
		return false;
	pvgpu_see_other_threads(s);
	if (!drained(s))
		pvgpu_try_drain(s, false);
	return drained(s);
}
