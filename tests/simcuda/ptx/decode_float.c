/* SPDX-License-Identifier: MIT */
/* Floating-point arithmetic. */
#include "tests/simcuda/ptx/decode_float.h"

static uint32_t rounding(struct raw *r)
{
	if (take(r, "rz"))
		return FLOAT_RZ;
	if (take(r, "rm"))
		return FLOAT_RM;
	if (take(r, "rp"))
		return FLOAT_RP;
	take(r, "rn");
	return FLOAT_RN;
}

/* Modifiers of arithmetic. .ftz belongs to f32 and halves, .sat to all but f64 and bf16. */
static uint32_t float_flags(struct parser *p, struct raw *r, enum type t)
{
	uint32_t flags = rounding(r);

	if (take(r, "ftz"))
		flags |= FLOAT_FTZ;
	if (take(r, "sat"))
		flags |= FLOAT_SAT;
	if (t == TY_F64 && flags > FLOAT_RMASK)
		unknown_instruction(p, r);
	if (t != TY_F32 && t != TY_F64 && (flags & FLOAT_RMASK))
		unknown_instruction(p, r);
	return flags;
}

/* The interpreter's loops round to nearest; another mode wraps them. */
static void set_flags(struct insn *i, enum type t, uint32_t flags)
{
	i->x = flags;
	if ((flags & FLOAT_RMASK) && (t == TY_F32 || t == TY_F64)) {
		i->inner = i->fn;
		i->fn = op_rounded;
	}
}

static void emit_float2(struct parser *p, struct raw *r, enum type t, exec_fn fn, uint32_t flags)
{
	uint32_t d, a, b;

	done_mods(p, r);
	need_operands(p, r, 3, 3);
	if (!fn)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	set_flags(emit3(p, fn, d, a, b, OPERAND_NONE), t, flags);
}

void decode_float2(struct parser *p, struct raw *r, enum type t, enum float2 op)
{
	uint32_t flags;

	if (op == F2_DIV) {
		bool approx = take(r, "approx") || take(r, "full");

		flags = float_flags(p, r, t);
		if ((approx && t != TY_F32) || (flags & FLOAT_SAT))
			unknown_instruction(p, r);
	} else {
		flags = float_flags(p, r, t);
		take(r, "noftz");
	}
	emit_float2(p, r, t, float2_fn(op, t, flags), flags);
}

void decode_float_minmax(struct parser *p, struct raw *r, enum type t, enum float2 op)
{
	uint32_t flags = 0, d, a, b, c, m;

	if (take(r, "ftz"))
		flags |= FLOAT_FTZ;
	if (take(r, "NaN"))
		flags |= FLOAT_NAN;
	if (take(r, "xorsign")) {
		if (!take(r, "abs"))
			unknown_instruction(p, r);
		flags |= FLOAT_XORABS;
	}
	if (t == TY_F64 && flags)
		unknown_instruction(p, r);
	if (r->op_count != 4 || t != TY_F32 || (flags & FLOAT_XORABS)) {
		emit_float2(p, r, t, float2_fn(op, t, flags), flags);
		return;
	}
	/* three inputs: the minimum of two, then with the third */
	done_mods(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, t);
	m = new_row(p, CLS_W);
	emit3(p, float2_fn(op, t, flags), m, a, b, OPERAND_NONE)->x = flags;
	emit3(p, float2_fn(op, t, flags), d, m, c, OPERAND_NONE)->x = flags;
}

static void emit_float1(struct parser *p, struct raw *r, enum type t, exec_fn fn, uint32_t flags)
{
	uint32_t d, a;

	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (!fn)
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	set_flags(emit3(p, fn, d, a, OPERAND_NONE, OPERAND_NONE), t, flags);
}

void decode_float_sign(struct parser *p, struct raw *r, enum type t, enum float1 op)
{
	uint32_t flags = take(r, "ftz") ? FLOAT_FTZ : 0;

	if (flags && t == TY_F64)
		unknown_instruction(p, r);
	emit_float1(p, r, t, float1_fn(op, t, flags), flags);
}

void decode_fma_type(struct parser *p, struct raw *r, enum type t)
{
	uint32_t flags = float_flags(p, r, t), d, a, b, c;
	exec_fn fn;

	if (take(r, "relu"))
		flags |= FLOAT_RELU;
	done_mods(p, r);
	need_operands(p, r, 4, 4);
	fn = fma_fn(t, flags);
	if (!fn || ((flags & FLOAT_RELU) && (t == TY_F32 || t == TY_F64)))
		unknown_instruction(p, r);
	d = dst(p, r, 0, t);
	a = src(p, r, 1, t);
	b = src(p, r, 2, t);
	c = src(p, r, 3, t);
	set_flags(emit3(p, fn, d, a, b, c), t, flags);
}

static void decode_fma(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);

	if (type_info[t].kind != KIND_F)
		unknown_instruction(p, r);
	decode_fma_type(p, r, t);
}

/* rcp, sqrt and rsqrt with .approx or a rounding; the .approx forms are computed exactly. */
static void decode_root(struct parser *p, struct raw *r, int arg)
{
	bool approx = take(r, "approx");
	enum type t = need_type(p, r);
	uint32_t flags = float_flags(p, r, t == TY_F64 && approx ? TY_F32 : t);

	if ((flags & FLOAT_SAT) || (approx && (flags & FLOAT_RMASK)) ||
	    (arg == F1_RSQRT && !approx) || (t != TY_F32 && t != TY_F64))
		unknown_instruction(p, r);
	emit_float1(p, r, t, float1_fn((enum float1)arg, t, flags), flags);
}

static void decode_approx(struct parser *p, struct raw *r, int arg)
{
	uint32_t flags = 0;
	enum type t;

	if (!take(r, "approx"))
		unknown_instruction(p, r);
	if (take(r, "ftz"))
		flags |= FLOAT_FTZ;
	t = need_type(p, r);
	if (type_info[t].kind != KIND_F || t == TY_F64)
		unknown_instruction(p, r);
	if (t != TY_F32 && arg != F1_EX2 && arg != F1_TANH)
		unknown_instruction(p, r);
	emit_float1(p, r, t, float1_fn((enum float1)arg, t, flags), flags);
}

static void decode_copysign(struct parser *p, struct raw *r, int arg)
{
	enum type t = need_type(p, r);

	/* copysign d, a, b takes the sign of a and the magnitude of b */
	emit_float2(p, r, t, float2_fn(F2_COPYSIGN, t, 0), 0);
}

static void decode_testp(struct parser *p, struct raw *r, int arg)
{
	static const char *const tests[] = {"finite",     "infinite", "number",
					    "notanumber", "normal",   "subnormal"};
	uint32_t test = 6, d, a;
	enum type t;

	for (uint32_t i = 0; i < 6; i++) {
		if (take(r, tests[i]))
			test = i;
	}
	t = need_type(p, r);
	done_mods(p, r);
	need_operands(p, r, 2, 2);
	if (test == 6 || (t != TY_F32 && t != TY_F64))
		unknown_instruction(p, r);
	d = dst(p, r, 0, TY_PRED);
	a = src(p, r, 1, t);
	emit3(p, op_testp, d, a, OPERAND_NONE, OPERAND_NONE)->x = test | (t == TY_F64) << 8;
}

const struct opcode opcodes_float[] = {
	{"fma", decode_fma, 0},           {"rcp", decode_root, F1_RCP},
	{"sqrt", decode_root, F1_SQRT},   {"rsqrt", decode_root, F1_RSQRT},
	{"sin", decode_approx, F1_SIN},   {"cos", decode_approx, F1_COS},
	{"ex2", decode_approx, F1_EX2},   {"lg2", decode_approx, F1_LG2},
	{"tanh", decode_approx, F1_TANH}, {"copysign", decode_copysign, 0},
	{"testp", decode_testp, 0},       {NULL, NULL, 0},
};
