/* SPDX-License-Identifier: MIT */
/* Integer, logic and data movement instructions, and their names' float forms. */
#include "tests/simcuda/ptx/decode_float.h"
#include "tests/simcuda/ptx/parser.h"
#include "tests/simcuda/ptx/exec.h"

static bool is_float(enum type t)
{
	return type_info[t].kind == KIND_F;
}

static enum type widened(struct parser *p, struct raw *r, enum type t)
{
	switch (t) {
	case TY_U16:
		return TY_U32;
	case TY_S16:
		return TY_S32;
	case TY_U32:
		return TY_U64;
	case TY_S32:
		return TY_S64;
	default:
		unknown_instruction(p, r);
	}
}

static exec_fn known(struct parser *p, struct raw *r, exec_fn fn)
{
	if (!fn)
		unknown_instruction(p, r);
	return fn;
}

/* add.cc and its family: x is the kind; the carry is in a predicate row of the function. */
static void decode_carry(struct parser *p, struct raw *r, bool subtract, bool use_carry, bool set)
{
	enum type t = need_type(p, r);
	uint32_t d, a, b;
	struct insn *i;

	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (is_float(t) || type_info[t].bytes < 4)
		unknown_instruction(p, r);
	if (p->carry_row == OPERAND_NONE)
		p->carry_row = new_row(p, CLS_P);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	i = emit3(p, op_add_cc, d, a, b, p->carry_row);
	i->x = (type_info[t].bytes == 8) | subtract << 1 | use_carry << 2 | set << 3;
}

static void decode_addsub(struct parser *p, struct raw *r, int arg)
{
	bool subtract = arg == I2_SUB;
	bool cc = take(r, "cc");
	enum type t;
	uint32_t d, a, b;
	bool sat;

	if (cc) {
		decode_carry(p, r, subtract, false, true);
		return;
	}
	t = need_type(p, r);
	if (is_float(t)) {
		decode_float2(p, r, t, subtract ? F2_SUB : F2_ADD);
		return;
	}
	sat = take(r, "sat");
	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (sat)
		arg = subtract ? I2_SUB_SAT : I2_ADD_SAT;
	known(p, r, int2_fn((enum int2)arg, t));
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	emit3(p, int2_fn((enum int2)arg, t), d, a, b, OPERAND_NONE);
}

static void decode_addc(struct parser *p, struct raw *r, int subtract)
{
	decode_carry(p, r, subtract, true, take(r, "cc"));
}

static void decode_mul(struct parser *p, struct raw *r, int arg)
{
	bool lo = take(r, "lo"), hi = take(r, "hi"), wide = take(r, "wide");
	enum type t = need_type(p, r), dt = t;
	enum int2 op = lo ? I2_MUL_LO : hi ? I2_MUL_HI : I2_MUL_WIDE;
	uint32_t d, a, b;

	if (is_float(t) && !lo && !hi && !wide) {
		decode_float2(p, r, t, F2_MUL);
		return;
	}
	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (lo + hi + wide != 1)
		unknown_instruction(p, r);
	if (wide)
		dt = widened(p, r, t);
	known(p, r, int2_fn(op, t));
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	emit3(p, int2_fn(op, t), d, a, b, OPERAND_NONE);
}

/* mad.hi is a product and a sum; with .cc or madc the sum goes through the carry. */
static void mad_parts(struct parser *p, struct raw *r, enum int2 op, enum type t, bool use,
		      bool set, bool sat)
{
	uint32_t d = dst(p, r, 0, t), a = src(p, r, 1, t), b = src(p, r, 2, t), c = src(p, r, 3, t);
	uint32_t product = new_row(p, type_info[t].cls);

	emit3(p, known(p, r, int2_fn(op, t)), product, a, b, OPERAND_NONE);
	if (!use && !set) {
		exec_fn add = known(p, r, int2_fn(sat ? I2_ADD_SAT : I2_ADD, t));

		emit3(p, add, d, product, c, OPERAND_NONE);
		return;
	}
	if (type_info[t].bytes < 4)
		unknown_instruction(p, r);
	if (p->carry_row == OPERAND_NONE)
		p->carry_row = new_row(p, CLS_P);
	emit3(p, op_add_cc, d, product, c, p->carry_row)->x =
		(type_info[t].bytes == 8) | use << 2 | set << 3;
}

static void decode_mad(struct parser *p, struct raw *r, int use_carry)
{
	bool lo = take(r, "lo"), hi = take(r, "hi"), wide = take(r, "wide");
	enum type t = need_type(p, r), dt;
	bool cc, sat;
	exec_fn fn;
	uint32_t d, a, b, c;

	if (is_float(t) && !lo && !hi && !wide) {
		decode_fma_type(p, r, t);
		return;
	}
	cc = take(r, "cc");
	sat = take(r, "sat");
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if (lo + hi + wide != 1 || is_float(t) || (sat && (!hi || t != TY_S32)))
		unknown_instruction(p, r);
	if (hi || cc || use_carry) {
		if (wide)
			unknown_instruction(p, r);
		mad_parts(p, r, hi ? I2_MUL_HI : I2_MUL_LO, t, use_carry, cc, sat);
		return;
	}
	dt = wide ? widened(p, r, t) : t;
	fn = known(p, r, int3_fn(wide ? I3_MAD_WIDE : I3_MAD_LO, t));
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, dt);
	emit3(p, fn, d, a, b, c);
}

static void decode_mul24(struct parser *p, struct raw *r, int mad)
{
	bool lo = take(r, "lo"), hi = take(r, "hi"), sat = take(r, "sat");
	enum type t = need_type(p, r);
	enum int2 op = lo ? I2_MUL24_LO : I2_MUL24_HI;
	uint32_t d, a, b;

	done_mods(p, r);
	need_operands(p, r, 3 + (uint32_t)mad, 3 + (uint32_t)mad);
	if (lo + hi != 1 || (sat && !(mad && hi && t == TY_S32)))
		unknown_instruction(p, r);
	if (mad) {
		mad_parts(p, r, op, t, false, false, sat);
		return;
	}
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	emit3(p, known(p, r, int2_fn(op, t)), d, a, b, OPERAND_NONE);
}

static void decode_int2(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r), shift = t;
	uint32_t d, a, b;
	exec_fn fn;

	if (is_float(t) && arg == I2_DIV) {
		decode_float2(p, r, t, F2_DIV);
		return;
	}
	if (is_float(t) && (arg == I2_MIN || arg == I2_MAX)) {
		decode_float_minmax(p, r, t, arg == I2_MIN ? F2_MIN : F2_MAX);
		return;
	}
	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (t == TY_PRED)
		fn = arg == I2_AND   ? op_and_pred
		     : arg == I2_OR  ? op_or_pred
		     : arg == I2_XOR ? op_xor_pred
				     : NULL;
	else
		fn = int2_fn((enum int2)arg, t);
	known(p, r, fn);
	if (arg == I2_SHL || arg == I2_SHR)
		shift = TY_U32;
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, shift);
	emit3(p, fn, d, a, b, OPERAND_NONE);
}

static void decode_int1(struct parser *p, struct raw *r, int arg)
{
	bool shift_amount = arg == I1_BFIND && take(r, "shiftamt");
	enum type t = need_type(p, r), dt = t;
	uint32_t d, a;
	exec_fn fn;

	if (is_float(t) && (arg == I1_NEG || arg == I1_ABS)) {
		decode_float_sign(p, r, t, arg == I1_NEG ? F1_NEG : F1_ABS);
		return;
	}
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (shift_amount)
		arg = I1_BFIND_SHIFT;
	fn = t == TY_PRED && arg == I1_NOT ? op_not_pred : int1_fn((enum int1)arg, t);
	known(p, r, fn);
	if (arg == I1_POPC || arg == I1_CLZ || arg == I1_BFIND || arg == I1_BFIND_SHIFT)
		dt = TY_U32;
	d = dst(p, r, 0, dt);
	a = src(p, r, 1, t);
	emit3(p, fn, d, a, OPERAND_NONE, OPERAND_NONE);
}

static void decode_bfe(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	exec_fn fn = int3_fn(I3_BFE, t);
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	known(p, r, fn);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, TY_U32);
	c = src(p, r, 3, TY_U32);
	emit3(p, fn, d, a, b, c);
}

static void decode_bfi(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	uint32_t f, a, b, c, d;

	done_mods(p, r);
	need_operands(p, r, 5, 5);
	if (t != TY_B32 && t != TY_B64)
		unknown_instruction(p, r);
	f = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, TY_U32);
	d = src(p, r, 4, TY_U32);
	emit3(p, t == TY_B32 ? op_bfi32 : op_bfi64, f, a, b, c)->x = d;
}

static void decode_sad(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);
	exec_fn fn = known(p, r, int3_fn(I3_SAD, t));
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, t);
	emit3(p, fn, d, a, b, c);
}

static void decode_shf(struct parser *p, struct raw *r, int arg)
{
	bool left = take(r, "l"), right = take(r, "r");
	bool wrap = take(r, "wrap"), clamp = take(r, "clamp");
	enum type t = need_type(p, r);
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if (left + right != 1 || wrap + clamp != 1 || t != TY_B32)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, TY_U32);
	emit3(p, left ? op_shf_l : op_shf_r, d, a, b, c)->x = wrap;
}

static void decode_prmt(struct parser *p, struct raw *r, int arg)
{
	static const char *const modes[] = {"f4e", "b4e", "rc8", "ecl", "ecr", "rc16"};
	uint32_t mode = 0, d, a, b, c;

	for (uint32_t i = 0; i < 6; i++) {
		if (!mode && take(r, modes[i]))
			mode = i + 1;
	}
	if (!take(r, "b32"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	d = dst(p, r, 0, TY_B32);
	a = src(p, r, 1, TY_B32);
	b = src(p, r, 2, TY_B32);
	c = src(p, r, 3, TY_B32);
	emit3(p, op_prmt, d, a, b, c)->x = mode;
}

static void decode_lop3(struct parser *p, struct raw *r, int arg)
{
	uint32_t d, a, b, c;

	if (!take(r, "b32"))
		unknown_instruction(p, r);
	done_mods(p, r);
	need_operands(p, r, 5, 5);
	if (r->ops[4].kind != OPK_INT || r->ops[4].value > 255)
		bad_operand(p, r, 4);
	d = dst(p, r, 0, TY_B32);
	a = src(p, r, 1, TY_B32);
	b = src(p, r, 2, TY_B32);
	c = src(p, r, 3, TY_B32);
	emit3(p, op_lop3, d, a, b, c)->x = (uint32_t)r->ops[4].value;
}

/* dp4a.atype.btype, dp2a.mode.atype.btype */
static void decode_dot(struct parser *p, struct raw *r, int two)
{
	bool lo = two && take(r, "lo"), hi = two && take(r, "hi");
	enum type ta = need_type(p, r), tb = need_type(p, r);
	enum type t = ta == TY_S32 || tb == TY_S32 ? TY_S32 : TY_U32;
	uint32_t d, a, b, c;

	done_mods(p, r);
	need_operands(p, r, 4, 4);
	if ((ta != TY_U32 && ta != TY_S32) || (tb != TY_U32 && tb != TY_S32) || (two && lo == hi))
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, ta);
	b = src(p, r, 2, tb);
	c = src(p, r, 3, t);
	emit3(p, two ? op_dp2a : op_dp4a, d, a, b, c)->x =
		(ta == TY_S32) | (tb == TY_S32) << 1 | hi << 2;
}

/* bmsk.mode.b32 d, first, bits; szext.mode.type d, a, bits */
static void decode_bits(struct parser *p, struct raw *r, int extend)
{
	bool wrap = take(r, "wrap"), clamp = take(r, "clamp");
	enum type t = need_type(p, r);
	uint32_t d, a, b;

	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (wrap == clamp)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, TY_U32);
	emit3(p, extend ? op_szext_bits : op_bmsk, d, a, b, OPERAND_NONE)->x = wrap | (t == TY_S32)
											      << 1;
}

static void decode_fns(struct parser *p, struct raw *r, int arg)
{
	uint32_t d, a, b, c;

	take(r, "b32");
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	d = dst(p, r, 0, TY_B32);
	a = src(p, r, 1, TY_B32);
	b = src(p, r, 2, TY_B32);
	c = src(p, r, 3, TY_S32);
	emit3(p, op_fns, d, a, b, c);
}

const struct opcode opcodes_int[] = {
	{"add", decode_addsub, I2_ADD}, {"sub", decode_addsub, I2_SUB},
	{"addc", decode_addc, 0},       {"subc", decode_addc, 1},
	{"mul", decode_mul, 0},         {"mad", decode_mad, 0},
	{"madc", decode_mad, 1},        {"mul24", decode_mul24, 0},
	{"mad24", decode_mul24, 1},     {"div", decode_int2, I2_DIV},
	{"rem", decode_int2, I2_REM},   {"min", decode_int2, I2_MIN},
	{"max", decode_int2, I2_MAX},   {"and", decode_int2, I2_AND},
	{"or", decode_int2, I2_OR},     {"xor", decode_int2, I2_XOR},
	{"shl", decode_int2, I2_SHL},   {"shr", decode_int2, I2_SHR},
	{"not", decode_int1, I1_NOT},   {"cnot", decode_int1, I1_CNOT},
	{"neg", decode_int1, I1_NEG},   {"abs", decode_int1, I1_ABS},
	{"popc", decode_int1, I1_POPC}, {"clz", decode_int1, I1_CLZ},
	{"brev", decode_int1, I1_BREV}, {"bfind", decode_int1, I1_BFIND},
	{"bfe", decode_bfe, 0},         {"bfi", decode_bfi, 0},
	{"sad", decode_sad, 0},         {"shf", decode_shf, 0},
	{"prmt", decode_prmt, 0},       {"lop3", decode_lop3, 0},
	{"bmsk", decode_bits, 0},       {"szext", decode_bits, 1},
	{"fns", decode_fns, 0},         {"dp4a", decode_dot, 0},
	{"dp2a", decode_dot, 1},        {NULL, NULL, 0},
};
