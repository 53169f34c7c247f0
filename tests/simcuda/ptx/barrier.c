/* SPDX-License-Identifier: MIT */
/* Barriers of a block. Threads arrive one by one; those that have exited count as arrived. */
#include "tests/simcuda/ptx/exec.h"

typedef uint32_t u32;

bool barrier_complete(const struct ptx_cta *c, const struct barrier *b)
{
	u32 count = 0;

	for (u32 k = 0; k < c->warp_count; k++) {
		const struct warp *w = &c->warps[k];

		if (!b->expected && w->live & ~b->arrived[k])
			return false;
		/* a warp whose live lanes have all arrived counts with its missing lanes */
		if (b->arrived[k])
			count += w->live & ~b->arrived[k] ? (u32)__builtin_popcount(b->arrived[k])
							  : LANES;
	}
	return !b->expected || count >= b->expected;
}

static void give_result(struct warp *w, const struct split *s, const struct barrier *b)
{
	const struct insn *i = &w->cta->code[s->pc];
	u32 t[LANES];
	void *d = s->frame->rows + i->d;

	if (i->x == 0) {
		for (int l = 0; l < LANES; l++)
			t[l] = b->reduced;
		put32(d, t, s->mask);
	} else {
		u32 value = (i->x == 1 ? b->all : b->any) ? s->mask : 0;

		*(u32 *)d = (*(u32 *)d & ~s->mask) | value;
	}
}

void barrier_release(struct ptx_cta *c, u32 id)
{
	struct barrier *b = &c->barriers[id];

	for (u32 k = 0; k < c->warp_count; k++) {
		struct warp *w = &c->warps[k];

		for (u32 n = 0; n < w->split_count; n++) {
			struct split *s = &w->splits[n];

			if (s->state != SPLIT_BARRIER || s->barrier != id)
				continue;
			if (c->code[s->pc].fn == op_bar_red)
				give_result(w, s, b);
			s->state = SPLIT_READY;
			s->pc++;
		}
		b->arrived[k] = 0;
	}
	b->busy = false;
}

void barrier_check_all(struct ptx_cta *c)
{
	for (u32 id = 0; id < BARRIERS; id++) {
		if (c->barriers[id].busy && barrier_complete(c, &c->barriers[id]))
			barrier_release(c, id);
	}
	cluster_check_barrier(c->cluster);
}

static int arrive(struct warp *w, const struct insn *i, u32 mask, bool wait, bool reduce)
{
	struct ptx_cta *c = w->cta;
	const u32 *a = row(w, i->a);
	u32 first = (u32)__builtin_ctz(mask), id = a[first], pc = current_pc(w, i), same = 0, yes;
	struct barrier *b;

	u32 expected = i->b == OPERAND_NONE ? 0 : ((const u32 *)row(w, i->b))[first];

	if (id >= BARRIERS || expected % LANES || (i->b != OPERAND_NONE && !expected))
		return fault(w, first, PTX_FAULT_INSTRUCTION, id);
	for (u32 l = 0; l < LANES; l++)
		same |= (u32)(a[l] == id) << l;
	same &= mask;
	part_with_others(w, mask, pc + 1);
	part_with_others(w, same, pc);
	no_spin(w);
	b = &c->barriers[id];
	if (!b->busy) {
		b->busy = true;
		b->expected = expected;
		b->reduced = 0;
		b->all = 1;
		b->any = 0;
	}
	b->arrived[w->index] |= same;
	if (reduce) {
		yes = pred_row(w, i->c) & same;
		b->reduced += (u32)__builtin_popcount(yes);
		b->all &= yes == same;
		b->any |= yes != 0;
	}
	w->cur->pc = wait ? pc : pc + 1;
	if (wait) {
		w->cur->state = SPLIT_BARRIER;
		w->cur->barrier = id;
	}
	if (barrier_complete(c, b))
		barrier_release(c, id);
	return STEP_PICK;
}

int op_bar_sync(struct warp *w, const struct insn *i, uint32_t mask)
{
	return arrive(w, i, mask, true, false);
}

int op_bar_arrive(struct warp *w, const struct insn *i, uint32_t mask)
{
	return arrive(w, i, mask, false, false);
}

int op_bar_red(struct warp *w, const struct insn *i, uint32_t mask)
{
	return arrive(w, i, mask, true, true);
}
