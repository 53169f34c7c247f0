/* SPDX-License-Identifier: MIT */
/*
 * The lanes of a warp in divergent code.
 *
 * Lanes at the same place form a split; a warp has one split for each place. Of the ready ones, the
 * split in the deepest call and at the lowest address runs first, until it meets another: in the
 * order in which compilers emit code, that is where control flow joins again. With this rule alone
 * a lane that spins on a lock would starve the lane that holds it at a higher address. So a split
 * that has waited for FAIR_AFTER instructions gets a turn wherever it is. One that spins gives way
 * at once: to the warp's other lanes, to other warps and to other blocks.
 */
#include "tests/simcuda/ptx/warp.h"

#include <stdlib.h>

#define FAIR_AFTER   2048u
#define FAIR_QUANTUM 96u
#define LOCAL_STEP   256u
#define CTA_MEMORY   (256ull << 20)

int fault(struct warp *w, uint32_t lane, enum ptx_fault_kind kind, uint64_t address)
{
	struct ptx_cta *c = w->cta;

	c->fault.kind = kind;
	c->fault.address = address;
	memcpy(c->fault.cta, c->id, sizeof(c->id));
	for (int k = 0; k < 3; k++)
		c->fault.thread[k] = w->tid[k][lane];
	return STEP_FAULT;
}

uint32_t current_pc(const struct warp *w, const struct insn *i)
{
	return (uint32_t)(i - w->cta->code);
}

void use_frame(struct warp *w, struct frame *f)
{
	w->frame = f;
	w->base[0] = f->rows;
}

/* There is always room: each of at most 32 splits has a lane of its own. */
struct split *new_split(struct warp *w, uint32_t pc, uint32_t mask, struct frame *f)
{
	struct split *s = &w->splits[w->split_count++];

	*s = (struct split){.pc = pc, .mask = mask, .frame = f, .ran = w->executed};
	return s;
}

void part_with_others(struct warp *w, uint32_t mask, uint32_t pc)
{
	uint32_t others = w->cur->mask & ~mask;

	if (!others)
		return;
	w->cur->mask = mask;
	new_split(w, pc, others, w->cur->frame);
}

static void remove_split(struct warp *w, struct split *s)
{
	*s = w->splits[--w->split_count];
}

static bool before(const struct split *a, const struct split *b)
{
	if (a->frame->depth != b->frame->depth)
		return a->frame->depth > b->frame->depth;
	return a->pc < b->pc;
}

static void wake_sleepers(struct warp *w)
{
	const struct ptx_env *env = w->cta->env;
	uint64_t now = env->globaltimer_ns(env->arg);

	w->sleepers = 0;
	for (uint32_t k = 0; k < w->split_count; k++) {
		struct split *s = &w->splits[k];

		if (s->state != SPLIT_SLEEP)
			continue;
		if (s->wake_ns <= now)
			s->state = SPLIT_READY;
		else
			w->sleepers++;
	}
}

/* Merge all ready splits at the chosen one's place. */
static struct split *merge_into(struct warp *w, struct split *best)
{
	struct split copy = *best;

	for (uint32_t k = w->split_count; k-- > 0;) {
		struct split *s = &w->splits[k];

		if (s->state != SPLIT_READY || s->pc != copy.pc || s->frame != copy.frame)
			continue;
		copy.mask |= s->mask;
		if (s->ran > copy.ran)
			copy.ran = s->ran;
		remove_split(w, s);
	}
	w->splits[w->split_count++] = copy;
	return &w->splits[w->split_count - 1];
}

static uint32_t meeting_place(const struct warp *w, const struct split *cur)
{
	uint32_t stop = UINT32_MAX;

	for (uint32_t k = 0; k < w->split_count; k++) {
		const struct split *s = &w->splits[k];

		if (s != cur && s->state == SPLIT_READY && !s->spin.waits &&
		    s->frame->depth == cur->frame->depth && s->pc < stop)
			stop = s->pc;
	}
	return stop;
}

int maybe_spins(struct warp *w, const struct insn *i, uint64_t addr, bool is_shared, uint32_t bytes,
		uint64_t seen)
{
	struct spin *s = &w->cur->spin;
	const uint32_t pc = current_pc(w, i);
	bool ended;

	if (is_shared)
		addr = (uintptr_t)shared_place(w->cta, addr, bytes, &ended);
	const bool again = s->bytes && s->pc == pc && s->addr == addr && s->seen == seen;

	*s = (struct spin){.pc = pc,
			   .bytes = (uint8_t)bytes,
			   .is_shared = is_shared,
			   .waits = again,
			   .addr = addr,
			   .seen = seen};
	if (!again)
		return STEP_NEXT;
	w->cur->pc = pc + 1;
	return STEP_PICK;
}

/* Does the split wait for a value that is still the same? */
static bool spins(struct warp *w, const struct split *s)
{
	const uint8_t *at = (const uint8_t *)(uintptr_t)s->spin.addr;

	if (!s->spin.waits)
		return false;
	if (!s->spin.is_shared && !address_allowed(w->cta, s->spin.addr, s->spin.bytes, false))
		return false;
	switch (s->spin.bytes) {
	case 1:
		return __atomic_load_n(at, __ATOMIC_RELAXED) == s->spin.seen;
	case 2:
		return __atomic_load_n((const uint16_t *)at, __ATOMIC_RELAXED) == s->spin.seen;
	case 4:
		return __atomic_load_n((const uint32_t *)at, __ATOMIC_RELAXED) == s->spin.seen;
	default:
		return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED) == s->spin.seen;
	}
}

static bool pick(struct warp *w, bool even_spinning)
{
	struct split *best = NULL, *oldest = NULL;
	uint32_t ready = 0;

	if (w->sleepers)
		wake_sleepers(w);
	for (uint32_t k = 0; k < w->split_count; k++) {
		struct split *s = &w->splits[k];

		if (s->state != SPLIT_READY)
			continue;
		ready++;
		if (!oldest || s->ran < oldest->ran)
			oldest = s;
		if (!spins(w, s) && (!best || before(s, best)))
			best = s;
	}
	w->cur = NULL;
	if (!best && even_spinning)
		best = oldest;
	if (!best)
		return false;
	w->passed_over = 0;
	w->stop_pc = UINT32_MAX;
	w->quantum = UINT32_MAX;
	if (ready > 1) {
		bool starved = oldest != best && w->executed - oldest->ran > FAIR_AFTER;

		w->quantum = starved ? FAIR_QUANTUM : FAIR_AFTER / 4;
		best = merge_into(w, starved ? oldest : best);
		if (!starved)
			w->stop_pc = meeting_place(w, best);
	}
	best->spin.waits = false;
	w->cur = best;
	use_frame(w, best->frame);
	return true;
}

bool warp_pick(struct warp *w)
{
	return pick(w, false);
}

bool warp_pick_spinning(struct warp *w)
{
	return pick(w, true);
}

/*
 * Run the current split for at most n instructions. Returns how many; *result says whether it can
 * go on (STEP_NEXT), must be chosen anew (STEP_PICK), or faulted.
 */
static uint32_t run_split(struct warp *w, uint32_t n, int *result)
{
	const struct insn *code = w->cta->code;
	struct split *s = w->cur;
	uint32_t left = n, pc = s->pc;

	*result = STEP_NEXT;
	while (left) {
		const struct insn *i = &code[pc];
		uint32_t mask = s->mask;
		int r = STEP_NEXT;

		left--;
		if (i->guard != GUARD_NONE)
			mask &= pred_row(w, i->guard & ~1u) ^ (i->guard & 1 ? FULL_MASK : 0);
		if (mask)
			r = i->fn(w, i, mask);
		if (r == STEP_NEXT) {
			pc++;
		} else if (r == STEP_JUMP) {
			pc = w->next_pc;
		} else {
			if (r == STEP_FAULT)
				w->cta->fault.line = w->cta->image->m->lines[pc];
			*result = r;
			return n - left;
		}
		if (pc >= w->stop_pc) {
			*result = STEP_PICK;
			break;
		}
	}
	s->pc = pc;
	return n - left;
}

int warp_run(struct warp *w, uint32_t n, uint32_t *done)
{
	uint32_t left = n;
	int result = STEP_NEXT;

	while (left && result != STEP_FAULT) {
		uint32_t k, used;

		if (!w->cur && !warp_pick(w))
			break;
		k = left < w->quantum ? left : w->quantum;
		used = run_split(w, k, &result);
		left -= used;
		w->executed += used;
		if (w->quantum != UINT32_MAX)
			w->quantum -= used;
		if (w->cur)
			w->cur->ran = w->executed;
		if (result == STEP_PICK || !w->quantum)
			w->cur = NULL;
	}
	*done = n - left;
	return result;
}

static struct frame *make_frame(struct ptx_cta *c, const struct func *f)
{
	uint64_t rows = ((uint64_t)f->row_bytes + ROW_ALIGN - 1) & ~(uint64_t)(ROW_ALIGN - 1);
	uint64_t params = (((uint64_t)f->frame_params + 3) / 4 + 2) * LANES * 4;
	uint64_t head = (sizeof(struct frame) + ROW_ALIGN - 1) & ~(size_t)(ROW_ALIGN - 1);
	uint8_t *m;
	struct frame *frame;

	if (c->memory + head + rows + params > CTA_MEMORY)
		return NULL;
	if (posix_memalign((void **)&m, ROW_ALIGN, head + rows + params))
		return NULL;
	memset(m, 0, head + rows + params);
	c->memory += head + rows + params;
	frame = (struct frame *)m;
	frame->all = c->frames;
	c->frames = frame;
	frame->func = f;
	frame->rows = m + head;
	frame->params = (uint32_t *)(m + head + rows);
	return frame;
}

bool grow_local(struct warp *w, uint32_t bytes)
{
	uint32_t want = (bytes + LOCAL_STEP - 1) & ~(LOCAL_STEP - 1);
	uint32_t *rows;

	if (bytes <= w->local_bytes)
		return true;
	if (want < 2 * w->local_bytes && 2 * w->local_bytes <= MAX_LOCAL_BYTES)
		want = 2 * w->local_bytes;
	if (want > MAX_LOCAL_BYTES ||
	    w->cta->memory + (uint64_t)(want - w->local_bytes) * LANES > CTA_MEMORY)
		return false;
	/* two rows more: eight bytes at the end */
	rows = realloc(w->local, ((size_t)want / 4 + 2) * LANES * 4);
	if (!rows)
		return false;
	memset(rows + (size_t)w->local_bytes / 4 * LANES, 0,
	       ((size_t)(want - w->local_bytes) / 4 + 2) * LANES * 4);
	if (w->cta->env->private)
		w->cta->env->private(w->cta->env->arg, PTX_LOCAL, true,
				     rows + (size_t)w->local_bytes / 4 * LANES,
				     (size_t)(want - w->local_bytes) * LANES);
	w->cta->memory += (uint64_t)(want - w->local_bytes) * LANES;
	w->local = rows;
	w->local_bytes = want;
	return true;
}

/* A frame for the current split's call of f; NULL when the stack is exhausted. */
struct frame *push_frame(struct warp *w, const struct func *f, uint32_t lanes)
{
	struct ptx_cta *c = w->cta;
	struct frame *parent = w->frame, *frame = c->pool[f->index];
	uint32_t depth = parent ? parent->depth + 1 : 0, local_base;

	if (parent)
		local_base = parent->local_base + ((parent->func->local_bytes + 15) & ~15u);
	else
		local_base = (c->image->m->local_bytes + 15) & ~15u;
	if (depth > MAX_CALL_DEPTH || local_base + f->local_bytes > MAX_LOCAL_BYTES ||
	    !grow_local(w, local_base + f->local_bytes))
		return NULL;
	if (frame)
		c->pool[f->index] = frame->parent;
	else
		frame = make_frame(c, f);
	if (!frame)
		return NULL;
	frame->parent = parent;
	frame->site = NULL;
	frame->depth = depth;
	frame->lanes = (uint32_t)__builtin_popcount(lanes);
	frame->local_base = local_base;
	return frame;
}

/* These lanes have left the frame; with the last one it is free. */
void drop_lanes(struct warp *w, struct frame *f, uint32_t lanes)
{
	f->lanes -= (uint32_t)__builtin_popcount(lanes);
	if (f->lanes)
		return;
	f->parent = w->cta->pool[f->func->index];
	w->cta->pool[f->func->index] = f;
}

void warp_start(struct warp *w)
{
	w->split_count = 0;
	w->cur = NULL;
	w->frame = NULL;
	w->sleepers = 0;
	w->passed_over = 0;
	w->live = w->present;
	w->executed = 0;
	new_split(w, w->cta->entry->start, w->present, NULL);
}

/* Lanes have exited: others that waited for them may continue. */
static void lanes_gone(struct warp *w)
{
	for (uint32_t k = 0; k < w->split_count; k++) {
		if (w->splits[k].state == SPLIT_SYNC)
			w->splits[k].state = SPLIT_READY;
	}
	if (!w->live)
		w->cta->live_warps--;
	barrier_check_all(w->cta);
}

int op_exit(struct warp *w, const struct insn *i, uint32_t mask)
{
	struct frame *f = w->frame;

	part_with_others(w, mask, current_pc(w, i) + 1);
	while (f) {
		struct frame *parent = f->parent;

		drop_lanes(w, f, mask);
		f = parent;
	}
	w->live &= ~mask;
	remove_split(w, w->cur);
	w->cur = NULL;
	lanes_gone(w);
	return STEP_PICK;
}

int op_bra(struct warp *w, const struct insn *i, uint32_t mask)
{
	struct split *s = w->cur;

	if (mask == s->mask) {
		w->next_pc = i->x;
		return STEP_JUMP;
	}
	part_with_others(w, mask, current_pc(w, i) + 1);
	s->pc = i->x;
	return STEP_PICK;
}

int op_brx(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct branch_table *t = i->ptr;
	const uint32_t *a = row(w, i->a);
	uint32_t l = (uint32_t)__builtin_ctz(mask), same = 0;

	if (a[l] >= t->count)
		return fault(w, l, PTX_FAULT_INSTRUCTION, a[l]);
	for (uint32_t k = 0; k < LANES; k++)
		same |= (uint32_t)(a[k] == a[l]) << k;
	same &= mask;
	/* lanes with another index execute this instruction again */
	if (w->cur->mask & ~mask)
		part_with_others(w, mask, current_pc(w, i) + 1);
	part_with_others(w, same, current_pc(w, i));
	w->cur->pc = t->target[a[l]];
	return STEP_PICK;
}

int op_trap(struct warp *w, const struct insn *i, uint32_t mask)
{
	return fault(w, (uint32_t)__builtin_ctz(mask), PTX_FAULT_TRAP, 0);
}

int op_nop(struct warp *w, const struct insn *i, uint32_t mask)
{
	return STEP_NEXT;
}

int op_nanosleep(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct ptx_env *env = w->cta->env;
	const uint32_t *a = row(w, i->a);
	uint32_t l = (uint32_t)__builtin_ctz(mask), same = 0, pc = current_pc(w, i);

	for (uint32_t k = 0; k < LANES; k++)
		same |= (uint32_t)(a[k] == a[l]) << k;
	same &= mask;
	if (w->cur->mask & ~mask)
		part_with_others(w, mask, pc + 1);
	part_with_others(w, same, pc);
	w->cur->pc = pc + 1;
	if (a[l]) {
		w->cur->state = SPLIT_SLEEP;
		w->cur->wake_ns = env->globaltimer_ns(env->arg) + a[l];
		w->sleepers++;
	}
	return STEP_PICK;
}
