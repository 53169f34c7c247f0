/* SPDX-License-Identifier: MIT */
/* Calls and returns: frames are linked, the C stack stays flat. */
#include "tests/simcuda/ptx/exec.h"

typedef uint32_t u32;
typedef uint64_t u64;

/* Rows of words of .param space; lanes outside the mask keep theirs. */
static void copy_params(u32 *to, u32 to_at, const u32 *from, u32 from_at, u32 bytes, u32 mask)
{
	for (u32 k = 0; k < (bytes + 3) / 4; k++)
		put32(to + (size_t)(to_at / 4 + k) * LANES,
		      from + (size_t)(from_at / 4 + k) * LANES, mask);
}

static void *frame_row(const struct warp *w, const struct frame *f, u32 operand)
{
	return operand & 1 ? w->base[1] + (operand & ~1u) : f->rows + operand;
}

/* Registers narrower than a word are passed in a word. */
static void row_to_params(const struct warp *w, const struct frame *f, const struct call_arg *a,
			  u32 *to, u32 at, u32 mask)
{
	const void *from = frame_row(w, f, a->at);

	for (u32 m = mask; m; m &= m - 1) {
		u32 l = (u32)__builtin_ctz(m);
		u64 v = 0;

		memcpy(&v, (const uint8_t *)from + l * (1u << a->cls), 1u << a->cls);
		local_put(to, l, at, a->bytes, v);
	}
}

static void params_to_row(struct frame *f, const struct call_arg *a, const u32 *from, u32 at,
			  u32 mask)
{
	uint8_t *to = f->rows + a->at;

	for (u32 m = mask; m; m &= m - 1) {
		u32 l = (u32)__builtin_ctz(m);
		u64 v = local_get(from, l, at, a->bytes);

		memcpy(to + l * (1u << a->cls), &v, 1u << a->cls);
	}
}

static void row_to_row(void *to, enum cls to_cls, const void *from, enum cls from_cls, u32 mask)
{
	if (to_cls == CLS_P) {
		u32 *d = to;

		*d = (*d & ~mask) | (*(const u32 *)from & mask);
		return;
	}
	for (u32 m = mask; m; m &= m - 1) {
		u32 l = (u32)__builtin_ctz(m);
		u64 v = 0;

		memcpy(&v, (const uint8_t *)from + l * (1u << from_cls), 1u << from_cls);
		memcpy((uint8_t *)to + l * (1u << to_cls), &v, 1u << to_cls);
	}
}

static void pass_arguments(struct warp *w, const struct call_site *s, struct frame *to, u32 mask)
{
	const struct frame *from = w->frame;

	for (u32 k = 0; k < s->param_count; k++) {
		const struct call_arg *a = &s->params[k];
		const struct var *v = to->func->params[k];

		if (!a->is_row)
			copy_params(to->params, (u32)v->offset, from->params, a->at, a->bytes,
				    mask);
		else if (v->is_row)
			row_to_row(to->rows + v->offset, (enum cls)v->row_cls,
				   frame_row(w, from, a->at), (enum cls)a->cls, mask);
		else
			row_to_params(w, from, a, to->params, (u32)v->offset, mask);
	}
}

static void pass_results(struct frame *from, const struct call_site *s, struct frame *to, u32 mask)
{
	for (u32 k = 0; k < s->ret_count; k++) {
		const struct call_arg *a = &s->rets[k];
		const struct var *v = from->func->rets[k];

		if (!a->is_row)
			copy_params(to->params, a->at, from->params, (u32)v->offset, a->bytes,
				    mask);
		else if (v->is_row)
			row_to_row(to->rows + a->at, (enum cls)a->cls, from->rows + v->offset,
				   (enum cls)v->row_cls, mask);
		else
			params_to_row(to, a, from->params, (u32)v->offset, mask);
	}
}

/* Would the arguments of an indirect call fit the function it finds? */
static bool fits(const struct call_site *s, const struct func *f)
{
	if (f->is_entry || s->param_count != f->param_count || s->ret_count != f->ret_count)
		return false;
	for (u32 k = 0; k < s->param_count; k++) {
		const struct var *v = f->params[k];

		if (s->params[k].bytes != v->size || (v->is_row && !s->params[k].is_row))
			return false;
	}
	for (u32 k = 0; k < s->ret_count; k++) {
		const struct var *v = f->rets[k];

		if (s->rets[k].bytes != v->size || (v->is_row && !s->rets[k].is_row))
			return false;
	}
	return true;
}

/* The function that the first lane calls, and in *mask the lanes that call the same. */
static const struct func *indirect(struct warp *w, const struct call_site *s, u32 *mask)
{
	const struct ptx_module *m = w->cta->image->m;
	const u64 *a = row(w, s->target);
	u32 l = (u32)__builtin_ctz(*mask), same = 0;
	u64 index = (a[l] - FUNC_WINDOW) / FUNC_STRIDE - 1;
	const struct func *f;

	for (u32 k = 0; k < LANES; k++)
		same |= (u32)(a[k] == a[l]) << k;
	*mask &= same;
	if (a[l] % FUNC_STRIDE || index >= m->func_count)
		return NULL;
	f = m->funcs[index];
	return (f->defined || f->builtin != BUILTIN_NONE) && fits(s, f) ? f : NULL;
}

int op_call(struct warp *w, const struct insn *i, uint32_t mask)
{
	const struct call_site *s = i->ptr;
	u32 pc = current_pc(w, i), calling = mask, first = (u32)__builtin_ctz(mask);
	const struct func *f = s->func;
	struct frame *frame;

	if (!f) {
		f = indirect(w, s, &calling);
		if (!f)
			return fault(w, first, PTX_FAULT_INSTRUCTION,
				     ((const u64 *)row(w, s->target))[first]);
	}
	if (w->cur->mask & ~mask)
		part_with_others(w, mask, pc + 1);
	part_with_others(w, calling, pc);
	if (f->builtin != BUILTIN_NONE) {
		int r = call_builtin(w, s, f, calling);

		w->cur->pc = pc + 1;
		return r == STEP_NEXT ? STEP_PICK : r;
	}
	frame = push_frame(w, f, calling);
	if (!frame)
		return fault(w, first, PTX_FAULT_STACK, 0);
	frame->site = s;
	frame->return_pc = pc + 1;
	pass_arguments(w, s, frame, calling);
	w->cur->frame = frame;
	w->cur->pc = f->start;
	return STEP_PICK;
}

int op_ret(struct warp *w, const struct insn *i, uint32_t mask)
{
	struct frame *frame = w->frame, *parent = frame->parent;

	if (!parent)
		return op_exit(w, i, mask);
	part_with_others(w, mask, current_pc(w, i) + 1);
	pass_results(frame, frame->site, parent, mask);
	w->cur->frame = parent;
	w->cur->pc = frame->return_pc;
	drop_lanes(w, frame, mask);
	return STEP_PICK;
}
