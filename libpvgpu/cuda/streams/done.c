/* SPDX-License-Identifier: MIT */
/*
 * Ends that are known without a question. A place is a stream's slot (session.h) and the number of
 * a command in it. The slot goes to another stream when its stream is destroyed: places of earlier
 * streams are told by their numbers.
 */
#include "cuda/core/above.h"
#include "cuda/core/context.h"
#include "cuda/core/init.h"
#include "cuda/core/target.h"
#include "cuda/streams/done.h"
#include "cuda/streams/event.h"
#include "cuda/streams/stream.h"

#include <pthread.h>
#include <stdatomic.h>

#include "link/session.h"

enum { SLOT_SHIFT = 48 };
#define NUMBER_MASK (((uint64_t)1 << SLOT_SHIFT) - 1)

/* By slot: the command that made its stream; the last call that waited for the stream, and the last
 * that heard that all of it has ended. */
static _Atomic uint64_t made[PVGPU_NO_SLOT], waited[PVGPU_NO_SLOT], heard[PVGPU_NO_SLOT];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of every context's struct behind */

static uint32_t slot_of(const struct target *t)
{
	return pvgpu_slot(target_key(t));
}

/* Keep the greatest. */
static void raise_to(_Atomic uint64_t *at, uint64_t number)
{
	uint64_t now = atomic_load(at);

	while (now < number && !atomic_compare_exchange_weak(at, &now, number))
		;
}

void done_stream_made(const struct stream *s)
{
	const uint32_t slot = pvgpu_slot(s->o.wire);

	if (slot < PVGPU_NO_SLOT)
		raise_to(&made[slot], pvgpu_posted());
}

uint64_t done_place(const struct target *t)
{
	return (uint64_t)slot_of(t) << SLOT_SHIFT | (pvgpu_posted() & NUMBER_MASK);
}

uint64_t done_end(const struct target *t)
{
	return (uint64_t)slot_of(t) << SLOT_SHIFT | (pvgpu_worked(session()) & NUMBER_MASK);
}

/* Does new work in it wait for other streams' work? */
static bool is_ordered(const struct target *t)
{
	if (!t->stream)
		return atomic_load(&t->ctx->blocking);
	return t->blocking && atomic_load(&t->ctx->legacy_use) == LEGACY_USED;
}

/* Under lock. */
static int mark(const struct target *t, struct behind *b)
{
	int r = 0;

	/* The last one stands while nothing was sent behind it. */
	if (b->mark && b->stream == target_key(t) && b->number == pvgpu_worked(session()))
		return 0;
	if (!b->mark)
		r = event_new(t->ctx, CU_EVENT_DISABLE_TIMING, NULL, &b->mark);
	if (!r)
		r = event_record(b->mark, t, false);
	if (r)
		return r;
	b->stream = target_key(t);
	b->place = done_place(t);
	b->number = pvgpu_posted();
	return 0;
}

int done_behind(const struct target *t, uint64_t *place)
{
	struct behind *b = &t->ctx->behind;
	int r;

	if (!is_ordered(t)) {
		*place = done_end(t);
		return 0;
	}
	pthread_mutex_lock(&lock);
	r = mark(t, b);
	*place = b->place;
	pthread_mutex_unlock(&lock);
	return r;
}

uint64_t done_both(uint64_t earlier, uint64_t later, const struct ctx *c)
{
	if (!earlier || earlier >> SLOT_SHIFT == later >> SLOT_SHIFT || done_known(earlier) ||
	    done_waited(earlier, c))
		return later;
	/* In no slot: a wait for the whole context tells. */
	return (uint64_t)PVGPU_NO_SLOT << SLOT_SHIFT | (later & NUMBER_MASK);
}

bool done_known(uint64_t place)
{
	const uint32_t slot = (uint32_t)(place >> SLOT_SHIFT);
	const uint64_t number = place & NUMBER_MASK;

	/* In this order: what the slot says may be of a stream that was made after this place. */
	return slot < PVGPU_NO_SLOT && pvgpu_ended(session(), slot, number) &&
	       number > atomic_load(&made[slot]);
}

bool done_waited(uint64_t place, const struct ctx *c)
{
	const uint32_t slot = (uint32_t)(place >> SLOT_SHIFT);
	const uint64_t number = place & NUMBER_MASK;

	if (!pvgpu_sound(session()))
		return false;
	return number <= atomic_load(&c->waited) ||
	       (slot < PVGPU_NO_SLOT && number <= atomic_load(&waited[slot]) &&
		number > atomic_load(&made[slot]));
}

void done_wait_ctx(struct ctx *c)
{
	raise_to(&c->waited, pvgpu_posted());
}

bool done_ctx_at_rest(struct ctx *c)
{
	return pvgpu_sound(session()) && pvgpu_worked(session()) <= atomic_load(&c->waited);
}

void done_wait_stream(const struct target *t)
{
	const uint32_t slot = slot_of(t);

	if (slot < PVGPU_NO_SLOT)
		raise_to(&waited[slot], pvgpu_posted());
}

void done_hear_stream(const struct target *t)
{
	const uint32_t slot = slot_of(t);

	if (slot < PVGPU_NO_SLOT)
		raise_to(&heard[slot], pvgpu_posted());
}

bool done_stream_at_rest(const struct target *t)
{
	const uint32_t slot = slot_of(t);

	if (done_ctx_at_rest(t->ctx))
		return true;
	return slot < PVGPU_NO_SLOT && pvgpu_sound(session()) &&
	       pvgpu_worked(session()) <= atomic_load(&waited[slot]);
}

bool done_stream_ended(const struct target *t)
{
	const uint32_t slot = slot_of(t);
	const uint64_t number = pvgpu_worked(session());

	return done_stream_at_rest(t) || pvgpu_ended(session(), slot, number) ||
	       (slot < PVGPU_NO_SLOT && pvgpu_sound(session()) &&
		number <= atomic_load(&heard[slot]));
}
