/* SPDX-License-Identifier: MIT */
/*
 * Instructions by which lanes of a warp exchange values. Each works in two steps: its lanes publish
 * their operands, then read those of others. Lanes wait until every live lane of their member mask
 * has arrived. If all of them wait at different places, the instruction is executed for all.
 */
#include "tests/simcuda/ptx/exec.h"

typedef uint32_t u32;
typedef uint64_t u64;

/* Lanes of mask whose member masks are satisfied by mask. */
static u32 satisfied(const struct warp *w, const struct sync_op *s, u32 mask)
{
	const u32 *members = row(w, s->members);
	u32 ok = 0;

	if (s->members & OPERAND_CONST)
		return members[0] & w->live & ~mask ? 0 : mask;
	for (int l = 0; l < LANES; l++)
		ok |= (u32) !(members[l] & w->live & ~mask) << l;
	return ok & mask;
}

/* Other lanes that wait at the same place join; then the instruction is tried again. */
static bool absorb(struct warp *w)
{
	struct split *cur = w->cur;
	u32 joined = 0, kept = 0;

	for (u32 k = 0; k < w->split_count; k++) {
		struct split *s = &w->splits[k];

		if (s != cur && s->pc == cur->pc && s->frame == cur->frame &&
		    (s->state == SPLIT_READY || s->state == SPLIT_SYNC)) {
			joined |= s->mask;
			continue;
		}
		if (s == cur)
			w->cur = &w->splits[kept];
		w->splits[kept++] = *s;
	}
	w->split_count = kept;
	w->cur->mask |= joined;
	return joined != 0;
}

static int wait_here(struct warp *w, const struct insn *i, u32 mask)
{
	u32 pc = current_pc(w, i);

	part_with_others(w, mask, pc + 1);
	w->cur->pc = pc;
	if (!absorb(w))
		w->cur->state = SPLIT_SYNC;
	return STEP_PICK;
}

int op_sync(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;

	if (s->members != OPERAND_NONE) {
		u32 ok = satisfied(w, s, mask);

		if (!ok)
			return wait_here(w, i, mask);
		if (ok != mask) {
			/* the others wait; lanes excluded by the guard continue */
			u32 pc = current_pc(w, i);

			part_with_others(w, mask, pc + 1);
			new_split(w, pc, mask & ~ok, w->frame)->state = SPLIT_SYNC;
			w->cur->mask = ok;
			w->cur->pc = pc;
			return STEP_PICK;
		}
	}
	w->together = mask;
	s->show(w, i, mask);
	s->finish(w, i, mask);
	return w->cta->fault.kind == PTX_FAULT_NONE ? STEP_NEXT : STEP_FAULT;
}

static const struct sync_op *waiting_op(const struct warp *w, const struct split *s)
{
	return w->cta->code[s->pc].ptr;
}

bool sync_together(struct warp *w)
{
	const struct sync_op *op = NULL;

	if (!w->split_count)
		return false;
	for (u32 k = 0; k < w->split_count; k++) {
		if (w->splits[k].state != SPLIT_SYNC)
			return false;
	}
	op = waiting_op(w, &w->splits[0]);
	w->together = 0;
	for (int step = 0; step < 2; step++) {
		for (u32 k = 0; k < w->split_count; k++) {
			struct split *s = &w->splits[k];
			const struct sync_op *o = waiting_op(w, s);
			const struct insn *i = &w->cta->code[s->pc];

			if (s->state != SPLIT_SYNC || o->finish != op->finish ||
			    o->kind != op->kind || o->kind2 != op->kind2)
				continue;
			use_frame(w, s->frame);
			if (step == 0) {
				w->together |= s->mask;
				o->show(w, i, s->mask);
			} else {
				o->finish(w, i, s->mask);
				s->state = SPLIT_READY;
				s->pc++;
			}
		}
	}
	return true;
}

void show_word(struct warp *w, const struct insn *i, uint32_t mask)
{
	put32(w->exchange, row(w, i->a), mask);
}

void show_wide(struct warp *w, const struct insn *i, uint32_t mask)
{
	put64(w->exchange64, row(w, i->a), mask);
}

void show_pred(struct warp *w, const struct insn *i, uint32_t mask)
{
	w->exchange_pred = (w->exchange_pred & ~mask) | (pred_row(w, i->a) & mask);
}

void show_nothing(struct warp *w, const struct insn *i, uint32_t mask)
{
}

void finish_nothing(struct warp *w, const struct insn *i, uint32_t mask)
{
}

/* The lanes that take part with lane l. */
static u32 party(const struct warp *w, const struct sync_op *s, int l)
{
	if (s->members == OPERAND_NONE)
		return w->together;
	return w->together & ((const u32 *)row(w, s->members))[l];
}

void finish_shfl(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;
	const u32 *b = row(w, i->b), *c = row(w, i->c);
	u32 t[LANES], valid = 0;

	for (int l = 0; l < LANES; l++) {
		int by = (int)(b[l] & 31), clamp = (int)(c[l] & 31), seg = (int)(c[l] >> 8 & 31);
		int max = (l & seg) | (clamp & ~seg), j;
		bool ok;

		switch (s->kind) {
		case SHFL_UP:
			j = l - by;
			ok = j >= max;
			break;
		case SHFL_DOWN:
			j = l + by;
			ok = j <= max;
			break;
		case SHFL_BFLY:
			j = l ^ by;
			ok = j <= max;
			break;
		default:
			j = (l & seg) | (by & ~seg);
			ok = j <= max;
		}
		if (!ok || !(w->together >> j & 1))
			j = l;
		t[l] = w->exchange[j];
		valid |= (u32)ok << l;
	}
	put32(row(w, i->d), t, mask);
	if (s->q != OPERAND_NONE)
		put_pred(w, s->q, valid, mask);
}

void finish_vote(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;
	u32 t[LANES], r = 0;

	for (int l = 0; l < LANES; l++) {
		u32 who = party(w, s, l), yes = w->exchange_pred & who;
		bool all = yes == who, any = yes != 0;

		t[l] = yes;
		r |= (u32)(s->kind == VOTE_ALL   ? all
			   : s->kind == VOTE_ANY ? any
						 : all || !any)
		     << l;
	}
	if (s->kind == VOTE_BALLOT)
		put32(row(w, i->d), t, mask);
	else
		put_pred(w, i->d, r, mask);
}

void finish_match(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;
	u32 t[LANES], all = 0;

	for (int l = 0; l < LANES; l++) {
		u32 who = party(w, s, l), same = 0;

		for (u32 m = who; m; m &= m - 1) {
			int k = __builtin_ctz(m);
			bool equal = s->kind2 ? w->exchange64[k] == w->exchange64[l]
					      : w->exchange[k] == w->exchange[l];

			same |= (u32)equal << k;
		}
		all |= (u32)(same == who) << l;
		t[l] = s->kind && same != who ? 0 : same;
	}
	put32(row(w, i->d), t, mask);
	if (s->q != OPERAND_NONE)
		put_pred(w, s->q, all, mask);
}

static u32 reduce(u32 kind, bool is_signed, u32 a, u32 b)
{
	switch (kind) {
	case REDUX_ADD:
		return a + b;
	case REDUX_MIN:
		return is_signed ? (int32_t)a < (int32_t)b ? a : b : a < b ? a : b;
	case REDUX_MAX:
		return is_signed ? (int32_t)a > (int32_t)b ? a : b : a > b ? a : b;
	case REDUX_AND:
		return a & b;
	case REDUX_OR:
		return a | b;
	default:
		return a ^ b;
	}
}

void finish_redux(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;
	u32 t[LANES] = {0};

	for (int l = 0; l < LANES; l++) {
		u32 who = party(w, s, l);

		if (!who)
			continue;
		t[l] = w->exchange[__builtin_ctz(who)];
		for (u32 m = who & (who - 1); m; m &= m - 1)
			t[l] = reduce(s->kind, s->kind2, t[l], w->exchange[__builtin_ctz(m)]);
	}
	put32(row(w, i->d), t, mask);
}

void finish_elect(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct sync_op *s = i->ptr;
	u32 t[LANES], leader = 0;

	for (int l = 0; l < LANES; l++) {
		u32 who = party(w, s, l);

		t[l] = who ? (u32)__builtin_ctz(who) : 0;
		leader |= (u32)(t[l] == (u32)l) << l;
	}
	put32(row(w, i->d), t, mask);
	put_pred(w, s->q, leader, mask);
}

int op_activemask(struct warp *w, const struct insn *i, uint32_t mask)
{
	u32 t[LANES];

	for (int l = 0; l < LANES; l++)
		t[l] = mask;
	put32(row(w, i->d), t, mask);
	return STEP_NEXT;
}
