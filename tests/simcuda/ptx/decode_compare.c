/* SPDX-License-Identifier: MIT */
/* Comparisons, selections and conversions. */
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static enum compare compare_op(struct parser *p, struct raw *r)
{
	static const char *const names[CMP_COUNT] = {"eq",  "ne",  "lt",  "le",  "gt",  "ge",
						     "lo",  "ls",  "hi",  "hs",  "equ", "neu",
						     "ltu", "leu", "gtu", "geu", "num", "nan"};

	for (uint32_t i = 0; i < CMP_COUNT; i++) {
		if (take(r, names[i]))
			return (enum compare)i;
	}
	unknown_instruction(p, r);
}

static uint32_t bool_op(struct raw *r)
{
	if (take(r, "and"))
		return BOOL_AND;
	if (take(r, "or"))
		return BOOL_OR;
	return take(r, "xor") ? BOOL_XOR : BOOL_NONE;
}

static uint32_t pair_dst(struct parser *p, struct raw *r, struct operand *o)
{
	return o ? dst_operand(p, r, o, TY_PRED) : OPERAND_NONE;
}

/* setp: d is p, x is q, c the predicate of a boolean operation. */
static void decode_setp(struct parser *p, struct raw *r, int arg)
{
	enum compare cmp = compare_op(p, r);
	uint32_t bool_kind = bool_op(r), d, q, a, b, c = OPERAND_NONE;
	bool ftz = take(r, "ftz");
	enum type t = need_type(p, r);
	compare_fn fn = compare_by(cmp, t == TY_F16X2 ? TY_F16 : t == TY_BF16X2 ? TY_BF16 : t, ftz);
	struct insn *i;

	done_mods(p, r);
	need_operands(p, r, bool_kind ? 4 : 3, bool_kind ? 4 : 3);
	if (!fn)
		unknown_instruction(p, r);
	d = dst_operand(p, r, &r->ops[0], TY_PRED);
	q = pair_dst(p, r, r->ops[0].pair);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	if (bool_kind)
		c = src(p, r, 3, TY_PRED);
	if (t == TY_F16X2 || t == TY_BF16X2) {
		if (bool_kind || q == OPERAND_NONE)
			unknown_instruction(p, r);
		i = emit3(p, op_setp_f16x2, d, a, b, q);
		i->cmp = fn;
		return;
	}
	if (!bool_kind && q == OPERAND_NONE) {
		emit3(p, op_setp, d, a, b, OPERAND_NONE)->cmp = fn;
		return;
	}
	/* the boolean operation's kind is stored in the low bits of q's row, which are 0 */
	i = emit3(p, op_setp_bool, d, a, b, c);
	i->cmp = fn;
	i->x = (q == OPERAND_NONE ? ~3u : q) | bool_kind;
}

/* The bits of "true" in a result of this type, in both of its halves; 0: there is no such result.
 */
static uint32_t true_value(enum type t, bool packed)
{
	switch (t) {
	case TY_U32:
	case TY_S32:
	case TY_B32:
		return packed ? 0xffff : 0xffffffff;
	case TY_F32:
		return 0x3f800000;
	case TY_U16:
	case TY_S16:
		return 0xffff;
	case TY_F16:
	case TY_F16X2:
		return 0x3c00;
	case TY_BF16:
	case TY_BF16X2:
		return 0x3f80;
	default:
		return 0;
	}
}

static void combine(struct parser *p, uint32_t bool_kind, uint32_t d, uint32_t c)
{
	static const exec_fn fns[] = {
		[BOOL_AND] = op_and_pred, [BOOL_OR] = op_or_pred, [BOOL_XOR] = op_xor_pred};

	if (bool_kind != BOOL_NONE)
		emit3(p, fns[bool_kind], d, d, c, OPERAND_NONE);
}

static void decode_set(struct parser *p, struct raw *r, int arg)
{
	enum compare cmp = compare_op(p, r);
	uint32_t bool_kind = bool_op(r), d, a, b, c = OPERAND_NONE, lower, upper;
	bool ftz = take(r, "ftz");
	enum type dt = need_type(p, r), t = need_type(p, r);
	bool packed = t == TY_F16X2 || t == TY_BF16X2;
	compare_fn fn = compare_by(cmp, t == TY_F16X2 ? TY_F16 : t == TY_BF16X2 ? TY_BF16 : t, ftz);
	uint32_t yes = true_value(dt, packed);

	done_mods(p, r);
	need_operands(p, r, bool_kind ? 4 : 3, bool_kind ? 4 : 3);
	if (!fn || !yes)
		unknown_instruction(p, r);
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	if (bool_kind)
		c = src(p, r, 3, TY_PRED);
	lower = new_row(p, CLS_P);
	if (packed) {
		upper = new_row(p, CLS_P);
		emit3(p, op_setp_f16x2, lower, a, b, upper)->cmp = fn;
		combine(p, bool_kind, upper, c);
	} else {
		upper = OPERAND_NONE;
		emit3(p, op_setp, lower, a, b, OPERAND_NONE)->cmp = fn;
	}
	combine(p, bool_kind, lower, c);
	emit3(p,
	      packed                       ? op_set_packed
	      : type_info[dt].cls == CLS_H ? op_set_half
					   : op_set,
	      d, lower, upper, OPERAND_NONE)
		->x = yes;
}

static void decode_selp(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if (t == TY_PRED || type_info[t].bytes < 2)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, TY_PRED);
	emit3(p, selp_fn((enum cls)type_info[t].cls), d, a, b, c);
}

static void decode_slct(struct parser *p, struct raw *r, int arg)
{
	bool ftz = take(r, "ftz");
	enum type t = need_type(p, r), ct = need_type(p, r);
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if (t == TY_PRED || type_info[t].bytes < 2 || (ct != TY_S32 && ct != TY_F32))
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, ct);
	emit3(p, slct_fn((enum cls)type_info[t].cls, ct == TY_F32), d, a, b, c)->x =
		ftz ? FLOAT_FTZ : 0;
}

static void fill_pack(struct parser *p, struct raw *r, struct operand *v, enum type t, bool is_dst,
		      struct pack_op *op)
{
	static const enum type by_bytes[] = {TY_NONE, TY_B8, TY_B16, TY_NONE, TY_B32};
	uint32_t each = v->count ? type_info[t].bytes / v->count : 0;

	if (v->count < 2 || each * v->count != type_info[t].bytes || each == 0 || each == 3 ||
	    each > 4)
		bad_operand(p, r, is_dst ? 0 : 1);
	op->count = (uint8_t)v->count;
	op->bytes = (uint8_t)each;
	op->whole_cls = type_info[t].cls;
	op->cls = type_info[by_bytes[each]].cls;
	for (uint32_t i = 0; i < v->count; i++)
		op->regs[i] = is_dst ? dst_operand(p, r, &v->elems[i], by_bytes[each])
				     : src_operand(p, r, &v->elems[i], by_bytes[each]);
}

/* mov.bN d, {a, b} and mov.bN {a, b}, d */
static void decode_mov_vector(struct parser *p, struct raw *r, enum type t)
{
	bool unpack = r->ops[0].kind == OPK_VECTOR;
	struct pack_op *op = parse_alloc(p, sizeof(*op));
	uint32_t d = OPERAND_NONE, a = OPERAND_NONE;

	if (unpack) {
		a = src(p, r, 1, t);
		fill_pack(p, r, &r->ops[0], t, true, op);
	} else {
		fill_pack(p, r, &r->ops[1], t, false, op);
		d = dst(p, r, 0, t);
	}
	emit3(p, unpack ? op_unpack : op_pack, d, a, OPERAND_NONE, OPERAND_NONE)->ptr = op;
}

/* mov.v2.type {a, b}, {c, d}: all elements are read before the first is written. */
static void decode_mov_elements(struct parser *p, struct raw *r, enum type t, uint32_t count)
{
	struct operand *to = r->ops[0].elems, *from = r->ops[1].elems;
	enum cls cls = (enum cls)type_info[t].cls;
	uint32_t rows[MAX_VECTOR];

	for (uint32_t n = 0; n < 2; n++)
		if (r->ops[n].kind != OPK_VECTOR || r->ops[n].count != count)
			bad_operand(p, r, n);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t a = src_operand(p, r, &from[i], t);

		rows[i] = a;
		if (i + 1 < count && !(a & OPERAND_CONST)) {
			rows[i] = new_row(p, cls);
			emit3(p, mov_fn(cls), rows[i], a, OPERAND_NONE, OPERAND_NONE);
		}
	}
	for (uint32_t i = count; i-- > 0;)
		emit3(p, mov_fn(cls), dst_operand(p, r, &to[i], t), rows[i], OPERAND_NONE,
		      OPERAND_NONE);
}

static void decode_mov(struct parser *p, struct raw *r, int arg)
{
	uint32_t count = take(r, "v2") ? 2 : take(r, "v4") ? 4 : 1;
	enum type t = need_type(p, r);
	uint32_t d, a;
	struct insn *i;

	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (count > 1) {
		decode_mov_elements(p, r, t, count);
		return;
	}
	if (r->ops[0].kind == OPK_VECTOR || r->ops[1].kind == OPK_VECTOR) {
		if (t == TY_PRED)
			unknown_instruction(p, r);
		decode_mov_vector(p, r, t);
		return;
	}
	if (t != TY_PRED && type_info[t].bytes < 2)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	if (r->ops[1].kind == OPK_SPECIAL &&
	    special_cls(r->ops[1].special) == (enum cls)type_info[t].cls) {
		i = emit3(p, op_special, d, OPERAND_NONE, OPERAND_NONE, OPERAND_NONE);
		i->x = r->ops[1].special;
		return;
	}
	a = src(p, r, 1, t);
	emit3(p, mov_fn((enum cls)type_info[t].cls), d, a, OPERAND_NONE, OPERAND_NONE);
}

const struct opcode opcodes_compare[] = {
	{"setp", decode_setp, 0}, {"set", decode_set, 0}, {"selp", decode_selp, 0},
	{"slct", decode_slct, 0}, {"mov", decode_mov, 0}, {NULL, NULL, 0},
};
