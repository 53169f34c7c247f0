/* SPDX-License-Identifier: MIT */
/* Instructions by which the lanes of a warp exchange values. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static struct sync_op *sync_op(struct parser *p,
			       void (*show)(struct warp *, const struct insn *, uint32_t),
			       void (*finish)(struct warp *, const struct insn *, uint32_t))
{
	struct sync_op *s = parse_alloc(p, sizeof(*s));

	s->show = show;
	s->finish = finish;
	s->q = OPERAND_NONE;
	s->members = OPERAND_NONE; /* the lanes that happen to execute it */
	return s;
}

/* shfl{.sync}.mode.b32 d[|p], a, b, c{, members} */
static void decode_shfl(struct parser *p, struct raw *r, int arg)
{
	static const char *const modes[] = {"up", "down", "bfly", "idx"};
	bool sync = take(r, "sync");
	struct sync_op *s = sync_op(p, show_word, finish_shfl);
	uint32_t d, a, b, c, n = sync ? 5 : 4;

	s->kind = 4;
	for (uint32_t i = 0; i < 4; i++) {
		if (take(r, modes[i]))
			s->kind = i;
	}
	if (s->kind == 4 || !take(r, "b32"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, n, n);
	d = dst_operand(p, r, &r->ops[0], TY_B32);
	if (r->ops[0].pair)
		s->q = dst_operand(p, r, r->ops[0].pair, TY_PRED);
	a = src(p, r, 1, TY_B32);
	b = src(p, r, 2, TY_B32);
	c = src(p, r, 3, TY_B32);
	if (sync)
		s->members = src(p, r, 4, TY_B32);
	emit3(p, op_sync, d, a, b, c)->ptr = s;
}

static void decode_vote(struct parser *p, struct raw *r, int arg)
{
	static const char *const modes[] = {"all", "any", "uni", "ballot"};
	bool sync = take(r, "sync");
	struct sync_op *s = sync_op(p, show_pred, finish_vote);
	uint32_t d, a, n = sync ? 3 : 2;

	s->kind = 4;
	for (uint32_t i = 0; i < 4; i++) {
		if (take(r, modes[i]))
			s->kind = i;
	}
	if (s->kind == 4 || !take(r, s->kind == VOTE_BALLOT ? "b32" : "pred"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, n, n);
	d = dst(p, r, 0, s->kind == VOTE_BALLOT ? TY_B32 : TY_PRED);
	a = src(p, r, 1, TY_PRED);
	if (sync)
		s->members = src(p, r, 2, TY_B32);
	emit3(p, op_sync, d, a, OPERAND_NONE, OPERAND_NONE)->ptr = s;
}

/* match.{any,all}.sync.type d[|p], a, members */
static void decode_match(struct parser *p, struct raw *r, int arg)
{
	struct sync_op *s = sync_op(p, show_word, finish_match);
	bool any = take(r, "any"), all = take(r, "all");
	enum type t;
	uint32_t d, a;

	if (any + all != 1 || !take(r, "sync"))
		unknown_instruction(p, r);
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if ((t != TY_B32 && t != TY_B64) || (r->ops[0].pair && any))
		unknown_instruction(p, r);
	if (t == TY_B64)
		s->show = show_wide;
	s->kind = all;
	s->kind2 = t == TY_B64;
	d = dst_operand(p, r, &r->ops[0], TY_B32);
	if (r->ops[0].pair)
		s->q = dst_operand(p, r, r->ops[0].pair, TY_PRED);
	a = src(p, r, 1, t);
	s->members = src(p, r, 2, TY_B32);
	emit3(p, op_sync, d, a, OPERAND_NONE, OPERAND_NONE)->ptr = s;
}

static void decode_redux(struct parser *p, struct raw *r, int arg)
{
	static const char *const ops[] = {"add", "min", "max", "and", "or", "xor"};
	struct sync_op *s = sync_op(p, show_word, finish_redux);
	bool logic;
	enum type t;
	uint32_t d, a;

	s->kind = 6;
	if (!take(r, "sync"))
		unknown_instruction(p, r);
	for (uint32_t i = 0; i < 6; i++) {
		if (take(r, ops[i]))
			s->kind = i;
	}
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 3, 3);
	logic = s->kind >= REDUX_AND;
	if (s->kind == 6 || (logic ? t != TY_B32 : t != TY_U32 && t != TY_S32))
		unknown_instruction(p, r);
	s->kind2 = t == TY_S32;
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	s->members = src(p, r, 2, TY_B32);
	emit3(p, op_sync, d, a, OPERAND_NONE, OPERAND_NONE)->ptr = s;
}

static void decode_activemask(struct parser *p, struct raw *r, int arg)
{
	uint32_t d;

	if (!take(r, "b32"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 1, 1);
	d = dst(p, r, 0, TY_B32);
	emit3(p, op_activemask, d, OPERAND_NONE, OPERAND_NONE, OPERAND_NONE);
}

/* elect.sync d|p, members */
static void decode_elect(struct parser *p, struct raw *r, int arg)
{
	struct sync_op *s = sync_op(p, show_nothing, finish_elect);
	uint32_t d;

	if (!take(r, "sync"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (!r->ops[0].pair)
		bad_operand(p, r, 0);
	d = dst_operand(p, r, &r->ops[0], TY_B32);
	s->q = dst_operand(p, r, r->ops[0].pair, TY_PRED);
	s->members = src(p, r, 1, TY_B32);
	emit3(p, op_sync, d, OPERAND_NONE, OPERAND_NONE, OPERAND_NONE)->ptr = s;
}

const struct opcode opcodes_warp[] = {
	{"shfl", decode_shfl, 0},
	{"vote", decode_vote, 0},
	{"match", decode_match, 0},
	{"redux", decode_redux, 0},
	{"activemask", decode_activemask, 0},
	{"elect", decode_elect, 0},
	{NULL, NULL, 0},
};
