/* SPDX-License-Identifier: MIT */
/* Branches, calls, exits and barriers. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static void decode_bra(struct parser *p, struct raw *r, int arg)
{
	take(r, "uni");
	done_mods(p, r);
	need_operands(p, r, 1, 1);
	if (!r->ops[0].name || r->ops[0].kind != OPK_NAME)
		bad_operand(p, r, 0);
	emit(p, op_bra);
	add_fixup(p, r->ops[0].name, NULL, p->m->code_count - 1, r->line);
}

static void decode_brx(struct parser *p, struct raw *r, int arg)
{
	struct sym *s;
	uint32_t a;

	if (!take(r, "idx"))
		unknown_instruction(p, r);
	take(r, "uni");
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	s = r->ops[1].kind == OPK_NAME ? r->ops[1].name->sym : NULL;
	if (!s || s->kind != SYM_TABLE)
		bad_operand(p, r, 1);
	a = src(p, r, 0, TY_U32);
	emit3(p, op_brx, OPERAND_NONE, a, OPERAND_NONE, OPERAND_NONE)->ptr = s->table;
}

/* One argument: a .param variable of the caller, a register, or a number. */
static void call_argument(struct parser *p, struct raw *r, struct operand *o,
			  const struct var *formal, bool is_result, struct call_arg *a)
{
	enum type t = formal->type;

	if (o->kind == OPK_VAR && o->var->space == SPACE_PARAM && !o->var->is_row &&
	    !o->var->is_kernel_param) {
		a->at = (uint32_t)o->var->offset;
		a->bytes = (uint32_t)o->var->size;
		if (formal->is_row || a->bytes != formal->size)
			bad_operand(p, r, 0);
		return;
	}
	if (formal->size > 8)
		bad_operand(p, r, 0);
	a->is_row = true;
	a->cls = type_info[t].cls;
	a->bytes = type_info[t].bytes;
	a->at = is_result ? wide_dst(p, r, o, t, &a->cls) : wide_src(p, r, o, t, &a->cls);
}

static struct call_arg *call_arguments(struct parser *p, struct raw *r, struct operand *list,
				       struct var **formals, uint32_t count, bool is_result)
{
	struct call_arg *a = parse_alloc(p, sizeof(*a) * (count + 1));
	uint32_t n = 0;

	for (uint32_t i = 0; list && i < list->count; i++) {
		struct operand *o = &list->elems[i];
		const bool is_vector = o->kind == OPK_VECTOR;
		const uint32_t parts = is_vector ? o->count : 1;

		if (n + parts <= count && is_vector && formals[n]->vector != parts)
			bad_operand(p, r, 0);
		for (uint32_t k = 0; k < parts; k++, n++)
			if (n < count)
				call_argument(p, r, is_vector ? &o->elems[k] : o, formals[n],
					      is_result, &a[n]);
	}
	if (n != count)
		parse_fail(p, r->line, "wrong number of %s in a call",
			   is_result ? "results" : "arguments");
	return a;
}

static void decode_call(struct parser *p, struct raw *r, int arg)
{
	struct call_site *c = parse_alloc(p, sizeof(*c));
	struct operand *rets = NULL, *args = NULL, *target;
	struct proto proto = {0};
	uint32_t n = 0;

	take(r, "uni");
	done_mods(p, r);
	if (n < r->op_count && r->ops[n].kind == OPK_LIST)
		rets = &r->ops[n++];
	if (n >= r->op_count)
		need_operands(p, r, n + 1, MAX_OPERANDS);
	target = &r->ops[n++];
	if (n < r->op_count && r->ops[n].kind == OPK_LIST)
		args = &r->ops[n++];
	if (target->kind == OPK_FUNC) {
		struct func *f = target->func;

		if (f->is_entry)
			parse_fail(p, r->line, "'%.100s' is a kernel and cannot be called",
				   f->name);
		f->referenced = true;
		note_use(p, f, NULL);
		c->func = f;
		proto = (struct proto){f->param_count, f->ret_count, f->params, f->rets};
	} else {
		struct sym *s = n < r->op_count && r->ops[n].name ? r->ops[n].name->sym : NULL;

		if (target->kind == OPK_NAME)
			parse_fail(p, r->line, "unknown function '%.100s'", target->name->s);
		if (!s || s->kind != SYM_PROTO)
			parse_fail(p, r->line, "an indirect call needs a prototype");
		n++;
		proto = *s->proto;
		c->target = src_operand(p, r, target, TY_U64);
		p->fn->calls_indirectly = true;
	}
	if (n != r->op_count)
		need_operands(p, r, n, n);
	c->param_count = proto.param_count;
	c->ret_count = proto.ret_count;
	c->params = call_arguments(p, r, args, proto.params, proto.param_count, false);
	c->rets = call_arguments(p, r, rets, proto.rets, proto.ret_count, true);
	emit(p, op_call)->ptr = c;
}

static void decode_simple(struct parser *p, struct raw *r, int arg)
{
	static const exec_fn fns[] = {op_ret, op_exit, op_trap, op_trap, op_nop};

	take(r, "uni");
	if (arg == 4)
		take(r, "mask");
	done_mods(p, r);
	need_operands(p, r, 0, arg == 4 ? 1 : 0);
	emit(p, fns[arg]);
}

static void decode_nanosleep(struct parser *p, struct raw *r, int arg)
{
	uint32_t a;

	if (!take(r, "u32"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 1, 1);
	a = src(p, r, 0, TY_U32);
	emit3(p, op_nanosleep, OPERAND_NONE, a, OPERAND_NONE, OPERAND_NONE);
}

/* bar.red.op{.type} d, a{, b}, {!}c */
static void decode_bar_red(struct parser *p, struct raw *r)
{
	uint32_t kind, d, a, b = OPERAND_NONE, c;
	struct insn *i;

	kind = take(r, "popc") ? 0 : take(r, "and") ? 1 : take(r, "or") ? 2 : 3;
	if (kind == 3 || !(kind ? take(r, "pred") : take(r, "u32")))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 3, 4);
	d = dst(p, r, 0, kind ? TY_PRED : TY_U32);
	a = src(p, r, 1, TY_U32);
	if (r->op_count == 4)
		b = src(p, r, 2, TY_U32);
	c = src(p, r, r->op_count - 1, TY_PRED);
	i = emit3(p, op_bar_red, d, a, b, c);
	i->x = kind;
}

static void decode_bar(struct parser *p, struct raw *r, int arg)
{
	bool warp, sync, arrive;
	uint32_t a, b = OPERAND_NONE;

	if (take(r, "cluster")) {
		r->mods_used = (1u << r->mod_count) - 1;
		need_operands(p, r, 0, 0);
		emit(p, word_is(r->mods[1].s, r->mods[1].len, "wait") ? op_cluster_wait
								      : op_cluster_arrive);
		return;
	}
	warp = take(r, "warp");
	take(r, "cta");
	take(r, "aligned");
	sync = take(r, "sync");
	arrive = !sync && take(r, "arrive");
	if (!sync && !arrive) {
		if (warp || !take(r, "red"))
			unknown_instruction(p, r);
		decode_bar_red(p, r);
		return;
	}
	done_mods(p, r);
	if (warp) {
		struct sync_op *s = parse_alloc(p, sizeof(*s));

		need_operands(p, r, 1, 1);
		if (!sync)
			unknown_instruction(p, r);
		s->members = src(p, r, 0, TY_B32);
		s->show = show_nothing;
		s->finish = finish_nothing;
		s->q = OPERAND_NONE;
		emit(p, op_sync)->ptr = s;
		return;
	}
	need_operands(p, r, arrive ? 2 : 1, 2);
	a = src(p, r, 0, TY_U32);
	if (r->op_count == 2)
		b = src(p, r, 1, TY_U32);
	emit3(p, arrive ? op_bar_arrive : op_bar_sync, OPERAND_NONE, a, b, OPERAND_NONE);
}

const struct opcode opcodes_control[] = {
	{"bra", decode_bra, 0},
	{"brx", decode_brx, 0},
	{"call", decode_call, 0},
	{"ret", decode_simple, 0},
	{"exit", decode_simple, 1},
	{"trap", decode_simple, 2},
	{"brkpt", decode_simple, 3},
	{"pmevent", decode_simple, 4},
	{"nanosleep", decode_nanosleep, 0},
	{"bar", decode_bar, 0},
	{"barrier", decode_bar, 0},
	{NULL, NULL, 0},
};
